//! `Idempotency-Key`: the same request twice has one effect and one answer, for 24 hours. Only what had an effect is kept:
//! everything else is judged anew, and leaves no row behind.

use super::{MAX_WAIT, Patience};
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::state::App;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;
use storage::idempotency::{self, KeyRecord};
use tokio_util::sync::CancellationToken;

const KEY: &str = "idempotency-key";
/// Bytes of a key: several times a UUID, which most clients send.
pub(crate) const MAX_KEY_BYTES: usize = 255;
/// Pause of a request that waits for the first one before it looks again. Each pause is twice as long as the one before.
const MIN_LOOK_PAUSE: Duration = Duration::from_millis(50);
/// The longest of these pauses: what the answer comes later at most.
const MAX_LOOK_PAUSE: Duration = Duration::from_millis(400);
/// How often the claim of a request that is being handled is renewed: one whose server died is void after 15 s.
const CLAIM_BEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Headers kept with an answer.
const REPLAYED_HEADERS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::ETAG, header::LOCATION];
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
    let scope = scope.unwrap_or_default();
    let answer = match key_of_post(&request) {
        // Boxed, so that the many that have no key carry nothing of it.
        Ok(Some(key)) => Box::pin(once(&app, &scope, &key, request, next)).await,
        Ok(None) if request.method().is_safe() => return next.run(request).await,
        Ok(None) => whole(&app, request, next).await,
        Err(code) => Err(Problem::field("Idempotency-Key", code)),
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Returns the one key of a request. Two header lines are an error: each may have been added by another program, and neither
/// stands for the request.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut lines = headers.get_all(KEY).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let key = first.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    match (key, lines.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err("idempotency-key-invalid"),
    }
}

fn key_of_post(request: &Request) -> Result<Option<String>, &'static str> {
    if request.method() == Method::POST { key_of(request.headers()) } else { Ok(None) }
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

/// POSTs of nobody in particular (signup): the body tells strangers apart. A stranger's request has no row until it had an
/// effect; one that is being handled is known to this server only.
pub(crate) async fn anonymous(State(app): State<App>, request: Request, next: Next) -> Response {
    match key_of_post(&request) {
        Ok(Some(key)) => {
            Box::pin(once_for_stranger(&app, &key, request, next)).await.unwrap_or_else(IntoResponse::into_response)
        }
        Ok(None) => next.run(request).await,
        Err(code) => Problem::field("Idempotency-Key", code).into_response(),
    }
}

/// A request with its key, read whole.
struct Keyed {
    scope: [u8; 32],
    fingerprint: [u8; 32],
    parts: Parts,
    body: Bytes,
}

impl Keyed {
    async fn read(app: &App, who: &str, key: &str, request: Request) -> ApiResult<Self> {
        let path = request.uri().path().to_owned();
        let route = request.extensions().get::<MatchedPath>().map_or(path.clone(), |p| p.as_str().to_owned());
        let (parts, body) = request.into_parts();
        let body = read(app, body).await?;
        let keys = &app.handles.tools().keys;
        let scope = keys.mac("idempotency-scope", &[who.as_bytes(), route.as_bytes(), key.as_bytes()]);
        let query = parts.uri.query().unwrap_or_default();
        let fingerprint = keys.mac("idempotency-body", &[path.as_bytes(), query.as_bytes(), &body]);
        Ok(Self { scope, fingerprint, parts, body })
    }

    /// Returns the kept answer of the key; `None` while the first request is being handled.
    fn answer_of(&self, app: &App, known: KeyRecord) -> ApiResult<Option<Response>> {
        if known.fingerprint != self.fingerprint {
            return Err(Problem::field("Idempotency-Key", "idempotency-key-reused"));
        }
        match (known.status, known.sealed) {
            (Some(status), Some(sealed)) => replay(app, self.scope, status, &sealed).map(Some),
            _ => Ok(None),
        }
    }

    /// The first request is being handled: this one may wait for its answer for as long as it asks to be held.
    fn expect_answer(&self) {
        if let Some(patience) = self.parts.extensions.get::<Patience>() {
            let query = self.parts.uri.query().unwrap_or_default();
            let asked = query.split('&').find_map(|pair| pair.strip_prefix("wait=")?.parse::<u64>().ok());
            patience.grant(Duration::from_secs(asked.unwrap_or(0)).min(MAX_WAIT));
        }
    }
}

