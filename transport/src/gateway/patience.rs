//! How long a request may take: as usual, and longer where its handler says that it waits for something.

use crate::state::App;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use futures_util::FutureExt;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Milliseconds that a request may take longer than usual. A handler grants them, so the headers and the body of a request
/// have the usual time, whatever they ask for, and so has a route that waits for nothing.
#[derive(Clone, Default)]
pub(crate) struct Patience(Arc<AtomicU64>);

impl Patience {
    /// The request waits so long for something from now on.
    pub(crate) fn grant(&self, wait: Duration) {
        self.0.store(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Did the request wait for something? How long it took says nothing about how fast we are then.
    pub(super) fn is_asked(&self) -> bool {
        !self.granted().is_zero()
    }

    fn granted(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// The answer; `None` when it was not made in time, or panicked.
    pub(super) async fn within<T>(&self, usual: Duration, answering: impl Future<Output = T>) -> Option<T> {
        let begun = Instant::now();
        let mut answering = pin!(AssertUnwindSafe(answering).catch_unwind());
        loop {
            let granted = self.granted();
            match timeout_at(begun + usual + granted, answering.as_mut()).await {
                Ok(answered) => return answered.ok(),
                Err(_) if self.granted() > granted => {}
                Err(_) => return None,
            }
        }
    }
}

impl FromRequestParts<App> for Patience {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const USUAL: Duration = Duration::from_millis(100);

    /// Low list: a body that is slow to come has the usual time; what is granted counts once it is granted.
    #[tokio::test]
    async fn only_what_waits_takes_longer() {
        let begun = Instant::now();
        assert_eq!(Patience::default().within(USUAL, pending::<()>()).await, None);
        assert!((USUAL..USUAL * 7).contains(&begun.elapsed()), "nobody granted more");
        let (patience, begun) = (Patience::default(), Instant::now());
        let waiting = async {
            tokio::time::sleep(USUAL / 5).await;
            patience.grant(USUAL * 6);
            pending::<()>().await;
        };
        assert_eq!(patience.within(USUAL, waiting).await, None);
        assert!(begun.elapsed() >= USUAL * 7, "what was granted counts");
        assert!(patience.is_asked());
        let fast = Patience::default();
        assert_eq!(fast.within(USUAL, async { 7 }).await, Some(7));
        assert!(!fast.is_asked());
    }

    #[tokio::test]
    async fn a_panic_stays_here() {
        let panics = async { panic!("expected: a handler panics") };
        assert_eq!(Patience::default().within::<()>(USUAL, panics).await, None);
    }
}
