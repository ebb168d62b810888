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
use serde_json::Value;
use simulator::Simulator;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
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
        &self.handles.shared.store
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
                .run(move |c| {
                    Box::pin(
                        async move { storage::audit::write(c, who, origin.to_string(), action, object, detail).await },
                    )
                })
                .await;
            if let Err(e) = written {
                tracing::error!(error = %e, action, "an audit record was not written");
            }
        });
    }
}

/// Events by slug: a slug never changes, so what was found is kept.
#[derive(Default)]
pub(crate) struct Slugs(Mutex<HashMap<String, domain::ids::EventId>>);

/// Slugs remembered; past it they are forgotten all at once and found again.
const MAX_SLUGS: usize = 50_000;

impl Slugs {
    /// The event of a slug.
    pub(crate) async fn id(&self, app: &App, slug: &str) -> Result<domain::ids::EventId, crate::error::Problem> {
        if let Some(id) = self.0.lock().expect("nobody panics holding it").get(slug) {
            return Ok(*id);
        }
        let wanted = slug.to_owned();
        let found = app.store().run(move |c| Box::pin(async move { storage::events::id_of_slug(c, &wanted).await }));
        // Boxed: what seldom happens is not moved with every request.
        let found = Box::pin(found).await?;
        let id = found.ok_or_else(crate::error::Problem::not_found)?;
        let mut known = self.0.lock().expect("nobody panics holding it");
        if known.len() >= MAX_SLUGS {
            known.clear();
        }
        known.insert(slug.to_owned(), id);
        Ok(id)
    }
}
