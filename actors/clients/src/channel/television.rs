//! 우리동네TV and 지니TV advertising: our own HTTP contract, for the provider publishes none. `POST /{collection}` with an
//! `Idempotency-Key`, `GET /{collection}?requestKey=`, `DELETE /{collection}/{id}`, and the statistics of EP-15 and EP-16
//! (`GET /stats/{eventId}`, `GET /campaign/{eventId}/stats`), all with `X-API-Key`.

use super::{Answered, ChannelClient, Figures, PUBLISH_LIMIT, Post, Published, Recall, STATS_LIMIT};
use crate::error::UpstreamError;
use crate::http::{Endpoint, Http, JSON_CAP};
use domain::distribution::ErrorClass;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The client.
#[derive(Clone, Debug)]
pub struct Television {
    http: Http,
    at: Endpoint,
    collection: &'static str,
    stats_path: fn(Uuid) -> String,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
    status: String,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    #[serde(default)]
    impressions: Option<i64>,
    #[serde(default)]
    clicks: Option<i64>,
}

impl Television {
    /// 우리동네TV at an endpoint: videos.
    #[must_use]
    pub fn woori(http: Http, at: Endpoint) -> Self {
        Self { http, at, collection: "videos", stats_path: |event| format!("/stats/{event}") }
    }

    /// 지니TV advertising at an endpoint: campaigns.
    #[must_use]
    pub fn genie(http: Http, at: Endpoint) -> Self {
        Self { http, at, collection: "campaigns", stats_path: |event| format!("/campaign/{event}/stats") }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.client().request(method, format!("{}{path}", self.at.base)).header("x-api-key", &self.at.key)
    }
}

/// Reads what the service says of one post.
fn published(a: Accepted) -> Result<Published, UpstreamError> {
    match a.status.as_str() {
        "ON_AIR" => Ok(Published::Out { id: a.id, url: a.url, remote: json!({}) }),
        "IN_REVIEW" => Ok(Published::InReview { id: a.id }),
        "REJECTED" => Ok(Published::Refused),
        other => Err(UpstreamError::new(
            ErrorClass::Transient,
            format!("unknown status {:?}", other.chars().take(20).collect::<String>()),
        )),
    }
}

impl ChannelClient for Television {
    fn publish<'a>(&'a self, post: &'a Post) -> Answered<'a, Published> {
        Box::pin(async move {
            let body = json!({
                "eventId": post.event, "title": post.title, "text": post.text, "imageUrl": post.image_url,
                "region": post.region, "advertiser": post.shop, "link": post.link, "startsAt": post.starts_at, "endsAt": post.ends_at,
                "storyboard": [{"seconds": 5, "text": post.title}, {"seconds": 10, "text": post.text}],
            });
            let request = self
                .request(Method::POST, &format!("/{}", self.collection))
                .header("idempotency-key", post.request_key.to_string())
                .json(&body);
            let accepted: Accepted =
                self.http.json(request, PUBLISH_LIMIT).await.map_err(UpstreamError::after_publish)?;
            published(accepted).map_err(UpstreamError::after_publish)
        })
    }

    fn find<'a>(&'a self, post: &'a Post) -> Answered<'a, Option<Published>> {
        Box::pin(async move {
            let key = post.request_key.to_string();
            let request = self.request(Method::GET, &format!("/{}", self.collection)).query(&[("requestKey", key)]);
            let found: Vec<Accepted> = self.http.json(request, PUBLISH_LIMIT).await?;
            found.into_iter().next().map(published).transpose()
        })
    }

    fn recall<'a>(&'a self, external_id: &'a str, _remote: &'a Value) -> Answered<'a, Recall> {
        Box::pin(async move {
            let answer = self
                .http
                .send(
                    self.request(Method::DELETE, &format!("/{}/{external_id}", self.collection)),
                    PUBLISH_LIMIT,
                    JSON_CAP,
                )
                .await?;
            // Gone already is gone.
            if answer.status == 404 {
                return Ok(Recall::Done);
            }
            answer.ok().map(|_| Recall::Done)
        })
    }

    fn stats<'a>(&'a self, event: Uuid, _external_id: &'a str) -> Answered<'a, Figures> {
        Box::pin(async move {
            let stats: Stats =
                self.http.json(self.request(Method::GET, &(self.stats_path)(event)), STATS_LIMIT).await?;
            Ok(Figures { impressions: stats.impressions, clicks: stats.clicks })
        })
    }
}
