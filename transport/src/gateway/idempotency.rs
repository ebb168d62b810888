//! `Idempotency-Key`: the same request twice has one effect and one answer, for 24 hours.

use super::Trace;
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::state::App;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use storage::idempotency;

/// How often a request that waits for the first one looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the claim of a request that is being handled is renewed: one whose server died is void after 15 s.
const BEAT: Duration = Duration::from_secs(5);
/// Headers kept with an answer.
const KEPT: [HeaderName; 4] = [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::ETAG, header::LOCATION];
/// The largest answer kept.
const ANSWER_CAP: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Answer {
    headers: Vec<(String, String)>,
    body: String,
}

/// POSTs of an owner: the scope is the user and the route.
pub(crate) async fn owner(State(app): State<App>, request: Request, next: Next) -> Response {
    let scope = request.extensions().get::<Session>().map(|s| s.user.to_string());
    if request.headers().contains_key("idempotency-key") || request.method().is_safe() {
        return run(app, scope.unwrap_or_default(), request, next).await;
    }
    match whole(&app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Reads all of a request, and runs it to its end: what is changed is changed whole and recorded, whoever hangs up.
async fn whole(app: &App, request: Request, next: Next) -> ApiResult {
    let (parts, body) = request.into_parts();
    let body = read(app, body).await?;
    let running = app.tracker.spawn(next.run(Request::from_parts(parts, Body::from(body))));
    match running.await {
        Ok(response) => Ok(response),
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown")),
    }
}

async fn read(app: &App, body: Body) -> ApiResult<Bytes> {
    let too_large = |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large");
    to_bytes(body, app.settings.body_bytes).await.map_err(too_large)
}

/// POSTs of nobody in particular (signup): the body tells strangers apart.
pub(crate) async fn anonymous(State(app): State<App>, request: Request, next: Next) -> Response {
    run(app, "anonymous".into(), request, next).await
}

async fn run(app: App, who: String, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").cloned();
    match key {
        // Boxed, so that the many that have no key carry nothing of it.
        Some(key) if request.method() == Method::POST => match Box::pin(once(&app, &who, &key, request, next)).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        },
        _ => next.run(request).await,
    }
}

async fn once(app: &App, who: &str, key: &HeaderValue, request: Request, next: Next) -> ApiResult {
    let key = key.to_str().ok().filter(|k| (1..=255).contains(&k.len()));
    let key = key.ok_or_else(|| Problem::field("Idempotency-Key", "idempotency-key-invalid"))?;
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or(path.clone(), |p| p.as_str().to_owned());
    let (parts, body) = request.into_parts();
    let body = read(app, body).await?;
    let keys = &app.handles.shared.keys;
    let scope = keys.mac("idempotency-scope", &[who.as_bytes(), route.as_bytes(), key.as_bytes()]);
    let fingerprint =
        keys.mac("idempotency-body", &[path.as_bytes(), parts.uri.query().unwrap_or_default().as_bytes(), &body]);
    loop {
        let claimed =
            app.store().run(move |c| Box::pin(async move { idempotency::claim(c, scope, fingerprint).await })).await?;
        let Some(known) = claimed else { break };
        if known.fingerprint != fingerprint {
            return Err(Problem::field("Idempotency-Key", "idempotency-key-reused"));
        }
        if let (Some(status), Some(sealed)) = (known.status, known.sealed) {
            return replay(app, scope, status, &sealed);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // Claimed: whatever happens to this connection, the request runs to its end and the answer is kept.
    let app = app.clone();
    let headers = parts.headers.clone();
    let trace = parts.extensions.get::<Trace>().map_or_else(String::new, |t| t.0.clone());
    let running = app.clone().tracker.spawn(async move {
        let mut handled = std::pin::pin!(next.run(Request::from_parts(parts, Body::from(body))));
        let response = loop {
            tokio::select! {
                response = &mut handled => break response,
                () = tokio::time::sleep(BEAT) => {
                    let beat = app.store().run(move |c| Box::pin(async move { idempotency::beat(c, scope).await })).await;
                    if let Err(e) = beat {
                        tracing::warn!(error = %e, "a claim was not renewed");
                    }
                }
            }
        };
        keep(&app, scope, response, &headers, &trace).await
    });
    running.await.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"))
}

/// 2xx and the domain's 4xx are kept; 401, 429 and 5xx are not. What is too much to keep goes out as it is: the commands
/// that answer so much answer the same again by themselves.
fn is_kept(status: StatusCode, bytes: u64) -> bool {
    let domains = status.is_client_error() && !matches!(status.as_u16(), 401 | 408 | 413 | 429);
    (status.is_success() || domains) && bytes <= ANSWER_CAP
}

/// Keeps an answer, or sets the key free again.
async fn keep(app: &App, scope: [u8; 32], response: Response, headers: &HeaderMap, trace: &str) -> Response {
    let status = response.status();
    if !is_kept(status, response.body().size_hint().lower()) {
        let released = app.store().run(move |c| Box::pin(async move { idempotency::release(c, scope).await })).await;
        if let Err(e) = released {
            tracing::warn!(error = %e, "an idempotency key was not released; it frees itself in a while");
        }
        return response;
    }
    // A problem is rendered later, at the gateway; to be kept it is rendered now, as it will be.
    let mut response = match response.extensions().get::<Problem>() {
        Some(problem) => problem.render(crate::error::prefers_english(headers), trace),
        None => response,
    };
    let body = to_bytes(std::mem::take(response.body_mut()), usize::MAX).await.unwrap_or_default();
    *response.body_mut() = Body::from(body.clone());
    let headers = KEPT
        .iter()
        .filter_map(|name| Some((name.to_string(), response.headers().get(name)?.to_str().ok()?.to_owned())))
        .collect();
    let answer = Answer { headers, body: STANDARD.encode(&body) };
    let plain = serde_json::to_vec(&answer).unwrap_or_default();
    let sealed = app.handles.shared.keys.seal("idempotency_keys.sealed", domain::event::state::hex(&scope), &plain);
    let code = i16::try_from(status.as_u16()).unwrap_or(200);
    let stored =
        app.store().run(move |c| Box::pin(async move { idempotency::answer(c, scope, code, sealed).await })).await;
    if let Err(e) = stored {
        tracing::warn!(error = %e, "an answer was not kept");
    }
    response
}

fn replay(app: &App, scope: [u8; 32], status: i16, sealed: &[u8]) -> ApiResult {
    let unknown =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown").retry_after(Duration::from_secs(1));
    let plain =
        app.handles.shared.keys.open_field("idempotency_keys.sealed", domain::event::state::hex(&scope), sealed)?;
    let answer: Answer = serde_json::from_slice(&plain).map_err(|_| unknown())?;
    let body = STANDARD.decode(answer.body).map_err(|_| unknown())?;
    let status = u16::try_from(status).ok().and_then(|s| StatusCode::from_u16(s).ok()).ok_or_else(unknown)?;
    let mut response = (status, body).into_response();
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept() {
        for (status, bytes, kept) in [
            (200, 10, true),
            (201, ANSWER_CAP, true),
            (201, ANSWER_CAP + 1, false),
            (409, 10, true),
            (401, 10, false),
            (429, 10, false),
            (503, 10, false),
        ] {
            assert_eq!(is_kept(StatusCode::from_u16(status).unwrap(), bytes), kept, "{status}, {bytes} bytes");
        }
    }
}
