//! Instagram: container, poll, publish, permalink, insights.

use crate::checks::bearer;
use crate::posts::{Post, growth};
use crate::server::Shared;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{Duration, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How long a container is in progress.
const PREPARING: Duration = Duration::milliseconds(300);

/// How long a container may be published.
const LIFETIME: Duration = Duration::hours(24);
/// Media of one page at most.
const PAGE: usize = 100;

type Answer = (StatusCode, Json<Value>);

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/me/media", post(container).get(list))
        .route("/me/media_publish", post(publish))
        .route("/{id}", get(one))
        .route("/{id}/insights", get(insights))
}

fn failure(status: StatusCode, code: i64, subcode: i64, message: &str) -> Answer {
    (
        status,
        Json(json!({"error": {"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode}})),
    )
}

fn unauthorised() -> Answer {
    failure(StatusCode::UNAUTHORIZED, 190, 0, "Invalid OAuth access token")
}

async fn container(State(s): State<Shared>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    let (Some(image), Some(caption)) = (form.get("image_url"), form.get("caption")) else {
        return failure(StatusCode::BAD_REQUEST, 100, 0, "image_url and caption are required");
    };
    let path = image.split('?').next().unwrap_or(image);
    if !std::path::Path::new(path)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("jpg") || e.eq_ignore_ascii_case("jpeg"))
    {
        return failure(StatusCode::BAD_REQUEST, 9004, 2_207_052, "Only photo in JPEG can be accepted as media type.");
    }
    if caption.chars().count() > 2200 {
        return failure(StatusCode::BAD_REQUEST, 100, 0, "caption too long");
    }
    let id = format!("17{}", crate::background::seed(&uuid::Uuid::now_v7().to_string()));
    let post = Post {
        upstream: "INSTAGRAM_CONTAINER".into(),
        id: id.clone(),
        key: None,
        event: None,
        body: json!(form),
        at: Utc::now(),
        gone: false,
    };
    s.posts.add(post);
    (StatusCode::OK, Json(json!({"id": id})))
}

async fn publish(State(s): State<Shared>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    let Some(container) = form.get("creation_id").and_then(|id| s.posts.find("INSTAGRAM_CONTAINER", |p| &p.id == id))
    else {
        return failure(StatusCode::BAD_REQUEST, 100, 0, "Invalid creation_id");
    };
    if Utc::now() - container.at < PREPARING {
        return failure(StatusCode::BAD_REQUEST, 9007, 2_207_027, "Media is not ready for publishing");
    }
    let id = format!("18{}", crate::background::seed(&container.id));
    // A container is published once: its id is the key.
    let event = container.body["caption"].as_str().and_then(crate::naver_kakao::slug_in);
    let post = Post {
        upstream: "INSTAGRAM".into(),
        id,
        key: Some(container.id),
        event,
        body: container.body,
        at: Utc::now(),
        gone: false,
    };
    (StatusCode::OK, Json(json!({"id": s.posts.add(post).id})))
}

fn media(post: &Post) -> Value {
    json!({"id": post.id, "caption": post.body["caption"], "permalink": format!("https://instagram.example/p/{}", post.id)})
}

async fn one(State(s): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    if let Some(container) = s.posts.find("INSTAGRAM_CONTAINER", |p| p.id == id) {
        let published = s.posts.find("INSTAGRAM", |p| p.key.as_ref() == Some(&id)).is_some();
        let state = match (published, Utc::now() - container.at) {
            (true, _) => "PUBLISHED",
            (_, age) if age > LIFETIME => "EXPIRED",
            (_, age) if age >= PREPARING => "FINISHED",
            _ => "IN_PROGRESS",
        };
        return (StatusCode::OK, Json(json!({"id": id, "status_code": state})));
    }
    match s.posts.find("INSTAGRAM", |p| p.id == id) {
        Some(post) => (StatusCode::OK, Json(media(&post))),
        None => failure(StatusCode::NOT_FOUND, 100, 33, "Unsupported get request"),
    }
}

/// Newest first, by pages.
async fn list(State(s): State<Shared>, headers: HeaderMap, Query(q): Query<HashMap<String, String>>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    let limit = q.get("limit").and_then(|l| l.parse().ok()).unwrap_or(25).clamp(1, PAGE);
    let mut posts = s.posts.of("INSTAGRAM");
    posts.reverse();
    let from = q.get("after").and_then(|a| posts.iter().position(|p| &p.id == a)).map_or(0, |i| i + 1);
    let more = posts.len() > from + limit;
    let page: Vec<Value> = posts.iter().skip(from).take(limit).map(media).collect();
    let cursor = page.last().map(|m| m["id"].clone()).filter(|_| more);
    (StatusCode::OK, Json(json!({"data": page, "paging": {"cursors": {"after": cursor}}})))
}

async fn insights(State(s): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    let Some(post) = s.posts.find("INSTAGRAM", |p| p.id == id) else {
        return failure(StatusCode::NOT_FOUND, 100, 33, "Unsupported get request");
    };
    let views = growth(&post, 600.0);
    let data = if views == 0 {
        json!([])
    } else {
        json!([{"name": "views", "period": "lifetime", "values": [{"value": views}]}])
    };
    (StatusCode::OK, Json(json!({"data": data})))
}
