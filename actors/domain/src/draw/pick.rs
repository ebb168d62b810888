//! Picking winners from a keystream, without bias and without replacement.

use super::{Hash, Leaf};
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20::{ChaCha20, Key, Nonce};

/// Entry numbers in the order they were picked: winners by rank first, then the alternates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picks {
    /// One per prize, at most as many as there are entries.
    pub winners: Vec<u64>,
    /// Alternates, in the order in which they move up.
    pub alternates: Vec<u64>,
}

/// The keystream of a key (zero nonce), read as u64 little-endian.
struct Stream {
    cipher: ChaCha20,
    block: [u8; 64],
    at: usize,
}

impl Stream {
    fn new(key: &Hash) -> Self {
        Self { cipher: ChaCha20::new(&Key::from(*key), &Nonce::from([0; 12])), block: [0; 64], at: 64 }
    }

    fn word(&mut self) -> u64 {
        if self.at == 64 {
            self.block = [0; 64];
            self.cipher.apply_keystream(&mut self.block);
            self.at = 0;
        }
        let mut word = [0; 8];
        word.copy_from_slice(&self.block[self.at..self.at + 8]);
        self.at += 8;
        u64::from_le_bytes(word)
    }

    /// Uniform in 0..n by rejection: words at or above the largest multiple of n are thrown away.
    fn below(&mut self, n: u64) -> u64 {
        let limit = u64::MAX - (u64::MAX % n + 1) % n;
        loop {
            let word = self.word();
            if word <= limit {
                return word % n;
            }
        }
    }
}

/// Picks `prizes` winners and then `alternates` more among the leaves that are not void.
///
/// All weights equal: a partial Fisher-Yates shuffle of the entries by number, place i swapped with i + below(n − i).
/// Otherwise: integer tickets, entries by number owning `weight` tickets each; the entry that owns ticket
/// below(tickets left) is picked and its tickets are taken out.
#[must_use]
pub fn pick(key: &Hash, leaves: &[Leaf], prizes: usize, alternates: usize) -> Picks {
    let eligible: Vec<&Leaf> = leaves.iter().filter(|l| l.weight > 0).collect();
    let wanted = (prizes + alternates).min(eligible.len());
    let mut stream = Stream::new(key);
    let equal = eligible.windows(2).all(|w| w[0].weight == w[1].weight);
    let mut picked =
        if equal { shuffle(&mut stream, &eligible, wanted) } else { tickets(&mut stream, &eligible, wanted) };
    let alternates = picked.split_off(prizes.min(picked.len()));
    Picks { winners: picked, alternates }
}

fn shuffle(stream: &mut Stream, eligible: &[&Leaf], wanted: usize) -> Vec<u64> {
    let mut order: Vec<u64> = eligible.iter().map(|l| l.entry_no).collect();
    for i in 0..wanted {
        let j = i + stream.below((order.len() - i) as u64) as usize;
        order.swap(i, j);
    }
    order.truncate(wanted);
    order
}

fn tickets(stream: &mut Stream, eligible: &[&Leaf], wanted: usize) -> Vec<u64> {
    let mut tree = Fenwick::new(eligible.iter().map(|l| u64::from(l.weight)));
    let mut left: u64 = eligible.iter().map(|l| u64::from(l.weight)).sum();
    (0..wanted)
        .map(|_| {
            let i = tree.owner_of(stream.below(left));
            left -= u64::from(eligible[i].weight);
            tree.take_out(i, u64::from(eligible[i].weight));
            eligible[i].entry_no
        })
        .collect()
}

/// Prefix sums that can be taken from: finding and removing an owner of tickets costs O(log n).
struct Fenwick(Vec<u64>);

impl Fenwick {
    fn new(weights: impl Iterator<Item = u64>) -> Self {
        let mut sums: Vec<u64> = std::iter::once(0).chain(weights).collect();
        for i in 1..sums.len() {
            let parent = i + (i & i.wrapping_neg());
            if parent < sums.len() {
                sums[parent] += sums[i];
            }
        }
        Self(sums)
    }

    fn take_out(&mut self, index: usize, weight: u64) {
        let mut i = index + 1;
        while i < self.0.len() {
            self.0[i] -= weight;
            i += i & i.wrapping_neg();
        }
    }

    /// The index (from 0) of the entry that owns this ticket (from 0).
    fn owner_of(&self, mut ticket: u64) -> usize {
        let mut at = 0;
        let mut step = (self.0.len()).next_power_of_two() / 2;
        while step > 0 {
            if at + step < self.0.len() && self.0[at + step] <= ticket {
                at += step;
                ticket -= self.0[at];
            }
            step /= 2;
        }
        at
    }
}
