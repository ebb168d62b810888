//! Failures of upstreams, in the classes that breakers, retries and owners understand.

use crate::http::Answer;
use crate::llm::Spent;
use domain::distribution::ErrorClass;
use serde::Deserialize;
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
    /// Certainly nothing happened at the upstream: it was never reached.
    pub untouched: bool,
    /// It said that it did not handle the request: 503 (RFC 9110, 15.6.4). A proxy may say so after forwarding it.
    pub unhandled: bool,
    /// What the call took all the same.
    pub spent: Option<Spent>,
}

impl UpstreamError {
    /// A failure of a class.
    #[must_use]
    pub fn new(class: ErrorClass, detail: impl Into<String>) -> Self {
        Self { class, retry_after: None, detail: detail.into(), untouched: false, unhandled: false, spent: None }
    }

    /// What an answer outside 2xx means.
    #[must_use]
    pub fn answered(class: ErrorClass, answer: &Answer, detail: impl Into<String>) -> Self {
        let unhandled = answer.status == 503;
        Self { retry_after: answer.retry_after, unhandled, ..Self::new(class, detail) }
    }

    /// The upstream was not reached.
    #[must_use]
    pub fn unreached(detail: impl Into<String>) -> Self {
        Self { untouched: true, ..Self::new(ErrorClass::Transient, detail) }
    }

    /// Was nothing sent? The upstream was not reached, or its breaker is open: the call costs no budget.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.untouched || self.class == ErrorClass::Unavailable
    }

    /// An answer that is not what it should be: counts as the upstream's failure.
    #[must_use]
    pub fn garbage(detail: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, detail)
    }

    /// It is billed all the same.
    #[must_use]
    pub fn after(self, spent: Spent) -> Self {
        Self { spent: Some(spent), ..self }
    }

    /// After a call that may have published under a key: whatever is not a clear no leaves the outcome unknown.
    #[must_use]
    pub fn after_publish(self) -> Self {
        if self.unhandled { self } else { self.after_keyless_publish() }
    }

    /// After a call that may have published and would publish again: only what never arrived certainly did not.
    #[must_use]
    pub fn after_keyless_publish(self) -> Self {
        match self.class {
            ErrorClass::Transient if !self.untouched => Self { class: ErrorClass::UnknownOutcome, ..self },
            _ => self,
        }
    }
}

/// The beginning of what an upstream said: enough to know it by, too short for anything personal.
pub(crate) fn brief(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[derive(Deserialize)]
struct OpenAiFailure {
    error: OpenAiFailureBody,
}

#[derive(Deserialize)]
struct OpenAiFailureBody {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
}

/// The class of an OpenAI failure: 429 is a rate or a used-up quota, 400 may be moderation.
pub(crate) fn openai_failure(answer: &Answer) -> UpstreamError {
    let said: Option<OpenAiFailure> = serde_json::from_slice(&answer.body).ok();
    let code = said.and_then(|f| f.error.code.or(f.error.kind)).unwrap_or_default();
    let class = match (answer.status, code.as_str()) {
        (429, "insufficient_quota") | (_, "billing_hard_limit_reached") => ErrorClass::Quota,
        (400, "moderation_blocked" | "content_policy_violation") => ErrorClass::Refused,
        (403, _) => ErrorClass::Auth,
        (status, _) => class_of_status(status),
    };
    UpstreamError::answered(class, answer, format!("status {} {}", answer.status, brief(&code)))
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
