//! The directory of event actors, and the handles everybody uses. Tree: Root → Events → Event.
//!
//! An actor is started from storage when first asked for, restarted within its own budget when it fails, quarantined
//! past that, and passivated when idle. A handle resolves the actor anew at every call.

use crate::admission::Admission;
use crate::ask::{PATIENCE, Unavailable, ask};
use crate::entry::{
    EnterError, EnterRequest, Entered, EntryEvidence, Pending, Ticket, VisitEvidence, address_tag, prepare,
};
pub use crate::event::pages::dashboard_of;
use crate::event::pages::{EventPages, Page, Public, dashboard_key, join_versions, split_versions};
use crate::event::{self, Approval, DrawRequest, EventActor, EventError, Msg};
use crate::journal::{BatchListener, Journal, MAX_BATCH};
use crate::root::{Address, Child, OnExhausted, Root};
use crate::supervise::{Budgets, Verdict};
use crate::tools::Tools;
use bytes::Bytes;
use domain::channel::Source;
use domain::dashboard::Commit;
use domain::event::{Command, Event, Gate, Who};
use domain::ids::{EventId, StoreId, UserId};
use parking_lot::RwLock;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorStatus, RpcReplyPort, SupervisionEvent};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time after which an entry is answered as "unknown": longer than the journal tries.
const ENTRY_LIMIT: Duration = Duration::from_secs(6);

/// Handle on all events.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    slots: RwLock<HashMap<EventId, RunningEvent>>,
    directory: Address<DirectoryMsg>,
    journal: Journal,
    tools: Arc<Tools>,
    admission: Admission,
}

/// A running actor, and what is known of its event outside it.
#[derive(Clone)]
struct RunningEvent {
    actor: ActorRef<Msg>,
    pages: Arc<EventPages>,
}

impl RunningEvent {
    /// What was shown is not current from here on; whoever asks the actor after this hears the new state.
    fn refresh(&self) {
        let generation = self.pages.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let _ = self.actor.cast(Msg::Refresh(generation));
    }
}

impl Events {
    pub(crate) async fn start(tools: Arc<Tools>, journal: Journal, root: &Root) -> Result<Self, ractor::SpawnErr> {
        let admission = Admission::new(tools.config.entries_in_flight, MAX_BATCH);
        let (slots, directory) = (RwLock::default(), Address::new());
        let events = Self { inner: Arc::new(Inner { slots, directory, journal, tools, admission }) };
        let (at, each) = (&events.inner.directory, events.clone());
        root.adopt(Child::new("events", "events", OnExhausted::Fail, at, move || (Directory, each.clone()))).await?;
        Ok(events)
    }

    /// The handle of an event. It is not looked for until used.
    #[must_use]
    pub fn get(&self, id: EventId) -> EventHandle {
        EventHandle { events: self.clone(), id }
    }

    /// Would an entry be refused now because too many are in flight?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.admission.is_full()
    }

    /// Event actors running now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.slots.read().len()
    }

    /// Forgets the finished pages of an event, here and in the cache: whoever reads next has them made anew.
    pub async fn forget(&self, id: EventId) {
        self.inner.tools.cache.del(&dashboard_key(id)).await;
        if let Some(slot) = self.inner.slots.read().get(&id) {
            slot.pages.forget();
        }
    }

    /// A shop was edited: its events show it from the next read on.
    pub fn store_changed(&self, store: StoreId) {
        let slots = self.inner.slots.read();
        for slot in slots.values() {
            let meta = slot.pages.meta.read();
            // One that is still loading may have read the shop before the edit.
            if meta.as_ref().is_none_or(|m| m.store == store) {
                slot.refresh();
            }
        }
    }

    async fn resolve(&self, id: EventId) -> Result<RunningEvent, Unavailable> {
        let running = self.inner.slots.read().get(&id).cloned();
        if let Some(slot) = running.filter(|s| s.actor.get_status() < ActorStatus::Draining) {
            return Ok(slot);
        }
        // Boxed, here and below: what seldom happens is not moved with every call.
        Box::pin(self.inner.directory.ask(|reply| DirectoryMsg::Start(id, reply), PATIENCE)).await?.ok_or(Unavailable)
    }

    /// Stops every actor after what is in its mailbox, then the directory.
    pub(crate) async fn stop(&self, limit: Duration) {
        let actors: Vec<_> = self.inner.slots.read().values().map(|s| s.actor.clone()).collect();
        let drains = actors.iter().map(|a| a.drain_and_wait(Some(limit)));
        futures_util::future::join_all(drains).await;
        self.inner.directory.stop();
    }
}

