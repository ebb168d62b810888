//! The public bodies of drawn events: made once off the runtime's threads, kept while there is room, looked at again when
//! something may have changed.

use super::draws::bodies_of;
use super::finished::FinishedBody;
use crate::error::{ApiResult, Problem};
use crate::state::App;
use axum::http::StatusCode;
use domain::event::Event;
use domain::ids::EventId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use storage::draws::DrawVersion;

/// Bytes of finished bodies kept over all events, their codings included: some six draws of 100,000 entries.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;
/// Between two looks at the database: what another node changed is seen by then, a change here at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is read of a draw.
pub(crate) struct DrawBodies {
    /// The proof: what `madang draw verify` recomputes.
    pub(crate) proof: Arc<FinishedBody>,
    /// The holders of the prizes, with masked phones.
    pub(crate) winners: Arc<FinishedBody>,
    /// The owner's list of draws.
    pub(crate) list: Arc<FinishedBody>,
}

impl DrawBodies {
    fn size(&self) -> usize {
        self.proof.size() + self.winners.size() + self.list.size()
    }
}

/// The bodies of one event as they were last found.
#[derive(Clone)]
struct KeptBodies {
    version: DrawVersion,
    changes: u64,
    looked: Instant,
    bodies: Arc<DrawBodies>,
}

/// One event's place.
#[derive(Default)]
struct DrawSlot {
    /// Rises with each change that this process made.
    changes: AtomicU64,
    /// The number of the last request for it, over all events.
    last_request: AtomicU64,
    /// One at a time makes them.
    turn: Arc<tokio::sync::Mutex<()>>,
    kept: Mutex<Option<KeptBodies>>,
}

/// Finished bodies by event.
#[derive(Default)]
pub(crate) struct PublishedDraws {
    slots: Mutex<HashMap<EventId, Arc<DrawSlot>>>,
    requests: AtomicU64,
}

impl PublishedDraws {
    /// Returns the bodies of an event's draw.
    ///
    /// # Errors
    /// 404 before the draw, or the database does not answer.
    pub(crate) async fn of(&self, app: &App, event: &Arc<Event>) -> ApiResult<Arc<DrawBodies>> {
        let slot = self.slot(event.id);
        if let Some(current) = slot.current(event.revision) {
            return Ok(current);
        }
        let turn = match slot.turn.clone().try_lock_owned() {
            Ok(turn) => turn,
            // Another reader looks already: until it knows more, what is kept is as good as a moment ago.
            Err(_) => match slot.unchanged(event.revision) {
                Some(kept) => return Ok(kept.bodies),
                None => slot.turn.clone().lock_owned().await,
            },
        };
        if let Some(current) = slot.current(event.revision) {
            return Ok(current);
        }
        // In a task of its own: readers who leave do not have it begun anew by the next.
        let (app, event, id) = (app.clone(), event.clone(), event.id);
        let making = app.tracker.clone().spawn(async move {
            let _turn = turn;
            let made = slot.make(&app, &event).await;
            match &made {
                Ok(bodies) => app.published.make_room(event.id, bodies.size()),
                Err(problem) if problem.status == StatusCode::NOT_FOUND => app.published.forget(event.id),
                Err(_) => {}
            }
            made
        });
        making.await.unwrap_or_else(|e| {
            tracing::error!(event = %id, error = %e, "a draw's file was not made");
            Err(Problem::overloaded("overloaded"))
        })
    }

