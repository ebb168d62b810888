//! Login attempts: five failures per account and address in a quarter of an hour (CT-18: throttled, never locked), and a
//! slower limit per account whatever the address. An account that logs in from an address it knows is served first, a few
//! times; an address that fails, or logs in, again and again is served last.

use crate::address::limit_key;
use crate::auth::Class;
use crate::tally::Tally;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::crypto::Keyring;
use tokio::sync::{Notify, Semaphore};

/// Failures of logins, and refusals of signups, are counted over this time.
pub(crate) const WINDOW: Duration = Duration::from_secs(900);
/// Pairs of account and address remembered at most. Beyond it the half that was quiet for longest is forgotten.
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
        let mut map = self.seen.lock();
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
        let mut map = self.seen.lock();
        if map.len() >= MAX_KEYS {
            tidy(&mut map, Instant::now());
        }
        let tries = map.entry(key).or_default();
        let free = tries.failures.len() + tries.under_way < self.failures;
        tries.under_way += usize::from(free);
        free
    }

    /// Gives a try back that was not made.
    fn abandon(&self, key: [u8; 32]) {
        let mut map = self.seen.lock();
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
        let mut map = self.seen.lock();
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

/// Makes room. Pairs with a try under way stay.
fn tidy(map: &mut HashMap<[u8; 32], Tries>, now: Instant) {
    let newest = |tries: &Tries| tries.failures.last().copied();
    let lately = |tries: &Tries| newest(tries).is_some_and(|at| now.duration_since(at) < WINDOW);
    map.retain(|_, tries| tries.under_way > 0 || lately(tries));
    let mut all: Vec<Instant> = map.values().filter_map(newest).collect();
    if map.len() < MAX_KEYS || all.is_empty() {
        return;
    }
    let middle = all.len() / 2;
    let cut = *all.select_nth_unstable(middle).1;
    map.retain(|_, tries| tries.under_way > 0 || newest(tries).is_some_and(|at| at > cut));
}

/// Failures of an account over all addresses are counted over this time.
const ACCOUNT_WINDOW: Duration = Duration::from_secs(3_600);
/// Attempts of an address in [`WINDOW`] that were not right before it is served behind others: some typos, no list of guesses.
const MAX_ADDRESS_FAILURES: usize = 10;
/// Logins of an account in [`WINDOW`] that are served first: an owner and staff with all their devices. More are a program's.
const MAX_PREFERRED_LOGINS: usize = 12;
/// Right logins of an address in [`WINDOW`] before it is served behind others: those of a shopping centre's Wi-Fi, not of a
/// program with accounts of its own. They weigh a fifth of failures.
const MAX_ADDRESS_LOGINS: usize = 50;
/// An address that an account logged in from is remembered here for this time, as the database remembers it.
const HOME_WINDOW: Duration = Duration::from_secs(storage::sessions::KNOWN_ADDRESS_DAYS as u64 * 86_400);
/// Failures of an address in [`RECORD_WINDOW`] that are recorded one by one. A list of guesses fills no table: the metric
/// counts the rest.
const MAX_RECORDED_FAILURES: usize = 60;
/// Refusals of callers served last that are held at a time. Each holds a connection; more are answered at once.
const MAX_HELD_REFUSALS: usize = 256;
/// Time for which such a refusal is held. A caller that asks again at once asks once a second.
const REFUSAL_HOLD: Duration = Duration::from_secs(1);
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
    /// Failures by address.
    addresses: Tally<[u8; 32]>,
    /// Right logins by address.
    arrivals: Tally<[u8; 32]>,
    /// Logins that were served first, by account.
    preferred: Tally<[u8; 32]>,
    /// Account and address, where the account logged in from there: as far as this server knows without the database.
    homes: Tally<[u8; 32]>,
    records: Tally<[u8; 32]>,
    /// Failures that were recorded, by address.
    recorded: Tally<[u8; 32]>,
    holds: Semaphore,
    notices: Tally<[u8; 32]>,
}

impl LoginLimits {
    /// Limits of failures: of an account from an address in a quarter of an hour, and of an account in an hour.
    pub(crate) fn new(failures: usize, account_failures: usize) -> Self {
        Self {
            pairs: Throttle::new(failures),
            accounts: Tally::new(account_failures, ACCOUNT_WINDOW),
            addresses: Tally::new(MAX_ADDRESS_FAILURES, WINDOW),
            arrivals: Tally::new(MAX_ADDRESS_LOGINS, WINDOW),
            preferred: Tally::new(MAX_PREFERRED_LOGINS, WINDOW),
            homes: Tally::new(1, HOME_WINDOW),
            recorded: Tally::new(MAX_RECORDED_FAILURES, RECORD_WINDOW),
            holds: Semaphore::new(MAX_HELD_REFUSALS),
            records: Tally::new(1, RECORD_WINDOW),
            notices: Tally::new(1, NOTICE_WINDOW),
        }
    }

    /// Is an attempt refused whatever is known of the account? Saves the look at the database.
    pub(crate) fn blocked(&self, keys: &LoginKeys) -> Option<Throttled> {
        self.pairs.blocked(keys.pair, Instant::now()).map(|wait| Throttled { wait, by_account: false })
    }

    /// Is an attempt served behind all others, as far as is known without the database?
    pub(crate) fn is_last(&self, keys: &LoginKeys) -> bool {
        let now = Instant::now();
        let at_home = self.homes.full(&keys.pair, now).is_some() && self.preferred.full(&keys.account, now).is_none();
        !at_home && (self.addresses.full(&keys.address, now).is_some() || self.is_busy(keys, now))
    }

    /// Did many log in from this address lately?
    fn is_busy(&self, keys: &LoginKeys, now: Instant) -> bool {
        self.arrivals.full(&keys.address, now).is_some()
    }

