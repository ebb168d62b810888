//! Publishing that never doubles: the server is killed every few seconds, answers are lost at random, and the simulator,
//! in a process and folder of its own, keeps what it was really sent.

use crate::api::{Counts, Owner};
use crate::record::say;
use crate::server::{Failure, Server, Simulator};
use rand::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const CHANNELS: [&str; 6] = ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"];
/// Those that cannot be asked: at most once, and left to the owner when nobody knows.
const AT_MOST_ONCE: [&str; 2] = ["NAVER", "KAKAO"];
/// The routes that publish: losing another answer loses nothing.
const PUBLISHING: [(&str, &str); 6] = [
    ("WOORI_TV", "/videos"),
    ("RINGO_BIZ", "/tones/current"),
    ("GENIE_TV", "/campaigns"),
    ("INSTAGRAM", "/media_publish"),
    ("NAVER", "/articles"),
    ("KAKAO", "/send"),
];
/// Events made at a time.
const AT_ONCE: usize = 12;
/// How long what is unknown may take to settle after everything was approved.
const SETTLING: Duration = Duration::from_secs(900);

/// Runs it; fails unless every post is there as often as it should be.
pub async fn run(publications: usize, kill_every: f64, lost: f64) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let simulator = Simulator::start(&folder.path().join("simulator"), 0.1).await?;
    let server = Server::start(folder.path(), &settings(&simulator)).await?;
    let (base, counts) = (server.base.clone(), Arc::new(Counts::default()));
    let owner = Owner::signup(&base, counts.clone()).await?;
    let (template, _) = owner.ready(&CHANNELS).await?;
    lose_answers(&simulator, lost).await?;
    let (server, stop) = (Arc::new(Mutex::new(server)), Arc::new(AtomicBool::new(false)));
    let killer = tokio::spawn(kill(server.clone(), stop.clone(), kill_every));
    let begun = Instant::now();
    let events = publications.div_ceil(CHANNELS.len());
    let made = approve_all(&owner, &template, events).await?;
    say!("{} events approved after {:.0} s", made.len(), begun.elapsed().as_secs_f64());
    let settled = settle(&owner, &made).await?;
    stop.store(true, Ordering::Release);
    let kills = killer.await??;
    let took = begun.elapsed();
    let good = report(&simulator, &settled, kills, took).await?;
    if let Ok(server) = Arc::try_unwrap(server) {
        server.into_inner().stop().await;
    }
    simulator.stop().await;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything at the simulator's address, and no limit that a person would meet.
fn settings(simulator: &Simulator) -> Vec<(String, String)> {
    let mut env = vec![("MADANG_LIMIT_REQUESTS_PER_MINUTE".to_owned(), "1000000000".to_owned())];
    let upstreams = domain::channel::Upstream::ALL.iter();
    env.extend(upstreams.map(|u| {
        let prefix = u.code().to_lowercase().replace('_', "-");
        (format!("MADANG_{}_URL", u.code()), format!("{}/{prefix}", simulator.base))
    }));
    env
}

/// Makes a share of the calls that publish go unanswered after they were done: mostly a cut connection, now and then silence.
async fn lose_answers(simulator: &Simulator, lost: f64) -> Result<(), Failure> {
    let rules: Vec<Value> = PUBLISHING
        .iter()
        .flat_map(|(upstream, route)| {
            [("cut-answer", lost * 0.9), ("lose-answer", lost * 0.1)]
                .map(|(fault, share)| json!({"upstream": upstream, "route": route, "fault": fault, "share": share}))
        })
        .collect();
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.post(format!("{}/_control/rules", simulator.base)).json(&rules).send().await?.error_for_status()?;
    Ok(())
}

/// `kill -9` every few seconds, spread by half; how often.
async fn kill(server: Arc<Mutex<Server>>, stop: Arc<AtomicBool>, every: f64) -> Result<usize, Failure> {
    let mut kills = 0;
    while !stop.load(Ordering::Acquire) {
        let wait = every * rand::rng().random_range(0.5..1.5);
        tokio::time::sleep(Duration::from_secs_f64(wait)).await;
        if !stop.load(Ordering::Acquire) {
            server.lock().await.crash().await?;
            kills += 1;
        }
    }
    Ok(kills)
}

