//! The whole journey for many events at once while every upstream goes down in turn: nobody notices more than a notice.

use crate::api::{Counts, Owner};
use crate::record::say;
use crate::server::{Failure, Server};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const CHANNELS: [&str; 6] = ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"];
/// Each upstream fails in its own way, in turn.
const FAULTS: [(&str, &str); 11] = [
    ("NTS", "down"),
    ("CLAUDE", "hang"),
    ("OPENAI", "html"),
    ("STABILITY", "reset"),
    ("OPENAI_IMAGES", "oversized"),
    ("WOORI_TV", "down"),
    ("RINGO_BIZ", "throttled"),
    ("GENIE_TV", "charset"),
    ("INSTAGRAM", "reset"),
    ("NAVER", "truncated"),
    ("KAKAO", "down"),
];

/// Runs it; fails unless every event is live, every job ended, every failure is explained, and no request failed.
pub async fn run(events: usize, seconds: u64) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let env = [("MADANG_SIMULATOR_LATENCY".to_owned(), "0.3".to_owned())];
    let server = Server::start(folder.path(), &env).await?;
    play(&server, &scenario(seconds)).await?;
    let (counts, begun) = (Arc::new(Counts::default()), Instant::now());
    let pause = Duration::from_secs_f64(seconds as f64 / events as f64);
    let mut journeys = Vec::new();
    for n in 0..events {
        let (base, counts) = (server.base.clone(), counts.clone());
        journeys.push(tokio::spawn(async move {
            tokio::time::sleep(pause * n as u32).await;
            journey(&base, counts).await
        }));
    }
    let mut seen = Seen::default();
    for journey in journeys {
        match journey.await? {
            Ok(outcome) => seen.add(&outcome),
            Err(e) => seen.broken.push(e.to_string()),
        }
    }
    let took = begun.elapsed();
    let clean = server.stop().await;
    Ok(report(events, &seen, &counts, took, clean))
}

/// One upstream after the other, each down for twice its share of the time: two at once.
fn scenario(seconds: u64) -> String {
    let each = seconds as f64 / FAULTS.len() as f64;
    FAULTS.iter().enumerate().fold(String::new(), |mut text, (i, (upstream, fault))| {
        let at = i as f64 * each;
        let _ = writeln!(
            text,
            "[[step]]\nat = {at:.1}\nfor = {:.1}\nupstream = \"{upstream}\"\nfault = \"{fault}\"",
            2.0 * each
        );
        text
    })
}

async fn play(server: &Server, scenario: &str) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/admin/simulator/scenario", server.admin);
    let answer = client.post(url).bearer_auth(server.admin_token()?).body(scenario.to_owned()).send().await?;
    answer.error_for_status()?;
    Ok(())
}

struct Outcome {
    event: Value,
    distribution: Value,
    jobs: Vec<Value>,
}

async fn journey(base: &str, counts: Arc<Counts>) -> Result<Outcome, Failure> {
    let owner = Owner::signup(base, counts).await?;
    let (ready, jobs) = owner.ready(&CHANNELS).await?;
    let id = ready["id"].as_str().unwrap_or_default().to_owned();
    let distribution = owner.approve(&id).await?;
    let distribution = owner.ended(&distribution).await?;
    let (_, event) = owner.get(&format!("/api/events/{id}")).await?;
    Ok(Outcome { event, distribution, jobs })
}

#[derive(Default)]
struct Seen {
    live: usize,
    jobs: BTreeMap<String, usize>,
    fallbacks: BTreeMap<String, usize>,
    channels: BTreeMap<String, usize>,
    unexplained: usize,
    broken: Vec<String>,
}

impl Seen {
    fn add(&mut self, o: &Outcome) {
        self.live += usize::from(o.event["status"] == "live");
        for job in &o.jobs {
            *self.jobs.entry(job["status"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
            if let Some(reason) = job["fallback"]["reason"].as_str() {
                *self.fallbacks.entry(reason.to_owned()).or_default() += 1;
            }
        }
        for c in o.distribution["channels"].as_array().into_iter().flatten() {
            let status = c["status"].as_str().unwrap_or("?").to_owned();
            let troubled = matches!(status.as_str(), "failed" | "skipped" | "unknown");
            let said = c["error"]["messageKo"].as_str().is_some_and(|m| m.contains("주세요"));
            self.unexplained += usize::from(troubled && !said);
            *self.channels.entry(status).or_default() += 1;
        }
    }
}

fn report(events: usize, seen: &Seen, counts: &Counts, took: Duration, clean: bool) -> ExitCode {
    let get = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
    let (sent, failed, lost) = (get(&counts.sent), get(&counts.failed), get(&counts.lost));
    say!("{events} events in {:.0} s: {} live", took.as_secs_f64(), seen.live);
    say!("jobs {:?}, stand-ins {:?}", seen.jobs, seen.fallbacks);
    say!("channels {:?}, of these without a sentence that says what to do: {}", seen.channels, seen.unexplained);
    let available = 100.0 * (sent - failed - lost) as f64 / sent.max(1) as f64;
    say!("requests {sent}: 5xx {failed}, lost {lost}: availability {available:.2} %");
    for broken in &seen.broken {
        say!("broken: {broken}");
    }
    let ended = seen.jobs.keys().all(|s| s == "succeeded");
    let good =
        seen.live == events && ended && seen.unexplained == 0 && failed + lost == 0 && seen.broken.is_empty() && clean;
    say!("{}", if good { "held" } else { "did not hold" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
