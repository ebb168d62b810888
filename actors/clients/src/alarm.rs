//! Where alarms go besides the log: a webhook in Slack's format, and mail.

use crate::error::UpstreamError;
use crate::http::{Http, JSON_CAP};
use domain::distribution::ErrorClass;
use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::json;
use std::time::Duration;

/// One attempt.
const LIMIT: Duration = Duration::from_secs(10);

/// A place that alarms are sent to.
pub trait Sink: Send + Sync {
    /// What it is called in logs and metrics.
    fn name(&self) -> &'static str;

    /// Sends one line.
    fn send<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<(), UpstreamError>>;
}

/// An incoming webhook: `POST {"text": …}`.
pub struct Webhook {
    http: Http,
    url: String,
}

impl Webhook {
    /// At an address, which is a secret.
    #[must_use]
    pub fn new(http: Http, url: String) -> Self {
        Self { http, url }
    }
}

impl Sink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn send<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<(), UpstreamError>> {
        Box::pin(async move {
            let request = self.http.client().post(&self.url).json(&json!({"text": text}));
            self.http.send(request, LIMIT, JSON_CAP).await?.ok().map(|_| ())
        })
    }
}

/// Mail over SMTP.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// Through a server (`smtp://…`, `smtps://…`, with user and password in it if need be) to one or more addresses.
    ///
    /// # Errors
    /// The address of the server or of a person is none.
    pub fn new(server: &str, from: &str, to: &[String]) -> Result<Self, String> {
        let address = |a: &str| a.parse::<Mailbox>().map_err(|_| format!("{a:?} is no mail address"));
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(server)
            .map_err(|_| "is not smtp:// or smtps:// and a host".to_owned())?
            .timeout(Some(LIMIT))
            .build();
        Ok(Self { transport, from: address(from)?, to: to.iter().map(|t| address(t)).collect::<Result<_, _>>()? })
    }
}

impl Sink for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn send<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<(), UpstreamError>> {
        Box::pin(async move {
            let subject = text.lines().next().unwrap_or_default().chars().take(120).collect::<String>();
            let mut message = Message::builder().from(self.from.clone()).subject(format!("Madang {subject}"));
            for to in &self.to {
                message = message.to(to.clone());
            }
            let refused = |e: String| UpstreamError::new(ErrorClass::Caller, e);
            let message = message.body(text.to_owned()).map_err(|e| refused(e.to_string()))?;
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(e) if e.is_permanent() => Err(refused("the mail server refused".into())),
                Err(_) => Err(UpstreamError::new(ErrorClass::Transient, "the mail server did not take it")),
            }
        })
    }
}