/// Requests of strangers that are being handled on this server, by their scope.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashMap<[u8; 32], Flight>>);

/// A request that is being handled.
#[derive(Clone, Debug)]
struct Flight {
    fingerprint: [u8; 32],
    ended: CancellationToken,
}

impl InFlight {
    /// Enters a request, or says which one is there.
    fn enter(&self, scope: [u8; 32], fingerprint: [u8; 32]) -> Result<(), Flight> {
        match self.0.lock().entry(scope) {
            Entry::Occupied(other) => Err(other.get().clone()),
            Entry::Vacant(free) => {
                free.insert(Flight { fingerprint, ended: CancellationToken::new() });
                Ok(())
            }
        }
    }

    fn leave(&self, scope: &[u8; 32]) {
        let left = self.0.lock().remove(scope);
        if let Some(flight) = left {
            flight.ended.cancel();
        }
    }
}

/// A stranger's request in [`InFlight`], until it is dropped.
struct InFlightGuard {
    app: App,
    scope: [u8; 32],
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.app.strangers.leave(&self.scope);
    }
}

async fn once_for_stranger(app: &App, key: &str, request: Request, next: Next) -> ApiResult {
    let asked = Keyed::read(app, "anonymous", key, request).await?;
    let (scope, fingerprint) = (asked.scope, asked.fingerprint);
    let place = loop {
        match app.strangers.enter(scope, fingerprint) {
            Ok(()) => break InFlightGuard { app: app.clone(), scope },
            Err(other) if other.fingerprint != fingerprint => {
                return Err(Problem::field("Idempotency-Key", "idempotency-key-reused"));
            }
            Err(other) => {
                asked.expect_answer();
                other.ended.cancelled().await;
            }
        }
    };
    // One before it may have had an effect, here or on another server.
    if let Some(known) = answered(app, scope).await?
        && let Some(answer) = asked.answer_of(app, known)?
    {
        return Ok(answer);
    }
    // The request runs to its end and its effect is kept, also when the caller hangs up.
    let running = app.tracker.spawn(async move {
        let Keyed { parts, body, .. } = asked;
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        keep_of_stranger(place, fingerprint, response).await
    });
    running.await.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"))
}

/// Keeps a stranger's answer that had an effect. A refusal may follow from the effect of the same request on another server:
/// its answer is the better one.
async fn keep_of_stranger(place: InFlightGuard, fingerprint: [u8; 32], response: Response) -> Response {
    let (app, scope) = (&place.app, place.scope);
    if !is_kept(response.status(), response.body().size_hint().lower()) {
        let known = answered(app, scope).await.ok().flatten().filter(|known| known.fingerprint == fingerprint);
        let again = known.and_then(|k| replay(app, scope, k.status?, &k.sealed?).ok());
        return again.unwrap_or(response);
    }
    let (response, status, sealed) = seal(app, scope, response).await;
    let kept = app.store().run(async move |c| idempotency::keep(c, scope, fingerprint, status, sealed).await);
    if let Err(e) = kept.await {
        tracing::warn!(error = %e, "an answer was not kept");
    }
    response
}

async fn answered(app: &App, scope: [u8; 32]) -> ApiResult<Option<KeyRecord>> {
    let known = app.store().run(async move |c| idempotency::answered(c, scope).await);
    Ok(known.await?)
}