impl BatchListener for Events {
    fn committed(&self, event: EventId, commit: Commit) {
        let slots = self.inner.slots.read();
        if let Some(slot) = slots.get(&event) {
            // A read after the customer's answer sees at least this version.
            slot.pages.latest.fetch_max(commit.version, Ordering::AcqRel);
            let _ = slot.actor.cast(Msg::Committed(commit));
        }
    }

    fn overlooked(&self, event: EventId, version: i64) {
        let slots = self.inner.slots.read();
        if let Some(slot) = slots.get(&event)
            && slot.pages.latest.fetch_max(version, Ordering::AcqRel) < version
        {
            let _ = slot.actor.cast(Msg::Overlooked);
        }
    }

    fn gate_shut(&self, event: EventId) {
        let slots = self.inner.slots.read();
        if let Some(slot) = slots.get(&event) {
            let _ = slot.actor.cast(Msg::Shut);
        }
    }

    fn batch_taken(&self, waited: Duration) {
        self.inner.admission.paced(waited);
    }

    fn is_full(&self) -> bool {
        self.inner.admission.is_full()
    }
}

/// Handle on one event: an id that finds its actor at every call.
#[derive(Clone)]
pub struct EventHandle {
    events: Events,
    id: EventId,
}

impl EventHandle {
    async fn ask<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<Result<R, EventError>>) -> Msg,
    ) -> Result<R, EventError> {
        let slot = self.events.resolve(self.id).await.map_err(|_| EventError::Unavailable)?;
        ask(&slot.actor, message, PATIENCE).await.map_err(|_| EventError::Unavailable)?
    }

    /// The event as its actor has it.
    ///
    /// # Errors
    /// `NotFound`, or the actor cannot answer now.
    pub async fn read(&self) -> Result<Arc<Event>, EventError> {
        self.ask(Msg::Read).await
    }

    /// Gives a command. `if_match` is the version it was decided on.
    ///
    /// # Errors
    /// The refusal, `NotFound` (also for another owner), or the actor cannot answer now.
    pub async fn command(&self, who: Who, command: Command, if_match: Option<i64>) -> Result<Arc<Event>, EventError> {
        self.ask(|reply| Msg::Command { who, command: Box::new(command), if_match, reply }).await
    }

    /// Approves: publishes, and opens now or at its start.
    ///
    /// # Errors
    /// As [`EventHandle::command`], and `StoreRejected`.
    pub async fn approve(&self, owner: UserId, if_match: Option<i64>) -> Result<Approval, EventError> {
        let event = self.read().await?;
        if event.owner == owner && if_match.is_none_or(|version| version == event.revision) {
            // Painted here: it takes a core for a while, and customers wait for the actor.
            crate::publishing::prepare(&self.events.inner.tools, &event).await?;
        }
        self.ask(|reply| Msg::Approve { owner, if_match, reply }).await
    }

    /// Removes an event that was never approved.
    ///
    /// # Errors
    /// `WrongState` when it was.
    pub async fn delete(&self, owner: UserId) -> Result<(), EventError> {
        self.ask(|reply| Msg::Delete { owner, reply }).await
    }

    /// Draws, once ever: true when this call did it.
    ///
    /// # Errors
    /// `WrongState` unless closed or drawn.
    pub async fn draw(&self, request: DrawRequest) -> Result<bool, EventError> {
        self.ask(|reply| Msg::Draw(request, reply)).await
    }

    /// Erases an entry. False: it was erased before.
    ///
    /// # Errors
    /// The actor cannot answer now.
    pub async fn erase(&self, entry_no: i64) -> Result<bool, EventError> {
        self.ask(|reply| Msg::Erase(entry_no, reply)).await
    }

    /// The analytics body, finished, and whether it was there already. Never older than any entry acknowledged here.
    ///
    /// # Errors
    /// `NotFound`, or the actor cannot answer now.
    pub async fn analytics(&self) -> Result<(Bytes, bool), EventError> {
        let slot = self.events.resolve(self.id).await.map_err(|_| EventError::Unavailable)?;
        let (page, hit) = match slot.pages.analytics() {
            Some(page) => (page, true),
            None => Box::pin(self.make_analytics(&slot)).await?,
        };
        self.events.inner.tools.vitals.cache("dashboard", hit);
        Ok((page.body.clone(), hit))
    }

    /// The same for this owner only.
    ///
    /// # Errors
    /// As [`EventHandle::analytics`]; `NotFound` also for another owner.
    pub async fn analytics_of(&self, owner: UserId) -> Result<(Bytes, bool), EventError> {
        let slot = self.events.resolve(self.id).await.map_err(|_| EventError::Unavailable)?;
        // Still loading: the event itself says whose it is.
        let whose = match slot.pages.owner.get() {
            Some(whose) => *whose,
            None => Box::pin(self.read()).await?.owner,
        };
        if whose == owner { self.analytics().await } else { Err(EventError::NotFound) }
    }

    /// Not in process: from the cache, then from the actor.
    async fn make_analytics(&self, slot: &RunningEvent) -> Result<(Arc<Page<Bytes>>, bool), EventError> {
        let (cache, key) = (&self.events.inner.tools.cache, dashboard_key(self.id));
        let generation = slot.pages.generation.load(Ordering::Acquire);
        let latest = slot.pages.latest.load(Ordering::Acquire);
        let shop = slot.pages.meta.read().as_ref().map(|m| m.version);
        // What another process or an earlier life kept shows log and shop: good while nothing else changed in this life.
        if latest > 0
            && generation == 0
            && let Some((version, of_shop, body)) = cache.get(&key).await.and_then(|kept| split_versions(&kept))
            && version >= latest
            && Some(of_shop) == shop
        {
            return Ok((slot.pages.keep_analytics(version, generation, body), true));
        }
        let (page, made) = ask(&slot.actor, Msg::Analytics, PATIENCE).await.map_err(|_| EventError::Unavailable)??;
        if made
            && page.lasts()
            && let Some(shop) = shop
        {
            let ttl = storage::cache::ttl::DASHBOARD.mul_f64(0.9 + 0.2 * rand::random::<f64>());
            cache.set(&key, join_versions(page.version, shop, &page.body), ttl).await;
        }
        Ok((page, !made))
    }

    /// The public page, finished.
    ///
    /// # Errors
    /// `NotFound` also for what was never approved, or the actor cannot answer now.
    pub async fn public(&self) -> Result<Arc<Page<Public>>, EventError> {
        let slot = self.events.resolve(self.id).await.map_err(|_| EventError::Unavailable)?;
        let page = match slot.pages.public() {
            Some(page) => page,
            None => Box::pin(ask(&slot.actor, Msg::Public, PATIENCE)).await.map_err(|_| EventError::Unavailable)??,
        };
        if page.body.listed { Ok(page) } else { Err(EventError::NotFound) }
    }

    /// Enters a customer. The answer leaves after the commit.
    ///
    /// # Errors
    /// The refusal; `Overloaded` when nothing was done, `OutcomeUnknown` when something may have been.
    pub async fn enter(&self, form: EnterRequest) -> Result<Entered, EnterError> {
        let place = self.events.inner.admission.enter().ok_or(EnterError::Overloaded)?;
        let slot = self.events.resolve(self.id).await.map_err(|_| EnterError::Overloaded)?;
        let meta = slot.pages.meta.read().clone();
        let meta = match meta {
            Some(meta) => meta,
            None => {
                // Still loading: its first answer says that it is done.
                Box::pin(self.read()).await.map_err(|e| {
                    if matches!(e, EventError::NotFound) { EnterError::NotFound } else { EnterError::Overloaded }
                })?;
                slot.pages.meta.read().clone().ok_or(EnterError::Overloaded)?
            }
        };
        let (row, receipt) = prepare(&self.events.inner.tools.keys, self.id, &meta, &form)?;
        let outdated = form.notice_version.is_some_and(|read| read != meta.notice_version);
        let keys = &self.events.inner.tools.keys;
        let address = form.address;
        let visit = form.visit_code.map(|claim| {
            let address = address_tag(keys, address, crate::clock::now());
            VisitEvidence { claim, address }
        });
        let evidence = EntryEvidence { visit, outdated };
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            row,
            ticket: Ticket { reply, receipt, maybe_stored: false, since: Instant::now(), _place: place },
        };
        slot.actor.cast(Msg::Enter(Box::new(pending), evidence)).map_err(|_| EnterError::Overloaded)?;
        match tokio::time::timeout(ENTRY_LIMIT, answer).await {
            Ok(Ok(Err(EnterError::NotStarted))) => Err(Box::pin(self.why_not_open()).await),
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(EnterError::OutcomeUnknown),
        }
    }

    /// The gate is not open: paused, or not begun? As storage has it: the actor may not have heard of it yet.
    async fn why_not_open(&self) -> EnterError {
        let (store, id) = (&self.events.inner.tools.store, self.id);
        match store.run(async move |c| storage::entries::gate(c, id).await).await {
            Ok(Some(gate)) if gate.gate == Gate::Closed || gate.over => EnterError::Ended,
            Ok(Some(gate)) if gate.gate == Gate::Shut && gate.begun => EnterError::Paused,
            Ok(Some(_)) => EnterError::NotStarted,
            Ok(None) => EnterError::NotFound,
            Err(_) => EnterError::Overloaded,
        }
    }

    /// Counts a visit of our link.
    pub async fn hit(&self, source: Source) {
        if let Ok(slot) = self.events.resolve(self.id).await {
            let _ = slot.actor.cast(Msg::Hit(source));
        }
    }

    /// Something outside the actor changed its figures or its log: read them again.
    pub async fn refresh(&self, version: i64) {
        if let Ok(slot) = self.events.resolve(self.id).await {
            slot.pages.latest.fetch_max(version, Ordering::AcqRel);
            slot.refresh();
        }
    }

    /// Its time has come, or comes within seconds: has the actor started, so that its timers run, and look.
    pub async fn wake(&self) {
        if let Ok(slot) = self.events.resolve(self.id).await {
            let _ = slot.actor.cast(Msg::Due);
        }
    }
}

