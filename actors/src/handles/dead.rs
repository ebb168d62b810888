//! Replaying dead letters: jobs and publications that have used their attempts.

use super::Handles;
use domain::channel::Channel;
use domain::ids::{DistributionId, JobId};
use std::time::Duration;
use storage::Result;
use storage::dead::{DeadLetter, Filter, list};

/// Letters of one bulk replay at most.
pub const MAX_REPLAYED: i64 = 10_000;

impl Handles {
    /// Replays a dead letter by its id. False: there is none, or it lives again.
    pub async fn replay(&self, id: &str) -> Result<bool> {
        let done = if let Ok(job) = id.parse::<JobId>() {
            self.jobs.replay(job).await?.is_some()
        } else if let Some((distribution, channel)) = parse(id) {
            self.requeue(distribution, channel).await?
        } else {
            false
        };
        if done {
            self.tools.alarms.notify_one();
        }
        Ok(done)
    }

    async fn requeue(&self, id: DistributionId, channel: Channel) -> Result<bool> {
        let again = self.tools.store.tx(async move |c| storage::distributions::requeue(c, id, channel).await).await?;
        let Some(d) = again else { return Ok(false) };
        crate::publishing::announce(&self.tools, &d, channel, false);
        self.jobs.submit(crate::publishing::job(id, d.event, d.owner)).await?;
        Ok(true)
    }

    /// Replays all that fit, oldest parked last, at most `per_second`; how many there are. Runs on after it answered.
    pub async fn replay_all(&self, filter: Filter, per_second: u32, dry_run: bool) -> Result<usize> {
        let found: Vec<DeadLetter> = self.tools.store.run(async move |c| list(c, filter, MAX_REPLAYED).await).await?;
        let n = found.len();
        if !dry_run {
            let handles = self.clone();
            self.tools.tracker.spawn(async move {
                let pause = Duration::from_secs(1) / per_second.max(1);
                for letter in found {
                    if let Err(e) = handles.replay(&letter.id).await {
                        tracing::warn!(letter = letter.id, error = %e, "a dead letter was not replayed");
                    }
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Ok(n)
    }
}

fn parse(id: &str) -> Option<(DistributionId, Channel)> {
    let (distribution, channel) = id.split_once(':')?;
    Some((distribution.parse().ok()?, Channel::parse(channel)?))
}
