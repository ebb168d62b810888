//! One socket: hello, subscriptions, heartbeat, limits. A task, not an actor.

use super::codec::{Decoder, Incoming, close, control};
use super::topics::show;
use crate::auth::Session;
use crate::state::App;
use actors::hub::{Frame, Next, Subscription, text_frame};
use bytes::{Bytes, BytesMut};
use chrono::Utc;
use domain::ids::{SessionId, UserId};
use domain::topic::{Position, Topic};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// The first frame must come within this.
const HELLO: Duration = Duration::from_secs(5);
/// Between two pings; two unanswered close.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// A write that makes no progress for this long: the reader is too slow.
const SLOW: Duration = Duration::from_secs(5);
/// How long a closed socket is still read.
const LINGER: Duration = Duration::from_millis(300);
/// Frames written together.
const COALESCE: usize = 32 * 1024;

/// Close codes of the contract.
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const RESTART: u16 = 1012;
    pub(super) const PROTOCOL: u16 = 4400;
    pub(super) const UNAUTHORISED: u16 = 4401;
    pub(super) const LOST: u16 = 4403;
    pub(super) const SLOW: u16 = 4408;
    pub(super) const TOO_MANY: u16 = 4429;
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Hello {
        #[serde(default)]
        ticket: Option<String>,
    },
    Subscribe {
        #[serde(default)]
        id: Value,
        topic: String,
        #[serde(default)]
        from: Option<Position>,
    },
    Unsubscribe {
        topic: String,
    },
    Ping {
        #[serde(default)]
        id: Value,
    },
}

/// Why a session ends: the close code.
type End = u16;

/// Runs a socket to its end.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(app: App, mut stream: S) {
    let (mut buffer, mut decoder) = (BytesMut::with_capacity(512), Decoder::new(app.settings.frame_bytes));
    let end = match hello(&app, &mut stream, &mut buffer, &mut decoder).await {
        Ok(who) => {
            let place = who.map(|w| Place::take(&app, w.user));
            match place {
                Some(None) => code::TOO_MANY,
                _ => Socket::new(app.clone(), &mut stream, who).live(&mut buffer, &mut decoder).await,
            }
        }
        Err(end) => end,
    };
    metrics::counter!("ws_closed_total", "code" => end.to_string()).increment(1);
    let goodbye = async {
        stream.write_all(&close(end)).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    // Closing with unread input would reset the connection, and the code would be lost.
    let leftover = async {
        let mut sink = [0; 4096];
        while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    };
    let _ = tokio::time::timeout(LINGER, leftover).await;
}

/// A place among a user's sockets.
struct Place {
    app: App,
    user: UserId,
}

impl Place {
    fn take(app: &App, user: UserId) -> Option<Self> {
        let mut sockets = app.sockets.lock().expect("nobody panics holding it");
        let open = sockets.entry(user).or_default();
        if *open >= app.settings.sockets_per_user {
            return None;
        }
        *open += 1;
        Some(Self { app: app.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sockets = self.app.sockets.lock().expect("nobody panics holding it");
        if let Some(open) = sockets.get_mut(&self.user) {
            *open -= 1;
            if *open == 0 {
                sockets.remove(&self.user);
            }
        }
    }
}

/// Reads until there is an event.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    decoder: &mut Decoder,
) -> Result<Incoming, End> {
    loop {
        match decoder.next(buffer) {
            Ok(Some(incoming)) => return Ok(incoming),
            Ok(None) => {}
            Err(_) => return Err(code::PROTOCOL),
        }
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return Err(code::NORMAL),
            Ok(_) => {}
        }
    }
}

/// The first frame: who is it?
async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    app: &App,
    stream: &mut S,
    buffer: &mut BytesMut,
    decoder: &mut Decoder,
) -> Result<Option<Session>, End> {
    let first = tokio::time::timeout(HELLO, async {
        loop {
            match read(stream, buffer, decoder).await? {
                Incoming::Text(text) => return Ok(text),
                Incoming::Close => return Err(code::NORMAL),
                Incoming::Ping(_) | Incoming::Pong => {}
            }
        }
    });
    let text = first.await.map_err(|_| code::PROTOCOL)??;
    let Ok(Said::Hello { ticket }) = serde_json::from_str(&text) else { return Err(code::PROTOCOL) };
    let Some(ticket) = ticket else { return Ok(None) };
    let hash: [u8; 32] = Sha256::digest(ticket.as_bytes()).into();
    let used = app.store().run(move |c| Box::pin(async move { storage::sessions::take_ticket(c, hash).await })).await;
    match used {
        Ok(Some(t)) => Ok(Some(Session { user: UserId(t.user_id), session: SessionId(t.session_id) })),
        Ok(None) => Err(code::UNAUTHORISED),
        Err(_) => Err(code::RESTART),
    }
}

/// A subscription on its way to its next update.
type Waiting = Pin<Box<dyn Future<Output = Option<(Subscription, Next)>> + Send>>;

