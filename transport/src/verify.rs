//! Asking the tax service at signup: once, within its limit, with the cached verdict of the same tuple (CK-02).

use crate::state::App;
use chrono::NaiveDate;
use clients::nts::NtsVerdict;
use domain::business_number::BusinessNumber;
use domain::channel::Upstream;
use domain::distribution::ErrorClass;
use domain::text::PersonName;
use storage::cache::ttl;

/// What a signup learns.
pub(crate) enum Asked {
    /// Open, and everything matches.
    Verified,
    /// Suspended or closed.
    Closed,
    /// Something does not match.
    Mismatch,
    /// No answer: asked again later.
    Pending,
}

/// Asks about number, opening day and name together: a cached "yes" of another name must not pass.
pub(crate) async fn ask(app: &App, number: &BusinessNumber, opened_on: NaiveDate, name: &PersonName) -> Asked {
    let shared = &app.handles.shared;
    if !shared.upstreams.mode(Upstream::Nts).calls() {
        return Asked::Pending;
    }
    let day = opened_on.to_string();
    let tuple =
        shared.keys.mac("business-tuple", &[number.expose().as_bytes(), day.as_bytes(), name.expose().as_bytes()]);
    let key = format!("business:{}", domain::event::state::hex(&tuple));
    let known = shared.cache.get(&key).await.as_deref() == Some(b"verified");
    shared.vitals.cache("business", known);
    if known {
        return Asked::Verified;
    }
    let call = shared.upstreams.nts.validate(number, opened_on, name.expose());
    match shared.breakers.once(Upstream::Nts, call).await {
        Ok(NtsVerdict::Open) => {
            // Never a "pending" or a "no": those must be asked again.
            shared.cache.set(&key, bytes::Bytes::from_static(b"verified"), ttl::BUSINESS).await;
            Asked::Verified
        }
        Ok(NtsVerdict::Closed) => Asked::Closed,
        Ok(NtsVerdict::Mismatch) => Asked::Mismatch,
        Err(e) => {
            if e.class != ErrorClass::Unavailable {
                tracing::warn!(error = %e, "the tax service did not answer a signup");
            }
            metrics::counter!("fallbacks_total", "reason" => "nts-pending").increment(1);
            Asked::Pending
        }
    }
}
