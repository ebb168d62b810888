//! The queue of jobs against the real thing: embedded, or the server of `DATABASE_URL`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::job::JobKind;
use domain::job::NewJob;
use serde_json::json;
use std::time::Duration;
use storage::jobs::{claim, insert};
use testkit::Database;

/// FUT-08: a job that a person waits for runs before one that runs by itself, whenever either was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_waits_for_runs_first() {
    let database = Database::fresh().await;
    let store = database.open().await;
    let mut kinds = JobKind::ALL.to_vec();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.priority()));
    assert!(kinds.first().unwrap().priority() > kinds.last().unwrap().priority());
    for kind in kinds {
        let job = NewJob {
            kind,
            key: format!("test:{}", kind.code()),
            owner: None,
            event: None,
            input: json!({}),
            after: Duration::ZERO,
        };
        store.run(async move |c| insert(c, job).await).await.unwrap();
    }
    let mut order = Vec::new();
    loop {
        let claimed = store.run(async move |c| claim(c, 1).await).await.unwrap();
        let [job] = claimed.as_slice() else { break };
        order.push(job.kind);
    }
    assert_eq!(order.len(), JobKind::ALL.len());
    assert!(order.is_sorted_by_key(|kind| kind.priority()), "{order:?}");
    let (first, last) = (order.first().unwrap(), order.last().unwrap());
    assert_eq!((first.priority(), *last), (0, JobKind::Statistics), "{order:?}");
    store.close().await;
}
