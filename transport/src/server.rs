//! Listeners: HTTP/1.1 with upgrades, TLS 1.3 where configured, a cap on connections, header and idle limits, and a drain.

mod connections;

pub(crate) use connections::Stream;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use connections::{AnswerBody, Connection, Connections, Receipt};
use futures_util::future::Either;
use http_body_util::{BodyExt, Either as EitherBody, Full};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Seconds that a connection may be idle. A little less for some: thousands that came together would all be closed at once,
/// and everybody else would wait for that. Headers that have begun have less time (`server/connections.rs`).
const IDLE_LIMIT: RangeInclusive<Duration> = Duration::from_secs(20)..=Duration::from_secs(30);
/// Connections of the admin port: operators, their monitoring, and nobody else. They have descriptors of their own.
pub(crate) const ADMIN_CONNECTIONS: usize = 64;
/// Time that a request under way may take once the server drains.
const DRAIN: Duration = Duration::from_secs(10);
/// Kernel buffer of a connection: 128 KiB in practice, 2.5 MB/s to somebody 50 ms away.
const SEND_BUFFER: u32 = 64 * 1024;
/// Bytes of that which may wait to be sent before a write has to wait.
const NOT_SENT: u32 = 16 * 1024;
/// Time after which a connection whose bytes nobody acknowledges is closed.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// 8 MiB of a body that no handler reads to its end are read all the same: a client that is still sending hears the answer, and
/// its connection can be used again.
const UNWANTED: usize = 8 * 1024 * 1024;
/// The same under overload: any entry is shorter.
const UNWANTED_EARLY: usize = 64 * 1024;
/// Time for which an unwanted body is read.
const UNWANTED_LIMIT: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted: as many as may enter at once. One too many tries again after a second.
const BACKLOG: u32 = 4_096;
/// Time in which a TLS handshake must be done.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Reads a certificate chain and its key for TLS 1.3.
///
/// # Errors
/// A file cannot be read or does not fit the other.
pub fn tls(cert: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|e| format!("MADANG_TLS_CERT {}: {e}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("MADANG_TLS_KEY {}: {e}", key.display()))?;
    let config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| format!("MADANG_TLS_CERT and MADANG_TLS_KEY: {e}"))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Listens; what is accepted inherits what is set here. Small send buffers: what a reader that stopped has not taken waits
/// here, where it is noticed, not in the kernel, which would take minutes of stale updates for it.
///
/// # Errors
/// The address is taken, or not ours.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart need not wait for the last process's connections to be forgotten. (On Windows it would share the port.)
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    if let Err(e) = tune(&socket) {
        tracing::warn!(error = %e, "the listener keeps the system's buffer sizes");
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn tune(socket: &TcpSocket) -> std::io::Result<()> {
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(socket);
        socket.set_tcp_notsent_lowat(NOT_SENT)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    }
    Ok(())
}

/// May answer a request before it is routed, whatever its body says; after a while, in which no further request is read
/// from its connection.
pub type Early = Arc<dyn Fn(&Request<Incoming>) -> Option<(Response<Full<Bytes>>, Duration)> + Send + Sync>;

/// What answers requests: first the early refusal, then the routes.
#[derive(Clone)]
pub struct Service {
    /// First.
    pub early: Early,
    /// Then.
    pub routes: Router,
}

impl From<Router> for Service {
    /// Nothing is answered early.
    fn from(routes: Router) -> Self {
        Self { early: Arc::new(|_| None), routes }
    }
}

/// Accepts until `stop`, at most `most` connections at a time, then lets requests under way finish. One too many takes the
/// place of the one that waits for its client for longest; where all have whole requests under way, it is closed at once.
pub async fn serve(
    listener: TcpListener,
    service: impl Into<Service>,
    tls: Option<TlsAcceptor>,
    most: usize,
    stop: CancellationToken,
) {
    let service = service.into();
    let (connections, places) = (TaskTracker::new(), Connections::new(most));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of descriptors, most likely: those who are here must leave first.
                tracing::warn!(error = %e, "accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = places.accept() else { continue };
        let (service, tls, stop) = (service.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            match tls {
                None => connection(stream, peer, place, service, stop).await,
                Some(tls) => {
                    let shaken = tokio::select! {
                        shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)) => shaken,
                        () = place.closed() => return,
                    };
                    if let Ok(Ok(stream)) = shaken {
                        connection(stream, peer, place, service, stop).await;
                    }
                }
            }
        });
    }
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(DRAIN + Duration::from_secs(1), connections.wait()).await;
}

