//! A queue for password work, with three classes and a bound in time: a pure core, and a thin shell that wakes the callers.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How early a caller is served: each class waits for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The account logged in from this address lately.
    Known,
    /// Nothing is known of the caller's address.
    New,
    /// The caller's address has failed often lately.
    Failing,
}

const CLASSES: usize = 3;
/// Lower bound of the pace, in time per turn. A shorter one would make the queue longer than its memory is worth.
const MIN_PACE: Duration = Duration::from_millis(1);

/// The answer to a caller that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// A lane is free: the turn begins.
    Now,
    /// The caller waits under this ticket.
    Ticket(u64),
    /// The wait would be longer than the bound: the caller is refused at once.
    Full,
}

/// The rule: lanes that work, and callers that wait by class.
#[derive(Debug)]
struct Queue {
    lanes: usize,
    bound: Duration,
    busy: usize,
    /// Moving average of the time a turn takes.
    pace: Duration,
    next: u64,
    waiting: [VecDeque<u64>; CLASSES],
}

impl Queue {
    fn new(lanes: usize, bound: Duration, pace: Duration) -> Self {
        Self { lanes: lanes.max(1), bound, busy: 0, pace: pace.max(MIN_PACE), next: 0, waiting: Default::default() }
    }

    fn arrive(&mut self, class: Class) -> Arrival {
        if self.busy < self.lanes {
            self.busy += 1;
            return Arrival::Now;
        }
        if self.is_full(class) {
            return Arrival::Full;
        }
        let ticket = self.next;
        self.next += 1;
        self.waiting[class as usize].push_back(ticket);
        Arrival::Ticket(ticket)
    }

    /// Would a caller of this class wait for longer than the bound?
    fn is_full(&self, class: Class) -> bool {
        let ahead: usize = self.waiting[..=class as usize].iter().map(VecDeque::len).sum();
        self.busy >= self.lanes && self.wait_behind(ahead) > self.bound
    }

    /// The longest wait behind so many others, at the present pace.
    fn wait_behind(&self, ahead: usize) -> Duration {
        let rounds = u32::try_from(ahead / self.lanes + 1).unwrap_or(u32::MAX);
        self.pace.saturating_mul(rounds)
    }

    /// A caller waits no longer.
    fn leave(&mut self, ticket: u64) {
        for class in &mut self.waiting {
            class.retain(|waiting| *waiting != ticket);
        }
    }

    /// Ends a turn; the ticket whose turn begins. `took` is the time it worked, if it did.
    fn end(&mut self, took: Option<Duration>) -> Option<u64> {
        if let Some(took) = took {
            self.pace = ((self.pace * 7 + took) / 8).max(MIN_PACE);
        }
        let next = self.waiting.iter_mut().find_map(VecDeque::pop_front);
        if next.is_none() {
            self.busy -= 1;
        }
        next
    }
}

struct Inner {
    queue: Queue,
    /// Waiting callers by ticket: exactly those in the queue.
    callers: HashMap<u64, oneshot::Sender<LaneTurn>>,
}

/// Hands out turns.
#[derive(Clone)]
pub(crate) struct LaneQueue {
    bound: Duration,
    inner: Arc<Mutex<Inner>>,
}

impl LaneQueue {
    /// Allows `lanes` turns at once; nobody waits longer than the bound. The first turns are expected to take `pace` each.
    pub(crate) fn new(lanes: usize, bound: Duration, pace: Duration) -> Self {
        let inner = Inner { queue: Queue::new(lanes, bound, pace), callers: HashMap::new() };
        Self { bound, inner: Arc::new(Mutex::new(inner)) }
    }

    /// A turn; `None` at once when the wait would be too long, and after the bound when it was. A caller that hangs up
    /// leaves the queue.
    pub(crate) async fn turn(&self, class: Class) -> Option<LaneTurn> {
        let (place, granted) = {
            let mut inner = self.lock();
            match inner.queue.arrive(class) {
                Arrival::Now => return Some(LaneTurn::of(self)),
                Arrival::Full => return None,
                Arrival::Ticket(ticket) => {
                    let (caller, granted) = oneshot::channel();
                    inner.callers.insert(ticket, caller);
                    (QueuePlace { turns: self.clone(), ticket }, granted)
                }
            }
        };
        let turn = tokio::time::timeout(self.bound, granted).await;
        drop(place);
        turn.ok()?.ok()
    }

    /// Would a caller of this class be refused at once?
    pub(crate) fn is_full(&self, class: Class) -> bool {
        self.lock().queue.is_full(class)
    }

