//! The scenarios: who does what, at which pace. Each is driven in process (`drive`) or over the wire (`remote`), and ends
//! with a report; it fails when what was sent is not what was answered, or the database does not hold what was acknowledged.

mod overload;

use crate::load::{Actors, Counts, Op, Pace, Recorder, Target, drive};
use crate::process;
use crate::record::say;
use crate::report::{Report, Sample};
use crate::server::Failure;
use crate::world::World;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::TestSystem;

/// What can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Everybody enters one event, as fast as answers come.
    Hot,
    /// Everybody enters 1,000 events, the n-th most popular 1/n as often as the first.
    Many,
    /// Owners browse, customers look and enter, at a rate.
    Mixed,
    /// 2,000 customers open one page and enter, all at once.
    Stampede,
    /// Five times what a slow database can store, for five minutes.
    Overload,
    /// The same thousand phones again and again.
    Duplicates,
    /// Whole journeys of owners: proposals, pictures, six channels.
    Jobs,
    /// The mixed day for an hour, to see what grows.
    Soak,
}

/// How it is played; unset: as the scenario has it.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// What is played.
    #[arg(long, value_enum, default_value = "hot")]
    pub scenario: Scenario,
    /// How long, in seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Connections, or in process those who ask at once.
    #[arg(long)]
    pub connections: Option<usize>,
    /// This many a second, whatever comes back (an open loop).
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Open loops: each connection in its turn, instead of the one that was free last.
    #[arg(long)]
    pub in_turn: bool,
    /// Overload: rows a second that the journal is held to; unset, a tenth of what a constant answer reaches here and now.
    #[arg(long)]
    pub rows: Option<u32>,
    /// Threads of the measuring side.
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub threads: usize,
    /// Folder for report.json and report.html.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Options {
    fn open(&self, rate: f64) -> Pace {
        if self.in_turn { Pace::InTurn(rate) } else { Pace::Open(rate) }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("a number above zero".into()),
    }
}

/// What a scenario needs.
struct Plan {
    events: usize,
    connections: usize,
    pace: Pace,
    seconds: u64,
}

impl Scenario {
    fn plan(self, o: &Options) -> Plan {
        let (events, connections, rate, seconds) = match self {
            Self::Hot => (1, 256, None, 15),
            Self::Many => (1_000, 256, None, 15),
            Self::Mixed => (50, 256, Some(2_000.0), 30),
            Self::Stampede => (1, 2_000, None, 10),
            Self::Overload => (1, 8_192, None, 300),
            Self::Duplicates => (1, 256, None, 10),
            Self::Jobs => (1, 8, None, 30),
            Self::Soak => (50, 256, Some(500.0), 3_600),
        };
        Plan {
            events,
            connections: o.connections.unwrap_or(connections).max(1),
            pace: o.rate.or(rate).map_or(Pace::Closed, |rate| o.open(rate)),
            seconds: o.seconds.unwrap_or(seconds).max(1),
        }
    }

    /// What is done as the n-th thing.
    fn next(self, events: usize) -> impl Fn(u64) -> Op + Send + Sync + 'static {
        let popular = zipf(events);
        move |n| {
            let customer = n % 100_000_000;
            let event = usize::from(popular[n as usize % popular.len()]);
            match self {
                Self::Hot | Self::Overload => Op::Enter { event: 0, customer },
                Self::Many => Op::Enter { event, customer },
                Self::Stampede if n.is_multiple_of(2) => Op::Public { event: 0 },
                Self::Stampede => Op::Enter { event: 0, customer },
                Self::Duplicates => Op::Enter { event: 0, customer: n % 1_000 },
                Self::Jobs => Op::Journey,
                Self::Mixed | Self::Soak => match n % 100 {
                    0..40 => Op::Enter { event, customer },
                    40..70 => Op::Public { event },
                    70..84 => Op::Analytics { event },
                    84..92 => Op::List,
                    92..98 => Op::Participants { event },
                    _ => Op::Ready,
                },
            }
        }
    }

    /// The same with what actors in process can do.
    fn next_in_process(self, events: usize) -> impl Fn(u64) -> Op + Send + Sync + 'static {
        let next = self.next(events);
        move |n| match next(n) {
            Op::List | Op::Ready => Op::Public { event: 0 },
            op => op,
        }
    }
}

/// Over the wire, against a server of its own.
pub async fn remote(o: Options) -> Result<ExitCode, Failure> {
    if o.scenario == Scenario::Overload {
        return overload::run(&o).await;
    }
    let plan = o.scenario.plan(&o);
    let world = World::start(plan.events, &[]).await?;
    let sampler = Sampler::start(Watched::System(world.system.clone()));
    let lasts = Duration::from_secs(plan.seconds);
    let next = o.scenario.next(plan.events);
    let recorder = drive(&world.target(), plan.connections, o.threads, plan.pace, lasts, next).await;
    let samples = sampler.stop().await;
    world.settle().await?;
    let stored = if o.scenario == Scenario::Jobs { 0 } else { world.stored().await? };
    let report = Report {
        title: format!("{:?} over the wire", o.scenario),
        setup: format!("{} connections, {:?}, {} s", plan.connections, plan.pace, plan.seconds),
        disk: process::disk(world.folder.path())?,
        recorder,
        samples,
        lasts: plan.seconds,
        of: "server and database",
        stored,
        notes: Vec::new(),
    };
    world.stop().await;
    finish(&report, &o)
}

