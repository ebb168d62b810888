//! One event in use: its life, its dashboard, its draw. Tree: Root → Events → Event.
//!
//! Loading is a state of a living actor: storage that does not answer is tried again, and asked meanwhile it says
//! `Unavailable`. The row decides: the actor may accept on stale state, and refuses because of state only after
//! re-reading the gate.

mod commands;
mod dashboard;
mod drawing;
pub(crate) mod pages;
mod returning;

use crate::entry::{EnterError, Entered, EntryMeta, Pending, WRONG_CODES, WRONG_CODES_FOR};
use crate::events::Events;
use crate::system::Shared;
use bytes::Bytes;
use chrono::Utc;
use domain::channel::Source;
use domain::dashboard::{Commit, Figures, Tally};
use domain::event::{Command, Event, Rejection, Status, Who};
use domain::ids::{DistributionId, EventId, UserId};
use domain::visit_code;
use pages::{Known, Page, Public};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use storage::StorageError;
use storage::entries::{Gate, flag};
use storage::stores::Shop;

/// Idle this long, an actor goes: its state is in storage.
const IDLE: Duration = Duration::from_secs(600);
/// An actor without an event goes after this.
const MISSING: Duration = Duration::from_secs(1);
/// How often idleness is looked at.
const IDLE_CHECK: Duration = Duration::from_secs(60);
/// Between two tries to load.
const LOAD_RETRY: Duration = Duration::from_millis(500);
/// A gate that was read is believed this long.
const GATE_TTL: Duration = Duration::from_millis(100);
/// Between two updates of the dashboard: the first at once, then at most ten a second.
const CONFLATE: Duration = Duration::from_millis(100);
/// Link visits are stored together; everybody sees them within a second.
const HITS_EVERY: Duration = Duration::from_millis(500);
/// Phones whose wrong visit codes are remembered.
const MAX_WRONG: usize = 10_000;

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
    /// Who asks.
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
    Enter(Box<Pending>, Option<String>),
    /// The journal stored entries.
    Committed(Commit),
    /// A commit was not told of: the log has it.
    Overlooked,
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
    Picked(DrawRequest, Box<Result<crate::draw::Picked, StorageError>>),
    /// The start or the end has come; of the timer armed at this revision.
    BoundaryDue(i64),
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
    pub(crate) events: Events,
    pub(crate) known: Arc<Known>,
    /// Tells the directory that nobody needs this actor.
    pub(crate) idle: Box<dyn Fn() + Send + Sync>,
}

/// The actor.
pub(crate) struct EventActor;

/// The state of an event's actor.
pub(crate) struct State {
    args: Args,
    shared: Arc<Shared>,
    phase: Phase,
    /// Changes outside the log that this state has seen.
    generation: u64,
    last_used: Instant,
    /// Log kinds that changed since the last update; empty: nothing to publish.
    unpublished: Option<&'static str>,
    last_published: Option<Instant>,
    returning: returning::Pace,
    gate: Option<(Instant, Gate)>,
    wrong_codes: HashMap<[u8; 16], (u32, Instant)>,
    hits: BTreeMap<Source, i64>,
    drawing: Vec<(DrawRequest, Reply<bool>)>,
    working: bool,
}

enum Phase {
    Loading,
    Missing,
    Loaded(Box<Loaded>),
}

/// What was read from storage and folded since.
struct Loaded {
    event: Arc<Event>,
    shop: Shop,
    tally: Tally,
    figures: Figures,
    /// Entries up to this number are counted in `tally.returning`.
    returning_to: i64,
    /// A commit was missed: read the tally again.
    stale: bool,
}

impl State {
    fn loaded(&mut self) -> Result<&mut Loaded, EventError> {
        match &mut self.phase {
            Phase::Loaded(l) => Ok(l),
            Phase::Missing => Err(EventError::NotFound),
            Phase::Loading => Err(EventError::Unavailable),
        }
    }

    /// The event, if it is this owner's.
    fn owned(&mut self, who: Who) -> Result<&mut Loaded, EventError> {
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
        myself.send_after(IDLE_CHECK, || Msg::IdleDue);
        let shared = args.events.shared().clone();
        Ok(State {
            args,
            shared,
            phase: Phase::Loading,
            generation: 0,
            last_used: Instant::now(),
            unpublished: None,
            last_published: None,
            returning: returning::Pace::default(),
            gate: None,
            wrong_codes: HashMap::new(),
            hits: BTreeMap::new(),
            drawing: Vec::new(),
            working: false,
        })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        if !matches!(msg, Msg::IdleDue | Msg::PublishDue | Msg::CountDue | Msg::BoundaryDue(_) | Msg::HitsDue) {
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
                let result = s.delete(owner).await;
                answer(reply, result);
            }
            Msg::Enter(pending, code) => s.enter(*pending, code).await,
            Msg::Committed(commit) => s.committed(&myself, &commit),
            Msg::Overlooked => s.overlooked(&myself),
            Msg::Erase(entry_no, reply) => {
                let result = s.erase(&myself, entry_no).await;
                answer(reply, result);
            }
            Msg::Analytics(reply) => {
                let result = s.analytics().await;
                answer(reply, result);
            }
            Msg::Public(reply) => {
                let result = s.public().await;
                answer(reply, result);
            }
            Msg::Hit(source) => s.hit(&myself, source),
            Msg::Refresh(generation) => s.refresh(&myself, generation).await,
            Msg::Draw(request, reply) => s.draw(&myself, request, reply),
            Msg::Rooted(result) => s.rooted(&myself, result).await,
            Msg::Picked(request, result) => s.picked(&myself, request, *result).await,
            Msg::BoundaryDue(revision) => s.boundary(&myself, revision).await,
            Msg::PublishDue => s.publish(&myself).await,
            Msg::CountDue => s.count_rest(&myself).await,
            Msg::HitsDue => s.store_hits(&myself).await,
            Msg::IdleDue => s.idle(&myself),
        }
        Ok(())
    }
}

