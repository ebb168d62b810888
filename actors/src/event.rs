//! One event in use: its life, its dashboard, its draw. Tree: Root → Events → Event.
//!
//! Loading is a state of a living actor: storage that does not answer is tried again, and asked meanwhile it says
//! `Unavailable`. The row decides: the actor may accept on stale state, and refuses because of state only after
//! re-reading the gate.

mod commands;
mod dashboard;
mod drawing;
mod entering;
pub(crate) mod pages;
mod returning;
mod timing;

use crate::entry::{EntryEvidence, EntryMeta, Pending, VisitEvidence};
use crate::journal::Journal;
use crate::tools::Tools;
use bytes::Bytes;
use domain::channel::Source;
use domain::dashboard::{Commit, Figures, Tally};
use domain::entry::ErasureGuard;
use domain::event::{Command, Event, Rejection, Who};
use domain::ids::{DistributionId, EventId, UserId};
use domain::shop::Shop;
use domain::visit_guard::VisitGuard;
use pages::{EventPages, Page, Public};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::entries::GateReading;

/// Time without a message after which an actor ends: its state is in storage.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// The same for an event that was never approved: only its owner asks for it, and drafts are free to make.
const DRAFT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time after which an actor without an event ends.
const MISSING_TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two checks for idleness.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Pause between two tries to load.
const LOAD_RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Time for which a gate that was read is believed.
const GATE_TTL: Duration = Duration::from_millis(100);
/// Time between two updates of the dashboard: the first is sent at once, then at most ten a second.
const UPDATE_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two writes of link visits: everybody sees them within a second.
const HITS_INTERVAL: Duration = Duration::from_millis(500);

/// Why an event did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// No such event, or somebody else's.
    #[error("no such event")]
    NotFound,
    /// Refused by its rules.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The tax service says no to the shop.
    #[error("the store was rejected")]
    StoreRejected,
    /// The account has as many drafts as it may have.
    #[error("the account has too many drafts")]
    TooManyDrafts,
    /// The actor cannot answer now.
    #[error("the event's actor cannot answer now")]
    Unavailable,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// An approved event and its publishing.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The event then.
    pub event: Arc<Event>,
    /// The publishing that began.
    pub distribution: DistributionId,
}

/// What a draw is asked with.
#[derive(Clone, Debug)]
pub struct DrawRequest {
    /// The owner who asks.
    pub owner: UserId,
    /// How many alternates, 0 to 100.
    pub alternates: u32,
    /// 32 bytes from the owner's browser.
    pub external: Option<[u8; 32]>,
}

type Reply<T> = RpcReplyPort<Result<T, EventError>>;

/// What an event's actor is told.
pub(crate) enum Msg {
    /// First message: read everything from storage.
    Load,
    /// Answers the event.
    Read(Reply<Arc<Event>>),
    /// Answers the event after the command.
    Command { who: Who, command: Box<Command>, if_match: Option<i64>, reply: Reply<Arc<Event>> },
    /// Answers the event and its publishing.
    Approve { owner: UserId, if_match: Option<i64>, reply: Reply<Approval> },
    /// Answers when it is gone.
    Delete { owner: UserId, reply: Reply<()> },
    /// An entry, with the visit code it came with; answered through its own port.
    Enter(Box<Pending>, EntryEvidence),
    /// Judge the visit code of an entry that repeats nothing stored; answered through the entry's own port.
    JudgeVisit(Box<Pending>, VisitEvidence),
    /// The journal stored entries.
    Committed(Commit),
    /// A commit was not told of: the log has it.
    Overlooked,
    /// Storage takes no entries of the event.
    Shut,
    /// Answers whether the entry was there to be erased.
    Erase(i64, Reply<bool>),
    /// Answers the analytics, and whether they were made for this question.
    Analytics(Reply<(Arc<Page<Bytes>>, bool)>),
    /// Answers the public page.
    Public(Reply<Arc<Page<Public>>>),
    /// A visit of our link.
    Hit(Source),
    /// Figures, log or shop changed outside: the change of this generation.
    Refresh(u64),
    /// Answers whether this call drew.
    Draw(DrawRequest, Reply<bool>),
    /// The root was computed.
    Rooted(Result<([u8; 32], i64), StorageError>),
    /// A draw was computed.
    Picked(DrawRequest, Box<Result<crate::draw::DrawResult, StorageError>>),
    /// The start or the end has come; of the timer armed at this revision.
    BoundaryDue(i64),
    /// The database says that the start or the end has come.
    Due,
    /// Time to publish what changed.
    PublishDue,
    /// Time to count the rest of those who return.
    CountDue,
    /// Time to store link visits.
    HitsDue,
    /// Time to look whether anybody needs this actor.
    IdleDue,
}

