//! One batch on its way: written, told, answered, in a task of its own.
//!
//! The events of target `journal` name the points between which a crash must hide nothing; `load-tests crash` dies at each.

use super::lanes::Lane;
use super::{Deps, Msg};
use crate::entry::{EnterError, Pending, Ticket};
use domain::dashboard::Commit;
use domain::entry::Verdict;
use domain::ids::EventId;
use futures_util::future::BoxFuture;
use ractor::ActorRef;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::entries::{NewEntry, StoredBatch, enter_batch};
use storage::{StorageError, Store};
use uuid::Uuid;

/// Time for which a batch is tried again after a lost connection, before its callers get 503.
const MAX_UNANSWERED: Duration = Duration::from_millis(2_500);
/// Customers answered before other tasks run: a whole batch at once would keep these waiting.
const ANSWERS_PER_GROUP: usize = 32;
/// Under overload, time between two groups of answers, so that refusals get processor time.
const GROUP_INTERVAL: Duration = Duration::from_millis(1);
/// Share of a batch's time over which its answers are spread, so that they are no storm of their own: they end
/// before the next ones begin, and an entry waits a fifth longer than it does then anyway.
const SPREAD_SHARE: f64 = 0.75;
/// Pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Tells the journal that a flush ended, however it ended.
pub(super) struct FlushGuard {
    journal: ActorRef<Msg>,
    lane: Lane,
    held: Vec<Pending>,
}

impl FlushGuard {
    pub(super) fn new(journal: ActorRef<Msg>, lane: Lane) -> Self {
        Self { journal, lane, held: Vec::new() }
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let _ = self.journal.cast(Msg::Flushed(self.lane, std::mem::take(&mut self.held)));
    }
}

/// What became of a batch.
#[derive(Default)]
struct BatchOutcome {
    /// Rows whose head is held: back to the journal.
    held: Vec<Pending>,
    answers: Vec<Answer>,
}

/// The customer to be answered, the row's id, and the answer.
type Answer = (Ticket, Uuid, Result<Verdict, EnterError>);

/// Stores a batch and answers everyone in it, but those whose head is held: these go back.
pub(super) async fn flush(deps: &Arc<Deps>, lane: Lane, batch: Vec<Pending>, mut back: FlushGuard) {
    let (started, size) = (Instant::now(), batch.len());
    let judged = store(deps, lane, batch).await;
    let took = started.elapsed();
    metrics::histogram!("journal_flush_seconds").record(took.as_secs_f64());
    metrics::histogram!("journal_batch_rows").record(size as f64);
    back.held = judged.held;
    // The next batch goes out first: the database works while these are answered.
    drop(back);
    answer(deps, judged.answers, took).await;
}

fn store(deps: &Arc<Deps>, lane: Lane, batch: Vec<Pending>) -> BoxFuture<'_, BatchOutcome> {
    Box::pin(async move {
        let (rows, mut tickets): (Vec<NewEntry>, Vec<Ticket>) = batch.into_iter().map(|p| (p.row, p.ticket)).unzip();
        let rows = Arc::new(rows);
        tracing::trace!(target: "journal", point = "taken");
        let ((written, lost), ()) = tokio::join!(write(&deps.store, lane, &rows), slowed(deps, rows.len()));
        if lost {
            tickets.iter_mut().for_each(|t| t.maybe_stored = true);
        }
        // An entry in the side lane waits for another transaction's lock, not for storage.
        if let (Lane::Main, Some(oldest)) = (lane, tickets.first()) {
            deps.listener.batch_taken(oldest.since.elapsed());
        }
        // The unit of work has ended: nobody else holds the rows.
        let rows = Arc::try_unwrap(rows).unwrap_or_else(|tools| tools.to_vec());
        match written {
            Ok(stored) => {
                tell(deps, stored.commits, stored.before);
                tell_shut(deps, &rows, &stored.verdicts);
                judge(rows, tickets, stored.verdicts)
            }
            Err(
                e @ (StorageError::Lost(_)
                | StorageError::Contended
                | StorageError::Busy
                | StorageError::Unreachable(_)),
            ) => refuse(rows, tickets, &e),
            // A row is at fault: halve until it is alone.
            Err(e) if tickets.len() == 1 => refuse(rows, tickets, &e),
            Err(_) => {
                let mut left: Vec<_> =
                    rows.into_iter().zip(tickets).map(|(row, ticket)| Pending { row, ticket }).collect();
                let right = left.split_off(left.len() / 2);
                let left = store(deps, lane, left).await;
                // The other half may take long: nobody who is stored waits for it.
                answer(deps, left.answers, Duration::ZERO).await;
                let mut judged = store(deps, lane, right).await;
                judged.held.splice(..0, left.held);
                judged
            }
        }
    })
}

/// Load tests ask what overload does to storage that takes so many rows a second.
async fn slowed(deps: &Deps, rows: usize) {
    if let Some(rows_per_second) = deps.rows_per_second {
        tokio::time::sleep(Duration::from_secs_f64(rows as f64 / f64::from(rows_per_second.max(1)))).await;
    }
}

