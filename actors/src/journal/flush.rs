//! One batch on its way: written, told, answered, in a task of its own.
//!
//! The events of target `journal` name the points between which a crash must hide nothing; `load-tests crash` dies at each.

use super::lanes::Lane;
use super::{Deps, Msg};
use crate::entry::{EnterError, Pending, Ticket};
use futures_util::future::BoxFuture;
use ractor::ActorRef;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::entries::{NewEntry, Stored, enter_batch};
use storage::{StorageError, Store};

/// How long a batch is tried again after a lost connection before its callers hear 503.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Whatever happens to a flush, the journal goes on.
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

/// Stores a batch and answers everyone in it, but those whose head is held: these go back.
pub(super) async fn flush(deps: &Arc<Deps>, lane: Lane, batch: Vec<Pending>, mut back: FlushGuard) {
    let (started, size) = (Instant::now(), batch.len());
    if let Some(rate) = deps.rows_per_second {
        tokio::time::sleep(Duration::from_secs_f64(size as f64 / f64::from(rate.max(1)))).await;
    }
    back.held = store(deps, lane, batch).await;
    metrics::histogram!("journal_flush_seconds").record(started.elapsed().as_secs_f64());
    metrics::histogram!("journal_batch_rows").record(size as f64);
}

fn store(deps: &Arc<Deps>, lane: Lane, batch: Vec<Pending>) -> BoxFuture<'_, Vec<Pending>> {
    Box::pin(async move {
        let (rows, mut tickets): (Vec<NewEntry>, Vec<Ticket>) = batch.into_iter().map(|p| (p.row, p.ticket)).unzip();
        let rows = Arc::new(rows);
        tracing::trace!(target: "journal", point = "taken");
        let (written, lost) = write(&deps.store, lane, &rows).await;
        if lost {
            tickets.iter_mut().for_each(|t| t.maybe_stored = true);
        }
        // The unit of work has ended: nobody else holds the rows.
        let rows = Arc::try_unwrap(rows).unwrap_or_else(|shared| shared.to_vec());
        match written {
            Ok(stored) => answer(deps, rows, tickets, stored),
            Err(
                e @ (StorageError::Lost(_)
                | StorageError::Contended
                | StorageError::Busy
                | StorageError::Unreachable(_)),
            ) => refuse(tickets, &e),
            // A row is at fault: halve until it is alone.
            Err(e) if tickets.len() == 1 => refuse(tickets, &e),
            Err(_) => {
                let mut left: Vec<_> =
                    rows.into_iter().zip(tickets).map(|(row, ticket)| Pending { row, ticket }).collect();
                let right = left.split_off(left.len() / 2);
                let mut held = store(deps, lane, left).await;
                held.extend(store(deps, lane, right).await);
                held
            }
        }
    })
}

/// The statement, tried again while nothing is known: the verdicts of the same batch tell the truth. With it, whether an
/// attempt was not answered: it may have stored rows that a later one finds held, or refuses.
async fn write(store: &Store, lane: Lane, rows: &Arc<Vec<NewEntry>>) -> (Result<Stored, StorageError>, bool) {
    let begun = Instant::now();
    let (mut skip_held, mut lost) = (lane == Lane::Main, false);
    loop {
        let batch = rows.clone();
        let result = store.run_writer(move |c| Box::pin(async move { enter_batch(c, &batch, skip_held).await })).await;
        match result {
            Err(StorageError::Contended) if !skip_held => skip_held = true,
            Err(e @ (StorageError::Lost(_) | StorageError::Unreachable(_) | StorageError::Busy)) => {
                lost |= matches!(e, StorageError::Lost(_));
                if begun.elapsed() > PATIENCE {
                    return (Err(e), lost);
                }
                tokio::time::sleep(PAUSE).await;
            }
            other => return (other, lost),
        }
    }
}

/// Tells the actors first (a cast), then the customers: whoever was answered reads at least that.
fn answer(deps: &Deps, rows: Vec<NewEntry>, tickets: Vec<Ticket>, stored: Stored) -> Vec<Pending> {
    tracing::trace!(target: "journal", point = "stored");
    for (event, commit) in stored.commits {
        deps.events.committed(event, commit);
    }
    for (event, version) in stored.before {
        deps.events.overlooked(event, version);
    }
    tracing::trace!(target: "journal", point = "told");
    let mut held = Vec::new();
    for ((row, ticket), verdict) in rows.into_iter().zip(tickets).zip(stored.verdicts) {
        match verdict {
            Some(verdict) => ticket.judged(&deps.keys, row.id, verdict),
            // Nothing was stored of it: after a while that is said.
            None if ticket.since.elapsed() > PATIENCE => ticket.refuse(EnterError::Overloaded),
            None => held.push(Pending { row, ticket }),
        }
    }
    tracing::trace!(target: "journal", point = "answered");
    held
}

fn refuse(tickets: Vec<Ticket>, e: &StorageError) -> Vec<Pending> {
    tracing::error!(error = %e, rows = tickets.len(), "a batch of entries was not stored");
    for ticket in tickets {
        ticket.refuse(EnterError::Overloaded);
    }
    Vec::new()
}
