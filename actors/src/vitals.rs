//! How the product is, in numbers the process itself can judge: counted where it happens, read by the alarms.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters since the start. Cheap enough for every request.
#[derive(Debug, Default)]
pub struct Vitals {
    requests: AtomicU64,
    failures: AtomicU64,
    over_500_ms: AtomicU64,
    over_1000_ms: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    quarantines: AtomicU64,
}

impl Vitals {
    /// An actor failed so often that it is left alone for a while.
    pub fn quarantine(&self) {
        self.quarantines.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered. Those that asked to wait say nothing about how fast we are.
    pub fn request(&self, status: u16, took: Duration, waited: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if status >= 500 {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        for (limit, counter) in [(500, &self.over_500_ms), (1000, &self.over_1000_ms)] {
            if !waited && took > Duration::from_millis(limit) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The cache was asked.
    pub fn cache(&self, key: &'static str, hit: bool) {
        let (counter, result) = if hit { (&self.cache_hits, "hit") } else { (&self.cache_misses, "miss") };
        counter.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("cache_requests_total", "key" => key, "result" => result).increment(1);
    }

    /// The counters now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Totals {
            requests: get(&self.requests),
            failures: get(&self.failures),
            over_500_ms: get(&self.over_500_ms),
            over_1000_ms: get(&self.over_1000_ms),
            cache_hits: get(&self.cache_hits),
            cache_misses: get(&self.cache_misses),
            quarantines: get(&self.quarantines),
        }
    }
}

/// Counters at one moment, or what was added between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Requests among these with 5xx.
    pub failures: u64,
    /// Requests among these that took more than half a second.
    pub over_500_ms: u64,
    /// Requests among these that took more than a second.
    pub over_1000_ms: u64,
    /// Found in the cache.
    pub cache_hits: u64,
    /// Not found.
    pub cache_misses: u64,
    /// Actors that were quarantined.
    pub quarantines: u64,
}

impl Totals {
    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failures: self.failures.saturating_sub(before.failures),
            over_500_ms: self.over_500_ms.saturating_sub(before.over_500_ms),
            over_1000_ms: self.over_1000_ms.saturating_sub(before.over_1000_ms),
            cache_hits: self.cache_hits.saturating_sub(before.cache_hits),
            cache_misses: self.cache_misses.saturating_sub(before.cache_misses),
            quarantines: self.quarantines.saturating_sub(before.quarantines),
        }
    }
}

/// What was added in the last while.
pub(crate) struct Window {
    length: Duration,
    seen: VecDeque<(Instant, Totals)>,
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, seen: VecDeque::new() }
    }

    /// Notes the totals and gives what was added within the window's length.
    pub(crate) fn add(&mut self, now: Instant, totals: Totals) -> Totals {
        while self.seen.len() > 1 && self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= self.length) {
            self.seen.pop_front();
        }
        let before = self.seen.front().map_or(Totals::default(), |(_, t)| *t);
        self.seen.push_back((now, totals));
        totals.since(before)
    }
}
