//! A hundred requests in any minute per user: a sliding window, exact.

use domain::ids::UserId;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The window.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// Requests of each user in the last minute.
pub(crate) struct RateLimit {
    limit: usize,
    users: Mutex<HashMap<UserId, VecDeque<Instant>>>,
}

/// What a request may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateStatus {
    /// Requests allowed in the window.
    pub(crate) limit: usize,
    /// Requests left.
    pub(crate) remaining: usize,
    /// Until the oldest request leaves the window.
    pub(crate) reset: Duration,
    /// This one is too many.
    pub(crate) exceeded: bool,
}

impl RateLimit {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, users: Mutex::default() }
    }

    /// Returns the standing of a user without counting a request.
    pub(crate) fn standing(&self, user: UserId, now: Instant) -> RateStatus {
        let users = self.users.lock();
        let times = users.get(&user).into_iter().flatten().copied();
        let lately: Vec<Instant> = times.filter(|at| now.duration_since(*at) < WINDOW).collect();
        let reset = lately.first().map_or(WINDOW, |at| WINDOW.saturating_sub(now.duration_since(*at)));
        let remaining = self.limit.saturating_sub(lately.len());
        RateStatus { limit: self.limit, remaining, reset, exceeded: false }
    }

    /// Counts a request. A refused one does not count.
    pub(crate) fn count(&self, user: UserId, now: Instant) -> RateStatus {
        let mut users = self.users.lock();
        if users.len() > 10_000 {
            users.retain(|_, times| times.back().is_some_and(|at| now.duration_since(*at) < WINDOW));
        }
        let times = users.entry(user).or_default();
        while times.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            times.pop_front();
        }
        let exceeded = times.len() >= self.limit;
        if !exceeded {
            times.push_back(now);
        }
        let reset = times.front().map_or(WINDOW, |at| WINDOW.saturating_sub(now.duration_since(*at)));
        RateStatus { limit: self.limit, remaining: self.limit - times.len(), reset, exceeded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn never_more_than_the_limit_in_any_minute() {
        let limit = RateLimit::new(100);
        let user = UserId::new();
        let start = Instant::now();
        let mut passed = Vec::new();
        for i in 0..2_000u64 {
            let now = start + Duration::from_millis(i * 100);
            if !limit.count(user, now).exceeded {
                passed.push(now);
            }
        }
        for (i, at) in passed.iter().enumerate() {
            let within = passed[i..].iter().take_while(|t| t.duration_since(*at) < WINDOW).count();
            assert!(within <= 100);
        }
        assert!(passed.len() >= 300, "and it is not stricter than that: {}", passed.len());
        assert_eq!(limit.count(UserId::new(), start).remaining, 99, "users do not share");
        let other = UserId::new();
        limit.count(other, start);
        for _ in 0..200 {
            assert_eq!(limit.standing(other, start).remaining, 99, "a look costs nothing");
        }
    }
}
