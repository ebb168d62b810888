//! Topics: publishers write, sessions pull. Not an actor: there is nothing in it to crash or to restart.
//!
//! A frame is encoded and framed once and shared by all sockets. State topics hold the newest frame: a slow reader sees the
//! latest, not all. Log topics hold a bounded ring: a reader that falls behind it is told, never skipped silently, and one
//! that comes back within a while gets exactly what it missed. A topic exists while somebody subscribes to it, a log for a
//! while longer; publishing to nobody costs a look-up.

mod cell;
mod frame;
mod reader;

pub use cell::{AfterPull, Pull};
pub use frame::{Frame, text_frame};
pub use reader::{MOST_TOPICS, Reader};

use bytes::Bytes;
use cell::Cell;
use domain::time::Instant as At;
use domain::topic::{Position, Topic};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for which a log without readers is kept: a phone in a tunnel, a page that reloads.
const LOG_RETENTION: Duration = Duration::from_secs(120);
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
    shards: Vec<Mutex<HashMap<Topic, Arc<Cell>>>>,
    hasher: RandomState,
    /// Logs without readers, in the order in which they lost their last.
    unread: Mutex<VecDeque<(Instant, Topic)>>,
}

/// A subscription. Dropping it leaves the topic.
pub struct Subscription {
    hub: Hub,
    cell: Arc<Cell>,
    key: usize,
    /// Nobody with a right to it: nothing is kept for one who comes back.
    refused: bool,
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

    fn shard(&self, topic: &Topic) -> MutexGuard<'_, HashMap<Topic, Arc<Cell>>> {
        let index = self.inner.hasher.hash_one(topic) as usize % SHARDS;
        self.inner.shards[index].lock()
    }

    /// Subscribes: from now on each update sets `bit` of the reader. Take the snapshot after this, then pull from its
    /// offset: what came in between is there, in order.
    #[must_use]
    pub fn subscribe(&self, topic: &Topic, reader: &Arc<Reader>, bit: u64) -> Subscription {
        let mut cells = self.shard(topic);
        let cell = cells.entry(topic.clone()).or_insert_with(|| Arc::new(Cell::new(topic.clone()))).clone();
        let key = cell.join(reader, bit);
        Subscription { hub: self.clone(), cell, key, refused: false }
    }

    /// Forgets logs that nobody came back to.
    fn forget(&self, now: Instant) {
        let mut unread = self.inner.unread.lock();
        while unread.front().is_some_and(|(at, _)| unread.len() > MOST_KEPT || now.duration_since(*at) > LOG_RETENTION)
        {
            let Some((_, topic)) = unread.pop_front() else { break };
            let mut cells = self.shard(&topic);
            let Some(since) = cells.get(&topic).and_then(|c| c.leave_queue()) else { continue };
            // Somebody came and went meanwhile: its time begins there.
            if now.duration_since(since) <= LOG_RETENTION && unread.len() < MOST_KEPT {
                cells[&topic].enter_queue(since);
                unread.push_back((since, topic.clone()));
            } else {
                cells.remove(&topic);
            }
        }
    }

    /// The topic's object is gone: its readers are told so, once.
    pub fn lose(&self, topic: &Topic) {
        if let Some(cell) = self.shard(topic).remove(topic) {
            cell.lose();
        }
    }

    /// Does anybody read it, or may come back to it?
    #[must_use]
    pub fn is_read(&self, topic: &Topic) -> bool {
        self.shard(topic).contains_key(topic)
    }

    /// Publishes an update. Encoded only when somebody listens.
    pub fn publish(&self, topic: &Topic, offset: i64, kind: &str, at: At, data: impl FnOnce() -> Value) {
        let Some(cell) = self.shard(topic).get(topic).cloned() else { return };
        let body = json!({
            "type": "update", "topic": topic.to_string(), "position": self.position(offset), "at": at, "kind": kind, "data": data(),
        });
        cell.put(Frame { offset, bytes: text_frame(&body.to_string()) });
    }
}

impl Subscription {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.cell.topic
    }

    /// Leaves, and keeps nothing: whoever asked had no right to it.
    pub fn refused(mut self) {
        self.refused = true;
    }

    /// Takes what comes after an offset: the newest state, or the next updates of a log, about `most` bytes of them.
    pub fn pull(&self, after: i64, most: usize, out: &mut Vec<Bytes>) -> Pull {
        self.cell.pull(after, most, out)
    }

    /// Returns true if everything of this log after `from` up to `to` is kept: pulling from `from` then brings exactly what was missed.
    #[must_use]
    pub fn covers(&self, from: i64, to: i64) -> bool {
        self.cell.covers(from, to)
    }

    /// Does only the newest of this log up to `to` lack, and nothing else after `from`? An update is published a moment after
    /// it is stored.
    #[must_use]
    pub fn awaits(&self, from: i64, to: i64) -> bool {
        self.cell.awaits(from, to)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let topic = &self.cell.topic;
        let mut cells = self.hub.shard(topic);
        let kept = cells.get(topic).is_some_and(|c| Arc::ptr_eq(c, &self.cell));
        if !self.cell.leave(self.key) || !kept {
            return;
        }
        if topic.is_state() || (self.refused && !self.cell.is_queued()) {
            cells.remove(topic);
            return;
        }
        let now = Instant::now();
        let first = self.cell.enter_queue(now);
        drop(cells);
        if first {
            self.hub.inner.unread.lock().push_back((now, topic.clone()));
        }
        self.hub.forget(now);
    }
}

#[cfg(test)]
mod tests;