/// Why an event of a shop that the tax service rejected is paused.
pub(crate) const REJECTED: &str = "store-rejected";

/// What an event's actor is started with.
pub(crate) struct Args {
    pub(crate) id: EventId,
    pub(crate) tools: Arc<Tools>,
    pub(crate) journal: Journal,
    pub(crate) pages: Arc<EventPages>,
    /// Tells the directory that nobody needs this actor.
    pub(crate) idle: Box<dyn Fn() + Send + Sync>,
}

/// The actor.
pub(crate) struct EventActor;

/// The state of an event's actor.
pub(crate) struct State {
    args: Args,
    tools: Arc<Tools>,
    phase: Phase,
    /// Changes outside the log that this state has seen.
    generation: u64,
    last_used: Instant,
    /// What changed since the last update; `None`: nothing to publish.
    unpublished: Option<dashboard::Change>,
    last_published: Option<Instant>,
    returning: returning::Pace,
    gate: Option<(Instant, GateReading)>,
    visit_guard: VisitGuard,
    /// The owner was told, or is being told, that somebody tries visit codes.
    guessing_told: Arc<AtomicBool>,
    erasures: ErasureGuard,
    hits: BTreeMap<Source, i64>,
    drawing: Vec<(DrawRequest, Reply<bool>)>,
    working: bool,
}

enum Phase {
    Loading,
    Missing,
    Loaded(Box<LoadedEvent>),
}

/// What was read from storage and folded since.
struct LoadedEvent {
    event: Arc<Event>,
    shop: Shop,
    tally: Tally,
    figures: Figures,
    /// Entries up to this number are counted in `tally.returning`.
    returning_to: i64,
    /// A commit was missed: read the tally again.
    stale: bool,
    /// The log up to this version is in the tally.
    sure: i64,
}

impl LoadedEvent {
    /// The log has a new version, which is in the tally or changes nothing there. One that does not follow on the last
    /// leaves a gap; an older one was read already.
    fn logged(&mut self, version: i64, before: i64) {
        self.stale |= version > before + 1;
        self.tally.version = self.tally.version.max(version);
        if !self.stale {
            self.sure = self.tally.version;
        }
    }
}

impl State {
    fn loaded(&mut self) -> Result<&mut LoadedEvent, EventError> {
        match &mut self.phase {
            Phase::Loaded(l) => Ok(l),
            Phase::Missing => Err(EventError::NotFound),
            Phase::Loading => Err(EventError::Unavailable),
        }
    }

    /// The event, if it is this owner's.
    fn owned(&mut self, who: Who) -> Result<&mut LoadedEvent, EventError> {
        let loaded = self.loaded()?;
        match who {
            Who::Owner(owner) if owner != loaded.event.owner => Err(EventError::NotFound),
            _ => Ok(loaded),
        }
    }
}

