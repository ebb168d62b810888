//! Static files of console and customer page, embedded in the binary.

use crate::clicks;
use crate::error::Problem;
use crate::extract::{Id, Origin, Query, is_known};
use crate::state::App;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::Embed;
use std::time::Instant;

#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/web/"]
struct Files;

/// For crawlers: nothing here is to be found by searching. Links that somebody shares have previews, which need page and
/// picture.
const ROBOTS: &str = "User-agent: *\nAllow: /e/\nAllow: /images/\nAllow: /web/\nDisallow: /\n";

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/docs", get(|headers: HeaderMap| async move { file("docs.html", &headers) }))
        .route("/worker.js", get(|headers: HeaderMap| async move { file("worker.js", &headers) }))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { file("icon-192.png", &headers) }))
        .route("/robots.txt", get(|| async { ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], ROBOTS) }))
        .route("/e/{slug}", get(customer))
        .route("/e/{slug}/", get(without_slash))
        .route("/web/{*path}", get(web))
}

/// The customer page; a visit of our link counts for its source.
async fn customer(
    State(app): State<App>,
    Id(slug): Id<String>,
    Origin(origin): Origin,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let event = crate::http::participation::by_slug(&app, &slug).await?;
    let page = file("event.html", &headers);
    if clicks::is_visit(&method, &headers, page.status()) {
        let source = clicks::source_of(query.get("c"), &event);
        let by = app.clicks.visitor(app.handles.address_tag(origin), &headers);
        if app.clicks.count(by, event.id, source, Instant::now()) {
            app.handles.events.get(event.id).hit(source).await;
        }
    }
    Ok(page)
}

/// The customer page by an address with a slash too many, as some apps make it: it is sent on, with its query.
async fn without_slash(State(app): State<App>, Id(slug): Id<String>, uri: Uri) -> Result<Redirect, Problem> {
    crate::http::participation::by_slug(&app, &slug).await?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(Redirect::permanent(&format!("/e/{slug}{query}")))
}

async fn web(Id(path): Id<String>, headers: HeaderMap) -> Response {
    file(&path, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Files::get(name) else { return Problem::not_found().into_response() };
    let tag = format!("\"{}\"", domain::event::state::hex(&found.metadata.sha256_hash()[..8]));
    if is_known(headers, |known| known == tag.trim_matches('"')) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser that enforces trusted types runs our pages: they make text into script by the one policy that is allowed.
    #[test]
    fn pages_need_no_more_than_the_policy_allows() {
        const SINKS: [&str; 10] = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "srcdoc",
            "eval(",
            "new Function",
            "createContextualFragment",
            "new Worker",
            "javascript:",
        ];
        let mut policies = Vec::new();
        for name in Files::iter().filter(|name| name.ends_with(".js") || name.ends_with(".html")) {
            let file = Files::get(&name).expect("it was listed");
            let text = std::str::from_utf8(&file.data).expect("UTF-8");
            for sink in SINKS {
                assert!(!text.contains(sink), "{name}: {sink}");
            }
            policies.extend(text.matches("createPolicy(").map(|_| text.contains("createPolicy('madang'")));
        }
        assert_eq!(policies, [true], "one policy, by the name that is allowed");
    }
}
