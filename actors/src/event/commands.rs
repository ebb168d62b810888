//! Commands: decide, persist, apply, publish.

use super::{EventError, Loaded, Msg, Phase, State};
use crate::publishing;
use crate::{Approval, draw};
use domain::channel::Source;
use domain::event::{Command, Event, Fact, Rejection, Status, Who, decide};
use domain::event::{ContentItem, Move};
use domain::ids::{DistributionId, UserId};
use domain::time::Instant as At;
use domain::topic::Topic;
use futures_util::future::BoxFuture;
use ractor::ActorRef;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::notices::NewNotice;
use storage::{Conn, StorageError};

/// How often a command is decided anew when somebody else was first.
const TRIES: u32 = 3;

/// What else belongs into a transaction.
pub(super) type Extra = Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, storage::Result<()>> + Send>;

impl State {
    pub(super) async fn command(
        &mut self,
        myself: &ActorRef<Msg>,
        who: Who,
        command: Command,
        if_match: Option<i64>,
    ) -> Result<Arc<Event>, EventError> {
        for _ in 0..TRIES {
            let event = &self.owned(who)?.event;
            if if_match.is_some_and(|version| version != event.revision) {
                return Err(Rejection::Stale.into());
            }
            let now = crate::system::now();
            let facts = decide(event, command.clone(), now)?;
            if facts.is_empty() {
                return Ok(event.clone());
            }
            match self.persist(facts, who, now, None).await {
                Err(StorageError::Contended) => self.reload().await?,
                Err(e) => return Err(e.into()),
                Ok(()) => {
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

    /// Stores facts and fold in one transaction, with whatever else belongs to it, and applies them.
    pub(super) async fn persist(
        &mut self,
        mut facts: Vec<Fact>,
        who: Who,
        now: At,
        extra: Option<Extra>,
    ) -> Result<(), StorageError> {
        let Phase::Loaded(loaded) = &self.phase else { return Err(StorageError::Contended) };
        let before = loaded.event.clone();
        let (after, facts, version) = self
            .shared
            .store
            .tx(move |c| {
                Box::pin(async move {
                    let mut shut = None;
                    for fact in &mut facts {
                        if let Fact::Closed { entries, .. } = fact {
                            storage::events::lock(c, before.id).await?;
                            let (n, version) = storage::events::shut_gate(c, before.id).await?;
                            *entries = n;
                            shut = Some(version);
                        }
                    }
                    let mut after = Event::clone(&before);
                    for fact in &facts {
                        after.apply(fact, now);
                    }
                    if let Some(extra) = extra {
                        extra(c).await?;
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
            })
            .await?;
        if let Phase::Loaded(loaded) = &mut self.phase {
            loaded.event = Arc::new(after);
            loaded.stale |= version != loaded.tally.version + 1;
            loaded.tally.version = loaded.tally.version.max(version);
            loaded.tally.at = Some(now);
        }
        self.args.known.latest.fetch_max(version, Ordering::AcqRel);
        tracing::debug!(event = %self.args.id, facts = ?facts.iter().map(Fact::kind).collect::<Vec<_>>(), "stored");
        Ok(())
    }

    /// What follows from any change: handles know, timers are set, consoles see it.
    pub(super) fn changed(&mut self, myself: &ActorRef<Msg>) {
        self.gate = None;
        self.know();
        self.arm(myself);
        self.ensure_root(myself);
        self.touch(myself, "event.changed");
    }

    /// Reads the row again: somebody else changed it.
    pub(super) async fn reload(&mut self) -> Result<(), EventError> {
        let id = self.args.id;
        let read = self.shared.store.run(move |c| {
            Box::pin(async move { Ok((storage::events::get(c, id).await?, storage::tally::load(c, id).await?)) })
        });
        let (event, tally) = read.await?;
        let loaded = self.loaded()?;
        loaded.event = Arc::new(event.ok_or(EventError::NotFound)?);
        let returning = loaded.tally.returning;
        loaded.tally = domain::dashboard::Tally { returning, ..tally };
        loaded.stale = false;
        // Pages made before this are older than what the actor knows now.
        let version = loaded.tally.version;
        self.args.known.latest.fetch_max(version, Ordering::AcqRel);
        Ok(())
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
        let plan = publishing::plan(&self.shared, &event).await?.ok_or(EventError::StoreRejected)?;
        let seed = storage::crypto::random32();
        let distribution = DistributionId::new();
        let content: Vec<ContentItem> = plan.content;
        let command = Command::Approve { commitment: domain::draw::commitment(&seed), distribution, content };
        let now = crate::system::now();
        let facts = decide(&event, command, now)?;
        let sealed = self.shared.keys.seal("events.seed", event.id, &seed);
        let publications = plan.publications;
        let extra: Extra = Box::new(move |c| {
            Box::pin(async move {
                storage::events::set_seed(c, event.id, sealed).await?;
                storage::distributions::insert(c, distribution, event.id, owner, &publications).await?;
                storage::jobs::insert(c, publishing::job(distribution, event.id, owner)).await?;
                Ok(())
            })
        });
        match self.persist(facts, who, now, Some(extra)).await {
            Ok(()) => {}
            Err(StorageError::Contended | StorageError::Conflict { .. }) => {
                self.reload().await?;
                let status = self.loaded()?.event.status;
                return Err(Rejection::WrongState(status).into());
            }
            Err(e) => return Err(e.into()),
        }
        self.shared.jobs().wake();
        self.changed(myself);
        Ok(Approval { event: self.loaded()?.event.clone(), distribution })
    }

    /// Takes back what was published of a cancelled event.
    async fn recall(&mut self, who: Who) -> Result<(), EventError> {
        let event = &self.loaded()?.event;
        let (Some(distribution), id, owner) = (event.distribution, event.id, event.owner) else { return Ok(()) };
        tracing::info!(event = %id, %who, "recalling what was published");
        publishing::recall(&self.shared, distribution, id, owner).await?;
        Ok(())
    }

    pub(super) async fn delete(&mut self, owner: UserId) -> Result<(), EventError> {
        let event = &self.owned(Who::Owner(owner))?.event;
        let (id, status) = (event.id, event.status);
        if status.after(Move::Plan).is_none() {
            return Err(Rejection::WrongState(status).into());
        }
        let gone = self.shared.store.tx(move |c| Box::pin(async move { storage::events::delete(c, id).await })).await?;
        if !gone {
            self.reload().await?;
            let status = self.loaded()?.event.status;
            return Err(Rejection::WrongState(status).into());
        }
        self.phase = Phase::Missing;
        self.args.known.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.hub.lose(&Topic::Event(id));
        (self.args.idle)();
        Ok(())
    }

    /// Erases an entry; a winner forfeits and the next alternate moves up.
    pub(super) async fn erase(&mut self, myself: &ActorRef<Msg>, entry_no: i64) -> Result<bool, EventError> {
        let id = self.loaded()?.event.id;
        let erased = self
            .shared
            .store
            .tx(move |c| Box::pin(async move { storage::entries::erase(c, id, entry_no).await }))
            .await?;
        let Some(erased) = erased else { return Ok(false) };
        if let Some(version) = erased.version {
            let source = Source::ALL[usize::try_from(erased.channel).unwrap_or(7).min(7)];
            let loaded = self.loaded()?;
            loaded.stale |= version != loaded.tally.version + 1;
            loaded.tally.apply_erasure(version, source, erased.hour, crate::system::now());
            loaded.returning_to = 0;
            loaded.tally.returning = 0;
            self.args.known.latest.fetch_max(version, Ordering::AcqRel);
            self.touch(myself, "entries.counted");
        } else if matches!(self.loaded()?.event.status, Status::Drawn | Status::Settled) {
            self.forfeit(myself, entry_no).await?;
        }
        Ok(true)
    }

    /// Takes the prize of an erased winner; nothing happens to anybody else.
    pub(super) async fn forfeit(&mut self, myself: &ActorRef<Msg>, entry_no: i64) -> Result<(), EventError> {
        let id = self.loaded()?.event.id;
        let moved = self
            .shared
            .store
            .tx(move |c| Box::pin(async move { storage::draws::forfeit(c, id, entry_no).await }))
            .await?;
        if let Some(promoted) = moved {
            let fact = Fact::Forfeited { entry_no, promoted };
            let notice = passed_on(&self.loaded()?.event, entry_no, promoted);
            crate::notices::tell(&self.shared, notice).await;
            self.persist(vec![fact], Who::System, crate::system::now(), None).await?;
            self.changed(myself);
        }
        Ok(())
    }

    /// A closed event without a root gets one, in the background.
    pub(super) fn ensure_root(&mut self, myself: &ActorRef<Msg>) {
        let Ok(Loaded { event, .. }) = self.loaded() else { return };
        if event.status != Status::Closed || event.root.is_some() {
            return;
        }
        let event = event.clone();
        if std::mem::replace(&mut self.working, true) {
            return;
        }
        let (store, myself) = (self.shared.store.clone(), myself.clone());
        self.shared.tracker.spawn(async move {
            let result = draw::root(&store, event).await;
            let _ = myself.cast(Msg::Rooted(result));
        });
    }
}

/// The owner has to know whom a prize goes to now.
fn passed_on(event: &Event, entry_no: i64, promoted: Option<i64>) -> NewNotice {
    let title = event.title.as_deref().unwrap_or_default();
    let (ko, en) = match promoted {
        Some(next) => {
            (format!("예비 당첨자 {next}번이 대신 당첨되었습니다."), format!("Alternate no. {next} wins instead."))
        }
        None => ("남은 예비 당첨자가 없습니다.".into(), "There is no alternate left.".into()),
    };
    NewNotice {
        owner: event.owner,
        kind: "winner-forfeited",
        level: "warning",
        message_ko: format!("'{title}' 당첨자 {entry_no}번이 응모를 지웠습니다. {ko}"),
        message_en: format!("Winner no. {entry_no} of '{title}' has erased the entry. {en}"),
        data: json!({"eventId": event.id, "entryNo": entry_no, "promoted": promoted}),
    }
}
