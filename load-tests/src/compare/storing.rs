//! W1 and W2: how many entries become durable in a second.

use super::{Plan, Spread};
use crate::load::{Op, Pace, Recorder, Route, drive};
use crate::process;
use crate::record::say;
use crate::server::Failure;
use crate::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Events of W2.
const MANY: usize = 1_000;

/// The side that is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Ours,
    Zipf,
    Reference(Route),
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "entries, one hot event",
            Self::Zipf => "entries, 1,000 events, Zipf 1.0",
            Self::Reference(route) => Op::Reference { route, event: 0, customer: 0 }.name(),
        }
    }
}

struct Alternation {
    world: World,
    /// Customers so far: nobody comes twice.
    customers: Arc<AtomicU64>,
    acknowledged: u64,
    zipf: Arc<Vec<u16>>,
}

/// What a turn found: units a second, microseconds of processor time for each.
struct Measured {
    rate: f64,
    cpu_us: f64,
}

/// W1.
pub async fn hot(plan: &Plan) -> Result<(), Failure> {
    let mut sides = vec![Side::Ours, Side::Reference(Route::Constant)];
    if std::env::var("DATABASE_URL").is_ok_and(|u| !u.is_empty()) {
        sides.extend([Side::Reference(Route::Insert), Side::Reference(Route::Transaction)]);
    } else {
        say!("W1 without DATABASE_URL: no INSERT and no transaction per request to compare with");
    }
    let mut turns = Alternation::start(1).await?;
    let found = turns.take(plan, &sides).await?;
    let ours = found[0].0.median;
    let goals =
        [("W1 of the constant answer", 0.55), ("W1 of an INSERT each", 6.0), ("W1 of a transaction each", 15.0)];
    for ((what, goal), (theirs, _)) in goals.iter().zip(&found[1..]) {
        say!("{what}: {:.2} (goal {goal})", ours / theirs.median);
    }
    turns.half(plan, ours / 2.0).await?;
    turns.end().await
}

/// W2.
pub async fn many(plan: &Plan) -> Result<(), Failure> {
    let mut turns = Alternation::start(MANY).await?;
    let found = turns.take(plan, &[Side::Ours, Side::Zipf]).await?;
    say!("W2 of one hot event: {:.2} (goal 0.80)", found[1].0.median / found[0].0.median);
    turns.end().await
}

impl Alternation {
    async fn start(events: usize) -> Result<Self, Failure> {
        let world = World::start(events, &[]).await?;
        let zipf = Arc::new(crate::scenario::zipf(events));
        Ok(Self { world, customers: Arc::default(), acknowledged: 0, zipf })
    }

    /// Every side once per round, in turns; rate and processor time of each.
    async fn take(&mut self, plan: &Plan, sides: &[Side]) -> Result<Vec<(Spread, Spread)>, Failure> {
        let mut found: Vec<(Vec<f64>, Vec<f64>)> = sides.iter().map(|_| Default::default()).collect();
        // Caches, plans and connections warm up outside the figures.
        for side in sides {
            self.turn(plan, *side, 1).await?;
        }
        for _ in 0..plan.rounds {
            for (side, (rates, costs)) in sides.iter().zip(&mut found) {
                let turn = self.turn(plan, *side, plan.seconds).await?;
                rates.push(turn.rate);
                costs.push(turn.cpu_us);
            }
        }
        let (p50, p99) = process::disk(self.world.folder.path())?;
        say!("fdatasync of 8 KiB: p50 {:.2} ms, p99 {:.2} ms", millis(p50), millis(p99));
        let mut spreads = Vec::new();
        for (side, (rates, costs)) in sides.iter().zip(found) {
            let (rate, cost) = (Spread::of(rates), Spread::of(costs));
            say!("{}: {rate} a second, {cost} µs of processor time each, database included", side.name());
            spreads.push((rate, cost));
        }
        Ok(spreads)
    }

    async fn turn(&mut self, plan: &Plan, side: Side, seconds: u64) -> Result<Measured, Failure> {
        let before = self.world.system.cpu()?;
        let recorder = self.load(plan, side, Pace::Closed, seconds).await?;
        let cost = self.world.system.cpu()? - before;
        let total = recorder.total();
        if total.failed > 0 || total.done == 0 {
            return Err(format!("{}: {total:?}", side.name()).into());
        }
        Ok(Measured {
            rate: recorder.done_within(seconds) as f64 / seconds as f64,
            cpu_us: cost.as_secs_f64() * 1e6 / total.done as f64,
        })
    }

    async fn load(&mut self, plan: &Plan, side: Side, pace: Pace, seconds: u64) -> Result<Recorder, Failure> {
        let (customers, zipf) = (self.customers.clone(), self.zipf.clone());
        let next = move |_| {
            let customer = customers.fetch_add(1, Ordering::Relaxed) % 100_000_000;
            match side {
                Side::Ours => Op::Enter { event: 0, customer },
                Side::Zipf => Op::Enter { event: usize::from(zipf[customer as usize % zipf.len()]), customer },
                Side::Reference(route) => Op::Reference { route, event: 0, customer },
            }
        };
        let lasts = Duration::from_secs(seconds);
        let recorder = drive(&self.world.target(), plan.connections, plan.threads, pace, lasts, next).await;
        if matches!(side, Side::Ours | Side::Zipf) {
            self.acknowledged += recorder.total().done;
        }
        Ok(recorder)
    }

    /// Latencies at half the peak, an open loop.
    async fn half(&mut self, plan: &Plan, rate: f64) -> Result<(), Failure> {
        let recorder = self.load(plan, Side::Ours, Pace::Open(rate), plan.seconds.max(10)).await?;
        let (p50, p99) = process::disk(self.world.folder.path())?;
        let Some(kind) = recorder.kinds.get("enter") else { return Err("nothing was sent".into()) };
        if kind.counts.failed + kind.counts.unknown + recorder.unsent > 0 {
            return Err(format!("{} unsent, {:?}", recorder.unsent, kind.counts).into());
        }
        let at = |q: f64| kind.done.value_at_quantile(q) as f64 / 1000.0;
        say!(
            "W1 at half the peak, {rate:.0} a second, open loop: p50 {:.2} ms, p99 {:.2} ms (goal 2 × fdatasync p99 + 10 = {:.2} ms), {} refused; fdatasync p50 {:.2}, p99 {:.2} ms",
            at(0.5),
            at(0.99),
            2.0 * millis(p99) + 10.0,
            kind.counts.refused,
            millis(p50),
            millis(p99)
        );
        recorder.say_if_it_waited();
        Ok(())
    }

    /// What was acknowledged is what is there.
    async fn end(self) -> Result<(), Failure> {
        let stored = self.world.stored().await?;
        say!("acknowledged {}, stored {stored}", self.acknowledged);
        self.world.stop().await;
        if stored == self.acknowledged { Ok(()) } else { Err("the database does not agree".into()) }
    }
}

fn millis(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}