/// In process: the handles of an actor system, without HTTP.
pub async fn in_process(o: Options) -> Result<ExitCode, Failure> {
    if matches!(o.scenario, Scenario::Overload | Scenario::Jobs) {
        return Err("this scenario needs a server: use `remote`".into());
    }
    let plan = o.scenario.plan(&o);
    let system = TestSystem::start().await;
    let (owner, store) = system.owner().await;
    let mut events = Vec::new();
    for _ in 0..plan.events {
        let id = system.ready_event_on(owner, store, vec![domain::channel::Channel::Kakao]).await;
        system.handles().events.get(id).approve(owner, None).await?;
        events.push(id);
    }
    let target = Target::Actors(Arc::new(Actors { handles: system.handles().clone(), events: events.clone() }));
    let sampler = Sampler::start(Watched::Myself);
    let lasts = Duration::from_secs(plan.seconds);
    let next = o.scenario.next_in_process(plan.events);
    let recorder = drive(&target, plan.connections, 1, plan.pace, lasts, next).await;
    let samples = sampler.stop().await;
    let mut stored = 0;
    for id in events {
        let read = system.handles().tools().store.run(async move |c| storage::tally::last_no(c, id).await);
        stored += u64::try_from(read.await?)?;
    }
    let report = Report {
        title: format!("{:?} in process", o.scenario),
        setup: format!("{} ask at once, {:?}, {} s", plan.connections, plan.pace, plan.seconds),
        disk: process::disk(system.database.folder())?,
        recorder,
        samples,
        lasts: plan.seconds,
        of: "this process, those who ask included",
        stored,
        notes: Vec::new(),
    };
    drop(target);
    system.stop().await;
    finish(&report, &o)
}

/// Prints and writes the report; fails when it does not add up.
fn finish(report: &Report, o: &Options) -> Result<ExitCode, Failure> {
    report.print();
    if let Some(folder) = &o.out {
        report.write(folder)?;
        say!("report.json and report.html are in {}", folder.display());
    }
    adds_up(&report.recorder, report.stored)?;
    Ok(ExitCode::SUCCESS)
}

/// Sent = acknowledged + refused + failed, and the database holds what was acknowledged: an answer that was lost or said
/// to be unknown may have been stored.
fn adds_up(recorder: &Recorder, stored: u64) -> Result<(), Failure> {
    if recorder.total().sent == 0 {
        return Err("nothing was sent".into());
    }
    if recorder.unsent > 0 {
        return Err(format!("{} were due and never sent", recorder.unsent).into());
    }
    let entered = recorder.kinds.get("enter").map_or(Counts::default(), |k| k.counts);
    let most = entered.done + entered.unknown + entered.failed;
    if (entered.done..=most).contains(&stored) {
        return Ok(());
    }
    Err(format!("{} acknowledged, {} may be, {stored} stored", entered.done, most - entered.done).into())
}

/// Whose processor time and memory is watched.
enum Watched {
    System(process::System),
    Myself,
}

impl Watched {
    fn look(&self) -> Option<(Duration, u64)> {
        match self {
            Self::System(system) => Some((system.cpu().ok()?, system.resident().ok()?)),
            Self::Myself => {
                let me = [std::process::id()];
                Some((process::cpu(&me).ok()?, process::resident(&me).ok()?))
            }
        }
    }
}

/// Looks once a second, and says how far it is.
struct Sampler {
    stop: Arc<AtomicBool>,
    running: tokio::task::JoinHandle<Vec<Sample>>,
}

impl Sampler {
    fn start(watched: Watched) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let running = tokio::spawn(async move {
            let (begun, mut samples) = (Instant::now(), Vec::new());
            let mut before = watched.look().map_or(Duration::ZERO, |(cpu, _)| cpu);
            while !ended.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let Some((cpu, resident)) = watched.look() else { break };
                let sample = Sample {
                    second: begun.elapsed().as_secs(),
                    cores: cpu.saturating_sub(before).as_secs_f64(),
                    resident_mib: resident as f64 / 1_048_576.0,
                };
                before = cpu;
                eprint!("\r{:>4} s  {:.2} cores  {:.0} MiB ", sample.second, sample.cores, sample.resident_mib);
                samples.push(sample);
            }
            eprintln!();
            samples
        });
        Self { stop, running }
    }

    async fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.running.await.unwrap_or_default()
    }
}

/// Events in the order customers choose them: the n-th most popular is chosen 1/n as often as the first.
pub fn zipf(events: usize) -> Vec<u16> {
    let chances: Vec<f64> = (1..=events).map(|n| 1.0 / n as f64).collect();
    let Ok(weights) = WeightedIndex::new(chances) else { return vec![0] };
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    (0..65_536).map(|_| weights.sample(&mut rng) as u16).collect()
}
