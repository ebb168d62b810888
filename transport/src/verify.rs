//! Asking the tax service at signup: once, within its limit and our budget, with the cached verdict of the same tuple (CK-02).

use crate::address::limit_key;
use crate::state::App;
use crate::tally::Tally;
use actors::tax_calls::{TaxCaller, TaxCalls};
use chrono::NaiveDate;
use clients::nts::NtsVerdict;
use domain::business_number::BusinessNumber;
use domain::channel::Upstream;
use domain::distribution::ErrorClass;
use domain::text::PersonName;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use storage::cache::ttl;

/// Calls about one business number in [`WINDOW`]: an owner's own typos, too few to guess a name by.
const MAX_NUMBER_CALLS: usize = 5;
/// Calls per number and per address are counted over this time.
const WINDOW: Duration = Duration::from_secs(3_600);

/// Calls to the tax service that strangers may cause.
pub(crate) struct TaxBudget {
    numbers: Tally<[u8; 32]>,
    addresses: Tally<IpAddr>,
}

impl TaxBudget {
    /// Allows an address this many calls an hour that do not verify.
    pub(crate) fn new(per_address: usize) -> Self {
        Self { numbers: Tally::new(MAX_NUMBER_CALLS, WINDOW), addresses: Tally::new(per_address, WINDOW) }
    }

    /// Takes a call about a number, given by its keyed hash. False: there is none left, and nothing was taken.
    fn take(&self, calls: &TaxCalls, number: [u8; 32], address: IpAddr, day: NaiveDate, now: Instant) -> bool {
        if !self.numbers.add(number, now) {
            return false;
        }
        if !self.addresses.add(address, now) {
            self.numbers.take_back(&number);
            return false;
        }
        let left = calls.take(TaxCaller::Signup, day);
        if !left {
            self.numbers.take_back(&number);
            self.addresses.take_back(&address);
        }
        left
    }

    /// Gives a call back that was not sent: nobody learned anything by it.
    fn give_back(&self, calls: &TaxCalls, number: [u8; 32], address: IpAddr, day: NaiveDate) {
        calls.give_back(day);
        self.numbers.take_back(&number);
        self.addresses.take_back(&address);
    }

    /// A call verified: it was no guess, and costs its address nothing.
    fn verified(&self, address: IpAddr) {
        self.addresses.take_back(&address);
    }
}

/// What a signup learns.
pub(crate) enum TaxAnswer {
    /// Open, and everything matches.
    Verified,
    /// Suspended or closed.
    Closed,
    /// Something does not match.
    Mismatch,
    /// No answer: asked again later.
    Pending,
    /// Past the budget: not asked, and later.
    Deferred,
}

/// Asks about number, opening day and name together: a cached "yes" of another name must not pass.
pub(crate) async fn ask(
    app: &App,
    origin: IpAddr,
    number: &BusinessNumber,
    opened_on: NaiveDate,
    name: &PersonName,
) -> TaxAnswer {
    let tools = app.handles.tools();
    if !tools.upstreams.mode(Upstream::Nts).calls() {
        return TaxAnswer::Pending;
    }
    let day = opened_on.to_string();
    let tuple =
        tools.keys.mac("business-tuple", &[number.expose().as_bytes(), day.as_bytes(), name.expose().as_bytes()]);
    let key = format!("business:{}", domain::event::state::hex(&tuple));
    let known = tools.cache.get(&key).await.as_deref() == Some(b"verified");
    tools.vitals.cache("business", known);
    if known {
        return TaxAnswer::Verified;
    }
    let (index, address) = (tools.keys.mac("business-calls", &[number.expose().as_bytes()]), limit_key(origin));
    let today = domain::time::kst_day(chrono::Utc::now());
    if !app.tax_budget.take(&tools.tax_calls, index, address, today, Instant::now()) {
        metrics::counter!("fallbacks_total", "reason" => "nts-budget").increment(1);
        return TaxAnswer::Deferred;
    }
    let call = tools.upstreams.nts.validate(number, opened_on, name.expose());
    match app.handles.breakers.once(Upstream::Nts, call).await {
        Ok(NtsVerdict::Open) => {
            // Never a "pending" or a "no": those must be asked again.
            tools.cache.set(&key, bytes::Bytes::from_static(b"verified"), ttl::BUSINESS).await;
            app.tax_budget.verified(address);
            TaxAnswer::Verified
        }
        Ok(NtsVerdict::Closed) => TaxAnswer::Closed,
        Ok(NtsVerdict::Mismatch) => TaxAnswer::Mismatch,
        Err(e) => {
            if e.is_unsent() {
                app.tax_budget.give_back(&tools.tax_calls, index, address, today);
            }
            if e.class != ErrorClass::Unavailable {
                tracing::warn!(error = %e, "the tax service did not answer a signup");
            }
            metrics::counter!("fallbacks_total", "reason" => "nts-pending").increment(1);
            TaxAnswer::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: NaiveDate = NaiveDate::MIN;

    /// Case M3: a few calls per number, whoever asks; a budget per address; a day's end for all.
    #[test]
    fn a_budget_has_three_ends() {
        let (budget, calls, now) = (TaxBudget::new(8), TaxCalls::new(1_000), Instant::now());
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let take = |number: u8, from: u8, now| budget.take(&calls, [number; 32], address(from), DAY, now);
        let taken = (0..100).filter(|n| take(1, *n, now)).count();
        assert_eq!(taken, MAX_NUMBER_CALLS, "of one number, from a hundred addresses");
        assert!(take(1, 0, now + WINDOW), "an hour later");
        assert_eq!((0..100).filter(|n| take(100 + n, 200, now)).count(), 8, "of one address, for a hundred numbers");
        budget.verified(address(200));
        assert!(take(99, 200, now) && !take(98, 200, now), "what verified gives its place back");
        let few = TaxCalls::new(10);
        let today = (0..100).filter(|n| budget.take(&few, [*n; 32], address(*n), DAY, now + WINDOW)).count();
        assert_eq!(today, 9, "the last of the day is a retry's");
        budget.give_back(&few, [0; 32], address(0), DAY);
        assert!(budget.take(&few, [0; 32], address(0), DAY, now + WINDOW), "what was not sent costs nothing");
    }
}
