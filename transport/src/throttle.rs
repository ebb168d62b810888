//! Login attempts: five failures per account and address in a quarter of an hour (CT-18: throttled, never locked), and a
//! slower limit per account whatever the address.

use crate::address::limit_key;
use crate::auth::Class;
use crate::tally::Tally;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use storage::crypto::Keyring;
use tokio::sync::Notify;

/// Failures of logins, and refusals of signups, are counted over this time.
pub(crate) const WINDOW: Duration = Duration::from_secs(900);
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

    /// Gives a try back that was not made.
    fn abandon(&self, key: [u8; 32]) {
        let mut map = self.seen.lock().expect("nobody panics holding it");
        if let Some(tries) = map.get_mut(&key) {
            tries.under_way = tries.under_way.saturating_sub(1);
            if tries.failures.is_empty() && tries.under_way == 0 {
                map.remove(&key);
            }
        }
        drop(map);
        self.ended.notify_waiters();
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

/// Failures of an account over all addresses are counted over this time.
const ACCOUNT_WINDOW: Duration = Duration::from_secs(3_600);
/// Attempts of an address in [`WINDOW`] that were not right before it is served behind others: some typos, no list of guesses.
const MAX_ADDRESS_FAILURES: usize = 10;
/// Refused attempts of an account are recorded once in this time.
const RECORD_WINDOW: Duration = Duration::from_secs(3_600);
/// An owner hears of guesses once in this time.
const NOTICE_WINDOW: Duration = Duration::from_secs(86_400);

/// What an attempt is counted by. Unknown accounts are counted as known ones are.
#[derive(Clone, Copy)]
pub(crate) struct LoginKeys {
    /// Account and address.
    pair: [u8; 32],
    account: [u8; 32],
    pub(crate) address: [u8; 32],
}

impl LoginKeys {
    /// Keys of an attempt at an e-mail from an address.
    pub(crate) fn of(keys: &Keyring, email: &str, origin: IpAddr) -> Self {
        let origin = limit_key(origin).to_string();
        Self {
            pair: keys.mac("login", &[email.as_bytes(), origin.as_bytes()]),
            account: keys.mac("login-account", &[email.as_bytes()]),
            address: keys.mac("login-address", &[origin.as_bytes()]),
        }
    }
}

/// An attempt is refused unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttled {
    /// Until the next attempt is looked at.
    pub(crate) wait: Duration,
    /// The limit of the account refused it, not the one of account and address.
    pub(crate) by_account: bool,
}

/// All limits of logins on this server.
pub(crate) struct LoginLimits {
    pairs: Throttle,
    accounts: Tally<[u8; 32]>,
    addresses: Tally<[u8; 32]>,
    records: Tally<[u8; 32]>,
    notices: Tally<[u8; 32]>,
}

impl LoginLimits {
    /// Limits of failures: of an account from an address in a quarter of an hour, and of an account in an hour.
    pub(crate) fn new(failures: usize, account_failures: usize) -> Self {
        Self {
            pairs: Throttle::new(failures),
            accounts: Tally::new(account_failures, ACCOUNT_WINDOW),
            addresses: Tally::new(MAX_ADDRESS_FAILURES, WINDOW),
            records: Tally::new(1, RECORD_WINDOW),
            notices: Tally::new(1, NOTICE_WINDOW),
        }
    }

    /// Is an attempt refused whatever is known of the account? Saves the look at the database.
    pub(crate) fn blocked(&self, keys: &LoginKeys) -> Option<Throttled> {
        self.pairs.blocked(keys.pair, Instant::now()).map(|wait| Throttled { wait, by_account: false })
    }

    /// Begins an attempt. It counts as a failure until it ends otherwise. `at_home`: the account logged in from this address
    /// lately, so that the limit of the account does not concern it.
    pub(crate) async fn begin(self: &Arc<Self>, keys: LoginKeys, at_home: bool) -> Result<Attempt, Throttled> {
        let by_account = |wait| Throttled { wait, by_account: true };
        if !at_home && let Some(wait) = self.accounts.full(&keys.account, Instant::now()) {
            return Err(by_account(wait));
        }
        self.pairs.begin(keys.pair).await.map_err(|wait| Throttled { wait, by_account: false })?;
        let now = Instant::now();
        let mut attempt =
            Attempt { limits: self.clone(), keys, class: Class::Known, counted: false, suspected: false, over: false };
        attempt.counted = self.accounts.add(keys.account, now);
        if !attempt.counted && !at_home {
            return Err(by_account(self.accounts.full(&keys.account, now).unwrap_or_default()));
        }
        attempt.suspected = self.addresses.add(keys.address, now);
        attempt.class = match (at_home, attempt.suspected) {
            (true, _) => Class::Known,
            (false, true) => Class::New,
            (false, false) => Class::Failing,
        };
        Ok(attempt)
    }

