//! The handles as an API: what load tests drive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use actors::{DrawRequest, EnterError, EventError};
use diesel_async::SimpleAsyncConnection;
use domain::channel::Upstream;
use domain::event::{Command, Rejection, Status, Who};
use domain::ids::{EventId, UserId};
use testkit::{TestSystem, form};

/// Waits until the job that publishes an event has ended, and the event's actor heard of it.
async fn published(system: &TestSystem, event: EventId) {
    let store = &system.handles().tools().store;
    let settled = async || {
        let found = store.run(async move |c| storage::distributions::settled_at(c, event).await).await;
        found.unwrap().is_some_and(|channels| !channels.is_empty())
    };
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !settled().await {
        assert!(std::time::Instant::now() < limit, "never published");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

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
    let body = String::from_utf8_lossy(&body);
    assert!(!hit && body.contains("\"participants\":300"), "hit: {hit}, {body}");
    // What publishing changes, it has changed.
    published(&system, id).await;
    event.analytics().await.unwrap();
    assert!(event.analytics().await.unwrap().1, "a read without a change before it is a hit");
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
    drop((handles, event));
    system.stop().await;
}

/// A stop answers everyone, and whoever heard yes is in the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_nobody_and_answers_everybody() {
    let system = TestSystem::start().await;
    let (id, _) = system.live_event().await;
    let handles = system.handles().clone();
    let keys = handles.tools().keys.clone();
    let entering: Vec<_> = (0..400)
        .map(|n| {
            let event = handles.events.get(id);
            tokio::spawn(async move { event.enter(form(n)).await })
        })
        .collect();
    drop(handles);
    let database = system.stop_keeping_database().await;
    let mut acknowledged = Vec::new();
    for entry in entering {
        if let Ok(entered) = entry.await.unwrap() {
            acknowledged.push(entered.entry_no);
        }
    }
    let store = database.open().await;
    let stored = store.run(async move |c| storage::entries::page(c, id, None, None, 0, 1000).await).await.unwrap();
    let numbers: std::collections::HashSet<i64> = stored.iter().map(|p| p.entry_no).collect();
    assert!(acknowledged.iter().all(|n| numbers.contains(n)), "every yes is a row");
    assert!(stored.iter().all(|p| p.open(&keys).unwrap().is_some()));
    store.close().await;
}

/// Every actor there is one of is ended as a crash would end it, while customers enter: each comes back, the others go
/// on, and nobody who heard yes is missing.
#[tokio::test(flavor = "multi_thread")]
async fn every_lone_actor_comes_back_and_the_rest_goes_on() {
    let system = TestSystem::start().await;
    let handles = system.handles().clone();
    let (id, _) = system.live_event().await;
    let event = handles.events.get(id);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (entering, stopped) = (event.clone(), stop.clone());
    let customers = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for n in 0usize.. {
            if stopped.load(std::sync::atomic::Ordering::Acquire) {
                break;
            }
            acknowledged.extend(entering.enter(form(n)).await.map(|e| e.entry_no));
        }
        acknowledged
    });
    let names: Vec<String> = handles.root.view().await.into_iter().map(|c| c.name).collect();
    assert!(
        ["journal", "jobs", "events", "reconciler", "channel:NAVER", "breaker:CLAUDE"]
            .iter()
            .all(|n| names.iter().any(|name| name == n))
    );
    for name in &names {
        assert!(handles.root.restart(name).await, "{name} runs");
    }
    let limit = std::time::Duration::from_secs(10);
    let back = async {
        while !handles.root.view().await.iter().all(|c| c.running && c.restarts == 1) {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(limit, back).await.is_err() {
        panic!("not all came back: {:?}", handles.root.view().await);
    }
    assert_eq!(handles.breakers.view().await.len(), Upstream::ALL.len(), "every breaker answers");
    let entered = event.enter(form(1_000_000)).await.unwrap();
    stop.store(true, std::sync::atomic::Ordering::Release);
    let acknowledged = customers.await.unwrap();
    let (body, _) = event.analytics().await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let stored = body["cards"]["participants"].as_i64().unwrap();
    assert!(stored >= entered.entry_no && stored > acknowledged.len() as i64);
    let distinct: std::collections::HashSet<&i64> = acknowledged.iter().collect();
    assert_eq!(distinct.len(), acknowledged.len());
    drop((handles, event));
    system.stop().await;
}

/// An actor nobody can do without keeps ending: the system says so, so that the process can end. A stop does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_vital_actor_that_keeps_ending_fails_the_system() {
    let limit = std::time::Duration::from_secs(10);
    let system = TestSystem::start().await;
    assert!(tokio::time::timeout(limit / 20, system.failed()).await.is_err(), "nothing has failed yet");
    let root = system.handles().root.clone();
    let keep_ending = async {
        loop {
            root.restart("journal").await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = keep_ending => {}
        failed = tokio::time::timeout(limit, system.failed()) => failed.expect("the system noticed"),
    }
    system.stop().await;
}

/// While somebody holds an event's head, entries of other events go on at once; its own wait, and are stored after.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_head_delays_only_its_own_entries() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    if store.kind() == storage::store::Kind::Embedded {
        testkit::skipped("a_held_head_delays_only_its_own_entries", "the embedded database has one connection");
        return system.stop().await;
    }
    let ((held, _), (free, _)) = (system.live_event().await, system.live_event().await);
    let (held_event, free_event) = (system.handles().events.get(held), system.handles().events.get(free));
    let first = held_event.enter(form(0)).await.unwrap();
    free_event.enter(form(0)).await.unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let holder = tokio::spawn(async move {
        let held_on: storage::Result<()> = store
            .tx(async move |c| {
                storage::events::log_fact(c, held).await?;
                let _ = locked.send(());
                let _ = released.await;
                Err(storage::StorageError::Other("rolled back".into()))
            })
            .await;
        assert!(held_on.is_err());
    });
    is_locked.await.unwrap();
    let waiting = tokio::spawn(async move { held_event.enter(form(1)).await });
    let begun = std::time::Instant::now();
    for n in 1..=40 {
        assert_eq!(free_event.enter(form(n)).await.unwrap().entry_no, n as i64 + 1);
    }
    // The lock is waited for 150 ms at a time: forty batches that waited would take six seconds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(!waiting.is_finished(), "its head is held");
    release.send(()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().entry_no, first.entry_no + 1);
    holder.await.unwrap();
    drop(free_event);
    system.stop().await;
}

