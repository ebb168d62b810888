//! Errors of the API: one type, one place where they become a body.

mod page;

use crate::messages::words;
use actors::EnterError;
use actors::event::EventError;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::event::Rejection;
use domain::rule::Broken;
use domain::text::grouped;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use storage::StorageError;

/// When a phone whose entry was erased too often may ask again: it enters the next day only, whenever that begins.
const ERASED_RETRY: Duration = Duration::from_secs(3600);

/// A result of a handler.
pub(crate) type ApiResult<T = Response> = Result<T, Problem>;

/// A field that broke a rule.
#[derive(Clone, Debug)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) broken: Broken,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, broken: impl Into<Broken>) -> Self {
        Self { field: field.into(), broken: broken.into() }
    }

    /// As it is answered, with what is allowed where that is a range.
    fn body(&self, detail: &str, english: bool) -> Value {
        let mut body = json!({"field": self.field, "code": self.broken.code, "detail": detail});
        if let Some((min, max)) = self.broken.allowed {
            let (least, most) = (grouped(min), grouped(max));
            let allowed =
                if english { format!("Allowed: {least} to {most}.") } else { format!("허용 범위: {least}~{most}") };
            (body["detail"], body["min"], body["max"]) = (json!(format!("{detail} {allowed}")), json!(min), json!(max));
        }
        body
    }
}

/// An error, before it is put into the caller's language.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) errors: Vec<FieldError>,
    /// Whose words it is said in, where a general code has better ones here.
    words: &'static str,
    retry_after: Option<Duration>,
    extra: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, errors: Vec::new(), words: code, retry_after: None, extra: Vec::new() }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found")
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated")
    }

    /// A body that does not say that it is JSON.
    pub(crate) fn unsupported() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
    }

    /// Not in the state that it is in.
    pub(crate) fn wrong_state(present: impl Serialize) -> Self {
        let present = json!(present);
        Self::conflict("wrong-state").with("present", present.clone()).with("currentStatus", present)
    }

    pub(crate) fn conflict(code: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code)
    }

    /// 422 for one field.
    pub(crate) fn field(field: impl Into<String>, broken: impl Into<Broken>) -> Self {
        Self::fields(vec![FieldError::new(field, broken)])
    }

    /// 422 for several; the top-level code is the first one's.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let code = errors.first().map_or("invalid-value", |e| e.broken.code);
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code) }
    }

    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The same in other words.
    pub(crate) fn said(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    pub(crate) fn with(mut self, key: &'static str, value: Value) -> Self {
        self.extra.push((key, value));
        self
    }

    pub(crate) fn overloaded(code: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code).retry_after(Duration::from_secs(1))
    }

    /// The answer, in Korean unless English is preferred.
    pub(crate) fn render(&self, english: bool, trace: &str) -> Response {
        let mut response = Response::new(self.body(english, trace).into());
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers(english));
        response
    }

    /// Its body, as RFC 9457 has it.
    pub(crate) fn body(&self, english: bool, trace: &str) -> String {
        let say = |code: &str| {
            let w = words(code);
            if english { w.en } else { w.ko }
        };
        let (title, detail) = say(self.words);
        let mut body = json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": detail, "code": self.code, "traceId": trace,
        });
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(|e| e.body(say(e.broken.code).1, english));
            body["errors"] = errors.collect();
        }
        for (key, value) in &self.extra {
            body[*key] = value.clone();
        }
        body.to_string()
    }

    /// Its headers.
    pub(crate) fn headers(&self, english: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(if english { "en" } else { "ko" }));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait).max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers
    }
}

/// Seconds for a header, rounded up: who comes back after them is not too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Does the caller read English rather than Korean?
pub(crate) fn prefers_english(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let accepted = accepted.to_ascii_lowercase();
    // The weight of each of our languages; of equals the first.
    let weight = |entry: &str| {
        let q = entry.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok());
        q.unwrap_or(1.0)
    };
    let mut best: Option<(f32, bool)> = None;
    for entry in accepted.split(',').map(str::trim) {
        let english = entry.starts_with("en");
        if (english || entry.starts_with("ko")) && best.is_none_or(|(w, _)| weight(entry) > w) {
            best = Some((weight(entry), english));
        }
    }
    best.is_some_and(|(w, english)| english && w > 0.0)
}

/// Does the caller read a page rather than JSON, as a browser that follows a link?
pub(crate) fn prefers_page(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    // The best weight of a page, and of JSON where that is named.
    let (mut page, mut json) = (0.0f32, 0.0f32);
    for entry in lines.flat_map(|line| line.split(',')) {
        let mut parts = entry.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let q = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        match kind.as_str() {
            "text/html" | "application/xhtml+xml" => page = page.max(q),
            "application/json" | "application/problem+json" => json = json.max(q),
            _ => {}
        }
    }
    page > 0.0 && page >= json
}

