//! What every request passes: trace id, time limit, access log, security headers, and for owners authentication, rate
//! limit and idempotency.

mod idempotency;

use crate::auth::Session;
use crate::error::Problem;
use crate::ratelimit::Standing;
use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};

pub(crate) use idempotency::{anonymous as idempotent_anonymous, owner as idempotent_owner};

/// The longest a request may ask to wait (`Prefer: wait`, `?wait=`).
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The trace id of a request, in its extensions.
#[derive(Clone)]
pub(crate) struct Trace(pub(crate) String);

/// Outermost: everything gets a trace id, a limit, a log line and headers.
pub(crate) async fn everything(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let trace = uuid::Uuid::now_v7().simple().to_string();
    request.extensions_mut().insert(Trace(trace.clone()));
    let method = request.method().clone();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |p| p.as_str().to_owned());
    let headers = request.headers().clone();
    let limit = Duration::from_secs(app.settings.request_seconds) + wait_asked(request.uri().query(), &headers);
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown")
            .retry_after(Duration::from_secs(1))
            .into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut rendered = problem.render(&headers, &trace);
        for (name, value) in response.headers() {
            if !rendered.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                rendered.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response = rendered;
    }
    // Unknown routes and methods pass no owner's gate, and count all the same.
    if is_api
        && !response.headers().contains_key("ratelimit")
        && matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        && let Some(session) = authenticate(&app, &headers)
    {
        say_standing(&app.rate.count(session.user, Instant::now()), response.headers_mut());
    }
    secure(response.headers_mut(), app.settings.tls.is_some(), is_api);
    if let Ok(value) = HeaderValue::from_str(&trace) {
        response.headers_mut().insert(HeaderName::from_static("x-trace-id"), value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let waited = limit > Duration::from_secs(app.settings.request_seconds);
    app.handles.shared.vitals.request(status, elapsed, waited);
    tracing::info!(target: "access", method = %method, route, status, ms = elapsed.as_millis() as u64, trace, "request");
    let label = status.to_string();
    metrics::counter!("http_requests_total", "method" => method.to_string(), "route" => route.clone(), "status" => label).increment(1);
    // A request that asked to be held says nothing about how fast we are.
    if !waited {
        metrics::histogram!("http_request_duration_seconds", "route" => route).record(elapsed.as_secs_f64());
    }
    response
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

/// The headers of draft-ietf-httpapi-ratelimit-headers.
fn say_standing(standing: &Standing, headers: &mut HeaderMap) {
    let seconds = standing.reset.as_secs() + u64::from(standing.reset.subsec_nanos() > 0);
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
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
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