/// Pages are finished once per change: whoever reads after an entry reads at least that, and a second read is a hit.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_made_once_and_never_older_than_what_was_acknowledged() {
    let system = TestSystem::start().await;
    let (id, owner) = system.live_event().await;
    let event = system.handles().events.get(id);
    for n in 0..20 {
        let entered = event.enter(form(n)).await.unwrap();
        let (mut body, mut hit) = event.analytics_of(owner).await.unwrap();
        // Its publishing may still change something between two reads, but not for ever.
        for _ in 0..5 {
            let shown: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(shown["cards"]["participants"], entered.entry_no);
            if hit {
                break;
            }
            (body, hit) = event.analytics_of(owner).await.unwrap();
        }
        assert!(hit, "a read without a change before it is a hit");
        let public: serde_json::Value = serde_json::from_slice(&event.public().await.unwrap().body().korean).unwrap();
        assert_eq!(public["count"], entered.entry_no);
    }
    let somebody_else = domain::ids::UserId::new();
    assert!(matches!(event.analytics_of(somebody_else).await, Err(EventError::NotFound)));
    // The shop is renamed: what was finished is not current any more, though no entry came.
    let name = event.public().await.unwrap().body().korean.clone();
    let store = system.handles().tools().store.clone();
    let shop = event.read().await.unwrap().store;
    let mut new = store.run(async move |c| storage::stores::get(c, shop).await).await.unwrap().unwrap();
    new.name = "새이름".into();
    assert!(store.run(async move |c| storage::stores::update(c, &new, None).await).await.unwrap());
    system.handles().events.store_changed(shop);
    let renamed = event.public().await.unwrap();
    assert_ne!(renamed.body().korean, name);
    assert!(std::str::from_utf8(&renamed.body().korean).unwrap().contains("새이름"));
    assert!(std::str::from_utf8(&renamed.body().english).unwrap().contains("새이름"));
    drop(event);
    system.stop().await;
}

/// R9: a job that takes its runner with it each time is parked with its last attempt, and can be replayed.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_runner_vanishes_each_time_is_parked() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    let job = system.owner().await.0;
    let id = domain::ids::JobId::new();
    let lost = format!(
        "insert into events.jobs (id, kind, key, status, priority, owner_id, input, attempts, max_attempts, lease_until, epoch)
         values ('{id}', 'recommendation', 'poison', 'running', 1, '{job}', '{{}}', 5, 5, now() - interval '1 second', 5)"
    );
    // Before it is parked it is not claimed either: nobody else sees the row while this transaction is open.
    let claimed = store.run(async move |c| {
        c.batch_execute(&format!("begin; {lost}")).await?;
        let claimed = storage::jobs::claim(c, 100).await;
        c.batch_execute("rollback").await?;
        c.batch_execute(&lost).await?;
        claimed
    });
    assert!(claimed.await.unwrap().iter().all(|j| j.id != id), "it has no attempt left");
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let found = store.run(async move |c| storage::jobs::get(c, id).await).await.unwrap().unwrap();
        if found.status == domain::job::JobStatus::Dead {
            assert_eq!((found.attempts, found.error.unwrap()["code"].as_str().unwrap()), (5, "runner-lost"));
            break;
        }
        assert_eq!(found.epoch, 5, "it is not claimed again");
        assert!(std::time::Instant::now() < limit, "never parked");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(system.handles().replay(&id.to_string()).await.unwrap());
    system.stop().await;
}

/// F21: a database that has no turn to give is busy, not gone; a statement past its time did nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_database_is_not_a_gone_one() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    let nap = |store: storage::Store| async move {
        store.run(async move |c| Ok(c.batch_execute("select pg_sleep(0.1)").await?)).await
    };
    // More than all connections do in a second and a half.
    let naps: Vec<_> = (0..200).map(|_| tokio::spawn(nap(store.clone()))).collect();
    let within = std::time::Duration::from_millis(600);
    while store.waiting() < 100 {
        tokio::task::yield_now().await;
    }
    assert!(store.answers(within).await, "others are answered meanwhile");
    for nap in naps {
        let _ = nap.await.unwrap();
    }
    if store.kind() == storage::store::Kind::Embedded {
        // It has no timers.
        return system.stop().await;
    }
    let late = store.run(async move |c| {
        c.batch_execute("set statement_timeout = 50").await?;
        let late = c.batch_execute("select pg_sleep(5)").await;
        c.batch_execute("reset statement_timeout").await?;
        Ok(late?)
    });
    assert!(matches!(late.await, Err(storage::StorageError::Busy)), "nothing was done");
    system.stop().await;
}
