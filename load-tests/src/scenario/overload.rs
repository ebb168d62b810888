//! W1's overload: the journal held to a tenth of what a constant answer reaches, five times of that offered for minutes.

use super::{Options, Sampler, Scenario, Watched, adds_up, finish};
use crate::load::{Op, Pace, Route, drive};
use crate::process;
use crate::report::Report;
use crate::server::Failure;
use crate::world::World;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds in which peaks are found.
const PEAK: u64 = 10;
/// More than this at once never wait: what is refused is refused at once.
const CONNECTIONS: usize = 8_192;
/// Questions a second to `/readyz` and the dashboard meanwhile.
const PROBES: f64 = 50.0;

/// Plays it.
pub async fn run(o: &Options) -> Result<ExitCode, Failure> {
    let plan = Scenario::Overload.plan(o);
    let constant = {
        let world = World::start(1, &[]).await?;
        let op = |customer| Op::Reference { route: Route::Constant, event: 0, customer };
        let lasts = Duration::from_secs(PEAK / 2);
        let total = drive(&world.target(), 256, o.threads, Pace::Closed, lasts, op).await.total();
        world.stop().await;
        total.done as f64 / lasts.as_secs_f64()
    };
    let rows = (constant / 10.0).round().to_string();
    println!("a constant answer reaches {constant:.0} a second: the journal is held to {rows} rows");
    let world = World::start(1, &["--rows-per-second", &rows]).await?;
    let customers = Arc::new(AtomicU64::new(0));
    let enter = |customers: &Arc<AtomicU64>| {
        let customers = customers.clone();
        move |_| Op::Enter { event: 0, customer: customers.fetch_add(1, Ordering::Relaxed) % 100_000_000 }
    };
    let before = world.system.cpu()?;
    let lasts = Duration::from_secs(PEAK);
    let calm = drive(&world.target(), plan.connections, o.threads, Pace::Closed, lasts, enter(&customers)).await;
    let peak = calm.total().done as f64 / PEAK as f64;
    let accepting = (world.system.cpu()? - before).as_secs_f64() / calm.total().done as f64;
    let steady = world.system.resident()? as f64 / 1_048_576.0;
    println!("peak {peak:.0} a second, {:.1} µs of processor time each, {steady:.0} MiB", accepting * 1e6);

    let (sampler, before) = (Sampler::start(Watched::System(world.system.clone())), world.system.cpu()?);
    let target = world.target();
    let probing = tokio::spawn(async move {
        let probe = |n: u64| if n.is_multiple_of(2) { Op::Ready } else { Op::Analytics { event: 0 } };
        drive(&target, 16, 1, Pace::Open(PROBES), Duration::from_secs(plan.seconds), probe).await
    });
    let (offered, lasts) = (5.0 * peak, Duration::from_secs(plan.seconds));
    let connections = o.connections.unwrap_or(CONNECTIONS);
    let mut recorder =
        drive(&world.target(), connections, o.threads, Pace::Open(offered), lasts, enter(&customers)).await;
    let spent = (world.system.cpu()? - before).as_secs_f64();
    let samples = sampler.stop().await;
    let probes = probing.await?;
    world.settle().await?;
    let entered = &recorder.kinds["enter"];
    let (done, refused) = (entered.counts.done as f64, entered.counts.refused as f64);
    let goodput = done / plan.seconds as f64 / peak;
    let refusing = (spent - done * accepting) / refused.max(1.0) / accepting;
    let most = samples.iter().map(|s| s.resident_mib).fold(0.0, f64::max);
    let p99 = |name: &str| probes.kinds.get(name).map_or(f64::NAN, |k| k.done.value_at_quantile(0.99) as f64 / 1000.0);
    let notes = vec![
        format!(
            "goodput {goodput:.2} of the peak while {:.1} times of it were sent (goal 0.90)",
            entered.counts.sent as f64 / plan.seconds as f64 / peak
        ),
        format!(
            "refusals p50 {:.2} ms, p99 {:.2} ms (goal 5)",
            entered.refused.value_at_quantile(0.5) as f64 / 1000.0,
            entered.refused.value_at_quantile(0.99) as f64 / 1000.0
        ),
        format!("a refusal costs {refusing:.2} of an acceptance (goal 0.35)"),
        format!("memory at most {most:.0} MiB, {:.2} of {steady:.0} before (goal 1.5)", most / steady),
        format!("readyz p99 {:.1} ms, dashboard p99 {:.1} ms (goal 100)", p99("readyz"), p99("analytics")),
        format!(
            "accepted p50 {:.0} ms, p99 {:.0} ms",
            entered.done.value_at_quantile(0.5) as f64 / 1000.0,
            entered.done.value_at_quantile(0.99) as f64 / 1000.0
        ),
    ];
    recorder.merge(probes);
    let stored = world.stored().await? - calm.total().done - calm.total().unknown;
    adds_up(&calm, calm.total().done)?;
    let report = Report {
        title: "Overload over the wire".into(),
        setup: format!("journal held to {rows} rows a second, {offered:.0} offered for {} s", plan.seconds),
        disk: process::disk(world.folder.path())?,
        recorder,
        samples,
        stored,
        notes,
    };
    world.stop().await;
    finish(&report, o)
}
