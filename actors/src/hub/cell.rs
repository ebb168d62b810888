//! One topic: what it keeps, and who reads it.

use super::frame::Frame;
use super::reader::Reader;
use bytes::Bytes;
use domain::topic::Topic;
use parking_lot::Mutex;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Updates a log topic keeps for a reader that is behind.
pub(super) const LOG_UPDATES_KEPT: usize = 256;

pub(super) struct Cell {
    pub(super) topic: Topic,
    kept: Mutex<History>,
    /// Apart from what is kept: waking ten thousand readers keeps none of them from reading.
    readers: Mutex<Slab<(Arc<Reader>, u64)>>,
    unread: Mutex<Unread>,
}

/// When the last reader of a log left, and whether the log is queued to be forgotten.
#[derive(Default)]
struct Unread {
    since: Option<Instant>,
    queued: bool,
}

enum History {
    /// The newest update.
    State(Option<Frame>),
    /// The last updates, in order.
    Log(VecDeque<Frame>),
    /// The object is gone.
    Lost,
}

/// What a reader got, and what it is to do next.
#[derive(Debug, PartialEq, Eq)]
pub struct Pull {
    /// Where it is now.
    pub offset: i64,
    /// What is next.
    pub then: AfterPull,
}

/// What a reader is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPull {
    /// Wait to be woken.
    Wait,
    /// Pull again once this is written.
    More,
    /// An update was overtaken by a later one: it comes, or it was lost.
    Overtaken,
    /// What is next is not kept: subscribe anew.
    Gap,
    /// There is nothing to read here any more: the right to it is lost.
    Lost,
}

impl Cell {
    pub(super) fn new(topic: Topic) -> Self {
        let kept = if topic.is_state() { History::State(None) } else { History::Log(VecDeque::new()) };
        Self { topic, kept: Mutex::new(kept), readers: Mutex::default(), unread: Mutex::default() }
    }

    pub(super) fn join(&self, reader: &Arc<Reader>, bit: u64) -> usize {
        self.unread.lock().since = None;
        self.readers.lock().insert((reader.clone(), bit))
    }

    /// A reader leaves; true when it was the last.
    pub(super) fn leave(&self, key: usize) -> bool {
        let mut readers = self.readers.lock();
        readers.try_remove(key);
        if readers.is_empty() {
            readers.shrink_to_fit();
        }
        readers.is_empty()
    }

    /// Nobody reads it since then; true when it is to be queued, for it stands there once at most.
    pub(super) fn enter_queue(&self, since: Instant) -> bool {
        let mut unread = self.unread.lock();
        unread.since = Some(since);
        !std::mem::replace(&mut unread.queued, true)
    }

    /// Out of the queue; since when nobody reads it, if nobody does.
    pub(super) fn leave_queue(&self) -> Option<Instant> {
        let mut unread = self.unread.lock();
        unread.queued = false;
        unread.since
    }

    /// Did somebody read it before, within what is kept?
    pub(super) fn is_queued(&self) -> bool {
        self.unread.lock().queued
    }

    fn rouse(&self) {
        for (_, (reader, bit)) in self.readers.lock().iter() {
            reader.rouse(*bit);
        }
    }

    /// Keeps an update and wakes the readers. Positions only rise, whoever publishes.
    pub(super) fn put(&self, frame: Frame) {
        match &mut *self.kept.lock() {
            History::State(newest) => {
                if newest.as_ref().is_some_and(|old| old.offset >= frame.offset) {
                    return;
                }
                *newest = Some(frame);
            }
            History::Log(ring) => {
                // Two that were stored one after the other may be published the other way round: the ring is in order.
                let at = ring.partition_point(|f| f.offset < frame.offset);
                if ring.get(at).is_some_and(|f| f.offset == frame.offset) {
                    return;
                }
                ring.insert(at, frame);
                if ring.len() > LOG_UPDATES_KEPT {
                    ring.pop_front();
                }
            }
            History::Lost => return,
        }
        self.rouse();
    }

    /// The object is gone: the readers learn it.
    pub(super) fn lose(&self) {
        *self.kept.lock() = History::Lost;
        self.rouse();
    }

    /// Takes what comes after an offset: the newest state, or the next updates of a log, about `most` bytes of them.
    pub(super) fn pull(&self, after: i64, most: usize, out: &mut Vec<Bytes>) -> Pull {
        match &*self.kept.lock() {
            History::Lost => Pull { offset: after, then: AfterPull::Lost },
            History::State(newest) => {
                let mut offset = after;
                if let Some(frame) = newest.as_ref().filter(|f| f.offset > after) {
                    out.push(frame.bytes.clone());
                    offset = frame.offset;
                }
                Pull { offset, then: AfterPull::Wait }
            }
            History::Log(ring) => next_of(ring, after, most, out),
        }
    }

    /// Is everything of a log after `from` up to `to` kept?
    pub(super) fn covers(&self, from: i64, to: i64) -> bool {
        let History::Log(ring) = &*self.kept.lock() else { return false };
        to >= from && ring.iter().map(|f| f.offset).filter(|o| *o > from && *o <= to).eq(from + 1..=to)
    }

    /// Returns true if a log keeps everything after `from` so far and only the newest up to `to` are still to come.
    pub(super) fn awaits(&self, from: i64, to: i64) -> bool {
        let History::Log(ring) = &*self.kept.lock() else { return false };
        let newest = ring.back().map_or(from, |f| f.offset.max(from));
        newest < to && ring.iter().map(|f| f.offset).filter(|o| *o > from).eq(from + 1..=newest)
    }
}

fn next_of(ring: &VecDeque<Frame>, after: i64, most: usize, out: &mut Vec<Bytes>) -> Pull {
    let (mut offset, mut bytes) = (after, 0);
    let mut ahead = ring.iter().skip(ring.partition_point(|f| f.offset <= after));
    let then = loop {
        match ahead.next() {
            None => break AfterPull::Wait,
            Some(frame) if frame.offset == offset + 1 => {
                if bytes > most {
                    break AfterPull::More;
                }
                bytes += frame.bytes.len();
                out.push(frame.bytes.clone());
                offset = frame.offset;
            }
            // A full ring may have let it go; one that is not has never had it.
            Some(_) if offset == after && ring.len() >= LOG_UPDATES_KEPT => break AfterPull::Gap,
            Some(_) => break AfterPull::Overtaken,
        }
    };
    Pull { offset, then }
}
