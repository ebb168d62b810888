//! At which pace: as fast as answers come (a closed loop, for peaks), or at a rate whatever comes back (an open loop, for
//! latencies; what is sent late counts from when it was due, so nothing is left out when the server stalls).

use super::{Driver, Op, Outcome, Recorder, Target};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::task::JoinSet;

/// What was due is still sent this long after the end.
const LATE: Duration = Duration::from_secs(10);
/// The measuring side of an open loop does not wake up for every request that is due and every answer, which would take the
/// processor from the server as often, but for those of so long. For what is due it is in all latencies.
const TOGETHER: Duration = Duration::from_millis(1);
/// A connection that was free for so long is used next: a server closes idle ones.
const IDLE: Duration = Duration::from_secs(15);
/// An answer that takes longer is none.
const HANGS: Duration = Duration::from_secs(120);

/// The pace of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Everybody does the next thing when the last one is answered.
    Closed,
    /// This many a second, over as many connections as are needed at once: the one that was free last is used first, as a
    /// proxy does that keeps connections; but one that was idle for long, before it is closed.
    Open(f64),
    /// This many a second, each connection in its turn, as of phones that each have their own.
    InTurn(f64),
}

impl Pace {
    /// Returns how many a second an open loop sends.
    fn rate(self) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Open(rate) | Self::InTurn(rate) => Some(rate),
        }
    }
}

/// What all threads of a run share.
struct Plan<F> {
    next: F,
    sent: AtomicU64,
    /// How many requests of an open loop became due, and permits for those who send them.
    due: AtomicU64,
    turns: Semaphore,
    /// The measuring threads run before the server.
    first: bool,
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

    /// Gives turns for what became due at this rate; none any more when all is sent, or it is too late.
    fn release(&self, rate: f64) {
        let all = all_due(rate, self.lasts);
        let due = ((self.begun().elapsed().as_secs_f64() * rate) as u64 + 1).min(all);
        let before = self.due.fetch_max(due, Ordering::AcqRel);
        self.turns.add_permits(due.saturating_sub(before) as usize);
        if self.sent.load(Ordering::Acquire) >= all || Instant::now() >= self.ends() + LATE {
            self.turns.close();
        }
    }
}

/// How many become due before the end at a rate: the first at once.
fn all_due(rate: f64, lasts: Duration) -> u64 {
    const ROUNDING: f64 = 1e-6;
    (rate * lasts.as_secs_f64() - ROUNDING).ceil().max(1.0) as u64
}

/// Has `at_once` drivers do what `next` says for a while; each of `threads` threads carries its share of them. `next` is
/// given the number of what is sent: 0, 1, 2 …
pub async fn drive<F>(target: &Target, at_once: usize, threads: usize, pace: Pace, lasts: Duration, next: F) -> Recorder
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let threads = threads.max(1);
    let (ready, begun) = (Barrier::new(threads), OnceLock::new());
    let (sent, due, turns) = (AtomicU64::new(0), AtomicU64::new(0), Semaphore::new(0));
    // With as many threads as processors nobody else would run.
    let others = std::thread::available_parallelism().is_ok_and(|processors| threads < processors.get());
    let first = others && matches!(target, Target::Http(_)) && pace.rate().is_some();
    let plan = Arc::new(Plan { next, sent, due, turns, first, pace, lasts, ready, begun });
    let share = at_once.div_ceil(threads);
    let mut running = Vec::with_capacity(threads);
    for _ in 0..threads {
        let (plan, target, handle) = (plan.clone(), target.clone(), tokio::runtime::Handle::current());
        let (tell, told) = oneshot::channel();
        // Not of the runtime's own: a thread's priority ends with it.
        std::thread::spawn(move || tell.send(thread(&plan, &target, share, &handle)));
        running.push(told);
    }
    let mut done = Vec::with_capacity(threads);
    for one in running {
        done.push(one.await.expect("a thread of drivers panicked"));
    }
    let mut all = Recorder::new(plan.begun());
    let at_once = done.iter().map(|one| one.at_once).sum();
    done.into_iter().for_each(|one| all.merge(one));
    all.at_once = at_once;
    if let Some(rate) = pace.rate() {
        // What was due and never sent is the worst of all.
        all.unsent = all_due(rate, lasts).saturating_sub(all.total().sent);
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
    let waits = plan.pace != Pace::Closed && !(plan.first && go_first());
    let mut recorder = match target {
        Target::Actors(_) => handle.block_on(acting),
        Target::Http(_) => {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            // Between two pauses nearly everything is done that can be.
            let runtime = runtime.event_interval(4_096).max_io_events_per_tick(4_096).enable_all().build();
            runtime.expect("a runtime").block_on(acting)
        }
    };
    recorder.waits = waits;
    recorder
}

