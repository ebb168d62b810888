//! What every handler can reach.

use crate::auth::{Passwords, Session, Tokens};
use crate::config::Settings;
use crate::origins::Origins;
use crate::ratelimit::RateLimit;
use crate::revocations::Revocations;
use crate::tally::Tally;
use crate::throttle::LoginLimits;
use crate::verify::TaxBudget;
use actors::Handles;
use actors::hub::Reader;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use serde_json::Value;
use simulator::Simulator;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use storage::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by all handlers.
pub(crate) type App = Arc<State>;

/// The server's state.
pub(crate) struct State {
    pub(crate) handles: Handles,
    pub(crate) settings: Settings,
    pub(crate) public_url: String,
    pub(crate) origins: Origins,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) rate: RateLimit,
    pub(crate) logins: Arc<LoginLimits>,
    /// Refused signups by address.
    pub(crate) signups: Tally<IpAddr>,
    pub(crate) tax_budget: TaxBudget,
    /// Requests of strangers with an `Idempotency-Key` that are being handled.
    pub(crate) strangers: crate::gateway::InFlight,
    pub(crate) revocations: Revocations,
    pub(crate) slugs: Slugs,
    pub(crate) documents: crate::http::documents::Documents,
    pub(crate) published: crate::http::published::PublishedDraws,
    pub(crate) clicks: crate::clicks::RecentClicks,
    pub(crate) sockets: crate::ws::Sockets,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) meters: crate::gateway::Meters,
    pub(crate) simulator: Option<Simulator>,
    /// Set when the server drains: not ready, sockets are told to go.
    pub(crate) draining: CancellationToken,
    pub(crate) ready: AtomicBool,
    /// Sockets and background tasks of the transport.
    pub(crate) tracker: TaskTracker,
}

impl State {
    pub(crate) fn store(&self) -> &Store {
        &self.handles.tools().store
    }

    /// Holds an answer until there is news, until then, or until the server drains: whoever waits asks the next one.
    pub(crate) async fn hold(&self, news: &Reader, until: tokio::time::Instant) {
        tokio::select! {
            _ = tokio::time::timeout_at(until, news.due()) => {}
            () = self.draining.cancelled() => {}
        }
    }

    /// Writes an audit record in the background; that it cannot is an error in the log.
    pub(crate) fn audit(
        self: &Arc<Self>,
        who: Option<Session>,
        origin: IpAddr,
        action: &'static str,
        object: String,
        detail: Value,
    ) {
        let who = who.map_or_else(|| "anonymous".to_owned(), |s| format!("owner:{}", s.user));
        self.audit_as(who, origin, action, object, detail);
    }

    pub(crate) fn audit_as(
        self: &Arc<Self>,
        who: String,
        origin: IpAddr,
        action: &'static str,
        object: String,
        detail: Value,
    ) {
        let store = self.store().clone();
        self.tracker.spawn(async move {
            let written = store
                .run(async move |c| storage::audit::write(c, who, origin.to_string(), action, object, detail).await)
                .await;
            if let Err(e) = written {
                tracing::error!(error = %e, action, "an audit record was not written");
            }
        });
    }
}

/// Events by slug: a slug never changes, so what was found is kept.
#[derive(Default)]
pub(crate) struct Slugs {
    known: Mutex<HashMap<String, domain::ids::EventId>>,
    unknown: UnknownSlugs,
}

/// Slugs remembered; past it they are forgotten all at once and found again.
const MAX_SLUGS: usize = 50_000;

impl Slugs {
    /// The event of a slug.
    pub(crate) async fn id(&self, app: &App, slug: &str) -> Result<domain::ids::EventId, crate::error::Problem> {
        if let Some(id) = self.known.lock().get(slug) {
            return Ok(*id);
        }
        if self.unknown.contains(slug, Instant::now()) {
            return Err(crate::error::Problem::not_found());
        }
        let wanted = slug.to_owned();
        let found = app.store().run(async move |c| storage::events::id_of_slug(c, &wanted).await);
        // Boxed: what seldom happens is not moved with every request.
        let found = Box::pin(found).await?;
        let Some(id) = found else {
            self.unknown.add(slug, Instant::now());
            return Err(crate::error::Problem::not_found());
        };
        let mut known = self.known.lock();
        if known.len() >= MAX_SLUGS {
            known.clear();
        }
        known.insert(slug.to_owned(), id);
        Ok(id)
    }
}

/// Slugs that were looked for in vain: for a while nobody else looks for them. A slug is drawn at random, so that nobody asks for
/// one before its event is there.
#[derive(Default)]
struct UnknownSlugs(Mutex<HashMap<String, Instant>>);

/// Seconds for which a slug that was not found is not looked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Unknown slugs remembered: a megabyte. Past it they are forgotten all at once and looked for again.
const MAX_UNKNOWN_SLUGS: usize = 10_000;
/// Bytes of the longest slug remembered as unknown. Ours are shorter.
const MAX_UNKNOWN_BYTES: usize = 64;

impl UnknownSlugs {
    fn contains(&self, slug: &str, now: Instant) -> bool {
        let unknown = self.0.lock();
        unknown.get(slug).is_some_and(|at| now.duration_since(*at) < UNKNOWN_FOR)
    }

    fn add(&self, slug: &str, now: Instant) {
        if slug.len() > MAX_UNKNOWN_BYTES {
            return;
        }
        let mut unknown = self.0.lock();
        if unknown.len() >= MAX_UNKNOWN_SLUGS {
            unknown.clear();
        }
        unknown.insert(slug.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_slugs_are_remembered_for_seconds_and_up_to_a_number() {
        let (unknown, now) = (UnknownSlugs::default(), Instant::now());
        unknown.add("one", now);
        assert!(unknown.contains("one", now) && !unknown.contains("other", now));
        assert!(!unknown.contains("one", now + UNKNOWN_FOR));
        let long = "a".repeat(MAX_UNKNOWN_BYTES + 1);
        unknown.add(&long, now);
        assert!(!unknown.contains(&long, now));
        for n in 0..=MAX_UNKNOWN_SLUGS {
            unknown.add(&n.to_string(), now);
        }
        assert!(unknown.0.lock().len() <= MAX_UNKNOWN_SLUGS);
        assert!(unknown.contains(&MAX_UNKNOWN_SLUGS.to_string(), now));
    }
}
