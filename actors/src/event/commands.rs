//! Commands: decide, persist, apply, publish.

use super::dashboard::Change;
use super::{EventError, LoadedEvent, Msg, Phase, REJECTED, State};
use crate::job_updates;
use crate::publishing;
use crate::{Approval, draw};
use domain::channel::{Mode, Source};
use domain::dashboard::Tally;
use domain::draw::PassedOnWhy;
use domain::event::{Command, Event, Fact, Rejection, Status, Who, decide};
use domain::event::{ContentItem, Move};
use domain::ids::{DistributionId, UserId};
use domain::shop::Verification;
use domain::time::Instant as At;
use domain::topic::Topic;
use futures_util::future::BoxFuture;
use ractor::ActorRef;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::notices::NewNotice;
use storage::{Conn, StorageError};

/// Times that a command is decided anew when another writer was first.
const TRIES: u32 = 3;

/// What else belongs into a transaction, and what follows from it.
pub(super) type InTransaction =
    Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, storage::Result<Vec<Fact>>> + Send>;

/// An erasure as it was stored.
struct Erasure {
    entry: storage::entries::Erased,
    /// It was counted among those who return.
    returned: bool,
    /// The index its phone had, while the event took entries.
    phone: Option<[u8; 16]>,
    /// What became of its prize.
    passed_on: Option<PassedOn>,
}

/// A prize that went on to the next alternate, if any was left.
struct PassedOn {
    fact: Fact,
    after: Event,
    version: i64,
}

impl State {
    pub(super) async fn command(
        &mut self,
        myself: &ActorRef<Msg>,
        who: Who,
        command: Command,
        if_match: Option<i64>,
    ) -> Result<Arc<Event>, EventError> {
        for tried in 0..TRIES {
            let event = &self.owned(who)?.event;
            if if_match.is_some_and(|version| version != event.revision) {
                return Err(Rejection::Stale.into());
            }
            let now = crate::clock::now();
            let mut facts = match decide(event, command.clone(), now) {
                // The caller has read the row: this actor may believe something older.
                Err(_) if who == Who::System && tried == 0 => {
                    self.reload(myself).await?;
                    continue;
                }
                decided => decided?,
            };
            if facts.is_empty() {
                return Ok(event.clone());
            }
            if matches!(command, Command::Open | Command::Resume) && self.is_rejected().await? {
                // The scheduled start of a rejected shop's event opens it paused instead of failing.
                match command {
                    Command::Open => facts.push(Fact::Paused { reason: Some(REJECTED.into()) }),
                    _ => return Err(EventError::StoreRejected),
                }
            }
            match self.persist(facts, who, now, None).await {
                Err(StorageError::Contended) => self.reload(myself).await?,
                Err(e) => return Err(self.failed(myself, e)),
                Ok(_) => {
                    self.changed(myself);
                    if matches!(command, Command::Cancel) {
                        self.recall(who).await?;
                    }
                    return Ok(self.loaded()?.event.clone());
                }
            }
        }
        Err(EventError::Storage(StorageError::Contended))
    }

    /// Did the tax service reject the shop's business?
    async fn is_rejected(&mut self) -> Result<bool, EventError> {
        let store = self.loaded()?.event.store;
        let shop = self.tools.store.run(async move |c| storage::stores::get(c, store).await).await?;
        Ok(shop.is_some_and(|s| s.verification == Verification::Rejected))
    }

    /// Stores facts and fold in one transaction, with whatever else belongs to it, and applies them; all that was stored.
    pub(super) async fn persist(
        &mut self,
        mut facts: Vec<Fact>,
        who: Who,
        now: At,
        extra: Option<InTransaction>,
    ) -> Result<Vec<Fact>, StorageError> {
        let Phase::Loaded(loaded) = &self.phase else { return Err(StorageError::Contended) };
        let before = loaded.event.clone();
        let (after, facts, version) = self
            .tools
            .store
            .tx(async move |c| {
                let mut shut = None;
                for fact in &mut facts {
                    if let Fact::Closed { entries, .. } = fact {
                        storage::events::lock(c, before.id).await?;
                        let (n, version) = storage::events::shut_gate(c, before.id).await?;
                        *entries = n;
                        shut = Some(version);
                    }
                }
                if let Some(extra) = extra {
                    facts.extend(extra(c).await?);
                }
                let mut after = Event::clone(&before);
                for fact in &facts {
                    after.apply(fact, now);
                }
                let version = match shut {
                    Some(version) => {
                        storage::events::write(c, &after, before.revision, &facts, who).await?;
                        version
                    }
                    None => storage::events::commit(c, &after, before.revision, &facts, who).await?,
                };
                Ok((after, facts, version))
            })
            .await?;
        self.stored(after, version, now);
        tracing::debug!(event = %self.args.id, facts = ?facts.iter().map(Fact::kind).collect::<Vec<_>>(), "stored");
        Ok(facts)
    }

