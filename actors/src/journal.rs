//! The one writer of entries. Tree: Root → Journal.
//!
//! What queued while the last commit was in flight is the next batch: no timer, self-clocked. One flush task per lane
//! owns connection and reply ports and answers by itself, so a crash of the actor hides no truth. The main lane never
//! waits for a head that somebody else holds: rows of such an event go to the side lane, which does. Row faults are found
//! by bisection.

mod flush;

use crate::entry::{EnterError, Pending};
use crate::events::Events;
use crate::root::{Address, Beyond, Child, Root};
use domain::ids::EventId;
use flush::{FlushGuard, flush};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use storage::Store;
use storage::crypto::Keyring;
use tokio_util::task::TaskTracker;

/// Rows of one commit at most: beyond it a batch only gets later, not cheaper.
const MAX_BATCH: usize = 512;

/// Handle on the journal.
#[derive(Clone)]
pub(crate) struct Journal {
    at: Address<Msg>,
}

impl Journal {
    pub(crate) async fn start(deps: Deps, root: &Root) -> Result<Self, ractor::SpawnErr> {
        let (at, deps) = (Address::new(), Arc::new(deps));
        root.adopt(Child::new("journal", "journal", Beyond::Fail, &at, move || (JournalActor, deps.clone()))).await?;
        Ok(Self { at })
    }

    /// Hands an entry over; the reply comes after the commit.
    pub(crate) fn submit(&self, entry: Pending) {
        if let Err(Some(Msg::Submit(entry))) = self.at.cast(Msg::Submit(Box::new(entry))) {
            entry.refuse_or(Err(EnterError::Overloaded));
        }
    }

    /// Ends it by its own protocol: answers when buffer and flush are empty.
    pub(crate) async fn finish(&self, limit: Duration) {
        let _ = self.at.ask(Msg::Finish, limit).await;
        self.at.stop();
    }
}

pub(crate) enum Msg {
    /// An entry to be stored; its own port is answered after the commit.
    Submit(Box<Pending>),
    /// The flush of a lane ended; these rows found their head held.
    Flushed(Lane, Vec<Pending>),
    /// Answers when everything is stored and answered.
    Finish(RpcReplyPort<()>),
}

/// Which way an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Skips held heads.
    Main,
    /// Waits for them.
    Side,
}

pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) keys: Keyring,
    pub(crate) events: Events,
    pub(crate) tracker: TaskTracker,
    pub(crate) rows_per_second: Option<u32>,
}

struct JournalActor;

struct State {
    deps: Arc<Deps>,
    main: Queue,
    side: Queue,
    /// Events whose entries take the side lane, until it has none of theirs left.
    held: HashSet<EventId>,
    finishing: Option<RpcReplyPort<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Pending>,
    flushing: bool,
}

impl Queue {
    /// The next batch, unless one is in flight.
    fn batch(&mut self) -> Option<Vec<Pending>> {
        if self.flushing || self.waiting.is_empty() {
            return None;
        }
        self.flushing = true;
        let rest = self.waiting.split_off(self.waiting.len().min(MAX_BATCH));
        Some(std::mem::replace(&mut self.waiting, rest))
    }

    /// Those who waited longest come first.
    fn put_back(&mut self, mut rows: Vec<Pending>) {
        rows.append(&mut self.waiting);
        self.waiting = rows;
    }

    fn is_idle(&self) -> bool {
        !self.flushing && self.waiting.is_empty()
    }
}

impl State {
    fn submit(&mut self, entry: Pending) {
        let queue = if self.held.contains(&entry.row.event) { &mut self.side } else { &mut self.main };
        queue.waiting.push(entry);
    }

    fn flushed(&mut self, lane: Lane, held: Vec<Pending>) {
        match lane {
            Lane::Main => {
                self.main.flushing = false;
                self.held.extend(held.iter().map(|p| p.row.event));
            }
            Lane::Side => self.side.flushing = false,
        }
        self.side.put_back(held);
        if self.side.is_idle() {
            self.held.clear();
        }
    }

    fn begin(&mut self, myself: &ActorRef<Msg>) {
        for lane in [Lane::Main, Lane::Side] {
            let queue = if lane == Lane::Main { &mut self.main } else { &mut self.side };
            if let Some(batch) = queue.batch() {
                let (deps, back) = (self.deps.clone(), FlushGuard::new(myself.clone(), lane));
                self.deps.tracker.spawn(async move { flush(&deps, lane, batch, back).await });
            }
        }
    }
}

impl Actor for JournalActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(&self, _: ActorRef<Msg>, deps: Arc<Deps>) -> Result<State, ActorProcessingErr> {
        Ok(State { deps, main: Queue::default(), side: Queue::default(), held: HashSet::new(), finishing: None })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Submit(entry) => s.submit(*entry),
            Msg::Flushed(lane, held) => s.flushed(lane, held),
            Msg::Finish(reply) => s.finishing = Some(reply),
        }
        s.begin(&myself);
        if s.main.is_idle()
            && s.side.is_idle()
            && let Some(reply) = s.finishing.take()
        {
            let _ = reply.send(());
        }
        Ok(())
    }
}
