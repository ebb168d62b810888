//! What every request passes: trace id, time limit, access log, security headers, and for owners authentication, rate
//! limit and idempotency.

mod idempotency;
mod meters;
mod patience;
mod refusal;
mod strict;

use crate::access_log::{self, Line};
use crate::auth::Session;
use crate::codings;
use crate::error::Problem;
use crate::ratelimit::RateStatus;
use crate::state::App;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};

pub(crate) use idempotency::{
    InFlight, MAX_KEY_BYTES, anonymous as idempotent_anonymous, key_of as idempotency_key, owner as idempotent_owner,
};
pub(crate) use meters::Meters;
pub(crate) use patience::Patience;
pub(crate) use refusal::early;
pub(crate) use strict::{is_asked_by_loopback_name, typed_bodies};

const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// The longest a request may ask to wait (`Prefer: wait`, `?wait=`).
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// Outermost: everything gets a trace id, a limit, a log line and headers; a panic of a handler stays here.
pub(crate) async fn everything(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (started, trace, patience) = (Instant::now(), trace_id(), Patience::default());
    request.extensions_mut().insert(patience.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let asked = RequestFacts::of(&request);
    let coding = codings::settle(request.headers_mut());
    let refusal = strict::refusal(&app, &request, coding);
    let is_early = refusal.is_some();
    let answering = async {
        if let Some(problem) = refusal {
            return problem.into_response();
        }
        match app.origins.preflight(&method, request.headers()) {
            Some(headers) => (StatusCode::NO_CONTENT, headers).into_response(),
            None => next.run(request).await,
        }
    };
    let usual = Duration::from_secs(app.settings.request_seconds);
    // Too late, or a panic in a handler: without internals; the log has the rest.
    let answered = patience.within(usual, answering).await;
    let mut response = answered.unwrap_or_else(|| Problem::overloaded("outcome-unknown").into_response());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = asked.told(&problem, &trace, response.headers());
    }
    // Unknown routes and methods, and what no route is to see, pass no owner's gate, and count all the same.
    if asked.api
        && (is_early || matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED))
        && !response.headers().contains_key("ratelimit")
        && let Some(session) = asked.authorization.as_ref().and_then(|value| session_of(&app, value))
    {
        say_standing(&app.rate.count(session.user, Instant::now()), response.headers_mut());
    }
    app.origins.policy().secure(response.headers_mut(), asked.api);
    app.origins.open(asked.origin.as_ref(), response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&trace) {
        response.headers_mut().insert(X_TRACE_ID, value);
    }
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    account(&app, &method, route, response.status(), started.elapsed(), patience.is_asked(), &trace);
    response
}

fn trace_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// What is noted of every answer: for the alarms, the access log and the metrics.
fn account(app: &App, method: &Method, route: &str, status: StatusCode, took: Duration, waited: bool, trace: &str) {
    let status = status.as_u16();
    app.handles.tools().vitals.request(status, took, waited);
    access_log::add(&Line { method, route, status, took, trace });
    app.meters.count(method, route, status, (!waited).then_some(took));
}

/// What is kept of a request while it is answered.
struct RequestFacts {
    api: bool,
    english: bool,
    /// A person looks at the answer.
    page: bool,
    authorization: Option<HeaderValue>,
    origin: Option<HeaderValue>,
}

impl RequestFacts {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let api = request.uri().path().starts_with("/api/");
        Self {
            api,
            english: crate::error::prefers_english(headers),
            page: !api && crate::error::prefers_page(headers),
            authorization: headers.get(header::AUTHORIZATION).cloned(),
            origin: headers.get(header::ORIGIN).cloned(),
        }
    }

    /// A problem as the caller reads it, with the headers that were given to it on its way.
    fn told(&self, problem: &Problem, trace: &str, given: &HeaderMap) -> Response {
        let mut told = if self.page { problem.page(self.english, trace) } else { problem.render(self.english, trace) };
        for (name, value) in given {
            if !told.headers().contains_key(name) && name != header::CONTENT_LENGTH {
                told.headers_mut().insert(name.clone(), value.clone());
            }
        }
        told
    }
}

/// Returns how long a request prefers to be held. A preference that is not understood is passed over (RFC 7240, 2).
pub(crate) fn wait_preferred(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let asked = prefer.split([',', ';']).find_map(|p| p.trim().strip_prefix("wait="));
    let seconds = asked.and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(MAX_WAIT)
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
fn say_standing(standing: &RateStatus, headers: &mut HeaderMap) {
    let seconds = crate::error::whole_seconds(standing.reset);
    let left = format!("\"user\";r={};t={seconds}", standing.remaining);
    let policy = format!("\"user\";q={};w={}", standing.limit, crate::ratelimit::WINDOW.as_secs());
    for (name, value) in [("ratelimit", left), ("ratelimit-policy", policy)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Returns the account and login of a request, by its bearer token.
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
