//! Lists of statuses in SQL are what the rules say: a status that is added or renamed is missed nowhere.

use domain::distribution::PublicationStatus as P;
use domain::event::Status as S;
use domain::job::JobStatus as J;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Codes = BTreeSet<String>;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns every list behind `status in` and `status not in`, with the file that it stands in.
fn lists() -> Vec<(String, Codes)> {
    let mut all = Vec::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let (name, text) = (file.display().to_string(), fs::read_to_string(&file).expect("a file"));
        for after in text.split("status in (").skip(1).chain(text.split("status not in (").skip(1)) {
            let list = after.split(')').next().unwrap_or_default();
            let codes = list.split(',').map(|code| code.trim().trim_matches('\'').to_owned()).collect();
            all.push((name.clone(), codes));
        }
    }
    all
}

fn of<T: Copy>(all: &[T], code: fn(T) -> &'static str, holds: fn(T) -> bool) -> Codes {
    all.iter().filter(|status| holds(**status)).map(|status| code(*status).to_owned()).collect()
}

/// The sets that SQL may name, as the rules have them.
fn known() -> BTreeMap<&'static str, Codes> {
    let event = |holds| of(S::ALL, S::code, holds);
    let publication = |holds| of(P::ALL, P::code, holds);
    BTreeMap::from([
        ("events that are prepared", event(S::is_drafting)),
        ("events that are open", event(S::is_open)),
        ("events that are prepared or open", event(|s| !s.is_over())),
        ("events that take entries or may again", event(|s| matches!(s, S::Live | S::Paused))),
        ("events whose figures still change after the end", event(|s| matches!(s, S::Closed | S::Drawn))),
        ("events that publish or will", event(|s| s == S::Ready || s.is_open())),
        ("events without pictures", event(|s| matches!(s, S::Draft | S::Planned))),
        ("events that need no draw any more", event(|s| s.is_over() && s != S::Closed)),
        ("events with people who need not be kept", event(|s| matches!(s, S::Drawn | S::Settled | S::Cancelled))),
        ("events that say nothing of who returns", event(|s| s.is_drafting() || s == S::Purged)),
        ("publications on their way", publication(P::is_pending)),
        ("publications to be called", publication(|p| matches!(p, P::Queued | P::Retrying))),
        (
            "publications that the owner may try again",
            publication(|p| matches!(p, P::Failed | P::Skipped | P::Unknown)),
        ),
        ("publications to be asked about", publication(|p| matches!(p, P::AwaitingReview | P::Unknown))),
        ("jobs that go on", of(J::ALL, J::code, |j| matches!(j, J::Queued | J::Running))),
    ])
}

#[test]
fn every_list_of_statuses_is_a_rule() {
    let (lists, known) = (lists(), known());
    assert!(lists.len() > 20, "{} lists: were they found?", lists.len());
    for (file, list) in lists {
        assert!(known.values().any(|rule| *rule == list), "{file}: {list:?} is no rule of the domain");
    }
}