    fn slot(&self, event: EventId) -> Arc<DrawSlot> {
        let slot = self.slots.lock().entry(event).or_default().clone();
        slot.last_request.store(self.requests.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot
    }

    /// Something was passed on: who reads after this sees it.
    pub(crate) fn changed(&self, event: EventId) {
        if let Some(slot) = self.slots.lock().get(&event) {
            slot.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Forgets an event without a draw, unless somebody else found one meanwhile.
    fn forget(&self, event: EventId) {
        let mut slots = self.slots.lock();
        if slots.get(&event).is_some_and(|slot| slot.size() == 0) {
            slots.remove(&event);
        }
    }

    /// Forgets the least recently read of the others until this one fits beside the rest.
    fn make_room(&self, event: EventId, size: usize) {
        let mut slots = self.slots.lock();
        let others = slots.iter().filter(|(id, _)| **id != event);
        let others = others.map(|(id, slot)| (slot.last_request.load(Ordering::Relaxed), *id, slot.size())).collect();
        for gone in evicted(others, MAX_KEPT_BYTES.saturating_sub(size)) {
            slots.remove(&gone);
        }
    }
}

/// Chooses what goes so that the rest fits into so many bytes: the least recently read first. Each is the number of its
/// last request, its event and its bytes; one without bytes is being made, and stays.
fn evicted(mut kept: Vec<(u64, EventId, usize)>, room: usize) -> Vec<EventId> {
    let mut total: usize = kept.iter().map(|(.., size)| size).sum();
    kept.retain(|(.., size)| *size > 0);
    kept.sort_unstable_by_key(|(request, ..)| *request);
    let mut gone = Vec::new();
    for (_, event, size) in kept {
        if total <= room {
            break;
        }
        total -= size;
        gone.push(event);
    }
    gone
}

impl DrawSlot {
    fn kept(&self) -> Option<KeptBodies> {
        self.kept.lock().clone()
    }

    fn size(&self) -> usize {
        self.kept().map_or(0, |kept| kept.bodies.size())
    }

    /// Returns what is kept, if this process knows of no change since.
    fn unchanged(&self, revision: i64) -> Option<KeptBodies> {
        let changes = self.changes.load(Ordering::Acquire);
        self.kept().filter(|k| k.changes == changes && k.version.revision >= revision)
    }

    /// Returns the same, if no other node can have changed it for long either.
    fn current(&self, revision: i64) -> Option<Arc<DrawBodies>> {
        self.unchanged(revision).filter(|k| k.looked.elapsed() < LOOK_AGAIN).map(|k| k.bodies)
    }

    fn keep(&self, kept: KeptBodies) -> Arc<DrawBodies> {
        let bodies = kept.bodies.clone();
        *self.kept.lock() = Some(kept);
        bodies
    }

    /// Looks at the draw, and makes the bodies where it changed. While the database is away, what is kept is sent on. The
    /// caller holds the turn.
    async fn make(&self, app: &App, event: &Arc<Event>) -> ApiResult<Arc<DrawBodies>> {
        let (id, changes) = (event.id, self.changes.load(Ordering::Acquire));
        let look = app.store().run(async move |c| storage::draws::version(c, id).await);
        let version = match look.await {
            Ok(version) => version.ok_or_else(Problem::not_found)?,
            Err(e) => {
                return match self.unchanged(event.revision).filter(|_| e.is_passing()) {
                    Some(kept) => Ok(self.keep(KeptBodies { looked: Instant::now(), ..kept })),
                    None => Err(e.into()),
                };
            }
        };
        let bodies = match self.kept().filter(|k| k.version == version) {
            Some(same) => same.bodies,
            None => Arc::new(bodies_of(app, event).await?),
        };
        Ok(self.keep(KeptBodies { version, changes, looked: Instant::now(), bodies }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case H2: one event more costs the one that was read longest ago, not all.
    #[test]
    fn the_least_recently_read_goes() {
        let events: Vec<EventId> = (0..4).map(|n| EventId(uuid::Uuid::from_u128(n))).collect();
        let kept = vec![(7, events[0], 40), (3, events[1], 30), (9, events[2], 0), (5, events[3], 30)];
        assert_eq!(evicted(kept.clone(), 100), Vec::<EventId>::new());
        assert_eq!(evicted(kept.clone(), 99), [events[1]]);
        assert_eq!(evicted(kept.clone(), 69), [events[1], events[3]]);
        assert_eq!(evicted(kept, 0), [events[1], events[3], events[0]], "what is being made stays");
    }
}
