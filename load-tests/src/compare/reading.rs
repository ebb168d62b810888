//! W7: the analytics of an event, when they are there, when they are not, and when a thousand want them at once.

use super::{Plan, Spread};
use crate::load::{Op, Outcome, Pace, Route, drive};
use crate::record::say;
use crate::server::Failure;
use crate::world::World;
use std::time::{Duration, Instant};

/// Entries the event has: the queries must have something to do.
const ENTRIES: u64 = 20_000;
/// Misses that are timed.
const MISSES: usize = 200;
/// Requests for the same page at once.
const AT_ONCE: usize = 1_000;

/// Compares.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    let world = World::start(1, &[]).await?;
    let mut entered = 0;
    while entered < ENTRIES {
        entered += more_entries(&world, plan, entered).await?;
    }
    hits(&world, plan).await?;
    misses(&world, entered).await?;
    stampede(&world, entered).await?;
    world.stop().await;
    Ok(())
}

async fn more_entries(world: &World, plan: &Plan, from: u64) -> Result<u64, Failure> {
    let next = move |n| Op::Enter { event: 0, customer: from + n };
    let done = drive(&world.target(), plan.connections, 1, Pace::Closed, Duration::from_secs(1), next).await.total();
    if done.failed > 0 || done.done == 0 { Err(format!("{done:?}").into()) } else { Ok(done.sent) }
}

async fn hits(world: &World, plan: &Plan) -> Result<(), Failure> {
    let (mut hit, mut constant) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        for (op, rates) in [
            (Op::Analytics { event: 0 }, &mut hit),
            (Op::Reference { route: Route::ConstantRead, event: 0, customer: 0 }, &mut constant),
        ] {
            let lasts = Duration::from_secs(plan.seconds);
            let recorder =
                drive(&world.target(), plan.connections, plan.threads, Pace::Closed, lasts, move |_| op).await;
            if recorder.total().failed > 0 {
                return Err(format!("{}: {:?}", op.name(), recorder.total()).into());
            }
            rates.push(recorder.done_within(plan.seconds) as f64 / plan.seconds as f64);
        }
    }
    let (hit, constant) = (Spread::of(hit), Spread::of(constant));
    say!("analytics, hit: {hit} a second; a constant answer: {constant}");
    say!("W7 hit of the constant answer: {:.2} (goal 0.80)", hit.median / constant.median);
    Ok(())
}

/// Each miss is made by an entry; beside it the slowest query the figures are made of, alone.
async fn misses(world: &World, entered: u64) -> Result<(), Failure> {
    let mut driver = world.target().driver();
    let (mut missed, mut queried) = (Vec::new(), Vec::new());
    for n in 0..MISSES {
        let entry = Op::Enter { event: 0, customer: entered + n as u64 };
        if driver.perform(entry).await != Outcome::Done {
            return Err("an entry was not stored".into());
        }
        let begun = Instant::now();
        if driver.perform(Op::Analytics { event: 0 }).await != Outcome::Done {
            return Err("analytics were not answered".into());
        }
        missed.push(begun.elapsed().as_secs_f64() * 1000.0);
        queried.push(slowest_query(world).await?);
    }
    let (missed, queried) = (Spread::of(missed), Spread::of(queried));
    say!("analytics after an entry: {missed} ms; reading the counts from the database: {queried} ms");
    say!("W7 miss of the slowest query: {:.2} (goal 1.5)", missed.median / queried.median);
    Ok(())
}

/// The counts of the event read from the log, as an actor does that has none: in milliseconds, asked through the server.
async fn slowest_query(world: &World) -> Result<f64, Failure> {
    let (_, answer) = world.owner.get(&format!("/test/tally/{}", world.http.events[0].0)).await?;
    answer["ms"].as_f64().ok_or_else(|| format!("no time: {answer}").into())
}

/// A thousand connections ask in the same moment, right after an entry.
async fn stampede(world: &World, entered: u64) -> Result<(), Failure> {
    let mut connections: Vec<_> = (0..AT_ONCE).map(|_| world.target().driver()).collect();
    for driver in &mut connections {
        driver.perform(Op::Ready).await;
    }
    let loads = world.server.metric("dashboard_loads_total").await?;
    let entry = Op::Enter { event: 0, customer: entered + MISSES as u64 };
    let mut one = world.target().driver();
    if one.perform(entry).await != Outcome::Done {
        return Err("an entry was not stored".into());
    }
    let begun = Instant::now();
    let asking = connections.iter_mut().map(|d| d.perform(Op::Analytics { event: 0 }));
    let answers = futures_util::future::join_all(asking).await;
    let took = begun.elapsed();
    let loads = world.server.metric("dashboard_loads_total").await? - loads;
    let answered = answers.iter().filter(|a| **a == Outcome::Done).count();
    say!(
        "W7 {AT_ONCE} at once after an entry: {answered} answered within {:.0} ms, {loads} load(s) (goal 1)",
        took.as_secs_f64() * 1000.0
    );
    Ok(())
}
