//! Guards typed visit codes against guessing: three of a million codes are good at a time, and phones are free to invent.
//!
//! Past a limit typed codes are not judged any more: the entry counts without the bonus, and nobody learns whether the
//! code was right. Tokens of 128 bits need no guard. Everything here has a bound and is forgotten within the day.

use crate::time::{Instant, kst_day};
use chrono::{Duration, NaiveDate};
use std::collections::{HashMap, HashSet, VecDeque};

/// Wrong codes per phone and hour: a person mistypes, and reads the next code.
pub const WRONG_PER_PHONE: usize = 5;
/// Wrong codes per address and minute: one shop's Wi-Fi has many customers.
pub const WRONG_PER_ADDRESS: usize = 20;
/// Wrong codes per event and minute: of a million codes three are good at a time, so a right guess takes about a week
/// at that pace.
pub const WRONG_PER_EVENT: usize = 30;
/// Phones whose wrong codes are remembered.
const MAX_PHONES: usize = 10_000;
/// Wrong codes of the last minute that are remembered. Strangers reach [`WRONG_PER_EVENT`] at most; the others are of
/// addresses that were right that day.
const MAX_RECENT: usize = 1_000;
/// Addresses that are remembered to have been right today: the customers of a busy shop.
const MAX_RIGHT: usize = 20_000;

/// An address as it is counted: a keyed hash with a key of the day.
pub type AddressTag = [u8; 8];
/// The blind index of a phone.
pub type PhoneIndex = [u8; 16];

/// A wrong code.
#[derive(Clone, Debug)]
struct WrongTry {
    at: Instant,
    address: AddressTag,
}

/// What is remembered of one event's visit codes.
#[derive(Debug, Default)]
pub struct VisitGuard {
    /// Wrong codes of the last minute, oldest first.
    recent: VecDeque<WrongTry>,
    /// Wrong codes of the last hour by phone.
    phones: HashMap<PhoneIndex, Vec<Instant>>,
    /// Addresses that brought a right code today.
    right: HashSet<AddressTag>,
    today: Option<NaiveDate>,
}

/// Is it within so long before now? What a clock that was set back says to lie ahead is not.
fn within(at: Instant, now: Instant, length: Duration) -> bool {
    (Duration::zero()..length).contains(&now.signed_duration_since(at))
}

impl VisitGuard {
    /// Returns whether a typed code is judged, rather than entered without the bonus and without a word.
    pub fn judges(&mut self, phone: &PhoneIndex, address: &AddressTag, now: Instant) -> bool {
        self.forget(now);
        let hour = |at: &&Instant| within(**at, now, Duration::hours(1));
        if self.phones.get(phone).is_some_and(|all| all.iter().filter(hour).count() >= WRONG_PER_PHONE) {
            return false;
        }
        if self.recent.iter().filter(|t| t.address == *address).count() >= WRONG_PER_ADDRESS {
            return false;
        }
        self.recent.len() < WRONG_PER_EVENT || self.right.contains(address)
    }

    /// Counts a wrong code that was judged.
    pub fn wrong(&mut self, phone: PhoneIndex, address: AddressTag, now: Instant) {
        self.forget(now);
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(WrongTry { at: now, address });
        if self.phones.len() >= MAX_PHONES && !self.phones.contains_key(&phone) {
            self.make_room(now);
        }
        let all = self.phones.entry(phone).or_default();
        all.retain(|at| within(*at, now, Duration::hours(1)));
        all.push(now);
    }

    /// Remembers an address that brought a right code or token.
    pub fn right(&mut self, address: AddressTag, now: Instant) {
        self.forget(now);
        if self.right.len() < MAX_RIGHT {
            self.right.insert(address);
        }
    }

