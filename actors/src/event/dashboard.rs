//! The dashboard: folded from commits, read again when one was missed, published at most ten times a second.

use super::{EventError, HITS_INTERVAL, LOAD_RETRY_PAUSE, Msg, State, UPDATE_INTERVAL};
use crate::view;
use chrono::Utc;
use domain::catalog::{INDUSTRIES, industry_of};
use domain::channel::Source;
use domain::dashboard::{Commit, Dashboard, fold};
use domain::event::Status;
use domain::topic::Topic;
use ractor::ActorRef;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What changed since the last update. One update stands for all of it, and is called by the last of these: the figures of
/// channels are told to the owner only, so an entry must not hide behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    Measured,
    Counted,
    Moved,
}

impl Change {
    fn kind(self) -> &'static str {
        match self {
            Self::Measured => "channels.measured",
            Self::Counted => "entries.counted",
            Self::Moved => "event.changed",
        }
    }
}

impl State {
    pub(super) fn committed(&mut self, myself: &ActorRef<Msg>, commit: &Commit) {
        if let Ok(l) = self.loaded() {
            let before = l.tally.version;
            l.tally.apply_commit(commit);
            l.logged(commit.version, before);
        }
        self.touch(myself, Change::Counted);
    }

    pub(super) fn overlooked(&mut self, myself: &ActorRef<Msg>) {
        if let Ok(l) = self.loaded() {
            l.stale = true;
        }
        self.touch(myself, Change::Counted);
    }

    /// Something changed: publish now, or when the last update is old enough.
    pub(super) fn touch(&mut self, myself: &ActorRef<Msg>, change: Change) {
        let waiting = self.unpublished;
        self.unpublished = waiting.max(Some(change));
        if waiting.is_some() {
            return;
        }
        let since = self.last_published.map_or(UPDATE_INTERVAL, |at| at.elapsed());
        if since >= UPDATE_INTERVAL {
            let _ = myself.cast(Msg::PublishDue);
        } else {
            myself.send_after(UPDATE_INTERVAL.saturating_sub(since), || Msg::PublishDue);
        }
    }

    pub(super) async fn publish(&mut self, myself: &ActorRef<Msg>) {
        let Some(change) = self.unpublished.take() else { return };
        // An update must not show less than was acknowledged.
        if self.loaded().is_ok_and(|l| l.stale)
            && let Err(e) = self.reload(myself).await
        {
            tracing::warn!(event = %self.args.id, error = %e, "a missed commit could not be read; trying again");
            self.unpublished = Some(change);
            myself.send_after(LOAD_RETRY_PAUSE, || Msg::PublishDue);
            return;
        }
        // What was found in it is told as what it is.
        let change = self.unpublished.take().max(Some(change)).unwrap_or(change);
        self.last_published = Some(Instant::now());
        let hub = self.tools.hub.clone();
        let owner_topic = Topic::Event(self.args.id);
        if hub.is_read(&owner_topic) {
            self.count_for_update(myself).await;
        }
        let Ok(l) = self.loaded() else { return };
        let public_topic = Topic::Public(l.event.slug.clone());
        let (version, at) = (l.tally.version, l.tally.at.unwrap_or_else(Utc::now));
        hub.publish(&owner_topic, version, change.kind(), at, || {
            let d = dashboard(l);
            view::event_update(&l.event, &d)
        });
        if change != Change::Measured {
            let drawn = change == Change::Moved && l.event.status == Status::Drawn;
            let kind = if drawn { "draw.published" } else { change.kind() };
            hub.publish(&public_topic, version, kind, at, || public(l));
        }
        self.counted_shown();
    }

    pub(super) async fn refresh(&mut self, myself: &ActorRef<Msg>, generation: u64) {
        let id = self.args.id;
        let Ok(store) = self.loaded().map(|l| l.shop.id) else { return };
        let read = self.tools.store.run(async move |c| {
            let figures = storage::stats::load(c, id).await?;
            let shop = storage::stores::get(c, store).await?;
            Ok((figures, shop))
        });
        match read.await {
            Ok((figures, shop)) => {
                let participants = |s: &mut Self| s.loaded().map(|l| l.tally.participants()).unwrap_or_default();
                let before = participants(self);
                if let Ok(l) = self.loaded() {
                    l.figures = figures;
                    if let Some(shop) = shop {
                        l.shop = shop;
                    }
                    l.stale = true;
                }
                if let Err(e) = self.settle(myself).await {
                    return self.refresh_again(myself, generation, &e);
                }
                self.generation = self.generation.max(generation);
                self.know();
                let counted = participants(self) != before;
                self.touch(myself, if counted { Change::Counted } else { Change::Measured });
            }
            Err(e) => self.refresh_again(myself, generation, &e.into()),
        }
    }

    fn refresh_again(&mut self, myself: &ActorRef<Msg>, generation: u64, e: &EventError) {
        tracing::warn!(event = %self.args.id, error = %e, "an event could not be read again; trying again");
        myself.send_after(LOAD_RETRY_PAUSE, move || Msg::Refresh(generation));
    }

    pub(super) fn hit(&mut self, myself: &ActorRef<Msg>, source: Source) {
        if self.hits.is_empty() {
            myself.send_after(HITS_INTERVAL, || Msg::HitsDue);
        }
        *self.hits.entry(source).or_default() += 1;
    }

    pub(super) async fn store_hits(&mut self, myself: &ActorRef<Msg>) {
        let hits = std::mem::take(&mut self.hits);
        let id = self.args.id;
        let adding = hits.clone();
        let stored = self
            .tools
            .store
            .tx(async move |c| {
                storage::stats::add_hits(c, id, &adding).await?;
                storage::events::log_fact(c, id).await
            })
            .await;
        match stored {
            Ok(version) => {
                if let Ok(l) = self.loaded() {
                    for (source, n) in hits {
                        *l.figures.hits.entry(source).or_default() += n;
                    }
                }
                self.logged(version);
                self.touch(myself, Change::Measured);
            }
            Err(e) => tracing::warn!(event = %id, error = %e, "link visits were not counted"),
        }
    }

    /// The event's log has a row more, which changes nothing in the tally.
    pub(super) fn logged(&mut self, version: i64) {
        if let Ok(l) = self.loaded() {
            l.logged(version, l.tally.version);
        }
        self.args.pages.latest.fetch_max(version, Ordering::AcqRel);
    }
}

pub(super) fn dashboard(l: &super::LoadedEvent) -> Dashboard {
    let industry = industry_of(&l.shop.industry).unwrap_or(&INDUSTRIES[0]);
    fold(&l.tally, &l.figures, &l.event.channels, &l.event.prizes, industry)
}

fn public(l: &super::LoadedEvent) -> Value {
    json!({"count": l.tally.participants(), "status": l.event.status, "endsAt": l.event.ends_at})
}
