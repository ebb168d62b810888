//! Kakao: no public API posts to a channel's feed. The prepared share card goes to the KakaoTalk account
//! of the server's key (`POST /v2/api/talk/memo/default/send`, form `template_object`), one for all shops, and a person shares
//! it: always `assisted`.

use super::{Answered, ChannelClient, Figures, PUBLISH_LIMIT, Post, Published, Recall};
use crate::error::{UpstreamError, class_of_status};
use crate::http::{Endpoint, Http, JSON_CAP};
use domain::distribution::ErrorClass;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest text of a card.
const TEXT_MAX: usize = 200;

/// The client.
#[derive(Clone, Debug)]
pub struct Kakao {
    http: Http,
    at: Endpoint,
}

#[derive(Deserialize)]
struct Sent {
    result_code: i64,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: i64,
}

impl Kakao {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }
}

fn card(post: &Post) -> Value {
    let text: String = format!("{}\n{}", post.title, post.text).chars().take(TEXT_MAX).collect();
    let link = json!({"web_url": post.link, "mobile_web_url": post.link});
    match post.image_url.as_ref().filter(|image| image.ends_with(".jpg")) {
        None => json!({"object_type": "text", "text": text, "link": link, "button_title": "응모하기"}),
        Some(image) => json!({
            "object_type": "feed", "button_title": "응모하기",
            "content": {"title": post.title, "description": post.text.chars().take(TEXT_MAX).collect::<String>(), "image_url": image, "link": link},
        }),
    }
}

fn handed_over(post: &Post) -> Published {
    Published::HandedOver { id: post.request_key.to_string(), url: post.link.clone() }
}

impl ChannelClient for Kakao {
    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published> {
        Box::pin(async move {
            let request = self
                .http
                .client()
                .post(format!("{}/v2/api/talk/memo/default/send", self.at.base))
                .bearer_auth(&self.at.key)
                .form(&[("template_object", card(post).to_string())]);
            let answer =
                self.http.send(request, PUBLISH_LIMIT, JSON_CAP).await.map_err(UpstreamError::after_keyless_publish)?;
            if !(200..300).contains(&answer.status) {
                let code = serde_json::from_slice::<Failure>(&answer.body).map_or(0, |f| f.code);
                let class = match code {
                    -401 => ErrorClass::Auth,
                    -10 | -532 => ErrorClass::Throttled,
                    _ => class_of_status(answer.status),
                };
                let failure = UpstreamError::answered(class, &answer, format!("status {} code {code}", answer.status));
                return Err(failure.after_keyless_publish());
            }
            match answer.json::<Sent>().map_err(UpstreamError::after_keyless_publish)?.result_code {
                0 => Ok(handed_over(post)),
                other => Err(UpstreamError::new(ErrorClass::Caller, format!("result {other}"))),
            }
        })
    }

    /// Whether or not the card arrived, the last step is the owner's, who has text and link: it is not sent again.
    fn find<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Published>> {
        Box::pin(async move { Ok(Some(handed_over(post))) })
    }

    fn recall<'a>(&'a self, _external_id: &'a str, _remote: &'a Value) -> Answered<'a, Recall> {
        Box::pin(async { Ok(Recall::Impossible) })
    }

    /// Shares are counted by a webhook that only a public address receives; nothing is measured here.
    fn stats<'a>(&'a self, _event: Uuid, _external_id: &'a str) -> Answered<'a, Figures> {
        Box::pin(async { Ok(Figures::default()) })
    }
}
