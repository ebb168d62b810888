//! What is not to be believed in Redis: keys whose newest value may not have arrived.
//!
//! A Redis that takes no writes (a replica, a full memory) answers reads as if nothing had happened, also long after it takes
//! writes again. A key is in doubt from the beginning of a write until Redis has acknowledged it or the key's deletion; what is
//! in doubt misses. While writes are refused nothing is believed: another process may have failed to write as well.

use super::ttl;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Keys remembered, some 10 MB. Past it nothing is believed until every value of then has expired.
const MAX_KEYS: usize = 100_000;
/// Nothing is believed for this long after a refused write: three rounds of every other process that deletes what it doubts.
const DISTRUST: Duration = Duration::from_secs(6);

/// The keys in doubt.
#[derive(Default)]
pub struct Doubts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: HashMap<String, Doubt>,
    /// Number of the last write.
    writes: u64,
    /// When a key in doubt was last not remembered.
    overflowed_at: Option<Instant>,
    refused_at: Option<Instant>,
    refusing: bool,
}

#[derive(Clone, Copy)]
struct Doubt {
    write: u64,
    /// The write has not ended.
    under_way: bool,
}

/// A write under way; dropped before it arrived, the key stays in doubt.
pub(super) struct Write<'d> {
    doubts: &'d Doubts,
    key: &'d str,
    number: u64,
}

impl Write<'_> {
    /// Redis has acknowledged it: what it holds is the newest value, unless a later write is under way.
    pub(super) fn arrived(self) {
        self.doubts.settle(self.key, self.number);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(doubt) = self.doubts.lock().keys.get_mut(self.key).filter(|d| d.write == self.number) {
            doubt.under_way = false;
        }
    }
}

impl Doubts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A write begins.
    pub(super) fn write<'d>(&'d self, key: &'d str) -> Write<'d> {
        let mut state = self.lock();
        state.writes += 1;
        let number = state.writes;
        if state.keys.len() < MAX_KEYS || state.keys.contains_key(key) {
            state.keys.insert(key.to_owned(), Doubt { write: number, under_way: true });
        } else {
            if state.overflowed_at.replace(Instant::now()).is_none() {
                tracing::error!(
                    keys = MAX_KEYS,
                    "more keys in doubt than are remembered: nothing of Redis is believed"
                );
            }
        }
        Write { doubts: self, key, number }
    }

    /// The key is not in doubt any more, if that write was the last one.
    pub(super) fn settle(&self, key: &str, write: u64) {
        let mut state = self.lock();
        if state.keys.get(key).is_some_and(|d| d.write == write) {
            state.keys.remove(key);
        }
    }

    /// Is the key in doubt?
    pub(super) fn about(&self, key: &str) -> bool {
        self.lock().keys.contains_key(key)
    }

    /// Some of the keys whose write failed, with the number of that write: to be deleted.
    pub(super) fn failed(&self, at_most: usize) -> Vec<(String, u64)> {
        let state = self.lock();
        let failed = state.keys.iter().filter(|(_, doubt)| !doubt.under_way);
        failed.take(at_most).map(|(key, doubt)| (key.clone(), doubt.write)).collect()
    }

    /// Redis has refused a write. Returns true when it took the one before.
    pub(super) fn refused(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.refused_at = Some(now);
        !std::mem::replace(&mut state.refusing, true)
    }

    /// Redis has taken a write. Returns true when it refused the one before.
    pub(super) fn taken(&self) -> bool {
        std::mem::replace(&mut self.lock().refusing, false)
    }

    /// Is anything in Redis to be believed?
    pub(super) fn trusts(&self, now: Instant) -> bool {
        let state = self.lock();
        state.overflowed_at.is_none()
            && !state.refusing
            && state.refused_at.is_none_or(|at| now.duration_since(at) >= DISTRUST)
    }

    /// Were more keys in doubt than are remembered?
    pub(super) fn has_overflowed(&self) -> bool {
        self.lock().overflowed_at.is_some()
    }

    /// Believes again, once no key is in doubt and no value is left that a forgotten key may have. Returns true when it does.
    pub(super) fn recover(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let expired = state.overflowed_at.is_some_and(|at| now.saturating_duration_since(at) > ttl::LONGEST);
        let recovers = expired && state.keys.is_empty();
        if recovers {
            state.overflowed_at = None;
        }
        recovers
    }

    /// Does Redis refuse writes?
    pub(super) fn is_refusing(&self) -> bool {
        self.lock().refusing
    }

    /// How many keys are in doubt.
    pub(super) fn len(&self) -> usize {
        self.lock().keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case n8n #25038: a value that was not written over is not believed, also when Redis takes writes again.
    #[test]
    fn a_key_is_in_doubt_until_its_last_write_arrived() {
        let doubts = Doubts::default();
        let first = doubts.write("k");
        assert!(doubts.about("k") && doubts.failed(9).is_empty(), "under way, not failed");
        first.arrived();
        assert!(!doubts.about("k"));
        drop(doubts.write("k"));
        let failed = doubts.failed(9);
        assert_eq!((doubts.about("k"), failed.len(), doubts.len()), (true, 1, 1));
        let later = doubts.write("k");
        doubts.settle("k", failed[0].1);
        assert!(doubts.about("k"), "deleting what an earlier write left does not settle a later one");
        let latest = doubts.write("k");
        later.arrived();
        assert!(doubts.about("k"), "an earlier write arrived");
        latest.arrived();
        assert_eq!(doubts.len(), 0);
    }

    #[test]
    fn nothing_is_believed_while_writes_are_refused_and_a_while_after() {
        let (doubts, now) = (Doubts::default(), Instant::now());
        assert!(doubts.trusts(now));
        assert!(doubts.refused(now) && !doubts.refused(now), "told once");
        assert!(!doubts.trusts(now + DISTRUST) && doubts.is_refusing());
        assert!(doubts.taken() && !doubts.taken());
        assert!(!doubts.trusts(now) && doubts.trusts(now + DISTRUST));
    }

    #[test]
    fn more_keys_than_are_remembered_are_none_to_believe() {
        let doubts = Doubts::default();
        (0..=MAX_KEYS).for_each(|n| drop(doubts.write(&n.to_string())));
        let now = Instant::now();
        assert_eq!(doubts.len(), MAX_KEYS);
        assert!(!doubts.trusts(now) && doubts.has_overflowed());
        let all = [ttl::BUSINESS, ttl::RECOMMENDATION, ttl::JOB, ttl::DASHBOARD];
        assert_eq!(all.iter().max(), Some(&ttl::LONGEST));
        let later = now + ttl::LONGEST + Duration::from_secs(1);
        assert!(!doubts.recover(later), "keys are in doubt still");
        doubts.failed(MAX_KEYS).iter().for_each(|(key, write)| doubts.settle(key, *write));
        assert!(!doubts.recover(now), "values of then are left");
        assert!(doubts.recover(later) && !doubts.recover(later), "told once");
        assert!(doubts.trusts(later) && !doubts.has_overflowed());
    }
}
