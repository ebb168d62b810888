//! W4 to W6 and R7: what a delivery costs, what an idle socket holds, how old a figure is when it is read, and what
//! readers that stop do to the others.

mod references;
mod swarm;

pub use references::bare_send;

use crate::api::Owner;
use crate::process;
use crate::record::say;
use crate::server::{Failure, Server};
use references::Reference;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use swarm::{Opening, Received, Swarm, percentile};

/// State topics are sent at most ten times a second: the next update waits this long.
const CONFLATED: Duration = Duration::from_millis(110);
/// How long a fan-out may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What can be measured by itself.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Part {
    /// W4.
    FanOut,
    /// W6.
    Freshness,
    /// R7.
    Deaf,
    /// W5.
    Memory,
}

/// What is asked for.
pub struct Plan {
    /// What is measured, in this order.
    pub parts: Vec<Part>,
    /// Sockets of the fan-outs.
    pub sockets: Vec<usize>,
    /// Idle sockets.
    pub idle: usize,
    /// Rounds of ours and each reference, in turns.
    pub rounds: usize,
    /// Entries a second while dashboards are watched.
    pub rate: u32,
}

struct Run {
    server: Server,
    owner: Owner,
    /// Live events: id and slug.
    events: Vec<(String, String)>,
    entered: AtomicUsize,
    http: reqwest::Client,
}

/// Runs it; fails when updates did not arrive.
pub async fn run(plan: Plan) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let many = "1000000000".to_owned();
    let settings = ["SOCKETS", "SOCKETS_PER_USER", "REQUESTS_PER_MINUTE"];
    let env: Vec<_> = settings.iter().map(|s| (format!("MADANG_LIMIT_{s}"), many.clone())).collect();
    let server = Server::start(folder.path(), &env).await?;
    let owner = Owner::signup(&server.base, Arc::default()).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut run = Run { server, owner, events: Vec::new(), entered: AtomicUsize::new(0), http };
    for _ in 0..10 {
        let (event, _) = run.owner.ready(&["NAVER"]).await?;
        let id = event["id"].as_str().ok_or("no event")?.to_owned();
        let distribution = run.owner.approve(&id).await?;
        run.owner.ended(&distribution).await?;
        run.events.push((id, event["slug"].as_str().ok_or("no slug")?.to_owned()));
    }
    for part in &plan.parts {
        match part {
            Part::FanOut => run.fan_out(&plan).await?,
            Part::Freshness => run.freshness(plan.rate).await?,
            Part::Deaf => run.deaf().await?,
            Part::Memory => run.memory(plan.idle).await?,
        }
    }
    run.server.stop().await;
    Ok(ExitCode::SUCCESS)
}

impl Run {
    fn address(&self) -> String {
        self.server.base.trim_start_matches("http://").to_owned()
    }

    fn pids(&self) -> Vec<u32> {
        self.server.id().into_iter().collect()
    }

    fn cpu(&self) -> Result<Duration, Failure> {
        process::cpu(&self.pids())
    }

    /// Enters somebody new; how old the entry is when its answer is here, in milliseconds.
    async fn enter(&self, slug: &str) -> Result<f64, Failure> {
        let n = self.entered.fetch_add(1, Ordering::Relaxed);
        let body = json!({"name": "김손님", "phone": format!("010{n:08}"), "consents": {"privacy": true}});
        let path = format!("{}/api/participation/events/{slug}/entries", self.server.base);
        let answer = self.http.post(path).json(&body).send().await?;
        if answer.status() != 201 {
            return Err(format!("an entry: {}", answer.status()).into());
        }
        let now = chrono::Utc::now();
        let body: Value = answer.json().await?;
        let at: chrono::DateTime<chrono::Utc> = body["enteredAt"].as_str().unwrap_or_default().parse()?;
        Ok((now - at).num_microseconds().unwrap_or(0) as f64 / 1000.0)
    }

