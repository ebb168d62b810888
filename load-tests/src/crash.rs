//! R1: entries flow while the server is killed, at random and at chosen points of the journal, and its database
//! restarted; whatever was acknowledged is there.
//!
//! Everything is judged from outside: each customer repeats its request with the same key until it is answered, keeps
//! number and receipt, and finds them again in the proof of the draw, whose leaves are all entries by number.

use crate::api::Owner;
use crate::record::say;
use crate::serve::POINTS;
use crate::server::{Failure, Server, madang};
use parking_lot::Mutex;
use rand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is asked for.
pub struct Plan {
    /// Entries in all.
    pub entries: usize,
    /// Events they go to, in turn.
    pub events: usize,
    /// Customers at the same time.
    pub at_once: usize,
    /// `kill -9` of the server, in all.
    pub kills: usize,
    /// Shell command that restarts the database, and how often it is run.
    pub restart: Option<(String, usize)>,
}

/// An acknowledged entry: its event, number and receipt.
struct Acknowledged {
    event: usize,
    number: u64,
    receipt: String,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
    unanswered: AtomicU64,
    next: AtomicUsize,
    kept: Mutex<Vec<Acknowledged>>,
    /// Answers that contradict the promise.
    wrong: Mutex<Vec<String>>,
}

impl Counts {
    fn acknowledged(&self) -> usize {
        self.kept.lock().len()
    }
}

/// Runs it; fails when anything acknowledged is missing, doubled or different.
pub async fn run(plan: Plan) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let limit = ("MADANG_LIMIT_REQUESTS_PER_MINUTE".to_owned(), "1000000".to_owned());
    let mut server = Server::start(folder.path(), &[limit]).await?;
    let owner = Owner::signup(&server.base, Arc::default()).await?;
    let mut events = Vec::new();
    for _ in 0..plan.events {
        let (event, _) = owner.ready(&["NAVER"]).await?;
        let id = event["id"].as_str().ok_or("no event")?.to_owned();
        let distribution = owner.approve(&id).await?;
        owner.ended(&distribution).await?;
        events.push((id, event["slug"].as_str().ok_or("no slug")?.to_owned()));
    }
    let (counts, begun) = (Arc::new(Counts::default()), Instant::now());
    let slugs: Arc<Vec<String>> = Arc::new(events.iter().map(|(_, slug)| slug.clone()).collect());
    let customers: Vec<_> = (0..plan.at_once)
        .map(|_| tokio::spawn(customer(server.base.clone(), slugs.clone(), plan.entries, counts.clone())))
        .collect();
    let worst = disturb(&plan, &mut server, &counts).await?;
    for one in customers {
        one.await??;
    }
    let took = begun.elapsed();
    say!(
        "{} requests: {} acknowledged, {} refused with 503, {} unanswered, each of those repeated; {:.0} entries a second over {:.0} s; back after a kill within {:.1} s at worst",
        counts.sent.load(Ordering::Relaxed),
        counts.acknowledged(),
        counts.refused.load(Ordering::Relaxed),
        counts.unanswered.load(Ordering::Relaxed),
        counts.acknowledged() as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        worst.as_secs_f64()
    );
    let mut wrong = std::mem::take(&mut *counts.wrong.lock());
    let kept = std::mem::take(&mut *counts.kept.lock());
    for (index, (id, slug)) in events.iter().enumerate() {
        let mine = kept.iter().filter(|k| k.event == index);
        wrong.extend(judge(&owner, folder.path(), id, slug, mine).await?);
    }
    wrong.iter().take(20).for_each(|w| say!("WRONG {w}"));
    say!("{} of {} acknowledged entries lost, doubled or different", wrong.len(), kept.len());
    server.stop().await;
    let held = wrong.is_empty() && kept.len() == plan.entries;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Kills and restarts, spread over the run at random; the longest until the server was ready again.
