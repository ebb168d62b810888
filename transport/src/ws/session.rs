//! One socket: hello, subscriptions, heartbeat, limits. A task, not an actor, and a small one: what seldom happens is boxed.

use super::codec::{Incoming, close, control};
use super::sockets::{BEAT, DISMISSED, HEARTBEAT, LEAVE, LOOK, PROBE, REVOKED, SocketPermit};
use super::topics::{TopicRefusal, show};
use super::wire::{Wire, WireEnd};
use crate::auth::Session;
use crate::state::App;
use actors::hub::{AfterPull, Reader, Subscription, text_frame};
use domain::ids::{SessionId, UserId};
use domain::topic::{Position, Topic};
use metrics::Counter;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::future::poll_fn;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// Time in which the first frame must come.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which a write must end; a slower reader is closed. With the close frame it is gone within five seconds.
const SLOW_CONSUMER_TIMEOUT: Duration = Duration::from_secs(4);
/// Time in which the close frame must be written.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time that a log waits for an update that others overtook.
const OVERTAKEN_TIMEOUT: Duration = Duration::from_secs(1);
/// Time that a subscription waits for an update that is stored and not published yet: that takes about a millisecond.
const ON_ITS_WAY: Duration = Duration::from_millis(200);
/// Topics that a stranger may ask for in vain with one socket. Each is a look-up; a page asks for one that exists.
const MAX_UNKNOWN_TOPICS: u8 = 20;
/// Bytes of the longest message of a socket without a ticket. Some of a message may be kept for as long as the socket lives, and
/// strangers have little to say.
const MAX_STRANGER_BYTES: usize = 4 * 1024;
/// Bytes of a log that are written together.
const MAX_COALESCED_BYTES: usize = 32 * 1024;

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

/// Frames sent: counted by each socket for itself, and added up with every heartbeat.
static SENT: LazyLock<Counter> = LazyLock::new(|| metrics::counter!("ws_sent_total"));

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ClientMessage {
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
pub(super) async fn run<S>(app: App, stream: S, read: bytes::Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut wire = Wire::new(stream, &read, app.settings.frame_bytes.min(MAX_STRANGER_BYTES));
    drop(read);
    let end = match Box::pin(enter(&app, &mut wire)).await {
        Ok((place, who)) => {
            let mut socket = Socket {
                app,
                place,
                who,
                wire,
                topics: Vec::new(),
                unanswered: 0,
                unknown: 0,
                sent: 0,
                messages: None,
            };
            let Err(end) = socket.live().await;
            SENT.increment(socket.sent);
            // The topics are left before the goodbye, which may take a while.
            wire = socket.wire;
            end
        }
        Err(end) => end,
    };
    metrics::counter!("ws_closed_total", "code" => end.to_string()).increment(1);
    if end == code::SLOW {
        metrics::counter!("ws_dropped_total", "reason" => "slow").increment(1);
    }
    if end == code::SLOW {
        // What it has not read would keep the code from it.
        wire.drop_unwritten();
    }
    wire.out().push(close(end));
    let _ = Box::pin(tokio::time::timeout(CLOSE_TIMEOUT, wire.end())).await;
}

/// The first frame: who is it? And is there a place?
async fn enter<S>(app: &App, wire: &mut Wire<S>) -> Result<(SocketPermit, Option<Session>), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut place = SocketPermit::take(app).ok_or(code::TOO_MANY)?;
    let first = first_text(wire, &place.reader, app.settings.messages_per_second);
    let text = tokio::time::timeout(HELLO_TIMEOUT, first).await.map_err(|_| code::PROTOCOL)??;
    let Ok(ClientMessage::Hello { ticket }) = serde_json::from_str(&text) else { return Err(code::PROTOCOL) };
    let Some(ticket) = ticket else {
        return if place.greet() { Ok((place, None)) } else { Err(code::TOO_MANY) };
    };
    // One that we did not make costs no look-up, and keeps nobody's place.
    if !app.tokens.is_ticket(&ticket, storage::clock::now()) {
        return Err(code::UNAUTHORISED);
    }
    if !place.show_ticket() {
        return Err(code::TOO_MANY);
    }
    let hash: [u8; 32] = Sha256::digest(ticket.as_bytes()).into();
    let used = app.store().run(async move |c| storage::sessions::take_ticket(c, hash).await).await;
    let who = match used {
        Ok(Some(t)) => Session { user: UserId(t.user_id), session: SessionId(t.session_id) },
        Ok(None) => return Err(code::UNAUTHORISED),
        Err(_) => return Err(code::RESTART),
    };
    if !place.belong(who.user, who.session) {
        return Err(code::TOO_MANY);
    }
    wire.allow(app.settings.frame_bytes);
    // It may have ended between the ticket and the place.
    place.reader.rouse(REVOKED);
    Ok((place, Some(who)))
}