    /// Sockets without a login on the public pages of the first events.
    fn public(&self, count: usize, topics: usize) -> Vec<Opening> {
        let mut says = vec![json!({"type": "hello"}).to_string()];
        says.extend(self.events[..topics].iter().map(|(_, slug)| subscribe(&format!("public:{slug}"))));
        let answers = says.len() as u64;
        let opening = || Opening { address: self.address(), path: "/ws", says: says.clone(), answers };
        (0..count).map(|_| opening()).collect()
    }

    /// Sockets of the owner on these topics.
    async fn owned(&self, count: usize, topics: &[String]) -> Result<Vec<Opening>, Failure> {
        let mut openings = Vec::new();
        for _ in 0..count {
            let (_, ticket) = self.owner.post("/api/realtime/tickets", Value::Null).await?;
            let mut says = vec![json!({"type": "hello", "ticket": ticket["ticket"]}).to_string()];
            says.extend(topics.iter().map(|t| subscribe(t)));
            let answers = says.len() as u64;
            openings.push(Opening { address: self.address(), path: "/ws", says, answers });
        }
        Ok(openings)
    }

    /// W4: processor time per delivery, ours and every reference's in turns.
    async fn fan_out(&self, plan: &Plan) -> Result<(), Failure> {
        for &count in &plan.sockets {
            for in_flight in [1, 10] {
                let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
                for _ in 0..plan.rounds {
                    found.entry("Madang").or_default().push(self.ours(count, in_flight).await?);
                    for reference in Reference::all().await? {
                        let cost = theirs(&reference, count, in_flight).await;
                        found.entry(reference.name).or_default().extend(cost.ok());
                        reference.stop().await;
                    }
                }
                for (name, mut costs) in found {
                    costs.sort_by(f64::total_cmp);
                    let (low, high) =
                        (costs.first().copied().unwrap_or(f64::NAN), costs.last().copied().unwrap_or(f64::NAN));
                    say!(
                        "W4 {count} sockets, {in_flight} in flight, {name}: {:.2} µs of processor time per delivery ({low:.2} to {high:.2})",
                        percentile(&costs, 0.5)
                    );
                }
            }
        }
        Ok(())
    }

    /// Processor time per delivery in microseconds, less what the entries themselves cost.
    async fn ours(&self, count: usize, in_flight: usize) -> Result<f64, Failure> {
        let updates = updates_for(count);
        let swarm = Swarm::open(self.public(count, in_flight), 0).await?;
        let with = self.updates(&swarm.received, count, in_flight, updates).await?;
        swarm.close().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let without = self.updates(&Received::default(), 0, in_flight, updates).await?;
        Ok(with.saturating_sub(without).as_secs_f64() * 1e6 / (count * in_flight * updates) as f64)
    }

    async fn updates(
        &self,
        got: &Received,
        count: usize,
        in_flight: usize,
        updates: usize,
    ) -> Result<Duration, Failure> {
        let before = self.cpu()?;
        let mut expected = 0;
        for _ in 0..updates {
            let begun = Instant::now();
            let entries = self.events[..in_flight].iter().map(|(_, slug)| self.enter(slug));
            futures_util::future::try_join_all(entries).await?;
            expected += (count * in_flight) as u64;
            if !got.until(expected, LIMIT).await {
                return Err(format!("{} of {expected} updates arrived", got.frames.load(Ordering::Relaxed)).into());
            }
            tokio::time::sleep(CONFLATED.saturating_sub(begun.elapsed())).await;
        }
        Ok(self.cpu()? - before)
    }

    /// W6: how old a dashboard's figures are when they are read, on a quiet topic and under load.
    async fn freshness(&self, rate: u32) -> Result<(), Failure> {
        let (id, slug) = &self.events[0];
        let swarm = Swarm::open(self.owned(100, &[format!("event:{id}")]).await?, 0).await?;
        swarm.received.timed.store(true, Ordering::Relaxed);
        self.quiet(&swarm, slug).await?;
        let (before, begun, frames) = (self.cpu()?, Instant::now(), swarm.received.frames.load(Ordering::Relaxed));
        let stored = self.load(slug, rate, Duration::from_secs(15)).await;
        let took = begun.elapsed();
        tokio::time::sleep(CONFLATED * 2).await;
        let ages = swarm.received.take_ages();
        let sent = swarm.received.frames.load(Ordering::Relaxed) - frames;
        say!(
            "W6 under {:.0} entries a second: {} updates to 100 dashboards ({:.1} a second each), age of the newest commit in a frame p50 {:.2} ms, p99 {:.2} ms (goal p99 105 behind), server {:.2} cores",
            stored as f64 / took.as_secs_f64(),
            sent,
            sent as f64 / 100.0 / took.as_secs_f64(),
            percentile(&ages, 0.5),
            percentile(&ages, 0.99),
            (self.cpu()? - before).as_secs_f64() / took.as_secs_f64()
        );
        swarm.close().await;
        Ok(())
    }

