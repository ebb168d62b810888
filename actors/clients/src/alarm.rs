//! Where alarms go besides the log: a webhook in Slack's format, and mail.

use crate::error::UpstreamError;
use crate::http::{Http, JSON_CAP};
use crate::percent;
use domain::distribution::ErrorClass;
use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// One attempt.
const LIMIT: Duration = Duration::from_secs(10);
/// Ports that mail servers listen on by default (RFC 5321, 6409, 8314).
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

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
    /// A password is never sent in the clear: with one, `smtp://` needs STARTTLS.
    ///
    /// # Errors
    /// The address of the server or of a person is none.
    pub fn new(server: &str, from: &str, to: &[String]) -> Result<Self, String> {
        let address = |a: &str| mailbox(a).ok_or_else(|| format!("{a:?} is no mail address"));
        let transport = builder(server)?.timeout(Some(LIMIT)).build();
        Ok(Self { transport, from: address(from)?, to: to.iter().map(|t| address(t)).collect::<Result<_, _>>()? })
    }
}

fn mailbox(address: &str) -> Option<Mailbox> {
    address.parse().ok()
}

/// Is it the address of a mailbox, with or without a name before it?
#[must_use]
pub fn is_mail_address(address: &str) -> bool {
    mailbox(address).is_some()
}

/// What is known of a mail server by its address.
struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<(String, String)>,
    /// How this client introduces itself, where the address has a path.
    hello: Option<String>,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// Never: a relay on this machine.
    Never,
    /// Where the server offers it: nothing secret is sent.
    Offered,
    /// By STARTTLS before anything else; without it nothing is sent.
    StartTls,
    /// From the first byte.
    Always,
}

impl Server {
    fn parse(url: &str) -> Result<Self, String> {
        const FORM: &str = "is not smtp:// or smtps:// and a host, such as smtp://user:password@mail.shop.kr:587";
        let url = Url::parse(url).map_err(|e| format!("{FORM} ({e})"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?;
        let host = percent::decoded(host.trim_start_matches('[').trim_end_matches(']'));
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) => Some((percent::decoded(user), percent::decoded(password))),
            (_, None) => return Err("names a user without a password".into()),
        };
        let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let here = is_here(&host);
        let encryption = match (url.scheme(), asked.as_deref()) {
            ("smtps", None | Some("required")) => Encryption::Always,
            ("smtp", Some("required")) => Encryption::StartTls,
            ("smtp", None | Some("opportunistic")) if login.is_some() => Encryption::StartTls,
            ("smtp", None) if url.port() == Some(SUBMISSION_PORT) => Encryption::StartTls,
            ("smtp", None) if here => Encryption::Never,
            ("smtp", None | Some("opportunistic")) => Encryption::Offered,
            ("smtp" | "smtps", Some(_)) => return Err("?tls= is neither required nor opportunistic".into()),
            _ => return Err(FORM.into()),
        };
        let usual = match encryption {
            Encryption::Always => SUBMISSIONS_PORT,
            Encryption::StartTls => SUBMISSION_PORT,
            Encryption::Never | Encryption::Offered => RELAY_PORT,
        };
        let hello = Some(url.path().trim_matches('/').to_owned()).filter(|name| !name.is_empty());
        Ok(Self { port: url.port().unwrap_or(usual), host, encryption, login, hello })
    }

    /// A certificate is not checked where nothing secret is sent and plain text would do, nor on this machine, where mail
    /// servers have certificates that they signed themselves.
    fn tls(&self) -> Result<Tls, String> {
        let unchecked = self.encryption == Encryption::Offered || is_here(&self.host);
        let parameters = || {
            TlsParameters::builder(self.host.clone())
                .dangerous_accept_invalid_certs(unchecked)
                .build()
                .map_err(|e| format!("TLS cannot be set up: {e}"))
        };
        Ok(match self.encryption {
            Encryption::Never => Tls::None,
            Encryption::Offered => Tls::Opportunistic(parameters()?),
            Encryption::StartTls => Tls::Required(parameters()?),
            Encryption::Always => Tls::Wrapper(parameters()?),
        })
    }
}

/// Is it this machine?
fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|a| a.to_canonical().is_loopback())
}