/// Carried in the response's extensions until the gateway renders it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StorageError> for Problem {
    fn from(e: StorageError) -> Self {
        match e {
            StorageError::Busy | StorageError::Unreachable(_) => Self::overloaded("overloaded"),
            StorageError::Lost(_) | StorageError::Contended => Self::overloaded("outcome-unknown"),
            other => {
                tracing::error!(error = %other, "a request failed");
                Self::overloaded("outcome-unknown")
            }
        }
    }
}

impl From<Rejection> for Problem {
    fn from(r: Rejection) -> Self {
        match r {
            Rejection::WrongState(status) => Self::wrong_state(status),
            Rejection::Invalid { field, broken } => Self::field(field, broken),
            Rejection::Stale => Self::new(StatusCode::PRECONDITION_FAILED, "stale"),
        }
    }
}

impl From<EventError> for Problem {
    fn from(e: EventError) -> Self {
        match e {
            EventError::NotFound => Self::not_found(),
            EventError::Rejected(r) => r.into(),
            EventError::StoreRejected => Self::conflict("store-rejected"),
            EventError::TooManyDrafts => Self::conflict("too-many").said("drafts-too-many"),
            EventError::Unavailable => Self::overloaded("outcome-unknown"),
            EventError::Storage(e) => e.into(),
        }
    }
}

impl From<EnterError> for Problem {
    fn from(e: EnterError) -> Self {
        match e {
            EnterError::NotFound => Self::not_found(),
            EnterError::ConsentRequired => Self::field("consents.privacy", "consent-required"),
            EnterError::NoticeChanged => Self::conflict("notice-changed"),
            EnterError::VisitCodeInvalid => Self::field("visitCode", "visit-code-invalid"),
            EnterError::AlreadyEntered => Self::conflict("already-entered"),
            EnterError::Paused => Self::conflict("event-paused"),
            EnterError::NotStarted => {
                Self::new(StatusCode::from_u16(425).expect("a valid status"), "event-not-started")
            }
            EnterError::Ended => Self::new(StatusCode::GONE, "event-ended"),
            EnterError::ErasedTooOften => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "erased-too-often").retry_after(ERASED_RETRY)
            }
            EnterError::Overloaded => Self::overloaded("overloaded"),
            EnterError::OutcomeUnknown => Self::overloaded("outcome-unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::Status;

    #[test]
    fn every_mapping() {
        let status = |p: Problem| (p.status.as_u16(), p.code);
        for (e, expected) in [
            (EnterError::NotFound, (404, "not-found")),
            (EnterError::ConsentRequired, (422, "consent-required")),
            (EnterError::NoticeChanged, (409, "notice-changed")),
            (EnterError::VisitCodeInvalid, (422, "visit-code-invalid")),
            (EnterError::AlreadyEntered, (409, "already-entered")),
            (EnterError::Paused, (409, "event-paused")),
            (EnterError::NotStarted, (425, "event-not-started")),
            (EnterError::Ended, (410, "event-ended")),
            (EnterError::ErasedTooOften, (429, "erased-too-often")),
            (EnterError::Overloaded, (503, "overloaded")),
            (EnterError::OutcomeUnknown, (503, "outcome-unknown")),
        ] {
            assert_eq!(status(e.into()), expected);
        }
        assert_eq!(status(Rejection::WrongState(Status::Live).into()), (409, "wrong-state"));
        assert_eq!(status(Rejection::Stale.into()), (412, "stale"));
        assert_eq!(status(EventError::StoreRejected.into()), (409, "store-rejected"));
        assert_eq!(status(EventError::TooManyDrafts.into()), (409, "too-many"));
        assert_eq!(status(StorageError::Busy.into()), (503, "overloaded"));
        assert_eq!(status(StorageError::Lost(String::new()).into()), (503, "outcome-unknown"));
    }

    /// Case 14: a page for who follows a link, JSON for programs.
    #[test]
    fn pages_are_for_browsers() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML", true),
            ("application/json, text/html;q=0.9", false),
            ("application/json;q=0.5, text/html;q=0.9", true),
            ("text/html;q=0", false),
            ("*/*", false),
            ("image/avif,image/webp,*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_page(&headers), page, "{accept}");
        }
        assert!(!prefers_page(&HeaderMap::new()));
    }

    #[test]
    fn language_follows_the_header() {
        let mut headers = HeaderMap::new();
        assert!(!prefers_english(&headers));
        for (value, english) in
            [("en-US,en;q=0.9", true), ("ko-KR,en;q=0.5", false), ("fr, en", true), ("ja", false), ("EN", true)]
        {
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value));
            assert_eq!(prefers_english(&headers), english, "{value}");
        }
    }
}