/// The first message, unless the socket is to leave before it. Frames that are no message have the limit of messages.
async fn first_text<S>(wire: &mut Wire<S>, reader: &Reader, most: u32) -> Result<String, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..=most {
        let next = poll_fn(|context| {
            // All else that is due is looked at again after the first message.
            while let Poll::Ready(due) = reader.poll_due(context) {
                if due & DISMISSED != 0 {
                    return Poll::Ready(Err(code::TOO_MANY));
                }
            }
            wire.poll_message(context).map(|message| message.map_err(end_of))
        });
        match next.await? {
            Incoming::Text(text) => return Ok(text),
            Incoming::Close => return Err(code::NORMAL),
            Incoming::Ping(_) | Incoming::Pong | Incoming::Part => {}
        }
    }
    Err(code::TOO_MANY)
}

/// Waits for the updates of a log that storage has and the log has not yet, while nothing else after `from` lacks.
async fn catch_up(reader: &Reader, subscription: &Subscription, from: i64, to: i64) {
    let deadline = tokio::time::Instant::now() + ON_ITS_WAY;
    let mut others = 0;
    while subscription.awaits(from, to) {
        match tokio::time::timeout_at(deadline, reader.due()).await {
            Ok(due) => others |= due,
            Err(_) => break,
        }
    }
    // What became due meanwhile is still to be done.
    reader.rouse(others);
}

fn end_of(over: WireEnd) -> End {
    match over {
        WireEnd::Gone => code::NORMAL,
        WireEnd::Broken => code::PROTOCOL,
    }
}

/// A subscription, and where its reader is. Its place in the list is its bit in the reader's word.
struct Live {
    subscription: Subscription,
    offset: i64,
    /// Since when the reader of a log waits for an update that others overtook.
    overtaken: Option<Instant>,
}

struct Socket<S> {
    app: App,
    place: SocketPermit,
    who: Option<Session>,
    wire: Wire<S>,
    topics: Vec<Option<Box<Live>>>,
    unanswered: u8,
    /// Topics that a stranger asked for in vain.
    unknown: u8,
    sent: u64,
    /// How many more messages may come, as of when.
    messages: Option<(Instant, f32)>,
}

