//! How many retries an upstream may still be sent: ten a minute, and a tenth of the first calls of the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Retries a minute that are there without any traffic.
const MIN_RETRIES_PER_MINUTE: u64 = 10;
/// Time over which calls and retries are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Time whose calls are counted together.
const SLOT_LENGTH: Duration = Duration::from_secs(1);

/// Calls and retries of the last minute, by the second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    slots: VecDeque<SecondOfCalls>,
}

#[derive(Debug)]
struct SecondOfCalls {
    since: Instant,
    calls: u64,
    retries: u64,
}

impl Budget {
    fn slot(&mut self, now: Instant) -> &mut SecondOfCalls {
        while self.slots.front().is_some_and(|s| now.duration_since(s.since) >= WINDOW + SLOT_LENGTH) {
            self.slots.pop_front();
        }
        if self.slots.back().is_none_or(|s| now.duration_since(s.since) >= SLOT_LENGTH) {
            self.slots.push_back(SecondOfCalls { since: now, calls: 0, retries: 0 });
        }
        self.slots.back_mut().expect("one was just there")
    }

    /// A call was made, the first of its kind or a retry.
    pub(super) fn called(&mut self, now: Instant) {
        self.slot(now).calls += 1;
    }

    /// Takes one retry, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.slot(now);
        let (calls, retries) = self.slots.iter().fold((0, 0), |(c, r), s| (c + s.calls, r + s.retries));
        let firsts = calls.saturating_sub(retries);
        if retries >= MIN_RETRIES_PER_MINUTE + firsts / 10 {
            return false;
        }
        self.slot(now).retries += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// R19: whatever fails and whenever, in any minute no more than a tenth of the first calls and ten are retries.
        #[test]
        fn retries_stay_within_a_tenth_and_ten(gaps in prop::collection::vec(0u64..3_000, 1..2_000)) {
            let (mut budget, start) = (Budget::default(), Instant::now());
            let (mut now, mut firsts, mut retries) = (start, Vec::new(), Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                firsts.push(now);
                budget.called(now);
                // Everything fails: a retry for as long as there is one, up to three.
                for _ in 0..3 {
                    if !budget.take(now) {
                        break;
                    }
                    retries.push(now);
                    budget.called(now);
                }
            }
            for end in &retries {
                let lately = |all: &[Instant]| all.iter().filter(|at| **at <= *end && end.duration_since(**at) < WINDOW).count() as u64;
                // A slot counts a second together: what just left the minute may still be counted for.
                let counted = |all: &[Instant]| all.iter().filter(|at| **at <= *end && end.duration_since(**at) < WINDOW + SLOT_LENGTH * 2).count() as u64;
                prop_assert!(lately(&retries) <= MIN_RETRIES_PER_MINUTE + counted(&firsts) / 10);
            }
        }
    }
}
