//! In front of every upstream: counting, latency, and the fault that is on.

use crate::connection::Breakable;
use crate::faults::Fault;
use crate::server::{Shared, UPSTREAMS};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::time::Duration;

/// More than any client of ours reads.
const OVERSIZED: usize = 16 << 20;
/// The largest answer that is spoiled; ours are pictures of a few MiB at most.
const SPOILED_MAX: usize = 32 << 20;

/// Counts the call, takes its time, and fails where a fault is on.
pub(crate) async fn behave(
    State(shared): State<Shared>,
    ConnectInfo(connection): ConnectInfo<Breakable>,
    mut request: Request,
    next: Next,
) -> Response {
    let whole = request.uri().path().to_owned();
    let (prefix, path) = whole.trim_start_matches('/').split_once('/').unwrap_or((whole.trim_start_matches('/'), ""));
    let Some((name, _, latency)) = UPSTREAMS.iter().find(|(_, p, _)| *p == prefix) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let key = request.headers().get("idempotency-key").and_then(|v| v.to_str().ok()).map(str::to_owned);
    shared.count(name, key);
    let spread = 0.7 + 0.6 * rand::random::<f64>();
    let wait = Duration::from_millis(*latency).mul_f64(shared.latency * spread);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let Some(fault) = shared.fault(name, &format!("/{path}")) else { return next.run(request).await };
    if let Some(instead) = instead(&fault, &connection).await {
        return instead;
    }
    request.extensions_mut().insert(fault.clone());
    let done = next.run(request).await;
    spoil(&fault, done, &connection).await
}

/// Answers before anything happens; `None`: the request is handled.
async fn instead(fault: &Fault, connection: &Breakable) -> Option<Response> {
    const PAGE: &str = "<html><body>점검 중입니다</body></html>";
    let simulated = "{\"error\":\"simulated\"}".to_owned();
    Some(match fault {
        Fault::Status { status, retry_after, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, body.clone().unwrap_or(simulated)).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            response
        }
        Fault::Down => (StatusCode::SERVICE_UNAVAILABLE, simulated).into_response(),
        Fault::Throttled => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], simulated).into_response(),
        Fault::Hang => std::future::pending().await,
        Fault::Reset => {
            connection.cut();
            StatusCode::OK.into_response()
        }
        Fault::Oversized => vec![b' '; OVERSIZED].into_response(),
        Fault::Html => ([(header::CONTENT_TYPE, "text/html")], PAGE).into_response(),
        // "점검" in EUC-KR, inside what would be JSON.
        Fault::Charset => {
            ([(header::CONTENT_TYPE, "application/json; charset=euc-kr")], &b"{\"message\":\"\xc1\xa1\xb0\xcb\"}"[..])
                .into_response()
        }
        _ => return None,
    })
}

/// Does to the answer what the fault does.
async fn spoil(fault: &Fault, done: Response, connection: &Breakable) -> Response {
    match fault {
        Fault::LoseAnswer => std::future::pending().await,
        Fault::CutAnswer => {
            connection.cut();
            done
        }
        Fault::Truncated => {
            let (head, bytes) = whole(done).await;
            let half = bytes.slice(..bytes.len() / 2);
            let mut response = Response::new(Body::from(half));
            *response.status_mut() = head;
            response
        }
        Fault::Slow => {
            let (head, bytes) = whole(done).await;
            let drip = stream::unfold(bytes, |mut rest| async move {
                if rest.is_empty() {
                    return None;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<Bytes, std::io::Error>(rest.split_to(1)), rest))
            });
            let mut response = Response::new(Body::from_stream(drip));
            *response.status_mut() = head;
            response
        }
        _ => done,
    }
}

async fn whole(response: Response) -> (StatusCode, Bytes) {
    let (parts, body) = response.into_parts();
    (parts.status, axum::body::to_bytes(body, SPOILED_MAX).await.unwrap_or_default())
}
