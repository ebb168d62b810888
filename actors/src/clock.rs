//! The one clock of this crate.

use chrono::SubsecRound;
use domain::time::Instant;

/// Returns now by the database's clock, which decides when an event is open. In microseconds: what PostgreSQL keeps, so that an
/// answer and a later read say the same.
#[must_use]
pub fn now() -> Instant {
    storage::clock::now().trunc_subsecs(6)
}
