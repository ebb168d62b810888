//! Anthropic Messages: `POST /v1/messages` with a JSON schema for the answer.

use super::{Completion, LIMIT, LanguageModel, Spent, messages};
use crate::error::UpstreamError;
use crate::http::{Answer, Endpoint, Http, JSON_CAP};
use domain::distribution::ErrorClass;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

/// The provider's own address.
pub const BASE: &str = "https://api.anthropic.com";
/// The model asked.
pub const MODEL: &str = "claude-sonnet-4-5";
/// Won per million tokens sent and received: the list prices of 3 and 15 US dollars at 1,400 won.
pub const WON_PER_MILLION: (i64, i64) = (4_200, 21_000);

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: i64,
    output_tokens: i64,
}

#[derive(Deserialize)]
struct Failure {
    error: FailureBody,
}

#[derive(Deserialize)]
struct FailureBody {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

/// The client.
#[derive(Clone, Debug)]
pub struct Claude {
    http: Http,
    at: Endpoint,
}

impl Claude {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }
}

impl LanguageModel for Claude {
    fn complete<'a>(
        &'a self,
        system: &'a str,
        turns: &'a [String],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Completion, UpstreamError>> {
        Box::pin(async move {
            let messages: Vec<Value> = messages(turns).collect();
            let body = json!({
                "model": MODEL, "max_tokens": 8192, "system": system, "messages": messages,
                "output_config": {"format": {"type": "json_schema", "schema": schema}},
            });
            let request = self
                .http
                .client()
                .post(format!("{}/v1/messages", self.at.base))
                .header("x-api-key", &self.at.key)
                .header("anthropic-version", "2023-06-01")
                .json(&body);
            decode(&self.http.send(request, LIMIT, JSON_CAP).await?)
        })
    }
}

/// Reads an answer of `/v1/messages`.
///
/// # Errors
/// By class.
pub fn decode(answer: &Answer) -> Result<Completion, UpstreamError> {
    if !(200..300).contains(&answer.status) {
        return Err(failure(answer));
    }
    let message: Message = answer.json()?;
    let text: String = message.content.iter().filter(|b| b.kind == "text").map(|b| b.text.as_str()).collect();
    let spent = Spent::of((message.usage.input_tokens, message.usage.output_tokens), WON_PER_MILLION);
    let failed = match message.stop_reason.as_deref() {
        Some("end_turn" | "stop_sequence") if !text.is_empty() => return Ok(Completion { text, spent }),
        // Cut short: the upstream did what it was asked, and what is there will not parse.
        Some("max_tokens" | "model_context_window_exceeded") => return Ok(Completion { text, spent }),
        Some("refusal") => UpstreamError::new(ErrorClass::Refused, "refusal"),
        other => UpstreamError::garbage(format!("stopped by {:?}", other.map(crate::error::brief))),
    };
    Err(failed.after(spent))
}

fn failure(answer: &Answer) -> UpstreamError {
    let by_status = crate::error::class_of_status(answer.status);
    let said: Option<Failure> = serde_json::from_slice(&answer.body).ok();
    let class = match (&said, answer.status) {
        (Some(f), 400) if f.error.message.contains("usage limits") || f.error.message.contains("credit balance") => {
            ErrorClass::Quota
        }
        (_, 403) => ErrorClass::Auth,
        _ => by_status,
    };
    let kind = said.map_or_else(String::new, |f| crate::error::brief(&f.error.kind));
    UpstreamError::answered(class, answer, format!("status {} {kind}", answer.status))
}
