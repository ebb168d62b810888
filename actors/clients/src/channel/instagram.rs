//! Instagram (Meta Graph API): container, poll, publish.
//!
//! `POST /me/media`, `GET /{container}?fields=status_code`, `POST /me/media_publish`, `GET /{media}?fields=permalink`,
//! `GET /{media}/insights`. Codes 4/2207051 and timeouts after the publish leave the outcome unknown: the container's
//! status tells.

use super::{Answered, ChannelClient, Figures, PUBLISH_LIMIT, Post, Published, Recall, STATS_LIMIT};
use crate::error::{UpstreamError, class_of_status};
use crate::http::{Answer, Endpoint, Http, JSON_CAP};
use crate::reach;
use domain::distribution::ErrorClass;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// The longest caption.
const CAPTION_MAX: usize = 2200;
/// How long is waited for the address of what is out already.
const NICE_TO_KNOW: Duration = Duration::from_secs(2);
/// How often a container is looked at, and how long between: 8 s in all, within the attempt's limit.
const POLLS: u32 = 16;
const POLL_EVERY: Duration = Duration::from_millis(500);

/// Pages of our media that are looked through for a post.
const PAGES: u32 = 5;

/// The client.
#[derive(Clone, Debug)]
pub struct Instagram {
    http: Http,
    at: Endpoint,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Container {
    status_code: String,
}

#[derive(Deserialize)]
struct MediaList {
    data: Vec<Media>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Option<Cursors>,
}

#[derive(Deserialize)]
struct Cursors {
    #[serde(default)]
    after: Option<String>,
}

#[derive(Deserialize)]
struct Media {
    id: String,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    permalink: Option<String>,
}

#[derive(Deserialize)]
struct Insights {
    data: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    values: Vec<MetricValue>,
}

#[derive(Deserialize)]
struct MetricValue {
    value: i64,
}

#[derive(Deserialize)]
struct Failure {
    error: FailureBody,
}

#[derive(Deserialize)]
struct FailureBody {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    error_subcode: i64,
    #[serde(default)]
    is_transient: bool,
}

impl Instagram {
    /// A client of the service at an endpoint.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.client().get(format!("{}{path}", self.at.base)).bearer_auth(&self.at.key)
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.client().post(format!("{}{path}", self.at.base)).bearer_auth(&self.at.key).form(form)
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, UpstreamError> {
        let answer = self.http.send(request, PUBLISH_LIMIT, JSON_CAP).await?;
        if (200..300).contains(&answer.status) { answer.json() } else { Err(failure(&answer)) }
    }

    async fn state(&self, container: &str) -> Result<String, UpstreamError> {
        let state: Container =
            self.call(self.get(&format!("/{container}")).query(&[("fields", "status_code")])).await?;
        Ok(state.status_code)
    }

    /// Waits until the container is ready; nothing is published before that.
    async fn ready(&self, container: &str) -> Result<Ready, UpstreamError> {
        for _ in 0..POLLS {
            match self.state(container).await?.as_str() {
                "FINISHED" => return Ok(Ready::Finished),
                "PUBLISHED" => return Ok(Ready::Published),
                "IN_PROGRESS" => tokio::time::sleep(POLL_EVERY).await,
                "EXPIRED" => return Err(UpstreamError::unreached("container expired")),
                _ => return Err(UpstreamError::new(ErrorClass::Caller, "container refused")),
            }
        }
        Err(UpstreamError::unreached("container not ready in time"))
    }

    /// A published container is out, whether or not its media can be named: then the container names it.
    async fn media_or_container(&self, post: &Post, container: &str) -> Published {
        match tokio::time::timeout(NICE_TO_KNOW, self.media_of(post)).await {
            Ok(Ok(Some(m))) => Published::Out { id: m.id, url: m.permalink, remote: json!({}) },
            Ok(Ok(None) | Err(_)) | Err(_) => Published::Out { id: container.to_owned(), url: None, remote: json!({}) },
        }
    }

