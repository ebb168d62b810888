//! What browsers are told with every answer: what a page may load, and that it is framed and guessed at by nobody.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The policy of an answer of the API: it is no page.
static API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The browser asks for our names by TLS for a year.
static STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// What scripts of a page may make text into: nothing but the address of the worker, by the policy of this name in
/// `web/console.js`. A name that somebody wrote never becomes a script.
const TRUSTED_TYPES: &str = "require-trusted-types-for 'script'; trusted-types madang";

/// The headers of all answers of a server.
pub(crate) struct Policy {
    pages: HeaderValue,
    https: bool,
}

impl Policy {
    /// For a server whose public origin is `ours`. Pictures have the public address, and a page may be opened at another one.
    pub(crate) fn new(ours: &str, tls: bool) -> Self {
        let pages = format!(
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: {ours}; connect-src 'self'; \
             object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; {TRUSTED_TYPES}"
        );
        let pages = HeaderValue::try_from(pages).expect("an origin is ASCII");
        Self { pages, https: tls || ours.starts_with("https://") }
    }

    /// Adds the headers that an answer does not have yet.
    pub(crate) fn secure(&self, headers: &mut HeaderMap, api: bool) {
        // Grown once.
        headers.reserve(10);
        let policy = if api { &API_POLICY } else { &self.pages };
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| policy.clone());
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
        }
        if api {
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases 2 and 3, and HSTS of the low list: pictures of the public address, and TLS for ever where that has it.
    #[test]
    fn the_public_address_decides() {
        for (ours, tls, https) in [
            ("http://127.0.0.1:8080", false, false),
            ("https://shop.example.kr", false, true),
            ("https://127.0.0.1:8443", true, true),
        ] {
            let mut headers = HeaderMap::new();
            Policy::new(ours, tls).secure(&mut headers, false);
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
            assert!(policy.contains(&format!("img-src 'self' data: {ours};")), "{policy}");
            assert!(policy.contains("require-trusted-types-for 'script'; trusted-types madang"), "{policy}");
            assert_eq!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY), https, "{ours}");
        }
    }
}
