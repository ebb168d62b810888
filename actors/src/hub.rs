//! Topics: publishers write, sessions pull. Not an actor: there is nothing in it to crash or to restart.
//!
//! A frame is encoded and framed once and shared by all sockets. State topics hold the newest frame (`watch`): a slow
//! reader sees the latest, not all. Log topics hold a bounded ring: a reader that falls behind it is told, never skipped
//! silently, and one that comes back within a while gets exactly what it missed. A topic exists while somebody subscribes
//! to it, a log for a while longer; publishing to nobody costs a look-up.

mod frame;

pub use frame::{Frame, text_frame};

use domain::time::Instant as At;
use domain::topic::{Position, Topic};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, watch};

/// Updates a log topic keeps for a reader that is behind.
const RING: usize = 256;
/// How long a log without readers is kept: a phone in a tunnel, a page that reloads.
const KEPT: Duration = Duration::from_secs(120);
/// Logs without readers that are kept at most; beyond it the longest unread go.
const MOST_KEPT: usize = 10_000;
/// Locks the registry is spread over.
const SHARDS: usize = 16;

/// The hub.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: String,
    shards: Vec<Mutex<HashMap<Topic, Cell>>>,
    hasher: RandomState,
    /// Logs without readers, in the order in which they lost their last.
    unread: Mutex<VecDeque<(Instant, Topic)>>,
}

enum Cell {
    State { newest: watch::Sender<Option<Frame>>, readers: usize },
    Log { updates: broadcast::Sender<Frame>, ring: VecDeque<Frame>, readers: usize, unread: Option<Instant> },
}

/// A subscription. Dropping it leaves the topic.
pub struct Subscription {
    hub: Hub,
    topic: Topic,
    source: Source,
}

enum Source {
    State(watch::Receiver<Option<Frame>>),
    Log(broadcast::Receiver<Frame>),
}

/// What a subscription has next.
#[derive(Debug)]
pub enum Next {
    /// An update.
    Frame(Frame),
    /// The reader fell behind the ring: it must subscribe anew.
    Gap,
    /// There is nothing to read here any more: the right to it is lost.
    Lost,
}

