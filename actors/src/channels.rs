//! One actor per channel: its bulkhead, its retries, its publications. Tree: Root → Channel.
//!
//! The intent is recorded before each call. A publication that was under way when the process died may have happened:
//! it is asked for, never repeated blindly.

mod outcome;

use crate::ask::Unavailable;
use crate::breaker::Breakers;
use crate::publishing::announce;
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tools::Tools;
use clients::UpstreamError;
use clients::channel::{PUBLISH_LIMIT, Post, Published};
use domain::channel::{Channel, Upstream};
use domain::distribution::{ChannelError, ErrorClass, NextStep, Outcome, PublicationStatus, next, on_recovery};
use domain::ids::{DistributionId, JobId};
use domain::job::LEASE;
use outcome::{outcome_of, within_limit};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::distributions::{Change, Distribution, Publication};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Publications of one channel under way at once.
const MAX_CONCURRENT_PUBLICATIONS: usize = 8;
/// Between two questions about a review.
const REVIEW_INTERVAL: Duration = Duration::from_secs(5);
/// Questions about an unknown outcome before it stands as unknown for a while.
const MAX_QUESTIONS: u32 = 4;
/// Between two rounds of questions.
const ASK_AGAIN_INTERVAL: Duration = Duration::from_secs(30);

/// A call to a channel ends within this, however many requests it is made of; each has a limit of its own below it.
const MAX_CALL_TIME: Duration = Duration::from_secs(PUBLISH_LIMIT.as_secs() + 1);
/// A call that was recorded is sent within this, or not at all: it ends before the lease does, and nobody asks about a call
/// that is still under way.
const SEND_DEADLINE: Duration = Duration::from_secs(LEASE.as_secs() - MAX_CALL_TIME.as_secs());
/// A call begins only if it can end within this, so that a distribution ends within a minute (US-09). What is unknown then is
/// asked about again later.
const CALL_DEADLINE: Duration = Duration::from_secs(55);
/// Calls that began in time, and a last question, are cut then.
const SETTLE_DEADLINE: Duration = Duration::from_secs(58);
/// But never sooner than this.
const MIN_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// One channel of one distribution, to be settled.
pub(crate) struct Task {
    pub(crate) distribution: DistributionId,
    pub(crate) publication: Publication,
    pub(crate) post: Post,
    /// The job that settles it, and the epoch of its lease.
    pub(crate) lease: (JobId, i64),
}

/// Handle on all channels.
#[derive(Clone)]
pub struct Channels {
    each: Arc<HashMap<Channel, Address<Msg>>>,
}

impl Channels {
    pub(crate) async fn start(tools: &Arc<Tools>, breakers: &Breakers, root: &Root) -> Result<Self, ractor::SpawnErr> {
        let mut each = HashMap::new();
        for channel in Channel::ALL {
            let at = Address::new();
            let args = Args {
                channel: *channel,
                tools: tools.clone(),
                breakers: breakers.clone(),
                bulkhead: Arc::new(Semaphore::new(MAX_CONCURRENT_PUBLICATIONS)),
                at: at.clone(),
            };
            let make = move || (ChannelActor, args.clone());
            let child = Child::new("channel", format!("channel:{channel}"), OnExhausted::Quarantine, &at, make);
            root.adopt(child).await?;
            each.insert(*channel, at);
        }
        Ok(Self { each: Arc::new(each) })
    }

    /// Settles one channel; answers when it ended, one way or the other.
    pub(crate) async fn publish(&self, task: Task) -> Result<(), Unavailable> {
        let (reply, settled) = oneshot::channel();
        let at = &self.each[&task.publication.channel];
        at.cast(Msg::Publish(Box::new(task), reply)).map_err(|_| Unavailable)?;
        settled.await.map_err(|_| Unavailable)
    }

    pub(crate) async fn stop(&self, limit: Duration) {
        let actors: Vec<_> = self.each.values().filter_map(Address::get).collect();
        let stops = actors.iter().map(|a| a.stop_and_wait(None, Some(limit)));
        futures_util::future::join_all(stops).await;
    }
}

enum Msg {
    /// Settle a publication; the port is answered when it ended.
    Publish(Box<Task>, oneshot::Sender<()>),
    /// A publication ended: there is room for the next.
    Ended,
}

struct ChannelActor;

/// What a channel's actor is started with, each time.
#[derive(Clone)]
struct Args {
    channel: Channel,
    tools: Arc<Tools>,
    breakers: Breakers,
    /// Outside the actor, so that a restart does not forget what is under way.
    bulkhead: Arc<Semaphore>,
    at: Address<Msg>,
}

