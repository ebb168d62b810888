//! Entries: what a customer brings, and what the journal says.

use crate::channel::Source;
use crate::phone::Phone;
use crate::text::PersonName;
use crate::time::{Instant, kst_day};
use crate::visit_code::VisitClaim;
use chrono::NaiveDate;
use std::collections::HashMap;
use std::net::IpAddr;

/// Erasures of one phone, event and Korean day, past which the phone enters again the next day only. A person changes
/// their mind a few times; each time costs a row for ever.
pub const MAX_ERASURES_PER_DAY: u32 = 10;
/// Phones whose erasures are counted; past it those with the fewest are forgotten.
const MAX_ERASING_PHONES: usize = 10_000;

/// What the customer agreed to. `privacy` acknowledges the notice; the rest are separate opt-ins, off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// The notice was read.
    pub privacy: bool,
    /// May send advertising.
    pub marketing: bool,
    /// May send it between 21:00 and 08:00 as well.
    pub night: bool,
}

/// An entry that passed its own rules; whether the event takes it is the journal's to say.
#[derive(Clone, Debug)]
pub struct EntryForm {
    /// The customer's name.
    pub name: PersonName,
    /// The number it counts under, once per event.
    pub phone: Phone,
    /// What was agreed to.
    pub consents: Consents,
    /// Where from.
    pub source: Source,
    /// What was seen in the shop.
    pub visit_code: Option<VisitClaim>,
    /// The client's address: counted for wrong visit codes, never stored.
    pub address: Option<IpAddr>,
    /// The notice that was shown.
    pub notice_version: Option<String>,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// What the journal says of one entry, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored now, or before by this very request: number, when, and whether it was stored by this call.
    Stored {
        /// 1, 2, 3 …
        entry_no: i64,
        /// The entry's id (its receipt is made from it).
        id: uuid::Uuid,
        /// When it became durable.
        entered_at: Instant,
        /// False when an earlier, identical request stored it.
        fresh: bool,
    },
    /// This phone is in already.
    Duplicate,
    /// Ended, closed or cancelled.
    Ended,
    /// Not begun, or paused.
    NotOpen,
    /// No such event.
    Unknown,
}

/// Counts erasures of one event by phone, within the day and in memory only: what was erased leaves no trace on disk.
#[derive(Debug, Default)]
pub struct ErasureGuard {
    by_phone: HashMap<[u8; 16], u32>,
    today: Option<NaiveDate>,
}

impl ErasureGuard {
    /// Counts an erasure.
    pub fn count(&mut self, phone: [u8; 16], now: Instant) {
        let today = kst_day(now);
        if self.today != Some(today) {
            self.by_phone.clear();
            self.today = Some(today);
        }
        if self.by_phone.len() >= MAX_ERASING_PHONES && !self.by_phone.contains_key(&phone) {
            let fewest = self.by_phone.values().copied().min().unwrap_or(0);
            self.by_phone.retain(|_, n| *n > fewest);
        }
        if self.by_phone.len() < MAX_ERASING_PHONES {
            *self.by_phone.entry(phone).or_default() += 1;
        } else if let Some(n) = self.by_phone.get_mut(&phone) {
            *n += 1;
        }
    }

    /// May a phone not enter again today?
    #[must_use]
    pub fn exhausted(&self, phone: &[u8; 16], now: Instant) -> bool {
        self.by_phone.get(phone).is_some_and(|n| *n >= MAX_ERASURES_PER_DAY) && self.today == Some(kst_day(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_that_erases_again_and_again_waits_for_the_next_day() {
        let at = |hours: i64| chrono::DateTime::from_timestamp(1_800_000_000 + hours * 3600, 0).unwrap();
        let phone = |n: u16| {
            let mut phone = [0; 16];
            phone[..2].copy_from_slice(&n.to_be_bytes());
            phone
        };
        let mut guard = ErasureGuard::default();
        for n in 0..MAX_ERASURES_PER_DAY {
            assert!(!guard.exhausted(&phone(1), at(0)), "{n}");
            guard.count(phone(1), at(0));
        }
        assert!(guard.exhausted(&phone(1), at(0)) && !guard.exhausted(&phone(2), at(0)));
        assert!(!guard.exhausted(&phone(1), at(24)));
        // Other phones do not wash it out, and all of them fit.
        for n in 2..20_000 {
            guard.count(phone(n), at(0));
        }
        assert!(guard.exhausted(&phone(1), at(0)) && guard.by_phone.len() <= MAX_ERASING_PHONES);
        guard.count(phone(2), at(24));
        assert_eq!(guard.by_phone.len(), 1, "each day begins anew");
    }
}