impl Hub {
    /// A hub whose positions belong to an epoch.
    #[must_use]
    pub fn new(epoch: String) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect();
        Self { inner: Arc::new(Inner { epoch, shards, hasher: RandomState::new(), unread: Mutex::default() }) }
    }

    /// The epoch of all positions.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    /// A position in this epoch.
    #[must_use]
    pub fn position(&self, offset: i64) -> Position {
        Position { epoch: self.inner.epoch.clone(), offset }
    }

    fn shard(&self, topic: &Topic) -> &Mutex<HashMap<Topic, Cell>> {
        let index = self.inner.hasher.hash_one(topic) as usize % SHARDS;
        &self.inner.shards[index]
    }

    /// Subscribes. What is published from now on is seen; take the snapshot after this.
    #[must_use]
    pub fn subscribe(&self, topic: &Topic) -> Subscription {
        let mut cells = self.shard(topic).lock().expect("nobody panics holding it");
        let cell = cells.entry(topic.clone()).or_insert_with(|| {
            if topic.is_state() {
                Cell::State { newest: watch::channel(None).0, readers: 0 }
            } else {
                Cell::Log { updates: broadcast::channel(RING).0, ring: VecDeque::new(), readers: 0, unread: None }
            }
        });
        let source = match cell {
            Cell::State { newest, readers } => {
                *readers += 1;
                let mut receiver = newest.subscribe();
                receiver.mark_unchanged();
                Source::State(receiver)
            }
            Cell::Log { updates, readers, unread, .. } => {
                *readers += 1;
                *unread = None;
                Source::Log(updates.subscribe())
            }
        };
        Subscription { hub: self.clone(), topic: topic.clone(), source }
    }

    /// Does anybody listen?
    #[must_use]
    pub fn has_readers(&self, topic: &Topic) -> bool {
        self.shard(topic).lock().expect("nobody panics holding it").contains_key(topic)
    }

    /// What a log topic published after `from` up to `to`, if all of it is kept: consecutive, nothing missing.
    #[must_use]
    pub fn missed(&self, topic: &Topic, from: i64, to: i64) -> Option<Vec<Frame>> {
        let cells = self.shard(topic).lock().expect("nobody panics holding it");
        let Some(Cell::Log { ring, .. }) = cells.get(topic) else { return None };
        let missed: Vec<Frame> = ring.iter().filter(|f| f.offset > from && f.offset <= to).cloned().collect();
        let whole = to >= from && missed.iter().map(|f| f.offset).eq(from + 1..=to);
        whole.then_some(missed)
    }

    /// Forgets logs that nobody came back to.
    fn forget(&self, now: Instant) {
        let mut unread = self.inner.unread.lock().expect("nobody panics holding it");
        while unread.front().is_some_and(|(at, _)| unread.len() > MOST_KEPT || now.duration_since(*at) > KEPT) {
            let Some((at, topic)) = unread.pop_front() else { break };
            let mut cells = self.shard(&topic).lock().expect("nobody panics holding it");
            if matches!(cells.get(&topic), Some(Cell::Log { readers: 0, unread: Some(since), .. }) if *since == at) {
                cells.remove(&topic);
            }
        }
    }

    /// The topic's object is gone: its readers are told so, once.
    pub fn lose(&self, topic: &Topic) {
        let mut cells = self.shard(topic).lock().expect("nobody panics holding it");
        if let Some(Cell::State { newest, .. }) = cells.get(topic) {
            newest.send_replace(Some(Frame::lost()));
        }
        cells.remove(topic);
    }

    /// Publishes an update. Encoded only when somebody listens.
    pub fn publish(&self, topic: &Topic, offset: i64, kind: &str, at: At, data: impl FnOnce() -> Value) {
        if !self.has_readers(topic) {
            return;
        }
        let body = json!({
            "type": "update", "topic": topic.to_string(), "position": self.position(offset), "at": at, "kind": kind, "data": data(),
        });
        let frame = Frame { offset, bytes: text_frame(&body.to_string()) };
        let mut cells = self.shard(topic).lock().expect("nobody panics holding it");
        match cells.get_mut(topic) {
            // Positions only rise, whoever publishes.
            Some(Cell::State { newest, .. }) => {
                newest.send_if_modified(|old| {
                    let newer = old.as_ref().is_none_or(|o| o.offset < frame.offset);
                    if newer {
                        *old = Some(frame);
                    }
                    newer
                });
            }
            Some(Cell::Log { updates, ring, .. }) => {
                // Two that were stored one after the other may be published the other way round: the ring is in order.
                let at = ring.partition_point(|f| f.offset < frame.offset);
                if ring.get(at).is_none_or(|f| f.offset != frame.offset) {
                    ring.insert(at, frame.clone());
                }
                if ring.len() > RING {
                    ring.pop_front();
                }
                let _ = updates.send(frame);
            }
            None => {}
        }
    }
}

