//! Which connections a listener has: never more than it may, and at that number those without a whole request leave first, the
//! oldest before all others. A connection counts from its acceptance until its descriptor is closed, as a socket too.

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

/// Seconds from the first byte of a request's headers to their last. A client that sends slower holds a descriptor for nothing.
const HEADERS_LIMIT: Duration = Duration::from_secs(5);
/// One connection in 32 is found by a look for idle ones: a flood is not to look at all of them for
/// each connection.
const CANDIDATES_PART: usize = 32;

/// The state of a connection with a whole request under way. Otherwise it is the nanosecond since which it waits for the other
/// side: for a request, for more of a body, or for room to write.
const BUSY: u64 = 0;
/// The state of a connection that was closed to make room.
const CLOSED: u64 = u64::MAX;

/// The connections of a listener.
pub(super) struct Connections {
    most: usize,
    begun: Instant,
    /// How many have no whole request under way.
    waiting: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: HashMap<u64, Arc<State>>,
    next: u64,
    /// Found by the last look: who had no request, since when. The oldest comes first.
    candidates: VecDeque<(u64, u64)>,
}

struct State {
    since: AtomicU64,
    /// Requests that began.
    requests: AtomicU64,
    /// The last of them has not ended: what is read is no header.
    under_way: AtomicBool,
    /// Bytes of its body, `u64::MAX` where it does not say.
    body: AtomicU64,
    leave: Notify,
}

/// A connection's place. Dropping it gives the place back.
pub(crate) struct Connection {
    all: Arc<Connections>,
    id: u64,
    state: Arc<State>,
}

impl Connections {
    /// Room for `most` connections.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, begun: Instant::now(), waiting: AtomicUsize::new(0), open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock()
    }

    /// Nanoseconds since the listener began, never [`BUSY`].
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(CLOSED - 1).clamp(1, CLOSED - 1)
    }

    /// Takes a place for a new connection. At the limit the one that is without a request for longest is closed for it; `None`
    /// when all have requests under way.
    pub(super) fn accept(self: &Arc<Self>) -> Option<Arc<Connection>> {
        let mut open = self.open();
        if open.all.len() >= self.most && !self.close_oldest(&mut open) {
            metrics::counter!("connections_closed_total", "reason" => "full").increment(1);
            return None;
        }
        let id = open.next;
        open.next += 1;
        let state = Arc::new(State {
            since: AtomicU64::new(self.now()),
            requests: AtomicU64::new(0),
            under_way: AtomicBool::new(false),
            body: AtomicU64::new(0),
            leave: Notify::new(),
        });
        open.all.insert(id, state.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(Connection { all: self.clone(), id, state }))
    }

    fn close_oldest(&self, open: &mut Open) -> bool {
        if self.close_candidate(open) {
            return true;
        }
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let since = |(id, state): (&u64, &Arc<State>)| Some((state.waiting_since()?, *id));
        let mut waiting: Vec<(u64, u64)> = open.all.iter().filter_map(since).collect();
        waiting.sort_unstable();
        waiting.truncate((self.most / CANDIDATES_PART).max(1));
        open.candidates = waiting.into();
        self.close_candidate(open)
    }

    /// Closes the first candidate that had no request since it was found.
    fn close_candidate(&self, open: &mut Open) -> bool {
        while let Some((since, id)) = open.candidates.pop_front() {
            let Some(state) = open.all.get(&id) else { continue };
            if state.since.compare_exchange(since, CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                state.leave.notify_one();
                open.all.remove(&id);
                metrics::counter!("connections_closed_total", "reason" => "idle").increment(1);
                return true;
            }
        }
        false
    }
}

impl State {
    fn waiting_since(&self) -> Option<u64> {
        Some(self.since.load(Ordering::Acquire)).filter(|since| !matches!(*since, BUSY | CLOSED))
    }
}

impl Connection {
    /// A request is under way until the guard is dropped. From the end of its body on (see [`UnderWay::receive`]) the connection
    /// is not closed for another one. `body`: its bytes, where it says how many.
    pub(super) fn begin(self: &Arc<Self>, body: Option<u64>) -> UnderWay {
        let request = self.state.requests.fetch_add(1, Ordering::AcqRel) + 1;
        self.state.body.store(body.unwrap_or(u64::MAX), Ordering::Release);
        self.state.under_way.store(true, Ordering::Release);
        let under_way = UnderWay { connection: Some(self.clone()) };
        match body {
            Some(0) => self.receive(request),
            _ => self.stir(),
        }
        under_way
    }

