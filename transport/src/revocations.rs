//! Logins that ended before their access tokens: a set in process, fed by logouts here and by a poll for those of other
//! nodes. No database read per request.

use domain::ids::SessionId;
use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, Instant};
use storage::Store;
use tokio::sync::broadcast;

/// An access token lives a quarter of an hour; after that nobody needs to remember.
const KEEP: Duration = Duration::from_secs(1_300);

/// Ended logins.
pub(crate) struct Revocations {
    ended: RwLock<HashMap<SessionId, Instant>>,
    news: broadcast::Sender<SessionId>,
}

impl Revocations {
    pub(crate) fn new() -> Self {
        Self { ended: RwLock::default(), news: broadcast::channel(1024).0 }
    }

    /// Adds the logins that ended lately, here before the start or on another node.
    ///
    /// # Errors
    /// The database could not be asked: what ended meanwhile is not known.
    pub(crate) async fn poll(&self, store: &Store) -> storage::Result<()> {
        let ended = store.run(|c| Box::pin(async move { storage::sessions::recently_revoked(c).await })).await?;
        ended.into_iter().for_each(|session| self.add(session));
        Ok(())
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.ended.read().expect("nobody panics holding it").contains_key(&session)
    }

    /// Ends a login here: its sockets hear of it.
    pub(crate) fn add(&self, session: SessionId) {
        let mut ended = self.ended.write().expect("nobody panics holding it");
        let now = Instant::now();
        if ended.len() > 50_000 {
            ended.retain(|_, at| now.duration_since(*at) < KEEP);
        }
        if ended.insert(session, now).is_none() {
            let _ = self.news.send(session);
        }
    }

    /// Logins as they end. Who lags must ask [`Revocations::contains`].
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SessionId> {
        self.news.subscribe()
    }
}