enum DirectoryMsg {
    /// Answers the running actor, started if need be; none while quarantined.
    Start(EventId, RpcReplyPort<Option<RunningEvent>>),
    /// A delayed restart.
    RestartDue(EventId),
    /// An actor is idle.
    Passivate(EventId),
}

struct Directory;

struct State {
    events: Events,
    ids: HashMap<ActorId, EventId>,
    budgets: Budgets<EventId>,
    blocked_until: HashMap<EventId, Instant>,
}

impl State {
    async fn start(&mut self, myself: &ActorRef<DirectoryMsg>, id: EventId) -> Option<RunningEvent> {
        let running = self.events.inner.slots.read().get(&id).cloned();
        if let Some(slot) = running.filter(|s| s.actor.get_status() < ActorStatus::Draining) {
            return Some(slot);
        }
        if self.blocked_until.get(&id).is_some_and(|until| Instant::now() < *until) {
            return None;
        }
        let pages = Arc::new(EventPages::default());
        let passivate = myself.clone();
        let args = event::Args {
            id,
            tools: self.events.inner.tools.clone(),
            journal: self.events.inner.journal.clone(),
            pages: pages.clone(),
            idle: Box::new(move || {
                let _ = passivate.cast(DirectoryMsg::Passivate(id));
            }),
        };
        let (actor, _) = EventActor::spawn_linked(None, EventActor, args, myself.get_cell()).await.ok()?;
        self.ids.insert(actor.get_id(), id);
        let slot = RunningEvent { actor, pages };
        self.events.inner.slots.write().insert(id, slot.clone());
        Some(slot)
    }