    fn end(&self, took: Option<Duration>) {
        let granted = {
            let mut inner = self.lock();
            let ticket = inner.queue.end(took);
            ticket.and_then(|ticket| inner.callers.remove(&ticket))
        };
        if let Some(caller) = granted {
            // A caller that hung up gives its turn back: dropping it ends it.
            drop(caller.send(LaneTurn::of(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Lanes without work.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        let inner = self.lock();
        inner.queue.lanes - inner.queue.busy
    }
}

/// A place in the queue; it is given up when the caller stops waiting.
struct QueuePlace {
    turns: LaneQueue,
    ticket: u64,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut inner = self.turns.lock();
        inner.queue.leave(self.ticket);
        inner.callers.remove(&self.ticket);
    }
}

/// A turn. It lasts until it is dropped.
pub(crate) struct LaneTurn {
    turns: LaneQueue,
    began: Option<Instant>,
}

impl LaneTurn {
    fn of(turns: &LaneQueue) -> Self {
        Self { turns: turns.clone(), began: None }
    }

    /// The work begins: its time counts towards the pace.
    pub(crate) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }
}

impl Drop for LaneTurn {
    fn drop(&mut self) {
        self.turns.end(self.began.map(|at| at.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUND: Duration = Duration::from_secs(2);
    const PACE: Duration = Duration::from_millis(100);

    /// Case H6.
    #[test]
    fn a_known_caller_passes_strangers_and_a_full_queue_refuses_at_once() {
        let mut queue = Queue::new(2, BOUND, PACE);
        assert_eq!((queue.arrive(Class::New), queue.arrive(Class::New)), (Arrival::Now, Arrival::Now));
        let strangers = (0..100).filter(|_| queue.arrive(Class::New) != Arrival::Full).count();
        assert_eq!(strangers, 40, "two seconds of two lanes at ten turns a second each");
        assert_eq!(queue.arrive(Class::Failing), Arrival::Full);
        assert!(queue.is_full(Class::New) && queue.is_full(Class::Failing) && !queue.is_full(Class::Known));
        let Arrival::Ticket(known) = queue.arrive(Class::Known) else { panic!("a known caller has a place") };
        assert_eq!(queue.end(Some(PACE)), Some(known), "and the very next turn");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arrive(Class),
        End(u64),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let class = prop_oneof![Just(Class::Known), Just(Class::New), Just(Class::Failing)];
        let step = prop_oneof![
            4 => class.prop_map(Step::Arrive),
            3 => (0u64..500).prop_map(Step::End),
            1 => any::<usize>().prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// Case H6: no lane idles while somebody waits, the first of the best class is next, and the bound holds.
        #[test]
        fn the_queue_keeps_its_promises(lanes in 1usize..5, steps in steps()) {
            let mut queue = Queue::new(lanes, BOUND, PACE);
            let mut model: [Vec<u64>; CLASSES] = Default::default();
            let mut busy = 0;
            for step in steps {
                match step {
                    Step::Arrive(class) => {
                        let ahead: usize = model[..=class as usize].iter().map(Vec::len).sum();
                        let wait = queue.wait_behind(ahead);
                        match queue.arrive(class) {
                            Arrival::Now => {
                                prop_assert!(busy < lanes && model.iter().all(Vec::is_empty));
                                busy += 1;
                            }
                            Arrival::Ticket(ticket) => {
                                prop_assert!(busy == lanes && wait <= BOUND);
                                model[class as usize].push(ticket);
                            }
                            Arrival::Full => prop_assert!(busy == lanes && wait > BOUND),
                        }
                    }
                    Step::End(ms) if busy > 0 => {
                        let first = model.iter_mut().find(|class| !class.is_empty()).map(|class| class.remove(0));
                        prop_assert_eq!(queue.end(Some(Duration::from_millis(ms))), first);
                        busy -= usize::from(first.is_none());
                    }
                    Step::Leave(which) => {
                        let all: Vec<u64> = model.iter().flatten().copied().collect();
                        if let Some(ticket) = all.get(which % all.len().max(1)) {
                            queue.leave(*ticket);
                            model.iter_mut().for_each(|class| class.retain(|t| t != ticket));
                        }
                    }
                    Step::End(_) => {}
                }
                prop_assert_eq!(queue.busy, busy);
            }
        }
    }

    #[tokio::test]
    async fn a_caller_that_hangs_up_leaves_its_place_to_the_next() {
        let turns = LaneQueue::new(1, BOUND, PACE);
        let first = turns.turn(Class::New).await.expect("a lane is free");
        let mut gone = Box::pin(turns.turn(Class::Known));
        assert!(futures_util::FutureExt::now_or_never(gone.as_mut()).is_none(), "it waits");
        let next = tokio::spawn({
            let turns = turns.clone();
            async move { turns.turn(Class::Failing).await.is_some() }
        });
        drop(gone);
        assert!(turns.lock().queue.waiting[Class::Known as usize].is_empty());
        drop(first);
        assert!(next.await.expect("no panic"), "the other one is served");
        assert_eq!((turns.free(), turns.lock().callers.len()), (1, 0));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_bound() {
        let bound = Duration::from_millis(50);
        let turns = LaneQueue::new(1, bound, MIN_PACE);
        let held = turns.turn(Class::New).await.expect("a lane is free");
        let begun = Instant::now();
        assert!(turns.turn(Class::Known).await.is_none());
        assert!(begun.elapsed() >= bound);
        assert!(turns.lock().callers.is_empty());
        drop(held);
        assert_eq!(turns.free(), 1);
    }
}
