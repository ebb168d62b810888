//! One HTTP client for all upstreams: deadlines, capped bodies, no redirects.

use crate::error::{UpstreamError, class_of_status};
use bytes::Bytes;
use domain::distribution::ErrorClass;
use reqwest::{NoProxy, Proxy, RequestBuilder};
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// The largest JSON answer read: proposals are about 10 KB.
pub const JSON_CAP: usize = 1 << 20;
/// What is never asked through a proxy.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";
/// The largest picture read.
pub const IMAGE_CAP: usize = 12 << 20;

/// Where an upstream is and what opens it. `Debug` hides the key.
#[derive(Clone)]
pub struct Endpoint {
    /// Base address without a trailing slash.
    pub base: String,
    /// API key or token.
    pub key: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.base)
    }
}

tokio::task_local! {
    static SENT: Cell<bool>;
}

/// Runs a call and tells whether it sent anything: one that was settled without the upstream is no evidence about it.
pub async fn watching<F: Future>(call: F) -> (F::Output, bool) {
    SENT.scope(Cell::new(false), async {
        let output = call.await;
        (output, SENT.with(Cell::get))
    })
    .await
}

/// The shared client.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What the upstream says about when to come back.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// Chooses the cryptography of every TLS connection of the process. Must be called before the first client is built; a second
/// call changes nothing.
pub fn choose_tls_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns a client without proxy, redirects or referer.
fn builder() -> reqwest::ClientBuilder {
    choose_tls_provider();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(16)
        .tcp_nodelay(true)
        .user_agent("madang/1")
}

impl Http {
    /// The client, without a proxy.
    ///
    /// # Panics
    /// When TLS cannot be set up, which is a broken build.
    #[must_use]
    pub fn new() -> Self {
        Self(builder().build().expect("a TLS backend is built in"))
    }

    /// The client that asks https hosts through a proxy, save this machine and what `direct` lists.
    ///
    /// # Errors
    /// The proxy's address is none.
    pub fn through(proxy: &str, direct: &str) -> Result<Self, String> {
        let none = |e: reqwest::Error| format!("is no proxy: {}", e.without_url());
        let direct = NoProxy::from_string(&format!("{THIS_MACHINE},{direct}"));
        builder().proxy(Proxy::https(proxy).map_err(none)?.no_proxy(direct)).build().map(Self).map_err(none)
    }

    /// The client to build requests with.
    #[must_use]
    pub fn client(&self) -> &reqwest::Client {
        &self.0
    }

    /// Sends a request; whatever the status. `limit` covers everything, `cap` the body in bytes.
    ///
    /// # Errors
    /// Transient: no connection, too slow, cut off, too large.
    pub async fn send(&self, request: RequestBuilder, limit: Duration, cap: usize) -> Result<Answer, UpstreamError> {
        let _ = SENT.try_with(|sent| sent.set(true));
        match tokio::time::timeout(limit, read(request, cap)).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(UpstreamError::new(ErrorClass::Transient, format!("no answer within {} ms", limit.as_millis())))
            }
        }
    }

    /// Sends a request and reads a JSON answer of status 2xx.
    ///
    /// # Errors
    /// As [`Http::send`]; a status outside 2xx by its class; a body that is not that JSON as transient.
    pub async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<T, UpstreamError> {
        self.send(request, limit, JSON_CAP).await?.ok()?.json()
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// By the class of the status.
    pub fn ok(self) -> Result<Self, UpstreamError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(UpstreamError::answered(class_of_status(self.status), &self, format!("status {}", self.status)))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Transient: it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        // JSON is UTF-8, in fields that nobody reads too: another encoding is another service's page.
        let text = std::str::from_utf8(&self.body).map_err(|_| UpstreamError::garbage("not UTF-8"))?;
        serde_json::from_str(text)
            .map_err(|e| UpstreamError::garbage(format!("not the expected JSON: {:?}", e.classify())))
    }
}

async fn read(request: RequestBuilder, cap: usize) -> Result<Answer, UpstreamError> {
    let transient = |e: reqwest::Error| UpstreamError::new(ErrorClass::Transient, e.without_url().to_string());
    let unsent = |e: reqwest::Error| match e.is_connect() {
        true => UpstreamError::unreached(e.without_url().to_string()),
        false => transient(e),
    };
    let mut response = request.send().await.map_err(unsent)?;
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.trim().parse::<u64>().ok())
        .map(Duration::from_secs);
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transient)? {
        if body.len() + chunk.len() > cap {
            return Err(UpstreamError::garbage(format!("body over {cap} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body: Bytes::from(body) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// The first bytes that a listener hears.
    async fn first_bytes(listener: TcpListener) -> Vec<u8> {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 7];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Case O16.
    #[tokio::test]
    async fn https_goes_through_the_proxy_and_this_machine_is_asked_directly() {
        let (proxy, direct) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let here = format!("https://{}/", direct.local_addr().unwrap());
        let http = Http::through(&format!("http://{}", proxy.local_addr().unwrap()), "direct.invalid").unwrap();
        let ask = |url: String| {
            let request = http.client().get(url);
            tokio::spawn(async move { request.send().await.is_ok() })
        };
        let _asked = [ask("https://shop.invalid/".into()), ask(here)];
        assert_eq!(first_bytes(proxy).await, b"CONNECT");
        assert_eq!(first_bytes(direct).await[0], 22, "a TLS handshake (RFC 8446, 5.1)");
    }
}
