//! No circle of rooms: whoever changes one file must not have to understand all others. A room is a file of `src` with the
//! folder of its name; an edge is any path that begins with `crate::`, outside of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all
}

/// Returns the room of a file: its first name below `src`.
fn room(file: &Path) -> String {
    let below = file.strip_prefix(SRC).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Returns the code without comments and without what follows the first `#[cfg(test)]`.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a file");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns the first names after each `crate::`, also those in braces.
fn targets(code: &str) -> BTreeSet<String> {
    let name = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut all = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => {
                all.insert(name(after));
            }
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            all.insert(name(list[start..at].trim_start()));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            all.insert(name(list[start..at].trim_start()));
                            start = at + 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    all
}

/// Returns the room of every name that `lib.rs` re-exports.
fn reexports() -> BTreeMap<String, String> {
    let text = fs::read_to_string(Path::new(SRC).join("lib.rs")).expect("a file");
    let mut all = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("pub use ")) {
        let (room, names) = line.trim_end_matches(';').split_once("::").expect("a path");
        for name in names.trim_matches(['{', '}']).split(',') {
            all.insert(name.trim().to_owned(), room.to_owned());
        }
    }
    all
}

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let reexports = reexports();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(Path::new(SRC)) {
        let from = room(&file);
        if from == "lib" || from == "worlds" {
            continue;
        }
        let to = targets(&code(&file)).into_iter().map(|name| reexports.get(&name).cloned().unwrap_or(name));
        edges.entry(from.clone()).or_default().extend(to.filter(|to| *to != from && !to.is_empty()));
    }
    edges
}

/// Removes rooms that use nobody, until none is left or the rest is circles.
fn circles(mut edges: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let done: Vec<String> = edges.iter().filter(|(_, to)| to.is_empty()).map(|(from, _)| from.clone()).collect();
        if done.is_empty() {
            return edges;
        }
        edges.retain(|from, _| !done.contains(from));
        for to in edges.values_mut() {
            to.retain(|room| !done.contains(room));
        }
    }
}

#[test]
fn no_room_uses_itself_through_others() {
    let edges = edges();
    assert!(edges.len() > 20, "{} rooms: were they found?", edges.len());
    let tools = &edges["tools"];
    for actor in ["events", "event", "jobs", "job", "channels", "breaker", "alarms", "journal", "handles", "system"] {
        assert!(edges.contains_key(actor) && !tools.contains(actor), "tools.rs knows {actor}");
    }
    assert_eq!(circles(edges), BTreeMap::new());
}

#[test]
fn a_circle_is_found() {
    let of = |pairs: &[(&str, &[&str])]| {
        let each = pairs.iter().map(|(from, to)| ((*from).to_owned(), to.iter().map(|t| (*t).to_owned()).collect()));
        each.collect::<BTreeMap<_, _>>()
    };
    let found = circles(of(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"]), ("e", &[])]));
    assert!(found.contains_key("a") && found.contains_key("b") && found.contains_key("c") && !found.contains_key("e"));
    let names = targets("use crate::{one, two::{A, B}, three::C};\ncrate::four::x(); use crate::five;");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["five", "four", "one", "three", "two"]);
}
