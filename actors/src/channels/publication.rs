//! One publication on its way: the shell around `domain::distribution::settle`.

use super::outcome::{Details, heard, within_limit};
use super::{Args, Task};
use crate::breaker::Breakers;
use crate::publishing::announce;
use crate::tools::Tools;
use clients::UpstreamError;
use clients::channel::{PUBLISH_LIMIT, Published};
use domain::channel::{Channel, Upstream};
use domain::distribution::{
    ChannelError, Ending, ErrorClass, MAX_CALLS, Outcome, PublicationStatus, REVIEW_INTERVAL, Situation, Step,
    on_recovery, settle,
};
use domain::distribution::{Distribution, Publication};
use domain::job::LEASE;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::distributions::Change;

/// Questions per run about an unknown outcome.
const MAX_QUESTIONS: u32 = 4;
/// Time in which a call to a channel ends, however many requests it is made of. Each request has a shorter limit of its own.
const MAX_CALL_TIME: Duration = Duration::from_secs(PUBLISH_LIMIT.as_secs() + 1);
/// Time in which a recorded call is sent, or not at all: it ends before the lease does, so that no other runner asks about a
/// call that is still under way.
const SEND_DEADLINE: Duration = Duration::from_secs(LEASE.as_secs() - MAX_CALL_TIME.as_secs());
/// Time within which the last call must end, so that a distribution ends within a minute (US-09). A post that is unknown then
/// is asked about again later.
const CALL_DEADLINE: Duration = Duration::from_secs(55);
/// Time after which calls that began in time, and a last question, are cut.
const SETTLE_DEADLINE: Duration = Duration::from_secs(58);
/// Lower bound of the timeout of a call.
const MIN_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// What came of wanting to call.
enum CallStart {
    /// It may be made; the distribution with it recorded.
    Call(Distribution),
    /// The event is over: nothing is published for it any more.
    TooLate,
    /// Somebody settled it meanwhile, or took over.
    Elsewhere,
}

/// A publication on its way.
pub(super) struct Publishing {
    tools: Arc<Tools>,
    breakers: Breakers,
    channel: Channel,
    task: Task,
    begun: Instant,
    /// When the lease was last renewed for a call.
    leased: Instant,
}

impl Publishing {
    pub(super) fn new(args: &Args, task: Task) -> Self {
        let begun = Instant::now();
        let (tools, breakers) = (args.tools.clone(), args.breakers.clone());
        Self { tools, breakers, channel: args.channel, task, begun, leased: begun }
    }

    fn upstream(&self) -> Upstream {
        self.channel.into()
    }

    /// Can that still be done in time?
    fn fits(&self, more: Duration) -> bool {
        self.begun.elapsed() + more <= CALL_DEADLINE
    }

    /// How long a call may take now.
    fn limit(&self) -> Duration {
        SETTLE_DEADLINE.saturating_sub(self.begun.elapsed()).clamp(MIN_CALL_TIMEOUT, MAX_CALL_TIME)
    }

    /// Brings the publication to an end, one way or the other.
    ///
    /// # Errors
    /// The end was not stored: the job tries again.
    pub(super) async fn run(&mut self) -> Result<(), StorageError> {
        let p = &self.task.publication;
        if p.status == PublicationStatus::AwaitingReview {
            return self.review().await;
        }
        let (mut step, mut calls) = (on_recovery(self.channel, p.status, p.mode), p.calls);
        while let Some(next) = step {
            step = match next {
                Step::CallAfter(wait) => {
                    tokio::time::sleep(wait).await;
                    let Some(begun) = self.begin().await? else { return Ok(()) };
                    calls = begun.calls;
                    self.task.publication.attempts = begun.attempts;
                    self.task.post.remote = begun.remote;
                    let Some(result) = self.attempt(begun.attempts).await? else { return Ok(()) };
                    self.follow(heard(result.map(Some), self.channel), calls).await?
                }
                Step::Ask => {
                    let answer = self.ask().await;
                    let answer = answer.map_or_else(|e| self.silence(&e), |found| heard(Ok(found), self.channel));
                    self.follow(answer, calls).await?
                }
                Step::End(ending) => {
                    self.end(ending, Details::default()).await?;
                    None
                }
            };
        }
        Ok(())
    }