struct Live {
    stop: CancellationToken,
    offset: i64,
    /// Of a log: what came before what comes before it.
    early: BTreeMap<i64, Frame>,
}

/// How long a log waits for an update that others overtook, and how many may overtake it.
const OVERTAKEN: Duration = Duration::from_secs(1);
const MOST_EARLY: usize = 64;

impl Live {
    /// Writes what may be written: the newest state, or the next of a log and what it held up. What the snapshot showed
    /// already is not said again.
    fn take(&mut self, frame: Frame, state: bool, out: &mut BytesMut) {
        if frame.offset <= self.offset {
            return;
        }
        if !state && frame.offset > self.offset + 1 {
            self.early.insert(frame.offset, frame);
            return;
        }
        let mut next = Some(frame);
        while let Some(frame) = next {
            self.offset = frame.offset;
            out.extend_from_slice(&frame.bytes);
            metrics::counter!("ws_sent_total").increment(1);
            next = self.early.remove(&(self.offset + 1));
        }
    }
}

struct Socket<'s, S> {
    app: App,
    stream: &'s mut S,
    who: Option<Session>,
    topics: HashMap<Topic, Live>,
    waiting: FuturesUnordered<Waiting>,
    out: BytesMut,
    unanswered: u32,
    messages: (Instant, u32),
    /// Since when some log waits for an update that others overtook.
    waits_since: Option<tokio::time::Instant>,
}

impl<'s, S: AsyncRead + AsyncWrite + Unpin> Socket<'s, S> {
    fn new(app: App, stream: &'s mut S, who: Option<Session>) -> Self {
        Self {
            app,
            stream,
            who,
            topics: HashMap::new(),
            waiting: FuturesUnordered::new(),
            out: BytesMut::new(),
            unanswered: 0,
            messages: (Instant::now(), 0),
            waits_since: None,
        }
    }

    fn say(&mut self, value: &Value) {
        self.out.extend_from_slice(&text_frame(&value.to_string()));
    }