struct State {
    args: Args,
    waiting: VecDeque<(Task, oneshot::Sender<()>)>,
}

impl Actor for ChannelActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, _: ActorRef<Msg>, args: Args) -> Result<State, ActorProcessingErr> {
        Ok(State { args, waiting: VecDeque::new() })
    }

    async fn handle(&self, _: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Publish(task, reply) => s.waiting.push_back((*task, reply)),
            Msg::Ended => {}
        }
        // Who asked has gone: the row stays, and the reconciler finds it.
        s.waiting.retain(|(_, reply)| !reply.is_closed());
        while !s.waiting.is_empty() {
            let Ok(place) = s.args.bulkhead.clone().try_acquire_owned() else { break };
            let Some((task, reply)) = s.waiting.pop_front() else { break };
            let mut publishing = Publishing::new(&s.args, task);
            let permit = BulkheadPermit { place: Some(place), at: s.args.at.clone() };
            s.args.tools.tracker.spawn(async move {
                let _permit = permit;
                match publishing.settle().await {
                    Ok(()) => {
                        let _ = reply.send(());
                    }
                    // Dropping the port tells the job to try again.
                    Err(e) => tracing::warn!(error = %e, "a publication was not settled"),
                }
            });
        }
        metrics::gauge!("actor_mailbox_depth", "kind" => "channel").set(s.waiting.len() as f64);
        Ok(())
    }
}

/// A place in the bulkhead, given back however the task ends.
struct BulkheadPermit {
    place: Option<OwnedSemaphorePermit>,
    at: Address<Msg>,
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        self.place = None;
        let _ = self.at.cast(Msg::Ended);
    }
}

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
struct Publishing {
    tools: Arc<Tools>,
    breakers: Breakers,
    channel: Channel,
    task: Task,
    begun: Instant,
    /// When the lease was last renewed for a call.
    leased: Instant,
}

