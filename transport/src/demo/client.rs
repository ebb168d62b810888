//! The public API, as a front end would use it.

use super::DemoError;
use crate::cli::root_cause;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// An API client with a token.
#[derive(Clone)]
pub(super) struct Api {
    http: Client,
    pub(super) base: String,
    token: Option<String>,
}

impl Api {
    pub(super) fn new(base: String) -> Result<Self, DemoError> {
        Ok(Self { http: Client::builder().no_proxy().timeout(Duration::from_secs(70)).build()?, base, token: None })
    }

    pub(super) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// One request; status and body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), DemoError> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|e| unanswered(&self.base, &e))?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// One request that must succeed.
    pub(super) async fn ok(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, DemoError> {
        let (status, value) = self.call(method.clone(), path, body).await?;
        if status.is_success() {
            return Ok(value);
        }
        let detail = value["detail"].as_str().unwrap_or_default();
        Err(format!(
            "{method} {path} answered {status} {}: {detail} {}",
            value["code"].as_str().unwrap_or_default(),
            value["errors"]
        )
        .into())
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, DemoError> {
        self.ok(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Result<Value, DemoError> {
        self.ok(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Result<Value, DemoError> {
        self.ok(Method::PUT, path, Some(body)).await
    }

    /// A socket that has said hello with a ticket.
    pub(super) async fn socket(&self) -> Result<Socket, DemoError> {
        let ticket = self.post("/api/realtime/tickets", json!({})).await?;
        let address = format!("{}/ws", self.base.replacen("http", "ws", 1));
        let (stream, _) = tokio_tungstenite::connect_async(address).await?;
        let mut socket = Socket(stream);
        socket.send(json!({"type": "hello", "ticket": ticket["ticket"]})).await?;
        socket.until("welcome", |_| true).await?;
        Ok(socket)
    }
}

/// What kept a server from answering.
fn unanswered(base: &str, error: &reqwest::Error) -> DemoError {
    let hint = if error.is_connect() { "; is a server running there?" } else { "" };
    format!("{base} does not answer: {}{hint}", root_cause(error)).into()
}

/// A live connection.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(super) async fn send(&mut self, value: Value) -> Result<(), DemoError> {
        Ok(self.0.send(Message::text(value.to_string())).await?)
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Value, DemoError> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(60), self.0.next())
                .await
                .map_err(|_| "the socket was silent for a minute")?;
            match message.ok_or("the socket closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => return Err(format!("the socket closed: {frame:?}").into()),
                _ => {}
            }
        }
    }

    /// Reads until a message of a type that fits.
    pub(super) async fn until(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, DemoError> {
        loop {
            let message = self.next().await?;
            if message["type"] == kind && fits(&message) {
                return Ok(message);
            }
            if message["type"] == "error" {
                return Err(format!("the server refused: {message}").into());
            }
        }
    }

    /// Subscribes; the snapshot.
    pub(super) async fn subscribe(&mut self, topic: &str) -> Result<Value, DemoError> {
        self.send(json!({"type": "subscribe", "id": topic, "topic": topic})).await?;
        self.until("subscribed", |m| m["topic"] == topic).await
    }
}