/// The statement, tried again while nothing is known: the verdicts of the same batch tell the truth. With it, whether an
/// attempt was not answered: it may have stored rows that a later one finds held, or refuses.
async fn write(store: &Store, lane: Lane, rows: &Arc<Vec<NewEntry>>) -> (Result<StoredBatch, StorageError>, bool) {
    let begun = Instant::now();
    let (mut skip_held, mut lost) = (lane == Lane::Main, false);
    loop {
        let batch = rows.clone();
        let result = store.run_writer(async move |c| enter_batch(c, &batch, skip_held).await).await;
        match result {
            Err(StorageError::Contended) if !skip_held => skip_held = true,
            Err(e @ (StorageError::Lost(_) | StorageError::Unreachable(_) | StorageError::Busy)) => {
                lost |= matches!(e, StorageError::Lost(_));
                if begun.elapsed() > MAX_UNANSWERED {
                    return (Err(e), lost);
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            other => return (other, lost),
        }
    }
}

/// Tells the actors (a cast) before any customer is answered: whoever was answered reads at least that.
fn tell(deps: &Deps, commits: Vec<(EventId, Commit)>, before: Vec<(EventId, i64)>) {
    tracing::trace!(target: "journal", point = "stored");
    for (event, commit) in commits {
        deps.listener.committed(event, commit);
    }
    for (event, version) in before {
        deps.listener.overlooked(event, version);
    }
    tracing::trace!(target: "journal", point = "told");
}

/// Actors that took entries of an event that is not open look again: somebody else may have shut it.
fn tell_shut(deps: &Deps, rows: &[NewEntry], verdicts: &[Option<Verdict>]) {
    let shut = |v: &Option<Verdict>| matches!(v, Some(Verdict::NotOpen | Verdict::Ended));
    let events = rows.iter().zip(verdicts).filter(|(_, v)| shut(v)).map(|(row, _)| row.event);
    for event in events.collect::<BTreeSet<_>>() {
        deps.listener.gate_shut(event);
    }
}

fn judge(rows: Vec<NewEntry>, tickets: Vec<Ticket>, verdicts: Vec<Option<Verdict>>) -> BatchOutcome {
    let mut judged = BatchOutcome { held: Vec::new(), answers: Vec::with_capacity(rows.len()) };
    for ((row, ticket), verdict) in rows.into_iter().zip(tickets).zip(verdicts) {
        match verdict {
            Some(verdict) => judged.answers.push((ticket, row.id, Ok(verdict))),
            // Nothing was stored of it: after a while that is said.
            None if ticket.since.elapsed() > MAX_UNANSWERED => {
                judged.answers.push((ticket, row.id, Err(EnterError::Overloaded)));
            }
            None => judged.held.push(Pending { row, ticket }),
        }
    }
    judged
}

/// A few at a time; in a storm spread over the time that the next batch takes.
async fn answer(deps: &Deps, answers: Vec<Answer>, took: Duration) {
    let storm = deps.listener.is_full();
    let at_once = if storm { share(answers.len(), took) } else { ANSWERS_PER_GROUP };
    let mut breath = tokio::time::interval(GROUP_INTERVAL);
    let mut answers = answers.into_iter().peekable();
    while answers.peek().is_some() {
        if storm {
            breath.tick().await;
        }
        for (ticket, row, verdict) in answers.by_ref().take(at_once) {
            match verdict {
                Ok(verdict) => ticket.judged(&deps.keys, row, verdict),
                Err(why) => ticket.refuse(why),
            }
        }
        tokio::task::yield_now().await;
    }
    tracing::trace!(target: "journal", point = "answered");
}

/// How many answers go out between two breaths.
fn share(answers: usize, took: Duration) -> usize {
    let breaths = (took.mul_f64(SPREAD_SHARE).as_nanos() / GROUP_INTERVAL.as_nanos()).max(1);
    answers.div_ceil(usize::try_from(breaths).unwrap_or(usize::MAX)).clamp(1, ANSWERS_PER_GROUP)
}

fn refuse(rows: Vec<NewEntry>, tickets: Vec<Ticket>, e: &StorageError) -> BatchOutcome {
    tracing::error!(error = %e, rows = tickets.len(), "a batch of entries was not stored");
    let refused = tickets.into_iter().zip(rows).map(|(ticket, row)| (ticket, row.id, Err(EnterError::Overloaded)));
    BatchOutcome { held: Vec::new(), answers: refused.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_spread_over_what_a_batch_takes() {
        let ms = Duration::from_millis;
        for (answers, took, at_once) in
            [(128, ms(24), 8), (128, ms(4), 32), (128, ms(0), 32), (1, ms(24), 1), (128, ms(10_000), 1), (20, ms(8), 4)]
        {
            assert_eq!(share(answers, took), at_once, "{answers} after {took:?}");
        }
    }
}
