//! Admission before the mailbox, which is unbounded: a permit travels with the entry until its reply.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Entries in flight at most: at 20,000 entries a second, a fifth of a second of work.
pub const MAX_ENTRIES: usize = 4_096;
/// When to come back after a refusal.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The gate in front of the journal.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Semaphore>);

/// A place among the entries in flight; dropped with the reply.
#[derive(Debug)]
pub struct Place(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Admission {
    /// A gate for `places` entries in flight.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Is there no place now? Asked before anything is spent on an entry; [`Admission::enter`] decides.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.available_permits() == 0
    }

    /// A place, or none at once.
    #[must_use]
    pub fn enter(&self) -> Option<Place> {
        self.0.clone().try_acquire_owned().ok().map(Place)
    }
}