fn builder(url: &str) -> Result<AsyncSmtpTransportBuilder, String> {
    let server = Server::parse(url)?;
    let tls = server.tls()?;
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host).port(server.port).tls(tls);
    if let Some((user, password)) = server.login {
        builder = builder.credentials(Credentials::new(user, password));
    }
    if let Some(name) = server.hello {
        builder = builder.hello_name(ClientId::Domain(name));
    }
    Ok(builder)
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
                Err(e) => {
                    Err(UpstreamError::new(ErrorClass::Transient, format!("the mail server did not take it: {e}")))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    fn encryption(url: &str) -> (Encryption, u16) {
        let server = Server::parse(url).unwrap();
        (server.encryption, server.port)
    }

    #[test]
    fn a_password_is_sent_encrypted_or_not_at_all() {
        for (url, encrypted, port) in [
            ("smtp://mail.shop.kr", Encryption::Offered, 25),
            ("smtp://mail.shop.kr:587", Encryption::StartTls, 587),
            ("smtp://u:p@mail.shop.kr", Encryption::StartTls, 587),
            ("smtp://u:p@mail.shop.kr:25", Encryption::StartTls, 25),
            ("smtp://u:p@127.0.0.1:2525", Encryption::StartTls, 2525),
            ("smtp://u:p@mail.shop.kr?tls=opportunistic", Encryption::StartTls, 587),
            ("smtp://mail.shop.kr?tls=required", Encryption::StartTls, 587),
            ("smtps://u:p@mail.shop.kr", Encryption::Always, 465),
            ("SMTPS://mail.shop.kr", Encryption::Always, 465),
            ("smtp://localhost", Encryption::Never, 25),
            ("smtp://[::1]:2525", Encryption::Never, 2525),
        ] {
            assert_eq!(encryption(url), (encrypted, port), "{url}");
        }
        assert_eq!(Server::parse("smtp://[::1]").unwrap().host, "::1");
        let login = Server::parse("smtps://a%40b.kr:p%2Fw@mail.shop.kr").unwrap().login.unwrap();
        assert_eq!(login, ("a@b.kr".to_owned(), "p/w".to_owned()));
        for broken in [
            "",
            "mail.shop.kr",
            "smtp://",
            "smtp:///x",
            "http://mail.shop.kr",
            "smtp://h:99999",
            "smtp://u@h",
            "smtp://h?tls=no",
        ] {
            assert!(Server::parse(broken).is_err(), "{broken}");
        }
    }

    /// A mail server that offers what is given to it, says yes to all, and notes what it hears. After STARTTLS it notes the
    /// first byte and hangs up.
    async fn stub(offers: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (read, mut write) = stream.into_split();
                let mut read = BufReader::new(read);
                let _ = write.write_all(b"220 mail\r\n").await;
                let mut line = String::new();
                while read.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    let said = std::mem::take(&mut line).trim_end().to_owned();
                    notes.lock().push(said.clone());
                    let answer = match said.split(' ').next().unwrap_or_default() {
                        "EHLO" => format!("250-mail\r\n{offers}250 OK\r\n"),
                        "STARTTLS" => "220 go on\r\n".into(),
                        "DATA" => "354 go on\r\n".into(),
                        _ => "250 ok\r\n".to_owned(),
                    };
                    let _ = write.write_all(answer.as_bytes()).await;
                    if said == "STARTTLS" {
                        let first = read.read_u8().await.unwrap();
                        notes.lock().push(format!("byte {first}"));
                        break;
                    }
                }
            }
        });
        (port, heard)
    }

    /// The first byte of a TLS handshake (RFC 8446, 5.1).
    const HANDSHAKE: &str = "byte 22";

    /// Case 26.
    #[tokio::test]
    async fn mail_with_a_password_goes_by_starttls() {
        for (offers, upgrades) in [
            ("250-STARTTLS\r\n", true),
            ("250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n", true),
            ("250-AUTH PLAIN\r\n", false),
        ] {
            let (port, heard) = stub(offers).await;
            let url = format!("smtp://user:pw@127.0.0.1:{port}");
            let mail = Mail::new(&url, "madang@shop.kr", &["ops@shop.kr".into()]).unwrap();
            assert!(mail.send("[warning] a test").await.is_err(), "it hangs up, or cannot encrypt");
            let heard = heard.lock().clone();
            assert!(heard[0].starts_with("EHLO "), "{heard:?}");
            assert!(!heard.iter().any(|said| said.starts_with("AUTH") || said.starts_with("MAIL")), "{heard:?}");
            assert_eq!(
                heard.get(1..3) == Some(&["STARTTLS".to_owned(), HANDSHAKE.to_owned()][..]),
                upgrades,
                "{heard:?}"
            );
        }
    }

    #[tokio::test]
    async fn smtps_is_encrypted_from_the_first_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtps://user:pw@{}", listener.local_addr().unwrap());
        let mail = Mail::new(&url, "madang@shop.kr", &["ops@shop.kr".into()]).unwrap();
        let first = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap()
        });
        assert!(mail.send("[warning] a test").await.is_err());
        assert_eq!(format!("byte {}", first.await.unwrap()), HANDSHAKE);
    }
}