impl Actor for EventActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, myself: ActorRef<Msg>, args: Args) -> Result<State, ActorProcessingErr> {
        myself.cast(Msg::Load)?;
        myself.send_after(IDLE_CHECK_INTERVAL, || Msg::IdleDue);
        let tools = args.tools.clone();
        Ok(State {
            args,
            tools,
            phase: Phase::Loading,
            generation: 0,
            last_used: Instant::now(),
            unpublished: None,
            last_published: None,
            returning: returning::Pace::default(),
            gate: None,
            visit_guard: VisitGuard::default(),
            guessing_told: Arc::default(),
            erasures: ErasureGuard::default(),
            hits: BTreeMap::new(),
            drawing: Vec::new(),
            working: false,
        })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        if !matches!(
            msg,
            Msg::IdleDue | Msg::PublishDue | Msg::CountDue | Msg::BoundaryDue(_) | Msg::Due | Msg::HitsDue
        ) {
            s.last_used = Instant::now();
        }
        match msg {
            Msg::Load => load(&myself, s).await,
            Msg::Read(reply) => answer(reply, s.loaded().map(|l| l.event.clone())),
            Msg::Command { who, command, if_match, reply } => {
                let result = s.command(&myself, who, *command, if_match).await;
                answer(reply, result);
            }
            Msg::Approve { owner, if_match, reply } => {
                let result = s.approve(&myself, owner, if_match).await;
                answer(reply, result);
            }
            Msg::Delete { owner, reply } => {
                let result = s.delete(&myself, owner).await;
                answer(reply, result);
            }
            Msg::Enter(pending, evidence) => s.enter(&myself, *pending, evidence).await,
            Msg::JudgeVisit(pending, visit) => s.enter_judged(*pending, &visit),
            Msg::Committed(commit) => s.committed(&myself, &commit),
            Msg::Overlooked => s.overlooked(&myself),
            Msg::Shut => s.shut(&myself),
            Msg::Erase(entry_no, reply) => {
                let result = s.erase(&myself, entry_no).await;
                answer(reply, result);
            }
            Msg::Analytics(reply) => {
                let result = s.analytics(&myself).await;
                answer(reply, result);
            }
            Msg::Public(reply) => {
                let result = s.public(&myself).await;
                answer(reply, result);
            }
            Msg::Hit(source) => s.hit(&myself, source),
            Msg::Refresh(generation) => s.refresh(&myself, generation).await,
            Msg::Draw(request, reply) => s.draw(&myself, request, reply).await,
            Msg::Rooted(result) => s.rooted(&myself, result).await,
            Msg::Picked(request, result) => s.picked(&myself, request, *result).await,
            Msg::BoundaryDue(revision) => s.boundary(&myself, revision).await,
            Msg::Due => s.due_by_database(&myself).await,
            Msg::PublishDue => s.publish(&myself).await,
            Msg::CountDue => s.count_rest(&myself).await,
            Msg::HitsDue => s.store_hits(&myself).await,
            Msg::IdleDue => s.idle(&myself),
        }
        Ok(())
    }
}

fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, EventError>) {
    let _ = reply.send(result);
}

/// Reads everything; tries again while storage does not answer.
async fn load(myself: &ActorRef<Msg>, s: &mut State) {
    let id = s.args.id;
    let generation = s.args.pages.generation.load(Ordering::Acquire);
    let read = s.tools.store.run(async move |c| {
        let Some(event) = storage::events::get(c, id).await? else { return Ok(None) };
        let shop =
            storage::stores::get(c, event.store).await?.ok_or_else(|| StorageError::Corrupt("no store".into()))?;
        let tally = storage::tally::load(c, id, 0).await?;
        let figures = storage::stats::load(c, id).await?;
        let sure = tally.version;
        Ok(Some(LoadedEvent { event: Arc::new(event), shop, tally, figures, returning_to: 0, stale: false, sure }))
    });
    match read.await {
        Ok(Some(loaded)) => {
            s.args.pages.latest.fetch_max(loaded.tally.version, Ordering::AcqRel);
            let _ = s.args.pages.owner.set(loaded.event.owner);
            s.generation = generation;
            s.phase = Phase::Loaded(Box::new(loaded));
            s.know();
            s.arm(myself);
            s.ensure_root(myself);
        }
        Ok(None) => {
            s.phase = Phase::Missing;
            // Not at once: whoever had it started is about to ask.
            myself.send_after(MISSING_TIMEOUT, || Msg::IdleDue);
        }
        Err(e) => {
            tracing::warn!(event = %id, error = %e, "an event could not be loaded; trying again");
            myself.send_after(LOAD_RETRY_PAUSE, || Msg::Load);
        }
    }
}

impl State {
    /// Tells handles what entries need.
    fn know(&mut self) {
        let Ok(l) = self.loaded() else { return };
        let meta = EntryMeta {
            store: l.shop.id,
            version: l.shop.version,
            index_kid: l.shop.index_kid.clone(),
            notice: domain::notice::hash(&l.shop.name),
            notice_version: domain::notice::version(&l.shop.name),
        };
        *self.args.pages.meta.write() = Some(Arc::new(meta));
    }
}

/// The key of an event's visit codes.
pub(crate) fn visit_key(tools: &Tools, id: EventId) -> [u8; 32] {
    tools.keys.mac("visit-code", &[id.0.as_bytes()])
}