    fn forget(&mut self, actor: ActorId) -> Option<EventId> {
        let id = self.ids.remove(&actor)?;
        let mut slots = self.events.inner.slots.write();
        if slots.get(&id).is_some_and(|s| s.actor.get_id() == actor) {
            slots.remove(&id);
        }
        Some(id)
    }
}

impl Actor for Directory {
    type Msg = DirectoryMsg;
    type State = State;
    type Arguments = Events;

    async fn pre_start(&self, _: ActorRef<DirectoryMsg>, events: Events) -> Result<State, ActorProcessingErr> {
        // The actors of an earlier life end with it; each comes back from storage when next asked for.
        events.inner.slots.write().clear();
        metrics::counter!("actor_quarantines_total", "kind" => "event").increment(0);
        Ok(State { events, ids: HashMap::new(), budgets: Budgets::new(), blocked_until: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<DirectoryMsg>,
        msg: DirectoryMsg,
        s: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            DirectoryMsg::Start(id, reply) => {
                let slot = s.start(&myself, id).await;
                let _ = reply.send(slot);
            }
            DirectoryMsg::RestartDue(id) => {
                s.blocked_until.remove(&id);
                s.start(&myself, id).await;
            }
            DirectoryMsg::Passivate(id) => {
                let slot = s.events.inner.slots.write().remove(&id);
                if let Some(slot) = slot {
                    s.ids.remove(&slot.actor.get_id());
                    s.budgets.settled(&id);
                    let _ = slot.actor.drain();
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<DirectoryMsg>,
        e: SupervisionEvent,
        s: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match e {
            SupervisionEvent::ActorTerminated(cell, ..) => {
                s.forget(cell.get_id());
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                let Some(id) = s.forget(cell.get_id()) else { return Ok(()) };
                metrics::counter!("actor_restarts_total", "kind" => "event").increment(1);
                let wait = match s.budgets.failed(&id, Instant::now(), rand::random()) {
                    Verdict::Restart(wait) => wait,
                    Verdict::Quarantine(wait) => {
                        tracing::error!(event = %id, error = %error, "an event's actor is quarantined");
                        metrics::counter!("actor_quarantines_total", "kind" => "event").increment(1);
                        s.events.inner.tools.vitals.quarantine();
                        s.events.inner.tools.alarms.notify_one();
                        wait
                    }
                };
                tracing::warn!(event = %id, error = %error, wait_ms = wait.as_millis() as u64, "an event's actor failed");
                s.blocked_until.insert(id, Instant::now() + wait);
                myself.send_after(wait, move || DirectoryMsg::RestartDue(id));
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}