    async fn quiet(&self, swarm: &Swarm, slug: &str) -> Result<(), Failure> {
        let (mut ages, mut after) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            // The answer leaves right after the commit: what a frame takes longer than it is what the hub takes.
            let answered = self.enter(slug).await?;
            tokio::time::sleep(Duration::from_millis(150)).await;
            let read = swarm.received.take_ages();
            after.extend(read.iter().map(|age| age - answered));
            ages.extend(read);
        }
        ages.sort_by(f64::total_cmp);
        after.sort_by(f64::total_cmp);
        say!(
            "W6 quiet topic, 100 dashboards, {} frames: read p50 {:.2} ms, p99 {:.2} ms after the customer's answer (goal 0.5, 5 after the commit); p50 {:.2} ms after the entry's time stamp, which is before the commit",
            ages.len(),
            percentile(&after, 0.5),
            percentile(&after, 0.99),
            percentile(&ages, 0.5)
        );
        Ok(())
    }

    /// Entries at a rate, each at its own time (an open loop); how many were stored.
    async fn load(&self, slug: &str, rate: u32, lasts: Duration) -> usize {
        let begun = Instant::now();
        let (mut sent, mut under_way, mut stored) = (0u32, tokio::task::JoinSet::new(), 0);
        while begun.elapsed() < lasts {
            let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
            while sent < due {
                sent += 1;
                let n = self.entered.fetch_add(1, Ordering::Relaxed);
                let body = json!({"name": "김손님", "phone": format!("010{n:08}"), "consents": {"privacy": true}});
                let path = format!("{}/api/participation/events/{slug}/entries", self.server.base);
                let request = self.http.post(path).json(&body);
                under_way.spawn(async move { request.send().await.is_ok_and(|a| a.status() == 201) });
            }
            while let Some(one) = under_way.try_join_next() {
                stored += usize::from(one.unwrap_or(false));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        while let Some(one) = under_way.join_next().await {
            stored += usize::from(one.unwrap_or(false));
        }
        stored
    }

    /// R7: one socket in twenty stops reading; what do the others notice, and when is it closed?
    async fn deaf(&self) -> Result<(), Failure> {
        let topics: Vec<String> = self.events.iter().map(|(id, _)| format!("event:{id}")).collect();
        let mut found: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..3 {
            for (deaf, p99) in [0, 50].into_iter().zip(&mut found) {
                let before = self.server.slow_closed().await?;
                let swarm = Swarm::open(self.owned(1_000, &topics).await?, deaf).await?;
                swarm.received.timed.store(true, Ordering::Relaxed);
                let resident = process::resident(&self.pids())?;
                let begun = Instant::now();
                let mut closed_after = None;
                while begun.elapsed() < Duration::from_secs(20) {
                    futures_util::future::try_join_all(self.events.iter().map(|(_, slug)| self.enter(slug))).await?;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if deaf > 0 && closed_after.is_none() && self.server.slow_closed().await? - before == deaf as u64 {
                        closed_after = Some(begun.elapsed());
                    }
                }
                let ages = swarm.received.take_ages();
                p99.push(percentile(&ages, 0.99));
                if deaf > 0 {
                    let kept = process::resident(&self.pids())?.saturating_sub(resident) / deaf as u64 / 1024;
                    say!(
                        "R7 {deaf} of 1,000 stopped reading: all closed {closed_after:.1?} after the first update, at most {kept} KiB of memory each; healthy p99 {:.1} ms",
                        percentile(&ages, 0.99)
                    );
                } else {
                    say!(
                        "R7 all 1,000 read: p50 {:.1} ms, p99 {:.1} ms",
                        percentile(&ages, 0.5),
                        percentile(&ages, 0.99)
                    );
                }
                if swarm.received.closed.load(Ordering::Relaxed) > 0 {
                    return Err("a healthy socket was closed".into());
                }
                swarm.close().await;
            }
        }
        let median = |all: &mut Vec<f64>| {
            all.sort_by(f64::total_cmp);
            percentile(all, 0.5)
        };
        let [mut without, mut with] = found;
        say!(
            "R7 healthy p99 with one in twenty deaf: {:.3} of undisturbed (goal below 1.10)",
            median(&mut with) / median(&mut without)
        );
        Ok(())
    }

    /// W5: memory of an idle socket with a login and two topics.
    async fn memory(&self, count: usize) -> Result<(), Failure> {
        let topics = [format!("event:{}", self.events[0].0), format!("public:{}", self.events[0].1)];
        // What the first sockets make the server keep for all.
        Swarm::open(self.owned(200, &topics).await?, 0).await?.close().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let openings = self.owned(count, &topics).await;
        let before = process::resident(&self.pids())?;
        let swarm = Swarm::open(openings?, 0).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = process::resident(&self.pids())?;
        say!(
            "W5 {count} idle sockets with a login and two topics: {:.2} KB each (goal 3.0)",
            after.saturating_sub(before) as f64 / 1000.0 / count as f64
        );
        swarm.close().await;
        for reference in Reference::all().await? {
            match idle(&reference, count).await {
                Ok(kilobytes) => say!("W5 {count} idle sockets, {}: {kilobytes:.2} KB each", reference.name),
                Err(e) => say!("W5 {}: {e}", reference.name),
            }
            reference.stop().await;
        }
        Ok(())
    }
}

/// Memory of an idle socket of a reference, in kilobytes.
async fn idle(reference: &Reference, count: usize) -> Result<f64, Failure> {
    let openings = |n| (0..n).map(|_| reference.opening()).collect();
    Swarm::open(openings(200), 0).await?.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = process::resident(&reference.pids())?;
    let swarm = Swarm::open(openings(count), 0).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = process::resident(&reference.pids())?;
    swarm.close().await;
    Ok(after.saturating_sub(before) as f64 / 1000.0 / count as f64)
}

fn subscribe(topic: &str) -> String {
    json!({"type": "subscribe", "id": 1, "topic": topic}).to_string()
}

/// Enough deliveries for a clock of ten milliseconds.
fn updates_for(count: usize) -> usize {
    (100_000 / count.max(1)).clamp(20, 100)
}

/// The same against a reference.
async fn theirs(reference: &Reference, count: usize, in_flight: usize) -> Result<f64, Failure> {
    // As long as an update of ours.
    let body = json!({"type": "update", "topic": "public:abcdefghijklmnop", "position": {"epoch": "0".repeat(32), "offset": 12_345},
        "at": "2026-11-20T16:37:17.470819Z", "kind": "entries.counted", "data": {"count": 12_345, "status": "live"}});
    let swarm = Swarm::open((0..count).map(|_| reference.opening()).collect(), 0).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (updates, before) = (updates_for(count), reference.cpu()?);
    let mut expected = 0;
    for _ in 0..updates {
        let begun = Instant::now();
        let text = body.to_string();
        futures_util::future::try_join_all((0..in_flight).map(|_| reference.publish(&text))).await?;
        expected += (count * in_flight) as u64;
        if !swarm.received.until(expected, LIMIT).await {
            return Err(format!("{} of {expected}", swarm.received.frames.load(Ordering::Relaxed)).into());
        }
        tokio::time::sleep(CONFLATED.saturating_sub(begun.elapsed())).await;
    }
    let cost = (reference.cpu()? - before).as_secs_f64() * 1e6 / (count * in_flight * updates) as f64;
    swarm.close().await;
    Ok(cost)
}