/// Lets this thread run whenever it has something to do, in the place of whoever shares the processors with it: customers do
/// not wait for those of the server, and what they measure is not how late they were themselves. The server has what is left.
/// False where that is not allowed (Linux asks for `CAP_SYS_NICE` or a limit on real-time priority above zero).
#[cfg(unix)]
fn go_first() -> bool {
    use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
    thread_priority::set_thread_priority_and_policy(
        thread_priority::thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .is_ok()
}

#[cfg(not(unix))]
fn go_first() -> bool {
    false
}

async fn act<F>(plan: &Arc<Plan<F>>, target: &Target, share: usize) -> Recorder
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let mut free: VecDeque<_> = (0..share).map(|_| target.driver()).collect();
    if plan.pace.rate().is_some() {
        // A customer who enters has the page open, and uses the connection that brought it.
        for driver in &mut free {
            driver.open().await;
        }
    }
    plan.ready.wait();
    let recorder = Arc::new(Mutex::new(Recorder::new(plan.begun())));
    let most = match plan.pace.rate() {
        None => closed(plan, free, &recorder).await,
        Some(rate) => open(plan, rate, free, &recorder).await,
    };
    let mut recorder = recorder.lock();
    recorder.at_once = most;
    std::mem::replace(&mut recorder, Recorder::new(plan.begun()))
}

/// Everybody goes on until the end; how many they were.
async fn closed<F>(plan: &Arc<Plan<F>>, free: VecDeque<Driver>, recorder: &Arc<Mutex<Recorder>>) -> usize
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let mut running = JoinSet::new();
    for mut driver in free {
        let (plan, recorder) = (plan.clone(), recorder.clone());
        running.spawn(async move {
            while Instant::now() < plan.ends() {
                one(&plan, &mut driver, &recorder).await;
            }
            driver
        });
    }
    // Their connections stay until all are done: thousands of them closed at once would be in the way of those that still
    // wait for an answer.
    running.join_all().await.len()
}

/// Once a millisecond whoever is free takes what became due; how many were at it at most.
async fn open<F>(plan: &Arc<Plan<F>>, rate: f64, free: VecDeque<Driver>, recorder: &Arc<Mutex<Recorder>>) -> usize
where
    F: Fn(u64) -> Op + Send + Sync + 'static,
{
    let mut free: VecDeque<_> = free.into_iter().map(|driver| (Instant::now(), driver)).collect();
    let (mut running, mut most) = (JoinSet::new(), 0);
    loop {
        plan.release(rate);
        while !free.is_empty() && plan.turns.try_acquire().map(SemaphorePermit::forget).is_ok() {
            let longest = free.front().is_some_and(|(since, _)| since.elapsed() > IDLE);
            let last = matches!(plan.pace, Pace::Open(_)) && !longest;
            let next = if last { free.pop_back() } else { free.pop_front() };
            let Some((_, mut driver)) = next else { break };
            let (plan, recorder) = (plan.clone(), recorder.clone());
            running.spawn(async move {
                one(&plan, &mut driver, &recorder).await;
                driver
            });
        }
        most = most.max(running.len());
        // Once for what is sent, once for what is answered.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        while let Some(done) = running.try_join_next() {
            free.push_back((Instant::now(), done.expect("a driver panicked")));
        }
        if plan.turns.is_closed() && running.is_empty() {
            return most;
        }
        std::thread::sleep(TOGETHER);
    }
}

/// Does the next thing.
async fn one<F>(plan: &Plan<F>, driver: &mut Driver, recorder: &Mutex<Recorder>)
where
    F: Fn(u64) -> Op,
{
    let n = plan.sent.fetch_add(1, Ordering::AcqRel);
    let due = match plan.pace.rate() {
        None => Instant::now(),
        Some(rate) => plan.begun() + Duration::from_secs_f64(n as f64 / rate),
    };
    let (op, late) = ((plan.next)(n), due.elapsed());
    let outcome = tokio::time::timeout(HANGS, driver.perform(op)).await.unwrap_or(Outcome::Failed);
    // From when it was due, whatever kept it, to when it arrived, whenever it was read.
    let took = due.elapsed().saturating_sub(driver.lay());
    recorder.lock().note(op, outcome, took, late);
    if outcome == Outcome::Failed {
        // Nobody hammers a server that is gone.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_due() {
        let all = |rate: f64, seconds: f64| all_due(rate, Duration::from_secs_f64(seconds));
        assert_eq!((all(100.0, 3.0), all(0.29, 100.0), all(0.1, 30.0)), (300, 29, 3), "due before the end");
        assert_eq!((all(0.35, 10.0), all(0.5, 1.0), all(1e-9, 1.0)), (4, 1, 1), "and the first at once");
    }

    #[test]
    fn every_turn_is_given_once_however_many_threads_give_them() {
        let lasts = Duration::from_millis(50);
        let plan = Plan {
            next: |_: u64| Op::Ready,
            sent: AtomicU64::new(0),
            due: AtomicU64::new(0),
            turns: Semaphore::new(0),
            first: false,
            pace: Pace::Open(12_345.6),
            lasts,
            ready: Barrier::new(1),
            begun: OnceLock::new(),
        };
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    while plan.begun().elapsed() < lasts {
                        plan.release(12_345.6);
                    }
                    plan.release(12_345.6);
                });
            }
        });
        assert_eq!(plan.turns.available_permits() as u64, all_due(12_345.6, lasts));
        assert!(!plan.turns.is_closed(), "while any of them is left");
        plan.sent.store(all_due(12_345.6, lasts), Ordering::Release);
        plan.release(12_345.6);
        assert!(plan.turns.is_closed());
    }
}