impl Subscription {
    /// The next update. Cancel-safe.
    pub async fn next(&mut self) -> Next {
        match &mut self.source {
            Source::State(newest) => loop {
                if newest.changed().await.is_err() {
                    return Next::Gap;
                }
                if let Some(frame) = newest.borrow_and_update().clone() {
                    return if frame.is_lost() { Next::Lost } else { Next::Frame(frame) };
                }
            },
            Source::Log(updates) => match updates.recv().await {
                Ok(frame) => Next::Frame(frame),
                Err(_) => Next::Gap,
            },
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut cells = self.hub.shard(&self.topic).lock().expect("nobody panics holding it");
        match cells.get_mut(&self.topic) {
            Some(Cell::State { readers, .. }) => {
                *readers = readers.saturating_sub(1);
                if *readers == 0 {
                    cells.remove(&self.topic);
                }
                return;
            }
            Some(Cell::Log { readers, unread, .. }) => {
                *readers = readers.saturating_sub(1);
                if *readers > 0 {
                    return;
                }
                *unread = Some(now);
            }
            None => return,
        }
        drop(cells);
        self.hub.inner.unread.lock().expect("nobody panics holding it").push_back((now, self.topic.clone()));
        self.hub.forget(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::{EventId, JobId};

    fn at() -> At {
        chrono::Utc::now()
    }

    #[tokio::test]
    async fn state_topics_show_the_newest_and_never_go_back() {
        let hub = Hub::new("e".into());
        let topic = Topic::Event(EventId::new());
        let mut sub = hub.subscribe(&topic);
        for offset in [1, 5, 3] {
            hub.publish(&topic, offset, "k", at(), || json!({}));
        }
        let Next::Frame(frame) = sub.next().await else { panic!("a frame") };
        assert_eq!(frame.offset, 5);
        let mut late = hub.subscribe(&topic);
        hub.publish(&topic, 6, "k", at(), || json!({}));
        let Next::Frame(frame) = late.next().await else { panic!("a frame") };
        assert_eq!(frame.offset, 6, "what was there before subscribing comes with the snapshot");
    }

    #[tokio::test]
    async fn log_topics_bring_everything_or_say_that_they_cannot() {
        let hub = Hub::new("e".into());
        let topic = Topic::Job(JobId::new());
        let mut sub = hub.subscribe(&topic);
        for offset in 1..=3 {
            hub.publish(&topic, offset, "k", at(), || json!({}));
        }
        for offset in 1..=3 {
            assert!(matches!(sub.next().await, Next::Frame(f) if f.offset == offset));
        }
        for offset in 0..=(RING as i64) {
            hub.publish(&topic, offset, "k", at(), || json!({}));
        }
        assert!(matches!(sub.next().await, Next::Gap));
    }

    #[tokio::test]
    async fn a_log_is_kept_for_a_reader_that_comes_back_and_for_a_while_only() {
        let hub = Hub::new("e".into());
        let topic = Topic::Job(JobId::new());
        let sub = hub.subscribe(&topic);
        let publish = |offset| hub.publish(&topic, offset, "k", at(), || json!({}));
        for offset in [1, 2] {
            publish(offset);
        }
        drop(sub);
        // Stored in order, published the other way round.
        for offset in [4, 3] {
            publish(offset);
        }
        let offsets =
            |from, to| hub.missed(&topic, from, to).map(|all| all.iter().map(|f| f.offset).collect::<Vec<_>>());
        assert_eq!(offsets(1, 4), Some(vec![2, 3, 4]));
        assert_eq!(offsets(4, 4), Some(vec![]));
        assert_eq!(offsets(0, 4), Some(vec![1, 2, 3, 4]));
        assert_eq!(offsets(2, 5), None, "the fifth was never seen here");
        assert_eq!(offsets(-1, 4), None, "nor was the one before the first");
        for offset in [5, 7] {
            publish(offset);
        }
        assert_eq!(offsets(4, 7), None, "a hole is never passed over");
        (8..8 + RING as i64).for_each(publish);
        assert_eq!(offsets(7, 8), Some(vec![8]));
        assert_eq!(offsets(5, 8), None, "beyond the ring");
        hub.forget(Instant::now() + KEPT * 2);
        assert!(!hub.has_readers(&topic) && offsets(8, 9).is_none());
    }

    #[tokio::test]
    async fn a_topic_without_readers_is_gone_and_nothing_is_encoded() {
        let hub = Hub::new("e".into());
        let topic = Topic::Public("x".into());
        drop(hub.subscribe(&topic));
        assert!(!hub.has_readers(&topic));
        hub.publish(&topic, 1, "k", at(), || panic!("encoded for nobody"));
    }
}
