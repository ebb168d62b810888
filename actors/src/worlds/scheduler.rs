//! Virtual time, one seeded generator, and what happens next.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};

/// Milliseconds of virtual time.
pub(super) type Millis = u64;

/// What is kept of the story: enough to see how it came to its end.
const STORY: usize = 2_000;

pub(super) struct Scheduler<A> {
    pub(super) now: Millis,
    pub(super) rng: StdRng,
    queue: BTreeMap<(Millis, u64), A>,
    planned: u64,
    story: VecDeque<String>,
    telling: bool,
}

impl<A> Scheduler<A> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            rng: StdRng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            planned: 0,
            story: VecDeque::new(),
            telling: std::env::var("WORLD_SEED").is_ok(),
        }
    }

    /// Plans something.
    pub(super) fn after(&mut self, wait: Millis, action: A) {
        self.planned += 1;
        self.queue.insert((self.now + wait, self.planned), action);
    }

    /// Plans something at a random moment.
    pub(super) fn within(&mut self, waits: std::ops::Range<Millis>, action: A) {
        let wait = self.rng.random_range(waits);
        self.after(wait, action);
    }

    /// What is next, and it is then. Nothing past `ends`.
    pub(super) fn next(&mut self, ends: Millis) -> Option<A> {
        let ((at, _), action) = self.queue.pop_first()?;
        self.now = at;
        (at <= ends).then_some(action)
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.rng.random_bool(share)
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if self.telling {
            if self.story.len() == STORY {
                self.story.pop_front();
            }
            self.story.push_back(format!("{:>9} {}", self.now, what()));
        }
    }

    pub(super) fn print(&self) {
        self.story.iter().for_each(|line| println!("{line}"));
    }

    /// How much was planned, and when it ended.
    pub(super) fn steps(&self) -> (u64, Millis) {
        (self.planned, self.now)
    }
}