    /// Is this refusal to be recorded? The first of an account in an hour is.
    pub(crate) fn records(&self, keys: &LoginKeys) -> bool {
        self.records.add(keys.account, Instant::now())
    }

    /// Is the owner to hear that somebody guesses? Once a day, when the limit of the account is reached.
    pub(crate) fn notifies(&self, keys: &LoginKeys) -> bool {
        let now = Instant::now();
        self.accounts.full(&keys.account, now).is_some() && self.notices.add(keys.account, now)
    }
}

/// An attempt under way. One that is dropped before it ended was not made.
pub(crate) struct Attempt {
    limits: Arc<LoginLimits>,
    keys: LoginKeys,
    /// When it is served.
    pub(crate) class: Class,
    /// Counts towards the account's limit.
    counted: bool,
    /// Counts towards the address's.
    suspected: bool,
    over: bool,
}

impl Attempt {
    /// Ends the attempt.
    pub(crate) fn end(mut self, right: bool) {
        self.over = true;
        self.limits.pairs.ended(self.keys.pair, right, Instant::now());
        if right {
            self.take_back();
        }
    }

    fn take_back(&self) {
        if self.counted {
            self.limits.accounts.take_back(&self.keys.account);
        }
        if self.suspected {
            self.limits.addresses.take_back(&self.keys.address);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over {
            self.limits.pairs.abandon(self.keys.pair);
            self.take_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn keys(account: u8, address: u8) -> LoginKeys {
        LoginKeys { pair: [account ^ address.rotate_left(4); 32], account: [account; 32], address: [address; 32] }
    }

    /// Case M6: one customer of a carrier has a whole /64, however its addresses are written.
    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let key = |text: &str| limit_key(text.parse().unwrap()).to_string();
        assert_eq!(key("2001:db8:1:2:aaaa::1"), key("2001:DB8:1:2::ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }

    /// Case M6: guesses from ever new addresses end all the same, and not for who is at home.
    #[tokio::test]
    async fn an_account_has_a_limit_over_all_addresses() {
        let limits = Arc::new(LoginLimits::new(5, 3));
        for address in 0..3 {
            assert!(!limits.notifies(&keys(1, address)));
            limits.begin(keys(1, address), false).await.expect("below the limit").end(false);
        }
        let refused = limits.begin(keys(1, 9), false).await.err().expect("past the limit");
        assert!(refused.by_account && refused.wait <= ACCOUNT_WINDOW);
        assert!(limits.notifies(&keys(1, 9)) && !limits.notifies(&keys(1, 9)), "the owner hears of it once");
        assert!(limits.records(&keys(1, 9)) && !limits.records(&keys(1, 8)), "and it is recorded once");
        limits.begin(keys(1, 10), true).await.expect("at home").end(true);
        limits.begin(keys(2, 9), false).await.expect("another account").end(false);
    }

    /// Case M6: what was right, or never tried, counts for nothing.
    #[tokio::test]
    async fn only_failures_count() {
        let limits = Arc::new(LoginLimits::new(1, 1));
        for _ in 0..5 {
            limits.begin(keys(1, 1), false).await.expect("nothing failed").end(true);
            drop(limits.begin(keys(1, 1), false).await.expect("nothing failed"));
        }
        limits.begin(keys(1, 1), false).await.expect("nothing failed").end(false);
        assert!(limits.blocked(&keys(1, 1)).is_some_and(|refused| !refused.by_account));
    }

    /// Case H6: an address that keeps failing is served behind others, also while its attempts are under way.
    #[tokio::test]
    async fn an_address_that_fails_is_served_last() {
        let limits = Arc::new(LoginLimits::new(5, 50));
        let mut under_way = Vec::new();
        for account in 0..MAX_ADDRESS_FAILURES {
            under_way.push(limits.begin(keys(account as u8, 1), false).await.expect("no limit"));
        }
        assert!(under_way.iter().all(|attempt| attempt.class == Class::New));
        let class = async |at_home| limits.begin(keys(99, 1), at_home).await.expect("no limit").class;
        assert_eq!(class(false).await, Class::Failing);
        assert_eq!(class(true).await, Class::Known);
        drop(under_way);
        assert_eq!(class(false).await, Class::New);
    }
}