async fn disturb(plan: &Plan, server: &mut Server, counts: &Counts) -> Result<Duration, Failure> {
    let restarts = plan.restart.as_ref().map_or(0, |(_, n)| *n);
    let total = plan.kills + restarts;
    let (mut kills, mut worst) = (0, Duration::ZERO);
    for n in 0..total {
        // At the n-th part of the entries, and a random moment later.
        let due = plan.entries * (n + 1) / (total + 1);
        while counts.acknowledged() < due {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let after = rand::rng().random_range(0..80);
        tokio::time::sleep(Duration::from_millis(after)).await;
        match &plan.restart {
            Some((command, _)) if (n + 1) * restarts / total > n * restarts / total => {
                let status = tokio::process::Command::new("sh").arg("-c").arg(command).status().await?;
                say!("{} acknowledged: database restarted ({status})", counts.acknowledged());
            }
            // At a random moment, or a chosen one: every second kill arms a life that ends at a point of the journal.
            _ if kills % 2 == 1 => {
                let point = POINTS[kills / 2 % POINTS.len()];
                kills += 1;
                worst = worst.max(server.crash_at(point, rand::rng().random_range(1..30)).await?);
                say!("{} acknowledged: kill {kills} of {}, {point}", counts.acknowledged(), plan.kills);
            }
            _ => {
                kills += 1;
                worst = worst.max(server.crash().await?);
                say!("{} acknowledged: kill {kills} of {}", counts.acknowledged(), plan.kills);
            }
        }
    }
    Ok(worst)
}

/// One customer after the other: each repeats until it is answered.
async fn customer(base: String, slugs: Arc<Vec<String>>, entries: usize, counts: Arc<Counts>) -> Result<(), Failure> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    loop {
        let n = counts.next.fetch_add(1, Ordering::Relaxed);
        if n >= entries {
            return Ok(());
        }
        let event = n % slugs.len();
        let path = format!("{base}/api/participation/events/{}/entries", slugs[event]);
        let body =
            json!({"name": "김손님", "phone": format!("010{n:08}"), "consents": {"privacy": true}, "channel": "QR"});
        let begun = Instant::now();
        loop {
            counts.sent.fetch_add(1, Ordering::Relaxed);
            let sent = http.post(&path).header("idempotency-key", format!("crash-{n}")).json(&body).send().await;
            let answer = match sent {
                Ok(answer) if answer.status().is_server_error() => {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                    None
                }
                Ok(answer) => Some((answer.status(), answer.json::<Value>().await.ok())),
                Err(_) => None,
            };
            if let Some((status, Some(body))) = answer {
                match (body["entryNo"].as_u64(), body["receipt"].as_str()) {
                    (Some(number), Some(receipt)) if status == 201 => {
                        let kept = Acknowledged { event, number, receipt: receipt.to_owned() };
                        counts.kept.lock().push(kept);
                    }
                    _ => counts.wrong.lock().push(format!("entry {n}: {status} {body}")),
                }
                break;
            }
            counts.unanswered.fetch_add(1, Ordering::Relaxed);
            if begun.elapsed() > Duration::from_secs(120) {
                return Err(format!("entry {n} was not answered for two minutes").into());
            }
            let pause = rand::rng().random_range(20..120);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// Closes, draws, and compares what customers keep with the proof and the statistics.
async fn judge(
    owner: &Owner,
    folder: &std::path::Path,
    id: &str,
    slug: &str,
    kept: impl Iterator<Item = &Acknowledged>,
) -> Result<Vec<String>, Failure> {
    owner.post(&format!("/api/events/{id}/close"), Value::Null).await?;
    let external = format!("{:064x}", rand::rng().random::<u128>());
    let (status, drawn) = owner.post(&format!("/api/events/{id}/draws"), json!({"external": external})).await?;
    if !status.is_success() {
        return Ok(vec![format!("the draw of {id}: {status} {drawn}")]);
    }
    let (_, proof) = owner.get(&format!("/api/participation/events/{slug}/draw")).await?;
    let leaves = proof["leaves"].as_array().ok_or("no leaves")?;
    let mut wrong = Vec::new();
    let mut seen = vec![false; leaves.len()];
    for k in kept {
        let leaf = k.number.checked_sub(1).and_then(|at| leaves.get(usize::try_from(at).ok()?));
        let hash = domain::event::state::hex(&<[u8; 32]>::from(Sha256::digest(k.receipt.as_bytes())));
        match leaf {
            Some(leaf) if leaf[1] == hash.as_str() => {
                if std::mem::replace(&mut seen[k.number as usize - 1], true) {
                    wrong.push(format!("number {} of {slug} was acknowledged twice", k.number));
                }
            }
            _ => wrong.push(format!("number {} of {slug} is not in the list", k.number)),
        }
    }
    // Every customer was answered in the end: a number without one is a hole, or somebody entered twice.
    let strangers = seen.iter().filter(|s| !**s).count();
    if strangers > 0 {
        wrong.push(format!("{strangers} numbers of {slug} belong to nobody"));
    }
    let (_, analytics) = owner.get(&format!("/api/events/{id}/analytics")).await?;
    let channels: i64 =
        analytics["channels"].as_array().into_iter().flatten().filter_map(|c| c["entries"].as_i64()).sum();
    let hourly: i64 = analytics["hourly"].as_array().into_iter().flatten().filter_map(|h| h["entries"].as_i64()).sum();
    for (name, sum) in [
        ("channels", channels),
        ("hours", hourly),
        ("participants", analytics["cards"]["participants"].as_i64().unwrap_or(-1)),
    ] {
        if sum != leaves.len() as i64 {
            wrong.push(format!("{slug}: {name} say {sum}, the list has {}", leaves.len()));
        }
    }
    let file = folder.join(format!("{slug}.json"));
    std::fs::write(&file, proof.to_string())?;
    let verified = tokio::process::Command::new(madang()?).args(["draw", "verify"]).arg(&file).output().await?;
    if !verified.status.success() {
        wrong.push(format!("{slug}: the draw does not verify: {}", String::from_utf8_lossy(&verified.stderr).trim()));
    }
    Ok(wrong)
}
