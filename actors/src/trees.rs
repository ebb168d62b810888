//! The trees of closed events: what receipts and proofs are answered from. Fixed, so each is made once, however many ask
//! when a draw is told of, and kept while there is room.

use domain::draw::{self, Leaf};
use domain::ids::EventId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use storage::{Result, Store};
use tokio::sync::OnceCell;

/// Leaves kept over all events; one takes some 110 bytes, its place in the tree included.
const MAX_LEAVES_KEPT: usize = 500_000;

/// A closed event's entries, as its draw sees them.
pub struct Entries {
    /// By number.
    pub leaves: Vec<Leaf>,
    /// Over them.
    pub tree: draw::Tree,
}

/// Those that are kept.
#[derive(Default)]
pub(crate) struct Trees {
    kept: Mutex<HashMap<EventId, Arc<OnceCell<Arc<Entries>>>>>,
}

impl Trees {
    /// Returns the tree of a closed event; the first caller reads and computes it.
    pub(crate) async fn of(&self, store: &Store, event: EventId) -> Result<Arc<Entries>> {
        let cell = self.kept.lock().entry(event).or_default().clone();
        let made = cell
            .get_or_try_init(|| async {
                let leaves = storage::entries::all_leaves(store, event).await?;
                let made = crate::draw::blocking(move || {
                    let tree = draw::Tree::of(&leaves);
                    Arc::new(Entries { leaves, tree })
                })
                .await;
                self.make_room(event, made.leaves.len());
                Ok::<_, storage::StorageError>(made)
            })
            .await?;
        Ok(made.clone())
    }

    /// Forgets the others when a new one does not fit beside them.
    fn make_room(&self, event: EventId, leaves: usize) {
        let mut kept = self.kept.lock();
        let others: usize = kept.values().filter_map(|cell| cell.get()).map(|e| e.leaves.len()).sum();
        if others + leaves > MAX_LEAVES_KEPT {
            kept.retain(|id, _| *id == event);
        }
    }
}
