//! 우리동네TV, 지니TV and 링고비즈.

use crate::checks::key;
use crate::faults::Fault;
use crate::posts::{Post, growth};
use crate::server::Shared;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use chrono::{Duration, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How long an advert on 지니TV is reviewed.
const REVIEW: Duration = Duration::seconds(4);

type Answer = (StatusCode, Json<Value>);

pub(crate) fn woori() -> Router<Shared> {
    Router::new()
        .route("/videos", post(|s, h, f, b| accept("WOORI_TV", s, h, f, b)).get(|s, h, q| find("WOORI_TV", s, h, q)))
        .route("/videos/{id}", delete(|s, h, p| remove("WOORI_TV", s, h, p)))
        .route("/stats/{event}", get(|s, h, p| stats("WOORI_TV", s, h, p)))
}

pub(crate) fn genie() -> Router<Shared> {
    Router::new()
        .route("/campaigns", post(|s, h, f, b| accept("GENIE_TV", s, h, f, b)).get(|s, h, q| find("GENIE_TV", s, h, q)))
        .route("/campaigns/{id}", delete(|s, h, p| remove("GENIE_TV", s, h, p)))
        .route("/campaign/{event}/stats", get(|s, h, p| stats("GENIE_TV", s, h, p)))
}

pub(crate) fn ringo() -> Router<Shared> {
    Router::new()
        .route("/tones/current", put(tone))
        .route("/tones", get(tones))
        .route("/tones/{id}/restore", post(|s, h, p| remove("RINGO_BIZ", s, h, p)))
}

fn unauthorised() -> Answer {
    (StatusCode::UNAUTHORIZED, Json(json!({"error": "X-API-Key is missing or unknown"})))
}

/// Returns true if the request has a key that is known.
fn allowed(s: &Shared, headers: &HeaderMap) -> bool {
    s.accepts(key(headers, "x-api-key"))
}

/// The post of a request key that was not taken back.
fn of_key(s: &Shared, upstream: &str, q: &HashMap<String, String>) -> Option<Post> {
    s.posts.find(upstream, |p| p.key.is_some() && p.key.as_ref() == q.get("requestKey") && !p.gone)
}

fn new_post(upstream: &str, headers: &HeaderMap, body: Value) -> Option<Post> {
    let key = headers.get("idempotency-key")?.to_str().ok()?.to_owned();
    let event = body["eventId"].as_str()?.to_owned();
    let id = format!("{}-{}", upstream.to_lowercase().replace('_', ""), uuid::Uuid::now_v7().simple());
    Some(Post {
        upstream: upstream.to_owned(),
        id,
        key: Some(key),
        event: Some(event),
        body,
        at: Utc::now(),
        gone: false,
    })
}

fn body_of(post: &Post) -> Value {
    let late = post.body["reviewSeconds"].as_i64().map(Duration::seconds);
    let review = late.or((post.upstream == "GENIE_TV").then_some(REVIEW));
    let reviewing = review.is_some_and(|r| Utc::now() - post.at < r);
    let rejected =
        post.body["review"] == "rejected" || post.body["title"].as_str().is_some_and(|t| t.contains("심의거절"));
    let status = match (rejected, reviewing) {
        (_, true) => "IN_REVIEW",
        (true, _) => "REJECTED",
        _ => "ON_AIR",
    };
    json!({"id": post.id, "status": status, "url": format!("https://{}.example/{}", post.upstream.to_lowercase().replace('_', "-"), post.id)})
}

async fn accept(
    upstream: &'static str,
    State(s): State<Shared>,
    headers: HeaderMap,
    fault: Option<Extension<Fault>>,
    Json(mut body): Json<Value>,
) -> Answer {
    if !allowed(&s, &headers) {
        return unauthorised();
    }
    match fault.map(|f| f.0) {
        Some(Fault::Rejected) => body["review"] = json!("rejected"),
        Some(Fault::LateReview { seconds }) => body["reviewSeconds"] = json!(seconds),
        _ => {}
    }
    match new_post(upstream, &headers, body) {
        Some(post) => (StatusCode::CREATED, Json(body_of(&s.posts.add(post)))),
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "eventId and Idempotency-Key are required"}))),
    }
}

async fn find(
    upstream: &'static str,
    State(s): State<Shared>,
    headers: HeaderMap,
    Query(q): Query<HashMap<String, String>>,
) -> Answer {
    if !allowed(&s, &headers) {
        return unauthorised();
    }
    (StatusCode::OK, Json(of_key(&s, upstream, &q).iter().map(body_of).collect()))
}

async fn tones(State(s): State<Shared>, headers: HeaderMap, Query(q): Query<HashMap<String, String>>) -> Answer {
    if !allowed(&s, &headers) {
        return unauthorised();
    }
    (StatusCode::OK, Json(of_key(&s, "RINGO_BIZ", &q).iter().map(tone_body).collect()))
}

async fn remove(
    upstream: &'static str,
    State(s): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> StatusCode {
    if !allowed(&s, &headers) {
        return StatusCode::UNAUTHORIZED;
    }
    if s.posts.remove(upstream, &id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn stats(
    upstream: &'static str,
    State(s): State<Shared>,
    headers: HeaderMap,
    Path(event): Path<String>,
) -> Answer {
    if !allowed(&s, &headers) {
        return unauthorised();
    }
    let Some(post) = s.posts.find(upstream, |p| p.event.as_deref() == Some(&event) && !p.gone) else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "no such event"})));
    };
    let shown = growth(&post, 900.0);
    let body = match upstream {
        "WOORI_TV" => json!({"eventId": event, "impressions": shown, "views": shown / 4}),
        _ => json!({"eventId": event, "impressions": shown, "clicks": shown / 40}),
    };
    (StatusCode::OK, Json(body))
}

fn tone_body(post: &Post) -> Value {
    json!({"toneId": post.id, "previousToneId": post.body["previousToneId"]})
}

async fn tone(State(s): State<Shared>, headers: HeaderMap, Json(mut body): Json<Value>) -> Answer {
    if !allowed(&s, &headers) {
        return unauthorised();
    }
    let before = s.posts.find("RINGO_BIZ", |p| !p.gone).map_or_else(|| "tone-default".to_owned(), |p| p.id);
    body["previousToneId"] = json!(before);
    match new_post("RINGO_BIZ", &headers, body) {
        Some(post) => (StatusCode::OK, Json(tone_body(&s.posts.add(post)))),
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "eventId and Idempotency-Key are required"}))),
    }
}