/// What this very request was answered before, if it was: whatever became of the event or the code since, a repetition
/// hears the same.
async fn stored_before(shared: &Shared, pending: &Pending) -> Option<Entered> {
    let (event, phone, key) = (pending.row.event, pending.row.phone_index, pending.row.request_key?);
    let found = shared
        .store
        .run(move |c| Box::pin(async move { storage::entries::stored_by(c, event, phone, key).await }))
        .await
        .ok()??;
    let receipt = crate::entry::receipt(&shared.keys, found.id);
    Some(Entered { entry_no: found.entry_no, receipt, entered_at: found.entered_at })
}

async fn refuse_unless_stored(shared: &Shared, pending: Pending, refusal: EnterError) {
    let result = stored_before(shared, &pending).await.ok_or(refusal);
    pending.refuse_or(result);
}

fn answer<T: Send + 'static>(reply: Reply<T>, result: Result<T, EventError>) {
    let _ = reply.send(result);
}

/// Reads everything; tries again while storage does not answer.
async fn load(myself: &ActorRef<Msg>, s: &mut State) {
    let id = s.args.id;
    let generation = s.args.known.generation.load(Ordering::Acquire);
    let read = s.shared.store.run(move |c| {
        Box::pin(async move {
            let Some(event) = storage::events::get(c, id).await? else { return Ok(None) };
            let shop =
                storage::stores::get(c, event.store).await?.ok_or_else(|| StorageError::Corrupt("no store".into()))?;
            let tally = storage::tally::load(c, id).await?;
            let figures = storage::stats::load(c, id).await?;
            Ok(Some(Loaded { event: Arc::new(event), shop, tally, figures, returning_to: 0, stale: false }))
        })
    });
    match read.await {
        Ok(Some(loaded)) => {
            s.args.known.latest.fetch_max(loaded.tally.version, Ordering::AcqRel);
            let _ = s.args.known.owner.set(loaded.event.owner);
            s.generation = generation;
            s.phase = Phase::Loaded(Box::new(loaded));
            s.know();
            s.arm(myself);
            s.ensure_root(myself);
        }
        Ok(None) => {
            s.phase = Phase::Missing;
            // Not at once: whoever had it started is about to ask.
            myself.send_after(MISSING, || Msg::IdleDue);
        }
        Err(e) => {
            tracing::warn!(event = %id, error = %e, "an event could not be loaded; trying again");
            myself.send_after(LOAD_RETRY, || Msg::Load);
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
        *self.args.known.meta.write().expect("nobody panics holding it") = Some(Arc::new(meta));
    }

    /// Sets the timer of the next start or end.
    fn arm(&mut self, myself: &ActorRef<Msg>) {
        let Ok(l) = self.loaded() else { return };
        let due = match l.event.status {
            Status::Scheduled => l.event.starts_at,
            Status::Live | Status::Paused => l.event.ends_at,
            _ => None,
        };
        let Some(due) = due else { return };
        let revision = l.event.revision;
        let wait = (due - Utc::now()).to_std().unwrap_or_default();
        // Far ahead, the reconciler wakes it again.
        if wait < Duration::from_secs(3600) {
            myself.send_after(wait + Duration::from_millis(5), move || Msg::BoundaryDue(revision));
        }
    }

    async fn boundary(&mut self, myself: &ActorRef<Msg>, revision: i64) {
        let Ok(l) = self.loaded() else { return };
        if l.event.revision != revision {
            return;
        }
        let now = Utc::now();
        let command = match l.event.status {
            Status::Scheduled if l.event.starts_at.is_some_and(|at| at <= now) => Command::Open,
            Status::Live | Status::Paused if l.event.ends_at.is_some_and(|at| at <= now) => {
                Command::Close { by_time: true }
            }
            _ => return self.arm(myself),
        };
        if let Err(e) = self.command(myself, Who::System, command, None).await {
            tracing::warn!(event = %self.args.id, error = %e, "an event did not open or close in time; trying again");
            myself.send_after(LOAD_RETRY, move || Msg::BoundaryDue(revision));
        }
    }

    fn idle(&mut self, myself: &ActorRef<Msg>) {
        let busy = self.working || !self.hits.is_empty() || self.unpublished.is_some();
        let soon = self.loaded().is_ok_and(|l| {
            let near = |at: Option<domain::time::Instant>| {
                at.is_some_and(|at| at - Utc::now() < chrono::Duration::seconds(120))
            };
            (l.event.status == Status::Scheduled && near(l.event.starts_at))
                || (l.event.status.is_open() && near(l.event.ends_at))
        });
        let missing = matches!(self.phase, Phase::Missing);
        if missing || (self.last_used.elapsed() > IDLE && !busy && !soon) {
            (self.args.idle)();
        } else {
            myself.send_after(IDLE_CHECK, || Msg::IdleDue);
        }
    }

    /// Takes an entry to the journal, unless the event is known not to take any.
    async fn enter(&mut self, mut pending: Pending, code: Option<String>) {
        let status = match self.loaded() {
            Ok(l) => l.event.status,
            Err(EventError::NotFound) => return pending.refuse_or(Err(EnterError::NotFound)),
            Err(_) => return pending.refuse_or(Err(EnterError::Overloaded)),
        };
        if status.is_drafting() || self.loaded().is_ok_and(|l| l.event.commitment.is_none()) {
            return pending.refuse_or(Err(EnterError::NotFound));
        }
        if status != Status::Live
            && let Some(refusal) = self.refusal(status).await
        {
            let shared = self.shared.clone();
            self.shared.tracker.spawn(async move { refuse_unless_stored(&shared, pending, refusal).await });
            return;
        }
        if let Some(code) = code {
            // A repetition may come with a code that was good when it was first sent: it is no wrong try.
            let good = visit_code::accepts(&visit_key(&self.shared, self.args.id), &code, Utc::now());
            if !good && let Some(stored) = stored_before(&self.shared, &pending).await {
                return pending.refuse_or(Ok(stored));
            }
            match self.check_code(pending.row.phone_index, &code) {
                Ok(0) => {}
                Ok(weight) => {
                    pending.row.weight = weight;
                    pending.row.flags |= flag::VISITED;
                }
                Err(e) => return pending.refuse_or(Err(e)),
            }
        }
        match self.args.events.journal() {
            Some(journal) => journal.submit(pending),
            None => pending.refuse_or(Err(EnterError::Overloaded)),
        }
    }

    /// Why an event that seems not to be live takes no entry, as its gate says; `None`: the gate is open.
    async fn refusal(&mut self, status: Status) -> Option<EnterError> {
        let fresh = self.gate.filter(|(at, _)| at.elapsed() < GATE_TTL).map(|(_, gate)| gate);
        let gate = match fresh {
            Some(gate) => gate,
            None => {
                let id = self.args.id;
                let read =
                    self.shared.store.run(move |c| Box::pin(async move { storage::entries::gate(c, id).await })).await;
                match read {
                    Ok(Some(gate)) => {
                        self.gate = Some((Instant::now(), gate));
                        gate
                    }
                    Ok(None) => return Some(EnterError::NotFound),
                    Err(_) => return Some(EnterError::Overloaded),
                }
            }
        };
        match (gate.gate, gate.begun, gate.over) {
            (2, ..) | (_, _, true) => Some(EnterError::Ended),
            (0, ..) if status == Status::Paused => Some(EnterError::Paused),
            (1, true, false) => None,
            _ => Some(EnterError::NotStarted),
        }
    }

    /// The weight a visit code earns: 0 without a bonus, and after five wrong ones within an hour.
    fn check_code(&mut self, phone: [u8; 16], code: &str) -> Result<i16, EnterError> {
        let key = visit_key(&self.shared, self.args.id);
        let weight = self.loaded().ok().and_then(|l| l.event.visit_weight);
        let wrong =
            self.wrong_codes.get(&phone).filter(|(_, since)| since.elapsed() < WRONG_CODES_FOR).map_or(0, |(n, _)| *n);
        if wrong >= WRONG_CODES {
            return Ok(0);
        }
        if visit_code::accepts(&key, code, Utc::now()) {
            return Ok(weight.map_or(1, i16::from));
        }
        if self.wrong_codes.len() >= MAX_WRONG {
            self.wrong_codes.retain(|_, (_, since)| since.elapsed() < WRONG_CODES_FOR);
        }
        let since = self.wrong_codes.get(&phone).filter(|_| wrong > 0).map_or_else(Instant::now, |(_, since)| *since);
        self.wrong_codes.insert(phone, (wrong + 1, since));
        Err(EnterError::VisitCodeInvalid)
    }
}

/// The key of an event's visit codes.
pub(crate) fn visit_key(shared: &Shared, id: EventId) -> [u8; 32] {
    shared.keys.mac("visit-code", &[id.0.as_bytes()])
}
