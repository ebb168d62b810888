//! How often something happened lately: a sliding window per key, exact, with a bound on what is remembered.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Keys remembered at most: some ten megabytes. Beyond it the half that was quiet for longest is forgotten.
const MAX_KEYS: usize = 100_000;

/// Times per key, at most `limit` of them, none older than `span`.
pub(crate) struct Tally<K> {
    limit: usize,
    span: Duration,
    times: Mutex<HashMap<K, VecDeque<Instant>>>,
}

impl<K: Eq + Hash> Tally<K> {
    /// Allows `limit` times within `span`.
    pub(crate) fn new(limit: usize, span: Duration) -> Self {
        Self { limit, span, times: Mutex::default() }
    }

    /// How long until there is room again, when there is none.
    pub(crate) fn full(&self, key: &K, now: Instant) -> Option<Duration> {
        let mut all = self.lock();
        let times = all.get_mut(key)?;
        forget(times, self.span, now);
        let oldest = *times.front()?;
        (times.len() >= self.limit).then(|| self.span.saturating_sub(now.duration_since(oldest)))
    }

    /// Counts one. False: there is no room, and nothing was counted.
    pub(crate) fn add(&self, key: K, now: Instant) -> bool {
        let mut all = self.lock();
        if all.len() >= MAX_KEYS {
            self.tidy(&mut all, now);
        }
        let times = all.entry(key).or_default();
        forget(times, self.span, now);
        let room = times.len() < self.limit;
        if room {
            times.push_back(now);
        }
        room
    }

    /// Takes the newest one back: it did not happen after all.
    pub(crate) fn take_back(&self, key: &K) {
        let mut all = self.lock();
        let Some(times) = all.get_mut(key) else { return };
        times.pop_back();
        if times.is_empty() {
            all.remove(key);
        }
    }

    fn tidy(&self, all: &mut HashMap<K, VecDeque<Instant>>, now: Instant) {
        let recent = |times: &VecDeque<Instant>, span| times.back().is_some_and(|at| now.duration_since(*at) < span);
        all.retain(|_, times| recent(times, self.span));
        if all.len() < MAX_KEYS {
            return;
        }
        let mut newest: Vec<Instant> = all.values().filter_map(|times| times.back().copied()).collect();
        let middle = newest.len() / 2;
        let cut = *newest.select_nth_unstable(middle).1;
        all.retain(|_, times| times.back().is_some_and(|at| *at > cut));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, VecDeque<Instant>>> {
        self.times.lock()
    }
}

/// Drops what is out of the window.
fn forget(times: &mut VecDeque<Instant>, span: Duration, now: Instant) {
    while times.front().is_some_and(|at| now.duration_since(*at) >= span) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPAN: Duration = Duration::from_secs(60);

    proptest! {
        /// In no window is there more than the limit, and nothing is refused that would fit.
        #[test]
        fn never_more_than_the_limit_in_any_window(limit in 1usize..6, gaps in proptest::collection::vec(0u64..40, 1..100)) {
            let tally = Tally::new(limit, SPAN);
            let mut now = Instant::now();
            let mut counted: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                let lately = counted.iter().filter(|at| now.duration_since(**at) < SPAN).count();
                let wait = tally.full(&1, now);
                prop_assert_eq!(wait.is_some(), lately >= limit);
                prop_assert_eq!(tally.add(1, now), lately < limit);
                if lately < limit {
                    counted.push(now);
                } else {
                    prop_assert!(tally.full(&1, now + wait.unwrap_or_default()).is_none(), "the wait is long enough");
                    // The look ahead has dropped old times: time goes on from there.
                    now += wait.unwrap_or_default();
                }
            }
        }
    }

    #[test]
    fn what_is_taken_back_never_was_and_memory_has_an_end() {
        let (tally, begun) = (Tally::new(1, SPAN), Instant::now());
        assert!(tally.add(0, begun) && !tally.add(0, begun));
        tally.take_back(&0);
        assert!(tally.lock().is_empty() && tally.add(0, begun));
        for key in 1..=(MAX_KEYS + 10) {
            tally.add(key, begun + Duration::from_micros(key as u64));
        }
        assert!(tally.lock().len() <= MAX_KEYS);
        assert!(!tally.add(MAX_KEYS + 10, begun + SPAN / 2), "the newest are remembered");
    }
}