/// What a socket waits for.
enum SocketInput {
    Due(u64),
    Said(Result<Incoming, WireEnd>),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket<S> {
    fn say(&mut self, value: &Value) {
        self.wire.out().push(text_frame(&value.to_string()));
    }

    /// Writes what was said; a reader that does not take it is too slow.
    async fn flush(&mut self) -> Result<(), End> {
        let written = match poll_fn(|context| Poll::Ready(self.wire.poll_flush(context))).await {
            Poll::Ready(written) => written,
            Poll::Pending => Box::pin(tokio::time::timeout(SLOW_CONSUMER_TIMEOUT, self.wire.flush()))
                .await
                .map_err(|_| code::SLOW)?,
        };
        written.map_err(|_| code::NORMAL)
    }

    async fn live(&mut self) -> Result<std::convert::Infallible, End> {
        let session = self.who.map_or_else(SessionId::new, |w| w.session);
        self.say(&json!({"type": "welcome", "sessionId": session, "serverTime": storage::clock::now(), "heartbeatMs": HEARTBEAT.as_millis() as u64}));
        if self.app.draining.is_cancelled() {
            self.place.reader.rouse(LEAVE);
        }
        loop {
            self.flush().await?;
            let next = poll_fn(|context| match self.place.reader.poll_due(context) {
                Poll::Ready(due) => Poll::Ready(SocketInput::Due(due)),
                Poll::Pending => self.wire.poll_message(context).map(SocketInput::Said),
            });
            match next.await {
                SocketInput::Due(due) => self.act(due).await?,
                SocketInput::Said(Ok(Incoming::Text(text))) => Box::pin(self.hear(&text)).await?,
                SocketInput::Said(Ok(Incoming::Ping(payload))) => {
                    self.count()?;
                    self.wire.out().push(control(0xa, &payload));
                }
                SocketInput::Said(Ok(Incoming::Pong)) => {
                    self.count()?;
                    self.unanswered = 0;
                }
                SocketInput::Said(Ok(Incoming::Part)) => self.count()?,
                SocketInput::Said(Ok(Incoming::Close)) => return Err(code::NORMAL),
                SocketInput::Said(Err(over)) => return Err(end_of(over)),
            }
        }
    }

    /// Does what is due: leaving first, updates last.
    async fn act(&mut self, due: u64) -> Result<(), End> {
        if due & LEAVE != 0 {
            // Say when to come back, spread over a few seconds.
            let after = 500 + rand::random::<u64>() % 4_500;
            self.say(&json!({"type": "goaway", "reconnectAfterMs": after}));
            self.flush().await?;
            return Err(code::RESTART);
        }
        if due & DISMISSED != 0 {
            return Err(code::TOO_MANY);
        }
        if due & REVOKED != 0 && self.who.is_some_and(|w| self.app.revocations.contains(w.session)) {
            return Err(code::UNAUTHORISED);
        }
        if due & BEAT != 0 {
            if self.unanswered >= 2 {
                return Err(code::SLOW);
            }
            self.unanswered += 1;
            SENT.increment(std::mem::take(&mut self.sent));
            self.wire.out().push(control(0x9, b""));
        }
        // Its user wants another socket: one that is gone is found sooner, one that is slow to answer is left alone.
        if due & PROBE != 0 && self.unanswered == 0 {
            self.unanswered = 1;
            self.wire.out().push(control(0x9, b""));
        }
        for slot in 0..self.topics.len() {
            let late = due & LOOK != 0 && self.topics[slot].as_ref().is_some_and(|l| l.overtaken.is_some());
            if late || due & (1 << slot) != 0 {
                self.deliver(slot)?;
            }
        }
        Ok(())
    }

    /// Takes from a topic what comes next. What the snapshot showed already is not said again.
    fn deliver(&mut self, slot: usize) -> Result<(), End> {
        let Some(live) = &mut self.topics[slot] else { return Ok(()) };
        let before = self.wire.out().len();
        let pulled = live.subscription.pull(live.offset, MAX_COALESCED_BYTES, self.wire.out());
        self.sent += (self.wire.out().len() - before) as u64;
        if pulled.offset != live.offset {
            live.overtaken = None;
        }
        live.offset = pulled.offset;
        match pulled.then {
            AfterPull::Wait => live.overtaken = None,
            AfterPull::More => self.place.reader.rouse(1 << slot),
            AfterPull::Overtaken => {
                if live.overtaken.get_or_insert_with(Instant::now).elapsed() >= OVERTAKEN_TIMEOUT {
                    self.gap(slot);
                } else {
                    self.place.look_again();
                }
            }
            AfterPull::Gap => self.gap(slot),
            AfterPull::Lost => return Err(code::LOST),
        }
        Ok(())
    }

    /// This log cannot continue here: the client resubscribes from where it is.
    fn gap(&mut self, slot: usize) {
        if let Some(live) = self.topics[slot].take() {
            self.say(&json!({"type": "gap", "topic": live.subscription.topic().to_string()}));
            self.tell_watching();
        }
    }

    /// A socket that watches something is not made to leave for others.
    fn tell_watching(&mut self) {
        self.place.watch(self.topics.iter().any(Option::is_some));
    }

    /// Messages have a limit, and so have all other frames: a second's worth may come at once, and it comes back all the time.
    fn count(&mut self) -> Result<(), End> {
        let (limit, now) = (self.app.settings.messages_per_second as f32, Instant::now());
        let (at, left) = self.messages.unwrap_or((now, limit));
        let left = (left + now.duration_since(at).as_secs_f32() * limit).min(limit) - 1.0;
        self.messages = Some((now, left));
        if left < 0.0 { Err(code::TOO_MANY) } else { Ok(()) }
    }

    async fn hear(&mut self, text: &str) -> Result<(), End> {
        self.count()?;
        match serde_json::from_str(text) {
            Ok(ClientMessage::Subscribe { id, topic, from }) => self.subscribe(id, &topic, from.as_ref()).await?,
            Ok(ClientMessage::Unsubscribe { topic }) => {
                if let Some(slot) = topic.parse().ok().and_then(|t: Topic| self.slot_of(&t)) {
                    self.topics[slot] = None;
                    self.tell_watching();
                }
            }
            Ok(ClientMessage::Ping { id }) => self.say(&json!({"type": "pong", "id": id})),
            Ok(ClientMessage::Hello { .. }) | Err(_) => return Err(code::PROTOCOL),
        }
        Ok(())
    }

    fn slot_of(&self, topic: &Topic) -> Option<usize> {
        self.topics.iter().position(|l| l.as_ref().is_some_and(|l| l.subscription.topic() == topic))
    }

    /// The slot a topic has or would take; `None` when all are taken.
    fn slot_for(&mut self, topic: &Topic) -> Option<usize> {
        let free = |topics: &[Option<Box<Live>>]| topics.iter().position(Option::is_none);
        if let Some(slot) = self.slot_of(topic).or_else(|| free(&self.topics)) {
            return Some(slot);
        }
        let slot = self.topics.len();
        (slot < self.app.settings.topics_per_socket).then(|| {
            self.topics.reserve_exact(1);
            self.topics.push(None);
            slot
        })
    }

    /// Tells that a topic is not shown. A stranger who goes on asking for what does not exist is too much, and so is a user: each
    /// look-up in vain is one of the requests that a user has in a minute.
    fn refuse(&mut self, slot: usize, hidden: TopicRefusal, answer: impl Fn(&str) -> Value) -> Result<(), End> {
        if hidden == TopicRefusal::Unavailable {
            self.say(&answer("unavailable"));
            return Ok(());
        }
        self.topics[slot] = None;
        self.tell_watching();
        self.say(&answer("topic-forbidden"));
        let too_many = match self.who {
            Some(who) => self.app.rate.count(who.user, Instant::now()).exceeded,
            None => {
                self.unknown += 1;
                self.unknown > MAX_UNKNOWN_TOPICS
            }
        };
        if too_many { Err(code::TOO_MANY) } else { Ok(()) }
    }

    /// Subscribe first, then the snapshot, then what came in between, in order.
    async fn subscribe(&mut self, id: Value, name: &str, from: Option<&Position>) -> Result<(), End> {
        let refuse = |code: &str| json!({"type": "error", "id": id, "code": code, "topic": name});
        // Without a login nothing else is even looked up.
        let topic = name.parse::<Topic>().ok().filter(|t| self.who.is_some() || matches!(t, Topic::Public(_)));
        let Some(topic) = topic else {
            self.say(&refuse("topic-forbidden"));
            return Ok(());
        };
        let Some(slot) = self.slot_for(&topic) else {
            self.say(&refuse("too-many-topics"));
            return Ok(());
        };
        let (app, reader) = (self.app.clone(), self.place.reader.clone());
        let hub = &app.handles.hub;
        let subscription = hub.subscribe(&topic, &reader, 1 << slot);
        let shown = match show(&app, self.who.map(|w| w.user), &topic).await {
            Ok(shown) => shown,
            Err(hidden) => {
                subscription.refused();
                return self.refuse(slot, hidden, refuse);
            }
        };
        let from = from.filter(|p| p.epoch == hub.epoch()).map(|p| p.offset);
        if let Some(from) = from.filter(|_| !topic.is_state()) {
            catch_up(&reader, &subscription, from, shown.offset).await;
        }
        // Everything that was missed, or a snapshot: never a part of it.
        let resumed = from.filter(|offset| {
            *offset == shown.offset || (!topic.is_state() && subscription.covers(*offset, shown.offset))
        });
        let (recovered, offset) = (resumed.is_some(), resumed.unwrap_or(shown.offset));
        let mut answer = json!({
            "type": "subscribed", "id": id, "topic": name, "position": hub.position(offset), "recovered": recovered,
        });
        if !recovered {
            answer["snapshot"] = shown.snapshot;
        }
        metrics::counter!("ws_recoveries_total", "recovered" => if recovered { "true" } else { "false" }).increment(1);
        self.say(&answer);
        self.topics[slot] = Some(Box::new(Live { subscription, offset, overtaken: None }));
        self.tell_watching();
        self.place.reader.rouse(1 << slot);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::hub::Hub;
    use chrono::Utc;
    use domain::ids::JobId;

    /// An update is stored, and its publishing is on its way: the state between the two, made by hand.
    #[tokio::test]
    async fn a_subscription_waits_for_the_update_that_is_on_its_way() {
        let (hub, reader, topic) = (Hub::new("e".into()), Reader::new(), Topic::Job(JobId::new()));
        let subscription = hub.subscribe(&topic, &reader, 1);
        let publish = |offset| hub.publish(&topic, offset, "k", Utc::now(), || json!({}));
        publish(3);
        let begun = tokio::time::Instant::now();
        let publishing = async {
            tokio::task::yield_now().await;
            reader.rouse(BEAT);
            tokio::task::yield_now().await;
            publish(4);
        };
        tokio::join!(catch_up(&reader, &subscription, 2, 4), publishing);
        assert!(subscription.covers(2, 4), "nothing is missed: it is resumed without a snapshot");
        assert!(begun.elapsed() < ON_ITS_WAY, "the update woke it");
        assert_eq!(reader.due().await, BEAT | 1, "what else was due still is");
        catch_up(&reader, &subscription, 2, 5).await;
        assert!(!subscription.covers(2, 5), "it was lost on its way: a snapshot");
        let waited = begun.elapsed();
        assert!(waited >= ON_ITS_WAY, "the wait has an end: {waited:?}");
        catch_up(&reader, &subscription, 1, 6).await;
        assert!(begun.elapsed() < waited + ON_ITS_WAY, "what is missing before is not waited for");
    }
}
