//! Logins that ended before their access tokens: a set in process, fed by logouts here and by a poll for those of other
//! nodes. No database read per request.

use domain::ids::SessionId;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use storage::Store;
use tokio::sync::broadcast;

/// Time for which a revocation is remembered: an access token lives a quarter of an hour.
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
        self.forget(Instant::now());
        let ended = store.run(async move |c| storage::sessions::recently_revoked(c).await).await?;
        self.learn(ended);
        Ok(())
    }

    /// Adds those of many that are not known yet: most are, and nobody who asks waits for them.
    fn learn(&self, ended: Vec<SessionId>) {
        let unknown: Vec<SessionId> = {
            let known = self.ended.read();
            ended.into_iter().filter(|session| !known.contains_key(session)).collect()
        };
        unknown.into_iter().for_each(|session| self.add(session));
    }

    /// Forgets those that no access token outlives.
    fn forget(&self, now: Instant) {
        let mut ended = self.ended.write();
        ended.retain(|_, at| now.duration_since(*at) < KEEP);
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.ended.read().contains_key(&session)
    }

    /// Ends a login here: its sockets hear of it.
    pub(crate) fn add(&self, session: SessionId) {
        let mut ended = self.ended.write();
        if ended.insert(session, Instant::now()).is_none() {
            let _ = self.news.send(session);
        }
    }

    /// Logins as they end. Who lags must ask [`Revocations::contains`].
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SessionId> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_news_and_has_its_time() {
        let (revocations, sessions) = (Revocations::new(), [SessionId::new(), SessionId::new()]);
        let mut news = revocations.subscribe();
        revocations.add(sessions[0]);
        let added = Instant::now();
        revocations.learn(sessions.to_vec());
        revocations.learn(sessions.to_vec());
        assert_eq!((news.try_recv().ok(), news.try_recv().ok()), (Some(sessions[0]), Some(sessions[1])));
        assert!(news.try_recv().is_err(), "each is told once");
        assert!(revocations.ended.read()[&sessions[0]] <= added, "a poll makes nothing younger");
        revocations.forget(added);
        assert!(sessions.iter().all(|session| revocations.contains(*session)));
        revocations.forget(Instant::now() + KEEP);
        assert!(revocations.ended.read().is_empty());
    }
}
