//! The one writer of entries. Tree: Root → Journal.
//!
//! What queued while the last commit was in flight is the next batch: no timer, self-clocked. One flush task at a time
//! owns connection and reply ports and answers by itself, so a crash of the actor hides no truth. Rows of an event
//! whose head is held by somebody else wait in the batch after; row faults are found by bisection.

use crate::entry::{EnterError, Pending};
use crate::events::Events;
use crate::root::{Address, Beyond, Child, Root};
use futures_util::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::crypto::Keyring;
use storage::entries::{NewEntry, Stored, enter_batch};
use storage::{StorageError, Store};
use tokio_util::task::TaskTracker;

/// Rows of one commit at most: beyond it a batch only gets later, not cheaper.
const MAX_BATCH: usize = 512;
/// How long a batch is tried again after a lost connection before its callers hear 503.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two tries of rows whose head is held.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

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
    /// The flush ended; these rows found their head held.
    Flushed(Vec<Pending>),
    /// Answers when everything is stored and answered.
    Finish(RpcReplyPort<()>),
}

pub(crate) struct Deps {
    pub(crate) store: Store,
    pub(crate) keys: Keyring,
    pub(crate) events: Events,
    pub(crate) tracker: TaskTracker,
}

struct JournalActor;

struct State {
    deps: Arc<Deps>,
    waiting: Vec<Pending>,
    flushing: bool,
    finishing: Option<RpcReplyPort<()>>,
}

impl Actor for JournalActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(&self, _: ActorRef<Msg>, deps: Arc<Deps>) -> Result<State, ActorProcessingErr> {
        Ok(State { deps, waiting: Vec::new(), flushing: false, finishing: None })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Submit(entry) => s.waiting.push(*entry),
            Msg::Flushed(mut held) => {
                s.flushing = false;
                // Those who waited longest come first.
                held.append(&mut s.waiting);
                s.waiting = held;
            }
            Msg::Finish(reply) => s.finishing = Some(reply),
        }
        if !s.flushing && !s.waiting.is_empty() {
            s.flushing = true;
            let rest = s.waiting.split_off(s.waiting.len().min(MAX_BATCH));
            let batch = std::mem::replace(&mut s.waiting, rest);
            let deps = s.deps.clone();
            let back = FlushGuard(myself);
            s.deps.tracker.spawn(async move { flush(&deps, batch, back).await });
        }
        if !s.flushing
            && s.waiting.is_empty()
            && let Some(reply) = s.finishing.take()
        {
            let _ = reply.send(());
        }
        Ok(())
    }
}

/// Whatever happens to a flush, the journal goes on.
struct FlushGuard(ActorRef<Msg>);

impl FlushGuard {
    fn done(self, held: Vec<Pending>) {
        let _ = self.0.cast(Msg::Flushed(held));
        std::mem::forget(self);
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let _ = self.0.cast(Msg::Flushed(Vec::new()));
    }
}

/// Stores a batch and answers everyone in it, but those whose head is held: these go back.
async fn flush(deps: &Arc<Deps>, batch: Vec<Pending>, back: FlushGuard) {
    let started = Instant::now();
    let size = batch.len();
    let held = store(deps, batch).await;
    metrics::histogram!("journal_flush_seconds").record(started.elapsed().as_secs_f64());
    metrics::histogram!("journal_batch_rows").record(size as f64);
    if !held.is_empty() && held.len() == size {
        tokio::time::sleep(BUSY_PAUSE).await;
    }
    back.done(held);
}

fn store(deps: &Arc<Deps>, batch: Vec<Pending>) -> BoxFuture<'_, Vec<Pending>> {
    Box::pin(async move {
        let rows: Arc<Vec<NewEntry>> = Arc::new(batch.iter().map(|p| p.row.clone()).collect());
        match write(&deps.store, &rows).await {
            Ok(stored) => answer(deps, batch, stored),
            Err(e @ (StorageError::Lost(_) | StorageError::Contended)) => refuse(batch, EnterError::OutcomeUnknown, &e),
            Err(e @ (StorageError::Busy | StorageError::Unreachable(_))) => refuse(batch, EnterError::Overloaded, &e),
            // A row is at fault: halve until it is alone.
            Err(e) if batch.len() == 1 => refuse(batch, EnterError::Overloaded, &e),
            Err(_) => {
                let mut left = batch;
                let right = left.split_off(left.len() / 2);
                let mut held = store(deps, left).await;
                held.extend(store(deps, right).await);
                held
            }
        }
    })
}

/// The statement, tried again while nothing is known: the verdicts of the same batch tell the truth.
async fn write(store: &Store, rows: &Arc<Vec<NewEntry>>) -> Result<Stored, StorageError> {
    let begun = Instant::now();
    let (mut skip_locked, mut lost) = (false, false);
    loop {
        let batch = rows.clone();
        let result = store.run(move |c| Box::pin(async move { enter_batch(c, &batch, skip_locked).await })).await;
        match result {
            Err(StorageError::Contended) => skip_locked = true,
            Err(e @ (StorageError::Lost(_) | StorageError::Unreachable(_) | StorageError::Busy)) => {
                lost |= matches!(e, StorageError::Lost(_));
                if begun.elapsed() > PATIENCE {
                    return Err(if lost { StorageError::Lost(e.to_string()) } else { e });
                }
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Tells the actors first (a cast), then the customers: whoever was answered reads at least that.
fn answer(deps: &Deps, batch: Vec<Pending>, stored: Stored) -> Vec<Pending> {
    for (event, commit) in stored.commits {
        deps.events.committed(event, commit);
    }
    let mut held = Vec::new();
    for (pending, verdict) in batch.into_iter().zip(stored.verdicts) {
        match verdict {
            Some(verdict) => pending.answer(&deps.keys, verdict),
            None => held.push(pending),
        }
    }
    held
}

fn refuse(batch: Vec<Pending>, why: EnterError, e: &StorageError) -> Vec<Pending> {
    tracing::error!(error = %e, rows = batch.len(), "a batch of entries was not stored");
    for pending in batch {
        pending.refuse_or(Err(why));
    }
    Vec::new()
}
