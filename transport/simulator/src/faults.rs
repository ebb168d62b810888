//! What can go wrong at an upstream, and where.

use serde::{Deserialize, Serialize};

/// What an upstream does instead of answering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Fault {
    /// Answers with this status and body, before anything happens.
    Status {
        /// HTTP status.
        status: u16,
        /// Seconds of a `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// The body; a short JSON when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// 503 to everything.
    Down,
    /// 429 with `Retry-After: 1`.
    Throttled,
    /// Never answers, and nothing happens.
    Hang,
    /// Does what was asked, and the answer never arrives.
    LoseAnswer,
    /// Does what was asked, and the connection is reset before the answer.
    CutAnswer,
    /// The connection is reset, and nothing happens.
    Reset,
    /// Does what was asked, and answers a byte a second.
    Slow,
    /// Does what was asked, and the answer's second half is missing.
    Truncated,
    /// Answers 16 MiB of nothing.
    Oversized,
    /// Answers 200 with a page.
    Html,
    /// Answers 200 with Korean text in another encoding.
    Charset,
    /// The model will not (a refusal), or the picture is filtered by moderation.
    Refusal,
    /// The model's answer ends in the middle (`max_tokens`).
    CutShort,
    /// The advert is taken, and rejected by its reviewer.
    Rejected,
    /// The advert's review takes this long.
    LateReview {
        /// Seconds.
        seconds: u64,
    },
}

/// A fault, and which requests meet it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Name of the upstream (`NTS`, `CLAUDE`, …).
    pub upstream: String,
    /// A part of the path after the upstream's prefix (`/me/media_publish`); all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Only this share of the requests, 0 to 1; all when left out.
    #[serde(default = "all", skip_serializing_if = "is_all")]
    pub share: f64,
    /// The fault.
    #[serde(flatten)]
    pub fault: Fault,
}

fn all() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_all(share: &f64) -> bool {
    *share >= 1.0
}

impl Rule {
    /// A fault of every request to an upstream.
    #[must_use]
    pub fn of(upstream: &str, fault: Fault) -> Self {
        Self { upstream: upstream.to_owned(), route: None, share: 1.0, fault }
    }

    /// Does a request meet it? `path` is what follows the upstream's prefix, `dice` in 0..1.
    pub(crate) fn meets(&self, upstream: &str, path: &str, dice: f64) -> bool {
        self.upstream == upstream && self.route.as_deref().is_none_or(|r| path.contains(r)) && dice < self.share
    }
}
