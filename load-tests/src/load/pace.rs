//! At which pace: as fast as answers come (a closed loop, for peaks), or at a rate whatever comes back (an open loop, for
//! latencies; what is sent late counts from when it was due, so nothing is left out when the server stalls).

use super::{Driver, Op, Outcome, Recorder, Target};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What was due is still sent this long after the end.
const LATE: Duration = Duration::from_secs(10);
/// An answer that takes longer is none.
const HANGS: Duration = Duration::from_secs(120);

/// The pace of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Everybody does the next thing when the last one is answered.
    Closed,
    /// So many a second.
    Open(f64),
}

/// What all threads of a run share.
struct Plan<F> {
    next: F,
    sent: AtomicU64,
    pace: Pace,
    lasts: Duration,
    /// All threads begin together, and when.
    ready: Barrier,
    begun: OnceLock<Instant>,
}

impl<F> Plan<F> {
    fn begun(&self) -> Instant {
        *self.begun.get_or_init(Instant::now)
    }

    fn ends(&self) -> Instant {
        self.begun() + self.lasts
    }
}

/// Has `at_once` drivers do what `next` says for a while; each of `threads` threads carries its share of them. `next` is
/// given the number of what is sent: 0, 1, 2 …
pub async fn drive<F>(target: &Target, at_once: usize, threads: usize, pace: Pace, lasts: Duration, next: F) -> Recorder
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let threads = threads.max(1);
    let (ready, begun) = (Barrier::new(threads), OnceLock::new());
    let plan = Arc::new(Plan { next, sent: AtomicU64::new(0), pace, lasts, ready, begun });
    let share = at_once.div_ceil(threads);
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (plan, target) = (plan.clone(), target.clone());
            let handle = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || thread(&plan, &target, share, &handle))
        })
        .collect();
    let mut done = Vec::with_capacity(threads);
    for one in running {
        done.push(one.await.expect("a thread of drivers panicked"));
    }
    let mut all = Recorder::new(plan.begun());
    done.into_iter().for_each(|one| all.merge(one));
    if let Pace::Open(rate) = pace {
        // What was due and never sent is the worst of all.
        let due = (rate * lasts.as_secs_f64()).floor() as u64;
        all.unsent = due.saturating_sub(all.total().sent);
    }
    all
}

/// One thread: over a network a runtime of its own, so that the measuring side is one loop; in process the runtime of the
/// actors.
fn thread<F>(plan: &Arc<Plan<F>>, target: &Target, share: usize, handle: &tokio::runtime::Handle) -> Recorder
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let acting = act(plan, target, share);
    match target {
        Target::Actors(_) => handle.block_on(acting),
        Target::Http(_) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(acting)
        }
    }
}

async fn act<F>(plan: &Arc<Plan<F>>, target: &Target, share: usize) -> Recorder
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let mut drivers: Vec<_> = (0..share).map(|_| target.driver()).collect();
    if matches!(plan.pace, Pace::Open(_)) {
        // Who enters has the page open, and comes over the connection that brought it.
        for driver in &mut drivers {
            driver.open().await;
        }
    }
    plan.ready.wait();
    let recorder = Arc::new(Mutex::new(Recorder::new(plan.begun())));
    let running: Vec<_> =
        drivers.into_iter().map(|driver| tokio::spawn(one(plan.clone(), driver, recorder.clone()))).collect();
    let mut done = Vec::with_capacity(running.len());
    for one in running {
        done.push(one.await.expect("a driver panicked"));
    }
    std::mem::replace(&mut recorder.lock().expect("nobody panics holding it"), Recorder::new(plan.begun()))
}

/// Gives the driver back when it is done, so that its connection stays until its whole thread is: thousands of them closed at
/// once would be in the way of those that still wait for an answer.
async fn one<F>(plan: Arc<Plan<F>>, mut driver: Driver, recorder: Arc<Mutex<Recorder>>) -> Driver
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    loop {
        let n = plan.sent.fetch_add(1, Ordering::Relaxed);
        let due = match plan.pace {
            Pace::Closed => Instant::now(),
            Pace::Open(rate) => plan.begun() + Duration::from_secs_f64(n as f64 / rate),
        };
        if due >= plan.ends() || Instant::now() >= plan.ends() + LATE {
            return driver;
        }
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let (op, late) = ((plan.next)(n), due.elapsed());
        let outcome = tokio::time::timeout(HANGS, driver.perform(op)).await.unwrap_or(Outcome::Failed);
        // From when it was due, whatever kept it: the timer's millisecond and the measuring side's own delay are in it.
        recorder.lock().expect("nobody panics holding it").note(op, outcome, due.elapsed(), late);
        if outcome == Outcome::Failed {
            // Nobody hammers a server that is gone.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
