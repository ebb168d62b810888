//! The handles as an API: what load tests drive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use actors::{DrawRequest, EnterError, EventError};
use domain::event::{Command, Rejection, Status, Who};
use domain::ids::{EventId, UserId};
use testkit::{TestSystem, form};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_entries_to_its_draw() {
    let system = TestSystem::start().await;
    let handles = system.handles().clone();
    let (id, owner) = system.live_event().await;
    let event = handles.events.get(id);
    let entered = futures_util::future::join_all((0..300).map(|n| {
        let event = event.clone();
        async move { event.enter(form(n)).await }
    }))
    .await;
    let mut numbers: Vec<i64> = entered.into_iter().map(|e| e.unwrap().entry_no).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<i64>>());
    assert_eq!(event.enter(form(7)).await, Err(EnterError::AlreadyEntered));
    let (body, hit) = event.analytics().await.unwrap();
    assert!(!hit && String::from_utf8_lossy(&body).contains("\"participants\":300"));
    assert!(event.analytics().await.unwrap().1, "the second read is a hit");
    let stranger = Who::Owner(UserId::new());
    assert!(matches!(event.command(stranger, Command::Cancel, None).await, Err(EventError::NotFound)));
    let stale = event.command(Who::Owner(owner), Command::Close { by_time: false }, Some(1)).await;
    assert!(matches!(stale, Err(EventError::Rejected(Rejection::Stale))));
    event.command(Who::Owner(owner), Command::Close { by_time: false }, None).await.unwrap();
    assert_eq!(event.enter(form(999)).await, Err(EnterError::Ended));
    let request = DrawRequest { owner, alternates: 3, external: Some([7; 32]) };
    let draws = futures_util::future::join_all((0..8).map(|_| event.draw(request.clone()))).await;
    assert_eq!(draws.iter().filter(|d| matches!(d, Ok(true))).count(), 1);
    assert!(draws.iter().all(Result::is_ok));
    assert_eq!(event.read().await.unwrap().status, Status::Drawn);
    assert!(matches!(handles.events.get(EventId::new()).read().await, Err(EventError::NotFound)));
    assert_eq!(handles.events.get(EventId::new()).enter(form(1)).await, Err(EnterError::NotFound));
    system.stop().await;
}

/// A stop answers everyone, and whoever heard yes is in the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nobody_and_answers_everybody() {
    let system = TestSystem::start().await;
    let (id, _) = system.live_event().await;
    let handles = system.handles().clone();
    let keys = handles.shared.keys.clone();
    let entering: Vec<_> = (0..400)
        .map(|n| {
            let event = handles.events.get(id);
            tokio::spawn(async move { event.enter(form(n)).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    drop(handles);
    let database = system.stop_keeping_database().await;
    let mut acknowledged = Vec::new();
    for entry in entering {
        if let Ok(entered) = entry.await.unwrap() {
            acknowledged.push(entered.entry_no);
        }
    }
    let store = database.open().await;
    let stored = store
        .run(move |c| Box::pin(async move { storage::entries::page(c, id, None, None, 0, 1000).await }))
        .await
        .unwrap();
    let numbers: std::collections::HashSet<i64> = stored.iter().map(|p| p.entry_no).collect();
    assert!(acknowledged.iter().all(|n| numbers.contains(n)), "every yes is a row");
    assert!(stored.iter().all(|p| p.open(&keys).unwrap().is_some()));
    store.close().await;
}

/// An actor there is only one of ends by itself: the system says so, so that the process can end; a stop does not.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_lone_actor_fails_the_system() {
    let limit = std::time::Duration::from_secs(5);
    let system = TestSystem::start().await;
    assert!(tokio::time::timeout(limit / 10, system.failed()).await.is_err(), "nothing has failed yet");
    system.handles().breakers.stop();
    tokio::time::timeout(limit, system.failed()).await.expect("the system noticed");
    system.stop().await;
}
