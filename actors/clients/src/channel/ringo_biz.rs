//! 링고비즈, the ring-back tone of the shop's phone: our own HTTP contract, for the provider publishes none.
//! `PUT /tones/current` with an `Idempotency-Key` and a script for speech, which answers the tone it replaced;
//! `GET /tones?requestKey=`; `POST /tones/{id}/restore` puts the tone before it back.

use super::{Answered, ChannelClient, Figures, PUBLISH_LIMIT, Post, Published, Recall};
use crate::error::UpstreamError;
use crate::http::{Endpoint, Http, JSON_CAP};
use domain::time::{day_ko, last_day_ko};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest script, in characters: about 20 seconds of speech.
const SCRIPT_MAX: usize = 120;

/// The client.
#[derive(Clone, Debug)]
pub struct RingoBiz {
    http: Http,
    at: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tone {
    tone_id: String,
    #[serde(default)]
    previous_tone_id: Option<String>,
}

impl Tone {
    fn published(self) -> Published {
        Published::Out { id: self.tone_id, url: None, remote: json!({"previousToneId": self.previous_tone_id}) }
    }
}

impl RingoBiz {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.client().request(method, format!("{}{path}", self.at.base)).header("x-api-key", &self.at.key)
    }
}

/// What is spoken to callers.
fn script(post: &Post) -> String {
    // It may be heard before the start.
    let (from, until) = (day_ko(post.starts_at), last_day_ko(post.ends_at));
    let spoken =
        format!("{}입니다. {}, {from}부터 {until}까지 진행합니다. 매장에 문의해 주세요.", post.shop, post.title);
    spoken.chars().take(SCRIPT_MAX).collect()
}

impl ChannelClient for RingoBiz {
    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published> {
        Box::pin(async move {
            let request = self
                .request(Method::PUT, "/tones/current")
                .header("idempotency-key", post.request_key.to_string())
                .json(&json!({"eventId": post.event, "script": script(post), "endsAt": post.ends_at}));
            let tone: Tone = self.http.json(request, PUBLISH_LIMIT).await.map_err(UpstreamError::after_publish)?;
            Ok(tone.published())
        })
    }

    fn find<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Published>> {
        Box::pin(async move {
            let key = post.request_key.to_string();
            let found: Vec<Tone> = self
                .http
                .json(self.request(Method::GET, "/tones").query(&[("requestKey", key)]), PUBLISH_LIMIT)
                .await?;
            Ok(found.into_iter().next().map(Tone::published))
        })
    }

    fn recall<'a>(&'a self, external_id: &'a str, _remote: &'a Value) -> Answered<'a, Recall> {
        Box::pin(async move {
            let request = self.request(Method::POST, &format!("/tones/{external_id}/restore"));
            let answer = self.http.send(request, PUBLISH_LIMIT, JSON_CAP).await?;
            if answer.status == 404 {
                return Ok(Recall::Done);
            }
            answer.ok().map(|_| Recall::Done)
        })
    }

    /// The service measures nothing.
    fn stats<'a>(&'a self, _event: Uuid, _external_id: &'a str) -> Answered<'a, Figures> {
        Box::pin(async { Ok(Figures::default()) })
    }
}
