//! The one writer of entries. Tree: Root → Journal.
//!
//! What queued while the last commit was in flight is the next batch: no timer, self-clocked. One flush task per lane
//! owns connection and reply ports and answers by itself, so a crash of the actor hides no truth. The main lane never
//! waits for a head that somebody else holds: rows of such an event go to the side lane, which does. Row faults are found
//! by bisection.

mod flush;
pub(crate) mod lanes;

use crate::entry::{EnterError, Pending};
use crate::root::{Address, Child, OnExhausted, Root};
use domain::dashboard::Commit;
use domain::ids::EventId;
use flush::{FlushGuard, flush};
use lanes::{Lane, Lanes};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::sync::Arc;
use std::time::Duration;
use storage::Store;
use storage::crypto::Keyring;
use tokio_util::task::TaskTracker;

/// Rows of one commit at most. With twice as many, a thousand customers who never pause get some eight percent more stored (256
/// of them get no more); but for as long as the statement runs, the database has a processor to itself, and on a small machine
/// who is refused waits for it. With a disk that takes 10 ms to make a commit durable, some 9,000 a second are left.
pub(crate) const MAX_BATCH: usize = 128;

/// Handle on the journal.
#[derive(Clone)]
pub(crate) struct Journal {
    at: Address<Msg>,
}

impl Journal {
    /// Makes the handle. Entries are refused until the actor is started.
    pub(crate) fn new() -> Self {
        Self { at: Address::new() }
    }

    pub(crate) async fn start(&self, deps: Deps, root: &Root) -> Result<(), ractor::SpawnErr> {
        let deps = Arc::new(deps);
        let make = move || (JournalActor, deps.clone());
        root.adopt(Child::new("journal", "journal", OnExhausted::Fail, &self.at, make)).await
    }

    /// Hands an entry over; the reply comes after the commit.
    pub(crate) fn submit(&self, entry: Pending) {
        if let Err(Some(Msg::Submit(entry))) = self.at.cast(Msg::Submit(Box::new(entry))) {
            entry.reply(Err(EnterError::Overloaded));
        }
    }

    /// Ends it by its own protocol, when buffer and flush are empty. Who waits for the tasks waits for the answers too.
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
    /// Answers when everything is stored; its tasks may still be answering.
    Finish(RpcReplyPort<()>),
}

/// What hears of every batch.
pub(crate) trait BatchListener: Send + Sync {
    /// Entries of an event were stored. Called before any customer is answered.
    fn committed(&self, event: EventId, commit: Commit);
    /// Entries of an event were stored by an attempt that was not answered, up to this version of its log.
    fn overlooked(&self, event: EventId, version: i64);
    /// Storage takes no entries of an event.
    fn gate_shut(&self, event: EventId);
    /// Storage took a batch whose oldest entry had waited for so long.
    fn batch_taken(&self, waited: Duration);
    /// Returns true while entries are refused because too many are in flight.
    fn is_full(&self) -> bool;
}

pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) keys: Keyring,
    pub(crate) listener: Arc<dyn BatchListener>,
    pub(crate) tracker: TaskTracker,
    pub(crate) rows_per_second: Option<u32>,
}

struct JournalActor;

struct State {
    deps: Arc<Deps>,
    lanes: Lanes<EventId, Pending>,
    finishing: Option<RpcReplyPort<()>>,
}

impl Actor for JournalActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(&self, _: ActorRef<Msg>, deps: Arc<Deps>) -> Result<State, ActorProcessingErr> {
        Ok(State { deps, lanes: Lanes::new(|entry: &Pending| entry.row.event, MAX_BATCH), finishing: None })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Submit(entry) => s.lanes.submit(*entry),
            Msg::Flushed(lane, held) => s.lanes.flushed(lane, held),
            Msg::Finish(reply) => s.finishing = Some(reply),
        }
        for lane in Lane::ALL {
            if let Some(batch) = s.lanes.batch(lane) {
                let (deps, back) = (s.deps.clone(), FlushGuard::new(myself.clone(), lane));
                s.deps.tracker.spawn(async move { flush(&deps, lane, batch, back).await });
            }
        }
        if s.lanes.is_idle()
            && let Some(reply) = s.finishing.take()
        {
            let _ = reply.send(());
        }
        Ok(())
    }
}