    /// One attempt: what publishes nothing first, and remembered before the call that publishes. `None`: another runner
    /// took over, or it was taken back.
    async fn attempt(&mut self, attempt: i32) -> Result<Option<Result<Published, UpstreamError>>, StorageError> {
        let client = self.tools.upstreams.channel(self.channel);
        if client.prepares() {
            let preparing = within_limit(self.limit(), ErrorClass::Transient, client.prepare(&self.task.post));
            match self.breakers.once(self.upstream(), preparing).await {
                Ok(None) => {}
                Ok(Some(remote)) => {
                    self.task.post.remote = remote.clone();
                    self.leased = Instant::now();
                    if !self.remember(attempt, remote).await? {
                        return Ok(None);
                    }
                }
                Err(e) => return Ok(Some(Err(e))),
            }
        }
        let (leased, post) = (self.leased, &self.task.post);
        let publish = async {
            // Held up for so long that somebody else may ask before this call has ended: it is not made.
            if leased.elapsed() > SEND_DEADLINE {
                return Err(UpstreamError::new(ErrorClass::Throttled, "held up before it was sent"));
            }
            client.publish(post).await
        };
        let publishing = within_limit(self.limit(), ErrorClass::UnknownOutcome, publish);
        Ok(Some(self.breakers.once(self.upstream(), publishing).await))
    }

    async fn remember(&self, attempt: i32, remote: Value) -> Result<bool, StorageError> {
        let (id, channel, lease) = (self.task.distribution, self.channel, self.task.lease);
        self.tools
            .store
            .tx(async move |c| storage::distributions::remember(c, id, channel, attempt, remote, lease).await)
            .await
    }

    /// The channel cannot say now whether the post is out.
    fn silence(&self, e: &UpstreamError) -> (Outcome, Details) {
        tracing::warn!(channel = self.channel.code(), error = %e, "nobody knows whether a post is out");
        (Outcome::NobodyKnows, Details::default())
    }

    /// Sets the time of the next look at what has not changed. False: it has.
    async fn look_again(&self, status: PublicationStatus, after: Duration) -> Result<bool, StorageError> {
        let (id, channel) = (self.task.distribution, self.channel);
        self.tools
            .store
            .run(async move |c| storage::distributions::look_again(c, id, channel, status, after).await)
            .await
    }

    /// Records the intent before the call. `None`: the event is over by now, or somebody else settled the publication.
    async fn begin(&mut self) -> Result<Option<Publication>, StorageError> {
        self.leased = Instant::now();
        let (id, channel, lease) = (self.task.distribution, self.channel, self.task.lease);
        let start = self
            .tools
            .store
            .tx(async move |c| {
                if storage::events::is_over_of(c, id).await? {
                    return Ok(CallStart::TooLate);
                }
                let begun = storage::distributions::begin_call(c, id, channel, lease).await?;
                Ok(begun.map_or(CallStart::Elsewhere, CallStart::Call))
            })
            .await?;
        match start {
            CallStart::Call(d) => {
                announce(&self.tools, &d, channel, false);
                Ok(d.publication(channel).cloned())
            }
            CallStart::TooLate => {
                self.end(Ending::too_late(), Details::default()).await?;
                Ok(None)
            }
            CallStart::Elsewhere => Ok(None),
        }
    }

