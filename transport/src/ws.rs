//! The live connection: a raw upgraded stream, a small codec, shared frames.

mod codec;
mod crowd;
mod session;
mod sockets;
mod topics;
mod wire;

pub(crate) use sockets::{Sockets, keep};

use crate::error::Problem;
use crate::server::Stream;
use crate::state::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The subprotocol.
const PROTOCOL: &str = "madang.v1";

/// `GET /ws`: checks the origin and upgrades.
pub(crate) async fn connect(State(app): State<App>, mut request: Request) -> Response {
    if !app.origins.allow(request.headers()) {
        return Problem::new(StatusCode::FORBIDDEN, "forbidden-origin").into_response();
    }
    let Some(key) = handshake(request.headers()) else {
        let mut response = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required").into_response();
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    let speaks = offered.flat_map(|v| v.split(',')).any(|p| p.trim() == PROTOCOL);
    let upgrade = hyper::upgrade::on(&mut request);
    let shared = app.clone();
    app.tracker.spawn(async move {
        // The 101 may never be written: then there is nothing to upgrade.
        if let Ok(upgraded) = upgrade.await {
            serve(shared, upgraded).await;
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, value);
    }
    if speaks {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    response
}

/// Runs the session on the stream itself, without the layers and the buffer that hyper needed.
async fn serve(app: App, upgraded: Upgraded) {
    let upgraded = match upgraded.downcast::<TokioIo<Stream<TcpStream>>>() {
        Ok(parts) => return session::run(app, parts.io.into_inner(), parts.read_buf).await,
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<Stream<TlsStream<TcpStream>>>>() {
        Ok(parts) => Box::pin(session::run(app, parts.io.into_inner(), parts.read_buf)).await,
        Err(upgraded) => Box::pin(session::run(app, TokioIo::new(upgraded), bytes::Bytes::new())).await,
    }
}

/// The accept key of a proper handshake (RFC 6455, 4.2.1).
fn handshake(headers: &HeaderMap) -> Option<String> {
    let has = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name);
        values
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|p| p.trim().eq_ignore_ascii_case(word))
    };
    let proper = has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    proper.then(|| derive_accept_key(key.as_bytes()))
}
