//! Pages that many read at once: finished bytes, made once per change, in front of the cache.
//!
//! A page is current while nobody was told of a newer version of the event's log and nothing outside the log changed.
//! A reader that finds none asks the actor, whose mailbox is the single flight: the first question makes the page, and the
//! others behind it find it.

use super::{EventError, Msg, State};
use crate::entry::EntryMeta;
use crate::view;
use bytes::{BufMut, Bytes, BytesMut};
use chrono::Utc;
use domain::ids::{EventId, UserId};
use parking_lot::RwLock;
use ractor::ActorRef;
use rand::Rng;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use storage::cache::ttl::DASHBOARD;

/// What outlives a message: read by handles without asking.
#[derive(Default)]
pub(crate) struct EventPages {
    /// Whose event it is; unset until loaded.
    pub(crate) owner: OnceLock<UserId>,
    /// The newest version of the event's log that anybody was told of.
    pub(crate) latest: AtomicI64,
    /// Raised with every change outside the log: the shop's name, a channel's figures.
    pub(crate) generation: AtomicU64,
    /// What entries need; none until loaded.
    pub(crate) meta: RwLock<Option<Arc<EntryMeta>>>,
    analytics: RwLock<Option<Arc<Page<Bytes>>>>,
    public: RwLock<Option<Arc<Page<Public>>>>,
}

/// Something finished, and of when it is.
pub struct Page<T> {
    pub(crate) version: i64,
    generation: u64,
    until: Instant,
    pub(crate) body: T,
}

/// The public page of an event.
pub struct Public {
    /// Whether it may be shown: the event was approved once.
    pub listed: bool,
    /// JSON with the notice in Korean.
    pub korean: Bytes,
    /// JSON with the notice in English.
    pub english: Bytes,
}

impl EventPages {
    fn current<T>(&self, page: &RwLock<Option<Arc<Page<T>>>>) -> Option<Arc<Page<T>>> {
        let page = page.read().clone()?;
        let current = page.version >= self.latest.load(Ordering::Acquire)
            && page.generation == self.generation.load(Ordering::Acquire)
            && page.lasts();
        current.then_some(page)
    }

    /// The analytics, if they are current.
    pub(crate) fn analytics(&self) -> Option<Arc<Page<Bytes>>> {
        self.current(&self.analytics)
    }

    /// The public page, if it is current.
    pub(crate) fn public(&self) -> Option<Arc<Page<Public>>> {
        self.current(&self.public)
    }

    /// Keeps no finished page any longer.
    pub(crate) fn forget(&self) {
        *self.analytics.write() = None;
        *self.public.write() = None;
    }

    /// Keeps analytics that another process or an earlier life of the actor made, and that were current at a generation.
    pub(crate) fn keep_analytics(&self, version: i64, generation: u64, body: Bytes) -> Arc<Page<Bytes>> {
        let page = Arc::new(Page::new(version, generation, body));
        *self.analytics.write() = Some(page.clone());
        page
    }
}

impl<T> Page<T> {
    fn new(version: i64, generation: u64, body: T) -> Self {
        // Jittered, so that not all are made again in the same moment.
        let lives = DASHBOARD.mul_f64(rand::rng().random_range(0.9..1.1));
        Self { version, generation, until: Instant::now() + lives, body }
    }

    /// For whoever asked, and nobody else: there is more to come without a new version.
    fn passing(mut self) -> Self {
        self.until = Instant::now();
        self
    }

    /// May others be shown it?
    pub(crate) fn lasts(&self) -> bool {
        self.until > Instant::now()
    }

    /// Version of the event's log that it shows: the offset of the event's topics.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// What is shown.
    #[must_use]
    pub fn body(&self) -> &T {
        &self.body
    }
}

const DASHBOARD_KEY: &str = "analytics:dashboard:";

/// Cache key of the dashboard (CK-05).
pub(crate) fn dashboard_key(id: EventId) -> String {
    format!("{DASHBOARD_KEY}{id}")
}

/// Whose dashboard is kept under a cache key, if any's.
#[must_use]
pub fn dashboard_of(key: &str) -> Option<EventId> {
    key.strip_prefix(DASHBOARD_KEY)?.parse().ok()
}

/// Versions of log and shop, and the body, as one cached value.
pub(crate) fn join_versions(log: i64, shop: i64, body: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + body.len());
    out.put_i64(log);
    out.put_i64(shop);
    out.extend_from_slice(body);
    out.freeze()
}

/// A cached value as versions of log and shop, and the body.
pub(crate) fn split_versions(cached: &Bytes) -> Option<(i64, i64, Bytes)> {
    let at = |from: usize| Some(i64::from_be_bytes(cached.get(from..from + 8)?.try_into().ok()?));
    Some((at(0)?, at(8)?, cached.slice(16..)))
}

impl State {
    /// The analytics, and whether they were made for this question: not when whoever asked before had them made.
    pub(super) async fn analytics(&mut self, myself: &ActorRef<Msg>) -> Result<(Arc<Page<Bytes>>, bool), EventError> {
        if !self.loaded()?.stale
            && let Some(page) = self.args.pages.analytics()
        {
            return Ok((page, false));
        }
        let counted = self.settle(myself).await?;
        if !counted {
            self.count_later(myself);
        }
        metrics::counter!("dashboard_loads_total").increment(1);
        let (hub, generation) = (self.tools.hub.clone(), self.generation);
        let l = self.loaded()?;
        let d = super::dashboard::dashboard(l);
        let body = view::analytics(&l.event, &d, &hub.position(l.tally.version), l.tally.at.unwrap_or_else(Utc::now));
        let page = Page::new(l.tally.version, generation, Bytes::from(body.to_string()));
        let page = Arc::new(if counted { page } else { page.passing() });
        *self.args.pages.analytics.write() = Some(page.clone());
        Ok((page, true))
    }

    /// The public page; made anew unless whoever asked before had it made.
    pub(super) async fn public(&mut self, myself: &ActorRef<Msg>) -> Result<Arc<Page<Public>>, EventError> {
        if !self.loaded()?.stale
            && let Some(page) = self.args.pages.public()
        {
            return Ok(page);
        }
        if self.loaded()?.stale {
            self.reload(myself).await?;
        }
        let generation = self.generation;
        let l = self.loaded()?;
        let mut body = view::public(&l.event, &l.shop.name, l.tally.participants());
        let korean = Bytes::from(body.to_string());
        body["notice"]["text"] = domain::notice::text_en(&l.shop.name).into();
        let listed = !l.event.status.is_drafting() && l.event.commitment.is_some();
        let public = Public { listed, korean, english: Bytes::from(body.to_string()) };
        let page = Arc::new(Page::new(l.tally.version, generation, public));
        *self.args.pages.public.write() = Some(page.clone());
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_current_until_anything_newer_is_known() {
        let pages = EventPages::default();
        assert!(pages.analytics().is_none());
        pages.keep_analytics(3, 0, Bytes::from_static(b"{}"));
        assert!(pages.analytics().is_some());
        pages.latest.store(3, Ordering::Release);
        assert!(pages.analytics().is_some(), "it shows version 3");
        pages.latest.store(4, Ordering::Release);
        assert!(pages.analytics().is_none(), "somebody was told of version 4");
        pages.keep_analytics(4, 0, Bytes::from_static(b"{}"));
        assert!(pages.analytics().is_some());
        pages.generation.fetch_add(1, Ordering::AcqRel);
        assert!(pages.analytics().is_none(), "the shop was renamed");
        pages.keep_analytics(9, 0, Bytes::from_static(b"{}"));
        assert!(pages.analytics().is_none(), "what was kept before the edit");
    }
}
