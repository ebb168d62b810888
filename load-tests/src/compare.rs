//! Ours and the built-in references in turns (A B A B …), in one run on one machine: the ratios of W1, W2, W3, W7 and W9.

mod asking;
mod reading;
mod starting;
mod storing;

use crate::server::Failure;
use std::process::ExitCode;

/// What can be compared by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// Durable entries into one hot event, against an INSERT each, a transaction each, and a constant answer.
    W1,
    /// The same over 1,000 events, Zipf 1.0, against one hot event.
    W2,
    /// Asking an actor in process, against a channel.
    W3,
    /// Analytics: hit, miss, and 1,000 misses at once.
    W7,
    /// Start to ready, and resident memory.
    W9,
}

/// What is asked for.
pub struct Plan {
    /// What is compared.
    pub goals: Vec<Goal>,
    /// Rounds, in turns.
    pub rounds: usize,
    /// Seconds of each turn.
    pub seconds: u64,
    /// Connections.
    pub connections: usize,
    /// Threads of the measuring side.
    pub threads: usize,
}

/// Compares; fails when something did not add up, not when a goal is missed: the distance is printed.
pub async fn run(plan: Plan) -> Result<ExitCode, Failure> {
    for goal in &plan.goals {
        match goal {
            Goal::W1 => storing::hot(&plan).await?,
            Goal::W2 => storing::many(&plan).await?,
            Goal::W3 => asking::run(&plan).await?,
            Goal::W7 => reading::run(&plan).await?,
            Goal::W9 => starting::run(&plan).await?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Median, lowest and highest of a few figures.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |i: usize| figures.get(i).copied().unwrap_or(f64::NAN);
        Self { median: at(figures.len() / 2), low: at(0), high: at(figures.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median >= 100.0 { 0 } else { 3 };
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.low, self.high)
    }
}
