//! Reading the entries of a closed event for its root and its draw.

use domain::draw::{self, Hash};
use domain::event::Event;
use std::sync::Arc;
use storage::{Result, Store};

/// The root of a closed event, and how many numbers are under it.
pub(crate) async fn root(store: &Store, event: Arc<Event>) -> Result<(Hash, i64)> {
    let leaves = storage::entries::all_leaves(store, event.id).await?;
    let entries = leaves.len() as i64;
    let root = blocking(move || draw::root(event.id, &leaves, &event.prizes, event.visit_weight)).await;
    Ok((root, entries))
}

/// Everyone a draw picks.
pub(crate) struct DrawResult {
    pub(crate) seed: Hash,
    pub(crate) root: Hash,
    pub(crate) merkle_root: Hash,
    pub(crate) entries: i64,
    /// Entry number, and the prize of a winner.
    pub(crate) drawn: Vec<(i64, Option<String>)>,
}

/// Computes a draw; nothing is stored.
pub(crate) async fn compute(
    store: &Store,
    event: Arc<Event>,
    seed: Hash,
    external: Option<Hash>,
    alternates: u32,
) -> Result<DrawResult> {
    let leaves = storage::entries::all_leaves(store, event.id).await?;
    Ok(blocking(move || {
        let root = draw::root(event.id, &leaves, &event.prizes, event.visit_weight);
        let key = draw::key(&seed, event.id, &root, external.as_ref().map_or(&[], |e| e.as_slice()), 1);
        let places = draw::places(&event.prizes);
        let picks = draw::pick(&key, &leaves, places.len(), alternates as usize);
        let winners = picks.winners.iter().zip(&places).map(|(n, i)| (*n as i64, Some(event.prizes[*i].name.clone())));
        let drawn = winners.chain(picks.alternates.iter().map(|n| (*n as i64, None))).collect();
        DrawResult { seed, root, merkle_root: draw::merkle_root(&leaves), entries: leaves.len() as i64, drawn }
    })
    .await)
}

/// Hashing a hundred thousand leaves takes tens of milliseconds: not on an async thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
