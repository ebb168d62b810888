//! Naver: an article in the café that the server's key names, the one thing its API still posts (`POST /v1/cafe/{club}/menu/{menu}/articles`:
//! `subject` and `content`, with a picture as multipart `image`).
//!
//! It can neither be asked whether an article arrived nor take one back, and has no statistics of its own; views come
//! from EP-17 (`GET /posts/{eventId}/insights`) where that is offered. The key is `token@club/menu`, one for all shops of
//! a server.

use super::{Answered, ChannelClient, Figures, PUBLISH_LIMIT, Post, Published, Recall, STATS_LIMIT};
use crate::error::UpstreamError;
use crate::http::{Endpoint, Http, JSON_CAP};
use bytes::Bytes;
use domain::distribution::ErrorClass;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The client.
#[derive(Clone, Debug)]
pub struct Naver {
    http: Http,
    at: Endpoint,
}

#[derive(Deserialize)]
struct Written {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    result: Article,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Article {
    article_id: i64,
    #[serde(default)]
    article_url: Option<String>,
}

#[derive(Deserialize)]
struct Insights {
    #[serde(default)]
    views: Option<i64>,
}

impl Naver {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }

    /// The token, and the numbers of café and menu.
    ///
    /// # Errors
    /// `auth`: the key names no café. Nothing is posted to one that was not named.
    fn parts(&self) -> Result<(&str, &str, &str), UpstreamError> {
        key_parts(&self.at.key).ok_or_else(|| UpstreamError::new(ErrorClass::Auth, "key is not token@club/menu"))
    }
}

/// Splits a key `token@club/menu`. Returns nothing if a part is missing or could change the path of the call.
#[must_use]
pub fn key_parts(key: &str) -> Option<(&str, &str, &str)> {
    let (token, place) = key.rsplit_once('@')?;
    let (club, menu) = place.split_once('/')?;
    let name = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!token.trim().is_empty() && name(club) && name(menu)).then_some((token, club, menu))
}

/// This API wants each field percent-encoded once before the form encodes it again.
fn encoded(s: &str) -> String {
    s.bytes().fold(String::with_capacity(s.len() * 3), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

fn with_picture(fields: [(&'static str, String); 2], jpeg: &Bytes) -> Form {
    let image = Part::stream_with_length(jpeg.clone(), jpeg.len() as u64).file_name("event.jpg");
    let image = image.mime_str("image/jpeg").expect("a media type");
    fields.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value)).part("image", image)
}

impl ChannelClient for Naver {
    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published> {
        Box::pin(async move {
            let (token, club, menu) = self.parts()?;
            let fields = [("subject", encoded(&post.title)), ("content", encoded(&post.text))];
            let request = self.http.client().post(format!("{}/v1/cafe/{club}/menu/{menu}/articles", self.at.base));
            let request = match &post.picture {
                None => request.form(&fields),
                Some(jpeg) => request.multipart(with_picture(fields, jpeg)),
            };
            let request = request.bearer_auth(token);
            let written: Written =
                self.http.json(request, PUBLISH_LIMIT).await.map_err(UpstreamError::after_keyless_publish)?;
            let article = written.message.result;
            Ok(Published::Out { id: article.article_id.to_string(), url: article.article_url, remote: json!({}) })
        })
    }

    /// There is nothing to ask: an unknown outcome stands until the owner settles it.
    fn find<'a>(&'a self, _post: &'a Post) -> Answered<'a, Option<Published>> {
        Box::pin(async { Err(UpstreamError::new(ErrorClass::UnknownOutcome, "cannot be asked")) })
    }

    fn recall<'a>(&'a self, _external_id: &'a str, _remote: &'a Value) -> Answered<'a, Recall> {
        Box::pin(async { Ok(Recall::Impossible) })
    }

    fn stats<'a>(&'a self, event: Uuid, _external_id: &'a str) -> Answered<'a, Figures> {
        Box::pin(async move {
            let (token, ..) = self.parts()?;
            let request = self.http.client().get(format!("{}/posts/{event}/insights", self.at.base)).bearer_auth(token);
            let answer = self.http.send(request, STATS_LIMIT, JSON_CAP).await?;
            if answer.status == 404 {
                return Ok(Figures::default());
            }
            let insights: Insights = answer.ok()?.json()?;
            Ok(Figures { impressions: insights.views, clicks: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::key_parts;

    #[test]
    fn a_key_names_its_cafe() {
        assert_eq!(key_parts("token@10050146/5"), Some(("token", "10050146", "5")));
        assert_eq!(key_parts("to@ken@club/menu"), Some(("to@ken", "club", "menu")));
        for key in
            ["", "token", "token@", "token@club", "token@club/", "token@/menu", "@club/menu", "t@a/../b", "t@a/b?c"]
        {
            assert_eq!(key_parts(key), None, "{key}");
        }
    }
}