async fn once(app: &App, who: &str, key: &str, request: Request, next: Next) -> ApiResult {
    let asked = Keyed::read(app, who, key, request).await?;
    let (scope, fingerprint) = (asked.scope, asked.fingerprint);
    let mut pause = MIN_LOOK_PAUSE;
    loop {
        let claimed = app.store().run(async move |c| idempotency::claim(c, scope, fingerprint).await).await?;
        let Some(known) = claimed else { break };
        if let Some(answer) = asked.answer_of(app, known)? {
            return Ok(answer);
        }
        asked.expect_answer();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_LOOK_PAUSE);
    }
    // Claimed: whatever happens to this connection, the request runs to its end and the answer is kept.
    let app = app.clone();
    let running = app.clone().tracker.spawn(async move {
        let Keyed { parts, body, .. } = asked;
        let mut handled = std::pin::pin!(next.run(Request::from_parts(parts, Body::from(body))));
        let response = loop {
            tokio::select! {
                response = &mut handled => break response,
                () = tokio::time::sleep(CLAIM_BEAT_INTERVAL) => {
                    let beat = app.store().run(async move |c| idempotency::beat(c, scope).await).await;
                    if let Err(e) = beat {
                        tracing::warn!(error = %e, "a claim was not renewed");
                    }
                }
            }
        };
        keep(&app, scope, response).await
    });
    running.await.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown"))
}

/// Only 2xx are kept: no handler answers 409 after it wrote. An answer that is too large to keep goes out as it is: the
/// commands that answer so much answer the same again by themselves.
fn is_kept(status: StatusCode, bytes: u64) -> bool {
    status.is_success() && bytes <= ANSWER_CAP
}

/// Keeps an answer, or sets the key free again.
async fn keep(app: &App, scope: [u8; 32], response: Response) -> Response {
    let status = response.status();
    if !is_kept(status, response.body().size_hint().lower()) {
        let released = app.store().run(async move |c| idempotency::release(c, scope).await).await;
        if let Err(e) = released {
            tracing::warn!(error = %e, "an idempotency key was not released; it frees itself in a while");
        }
        return response;
    }
    let (response, code, sealed) = seal(app, scope, response).await;
    let stored = app.store().run(async move |c| idempotency::answer(c, scope, code, sealed).await).await;
    if let Err(e) = stored {
        tracing::warn!(error = %e, "an answer was not kept");
    }
    response
}

/// An answer, with its status and itself as they are stored.
async fn seal(app: &App, scope: [u8; 32], mut response: Response) -> (Response, i16, Vec<u8>) {
    let status = response.status();
    let body = to_bytes(std::mem::take(response.body_mut()), usize::MAX).await.unwrap_or_default();
    *response.body_mut() = Body::from(body.clone());
    let headers = REPLAYED_HEADERS
        .iter()
        .filter_map(|name| Some((name.to_string(), response.headers().get(name)?.to_str().ok()?.to_owned())))
        .collect();
    let answer = Answer { headers, body: STANDARD.encode(&body) };
    let plain = serde_json::to_vec(&answer).unwrap_or_default();
    let sealed = app.handles.tools().keys.seal("idempotency_keys.sealed", domain::event::state::hex(&scope), &plain);
    (response, i16::try_from(status.as_u16()).unwrap_or(200), sealed)
}

fn replay(app: &App, scope: [u8; 32], status: i16, sealed: &[u8]) -> ApiResult {
    let unknown =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown").retry_after(Duration::from_secs(1));
    let plain =
        app.handles.tools().keys.open_field("idempotency_keys.sealed", domain::event::state::hex(&scope), sealed)?;
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
    use futures_util::FutureExt;

    #[test]
    fn a_second_request_hears_when_the_first_has_ended() {
        let (requests, scope) = (InFlight::default(), [1; 32]);
        requests.enter(scope, [2; 32]).unwrap();
        let first = requests.enter(scope, [3; 32]).unwrap_err();
        assert_eq!(first.fingerprint, [2; 32]);
        assert!(first.ended.cancelled().now_or_never().is_none(), "it waits");
        requests.leave(&scope);
        assert!(first.ended.cancelled().now_or_never().is_some());
        requests.enter(scope, [3; 32]).unwrap();
    }

    #[test]
    fn what_is_kept() {
        for (status, bytes, kept) in [
            (200, 10, true),
            (201, ANSWER_CAP, true),
            (201, ANSWER_CAP + 1, false),
            (202, 10, true),
            (409, 10, false),
            (422, 10, false),
            (404, 10, false),
            (401, 10, false),
            (429, 10, false),
            (503, 10, false),
        ] {
            assert_eq!(is_kept(StatusCode::from_u16(status).unwrap(), bytes), kept, "{status}, {bytes} bytes");
        }
    }
}
