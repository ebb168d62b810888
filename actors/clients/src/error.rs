//! Failures of upstreams, in the classes that breakers, retries and owners understand.

use domain::distribution::ErrorClass;
use std::time::Duration;

/// A failed call. `detail` is for operators: it holds no key, token or personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {detail}")]
pub struct UpstreamError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// When the upstream said to come back.
    pub retry_after: Option<Duration>,
    /// More, for operators.
    pub detail: String,
}

impl UpstreamError {
    /// A failure of a class.
    #[must_use]
    pub fn new(class: ErrorClass, detail: impl Into<String>) -> Self {
        Self { class, retry_after: None, detail: detail.into() }
    }

    /// An answer that is not what it should be: counts as the upstream's failure.
    #[must_use]
    pub fn garbage(detail: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, detail)
    }

    /// After a call that may have published: whatever is not a clear no leaves the outcome unknown.
    #[must_use]
    pub fn after_publish(self) -> Self {
        match self.class {
            ErrorClass::Transient => Self { class: ErrorClass::UnknownOutcome, ..self },
            _ => self,
        }
    }
}

/// The class of an HTTP status where the provider has no finer rule.
#[must_use]
pub fn class_of_status(status: u16) -> ErrorClass {
    match status {
        401 => ErrorClass::Auth,
        402 => ErrorClass::Quota,
        429 => ErrorClass::Throttled,
        408 | 500..=599 => ErrorClass::Transient,
        400..=499 => ErrorClass::Caller,
        // A redirect or anything else unexpected is no answer.
        _ => ErrorClass::Transient,
    }
}