    /// Asks the channel whether the post arrived, a few times, as far as there is time.
    async fn ask(&self) -> Result<Option<Published>, UpstreamError> {
        let client = self.tools.upstreams.channel(self.channel);
        let mut last = UpstreamError::new(ErrorClass::UnknownOutcome, "not asked");
        for attempt in 0..MAX_QUESTIONS {
            if attempt > 0 {
                let pause = Duration::from_secs(1 << attempt);
                if !self.fits(pause + MAX_CALL_TIME) {
                    break;
                }
                tokio::time::sleep(pause).await;
            }
            let asking = within_limit(self.limit(), ErrorClass::Transient, client.find(&self.task.post));
            match self.breakers.once(self.upstream(), asking).await {
                Ok(found) => return Ok(found),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn situation(&self, calls: i32) -> Situation {
        let longest_wait = CALL_DEADLINE.saturating_sub(self.begun.elapsed() + MAX_CALL_TIME);
        let event_over = crate::clock::now() >= self.task.post.ends_at;
        Situation { channel: self.channel, calls, event_over, longest_wait, jitter: rand::random() }
    }

    /// Stores what a call or a question came to. Returns what follows; `None` when the run has ended.
    async fn follow(&self, heard: (Outcome, Details), calls: i32) -> Result<Option<Step>, StorageError> {
        let (outcome, details) = heard;
        match settle(outcome, &self.situation(calls)) {
            Step::Ask => Ok(Some(Step::Ask)),
            Step::CallAfter(_) if !self.breakers.may_retry(self.upstream()) => {
                let class = outcome.class().unwrap_or(ErrorClass::Transient);
                self.end(Ending::failed(class), details).await?;
                Ok(None)
            }
            Step::CallAfter(wait) => {
                let error = outcome.class().map(|class| ChannelError::of(class, self.channel));
                let change = Change { error, ..details.change(PublicationStatus::Retrying) };
                // Not stored: another runner took over.
                Ok(self.write(change).await?.then_some(Step::CallAfter(wait)))
            }
            Step::End(ending) => {
                self.end(ending, details).await?;
                Ok(None)
            }
        }
    }

    /// Records an end. Unknown before and unknown still is no news: the row only gets the time of the next look.
    async fn end(&self, ending: Ending, details: Details) -> Result<(), StorageError> {
        if let (PublicationStatus::Unknown, Some(wait)) = (ending.status, ending.look_again_in)
            && self.look_again(PublicationStatus::Unknown, wait).await?
        {
            return Ok(());
        }
        let error = ending.reason.map(|reason| reason.error(self.channel));
        let change = Change { error, next_in: ending.look_again_in, ..details.change(ending.status) };
        self.write(change).await.map(drop)
    }

    /// Stores what became of it and, in the same transaction, what the owner should know about that. False: another runner
    /// has begun an attempt since, or it was settled; what this one knows is no news.
    async fn write(&self, change: Change) -> Result<bool, StorageError> {
        use PublicationStatus::{AwaitingReview, Publishing, Queued, Retrying, Unknown};
        let (id, channel) = (self.task.distribution, self.channel);
        let title = self.task.post.title.clone();
        let attempt = self.task.publication.attempts;
        let changed = self
            .tools
            .store
            .tx(async move |c| {
                let from = [Publishing, Retrying, Queued, AwaitingReview, Unknown];
                let Some((d, ended)) =
                    storage::distributions::change(c, id, channel, &from, Some(attempt), change).await?
                else {
                    return Ok(None);
                };
                let told = match crate::publishing::trouble(&d, channel, &title) {
                    Some(notice) => Some(storage::notices::insert(c, notice).await?),
                    None => None,
                };
                Ok(Some((d, ended, told)))
            })
            .await?;
        let Some((d, ended, told)) = changed else { return Ok(false) };
        announce(&self.tools, &d, channel, ended);
        if let Some(notice) = told {
            crate::notices::publish(&self.tools, d.owner, &notice);
        }
        if d.publication(channel).is_some_and(|p| p.status == PublicationStatus::Failed) {
            metrics::counter!("dead_letters_total", "kind" => "publication").increment(1);
            self.tools.alarms.notify_one();
        }
        Ok(true)
    }

    /// Asks about a post that is being reviewed.
    async fn review(&self) -> Result<(), StorageError> {
        let client = self.tools.upstreams.channel(self.channel);
        let found = match self.breakers.once(self.upstream(), client.find(&self.task.post)).await {
            Ok(Some(Published::InReview { .. })) | Err(_) => {
                return self.look_again(PublicationStatus::AwaitingReview, REVIEW_INTERVAL).await.map(drop);
            }
            Ok(found) => found,
        };
        // A post that was reviewed and is gone was refused.
        let (outcome, details) = heard(Ok(found.or(Some(Published::Refused))), self.channel);
        match settle(outcome, &self.situation(MAX_CALLS)) {
            Step::End(ending) => self.end(ending, details).await,
            Step::Ask | Step::CallAfter(_) => Ok(()),
        }
    }
}
