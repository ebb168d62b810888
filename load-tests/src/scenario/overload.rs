//! W1's overload: the journal held to a tenth of what a constant answer reaches, five times of that offered for minutes.

use super::{Options, Sampler, Scenario, Watched, adds_up, finish};
use crate::cache::Reads;
use crate::load::{Op, Pace, Recorder, Route, drive};
use crate::process;
use crate::record::say;
use crate::report::{Report, Sample};
use crate::server::Failure;
use crate::world::World;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds in which peaks are found.
const PEAK: u64 = 10;
/// Seconds of a constant answer: as a storm does it has to last. A machine that is shared, or was idle, is faster at first:
/// in five seconds it reached 2 to 22 percent more than after the storm.
const CONSTANT: u64 = 60;
/// Connections that find the peak, as W1 has it: few enough that nobody is refused.
const FEW: usize = 256;
/// What part of the peak the same crowd asks for when memory is looked at before the storm.
const CALM: f64 = 0.8;
/// Questions a second to `/readyz` and the dashboard meanwhile.
const PROBES: f64 = 50.0;

/// The server with a slow journal, and what it does when nobody is in a hurry.
struct Calm {
    world: World,
    customers: Arc<AtomicU64>,
    acknowledged: u64,
    /// Entries a second.
    peak: f64,
    /// Processor time of each, in seconds.
    accepting: f64,
    steady_mib: f64,
}

/// Plays it.
pub async fn run(o: &Options) -> Result<ExitCode, Failure> {
    let plan = Scenario::Overload.plan(o);
    let (rows, before) = match o.rows {
        Some(rows) => (f64::from(rows), None),
        None => constant(o).await.map(|before| ((before / 10.0).round(), Some(before)))?,
    };
    let rows = rows.to_string();
    say!("the journal is held to {rows} rows a second");
    let crowd = plan.connections;
    let calm = Calm::measure(o, &rows, crowd).await?;
    let (world, lasts) = (&calm.world, Duration::from_secs(plan.seconds));
    say!(
        "peak {:.0} a second, {:.1} µs of processor time each; {:.0} MiB with {crowd} connections at {CALM} of it",
        calm.peak,
        calm.accepting * 1e6,
        calm.steady_mib
    );

    let cache = tokio::task::spawn_blocking(Reads::look).await?;
    let (sampler, cpu) = (Sampler::start(Watched::System(world.system.clone())), world.system.cpu()?);
    let target = world.target();
    let probing = tokio::spawn(async move {
        let probe = |n: u64| if n.is_multiple_of(2) { Op::Ready } else { Op::Analytics { event: 0 } };
        drive(&target, 16, 1, Pace::Open(PROBES), lasts, probe).await
    });
    let (offered, next) = (o.rate.unwrap_or(5.0 * calm.peak), enter(&calm.customers));
    let mut recorder = drive(&world.target(), crowd, o.threads, o.open(offered), lasts, next).await;
    let spent = (world.system.cpu()? - cpu).as_secs_f64();
    let samples = sampler.stop().await;
    let probes = probing.await?;
    world.settle().await?;
    let mut notes = calm.notes(&recorder, &probes, &samples, spent, plan.seconds);
    let after = tokio::task::spawn_blocking(Reads::look).await?;
    notes.push(format!("a read within 3 MiB of cache took (best, median and worst) {cache} before, {after} after"));
    recorder.merge(probes);
    let stored = world.stored().await? - calm.acknowledged;
    let mut report = Report {
        title: "Overload over the wire".into(),
        setup: format!("journal held to {rows} rows a second, {offered:.0} offered for {} s", plan.seconds),
        disk: process::disk(world.folder.path())?,
        recorder,
        samples,
        lasts: plan.seconds,
        of: "server and database",
        stored,
        notes,
    };
    calm.world.stop().await;
    if let Some(before) = before {
        // Minutes later a machine that is shared may be another one.
        let after = constant(o).await?;
        report.notes.push(format!("a constant answer reached {before:.0} a second before, {after:.0} after"));
    }
    finish(&report, o)
}

