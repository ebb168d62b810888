//! The database's clock: it decides when an event opens and closes. This process reads its own clock corrected by it.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Milliseconds. Below this a difference is noise of scheduler and network, and this machine's clock stands.
const NOISE_MS: i64 = 100;
/// Seconds between the two clocks from which on an operator is told: somebody's time is not synchronised.
pub const MAX_SKEW_SECONDS: f64 = 3.0;

/// Microseconds that the database's clock is ahead of this machine's, as measured last.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// The time by the database's clock.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now() + TimeDelta::microseconds(AHEAD.load(Ordering::Relaxed))
}

/// Seconds that the database's clock is ahead of this machine's; 0 while they agree.
#[must_use]
pub fn ahead_seconds() -> f64 {
    AHEAD.load(Ordering::Relaxed) as f64 / 1_000_000.0
}

/// Takes a measurement: what this machine's clock said when it asked, how long the answer took, and what it was.
pub(crate) fn measured(asked: DateTime<Utc>, took: Duration, answer: DateTime<Utc>) {
    AHEAD.store(ahead(asked, took, answer), Ordering::Relaxed);
}

/// Microseconds that the answer is ahead of the middle of the round trip; 0 where the round trip explains the difference.
fn ahead(asked: DateTime<Utc>, took: Duration, answer: DateTime<Utc>) -> i64 {
    let half = TimeDelta::from_std(took / 2).unwrap_or_default();
    let ahead = answer - (asked + half);
    if ahead.abs() <= half + TimeDelta::milliseconds(NOISE_MS) {
        return 0;
    }
    ahead.num_microseconds().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case O9.
    #[test]
    fn a_difference_counts_beyond_what_the_round_trip_explains() {
        let asked = Utc::now();
        for (took_ms, answer_ms, ahead_ms) in [
            (0, 0, 0),
            (2, 1, 0),
            (2, -90, 0),
            (400, 250, 0),
            (400, 390, 0),
            (2, 8_001, 8_000),
            (2, -7_999, -8_000),
            (1_000, -86_399_500, -86_400_000),
            (2, 3_600_001, 3_600_000),
            (2, -3_599_999, -3_600_000),
            (200, 400, 300),
        ] {
            let answer = asked + TimeDelta::milliseconds(answer_ms);
            assert_eq!(ahead(asked, Duration::from_millis(took_ms), answer), ahead_ms * 1_000, "{took_ms} {answer_ms}");
        }
    }
}
