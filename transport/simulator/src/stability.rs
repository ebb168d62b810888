//! Stability: multipart in, a drawn PNG out.

use crate::checks::bearer;
use crate::faults::Fault;
use crate::server::Shared;
use axum::extract::{Extension, Multipart, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v2beta/stable-image/generate/core", post(generate))
}

async fn generate(
    State(shared): State<Shared>,
    headers: HeaderMap,
    fault: Option<Extension<Fault>>,
    mut form: Multipart,
) -> Response {
    if !shared.accepts(bearer(&headers)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"name": "unauthorized", "errors": ["missing key"]})))
            .into_response();
    }
    let (mut prompt, mut seed) = (String::new(), 0);
    while let Ok(Some(field)) = form.next_field().await {
        let name = field.name().unwrap_or_default().to_owned();
        let text = field.text().await.unwrap_or_default();
        match name.as_str() {
            "prompt" => prompt = text,
            "seed" => seed = text.parse().unwrap_or(0),
            _ => {}
        }
    }
    if prompt.is_empty() {
        return (StatusCode::BAD_REQUEST, Json(json!({"name": "bad_request", "errors": ["prompt: required"]})))
            .into_response();
    }
    if matches!(fault, Some(Extension(Fault::Refusal))) {
        let body = json!({"name": "content_moderation", "errors": ["Your request was flagged"]});
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    match tokio::task::spawn_blocking(move || crate::background::draw(&prompt, seed)).await {
        Ok(png) if !png.is_empty() => {
            ([("content-type", "image/png"), ("finish-reason", "SUCCESS")], png).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
