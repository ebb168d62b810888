//! Login attempts: five failures per account and address in a quarter of an hour (CT-18: throttled, never locked).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(900);
/// Accounts and addresses remembered; beyond it the oldest failures go.
const MAX_KEYS: usize = 100_000;

/// Failures by the keyed hash of account and address.
pub(crate) struct Throttle {
    failures: usize,
    seen: Mutex<HashMap<[u8; 32], Vec<Instant>>>,
}

impl Throttle {
    /// After this many failures the next attempt waits.
    pub(crate) fn new(failures: usize) -> Self {
        Self { failures, seen: Mutex::default() }
    }

    /// How long to wait, when there were too many failures.
    pub(crate) fn blocked(&self, key: [u8; 32], now: Instant) -> Option<Duration> {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        let times = map.get_mut(&key)?;
        times.retain(|at| now.duration_since(*at) < WINDOW);
        let oldest = *times.first()?;
        (times.len() >= self.failures).then(|| WINDOW.saturating_sub(now.duration_since(oldest)))
    }

    pub(crate) fn failed(&self, key: [u8; 32], now: Instant) {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        if map.len() >= MAX_KEYS {
            map.retain(|_, times| times.last().is_some_and(|at| now.duration_since(*at) < WINDOW));
        }
        map.entry(key).or_default().push(now);
    }

    pub(crate) fn succeeded(&self, key: [u8; 32]) {
        self.seen.lock().expect("nobody panics holding it").remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_attempt_waits_and_time_forgives() {
        let (throttle, key, now) = (Throttle::new(5), [1; 32], Instant::now());
        for _ in 0..5 {
            assert_eq!(throttle.blocked(key, now), None);
            throttle.failed(key, now);
        }
        assert_eq!(throttle.blocked(key, now), Some(WINDOW));
        assert_eq!(throttle.blocked([2; 32], now), None);
        assert_eq!(throttle.blocked(key, now + WINDOW), None);
    }
}