    /// Applies what a transaction stored.
    fn stored(&mut self, after: Event, version: i64, now: At) {
        if let Phase::Loaded(loaded) = &mut self.phase {
            loaded.event = Arc::new(after);
            loaded.logged(version, loaded.tally.version);
            loaded.tally.at = Some(now);
        }
        self.args.pages.latest.fetch_max(version, Ordering::AcqRel);
    }

    /// What follows from any change: handles know, timers are set, consoles see it.
    pub(super) fn changed(&mut self, myself: &ActorRef<Msg>) {
        self.gate = None;
        self.know();
        self.arm(myself);
        self.ensure_root(myself);
        self.touch(myself, Change::Moved);
    }

    /// Reads the row again, and the log as far as it may not be known; what follows from a change by somebody else follows.
    pub(super) async fn reload(&mut self, myself: &ActorRef<Msg>) -> Result<(), EventError> {
        let (id, since) = (self.args.id, self.loaded()?.sure);
        let read = self
            .tools
            .store
            .run(async move |c| Ok((storage::events::get(c, id).await?, storage::tally::load(c, id, since).await?)));
        let (event, mut tally) = read.await?;
        let event = event.ok_or(EventError::NotFound)?;
        let loaded = self.loaded()?;
        let news = event.revision != loaded.event.revision;
        loaded.event = Arc::new(event);
        tally.returning = loaded.tally.returning;
        let mut by_hour = std::mem::take(&mut loaded.tally.by_hour);
        by_hour.append(&mut tally.by_hour);
        loaded.tally = Tally { by_hour, ..tally };
        (loaded.stale, loaded.sure) = (false, loaded.tally.version);
        // Pages made before this are older than what the actor knows now.
        let version = loaded.tally.version;
        self.args.pages.latest.fetch_max(version, Ordering::AcqRel);
        if news {
            self.changed(myself);
        }
        Ok(())
    }

    /// What this actor holds may be older than storage: it is read again, until it could be.
    pub(super) fn behind(&mut self, myself: &ActorRef<Msg>) {
        let generation = self.generation;
        if let Ok(l) = self.loaded()
            && !std::mem::replace(&mut l.stale, true)
        {
            let _ = myself.cast(Msg::Refresh(generation));
        }
    }

    /// A command that storage did not take, or did and did not say so.
    pub(super) fn failed(&mut self, myself: &ActorRef<Msg>, e: StorageError) -> EventError {
        if matches!(e, StorageError::Lost(_)) {
            self.behind(myself);
        }
        e.into()
    }

    pub(super) async fn approve(
        &mut self,
        myself: &ActorRef<Msg>,
        owner: UserId,
        if_match: Option<i64>,
    ) -> Result<Approval, EventError> {
        let who = Who::Owner(owner);
        let event = self.owned(who)?.event.clone();
        if if_match.is_some_and(|version| version != event.revision) {
            return Err(Rejection::Stale.into());
        }
        if event.status != Status::Ready {
            return Err(Rejection::WrongState(event.status).into());
        }
        let (seed, distribution) = (storage::crypto::random32(), DistributionId::new());
        let commitment = domain::draw::commitment(&seed);
        let approved = |content: Vec<ContentItem>| {
            let now = crate::clock::now();
            decide(&event, Command::Approve { commitment, distribution, content }, now).map(|facts| (facts, now))
        };
        // Nothing is painted for what is refused.
        approved(event.content.clone())?;
        let plan = publishing::plan(&self.tools, &event).await?.ok_or(EventError::StoreRejected)?;
        let (facts, now) = approved(plan.content)?;
        let shown = plan.shown;
        let sealed = self.tools.keys.seal("events.seed", event.id, &seed);
        let publications = plan.publications;
        let skips = publications.iter().any(|p| p.mode == Mode::Off);
        let published = publications.iter().map(|p| (p.channel, (p.mode, p.status))).collect();
        let extra: InTransaction = Box::new(move |c| {
            Box::pin(async move {
                storage::events::set_seed(c, event.id, sealed).await?;
                storage::distributions::insert(c, distribution, event.id, owner, &publications).await?;
                storage::jobs::insert(c, publishing::job(distribution, event.id, owner)).await?;
                storage::images::mark_published(c, &shown).await?;
                Ok(Vec::new())
            })
        });
        match self.persist(facts, who, now, Some(extra)).await {
            Ok(_) => {}
            Err(StorageError::Contended | StorageError::Conflict { .. }) => {
                self.reload(myself).await?;
                let status = self.loaded()?.event.status;
                return Err(Rejection::WrongState(status).into());
            }
            Err(e) => return Err(self.failed(myself, e)),
        }
        self.tools.jobs.wake();
        self.loaded()?.figures.publications = published;
        self.changed(myself);
        if skips {
            self.tell_of_skipped(distribution).await;
        }
        Ok(Approval { event: self.loaded()?.event.clone(), distribution })
    }

