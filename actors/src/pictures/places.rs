//! Turns to paint: one composition at a time for an account, and a few of all accounts.

use domain::ids::UserId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;
use storage::{Result, StorageError};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore};
use uuid::Uuid;

/// Three seconds that a look waits behind other compositions of the same account. A request ends after ten seconds, and a
/// picture as it is serves better than an error.
const MAX_LOOK_WAIT: Duration = Duration::from_secs(3);
/// Eight seconds that an edit waits: with its composition it ends within the ten seconds of a request.
const MAX_EDIT_WAIT: Duration = Duration::from_secs(8);
/// Four pictures are rasterised at once: each takes a core and some megabytes.
const MAX_RASTERISED: usize = 4;

/// Turns that are held or waited for, by account or picture.
static TURNS: LazyLock<Mutex<HashMap<Uuid, Weak<Turn<()>>>>> = LazyLock::new(Mutex::default);
static RASTER_PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MAX_RASTERISED)));

/// The right to compose, until it is dropped.
pub(super) type CompositionPlace = OwnedMutexGuard<()>;

/// Waits for the turn of an account, or of a picture, as long as it takes.
pub(super) async fn wait(of: Uuid) -> CompositionPlace {
    let turn = {
        let mut turns = TURNS.lock();
        turns.retain(|_, turn| turn.strong_count() > 0);
        let held = turns.get(&of).and_then(Weak::upgrade);
        held.unwrap_or_else(|| {
            let turn = Arc::new(Turn::new(()));
            turns.insert(of, Arc::downgrade(&turn));
            turn
        })
    };
    turn.lock_owned().await
}

/// Waits for the turn of an account to paint for a look, up to three seconds.
///
/// # Errors
/// [`StorageError::Busy`]: it did not come.
pub(super) async fn wait_for_look(owner: UserId) -> Result<CompositionPlace> {
    wait_within(owner.0, MAX_LOOK_WAIT).await
}

/// Waits for the turn of an account to paint an edit, up to eight seconds.
///
/// # Errors
/// [`StorageError::Busy`]: it did not come.
pub(super) async fn wait_for_edit(owner: UserId) -> Result<CompositionPlace> {
    wait_within(owner.0, MAX_EDIT_WAIT).await
}

async fn wait_within(of: Uuid, limit: Duration) -> Result<CompositionPlace> {
    tokio::time::timeout(limit, wait(of)).await.map_err(|_| StorageError::Busy)
}

/// Rasterises off the async threads; without a Hangul font the picture stays SVG. The bytes and their extension.
pub(super) async fn raster(fonts: creative::Fonts, svg: String) -> (Vec<u8>, &'static str) {
    let place = RASTER_PERMITS.clone().acquire_owned().await;
    crate::draw::blocking(move || {
        // The place is held until the work ends, even where its caller is gone.
        let _place = place;
        if fonts.hangul().is_some() {
            if let Some(hole) = fonts.hole_in(&svg) {
                tracing::warn!(%hole, "no font of this machine draws all of a picture's text");
            }
            match fonts.jpeg(&svg) {
                Ok(jpeg) => return (jpeg, "jpg"),
                Err(e) => tracing::warn!(error = %e, "a picture could not be rasterised"),
            }
        }
        (svg.into_bytes(), "svg")
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Case H4: compositions of one account follow each other, those of another do not wait for them.
    #[tokio::test]
    async fn an_account_composes_one_picture_at_a_time() {
        let (owner, other) = (Uuid::now_v7(), Uuid::now_v7());
        static COMPOSING: AtomicU32 = AtomicU32::new(0);
        let compose = |_| async move {
            let _place = wait(owner).await;
            assert_eq!(COMPOSING.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            tokio::task::yield_now().await;
            COMPOSING.fetch_sub(1, Ordering::SeqCst);
        };
        futures_util::future::join_all((0..20).map(compose)).await;
        let held = wait(owner).await;
        drop(wait(other).await);
        drop(held);
        assert!(TURNS.lock().get(&owner).is_none_or(|turn| turn.strong_count() == 0), "nobody holds it");
    }

    #[tokio::test]
    async fn an_edit_does_not_wait_for_ever() {
        let owner = Uuid::now_v7();
        let _held = wait(owner).await;
        assert!(matches!(wait_within(owner, Duration::from_millis(10)).await, Err(StorageError::Busy)));
    }
}