impl Publishing {
    fn new(args: &Args, task: Task) -> Self {
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

    async fn settle(&mut self) -> Result<(), StorageError> {
        let p = &self.task.publication;
        if p.status == PublicationStatus::AwaitingReview {
            return self.review().await;
        }
        let mut step = match on_recovery(self.channel, p.status, p.mode) {
            None => return Ok(()),
            // It may have happened, and nobody can be asked.
            Some(NextStep::Settle(_)) => {
                let lost = UpstreamError::new(ErrorClass::UnknownOutcome, "found under way, and cannot be asked");
                return self.nobody_knows(&lost).await.map(|_| ());
            }
            Some(step) => step,
        };
        let mut calls = p.calls;
        loop {
            step = match step {
                NextStep::RetryAfter(wait) => {
                    tokio::time::sleep(wait).await;
                    self.leased = Instant::now();
                    let distribution = match self.begin().await? {
                        CallStart::Call(distribution) => distribution,
                        CallStart::TooLate => {
                            let error = Some(ChannelError::too_late(self.channel));
                            self.write(Change { error, ..Change::to(PublicationStatus::Skipped) }).await?;
                            return Ok(());
                        }
                        CallStart::Elsewhere => return Ok(()),
                    };
                    let Some(begun) = distribution.publication(self.channel) else { return Ok(()) };
                    calls = begun.calls;
                    self.task.publication.attempts = begun.attempts;
                    self.task.post.remote = begun.remote.clone();
                    let Some(result) = self.attempt(begun.attempts).await? else { return Ok(()) };
                    self.follow(result.map(Some), calls).await?
                }
                NextStep::Ask => match self.ask().await {
                    Ok(answer) => self.follow(Ok(answer), calls).await?,
                    Err(e) => self.nobody_knows(&e).await?,
                },
                NextStep::Settle(_) => return Ok(()),
            };
        }
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

    /// The channel cannot say now whether the post is out. Where it can be asked at all, it is asked again later.
    async fn nobody_knows(&self, e: &UpstreamError) -> Result<NextStep, StorageError> {
        tracing::warn!(channel = self.channel.code(), error = %e, "nobody knows whether a post is out");
        let next_in = self.channel.can_be_asked().then_some(ASK_AGAIN_INTERVAL);
        // Unknown before and unknown still is no news; the row says so, for an attempt may lie between.
        let known = match next_in {
            Some(wait) => self.look_again(PublicationStatus::Unknown, wait).await?,
            None => false,
        };
        if !known {
            let error = Some(ChannelError::of(ErrorClass::UnknownOutcome, self.channel));
            self.write(Change { error, next_in, ..Change::to(PublicationStatus::Unknown) }).await?;
        }
        Ok(next(self.channel, Outcome::NobodyKnows, 0, 0.0))
    }

    /// Sets the time of the next look at what has not changed. False: it has.
    async fn look_again(&self, status: PublicationStatus, after: Duration) -> Result<bool, StorageError> {
        let (id, channel) = (self.task.distribution, self.channel);
        self.tools
            .store
            .run(async move |c| storage::distributions::look_again(c, id, channel, status, after).await)
            .await
    }

    /// Records the intent before the call, unless the event is over by now.
    async fn begin(&self) -> Result<CallStart, StorageError> {
        let (id, channel, lease) = (self.task.distribution, self.channel, self.task.lease);
        let begun = self
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
        if let CallStart::Call(d) = &begun {
            announce(&self.tools, d, channel, false);
        }
        Ok(begun)
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

    /// Stores what an attempt or a question came to; what follows.
    async fn follow(
        &self,
        result: Result<Option<Published>, UpstreamError>,
        calls: i32,
    ) -> Result<NextStep, StorageError> {
        let (outcome, change) = match result {
            Ok(Some(published)) => outcome_of(published, self.channel),
            Ok(None) => (Outcome::NotThere, Change::to(PublicationStatus::Retrying)),
            Err(e) => {
                let outcome = Outcome::Failed { class: e.class, retry_after: e.retry_after };
                tracing::info!(channel = self.channel.code(), error = %e, "a channel did not publish");
                (
                    outcome,
                    Change {
                        error: Some(ChannelError::of(e.class, self.channel)),
                        ..Change::to(PublicationStatus::Retrying)
                    },
                )
            }
        };
        let over = crate::clock::now() >= self.task.post.ends_at;
        if over && outcome == Outcome::NotThere {
            let error = Some(ChannelError::too_late(self.channel));
            self.write(Change { error, ..Change::to(PublicationStatus::Skipped) }).await?;
            return Ok(NextStep::Settle(PublicationStatus::Skipped));
        }
        let mut step = next(self.channel, outcome, if over { i32::MAX } else { calls }, rand::random());
        if let NextStep::RetryAfter(wait) = step {
            let in_time = self.fits(wait + MAX_CALL_TIME);
            if !in_time && outcome == Outcome::NotThere {
                // A call that was cut may still arrive.
                return self.nobody_knows(&UpstreamError::new(ErrorClass::UnknownOutcome, "not there yet")).await;
            }
            if !(in_time && self.breakers.may_retry(self.upstream())) {
                step = NextStep::Settle(PublicationStatus::Failed);
            }
        }
        match &step {
            // Still `publishing`: that is what recovery asks about.
            NextStep::Ask => {}
            NextStep::RetryAfter(_) => {
                if !self.write(change).await? {
                    return Ok(NextStep::Settle(PublicationStatus::Retrying));
                }
            }
            NextStep::Settle(status) => {
                // A failure always says why, and what to do.
                let error = match status {
                    PublicationStatus::Failed => {
                        change.error.or_else(|| Some(ChannelError::of(ErrorClass::Transient, self.channel)))
                    }
                    _ => change.error,
                };
                let change = Change { error, ..change };
                let next_in = (*status == PublicationStatus::AwaitingReview).then_some(REVIEW_INTERVAL);
                self.write(Change { status: *status, next_in, ..change }).await?;
            }
        }
        Ok(step)
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
        match self.breakers.once(self.upstream(), client.find(&self.task.post)).await {
            Ok(Some(Published::InReview { .. })) | Err(_) => {
                self.look_again(PublicationStatus::AwaitingReview, REVIEW_INTERVAL).await.map(|_| ())
            }
            Ok(Some(published)) => {
                let (outcome, change) = outcome_of(published, self.channel);
                match next(self.channel, outcome, i32::MAX, 0.0) {
                    NextStep::Settle(status) => self.write(Change { status, ..change }).await.map(|_| ()),
                    _ => Ok(()),
                }
            }
            Ok(None) => {
                let gone = Change {
                    error: Some(ChannelError::of(ErrorClass::Refused, self.channel)),
                    ..Change::to(PublicationStatus::Failed)
                };
                self.write(gone).await.map(|_| ())
            }
        }
    }
}
