//! Whose pages may call from a browser: those of our own address and of the origins that are configured. A socket of any
//! other is refused before its upgrade; of an answer over REST the browser keeps from it what we do not say it may see (CORS).

use crate::config::Settings;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Url;

/// What a browser asks before a request that a form could not make; for so many seconds it need not ask again.
const PREFLIGHT: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, idempotency-key, if-match, if-none-match, prefer",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
/// What a page may read besides the usual.
const EXPOSED: &str = "etag, location, ratelimit, ratelimit-policy, retry-after, x-cache, x-trace-id";

/// The origins that may call.
pub(crate) struct Origins {
    ours: String,
    more: Vec<String>,
}

impl Origins {
    pub(crate) fn new(public_url: &str, settings: &Settings) -> Self {
        let more = settings.allowed_origins.iter().filter_map(|origin| of(origin)).collect();
        Self { ours: of(public_url).unwrap_or_default(), more }
    }

    /// Is it one of them? `null`, as sandboxed pages have it, is none.
    pub(crate) fn know(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().unwrap_or_default();
        origin == self.ours || same_machine(origin, &self.ours) || self.more.iter().any(|known| known == origin)
    }

    /// Lets a page that may call see the answer; says to caches whom it is for.
    pub(crate) fn open(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.more.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.know(origin)) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    /// The answer's headers to a browser that asks whether one of our pages may call; `None`: this is no such question.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
        let asks = method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let ours = asks && !self.more.is_empty() && headers.get(header::ORIGIN).is_some_and(|origin| self.know(origin));
        ours.then(|| PREFLIGHT.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect())
    }
}

/// Scheme, host and port of an address, as browsers write them: `https://마당.kr:443/` is `https://xn--ok1b32k.kr`.
pub(crate) fn of(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.origin()).filter(|origin| origin.is_tuple()).map(|origin| origin.ascii_serialization())
}

/// `localhost` and the loopback addresses are one place, at the same port.
fn same_machine(one: &str, other: &str) -> bool {
    let port = |origin: &str| {
        let rest = origin.strip_prefix("http://")?;
        let here = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|host| rest.strip_prefix(host))?;
        (here.is_empty() || here.starts_with(':')).then(|| here.to_owned())
    };
    port(one).is_some() && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (url, origin) in [
            ("https://a.kr/shop", Some("https://a.kr")),
            ("HTTPS://A.kr:443", Some("https://a.kr")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://마당.kr/", Some("https://xn--ok1b32k.kr")),
            ("https://", None),
            ("data:text/html,x", None),
        ] {
            assert_eq!(of(url).as_deref(), origin, "{url}");
        }
    }

    #[test]
    fn one_machine_has_many_names() {
        assert!(same_machine("http://localhost:8080", "http://127.0.0.1:8080"));
        for other in
            ["http://localhost:8081", "http://localhost.evil.kr:8080", "https://localhost:8080", "http://evil.kr:8080"]
        {
            assert!(!same_machine(other, "http://127.0.0.1:8080"), "{other}");
        }
    }
}
