//! Background jobs: kinds, states, priorities, backoff.

use crate::channel::codes;
use crate::ids::{EventId, JobId, UserId};
use crate::time::Instant;
use serde_json::Value;
use std::time::Duration;

codes! {
    /// What a job does.
    JobKind {
        /// Asks the model for three proposals.
        Recommendation = "recommendation",
        /// Draws and composes pictures.
        Images = "images",
        /// Publishes an event to its channels.
        Distribution = "distribution",
        /// Takes back what was published.
        Recall = "recall",
        /// Verifies a business number again.
        Verification = "verification",
        /// Reads the channels' statistics.
        Statistics = "statistics",
    }
}

codes! {
    /// Where a job is.
    JobStatus {
        /// Waiting for its turn or its next attempt.
        Queued = "queued",
        /// Held by a runner's lease.
        Running = "running",
        /// Done; the result is there.
        Succeeded = "succeeded",
        /// Ended without a result, for a reason that trying again does not mend.
        Failed = "failed",
        /// Called off.
        Cancelled = "cancelled",
        /// Used all its attempts; an operator may replay it.
        Dead = "dead",
    }
}

impl JobStatus {
    /// No more changes by itself.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl JobKind {
    /// Lower runs first: what a person waits for comes before what runs by itself.
    #[must_use]
    pub fn priority(self) -> i16 {
        match self {
            Self::Distribution | Self::Recall => 0,
            Self::Recommendation => 1,
            Self::Images => 2,
            Self::Verification => 5,
            Self::Statistics => 7,
        }
    }

    /// Attempts before a job is dead. Re-verification goes on for days: the tax service has nightly maintenance.
    #[must_use]
    pub fn max_attempts(self) -> i32 {
        match self {
            Self::Verification => 200,
            // An outage of half an hour must not leave posts standing.
            Self::Recall => 40,
            _ => 5,
        }
    }

    /// The whole job's deadline (RS-05).
    #[must_use]
    pub fn deadline(self) -> Duration {
        Duration::from_secs(300)
    }

    /// How long to wait after a failed attempt (1, 2, 3 …), with `jitter` in 0..1 (full jitter on the upper half).
    #[must_use]
    pub fn backoff(self, attempt: i32, jitter: f64) -> Duration {
        let cap = match self {
            Self::Verification => 900.0,
            _ => 60.0,
        };
        let full = 2f64.powi(attempt.clamp(1, 20) - 1).min(cap);
        Duration::from_secs_f64(full * (0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

/// How long a runner's lease lasts without a beat.
pub const LEASE: Duration = Duration::from_secs(15);
/// How often a runner renews it.
pub const BEAT: Duration = Duration::from_secs(5);

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Where it is.
    pub status: JobStatus,
    /// The account that waits for it.
    pub owner: Option<UserId>,
    /// For which event.
    pub event: Option<EventId>,
    /// What it was asked.
    pub input: Value,
    /// Per cent.
    pub progress: i16,
    /// What it is doing.
    pub stage: String,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it did not.
    pub error: Option<Value>,
    /// What stood in.
    pub fallback: Option<Value>,
    /// Runs begun.
    pub attempts: i32,
    /// Runs before it is dead.
    pub max_attempts: i32,
    /// Fence.
    pub epoch: i64,
    /// ETag and offset of the topic.
    pub version: i64,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it was over.
    pub ended_at: Option<Instant>,
}

/// A job to be done.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// At most one active job per key.
    pub key: String,
    /// The account that waits for it.
    pub owner: Option<UserId>,
    /// For which event.
    pub event: Option<EventId>,
    /// What it is asked.
    pub input: Value,
    /// Not before this long from now.
    pub after: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_and_is_bounded() {
        for kind in JobKind::ALL {
            let mut last = Duration::ZERO;
            for attempt in 1..60 {
                let wait = kind.backoff(attempt, 1.0);
                assert!(wait >= last && wait <= Duration::from_secs(900));
                assert!(kind.backoff(attempt, 0.0) >= wait / 2);
                last = wait;
            }
        }
    }
}
