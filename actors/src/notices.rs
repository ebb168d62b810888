//! Telling an owner something: stored until read, and pushed to open consoles.

use crate::system::Shared;
use domain::topic::Topic;
use serde_json::json;
use storage::notices::{NewNotice, Notice, insert};

/// Stores and publishes a notice. A failure is logged: what it is about happened all the same.
pub(crate) async fn tell(shared: &Shared, notice: NewNotice) {
    let owner = notice.owner;
    match shared.store.tx(move |c| Box::pin(async move { insert(c, notice).await })).await {
        Ok(stored) => publish(shared, owner, &stored),
        Err(e) => tracing::error!(error = %e, "a notice was not stored"),
    }
}

fn publish(shared: &Shared, owner: domain::ids::UserId, n: &Notice) {
    shared.hub.publish(&Topic::Owner(owner), n.seq, "notice", n.created_at, || json!(n));
}
