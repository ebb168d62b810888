//! What is refused whatever the route: requests that HTTP does not allow (RFC 9112), and changes by pages of others.

use crate::codings::Coding;
use crate::error::Problem;
use crate::extract::{parse, says_json};
use crate::openapi::OPERATIONS;
use crate::origins::is_loopback_name;
use crate::state::App;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Bytes of a path with its query. The longest that our pages make is a cursor, far below.
const MAX_URI_BYTES: usize = 8 * 1024;

/// The problem of a request that no route is to see.
pub(super) fn refusal(app: &App, request: &Request, coding: Option<Coding>) -> Option<Problem> {
    if request.uri().path_and_query().is_some_and(|asked| asked.as_str().len() > MAX_URI_BYTES) {
        return Some(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long"));
    }
    if !has_one_host(request.version(), request.headers()) {
        return Some(Problem::new(StatusCode::BAD_REQUEST, "host-invalid"));
    }
    if !request.method().is_safe() && !app.origins.allow(request.headers()) {
        return Some(Problem::new(StatusCode::FORBIDDEN, "forbidden-origin"));
    }
    if coding.is_none() {
        return Some(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable"));
    }
    None
}

/// A request names its host once (RFC 9112, 3.2); before HTTP/1.1 it need not.
fn has_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => host.is_empty() || authority(host).is_some_and(|host| is_plain(&host)),
        (Some(_), Some(_)) => false,
    }
}

/// A host and at most a port.
fn is_plain(authority: &Authority) -> bool {
    let (host, whole) = (authority.host(), authority.as_str());
    let port = whole.strip_prefix(host).and_then(|rest| rest.strip_prefix(':').or(Some(rest).filter(|r| r.is_empty())));
    port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    host.to_str().ok()?.parse().ok()
}

/// Does a request name this machine by what nobody else can give it? A page may have a name of its own pointed here (DNS
/// rebinding): what is open to this machine is not open to that page.
pub(crate) fn is_asked_by_loopback_name(headers: &HeaderMap) -> bool {
    headers.get(header::HOST).and_then(authority).is_some_and(|host| is_loopback_name(host.host()))
}

/// Bytes of a body that says nothing: an empty object with room for white space.
const MAX_EMPTY_BODY_BYTES: usize = 1024;

/// A body of a route that takes none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

/// Methods of routes that take no body, by path.
static TAKES_NONE: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for operation in OPERATIONS.iter().filter(|o| o.takes.is_none()) {
        all.entry(operation.path).or_default().push(operation.method);
    }
    all
});

/// Every body says that it is JSON. A route that takes none refuses one that says something: a command must not be carried out
/// against its own words.
pub(crate) async fn typed_bodies(request: Request, next: Next) -> Response {
    let has_body = !request.method().is_safe() && !request.body().is_end_stream();
    if !has_body {
        return next.run(request).await;
    }
    if says_json(request.headers()) != Some(true) {
        return Problem::unsupported().into_response();
    }
    if !takes_none(&request) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_EMPTY_BODY_BYTES).await else {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large").into_response();
    };
    match parse::<EmptyBody>(&bytes) {
        Ok(EmptyBody {}) => next.run(Request::from_parts(parts, Body::empty())).await,
        Err(problem) => problem.into_response(),
    }
}

fn takes_none(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    let methods = path.and_then(|path| TAKES_NONE.get(path.as_str()));
    methods.is_some_and(|all| all.iter().any(|method| request.method().as_str().eq_ignore_ascii_case(method)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(all: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for host in all {
            headers.append(header::HOST, HeaderValue::from_str(host).expect("a header"));
        }
        headers
    }

    /// Low list: one host, and a possible one.
    #[test]
    fn a_request_has_one_host() {
        for (version, given, fine) in [
            (Version::HTTP_11, &["shop.example.kr"][..], true),
            (Version::HTTP_11, &["127.0.0.1:8080"], true),
            (Version::HTTP_11, &["[::1]:8080"], true),
            (Version::HTTP_11, &[""], true),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a", "a"], false),
            (Version::HTTP_10, &["a", "b"], false),
            (Version::HTTP_11, &["a b"], false),
            (Version::HTTP_11, &["a/b"], false),
            (Version::HTTP_11, &["user@a"], false),
            (Version::HTTP_11, &["a:port"], false),
            (Version::HTTP_11, &["a,b"], true),
        ] {
            assert_eq!(has_one_host(version, &hosts(given)), fine, "{version:?} {given:?}");
        }
    }

    /// Low list: only this machine's own names, in any spelling.
    #[test]
    fn names_of_this_machine() {
        for own in ["localhost", "LOCALHOST:9090", "127.0.0.1:9090", "127.0.0.2", "[::1]:9090", "[::ffff:127.0.0.1]"] {
            assert!(is_asked_by_loopback_name(&hosts(&[own])), "{own}");
        }
        for other in ["evil.kr", "localhost.evil.kr:9090", "127.0.0.1.evil.kr", "192.168.0.5:9090", "", "0.0.0.0"] {
            assert!(!is_asked_by_loopback_name(&hosts(&[other])), "{other}");
        }
        assert!(!is_asked_by_loopback_name(&hosts(&[])));
    }
}