    /// The body of a request has ended.
    fn receive(&self, request: u64) {
        let state = &self.state;
        let current = state.under_way.load(Ordering::Acquire) && state.requests.load(Ordering::Acquire) == request;
        let busy = |since: u64| (!matches!(since, BUSY | CLOSED)).then_some(BUSY);
        if current && state.since.fetch_update(Ordering::AcqRel, Ordering::Relaxed, busy).is_ok() {
            self.all.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The other side did something: where the connection waits for it, it does so from now on.
    fn stir(&self) {
        if self.state.waiting_since().is_some() {
            let now = self.all.now();
            let waiting = |since: u64| (!matches!(since, BUSY | CLOSED)).then_some(now);
            let _ = self.state.since.fetch_update(Ordering::AcqRel, Ordering::Relaxed, waiting);
        }
    }

    fn finish(&self) {
        self.state.under_way.store(false, Ordering::Release);
        let now = self.all.now();
        let waiting = |since: u64| (since != CLOSED).then_some(now);
        if self.state.since.fetch_update(Ordering::AcqRel, Ordering::Relaxed, waiting) == Ok(BUSY) {
            self.all.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when the connection is to be closed for another one.
    pub(super) async fn closed(&self) {
        self.state.leave.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.open().all.remove(&self.id);
        let before = self.state.since.swap(CLOSED, Ordering::AcqRel);
        if !matches!(before, BUSY | CLOSED) {
            self.all.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A request that is under way, from its headers to the end of its answer.
pub(super) struct UnderWay {
    connection: Option<Arc<Connection>>,
}

impl UnderWay {
    /// Whom to tell of the end of the request's body.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        let connection = self.connection.clone()?;
        let request = connection.state.requests.load(Ordering::Acquire);
        Some(Receipt { connection, request })
    }

    /// The body has ended, or nothing more of it is read: the connection is not closed for another one.
    pub(super) fn receive(&self) {
        if let Some(receipt) = self.receipt() {
            receipt.receive();
        }
    }

    /// The connection becomes a socket: it stays under way for as long as it lives.
    pub(super) fn stay(&mut self) {
        self.connection = None;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.finish();
        }
    }
}

/// Tells a connection that the body of one of its requests has ended.
pub(super) struct Receipt {
    connection: Arc<Connection>,
    request: u64,
}

impl Receipt {
    pub(super) fn receive(&self) {
        self.connection.receive(self.request);
    }
}

/// The body of an answer; while it is read, its request is under way.
pub(super) struct AnswerBody<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B> AnswerBody<B> {
    pub(super) fn new(body: B, under_way: UnderWay) -> Self {
        Self { body, _under_way: under_way }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The bytes of a connection. Reading fails when headers that have begun are not complete within [`HEADERS_LIMIT`].
pub(crate) struct Stream<S> {
    inner: S,
    connection: Arc<Connection>,
    headers: Option<Headers>,
    ending: Ending,
    limit: Duration,
}

/// Headers that have begun.
struct Headers {
    /// Requests before them: which headers these are.
    requests: u64,
    deadline: Instant,
    /// Made when they do not come in one piece.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Finds the blank line that ends headers, and counts the bytes that are read after it.
#[derive(Default)]
struct Ending {
    /// Since the last line feed there was nothing but a carriage return.
    is_line_empty: bool,
    after: Option<u64>,
}

impl Ending {
    fn pass(&mut self, read: &[u8]) {
        let mut rest = read.iter();
        while self.after.is_none()
            && let Some(byte) = rest.next()
        {
            match byte {
                b'\n' if self.is_line_empty => self.after = Some(0),
                b'\n' => self.is_line_empty = true,
                b'\r' => {}
                _ => self.is_line_empty = false,
            }
        }
        self.after = self.after.map(|after| after + rest.len() as u64);
    }

    /// Was more read than headers and a body of this length?
    fn is_past(&self, body: u64) -> bool {
        self.after.is_some_and(|after| after > body)
    }
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S, connection: Arc<Connection>) -> Self {
        Self { inner, connection, headers: None, ending: Ending::default(), limit: HEADERS_LIMIT }
    }

    /// Notes bytes of headers, or looks whether their time is over. Those that were read together with the request before them
    /// have begun when that is answered. (Where several requests came at once nobody knows whether more was begun: then an
    /// idle connection has no longer than headers have.)
    fn watch(&mut self, cx: &mut Context<'_>, read: &[u8]) -> Poll<io::Error> {
        let state = &self.connection.state;
        let (requests, body) = (state.requests.load(Ordering::Acquire), state.body.load(Ordering::Acquire));
        if self.headers.as_ref().is_none_or(|headers| headers.requests != requests) {
            let deadline = Instant::now() + self.limit;
            let has_begun = !read.is_empty() || self.ending.is_past(body);
            self.headers = has_begun.then(|| Headers { requests, deadline, timer: None });
            if !read.is_empty() {
                self.ending = Ending::default();
            }
        }
        self.ending.pass(read);
        match &mut self.headers {
            Some(headers) if read.is_empty() => {
                let timer = headers.timer.get_or_insert_with(|| Box::pin(sleep_until(headers.deadline)));
                timer.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
            }
            _ => Poll::Pending,
        }
    }

    /// An answer that is read slowly is read all the same.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.connection.stir();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if self.connection.state.under_way.load(Ordering::Acquire) {
            self.headers = None;
            self.ending.pass(new);
            if !new.is_empty() {
                self.connection.stir();
            }
            return read;
        }
        if matches!(read, Poll::Ready(Err(_))) {
            return read;
        }
        match self.watch(cx, new) {
            Poll::Ready(late) if read.is_pending() => Poll::Ready(Err(late)),
            _ => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn is_closed(connection: &Connection) -> bool {
        connection.closed().now_or_never().is_some()
    }

    /// Case H5: at the cap the one that is idle for longest makes room; one with a request under way never does.
    #[tokio::test]
    async fn the_oldest_idle_connection_makes_room() {
        let all = Connections::new(3);
        let places: Vec<_> = (0..3).map(|_| all.accept().expect("there is room")).collect();
        let busy = places[0].begin(Some(0));
        let fourth = all.accept().expect("the second makes room");
        assert_eq!(places.iter().map(|c| is_closed(c)).collect::<Vec<_>>(), [false, true, false]);
        drop(places[2].begin(Some(0)));
        let fifth = all.accept().expect("the fourth is idle for longer than the third");
        assert!(is_closed(&fourth) && !is_closed(&places[2]));
        let others = [places[2].begin(Some(0)), fifth.begin(Some(0))];
        assert!(all.accept().is_none(), "all have requests under way");
        drop(busy);
        assert!(all.accept().is_some() && is_closed(&places[0]), "what is answered is idle again");
        drop(others);
    }

    /// Case H5: places come back, whatever became of a connection, and are counted right.
    #[tokio::test]
    async fn places_come_back() {
        let all = Connections::new(2);
        for _ in 0..100 {
            let (one, other) = (all.accept().expect("room"), all.accept().expect("room"));
            let mut socket = other.begin(Some(0));
            socket.stay();
            drop(socket);
            let third = all.accept().expect("the first makes room");
            assert!(is_closed(&one) && !is_closed(&other), "a socket is not closed for a new connection");
            drop((one, other, third));
            assert_eq!((all.open().all.len(), all.waiting.load(Ordering::Relaxed)), (0, 0));
        }
    }

    /// Case H5: a body that does not come keeps nobody out, and each of its bytes counts; from its end on a request stays.
    #[tokio::test]
    async fn a_request_stays_from_the_end_of_its_body_on() {
        let all = Connections::new(3);
        let places: Vec<_> = (0..3).map(|_| all.accept().expect("there is room")).collect();
        let requests: Vec<_> = places.iter().map(|place| place.begin(Some(10))).collect();
        requests[0].receive();
        places[1].stir();
        let fourth = all.accept().expect("the third was silent for longest");
        assert_eq!(places.iter().map(|c| is_closed(c)).collect::<Vec<_>>(), [false, false, true]);
        let fifth = all.accept().expect("the second waits for its body");
        assert!(is_closed(&places[1]));
        let others = [fourth.begin(Some(0)), fifth.begin(None)];
        others[1].receive();
        assert!(all.accept().is_none(), "all have whole requests under way");
        let late = requests[0].receipt().expect("it is under way");
        drop((requests, others));
        late.receive();
        assert_eq!(all.waiting.load(Ordering::Relaxed), 3, "the body of an answered request is nobody's");
        drop((places, fourth, fifth, late));
        assert_eq!((all.open().all.len(), all.waiting.load(Ordering::Relaxed)), (0, 0));
    }

    /// An answer that is still being written keeps its connection among the youngest of those that wait.
    #[tokio::test]
    async fn a_slow_download_is_not_idle() {
        let all = Connections::new(2);
        let (slow, idle) = (all.accept().expect("room"), all.accept().expect("room"));
        drop(slow.begin(Some(0)));
        drop(idle.begin(Some(0)));
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Stream::new(near, slow.clone());
        stream.write_all(b"the rest").await.expect("it fits");
        far.read_exact(&mut [0; 8]).await.expect("it is read");
        let _third = all.accept().expect("the idle one makes room");
        assert!(is_closed(&idle) && !is_closed(&slow));
    }

    #[test]
    fn what_is_read_after_headers_is_counted() {
        for (text, after) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(0)),
            ("GET / HTTP/1.1\nHost: a\n\nab", Some(2)),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n0123456789\r\n\r\n", Some(14)),
            ("GET / HTTP/1.1\r\nHost: a\r\n", None),
            ("GET / HTTP/1.1\r\n \r\n", None),
        ] {
            for pieces in [1, 3, 100] {
                let mut ending = Ending::default();
                text.as_bytes().chunks(pieces).for_each(|piece| ending.pass(piece));
                assert_eq!(ending.after, after, "{text:?} in pieces of {pieces}");
            }
        }
    }

    /// Case H5: headers that came together with the request before them have no more time than others.
    #[tokio::test]
    async fn headers_behind_a_request_have_their_time() {
        let all = Connections::new(1);
        let connection = all.accept().expect("room");
        let (near, mut far) = tokio::io::duplex(256);
        let mut stream = Stream::new(near, connection.clone());
        stream.limit = SHORT;
        let mut bytes = [0; 256];
        far.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT").await.expect("it fits");
        assert!(stream.read(&mut bytes).await.expect("all of it") > 30);
        drop(connection.begin(Some(0)));
        let begun = Instant::now();
        let late = stream.read(&mut bytes).await.expect_err("the rest never comes");
        assert!(late.kind() == io::ErrorKind::TimedOut && begun.elapsed() >= SHORT);

        let (near, mut far) = tokio::io::duplex(256);
        let mut stream = Stream::new(near, connection.clone());
        stream.limit = SHORT;
        far.write_all(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n0123").await.expect("it fits");
        assert!(stream.read(&mut bytes).await.expect("headers, and some of the body") > 30);
        let request = connection.begin(Some(10));
        far.write_all(b"456789").await.expect("it fits");
        assert_eq!(stream.read(&mut bytes).await.expect("the rest of the body"), 6);
        drop(request);
        assert!(tokio::time::timeout(SHORT * 2, stream.read(&mut bytes)).await.is_err(), "nothing else has begun");
    }

    /// In place of five seconds.
    const SHORT: Duration = Duration::from_millis(200);

    /// Case H5: headers have their time from their first byte, however many more come; an idle connection may wait longer.
    #[tokio::test]
    async fn headers_have_their_time_from_their_first_byte() {
        let all = Connections::new(1);
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Stream::new(near, all.accept().expect("room"));
        stream.limit = SHORT;
        let mut byte = [0];
        let idle = tokio::time::timeout(SHORT * 2, stream.read(&mut byte)).await;
        assert!(idle.is_err(), "nothing has begun");
        let begun = Instant::now();
        let dripping = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 20).await;
            }
        });
        let late = loop {
            if let Err(e) = stream.read(&mut byte).await {
                break e;
            }
        };
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= SHORT);
        drop(stream);
        dripping.await.expect("no panic");
    }

    /// Case H5: a body may take longer than headers, and the next headers have their own time.
    #[tokio::test]
    async fn a_request_under_way_has_no_time_for_headers() {
        let all = Connections::new(1);
        let connection = all.accept().expect("room");
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Stream::new(near, connection.clone());
        stream.limit = SHORT;
        let mut byte = [0];
        far.write_all(b"ab").await.expect("it fits");
        assert_eq!(stream.read(&mut byte).await.expect("a byte"), 1);
        let request = connection.begin(Some(1));
        assert_eq!(stream.read(&mut byte).await.expect("another"), 1);
        assert!(tokio::time::timeout(SHORT * 2, stream.read(&mut byte)).await.is_err(), "a slow body");
        drop(request);
        assert!(tokio::time::timeout(SHORT * 2, stream.read(&mut byte)).await.is_err(), "idle");
    }
}
