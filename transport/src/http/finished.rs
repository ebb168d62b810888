//! A body that many read and that seldom changes: serialised once, compressed once for each coding, then only sent.

use crate::codings::{Coding, accepted};
use crate::extract::is_known;
use axum::body::{Body, Bytes};
use axum::http::{Extensions, HeaderMap, HeaderValue, Request, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use domain::event::state::hex;
use http_body_util::{BodyExt, Full};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;

/// Bodies that are made or compressed at a time, in the whole process: each takes one processor and tens of megabytes, for
/// seconds where the draw is large.
static MAKING: Semaphore = Semaphore::const_new(1);

/// Waits until nobody else makes or compresses a body.
pub(super) async fn turn_to_make() -> Option<SemaphorePermit<'static>> {
    MAKING.acquire().await.ok()
}

/// How long caches may show a body without asking again.
const CACHED: &str = "public, max-age=60";

/// Marks an answer that the compression layer leaves alone: compressing it at each request would cost more than it saves.
#[derive(Clone)]
pub(crate) struct SendAsIs;

/// Returns whether the compression layer may touch an answer.
pub(crate) fn may_compress(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<SendAsIs>().is_none()
}

/// A finished body.
pub(crate) struct FinishedBody {
    /// SHA-256 of the body, shortened.
    tag: String,
    plain: Bytes,
    gzip: OnceCell<Option<Bytes>>,
    brotli: OnceCell<Option<Bytes>>,
}

impl FinishedBody {
    /// Finishes a JSON body. Hashing megabytes takes milliseconds: not for an async thread.
    pub(crate) fn new(plain: Vec<u8>) -> Self {
        let tag = hex(&Sha256::digest(&plain)[..16]);
        Self { tag, plain: plain.into(), gzip: OnceCell::new(), brotli: OnceCell::new() }
    }

    /// Returns the body as it is.
    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// Returns about how many bytes it takes with both codings: each is half of the body at most, where it is long.
    pub(crate) fn size(&self) -> usize {
        self.plain.len() * 2
    }

    /// Answers a request for it: with the best coding that is accepted, or 304.
    pub(crate) async fn answer(self: &Arc<Self>, headers: &HeaderMap) -> Response {
        let (known, mut bytes) = (self.is_known(headers), self.plain.clone());
        // A client that refuses everything came no further than the gateway.
        let mut coding = accepted(headers).unwrap_or(Coding::Identity);
        // A 304 has the tag of what would be sent (RFC 9110, 15.4.5): a short body is sent as it is.
        if coding != Coding::Identity {
            match self.coded(coding).await {
                Some(coded) => bytes = coded,
                None => coding = Coding::Identity,
            }
        }
        let mut answer = match known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => ([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response(),
        };
        // Two codings of a body are two representations: each has a tag of its own.
        let tag = match coding {
            Coding::Identity => format!("\"{}\"", self.tag),
            other => format!("\"{}-{}\"", self.tag, other.name()),
        };
        let told = answer.headers_mut();
        told.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
        told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            told.insert(header::ETAG, tag);
        }
        if !known && coding != Coding::Identity {
            told.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        answer.extensions_mut().insert(SendAsIs);
        answer
    }

    /// Has the client this body already, in whichever coding?
    fn is_known(&self, headers: &HeaderMap) -> bool {
        is_known(headers, |tag| {
            tag.strip_prefix(self.tag.as_str()).is_some_and(|rest| matches!(rest, "" | "-gzip" | "-br"))
        })
    }

    /// Returns the compressed body, made by the first who asks. It is made in a task of its own: a reader who leaves does
    /// not have it begun anew by the next.
    async fn coded(self: &Arc<Self>, coding: Coding) -> Option<Bytes> {
        let cell = |body: &Self| match coding {
            Coding::Brotli => body.brotli.get().cloned(),
            _ => body.gzip.get().cloned(),
        };
        if let Some(made) = cell(self) {
            return made;
        }
        let body = self.clone();
        let making = tokio::spawn(async move {
            let cell = if coding == Coding::Brotli { &body.brotli } else { &body.gzip };
            let plain = body.plain.clone();
            let compressed = || async move {
                let turn = turn_to_make().await;
                let made = tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    compress(plain, coding)
                });
                made.await.ok().flatten()
            };
            cell.get_or_init(compressed).await.clone()
        });
        making.await.ok().flatten()
    }
}

