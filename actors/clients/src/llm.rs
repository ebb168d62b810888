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
    /// Tokens sent and received.
    pub tokens: (i64, i64),
    /// What it cost, in hundredths of a won, rounded up.
    pub cost_centiwon: i64,
}

/// Cost in hundredths of a won, rounded up, of tokens sent and received at won per million of each.
pub(crate) fn cost_centiwon((sent, received): (i64, i64), won_per_million: (i64, i64)) -> i64 {
    let sum =
        sent.max(0).saturating_mul(won_per_million.0).saturating_add(received.max(0).saturating_mul(won_per_million.1));
    sum.saturating_add(9_999) / 10_000
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
    /// By class: a refusal is `refused`, a truncated answer `transient`.
    fn complete<'a>(
        &'a self,
        system: &'a str,
        turns: &'a [String],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Completion, UpstreamError>>;
}
