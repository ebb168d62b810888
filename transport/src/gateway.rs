//! What every request passes: trace id, time limit, access log, security headers, and for owners authentication, rate
//! limit and idempotency.

mod idempotency;
mod meters;
mod refusal;

use crate::access_log::{self, Line};
use crate::auth::Session;
use crate::error::Problem;
use crate::ratelimit::Standing;
use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::time::{Duration, Instant};

pub(crate) use idempotency::{InFlight, anonymous as idempotent_anonymous, owner as idempotent_owner};
pub(crate) use meters::Meters;
pub(crate) use refusal::early;

const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// The longest a request may ask to wait (`Prefer: wait`, `?wait=`).
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The trace id of a request, in its extensions.
#[derive(Clone)]
pub(crate) struct Trace(pub(crate) String);

/// Outermost: everything gets a trace id, a limit, a log line and headers; a panic of a handler stays here.
pub(crate) async fn everything(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace = trace_id();
    request.extensions_mut().insert(Trace(trace.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let asked = Asked::of(&request);
    let usual = Duration::from_secs(app.settings.request_seconds);
    let answering = async {
        match app.origins.preflight(&method, request.headers()) {
            Some(headers) => (StatusCode::NO_CONTENT, headers).into_response(),
            None => next.run(request).await,
        }
    };
    let answering = std::panic::AssertUnwindSafe(tokio::time::timeout(usual + asked.waits, answering));
    let mut response = match answering.catch_unwind().await {
        Ok(Ok(response)) => response,
        // Too late, or a panic in a handler: without internals; the log has the rest.
        Ok(Err(_)) | Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown")
            .retry_after(Duration::from_secs(1))
            .into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut rendered = problem.render(asked.english, &trace);
        for (name, value) in response.headers() {
            if !rendered.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                rendered.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response = rendered;
    }
    // Unknown routes and methods pass no owner's gate, and count all the same.
    if asked.api
        && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        && !response.headers().contains_key("ratelimit")
        && let Some(session) = asked.authorization.as_ref().and_then(|value| session_of(&app, value))
    {
        say_standing(&app.rate.count(session.user, Instant::now()), response.headers_mut());
    }
    secure(response.headers_mut(), app.settings.tls.is_some(), asked.api);
    app.origins.open(asked.origin.as_ref(), response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&trace) {
        response.headers_mut().insert(X_TRACE_ID, value);
    }
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    account(&app, &method, route, response.status(), started.elapsed(), !asked.waits.is_zero(), &trace);
    response
}

fn trace_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// What is noted of every answer: for the alarms, the access log and the metrics.
fn account(app: &App, method: &Method, route: &str, status: StatusCode, took: Duration, waited: bool, trace: &str) {
    let status = status.as_u16();
    app.handles.shared.vitals.request(status, took, waited);
    access_log::add(&Line { method, route, status, took, trace });
    app.meters.count(method, route, status, (!waited).then_some(took));
}

/// What is kept of a request while it is answered.
struct Asked {
    api: bool,
    english: bool,
    waits: Duration,
    authorization: Option<HeaderValue>,
    origin: Option<HeaderValue>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        Self {
            api: request.uri().path().starts_with("/api/"),
            english: crate::error::prefers_english(headers),
            waits: wait_asked(request.uri().query(), headers),
            authorization: headers.get(header::AUTHORIZATION).cloned(),
            origin: headers.get(header::ORIGIN).cloned(),
        }
    }
}

/// How long the request asks to be held.
pub(crate) fn wait_asked(query: Option<&str>, headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let from_header = prefer.split([',', ';']).find_map(|p| p.trim().strip_prefix("wait="));
    let from_query = query.unwrap_or_default().split('&').find_map(|p| p.strip_prefix("wait="));
    let seconds = from_header.or(from_query).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(MAX_WAIT)
}

fn secure(headers: &mut HeaderMap, tls: bool, api: bool) {
    // Grown once.
    headers.reserve(10);
    let csp = if api {
        "default-src 'none'; frame-ancestors 'none'"
    } else {
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    };
    for (name, value) in [
        ("content-security-policy", csp),
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
    if tls {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    }
}

/// Owners only: a good token of a living login, within the rate limit.
pub(crate) async fn owners_only(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(session) = authenticate(&app, request.headers()) else {
        metrics::counter!("auth_failures_total", "kind" => "token").increment(1);
        return Problem::unauthenticated().into_response();
    };
    let standing = app.rate.count(session.user, Instant::now());
    request.extensions_mut().insert(session);
    let mut response = if standing.exceeded {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited").retry_after(standing.reset).into_response()
    } else {
        next.run(request).await
    };
    say_standing(&standing, response.headers_mut());
    response
}

/// Owners only, whatever the rate limit says: a thief who spends it must not keep the owner from ending a login.
pub(crate) async fn owners_uncounted(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(session) = authenticate(&app, request.headers()) else {
        metrics::counter!("auth_failures_total", "kind" => "token").increment(1);
        return Problem::unauthenticated().into_response();
    };
    request.extensions_mut().insert(session);
    let mut response = next.run(request).await;
    say_standing(&app.rate.standing(session.user, Instant::now()), response.headers_mut());
    response
}

/// The headers of draft-ietf-httpapi-ratelimit-headers.
fn say_standing(standing: &Standing, headers: &mut HeaderMap) {
    let seconds = crate::error::whole_seconds(standing.reset);
    let left = format!("\"user\";r={};t={seconds}", standing.remaining);
    let policy = format!("\"user\";q={};w={}", standing.limit, crate::ratelimit::WINDOW.as_secs());
    for (name, value) in [("ratelimit", left), ("ratelimit-policy", policy)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Who a request is from, by its bearer token.
pub(crate) fn authenticate(app: &App, headers: &HeaderMap) -> Option<Session> {
    session_of(app, headers.get(header::AUTHORIZATION)?)
}

fn session_of(app: &App, authorization: &HeaderValue) -> Option<Session> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    app.tokens.check(token.trim()).filter(|s| !app.revocations.contains(s.session))
}

/// Unknown routes.
pub(crate) async fn not_found() -> Problem {
    Problem::not_found()
}

/// Known routes, unknown methods.
pub(crate) async fn not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
}