/// Compresses as the compression layer does, and by it. `None`: it is too short to be compressed.
fn compress(plain: Bytes, coding: Coding) -> Option<Bytes> {
    let answer = service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(axum::http::Response::new(Full::new(plain.clone()))))
    });
    let request = Request::builder().header(header::ACCEPT_ENCODING, coding.name()).body(()).ok()?;
    tokio::runtime::Handle::current().block_on(async {
        let response = CompressionLayer::new().layer(answer).oneshot(request).await.ok()?;
        let compressed = response.headers().contains_key(header::CONTENT_ENCODING);
        let body = response.into_body().collect().await.ok()?.to_bytes();
        compressed.then_some(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    /// Case H2.
    #[tokio::test]
    async fn a_body_is_compressed_once_however_many_ask() {
        let text = "마당".repeat(10_000);
        let body = Arc::new(FinishedBody::new(text.clone().into_bytes()));
        let asked = asking(header::ACCEPT_ENCODING, "gzip");
        let answers = futures_util::future::join_all((0..20).map(|_| body.answer(&asked))).await;
        let mut first = None;
        for answer in answers {
            assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
            assert_eq!(answer.headers()[header::CACHE_CONTROL], "public, max-age=60");
            assert!(answer.extensions().get::<SendAsIs>().is_some(), "and no layer compresses it again");
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(bytes.len() < text.len() / 10 && bytes[..2] == [0x1f, 0x8b]);
            let at = *first.get_or_insert(bytes.as_ptr());
            assert_eq!(bytes.as_ptr(), at, "the same bytes for all");
        }
        let plain = body.answer(&HeaderMap::new()).await;
        assert_eq!(plain.into_body().collect().await.unwrap().to_bytes(), text.as_bytes());
    }

    /// A short body has one representation, and its 304 the tag of that.
    #[tokio::test]
    async fn a_304_has_the_tag_of_what_would_be_sent() {
        for text in ["[]".to_owned(), "마당".repeat(100)] {
            let body = Arc::new(FinishedBody::new(text.into_bytes()));
            for coding in ["br", "gzip", "identity"] {
                let mut asked = asking(header::ACCEPT_ENCODING, coding);
                let sent = body.answer(&asked).await.headers()[header::ETAG].clone();
                asked.insert(header::IF_NONE_MATCH, sent.clone());
                let fresh = Arc::new(FinishedBody::new(body.plain.to_vec()));
                for body in [&body, &fresh] {
                    let again = body.answer(&asked).await;
                    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
                    assert_eq!(again.headers()[header::ETAG], sent, "{coding}");
                }
            }
        }
    }

    #[tokio::test]
    async fn who_has_it_is_not_sent_it_again() {
        let body =
            Arc::new(FinishedBody::new(b"[\"a body that is long enough to be compressed by the layer\"]".to_vec()));
        let tag = body.answer(&asking(header::ACCEPT_ENCODING, "br")).await.headers()[header::ETAG].clone();
        let tag = tag.to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into(), tag.replace("-br", "")] {
            let answer = body.answer(&asking(header::IF_NONE_MATCH, &known)).await;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(answer.headers().contains_key(header::ETAG) && answer.headers().contains_key(header::VARY));
        }
        for other in ["\"x\"", "", "\"\""] {
            assert_eq!(body.answer(&asking(header::IF_NONE_MATCH, other)).await.status(), StatusCode::OK, "{other}");
        }
    }
}
