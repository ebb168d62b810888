//! Two ways of a few to take the server from everybody else: reading a long published draw, and logging in as nobody.
//! Entries elsewhere and an owner's login must hardly notice.

use crate::load::{Op, Pace, Recorder, drive};
use crate::record::say;
use crate::server::Failure;
use crate::world::World;
use rand::Rng;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Times as long as undisturbed that the slowest hundredth of entries may take.
const MAX_RATIO: f64 = 3.0;
/// Microseconds below which a ratio says nothing: the measuring side wakes up once a millisecond.
const MIN_P99: f64 = 2_000.0;
/// The longest that an owner's login may take.
const MAX_LOGIN: Duration = Duration::from_secs(2);
/// Logins of the owner among those of strangers.
const LOGINS: usize = 10;
/// Answers that strangers have had before the owner's logins count.
const WARM_LOGINS: u64 = 20;
/// Connections that fill the event whose draw is read.
const FILLING: usize = 64;
/// Where strangers come from: an address from which no owner ever logged in.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What is asked for.
#[derive(clap::Args, Clone, Debug)]
pub struct Plan {
    /// Entries of the draw that is read.
    #[arg(long, default_value_t = 60_000)]
    pub entries: u64,
    /// Readers of the draw.
    #[arg(long, default_value_t = 20)]
    pub readers: usize,
    /// Reads a second, of all readers together; 0: as fast as answers come.
    #[arg(long, default_value_t = 100.0)]
    pub reads: f64,
    /// Entries a second elsewhere.
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
    /// Strangers who log in.
    #[arg(long, default_value_t = 100)]
    pub strangers: usize,
}

/// Runs both; fails when one of them starves the others.
pub async fn run(plan: Plan) -> Result<ExitCode, Failure> {
    let world = World::start(2, &[]).await?;
    let reading = readers(&world, &plan).await?;
    let logging_in = strangers(&world, &plan).await?;
    world.stop().await;
    Ok(if reading && logging_in { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Entries go to the second event while the draw of the first is read.
async fn readers(world: &World, plan: &Plan) -> Result<bool, Failure> {
    let (id, slug) = &world.http.events[0];
    let begun = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    while sent.load(Ordering::Relaxed) < plan.entries {
        let next = entering(0, &sent);
        drive(&world.target(), FILLING, 1, Pace::Closed, Duration::from_secs(1), next).await;
    }
    world.owner.post(&format!("/api/events/{id}/close"), json!({})).await?;
    let external = format!("{:064x}", rand::rng().random::<u128>());
    let drawing = json!({"alternates": 100, "external": external});
    let (status, drawn) = world.owner.post(&format!("/api/events/{id}/draws"), drawing).await?;
    if !status.is_success() {
        return Err(format!("the draw: {status} {drawn}").into());
    }
    let count = drawn["proof"]["count"].as_u64().ok_or("a draw without a count")?;
    say!("a draw of {count} entries after {:.0} s", begun.elapsed().as_secs_f64());
    world.settle().await?;

    let customers = Arc::new(AtomicU64::new(0));
    let quiet = Latency::of(&entries(world, plan, &customers).await)?;
    let stop = Arc::new(AtomicBool::new(false));
    let url = format!("{}/api/participation/events/{slug}/draw", world.server.base);
    let pause = if plan.reads > 0.0 { plan.readers as f64 / plan.reads } else { 0.0 };
    let reading: Vec<_> = (0..plan.readers)
        .map(|_| tokio::spawn(read(url.clone(), Duration::from_secs_f64(pause), stop.clone())))
        .collect();
    let disturbed = entries(world, plan, &customers).await;
    stop.store(true, Ordering::Relaxed);
    let (mut reads, mut bytes) = (0, 0);
    for one in reading {
        let (n, read) = one.await??;
        (reads, bytes) = (reads + n, bytes + read);
    }
    let found = Latency::of(&disturbed)?;
    let ratio = found.p99.max(MIN_P99) / quiet.p99.max(MIN_P99);
    let lost = disturbed.total().sent - disturbed.total().done;
    say!("entries undisturbed {quiet}; disturbed {found}, {lost} of them not answered with 201");
    say!(
        "{reads} reads by {} readers, {:.2} MB each; p99 {ratio:.1} times as long (at most {MAX_RATIO})",
        plan.readers,
        bytes as f64 / reads.max(1) as f64 / 1e6
    );
    Ok(reads > 0 && lost == 0 && ratio <= MAX_RATIO)
}

/// Enters customers nobody has entered, one by one.
fn entering(event: usize, customers: &Arc<AtomicU64>) -> impl Fn(u64) -> Op + Send + Sync + 'static {
    let customers = customers.clone();
    move |_| Op::Enter { event, customer: customers.fetch_add(1, Ordering::Relaxed) % 100_000_000 }
}

async fn entries(world: &World, plan: &Plan, customers: &Arc<AtomicU64>) -> Recorder {
    let lasts = Duration::from_secs(plan.seconds.max(1));
    drive(&world.target(), FILLING, 1, Pace::Open(plan.rate), lasts, entering(1, customers)).await
}

/// Reads again and again, as a browser does; how often, and how many bytes in all.
async fn read(url: String, pause: Duration, stop: Arc<AtomicBool>) -> Result<(u64, u64), Failure> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut reads, mut bytes) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let next = tokio::time::Instant::now() + pause;
        let answer = http.get(&url).header("accept-encoding", "gzip").send().await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the draw answered {}", answer.status()).into());
        }
        bytes += answer.bytes().await?.len() as u64;
        reads += 1;
        tokio::time::sleep_until(next).await;
    }
    Ok((reads, bytes))
}

