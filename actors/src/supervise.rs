//! When to start a failed child again: a pure core, one budget per key.
//!
//! Five failures within 30 s quarantine a key: a probe start after 30 s, doubling to 5 min. Restarts before that are
//! delayed 100 ms and doubling, with jitter.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Failures within [`WINDOW`] that quarantine a key.
const BUDGET: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);
const FIRST_DELAY: Duration = Duration::from_millis(100);
const QUARANTINE: Duration = Duration::from_secs(30);
const LONGEST_QUARANTINE: Duration = Duration::from_secs(300);
/// Time without a failure after which earlier ones are forgotten.
const FORGIVEN: Duration = Duration::from_secs(900);

/// What to do about a failed child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after this long.
    Restart(Duration),
    /// Leave it alone this long, then try once; somebody should be told.
    Quarantine(Duration),
}

#[derive(Default)]
struct History {
    failures: VecDeque<Instant>,
    quarantines: u32,
    last: Option<Instant>,
}

/// The failures of all keys.
pub(crate) struct Budgets<K> {
    keys: HashMap<K, History>,
}

impl<K: Eq + Hash + Clone> Budgets<K> {
    pub(crate) fn new() -> Self {
        Self { keys: HashMap::new() }
    }

    /// Records a failure. `jitter` in 0..1 spreads restarts by half either way.
    pub(crate) fn failed(&mut self, key: &K, now: Instant, jitter: f64) -> Verdict {
        let history = self.keys.entry(key.clone()).or_default();
        if history.last.replace(now).is_some_and(|last| now.duration_since(last) > FORGIVEN) {
            history.quarantines = 0;
        }
        while history.failures.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            history.failures.pop_front();
        }
        history.failures.push_back(now);
        if history.failures.len() >= BUDGET || history.quarantines > 0 {
            history.failures.clear();
            history.quarantines += 1;
            let wait = QUARANTINE.saturating_mul(1 << (history.quarantines - 1).min(8)).min(LONGEST_QUARANTINE);
            return Verdict::Quarantine(wait);
        }
        let delay = FIRST_DELAY * (1 << (history.failures.len() - 1));
        Verdict::Restart(delay.mul_f64(0.5 + jitter.clamp(0.0, 1.0)))
    }

    /// A child lived long enough: its past is forgiven.
    pub(crate) fn settled(&mut self, key: &K) {
        self.keys.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn five_in_thirty_seconds_quarantine_one_key_only() {
        let start = Instant::now();
        let mut b = Budgets::new();
        for i in 0..4u32 {
            assert_eq!(
                b.failed(&"bad", start + Duration::from_secs(i.into()), 0.5),
                Verdict::Restart(FIRST_DELAY * (1 << i))
            );
        }
        assert_eq!(b.failed(&"bad", start + Duration::from_secs(4), 0.5), Verdict::Quarantine(QUARANTINE));
        assert!(matches!(b.failed(&"good", start + Duration::from_secs(4), 0.5), Verdict::Restart(_)));
        assert_eq!(
            b.failed(&"bad", start + Duration::from_secs(40), 0.5),
            Verdict::Quarantine(QUARANTINE * 2),
            "the probe failed"
        );
        let later = start + Duration::from_secs(41) + FORGIVEN;
        assert!(matches!(b.failed(&"bad", later, 0.5), Verdict::Restart(_)), "that was long ago");
        b.settled(&"bad");
        assert!(matches!(b.failed(&"bad", later + Duration::from_secs(1), 0.5), Verdict::Restart(_)));
    }

    proptest! {
        #[test]
        fn slow_failures_never_quarantine_and_waits_are_bounded(gaps in prop::collection::vec(0u64..100, 1..60), jitter in 0f64..1.0) {
            let mut b = Budgets::new();
            let mut now = Instant::now();
            for gap in &gaps {
                now += Duration::from_secs(*gap);
                match b.failed(&1, now, jitter) {
                    Verdict::Restart(wait) => prop_assert!(wait <= Duration::from_secs(5)),
                    Verdict::Quarantine(wait) => prop_assert!(wait >= QUARANTINE && wait <= LONGEST_QUARANTINE),
                }
            }
            let mut slow = Budgets::new();
            let mut now = Instant::now();
            for _ in 0..50 {
                now += Duration::from_secs(31);
                prop_assert!(matches!(slow.failed(&1, now, jitter), Verdict::Restart(_)));
            }
        }
    }
}
