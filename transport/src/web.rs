//! Static files of console and customer page, embedded in the binary.

use crate::error::Problem;
use crate::extract::{Id, Query};
use crate::state::App;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::channel::Source;
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/web/"]
struct Files;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/docs", get(|headers: HeaderMap| async move { file("docs.html", &headers) }))
        .route("/worker.js", get(|headers: HeaderMap| async move { file("worker.js", &headers) }))
        .route("/e/{slug}", get(customer))
        .route("/web/{*path}", get(web))
}

/// The customer page; a visit of our link counts for its source.
async fn customer(
    State(app): State<App>,
    Id(slug): Id<String>,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let event = crate::http::participation::by_slug(&app, &slug).await?;
    if method == Method::HEAD {
        return Ok(file("event.html", &headers));
    }
    let source = query.get("c").and_then(|c| Source::parse(&c.trim().to_uppercase())).unwrap_or(Source::Direct);
    app.handles.events.get(event.id).hit(source).await;
    Ok(file("event.html", &headers))
}

async fn web(Id(path): Id<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Files::get(name) else { return Problem::not_found().into_response() };
    let tag = format!("\"{}\"", domain::event::state::hex(&found.metadata.sha256_hash()[..8]));
    if headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    };
    (
        [(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())],
        found.data.into_owned(),
    )
        .into_response()
}