    /// The newest of our media with our link, whatever our public address was then.
    async fn media_of(&self, post: &Post) -> Result<Option<Media>, UpstreamError> {
        let mut after: Option<String> = None;
        let page = post.link.find("/e/").map_or(post.link.as_str(), |at| &post.link[at..]);
        for _ in 0..PAGES {
            let mut fields = vec![("fields", "id,caption,permalink".to_owned()), ("limit", "100".to_owned())];
            fields.extend(after.map(|a| ("after", a)));
            let list: MediaList = self.call(self.get("/me/media").query(&fields)).await?;
            if let Some(m) = list.data.into_iter().find(|m| m.caption.contains(page)) {
                return Ok(Some(m));
            }
            after = list.paging.and_then(|p| p.cursors).and_then(|c| c.after);
            if after.is_none() {
                break;
            }
        }
        Ok(None)
    }
}

fn container_of(post: &Post) -> Option<&str> {
    post.remote["container"].as_str()
}

#[derive(PartialEq, Eq)]
enum Ready {
    Finished,
    Published,
}

/// The class of a pair of `code` and `error_subcode` (Graph API and Instagram Platform, error codes); `None`: the status tells.
fn class_of_code(code: i64, subcode: i64) -> Option<ErrorClass> {
    Some(match (code, subcode) {
        // The token, the login, or a right that was taken back.
        (102 | 190 | 10 | 200..=299, _) => ErrorClass::Auth,
        (4, 2_207_051) => ErrorClass::UnknownOutcome,
        (_, 2_207_042) => ErrorClass::Quota,
        (_, 2_207_001) => ErrorClass::Refused,
        // The service's own time-outs and hiccups.
        (-2 | -1 | 1 | 2 | 9004 | 9007, _) => ErrorClass::Transient,
        // The picture was not fetched in time, or the container is not ready, is gone, or is not known everywhere yet.
        (_, 2_207_003 | 2_207_006 | 2_207_008 | 2_207_020 | 2_207_027 | 2_207_032 | 2_207_052 | 2_207_053)
        | (100, 33) => ErrorClass::Transient,
        (4 | 17 | 32 | 341 | 613 | 80_000..=80_014, _) => ErrorClass::Throttled,
        _ => return None,
    })
}

/// The class of a Graph API failure.
fn failure(answer: &Answer) -> UpstreamError {
    let said: Option<Failure> = serde_json::from_slice(&answer.body).ok();
    let named = said.as_ref().and_then(|f| class_of_code(f.error.code, f.error.error_subcode));
    let passing = said.as_ref().is_some_and(|f| f.error.is_transient).then_some(ErrorClass::Transient);
    let class = named.or(passing).unwrap_or_else(|| class_of_status(answer.status));
    let detail = said.map_or_else(String::new, |f| format!(" code {}/{}", f.error.code, f.error.error_subcode));
    UpstreamError::answered(class, answer, format!("status {}{detail}", answer.status))
}

impl ChannelClient for Instagram {
    /// It fetches from the internet; one that plays it on this machine or network fetches from there.
    fn can_fetch(&self, public_url: &str) -> bool {
        reach::is_public_https(public_url) || !reach::is_public(&self.at.base)
    }

    fn prepares(&self) -> bool {
        true
    }

    /// Makes the container. One container is published once, however often that is asked: it is the post's key.
    fn prepare<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Value>> {
        Box::pin(async move {
            if let Some(container) = container_of(post)
                && !matches!(self.state(container).await?.as_str(), "EXPIRED" | "ERROR")
            {
                return Ok(None);
            }
            let image = post.image_url.as_deref().ok_or_else(|| UpstreamError::new(ErrorClass::Caller, "no JPEG"))?;
            let caption: String = post.text.chars().take(CAPTION_MAX).collect();
            let form = [("image_url", image), ("caption", caption.as_str()), ("alt_text", post.title.as_str())];
            let container: Id = self.call(self.post("/me/media", &form)).await?;
            Ok(Some(json!({"container": container.id})))
        })
    }

    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published> {
        Box::pin(async move {
            let container = container_of(post).ok_or_else(|| UpstreamError::new(ErrorClass::Caller, "no container"))?;
            if self.ready(container).await? == Ready::Published {
                return Ok(self.media_or_container(post, container).await);
            }
            let media: Id = self
                .call(self.post("/me/media_publish", &[("creation_id", container)]))
                .await
                .map_err(UpstreamError::after_publish)?;
            // The post is out; not knowing its address is no failure.
            let seeing = self.call(self.get(&format!("/{}", media.id)).query(&[("fields", "id,permalink")]));
            let seen: Option<Media> = tokio::time::timeout(NICE_TO_KNOW, seeing).await.ok().and_then(Result::ok);
            Ok(Published::Out { id: media.id, url: seen.and_then(|m| m.permalink), remote: json!({}) })
        })
    }

