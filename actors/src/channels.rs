//! One actor per channel: its bulkhead, its retries, its publications. Tree: Root → Channel.
//!
//! The intent is recorded before each call. A publication that was under way when the process died may have happened:
//! it is asked for, never repeated blindly.

mod outcome;
mod publication;

use crate::ask::Unavailable;
use crate::breaker::Breakers;
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tools::Tools;
use clients::channel::Post;
use domain::channel::Channel;
use domain::distribution::Publication;
use domain::ids::{DistributionId, JobId};
use publication::Publishing;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Publications of one channel under way at once.
const MAX_CONCURRENT_PUBLICATIONS: usize = 8;

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
        // The job that asked has gone: the row stays, and the reconciler finds it.
        s.waiting.retain(|(_, reply)| !reply.is_closed());
        while !s.waiting.is_empty() {
            let Ok(place) = s.args.bulkhead.clone().try_acquire_owned() else { break };
            let Some((task, reply)) = s.waiting.pop_front() else { break };
            let mut publishing = Publishing::new(&s.args, task);
            let permit = BulkheadPermit { place: Some(place), at: s.args.at.clone() };
            let ended = s.args.tools.ended.clone();
            s.args.tools.tracker.spawn(async move {
                let _permit = permit;
                let settled = tokio::select! {
                    // The row says how far it came; recovery asks the channel first.
                    () = ended.cancelled() => return,
                    settled = publishing.run() => settled,
                };
                match settled {
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
