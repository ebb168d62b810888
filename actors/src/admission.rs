//! Admission before the mailbox, which is unbounded: a place travels with the entry until its reply.
//!
//! How many places there are follows Little's law: as many as are answered within 30 ms at the pace of storage now. A
//! burst on a quiet server finds them all; a storm on a slow disk finds few, so that who gets in is answered soon and who
//! does not hears so at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Entries in flight at most: at 20,000 entries a second, a fifth of a second of work.
pub const MAX_ENTRIES: usize = 4_096;
/// Batches that fit at least, however slow storage is: one on its way, and the next one.
const MIN_BATCHES: usize = 2;
/// How long an entry may wait for its commit before fewer are let in: no longer than storage needs to always find a full
/// batch. A longer queue stores no more; in a storm of five times what storage takes, 100 ms had everybody wait three times
/// as long, and everything cost more in three of four pairs of runs (7 to 19 percent): what waits gets cold.
const MAX_ENTRY_WAIT: Duration = Duration::from_millis(30);

/// The gate in front of the journal.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    least: usize,
    most: usize,
    places: AtomicUsize,
    taken: AtomicUsize,
}

/// A place among the entries in flight; dropped with the reply.
#[derive(Debug)]
pub struct AdmissionPermit(Arc<Gate>);

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        // The last one out leaves a quiet server: however slow storage is, nobody waits for anybody.
        if self.0.taken.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.set(self.0.most);
        }
    }
}

impl Gate {
    fn set(&self, places: usize) {
        if self.places.swap(places, Ordering::AcqRel) != places {
            metrics::gauge!("entries_places").set(places as f64);
        }
    }
}

impl Admission {
    /// Returns a gate for at most `places` entries in flight, which are stored `batch` at a time.
    #[must_use]
    pub fn new(places: usize, batch: usize) -> Self {
        metrics::gauge!("entries_places").set(places as f64);
        Self(Arc::new(Gate {
            least: places.min(MIN_BATCHES * batch),
            most: places,
            places: AtomicUsize::new(places),
            taken: AtomicUsize::new(0),
        }))
    }

    /// Is there no place now? Asked before anything is spent on an entry; [`Admission::enter`] decides.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.taken.load(Ordering::Acquire) >= self.0.places.load(Ordering::Acquire)
    }

    /// A place, or none at once.
    #[must_use]
    pub fn enter(&self) -> Option<AdmissionPermit> {
        // A permit over the limit is given back as it is dropped.
        let place = AdmissionPermit(self.0.clone());
        let before = self.0.taken.fetch_add(1, Ordering::AcqRel);
        (before < self.0.places.load(Ordering::Acquire)).then_some(place)
    }

    /// Storage took a batch whose oldest entry had waited for so long. One batch at a time says so.
    pub fn paced(&self, waited: Duration) {
        let (taken, places) = (self.0.taken.load(Ordering::Acquire), self.0.places.load(Ordering::Acquire));
        let places = places_after(places, taken, waited).clamp(self.0.least, self.0.most);
        self.0.set(places);
    }
}

/// Little's law, an eighth at a time: a single slow commit closes nobody out, a slow disk does within some twenty batches.
fn places_after(places: usize, taken: usize, waited: Duration) -> usize {
    let step = (places / 8).max(1);
    if waited <= MAX_ENTRY_WAIT {
        return places + step;
    }
    if taken < places / 2 {
        // A few entries do not wait for each other: a commit was slow.
        return places;
    }
    let wanted = taken as f64 * MAX_ENTRY_WAIT.as_secs_f64() / waited.as_secs_f64();
    (wanted as usize).clamp(places.saturating_sub(step), places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BATCH: usize = 128;
    const LEAST: usize = MIN_BATCHES * BATCH;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let gate = Admission::new(2, BATCH);
        let (first, second) = (gate.enter(), gate.enter());
        assert!(first.is_some() && second.is_some() && gate.is_full() && gate.enter().is_none());
        drop(first);
        assert!(!gate.is_full() && gate.enter().is_some());
    }

    #[test]
    fn a_slow_disk_without_a_crowd_closes_nobody_out() {
        let gate = Admission::new(MAX_ENTRIES, BATCH);
        for _ in 0..100 {
            let alone = gate.enter();
            gate.paced(Duration::from_millis(400));
            drop(alone);
        }
        let all: Vec<AdmissionPermit> = std::iter::from_fn(|| gate.enter()).collect();
        assert_eq!(all.len(), MAX_ENTRIES);
    }

    proptest! {
        /// Storage of any pace, more comers than it can take: soon everybody who gets in is answered in about the time
        /// allowed, or as soon as the least number of places lets it; and when the crowd leaves, all places come back.
        #[test]
        fn who_gets_in_is_answered_soon(rows_per_second in 500.0..100_000.0_f64, commit in 0.0..0.03_f64) {
            let gate = Admission::new(MAX_ENTRIES, BATCH);
            let mut inside = Vec::new();
            let crowd = |inside: &mut Vec<AdmissionPermit>| inside.extend(std::iter::from_fn(|| gate.enter()));
            for _ in 0..100 {
                crowd(&mut inside);
                let waited = 2.0 * commit + inside.len() as f64 / rows_per_second;
                gate.paced(Duration::from_secs_f64(waited));
                inside.truncate(inside.len().saturating_sub(BATCH));
            }
            crowd(&mut inside);
            let waited = 2.0 * commit + inside.len() as f64 / rows_per_second;
            let least = 2.0 * commit + LEAST as f64 / rows_per_second;
            prop_assert!(waited <= (MAX_ENTRY_WAIT.as_secs_f64() * 1.2).max(least + 0.001), "{waited} s for {}", inside.len());
            let left = MAX_ENTRY_WAIT.as_secs_f64() - 2.0 * commit;
            let enough = (rows_per_second * left * 0.75).min(MAX_ENTRIES as f64 * 0.9);
            prop_assert!(inside.len() as f64 >= enough.max(LEAST as f64), "{} places", inside.len());
            inside.clear();
            crowd(&mut inside);
            prop_assert_eq!(inside.len(), MAX_ENTRIES);
        }
    }
}
