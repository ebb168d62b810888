//! Language models: one trait, real clients.

pub mod claude;
pub mod openai;

use crate::error::UpstreamError;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::time::Duration;

/// One attempt (RS-04).
pub const LIMIT: Duration = Duration::from_secs(30);

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// What it took.
    pub spent: Spent,
}

/// What a call took, whether or not its answer was of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Tokens sent and received.
    pub tokens: (i64, i64),
    /// What it cost, in hundredths of a won, rounded up.
    pub cost_centiwon: i64,
}

impl Spent {
    /// Tokens sent and received, at won per million of each.
    pub(crate) fn of(tokens: (i64, i64), won_per_million: (i64, i64)) -> Self {
        let sent = tokens.0.max(0).saturating_mul(won_per_million.0);
        let received = tokens.1.max(0).saturating_mul(won_per_million.1);
        Self { tokens, cost_centiwon: sent.saturating_add(received).saturating_add(9_999) / 10_000 }
    }
}

/// A conversation as both providers write it: user, assistant, user …
pub(crate) fn messages(turns: &[String]) -> impl Iterator<Item = Value> {
    let role = |i: usize| if i.is_multiple_of(2) { "user" } else { "assistant" };
    turns.iter().enumerate().map(move |(i, text)| json!({"role": role(i), "content": text}))
}

/// A model's API.
pub trait LanguageModel: Send + Sync {
    /// Asks for an answer that follows a JSON schema. `turns` alternate user, assistant, user …
    ///
    /// By class: a refusal is `refused`, and says what it took. An answer that was cut short is one all the same.
    fn complete<'a>(
        &'a self,
        system: &'a str,
        turns: &'a [String],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Completion, UpstreamError>>;
}