    /// The container knows whether it was published. One that is not known here any more, because the database is older than
    /// the post, may have been: the link is of this event alone.
    fn find<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Published>> {
        Box::pin(async move {
            if let Some(container) = container_of(post)
                && self.state(container).await? == "PUBLISHED"
            {
                return Ok(Some(self.media_or_container(post, container).await));
            }
            let media = self.media_of(post).await?;
            Ok(media.map(|m| Published::Out { id: m.id, url: m.permalink, remote: json!({}) }))
        })
    }

    /// This API has no way to delete a post.
    fn recall<'a>(&'a self, _external_id: &'a str, _remote: &'a Value) -> Answered<'a, Recall> {
        Box::pin(async { Ok(Recall::Impossible) })
    }

    fn stats<'a>(&'a self, _event: Uuid, external_id: &'a str) -> Answered<'a, Figures> {
        Box::pin(async move {
            let request = self.get(&format!("/{external_id}/insights")).query(&[("metric", "views")]);
            let answer = self.http.send(request, STATS_LIMIT, JSON_CAP).await?;
            let insights: Insights =
                if (200..300).contains(&answer.status) { answer.json()? } else { return Err(failure(&answer)) };
            // The set is empty instead of zero while nothing was measured.
            let views =
                insights.data.iter().find(|m| m.name == "views").and_then(|m| m.values.first()).map(|v| v.value.max(0));
            Ok(Figures { impressions: views, clicks: None })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &str) -> ErrorClass {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        failure(&Answer { status, retry_after: None, body }).class
    }

    fn coded(code: i64, subcode: i64) -> String {
        format!(r#"{{"error":{{"message":"m","type":"OAuthException","code":{code},"error_subcode":{subcode}}}}}"#)
    }

    /// Case 21: what passes by itself is tried again, whatever the status says.
    #[test]
    fn what_passes_by_itself_is_transient() {
        for (code, subcode) in [(100, 33), (-1, 0), (-2, 0), (24, 2_207_006), (24, 2_207_008), (-1, 2_207_053), (2, 0)]
        {
            assert_eq!(class(400, &coded(code, subcode)), ErrorClass::Transient, "{code}/{subcode}");
        }
        let told = r#"{"error":{"code":99,"is_transient":true}}"#;
        assert_eq!(class(400, told), ErrorClass::Transient);
        assert_eq!(class(400, &coded(99, 0)), ErrorClass::Caller);
        assert_eq!(class(400, &coded(100, 0)), ErrorClass::Caller);
        assert_eq!(class(400, &coded(36_003, 2_207_009)), ErrorClass::Caller, "a shape that is not taken stays so");
        for code in [10, 102, 190, 200] {
            assert_eq!(class(400, &coded(code, 0)), ErrorClass::Auth, "{code}");
        }
        for code in [4, 17, 32, 613, 80_002] {
            assert_eq!(class(400, &coded(code, 0)), ErrorClass::Throttled, "{code}");
        }
        assert_eq!(class(400, &coded(4, 2_207_051)), ErrorClass::UnknownOutcome);
        assert_eq!(class(400, &coded(-1, 2_207_001)), ErrorClass::Refused);
        assert_eq!(class(502, "<html>"), ErrorClass::Transient);
    }
}