/// Constant answers a second.
async fn constant(o: &Options) -> Result<f64, Failure> {
    let world = World::start(1, &[]).await?;
    let op = |customer| Op::Reference { route: Route::Constant, event: 0, customer };
    let lasts = Duration::from_secs(CONSTANT);
    let total = drive(&world.target(), FEW, o.threads, Pace::Closed, lasts, op).await.total();
    world.stop().await;
    Ok(total.done as f64 / lasts.as_secs_f64())
}

fn enter(customers: &Arc<AtomicU64>) -> impl Fn(u64) -> Op + Send + Sync + 'static {
    let customers = customers.clone();
    move |_| Op::Enter { event: 0, customer: customers.fetch_add(1, Ordering::Relaxed) % 100_000_000 }
}

fn most_memory(samples: &[Sample]) -> f64 {
    samples.iter().map(|s| s.resident_mib).fold(0.0, f64::max)
}

impl Calm {
    async fn measure(o: &Options, rows: &str, crowd: usize) -> Result<Self, Failure> {
        let world = World::start(1, &["--rows-per-second", rows]).await?;
        let (customers, before) = (Arc::default(), world.system.cpu()?);
        let lasts = Duration::from_secs(PEAK);
        let next = enter(&customers);
        let mut all = drive(&world.target(), FEW, o.threads, Pace::Closed, lasts, next).await;
        let accepting = (world.system.cpu()? - before).as_secs_f64() / all.total().done as f64;
        let peak = all.done_within(PEAK) as f64 / PEAK as f64;
        // Memory is compared at the same number of connections, each of which was used: what the storm adds is what it makes
        // wait.
        let sampler = Sampler::start(Watched::System(world.system.clone()));
        let pace = Pace::InTurn(CALM * peak);
        all.merge(drive(&world.target(), crowd, o.threads, pace, lasts, enter(&customers)).await);
        let steady_mib = most_memory(&sampler.stop().await);
        adds_up(&all, world.stored().await?)?;
        Ok(Self { world, customers, acknowledged: all.total().done, peak, accepting, steady_mib })
    }

    /// What was found, beside its goals.
    fn notes(&self, all: &Recorder, probes: &Recorder, samples: &[Sample], spent: f64, seconds: u64) -> Vec<String> {
        let Some(entered) = all.kinds.get("enter") else { return vec!["nothing was sent".into()] };
        let (done, refused) = (entered.counts.done as f64, entered.counts.refused as f64);
        let refusing = (spent - done * self.accepting) / refused.max(1.0) / self.accepting;
        let most = most_memory(samples);
        let ms = |us: u64| us as f64 / 1000.0;
        let p99 = |name: &str| probes.kinds.get(name).map_or(f64::NAN, |k| ms(k.done.value_at_quantile(0.99)));
        let late = |q: f64| ms(entered.late.value_at_quantile(q));
        let since_sent = |q: f64| ms(entered.refused_since_sent.value_at_quantile(q));
        let at = |q: f64| (ms(entered.done.value_at_quantile(q)), ms(entered.refused.value_at_quantile(q)));
        vec![
            format!(
                "goodput {:.2} of the peak while {:.1} times of it were sent (goal 0.90)",
                all.done_within(seconds) as f64 / seconds as f64 / self.peak,
                entered.counts.sent as f64 / seconds as f64 / self.peak
            ),
            format!("refusals p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms (goal 5)", at(0.5).1, at(0.9).1, at(0.99).1),
            format!(
                "refusals from when they were sent p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms",
                since_sent(0.5),
                since_sent(0.9),
                since_sent(0.99)
            ),
            format!(
                "entries were sent p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms after they were due, which is in all latencies",
                late(0.5),
                late(0.9),
                late(0.99)
            ),
            format!("a refusal costs {refusing:.2} of an acceptance (goal 0.35)"),
            format!("{} of the connections were busy at once at most", all.at_once),
            format!(
                "memory at most {most:.0} MiB, {:.2} of {:.0} before (goal 1.5)",
                most / self.steady_mib,
                self.steady_mib
            ),
            format!("readyz p99 {:.1} ms, dashboard p99 {:.1} ms (goal 100)", p99("readyz"), p99("analytics")),
            format!("accepted p50 {:.0} ms, p99 {:.0} ms", at(0.5).0, at(0.99).0),
        ]
    }
}