/// A body that tells of its end, and comes back when it was not read to it, with whether it was read at all.
struct ReturnedBody {
    body: Option<Incoming>,
    begun: bool,
    receipt: Option<Receipt>,
    back: Option<oneshot::Sender<(Incoming, bool)>>,
}

impl ReturnedBody {
    fn new(body: Incoming, receipt: Option<Receipt>) -> (Self, oneshot::Receiver<(Incoming, bool)>) {
        let (back, returned) = oneshot::channel();
        (Self { body: Some(body), begun: false, receipt, back: Some(back) }, returned)
    }
}

impl hyper::body::Body for ReturnedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.begun = true;
        let frame = self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx));
        let has_ended = matches!(frame, Poll::Ready(None)) || self.is_end_stream();
        if has_ended && let Some(receipt) = self.receipt.take() {
            receipt.receive();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for ReturnedBody {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take().filter(|body| !body.is_end_stream()), self.back.take()) {
            let _ = back.send((body, self.begun));
        }
    }
}

/// Reads the rest of a body. A connection closed with unread bytes is reset, and its last answer may be lost with it; where it
/// has to be closed all the same, the answer says so.
async fn pass_over<B>(mut body: Incoming, most: usize, answer: &mut Response<B>) {
    let mut left = most;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.checked_sub(frame.data_ref().map_or(0, Bytes::len))?;
        }
        Some(())
    };
    if !matches!(tokio::time::timeout(UNWANTED_LIMIT, all).await, Ok(Some(()))) {
        say_close(answer);
    }
}

fn say_close<B>(answer: &mut Response<B>) {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// The body of any answer: a finished one, or what a route made.
type Answered = AnswerBody<EitherBody<Full<Bytes>, axum::body::Body>>;

/// The address of a peer. A listener of both families sees those of IPv4 as IPv6: it is written as what it is.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

async fn connection<S>(stream: S, peer: SocketAddr, place: Arc<Connection>, service: Service, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (peer, here) = (canonical(peer), place.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let length = if request.body().is_end_stream() { Some(0) } else { request.body().size_hint().exact() };
        let mut under_way = place.begin(length);
        if let Some((mut answer, hold)) = (service.early)(&request) {
            return Either::Left(async move {
                pass_over(request.into_body(), UNWANTED_EARLY, &mut answer).await;
                under_way.receive();
                if !hold.is_zero() {
                    tokio::time::sleep(hold).await;
                }
                Ok::<Response<Answered>, Infallible>(
                    answer.map(|body| AnswerBody::new(EitherBody::Left(body), under_way)),
                )
            });
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        let (parts, body) = request.into_parts();
        let asks_first = parts.headers.contains_key(header::EXPECT);
        let (body, mut returned) = ReturnedBody::new(body, under_way.receipt());
        let answering = service.routes.clone().oneshot(Request::from_parts(parts, body));
        Either::Right(async move {
            let Ok(mut answer) = answering.await;
            match returned.try_recv() {
                // Reading would tell the client to send what nobody wants.
                Ok((_, false)) if asks_first => say_close(&mut answer),
                Ok((rest, _)) => pass_over(rest, UNWANTED, &mut answer).await,
                Err(_) => {}
            }
            under_way.receive();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                under_way.stay();
            }
            Ok(answer.map(|body| AnswerBody::new(EitherBody::Right(body), under_way)))
        })
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(rand::random_range(IDLE_LIMIT))
        .max_buf_size(64 * 1024)
        // Header and body of an answer leave as one buffer: most are small.
        .writev(false)
        .serve_connection(TokioIo::new(Stream::new(stream, here.clone())), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        () = here.closed() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(DRAIN, connection).await;
        }
    }
}
