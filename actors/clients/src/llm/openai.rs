//! OpenAI chat completions: `POST /v1/chat/completions` with a JSON schema for the answer.

use super::{Completion, LIMIT, LanguageModel, Spent, messages};
use crate::error::{UpstreamError, openai_failure};
use crate::http::{Answer, Endpoint, Http, JSON_CAP};
use domain::distribution::ErrorClass;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};

/// The provider's own address.
pub const BASE: &str = "https://api.openai.com";
/// The model asked.
pub const MODEL: &str = "gpt-4.1";
/// Won per million tokens sent and received: the list prices of 2 and 8 US dollars at 1,400 won.
pub const WON_PER_MILLION: (i64, i64) = (2_800, 11_200);

#[derive(Deserialize)]
struct Chat {
    choices: Vec<Choice>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: ReplyMessage,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ReplyMessage {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: i64,
    completion_tokens: i64,
}

/// The client.
#[derive(Clone, Debug)]
pub struct OpenAi {
    http: Http,
    at: Endpoint,
}

impl OpenAi {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }
}

impl LanguageModel for OpenAi {
    fn complete<'a>(
        &'a self,
        system: &'a str,
        turns: &'a [String],
        schema: &'a Value,
    ) -> BoxFuture<'a, Result<Completion, UpstreamError>> {
        Box::pin(async move {
            let instructions = json!({"role": "system", "content": system});
            let messages: Vec<Value> = std::iter::once(instructions).chain(messages(turns)).collect();
            let format = json!({"name": "proposal", "schema": schema, "strict": true});
            let body = json!({
                "model": MODEL, "max_completion_tokens": 8192, "messages": messages,
                "response_format": {"type": "json_schema", "json_schema": format},
            });
            let url = format!("{}/v1/chat/completions", self.at.base);
            let request = self.http.client().post(url).bearer_auth(&self.at.key).json(&body);
            decode(&self.http.send(request, LIMIT, JSON_CAP).await?)
        })
    }
}

/// Reads an answer of `/v1/chat/completions`.
///
/// # Errors
/// By class.
pub fn decode(answer: &Answer) -> Result<Completion, UpstreamError> {
    if !(200..300).contains(&answer.status) {
        return Err(openai_failure(answer));
    }
    let chat: Chat = answer.json()?;
    let spent = Spent::of((chat.usage.prompt_tokens, chat.usage.completion_tokens), WON_PER_MILLION);
    let Some(choice) = chat.choices.into_iter().next() else {
        return Err(UpstreamError::garbage("no choice").after(spent));
    };
    let failed = match (choice.finish_reason.as_deref(), choice.message.refusal, choice.message.content) {
        (_, Some(_), _) | (Some("content_filter"), ..) => UpstreamError::new(ErrorClass::Refused, "refusal"),
        (Some("stop"), None, Some(text)) if !text.is_empty() => return Ok(Completion { text, spent }),
        // Cut short: the upstream did what it was asked, and what is there will not parse.
        (Some("length"), None, text) => return Ok(Completion { text: text.unwrap_or_default(), spent }),
        (reason, ..) => UpstreamError::garbage(format!("stopped by {:?}", reason.map(crate::error::brief))),
    };
    Err(failed.after(spent))
}