    /// Remembers that an account logs in from an address.
    pub(crate) fn remember_home(&self, keys: &LoginKeys) {
        self.homes.add(keys.pair, Instant::now());
    }

    /// Holds the refusal of a caller that is served last.
    pub(crate) async fn hold_refusal(&self) {
        if let Ok(_place) = self.holds.try_acquire() {
            tokio::time::sleep(REFUSAL_HOLD).await;
        }
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
        let mut attempt = Attempt {
            limits: self.clone(),
            keys,
            class: Class::Known,
            counted: false,
            suspected: false,
            preferred: false,
            over: false,
        };
        attempt.counted = self.accounts.add(keys.account, now);
        if !attempt.counted && !at_home {
            return Err(by_account(self.accounts.full(&keys.account, now).unwrap_or_default()));
        }
        attempt.suspected = self.addresses.add(keys.address, now);
        attempt.preferred = at_home && self.preferred.add(keys.account, now);
        attempt.class = match (attempt.preferred, attempt.suspected && !self.is_busy(&keys, now)) {
            (true, _) => Class::Known,
            (false, true) => Class::New,
            (false, false) => Class::Failing,
        };
        if at_home {
            self.remember_home(&keys);
        }
        Ok(attempt)
    }

    /// Is this refusal to be recorded? The first of an account in an hour is.
    pub(crate) fn records(&self, keys: &LoginKeys) -> bool {
        self.records.add(keys.account, Instant::now())
    }

    /// Is this failure to be recorded? So many of an address in an hour are.
    pub(crate) fn records_failure(&self, keys: &LoginKeys) -> bool {
        self.recorded.add(keys.address, Instant::now())
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
    /// Counts towards the account's logins that are served first.
    preferred: bool,
    over: bool,
}

impl Attempt {
    /// Ends the attempt.
    pub(crate) fn end(mut self, right: bool) {
        let now = Instant::now();
        self.over = true;
        self.limits.pairs.ended(self.keys.pair, right, now);
        if right {
            self.take_back();
            self.limits.arrivals.add(self.keys.address, now);
            self.limits.remember_home(&self.keys);
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
            if self.preferred {
                self.limits.preferred.take_back(&self.keys.account);
            }
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
        assert!(throttle.seen.lock().is_empty(), "and nothing is kept");
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
        assert!(limits.is_last(&keys(98, 1)), "known without the database");
        limits.begin(keys(99, 1), true).await.expect("no limit").end(true);
        assert!(!limits.is_last(&keys(99, 1)) && limits.is_last(&keys(98, 1)), "an account at home is not");
        drop(under_way);
        assert_eq!(class(false).await, Class::New);
        assert!(!limits.is_last(&keys(98, 1)));
    }

    /// Accounts are free: logging in rightly again and again passes nobody for long.
    #[tokio::test]
    async fn right_logins_are_served_first_a_few_times() {
        let limits = Arc::new(LoginLimits::new(5, 50));
        let home = keys(1, 1);
        for n in 0..MAX_PREFERRED_LOGINS {
            drop(limits.begin(home, true).await.expect("no limit"));
            let attempt = limits.begin(home, true).await.expect("no limit");
            assert_eq!(attempt.class, Class::Known, "{n}: what was never made counts for nothing");
            attempt.end(true);
        }
        let next = limits.begin(home, true).await.expect("no limit");
        assert_eq!(next.class, Class::New);
        next.end(true);
        for account in 2..=MAX_ADDRESS_LOGINS - MAX_PREFERRED_LOGINS {
            limits.begin(keys(account as u8, 1), true).await.expect("no limit").end(true);
        }
        let class = async |account| limits.begin(keys(account, 1), false).await.expect("no limit").class;
        assert_eq!(class(200).await, Class::Failing, "many logged in from here");
        assert!(limits.is_last(&keys(200, 1)) && !limits.is_last(&keys(200, 2)));
        assert_eq!(limits.begin(keys(2, 1), true).await.expect("no limit").class, Class::Known, "at home, and seldom");
    }

    #[test]
    fn failures_of_an_address_are_recorded_so_many_times() {
        let limits = LoginLimits::new(5, 50);
        let recorded = (0..=255).filter(|account| limits.records_failure(&keys(*account, 1))).count();
        assert_eq!(recorded, MAX_RECORDED_FAILURES);
        assert!(limits.records_failure(&keys(1, 2)), "another address");
    }

    #[tokio::test]
    async fn refusals_are_held_up_to_a_number() {
        let (limits, begun) = (LoginLimits::new(5, 50), Instant::now());
        let holds = (0..=MAX_HELD_REFUSALS).map(|_| async {
            limits.hold_refusal().await;
            begun.elapsed()
        });
        let took = futures_util::future::join_all(holds).await;
        let held = took.iter().filter(|took| **took >= REFUSAL_HOLD).count();
        assert_eq!(held, MAX_HELD_REFUSALS, "and one more is answered at once");
        assert_eq!(limits.holds.available_permits(), MAX_HELD_REFUSALS);
    }

    #[test]
    fn memory_has_an_end() {
        let (throttle, begun) = (Throttle::new(5), Instant::now());
        let key = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(n as u64).to_le_bytes());
            key
        };
        assert!(throttle.enter(key(0)), "a try under way");
        for n in 1..=MAX_KEYS + 10 {
            assert!(throttle.enter(key(n)));
            throttle.ended(key(n), false, begun + Duration::from_micros(n as u64));
        }
        let seen = throttle.seen.lock();
        assert!(seen.len() <= MAX_KEYS, "{}", seen.len());
        assert!(seen.contains_key(&key(0)) && seen.contains_key(&key(MAX_KEYS + 10)) && !seen.contains_key(&key(1)));
    }
}