    /// The owner should know which channels are left out because they are switched off.
    async fn tell_of_skipped(&mut self, id: DistributionId) {
        let Ok(title) = self.loaded().map(|l| l.event.title.clone().unwrap_or_default()) else { return };
        let read = self.tools.store.run(async move |c| storage::distributions::get(c, id).await);
        let Ok(Some(d)) = read.await else { return };
        for p in d.publications.iter().filter(|p| p.mode == Mode::Off) {
            if let Some(notice) = publishing::trouble(&d, p.channel, &title) {
                crate::notices::tell(&self.tools, notice).await;
            }
        }
    }

    /// Takes back what was published of a cancelled event.
    async fn recall(&mut self, who: Who) -> Result<(), EventError> {
        let event = &self.loaded()?.event;
        let (Some(distribution), id, owner) = (event.distribution, event.id, event.owner) else { return Ok(()) };
        tracing::info!(event = %id, %who, "recalling what was published");
        publishing::recall(&self.tools, distribution, id, owner).await?;
        Ok(())
    }

    pub(super) async fn delete(&mut self, myself: &ActorRef<Msg>, owner: UserId) -> Result<(), EventError> {
        let event = &self.owned(Who::Owner(owner))?.event;
        let (id, status) = (event.id, event.status);
        if status.after(Move::Plan).is_none() {
            return Err(Rejection::WrongState(status).into());
        }
        let gone = self.tools.store.tx(async move |c| storage::events::delete(c, id).await).await;
        let Some(cancelled) = gone.map_err(|e| self.failed(myself, e))? else {
            self.reload(myself).await?;
            let status = self.loaded()?.event.status;
            return Err(Rejection::WrongState(status).into());
        };
        for job in &cancelled {
            job_updates::cancelled(&self.tools, job).await;
        }
        self.phase = Phase::Missing;
        self.args.pages.generation.fetch_add(1, Ordering::AcqRel);
        self.tools.hub.lose(&Topic::Event(id));
        (self.args.idle)();
        Ok(())
    }

    /// Erases an entry; a winner forfeits and the next alternate moves up, in the same transaction. False: it was erased
    /// before.
    pub(super) async fn erase(&mut self, myself: &ActorRef<Msg>, entry_no: i64) -> Result<bool, EventError> {
        for _ in 0..TRIES {
            let now = crate::clock::now();
            match self.store_erasure(entry_no, now).await {
                Err(EventError::Storage(StorageError::Contended)) => self.reload(myself).await?,
                Err(EventError::Storage(e)) => return Err(self.failed(myself, e)),
                Err(e) => return Err(e),
                Ok(None) => return Ok(false),
                Ok(Some(erasure)) => {
                    self.erased(myself, erasure, now).await?;
                    return Ok(true);
                }
            }
        }
        Err(EventError::Storage(StorageError::Contended))
    }