    /// Writes what was said; a reader that takes nothing for five seconds is too slow.
    async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let bytes: Bytes = self.out.split().freeze();
        match tokio::time::timeout(SLOW, async { self.stream.write_all(&bytes).await }).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(code::NORMAL),
            Err(_) => {
                metrics::counter!("ws_dropped_total", "reason" => "slow").increment(1);
                Err(code::SLOW)
            }
        }
    }

    async fn live(&mut self, buffer: &mut BytesMut, decoder: &mut Decoder) -> End {
        let session = self.who.map_or_else(SessionId::new, |w| w.session);
        self.say(&json!({"type": "welcome", "sessionId": session, "serverTime": Utc::now(), "heartbeatMs": HEARTBEAT.as_millis() as u64}));
        match self.serve(buffer, decoder).await {
            Ok(()) => code::NORMAL,
            Err(end) => end,
        }
    }

    async fn serve(&mut self, buffer: &mut BytesMut, decoder: &mut Decoder) -> Result<(), End> {
        let mut revoked = self.app.revocations.subscribe();
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let draining = self.app.draining.clone();
        loop {
            self.flush().await?;
            let overdue = self.waits_since.map_or_else(|| tokio::time::Instant::now() + HEARTBEAT, |s| s + OVERTAKEN);
            tokio::select! {
                biased;
                () = draining.cancelled() => return self.leave().await,
                news = revoked.recv() => {
                    let mine = self.who.map(|w| w.session);
                    if news.ok() == mine && mine.is_some() || mine.is_some_and(|s| self.app.revocations.contains(s)) {
                        return Err(code::UNAUTHORISED);
                    }
                }
                () = tokio::time::sleep_until(overdue), if self.waits_since.is_some() => self.give_up(),
                _ = beat.tick() => {
                    if self.unanswered >= 2 {
                        return Err(code::NORMAL);
                    }
                    self.unanswered += 1;
                    self.out.extend_from_slice(&control(0x9, b""));
                }
                incoming = read(self.stream, buffer, decoder) => match incoming? {
                    Incoming::Text(text) => self.hear(&text).await?,
                    Incoming::Ping(payload) => self.out.extend_from_slice(&control(0xa, &payload)),
                    Incoming::Pong => self.unanswered = 0,
                    Incoming::Close => return Ok(()),
                },
                Some(next) = self.waiting.next(), if !self.waiting.is_empty() => {
                    self.deliver(next)?;
                    // What else is there already goes out with the same write.
                    while self.out.len() < COALESCE {
                        match futures_util::FutureExt::now_or_never(self.waiting.next()) {
                            Some(Some(next)) => self.deliver(next)?,
                            _ => break,
                        }
                    }
                }
            }
        }
    }

    /// The server restarts: say when to come back, spread over a few seconds.
    async fn leave(&mut self) -> Result<(), End> {
        let after = 500 + rand::random::<u64>() % 4_500;
        self.say(&json!({"type": "goaway", "reconnectAfterMs": after}));
        self.flush().await?;
        Err(code::RESTART)
    }

    fn deliver(&mut self, next: Option<(Subscription, Next)>) -> Result<(), End> {
        let Some((subscription, next)) = next else { return Ok(()) };
        let topic = subscription.topic().clone();
        let Some(live) = self.topics.get_mut(&topic) else { return Ok(()) };
        match next {
            Next::Frame(frame) => {
                let stop = live.stop.clone();
                live.take(frame, topic.is_state(), &mut self.out);
                let lost = live.early.len() > MOST_EARLY;
                if lost {
                    self.gap(&topic);
                } else {
                    self.wait(subscription, stop);
                }
                self.note_waiting();
            }
            Next::Gap => self.gap(&topic),
            Next::Lost => return Err(code::LOST),
        }
        Ok(())
    }

    /// This log cannot continue here: the client resubscribes from where it is.
    fn gap(&mut self, topic: &Topic) {
        if let Some(live) = self.topics.remove(topic) {
            live.stop.cancel();
        }
        self.say(&json!({"type": "gap", "topic": topic.to_string()}));
    }

    fn note_waiting(&mut self) {
        let waits = self.topics.values().any(|l| !l.early.is_empty());
        self.waits_since = waits.then(|| self.waits_since.unwrap_or_else(tokio::time::Instant::now));
    }

    /// What was overtaken did not come.
    fn give_up(&mut self) {
        let late: Vec<Topic> =
            self.topics.iter().filter(|(_, l)| !l.early.is_empty()).map(|(t, _)| t.clone()).collect();
        for topic in late {
            self.gap(&topic);
        }
        self.waits_since = None;
    }

    fn wait(&mut self, mut subscription: Subscription, stop: CancellationToken) {
        self.waiting.push(Box::pin(async move {
            tokio::select! {
                () = stop.cancelled() => None,
                next = subscription.next() => Some((subscription, next)),
            }
        }));
    }

    async fn hear(&mut self, text: &str) -> Result<(), End> {
        let (since, count) = &mut self.messages;
        if since.elapsed() > Duration::from_secs(1) {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        if *count > self.app.settings.messages_per_second {
            return Err(code::TOO_MANY);
        }
        match serde_json::from_str(text) {
            Ok(Said::Subscribe { id, topic, from }) => self.subscribe(id, &topic, from.as_ref()).await,
            Ok(Said::Unsubscribe { topic }) => {
                if let Some(live) = topic.parse().ok().and_then(|t: Topic| self.topics.remove(&t)) {
                    live.stop.cancel();
                }
            }
            Ok(Said::Ping { id }) => self.say(&json!({"type": "pong", "id": id})),
            Ok(Said::Hello { .. }) | Err(_) => return Err(code::PROTOCOL),
        }
        Ok(())
    }

    /// Subscribe first, then the snapshot, then what came in between, in order.
    async fn subscribe(&mut self, id: Value, name: &str, from: Option<&Position>) {
        let Ok(topic) = name.parse::<Topic>() else {
            return self.say(&json!({"type": "error", "id": id, "code": "topic-forbidden", "topic": name}));
        };
        if !self.topics.contains_key(&topic) && self.topics.len() >= self.app.settings.topics_per_socket {
            return self.say(&json!({"type": "error", "id": id, "code": "too-many-topics", "topic": name}));
        }
        let subscription = self.app.handles.hub.subscribe(&topic);
        let Some(shown) = show(&self.app, self.who.map(|w| w.user), &topic).await else {
            return self.say(&json!({"type": "error", "id": id, "code": "topic-forbidden", "topic": name}));
        };
        let hub = &self.app.handles.hub;
        // Everything that was missed, or a snapshot: never a part of it.
        let missed = match from {
            Some(p) if p.epoch == hub.epoch() && p.offset == shown.offset => Some(Vec::new()),
            Some(p) if p.epoch == hub.epoch() && !topic.is_state() => hub.missed(&topic, p.offset, shown.offset),
            _ => None,
        };
        let recovered = missed.is_some();
        let position = match from {
            Some(p) if recovered => p.offset,
            _ => shown.offset,
        };
        let mut answer = json!({
            "type": "subscribed", "id": id, "topic": name, "position": hub.position(position), "recovered": recovered,
        });
        if !recovered {
            answer["snapshot"] = shown.snapshot;
        }
        metrics::counter!("ws_recoveries_total", "recovered" => if recovered { "true" } else { "false" }).increment(1);
        self.say(&answer);
        for frame in missed.unwrap_or_default() {
            self.out.extend_from_slice(&frame.bytes);
        }
        let stop = CancellationToken::new();
        if let Some(old) =
            self.topics.insert(topic, Live { stop: stop.clone(), offset: shown.offset, early: BTreeMap::new() })
        {
            old.stop.cancel();
        }
        self.wait(subscription, stop);
    }
}