    /// Forgets what is older than its minute or day.
    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|t| !within(t.at, now, Duration::minutes(1))) {
            self.recent.pop_front();
        }
        let today = kst_day(now);
        if self.today != Some(today) {
            self.right.clear();
            self.today = Some(today);
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.phones.retain(|_, all| all.iter().any(|at| within(*at, now, Duration::hours(1))));
        if self.phones.len() >= MAX_PHONES
            && let Some(any) = self.phones.keys().next().copied()
        {
            self.phones.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Instant {
        chrono::DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap()
    }

    fn phone(n: u32) -> PhoneIndex {
        let mut phone = [0; 16];
        phone[..4].copy_from_slice(&n.to_be_bytes());
        phone
    }

    fn address(n: u32) -> AddressTag {
        u64::from(n).to_be_bytes()
    }

    /// Case H3.
    #[test]
    fn past_each_limit_nothing_is_judged() {
        let mut guard = VisitGuard::default();
        for n in 0..5 {
            assert!(guard.judges(&phone(1), &address(n), at(0)));
            guard.wrong(phone(1), address(n), at(0));
        }
        assert!(!guard.judges(&phone(1), &address(9), at(59 * 60_000)), "five per phone and hour");
        assert!(guard.judges(&phone(1), &address(9), at(60 * 60_000)));

        let mut guard = VisitGuard::default();
        for n in 0..20 {
            assert!(guard.judges(&phone(n), &address(1), at(0)));
            guard.wrong(phone(n), address(1), at(0));
        }
        assert!(!guard.judges(&phone(99), &address(1), at(59_999)), "twenty per address and minute");
        assert!(guard.judges(&phone(99), &address(2), at(0)) && guard.judges(&phone(99), &address(1), at(60_000)));

        let mut guard = VisitGuard::default();
        guard.right(address(7), at(0));
        for n in 0..30 {
            assert!(guard.judges(&phone(n), &address(n + 100), at(0)));
            guard.wrong(phone(n), address(n + 100), at(0));
        }
        assert!(!guard.judges(&phone(99), &address(8), at(1)), "thirty per event and minute");
        assert!(guard.judges(&phone(99), &address(7), at(1)), "who was right today is judged");
    }

    #[test]
    fn yesterdays_addresses_and_clocks_that_go_back_are_forgotten() {
        let mut guard = VisitGuard::default();
        guard.right(address(7), at(0));
        let tomorrow = 24 * 3_600_000;
        for n in 0..30 {
            guard.wrong(phone(n), address(n + 100), at(tomorrow));
        }
        assert!(!guard.judges(&phone(99), &address(7), at(tomorrow)));
        assert!(guard.judges(&phone(99), &address(8), at(0)), "what lies ahead does not count");
    }

    #[test]
    fn wrong_codes_of_everybody_fit() {
        let mut guard = VisitGuard::default();
        for n in 0..12_000u32 {
            guard.wrong(phone(n), address(n), at(i64::from(n)));
        }
        (0..30_000).for_each(|n| guard.right(address(n), at(12_000)));
        assert!(guard.phones.len() <= MAX_PHONES && guard.recent.len() <= MAX_RECENT && guard.right.len() <= MAX_RIGHT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// For tries in any order: within any minute no more than the limit of wrong codes is judged.
        #[test]
        fn no_minute_has_more_tries_than_its_limits(
            tries in prop::collection::vec((0u32..40, 0u32..4, 0i64..3_000, prop::bool::weighted(0.05)), 0..300),
        ) {
            let (mut guard, mut now, mut judged) = (VisitGuard::default(), 0, Vec::new());
            let mut right = HashSet::new();
            for (p, a, wait, good) in tries {
                now += wait;
                if !guard.judges(&phone(p), &address(a), at(now)) {
                    continue;
                }
                if good {
                    guard.right(address(a), at(now));
                    right.insert(a);
                } else {
                    guard.wrong(phone(p), address(a), at(now));
                    judged.push((now, p, a, right.contains(&a)));
                }
            }
            for (end, p, a, _) in &judged {
                let minute = || judged.iter().filter(|(t, ..)| (*end - 60_000 < *t) && t <= end);
                prop_assert!(minute().filter(|(_, _, of, _)| of == a).count() <= WRONG_PER_ADDRESS);
                let strangers = minute().filter(|(.., was_right)| !was_right).count();
                prop_assert!(strangers <= WRONG_PER_EVENT, "{strangers}");
                let hour = judged.iter().filter(|(t, of, ..)| of == p && *end - 3_600_000 < *t && t <= end).count();
                prop_assert!(hour <= WRONG_PER_PHONE);
            }
        }
    }
}
