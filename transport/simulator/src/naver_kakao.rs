//! Naver's café and Kakao's message to oneself.

use crate::checks::bearer;
use crate::posts::{Post, growth};
use crate::server::Shared;
use axum::extract::{Form, FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::HashMap;

type Answer = (StatusCode, Json<Value>);

pub(crate) fn naver() -> Router<Shared> {
    Router::new()
        .route("/v1/cafe/{club}/menu/{menu}/articles", post(article))
        .route("/posts/{event}/insights", get(views))
}

pub(crate) fn kakao() -> Router<Shared> {
    Router::new().route("/v2/api/talk/memo/default/send", post(memo))
}

fn unauthorised() -> Answer {
    (StatusCode::UNAUTHORIZED, Json(json!({"errorMessage": "Authentication failed", "errorCode": "024"})))
}

async fn article(State(s): State<Shared>, Path((club, menu)): Path<(String, String)>, request: Request) -> Answer {
    if !s.accepts(bearer(request.headers())) {
        return unauthorised();
    }
    let (form, picture) = fields(request).await;
    let (Some(subject), Some(content)) = (form.get("subject"), form.get("content")) else {
        return (
            StatusCode::FORBIDDEN,
            Json(json!({"message": {"status": "403", "error": {"code": "999", "msg": "subject and content"}}})),
        );
    };
    let (subject, content) = (decoded(subject), decoded(content));
    let number = s.posts.count("NAVER") + 1;
    // The link in the text is all that ties the article to an event here.
    let event = slug_in(&content);
    let body = json!({"club": club, "menu": menu, "subject": subject, "content": content, "pictureBytes": picture});
    s.posts.add(Post {
        upstream: "NAVER".into(),
        id: number.to_string(),
        key: None,
        event,
        body,
        at: Utc::now(),
        gone: false,
    });
    let url = format!("https://cafe.naver.example/{club}/{number}");
    (
        StatusCode::OK,
        Json(
            json!({"message": {"status": "200", "result": {"cafeUrl": club, "articleId": number, "articleUrl": url}}}),
        ),
    )
}

/// The fields of a form of either kind, and the size of the picture in it.
async fn fields(request: Request) -> (HashMap<String, String>, Option<usize>) {
    let kind = request.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/") {
        let form = Form::<HashMap<String, String>>::from_request(request, &()).await;
        return (form.map(|Form(form)| form).unwrap_or_default(), None);
    }
    let (mut form, mut picture) = (HashMap::new(), None);
    let Ok(mut parts) = Multipart::from_request(request, &()).await else { return (form, None) };
    while let Ok(Some(part)) = parts.next_field().await {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "image" {
            picture = part.bytes().await.ok().map(|bytes| bytes.len());
        } else {
            form.insert(name, part.text().await.unwrap_or_default());
        }
    }
    (form, picture)
}

/// The event's name in a tracking link.
pub(crate) fn slug_in(text: &str) -> Option<String> {
    text.split("/e/").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect())
}

fn decoded(s: &str) -> String {
    let mut bytes = Vec::with_capacity(s.len());
    let mut rest = s.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = (*first == b'%' && tail.len() >= 2).then(|| std::str::from_utf8(&tail[..2]).ok()).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// EP-17: the newest article stands for the event, for the café does not know events.
async fn views(State(s): State<Shared>, headers: HeaderMap, Path(_event): Path<String>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return unauthorised();
    }
    match s.posts.find("NAVER", |p| !p.gone) {
        Some(post) => (StatusCode::OK, Json(json!({"views": growth(&post, 300.0)}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"errorMessage": "no such post"}))),
    }
}

async fn memo(State(s): State<Shared>, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Answer {
    if !s.accepts(bearer(&headers)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"msg": "this access token does not exist", "code": -401})));
    }
    let Some(card) = form.get("template_object").and_then(|t| serde_json::from_str::<Value>(t).ok()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"msg": "template_object is not JSON", "code": -2})));
    };
    let id = uuid::Uuid::now_v7().to_string();
    let link = card["link"]["web_url"].as_str().or(card["content"]["link"]["web_url"].as_str()).unwrap_or_default();
    let event = slug_in(link);
    s.posts.add(Post { upstream: "KAKAO".into(), id, key: None, event, body: card, at: Utc::now(), gone: false });
    (StatusCode::OK, Json(json!({"result_code": 0})))
}
