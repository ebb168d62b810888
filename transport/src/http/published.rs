//! The public bodies of drawn events: made once off the runtime's threads, kept while there is room, looked at again when
//! something may have changed.

use super::draws::bodies_of;
use super::finished::FinishedBody;
use crate::error::{ApiResult, Problem};
use crate::state::App;
use axum::http::StatusCode;
use domain::event::Event;
use domain::ids::EventId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use storage::draws::DrawVersion;

/// Bytes of finished bodies kept over all events, their codings included: some six draws of 100,000 entries.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;
/// What another node changed is seen within this: a change here is seen at once.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is read of a draw.
pub(crate) struct DrawBodies {
    /// The proof: what `madang draw verify` recomputes.
    pub(crate) proof: Arc<FinishedBody>,
    /// Who holds the prizes, with masked phones.
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
    /// One at a time makes them.
    turn: tokio::sync::Mutex<()>,
    kept: Mutex<Option<KeptBodies>>,
}

/// Finished bodies by event.
#[derive(Default)]
pub(crate) struct PublishedDraws(Mutex<HashMap<EventId, Arc<DrawSlot>>>);

impl PublishedDraws {
    /// Returns the bodies of an event's draw.
    ///
    /// # Errors
    /// 404 before the draw, or the database does not answer.
    pub(crate) async fn of(&self, app: &App, event: &Arc<Event>) -> ApiResult<Arc<DrawBodies>> {
        let slot = self.0.lock().expect("nobody panics holding it").entry(event.id).or_default().clone();
        if let Some(current) = slot.current(event.revision) {
            return Ok(current);
        }
        // In a task of its own: readers who leave do not have it begun anew by the next.
        let (app, event, id) = (app.clone(), event.clone(), event.id);
        let making = app.tracker.clone().spawn(async move {
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

    /// Something was passed on: who reads after this sees it.
    pub(crate) fn changed(&self, event: EventId) {
        if let Some(slot) = self.0.lock().expect("nobody panics holding it").get(&event) {
            slot.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Forgets an event without a draw, unless somebody else found one meanwhile.
    fn forget(&self, event: EventId) {
        let mut slots = self.0.lock().expect("nobody panics holding it");
        if slots.get(&event).is_some_and(|slot| slot.size() == 0) {
            slots.remove(&event);
        }
    }

    /// Forgets the others when this one does not fit beside them.
    fn make_room(&self, event: EventId, size: usize) {
        let mut slots = self.0.lock().expect("nobody panics holding it");
        let others: usize = slots.iter().filter(|(id, _)| **id != event).map(|(_, slot)| slot.size()).sum();
        if others + size > MAX_KEPT_BYTES {
            slots.retain(|id, _| *id == event);
        }
    }
}

impl DrawSlot {
    fn kept(&self) -> Option<KeptBodies> {
        self.kept.lock().expect("nobody panics holding it").clone()
    }

    fn size(&self) -> usize {
        self.kept().map_or(0, |kept| kept.bodies.size())
    }

    /// Returns what is kept, if nothing can have changed since it was looked at.
    fn current(&self, revision: i64) -> Option<Arc<DrawBodies>> {
        let changes = self.changes.load(Ordering::Acquire);
        let fresh =
            |k: &KeptBodies| k.changes == changes && k.version.revision >= revision && k.looked.elapsed() < LOOK_AGAIN;
        self.kept().filter(fresh).map(|k| k.bodies)
    }

    /// Looks at the draw, and makes the bodies where it changed.
    async fn make(&self, app: &App, event: &Arc<Event>) -> ApiResult<Arc<DrawBodies>> {
        let _turn = self.turn.lock().await;
        if let Some(current) = self.current(event.revision) {
            return Ok(current);
        }
        let (id, changes) = (event.id, self.changes.load(Ordering::Acquire));
        let version = app.store().run(move |c| Box::pin(async move { storage::draws::version(c, id).await })).await?;
        let version = version.ok_or_else(Problem::not_found)?;
        let bodies = match self.kept().filter(|k| k.version == version) {
            Some(same) => same.bodies,
            None => Arc::new(bodies_of(app, event).await?),
        };
        let kept = KeptBodies { version, changes, looked: Instant::now(), bodies: bodies.clone() };
        *self.kept.lock().expect("nobody panics holding it") = Some(kept);
        Ok(bodies)
    }
}
