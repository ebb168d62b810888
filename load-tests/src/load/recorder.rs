//! What became of what was done: counts, latencies and a row per second, kept per thread and added up at the end.

use super::{Op, Outcome};
use crate::record::say;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often each outcome was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Sent.
    pub sent: u64,
    /// Done.
    pub done: u64,
    /// Refused for load.
    pub refused: u64,
    /// May have been done.
    pub unknown: u64,
    /// Was in already.
    pub duplicate: u64,
    /// Anything else.
    pub failed: u64,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        self.sent += 1;
        *match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Refused => &mut self.refused,
            Outcome::Unknown => &mut self.unknown,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Failed => &mut self.failed,
        } += 1;
    }

    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.done += other.done;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.duplicate += other.duplicate;
        self.failed += other.failed;
    }
}

/// One second of a run.
#[derive(Clone)]
pub struct Second {
    /// What ended in it.
    pub counts: Counts,
    /// Latencies of what was done in it, in microseconds.
    pub latency: Histogram<u32>,
    /// Latencies of what was refused in it, in microseconds.
    pub refused: Histogram<u32>,
}

/// All of one operation.
#[derive(Clone)]
pub struct Kind {
    /// What became of it.
    pub counts: Counts,
    /// Latencies of what was done, in microseconds.
    pub done: Histogram<u64>,
    /// Latencies of what was refused, in microseconds.
    pub refused: Histogram<u64>,
    /// The same from when it was sent.
    pub refused_since_sent: Histogram<u64>,
    /// How late it was sent, in microseconds: the measuring side had not yet woken up, was busy, or none of its connections was
    /// free. Part of every latency.
    pub late: Histogram<u64>,
}

/// Counts and latencies of a run.
#[derive(Clone)]
pub struct Recorder {
    begun: Instant,
    /// Due and never sent.
    pub unsent: u64,
    /// How many were at it at the same time at most.
    pub at_once: usize,
    /// The measuring side of an open loop waited for processors like everybody else.
    pub waits: bool,
    /// By operation.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// By second.
    pub seconds: Vec<Second>,
}

/// A minute: longer latencies count as that.
const LONGEST: u64 = 60_000_000;

fn histogram<C: hdrhistogram::Counter>(digits: u8) -> Histogram<C> {
    Histogram::new_with_bounds(1, LONGEST, digits).expect("bounds that are right")
}

impl Recorder {
    /// One whose first second begins then.
    #[must_use]
    pub fn new(begun: Instant) -> Self {
        Self { begun, unsent: 0, at_once: 0, waits: false, kinds: BTreeMap::new(), seconds: Vec::new() }
    }

    /// Notes an outcome, how long it took from when it was due, and how late it was sent.
    pub fn note(&mut self, op: Op, outcome: Outcome, took: Duration, late: Duration) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
        let us = micros(took);
        let kind = self.kinds.entry(op.name()).or_insert_with(Kind::new);
        kind.counts.add(outcome);
        kind.late.saturating_record(micros(late));
        let second = self.begun.elapsed().as_secs() as usize;
        while self.seconds.len() <= second {
            let (latency, refused) = (histogram(2), histogram(2));
            self.seconds.push(Second { counts: Counts::default(), latency, refused });
        }
        self.seconds[second].counts.add(outcome);
        match outcome {
            Outcome::Refused => {
                kind.refused.saturating_record(us);
                kind.refused_since_sent.saturating_record(micros(took.saturating_sub(late)));
                self.seconds[second].refused.saturating_record(us);
            }
            Outcome::Unknown | Outcome::Failed => {}
            Outcome::Done | Outcome::Duplicate => {
                kind.done.saturating_record(us);
                self.seconds[second].latency.saturating_record(us);
            }
        }
    }

    /// Adds what another thread recorded over the same time.
    pub fn merge(&mut self, other: Self) {
        self.unsent += other.unsent;
        self.waits |= other.waits;
        self.at_once = self.at_once.max(other.at_once);
        for (name, theirs) in other.kinds {
            let ours = self.kinds.entry(name).or_insert_with(Kind::new);
            ours.counts.merge(theirs.counts);
            let _ = ours.done.add(&theirs.done);
            let _ = ours.refused.add(&theirs.refused);
            let _ = ours.refused_since_sent.add(&theirs.refused_since_sent);
            let _ = ours.late.add(&theirs.late);
        }
        for (index, theirs) in other.seconds.into_iter().enumerate() {
            match self.seconds.get_mut(index) {
                Some(ours) => {
                    ours.counts.merge(theirs.counts);
                    let _ = ours.latency.add(&theirs.latency);
                    let _ = ours.refused.add(&theirs.refused);
                }
                None => self.seconds.push(theirs),
            }
        }
    }

    /// Prints that latencies are partly those of the measuring side, when they are.
    pub fn say_if_it_waited(&self) {
        if self.waits {
            say!("the measuring side had to wait for processors: part of these latencies is its own");
        }
    }

    /// How many were done within the first so many seconds: what ended after them is not their throughput.
    #[must_use]
    pub fn done_within(&self, seconds: u64) -> u64 {
        self.seconds.iter().take(seconds as usize).map(|s| s.counts.done).sum()
    }

    /// All operations together.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.kinds.values().for_each(|k| total.merge(k.counts));
        total
    }
}

impl Kind {
    fn new() -> Self {
        let (done, refused, refused_since_sent, late) = (histogram(3), histogram(3), histogram(3), histogram(3));
        Self { counts: Counts::default(), done, refused, refused_since_sent, late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_noted_is_counted_once_wherever_it_was_noted() {
        let begun = Instant::now();
        let (mut one, mut other) = (Recorder::new(begun), Recorder::new(begun));
        for (n, outcome) in
            [Outcome::Done, Outcome::Refused, Outcome::Duplicate, Outcome::Failed].into_iter().enumerate()
        {
            one.note(Op::Ready, outcome, Duration::from_millis(n as u64), Duration::ZERO);
            other.note(Op::List, outcome, Duration::from_secs(120), Duration::ZERO);
        }
        one.merge(other);
        let total = one.total();
        assert_eq!((total.sent, total.done, total.refused, total.duplicate, total.failed), (8, 2, 2, 2, 2));
        assert_eq!(one.seconds.iter().map(|s| s.counts.sent).sum::<u64>(), 8);
        assert_eq!(one.kinds["event list"].done.max() / 1_000_000, 60, "a minute at most");
    }
}