/// Copies of one event, each approved: event, slug and distribution.
async fn approve_all(owner: &Owner, template: &Value, events: usize) -> Result<Vec<Made>, Failure> {
    let (next, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let id = template["id"].as_str().unwrap_or_default().to_owned();
    let option = template["optionId"].clone();
    let workers = (0..AT_ONCE).map(|_| {
        let (owner, id, option) = (owner.clone(), id.clone(), option.clone());
        let (next, made) = (next.clone(), made.clone());
        tokio::spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < events {
                let one = approve_one(&owner, &id, &option).await?;
                made.lock().await.push(one);
            }
            Ok::<(), Failure>(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    Ok(std::mem::take(&mut *made.lock().await))
}

struct Made {
    event: String,
    slug: String,
    distribution: String,
}

async fn approve_one(owner: &Owner, template: &str, option: &Value) -> Result<Made, Failure> {
    let (_, copy) = owner.post(&format!("/api/events/{template}/duplicate"), json!({})).await?;
    let event = copy["id"].as_str().ok_or_else(|| format!("no copy: {copy}"))?.to_owned();
    let slug = copy["slug"].as_str().unwrap_or_default().to_owned();
    owner.put(&format!("/api/events/{event}/plan"), json!({"optionId": option})).await?;
    let distribution = owner.approve(&event).await?;
    Ok(Made { event, slug, distribution })
}

/// One publication as it stands at the end.
struct Settled {
    event: String,
    slug: String,
    channel: String,
    status: String,
}

/// Waits until nothing moves any more: what is unknown though it can be asked about, or under review, still may.
async fn settle(owner: &Owner, made: &[Made]) -> Result<Vec<Settled>, Failure> {
    let begun = Instant::now();
    let mut all = Vec::new();
    for one in made {
        loop {
            let d = owner.ended(&one.distribution).await?;
            let channels: Vec<Settled> =
                d["channels"].as_array().into_iter().flatten().map(|c| settled(one, c)).collect();
            let moving = |c: &Settled| {
                c.status == "awaiting-review" || (c.status == "unknown" && !AT_MOST_ONCE.contains(&c.channel.as_str()))
            };
            if !channels.iter().any(moving) || begun.elapsed() > SETTLING {
                all.extend(channels);
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    Ok(all)
}

fn settled(one: &Made, c: &Value) -> Settled {
    let text = |name: &str| c[name].as_str().unwrap_or("?").to_owned();
    Settled { event: one.event.clone(), slug: one.slug.clone(), channel: text("channel"), status: text("status") }
}

/// How often each event was really posted on a channel.
async fn posts(simulator: &Simulator, channel: &str) -> Result<HashMap<String, usize>, Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let text = client.get(format!("{}/_control/posts/{channel}", simulator.base)).send().await?.text().await?;
    let body: Value = serde_json::from_str(&text)?;
    let mut counted = HashMap::new();
    for post in body["items"].as_array().into_iter().flatten() {
        *counted.entry(post["event"].as_str().unwrap_or("?").to_owned()).or_default() += 1;
    }
    Ok(counted)
}

async fn report(simulator: &Simulator, all: &[Settled], kills: usize, took: Duration) -> Result<bool, Failure> {
    say!("{} publications, {kills} kills, {:.0} s", all.len(), took.as_secs_f64());
    let (mut doubled, mut missing, mut moving) = (0, 0, 0);
    for channel in CHANNELS {
        let counted = posts(simulator, channel).await?;
        let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
        let mut posted = 0;
        for p in all.iter().filter(|p| p.channel == channel) {
            // The KT channels know the event, the others the link in the text.
            let n = counted.get(&p.event).or_else(|| counted.get(&p.slug)).copied().unwrap_or(0);
            posted += n;
            doubled += usize::from(n > 1);
            missing += usize::from(n == 0 && p.status == "published");
            let ends = ["published", "assisted", "failed", "skipped"].contains(&p.status.as_str());
            let asked = p.status == "unknown" && AT_MOST_ONCE.contains(&channel);
            moving += usize::from(!ends && !asked);
            *statuses.entry(&p.status).or_default() += 1;
        }
        say!("  {channel:<10} posts {posted:>6}   {statuses:?}");
    }
    say!("posted twice {doubled}, published without a post {missing}, not settled {moving}");
    let good = doubled + missing + moving == 0;
    say!("{}", if good { "held" } else { "did not hold" });
    Ok(good)
}
