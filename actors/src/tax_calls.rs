//! Calls to the tax service in a Korean day: one installation's key has so many, and signups leave some for retries.

use chrono::NaiveDate;
use parking_lot::Mutex;

/// One call in ten is kept for retries: strangers who sign up must not keep owners waiting for their verification.
const RESERVED_ONE_IN: u32 = 10;

/// The caller of the tax service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaxCaller {
    /// A signup: it can be verified later.
    Signup,
    /// A verification job.
    Retry,
}

/// Counts the calls of a day.
pub struct TaxCalls {
    limit: u32,
    today: Mutex<(NaiveDate, u32)>,
}

impl TaxCalls {
    /// Allows `limit` calls a day.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self { limit, today: Mutex::new((NaiveDate::MIN, 0)) }
    }

    /// Takes a call of a day. False: there is none left for this caller.
    pub fn take(&self, caller: TaxCaller, day: NaiveDate) -> bool {
        let mut today = self.today.lock();
        if today.0 != day {
            *today = (day, 0);
        }
        let reserved = match caller {
            TaxCaller::Signup => self.limit.div_ceil(RESERVED_ONE_IN),
            TaxCaller::Retry => 0,
        };
        let left = today.1.saturating_add(reserved) < self.limit;
        today.1 += u32::from(left);
        left
    }

    /// Gives a call of a day back that was not sent.
    pub fn give_back(&self, day: NaiveDate) {
        let mut today = self.today.lock();
        if today.0 == day {
            today.1 = today.1.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case M3.
    #[test]
    fn signups_leave_a_reserve_and_a_day_ends() {
        let (calls, day) = (TaxCalls::new(20), NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
        let takes = |caller, day| (0..100).filter(|_| calls.take(caller, day)).count();
        assert_eq!(takes(TaxCaller::Signup, day), 18);
        assert_eq!(takes(TaxCaller::Retry, day), 2);
        assert_eq!(takes(TaxCaller::Signup, day), 0);
        calls.give_back(day);
        assert_eq!(takes(TaxCaller::Retry, day), 1, "what was not sent");
        assert_eq!(takes(TaxCaller::Retry, day.succ_opt().unwrap()), 20);
        calls.give_back(day);
        assert_eq!(takes(TaxCaller::Retry, day.succ_opt().unwrap()), 0, "yesterday's calls are over");
    }
}
