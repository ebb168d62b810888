//! What is left of the processor's cache. On a shared machine the last one belongs to all its tenants: when others fill it,
//! the same work takes longer, with no processor time stolen and arithmetic as fast as ever.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// More than most cores have for themselves, less than what they share.
const SHARED: usize = 3 << 20;
/// Reads of one look, and looks.
const READS: u32 = 30_000;
const LOOKS: usize = 40;
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// A line of the cache, and which one is read next.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(u32);

/// Nanoseconds of a read that waits for the one before it, within 3 MiB that were all read just before.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    best: f64,
    median: f64,
    worst: f64,
}

impl Reads {
    /// Looks for two seconds, mostly asleep.
    pub fn look() -> Self {
        let lines = ring(SHARED);
        let mut looks: Vec<f64> = (0..LOOKS)
            .map(|_| {
                std::thread::sleep(PROBE_INTERVAL);
                follow(&lines, lines.len() as u32);
                follow(&lines, READS)
            })
            .collect();
        looks.sort_unstable_by(f64::total_cmp);
        Self { best: looks[0], median: looks[LOOKS / 2], worst: looks[LOOKS - 1] }
    }
}

impl std::fmt::Display for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}, {:.0} and {:.0} ns", self.best, self.median, self.worst)
    }
}

/// Lines that lead to each other in one ring without an order (Sattolo's algorithm), so that none can be fetched ahead.
fn ring(bytes: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..(bytes / size_of::<Line>()) as u32).map(Line).collect();
    for last in (1..lines.len()).rev() {
        lines.swap(last, rand::random_range(0..last));
    }
    lines
}

fn follow(lines: &[Line], reads: u32) -> f64 {
    let (begun, mut at) = (Instant::now(), 0);
    for _ in 0..reads {
        at = lines[at as usize].0;
    }
    black_box(at);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(reads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_leads_through_every_line_and_back() {
        let lines = ring(64 << 10);
        let mut seen = vec![false; lines.len()];
        let mut at = 0;
        for _ in 0..lines.len() {
            assert!(!std::mem::replace(&mut seen[at], true), "a line comes twice");
            at = lines[at].0 as usize;
        }
        assert_eq!(at, 0);
    }
}