    async fn store_erasure(&mut self, entry_no: i64, now: At) -> Result<Option<Erasure>, EventError> {
        let loaded = self.loaded()?;
        let (before, counted) = (loaded.event.clone(), entry_no <= loaded.returning_to);
        let erasing = self.tools.store.tx(async move |c| {
            if !before.status.is_open() {
                storage::events::lock(c, before.id).await?;
            }
            let known =
                storage::tally::returning(c, before.id, before.store, entry_no, entry_no).await?.is_some_and(|n| n > 0);
            let phone = match before.status.is_open() {
                true => storage::entries::phone_index(c, before.id, entry_no).await?,
                false => None,
            };
            let Some(entry) = storage::entries::erase(c, before.id, entry_no).await? else { return Ok(None) };
            // Shut meanwhile, by somebody else: with the row locked first, no draw can pass it by.
            if entry.version.is_none() && before.status.is_open() {
                return Err(StorageError::Contended);
            }
            let passed_on = if entry.version.is_none() { forfeit(c, &before, entry_no, now).await? } else { None };
            Ok(Some(Erasure { entry, returned: counted && known, phone, passed_on }))
        });
        Ok(erasing.await?)
    }

    async fn erased(&mut self, myself: &ActorRef<Msg>, erasure: Erasure, now: At) -> Result<(), EventError> {
        if let Some(phone) = erasure.phone {
            self.erasures.count(phone, now);
        }
        if let Some(version) = erasure.entry.version {
            let source = Source::ALL[usize::try_from(erasure.entry.channel).unwrap_or(7).min(7)];
            let loaded = self.loaded()?;
            let before = loaded.tally.version;
            loaded.tally.apply_erasure(version, source, erasure.entry.hour, now);
            loaded.logged(version, before);
            loaded.tally.returning = (loaded.tally.returning - i64::from(erasure.returned)).max(0);
            self.args.pages.latest.fetch_max(version, Ordering::AcqRel);
            self.touch(myself, Change::Counted);
        }
        if let Some(PassedOn { fact, after, version }) = erasure.passed_on {
            self.stored(after, version, now);
            self.changed(myself);
            self.tell_of_forfeits(&[fact]).await;
        }
        Ok(())
    }

    /// The owner has to know whom a prize goes to now.
    pub(super) async fn tell_of_forfeits(&mut self, facts: &[Fact]) {
        let Ok(event) = self.loaded().map(|l| l.event.clone()) else { return };
        for fact in facts {
            if let Fact::Forfeited { entry_no, promoted } = fact {
                crate::notices::tell(&self.tools, passed_on(&event, *entry_no, *promoted)).await;
            }
        }
    }

    /// A closed event without a root gets one, in the background.
    pub(super) fn ensure_root(&mut self, myself: &ActorRef<Msg>) {
        let Ok(LoadedEvent { event, .. }) = self.loaded() else { return };
        if event.status != Status::Closed || event.root.is_some() {
            return;
        }
        let event = event.clone();
        if std::mem::replace(&mut self.working, true) {
            return;
        }
        let (store, myself) = (self.tools.store.clone(), myself.clone());
        self.tools.tracker.spawn(async move {
            let result = draw::root(&store, event).await;
            let _ = myself.cast(Msg::Rooted(result));
        });
    }
}

/// Takes the prize of an erased winner; nothing happens to anybody else.
async fn forfeit(c: &mut Conn, before: &Event, entry_no: i64, now: At) -> storage::Result<Option<PassedOn>> {
    let forfeited = storage::draws::forfeit(c, before.id, entry_no, PassedOnWhy::Erased).await?;
    let Some(promoted) = forfeited else { return Ok(None) };
    let fact = Fact::Forfeited { entry_no, promoted };
    let mut after = before.clone();
    after.apply(&fact, now);
    let version = storage::events::commit(c, &after, before.revision, std::slice::from_ref(&fact), Who::System).await?;
    Ok(Some(PassedOn { fact, after, version }))
}

fn passed_on(event: &Event, entry_no: i64, promoted: Option<i64>) -> NewNotice {
    let title = event.title.as_deref().unwrap_or_default();
    let (ko, en) = match promoted {
        Some(next) => {
            (format!("예비 당첨자 {next}번이 대신 당첨됐어요."), format!("Alternate no. {next} wins instead."))
        }
        None => ("남은 예비 당첨자가 없어요.".into(), "There is no alternate left.".into()),
    };
    NewNotice {
        owner: event.owner,
        kind: "winner-forfeited",
        level: "warning",
        message_ko: format!("'{title}' 당첨자 {entry_no}번이 응모를 지웠어요. {ko}"),
        message_en: format!("Winner no. {entry_no} of '{title}' has erased the entry. {en}"),
        data: json!({"eventId": event.id, "entryNo": entry_no, "promoted": promoted}),
    }
}
