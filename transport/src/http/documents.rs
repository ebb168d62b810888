//! The two documents. They never change while the server runs: each is made, named and compressed when it is first asked for.

use crate::codings::{Coding, accepted};
use crate::extract::is_known;
use crate::state::App;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::event::state::hex;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

/// What a document may be compressed as, the shortest first.
const ENCODINGS: [&str; 2] = ["br", "gzip"];

/// The documents of a server.
#[derive(Default)]
pub(crate) struct Documents {
    openapi: OnceCell<Document>,
    asyncapi: OnceCell<Document>,
}

struct Document {
    tag: HeaderValue,
    plain: Bytes,
    compressed: Vec<(&'static str, Bytes)>,
}

/// The routes of the documents. No layer compresses them anew.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/openapi.json", get(openapi)).route("/asyncapi.json", get(asyncapi))
}

async fn openapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let make = || Document::of(crate::openapi::document().to_string());
    app.documents.openapi.get_or_init(make).await.answer(&headers)
}

async fn asyncapi(State(app): State<App>, headers: HeaderMap) -> Response {
    let make = || Document::of(crate::openapi::asyncapi(&app.public_url).to_string());
    app.documents.asyncapi.get_or_init(make).await.answer(&headers)
}

impl Document {
    async fn of(text: String) -> Self {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let tag = format!("W/\"{}\"", hex(&digest[..8]));
        let tag = HeaderValue::try_from(tag).expect("hexadecimal");
        let plain = Bytes::from(text);
        let mut all = Vec::new();
        for encoding in ENCODINGS {
            all.extend(compressed(&plain, encoding).await.map(|body| (encoding, body)));
        }
        Self { tag, plain, compressed: all }
    }

    /// The document as the caller takes it, unless it has it already.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let coding = accepted(headers).unwrap_or(Coding::Identity);
        let chosen = self.compressed.iter().find(|(encoding, _)| *encoding == coding.name());
        let ours = self.tag.to_str().unwrap_or_default().trim_start_matches("W/").trim_matches('"');
        let mut response = match is_known(headers, |tag| tag == ours) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => chosen.map_or(&self.plain, |(_, body)| body).clone().into_response(),
        };
        let modified = response.status() == StatusCode::OK;
        let answered = response.headers_mut();
        answered.insert(header::ETAG, self.tag.clone());
        answered.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        answered.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if modified {
            answered.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(&(encoding, _)) = chosen {
                answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
        }
        response
    }
}

/// A body as the layer of all other answers compresses it.
async fn compressed(plain: &Bytes, encoding: &'static str) -> Option<Bytes> {
    let body = plain.clone();
    let router: Router = Router::new()
        .route("/", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], body) }))
        .layer(CompressionLayer::new());
    let request = Request::builder().header(header::ACCEPT_ENCODING, encoding).body(Body::empty()).ok()?;
    let Ok(answer) = router.oneshot(request).await;
    answer.headers().contains_key(header::CONTENT_ENCODING).then_some(())?;
    to_bytes(answer.into_body(), usize::MAX).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Low list: the same bytes for everybody, compressed beforehand, and none for who has them.
    #[tokio::test]
    async fn a_document_is_made_once() {
        let document = Document::of("madang ".repeat(1_000)).await;
        let sizes: Vec<usize> = document.compressed.iter().map(|(_, body)| body.len()).collect();
        assert!(sizes.len() == 2 && sizes.iter().all(|size| *size < 1_000), "{sizes:?}");
        let plain = document.answer(&HeaderMap::new());
        assert_eq!((plain.status(), plain.headers().get(header::CONTENT_ENCODING)), (StatusCode::OK, None));
        let short = document.answer(&headers(header::ACCEPT_ENCODING, "gzip, deflate"));
        assert_eq!(short.headers()[header::CONTENT_ENCODING], "gzip");
        let mut known = headers(header::ACCEPT_ENCODING, "gzip");
        known.insert(header::IF_NONE_MATCH, document.tag.clone());
        let known = document.answer(&known);
        assert_eq!((known.status(), known.headers().get(header::CONTENT_ENCODING)), (StatusCode::NOT_MODIFIED, None));
    }
}
