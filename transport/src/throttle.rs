//! Login attempts: five failures per account and address in a quarter of an hour (CT-18: throttled, never locked).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const WINDOW: Duration = Duration::from_secs(900);
/// Accounts and addresses remembered; beyond it the oldest failures go.
const MAX_KEYS: usize = 100_000;

/// What is known of one account from one address.
#[derive(Default)]
struct Tries {
    failures: Vec<Instant>,
    /// Passwords that are being checked.
    under_way: usize,
}

/// Failures by the keyed hash of account and address.
pub(crate) struct Throttle {
    failures: usize,
    seen: Mutex<HashMap<[u8; 32], Tries>>,
    ended: Notify,
}

impl Throttle {
    /// After this many failures the next attempt waits.
    pub(crate) fn new(failures: usize) -> Self {
        Self { failures, seen: Mutex::default(), ended: Notify::new() }
    }

    /// How long to wait, when there were too many failures.
    pub(crate) fn blocked(&self, key: [u8; 32], now: Instant) -> Option<Duration> {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        let tries = map.get_mut(&key)?;
        tries.failures.retain(|at| now.duration_since(*at) < WINDOW);
        let oldest = *tries.failures.first()?;
        (tries.failures.len() >= self.failures).then(|| WINDOW.saturating_sub(now.duration_since(oldest)))
    }

    /// Begins a try, which [`Throttle::ended`] ends, or says how long to wait. However many come at once, no more are under
    /// way than might still fail: the others wait for what becomes of those.
    pub(crate) async fn begin(&self, key: [u8; 32]) -> Result<(), Duration> {
        loop {
            let mut news = std::pin::pin!(self.ended.notified());
            news.as_mut().enable();
            if let Some(wait) = self.blocked(key, Instant::now()) {
                return Err(wait);
            }
            if self.enter(key) {
                return Ok(());
            }
            news.await;
        }
    }

    fn enter(&self, key: [u8; 32]) -> bool {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        if map.len() >= MAX_KEYS {
            let now = Instant::now();
            let lately = |tries: &Tries| tries.failures.last().is_some_and(|at| now.duration_since(*at) < WINDOW);
            map.retain(|_, tries| tries.under_way > 0 || lately(tries));
        }
        let tries = map.entry(key).or_default();
        let free = tries.failures.len() + tries.under_way < self.failures;
        tries.under_way += usize::from(free);
        free
    }

    /// Ends a try. One that was right forgives the others.
    pub(crate) fn ended(&self, key: [u8; 32], right: bool, now: Instant) {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        let tries = map.entry(key).or_default();
        tries.under_way = tries.under_way.saturating_sub(1);
        if right {
            tries.failures.clear();
        } else {
            tries.failures.push(now);
        }
        if tries.failures.is_empty() && tries.under_way == 0 {
            map.remove(&key);
        }
        drop(map);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn the_sixth_attempt_waits_and_time_forgives() {
        let (throttle, key, now) = (Throttle::new(5), [1; 32], Instant::now());
        for _ in 0..5 {
            assert_eq!(throttle.begin(key).await, Ok(()));
            throttle.ended(key, false, now);
        }
        assert!(throttle.begin(key).await.is_err_and(|wait| wait <= WINDOW));
        assert_eq!(throttle.blocked([2; 32], now), None);
        assert_eq!(throttle.blocked(key, now + WINDOW), None);
    }

    #[tokio::test]
    async fn however_many_try_at_once_five_may_fail() {
        let (throttle, key) = (Arc::new(Throttle::new(5)), [1; 32]);
        let tried = Arc::new(AtomicUsize::new(0));
        let tries = (0..50).map(|_| {
            let (throttle, tried) = (throttle.clone(), tried.clone());
            tokio::spawn(async move {
                if throttle.begin(key).await.is_ok() {
                    tried.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    throttle.ended(key, false, Instant::now());
                }
            })
        });
        for one in tries.collect::<Vec<_>>() {
            one.await.expect("no panic");
        }
        assert_eq!(tried.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn who_is_right_waits_for_nobody_in_the_end() {
        let (throttle, key) = (Arc::new(Throttle::new(5)), [1; 32]);
        let tries = (0..50).map(|_| {
            let throttle = throttle.clone();
            tokio::spawn(async move {
                throttle.begin(key).await.expect("nobody failed");
                tokio::task::yield_now().await;
                throttle.ended(key, true, Instant::now());
            })
        });
        for one in tries.collect::<Vec<_>>() {
            one.await.expect("no panic");
        }
        assert!(throttle.seen.lock().unwrap().is_empty(), "and nothing is kept");
    }
}
