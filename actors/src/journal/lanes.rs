//! Which entries go into the next batch, and which wait for a held head: the journal's pure core.

use std::collections::BTreeSet;

/// Which way an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Skips held heads.
    Main,
    /// Waits for them.
    Side,
}

impl Lane {
    pub(crate) const ALL: [Self; 2] = [Self::Main, Self::Side];
}

/// What waits and what is in flight. `K` is whose head an entry needs, `E` the entry.
pub(crate) struct Lanes<K, E> {
    main: Queue<E>,
    side: Queue<E>,
    /// Whose entries take the side lane, as its last batch found them.
    held: BTreeSet<K>,
    key: fn(&E) -> K,
    most: usize,
}

struct Queue<E> {
    waiting: Vec<E>,
    /// How many are in flight.
    flushing: usize,
}

impl<E> Queue<E> {
    const fn new() -> Self {
        Self { waiting: Vec::new(), flushing: 0 }
    }

    fn is_idle(&self) -> bool {
        self.flushing == 0 && self.waiting.is_empty()
    }
}

impl<K: Ord, E> Lanes<K, E> {
    /// Empty lanes with batches of at most `most`.
    pub(crate) fn new(key: fn(&E) -> K, most: usize) -> Self {
        Self { main: Queue::new(), side: Queue::new(), held: BTreeSet::new(), key, most }
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue<E> {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Side => &mut self.side,
        }
    }

    /// One more that waits.
    pub(crate) fn submit(&mut self, entry: E) {
        let lane = if self.held.contains(&(self.key)(&entry)) { Lane::Side } else { Lane::Main };
        self.queue(lane).waiting.push(entry);
    }

    /// The next batch of a lane, unless it has one in flight: those who waited longest.
    pub(crate) fn batch(&mut self, lane: Lane) -> Option<Vec<E>> {
        let most = self.most;
        let queue = self.queue(lane);
        if queue.flushing > 0 || queue.waiting.is_empty() {
            return None;
        }
        queue.flushing = queue.waiting.len().min(most);
        let rest = queue.waiting.split_off(queue.flushing);
        Some(std::mem::replace(&mut queue.waiting, rest))
    }

    /// The batch of a lane ended; these found their head held and come first on the side. Who is not held any more goes
    /// back to the others.
    pub(crate) fn flushed(&mut self, lane: Lane, mut held: Vec<E>) {
        self.queue(lane).flushing = 0;
        let key = self.key;
        if lane == Lane::Side {
            self.held.clear();
        }
        self.held.extend(held.iter().map(key));
        held.append(&mut self.side.waiting);
        if lane == Lane::Side {
            let (stay, mut free) = held.into_iter().partition(|e| self.held.contains(&key(e)));
            self.side.waiting = stay;
            free.append(&mut self.main.waiting);
            self.main.waiting = free;
        } else {
            self.side.waiting = held;
        }
    }

    /// Nothing waits, nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.main.is_idle() && self.side.is_idle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_head_delays_its_own_entries_only() {
        let mut lanes: Lanes<u32, (u32, u32)> = Lanes::new(|e| e.0, 10);
        [(1, 1), (2, 1), (1, 2)].into_iter().for_each(|e| lanes.submit(e));
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(1, 1), (2, 1), (1, 2)]));
        assert_eq!(lanes.batch(Lane::Main), None, "one batch at a time");
        lanes.flushed(Lane::Main, vec![(1, 1), (1, 2)]);
        [(1, 3), (2, 2)].into_iter().for_each(|e| lanes.submit(e));
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(2, 2)]), "the others go on");
        assert_eq!(lanes.batch(Lane::Side), Some(vec![(1, 1), (1, 2), (1, 3)]), "in their order");
        lanes.flushed(Lane::Side, vec![(1, 3)]);
        assert_eq!(lanes.batch(Lane::Side), Some(vec![(1, 3)]));
        lanes.submit((1, 5));
        lanes.flushed(Lane::Side, Vec::new());
        lanes.flushed(Lane::Main, Vec::new());
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(1, 5)]), "free again, at once");
        assert_eq!(lanes.batch(Lane::Side), None);
        lanes.flushed(Lane::Main, Vec::new());
        assert!(lanes.is_idle());
        lanes.submit((1, 4));
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(1, 4)]), "no longer held");
    }

    #[test]
    fn batches_have_a_limit() {
        let mut lanes: Lanes<u32, (u32, u32)> = Lanes::new(|e| e.0, 2);
        (0..5).for_each(|n| lanes.submit((1, n)));
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(1, 0), (1, 1)]));
        lanes.flushed(Lane::Main, Vec::new());
        assert_eq!(lanes.batch(Lane::Main), Some(vec![(1, 2), (1, 3)]));
    }
}