/// How long entries took, in microseconds.
struct Latency {
    p50: f64,
    p99: f64,
}

impl Latency {
    fn of(recorder: &Recorder) -> Result<Self, Failure> {
        let entered = recorder.kinds.get("enter").ok_or("nobody entered")?;
        let at = |q: f64| entered.done.value_at_quantile(q) as f64;
        Ok(Self { p50: at(0.5), p99: at(0.99) })
    }
}

impl std::fmt::Display for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.1} ms, p99 {:.1} ms", self.p50 / 1000.0, self.p99 / 1000.0)
    }
}

/// An owner logs in while strangers do, each with another name and from elsewhere.
async fn strangers(world: &World, plan: &Plan) -> Result<bool, Failure> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(75)).build()?;
    let url = format!("{}/api/users/login", world.server.base);
    let (email, password) = (address(), "correct horse");
    let account = json!({
        "email": email, "password": password, "name": "홍길동", "phone": "010-1234-5678", "openedOn": "2020-01-02",
        "businessNumber": testkit::business_number().expose(),
        "store": {"name": "시험가게", "industry": "CAFE", "region": "서울 강남구"},
    });
    let made = http.post(format!("{}/api/users/signup", world.server.base)).json(&account).send().await?;
    if made.status() != StatusCode::CREATED {
        return Err(format!("the signup answered {}", made.status()).into());
    }
    let right = json!({"email": email, "password": password});
    let alone = login(&http, &url, &right).await?;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let others = reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::V4(ELSEWHERE)).build()?;
    let crowd: Vec<_> = (0..plan.strangers)
        .map(|_| tokio::spawn(guess(others.clone(), url.clone(), stop.clone(), answered.clone())))
        .collect();
    while answered.load(Ordering::Relaxed) < WARM_LOGINS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut took = Vec::new();
    for _ in 0..LOGINS {
        took.push(login(&http, &url, &right).await?);
    }
    stop.store(true, Ordering::Relaxed);
    for one in crowd {
        one.await?;
    }
    took.sort_unstable();
    let worst = took[LOGINS - 1];
    say!(
        "an owner's login took {:.2} s alone; among {} strangers {:.2} s (median) and {:.2} s at worst (at most {} s), {} logins of theirs answered",
        alone.as_secs_f64(),
        plan.strangers,
        took[LOGINS / 2].as_secs_f64(),
        worst.as_secs_f64(),
        MAX_LOGIN.as_secs(),
        answered.load(Ordering::Relaxed)
    );
    Ok(worst <= MAX_LOGIN)
}

fn address() -> String {
    format!("{}@load.example", uuid::Uuid::now_v7().simple())
}

/// Logs in, again where the server is busy; how long that took.
async fn login(http: &reqwest::Client, url: &str, body: &Value) -> Result<Duration, Failure> {
    let begun = Instant::now();
    loop {
        let status = http.post(url).json(body).send().await?.status();
        match status {
            StatusCode::OK => return Ok(begun.elapsed()),
            StatusCode::SERVICE_UNAVAILABLE if begun.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return Err(format!("the owner's login answered {other}").into()),
        }
    }
}

/// Logs in as nobody, again and again.
async fn guess(http: reqwest::Client, url: String, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let body = json!({"email": address(), "password": "wrong horse"});
        if http.post(&url).json(&body).send().await.is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
