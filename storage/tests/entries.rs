//! The entry statement against the real thing: embedded, or the server of `DATABASE_URL`.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use domain::channel::Source;
use domain::dashboard::Tally;
use domain::entry::Verdict;
use domain::ids::EventId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use storage::entries::{NewEntry, enter_batch};
use storage::{StorageError, Store};
use testkit::TestSystem;
use uuid::Uuid;

fn entry(event: EventId, phone: u32, request: Option<u8>) -> NewEntry {
    let mut phone_index = [0; 16];
    phone_index[..4].copy_from_slice(&phone.to_be_bytes());
    NewEntry {
        event,
        id: Uuid::now_v7(),
        phone_index,
        receipt_hash: storage::crypto::random32(),
        request_key: request.map(|r| [r; 16]),
        source: Source::ALL[phone as usize % 8],
        weight: 1,
        flags: 0,
        notice: [0; 32],
        sealed: vec![1, 2, 3],
    }
}

async fn enter(store: &Store, rows: Vec<NewEntry>, skip: bool) -> Vec<Option<Verdict>> {
    loop {
        let batch = rows.clone();
        match store.run(async move |c| enter_batch(c, &batch, skip).await).await {
            Ok(stored) => {
                assert!(stored.commits.iter().all(|(_, c)| c.by_source.iter().sum::<i64>() == c.last_no));
                let mut totals: Vec<_> = stored.commits.iter().map(|(event, c)| (*event, c.last_no)).collect();
                totals.sort_unstable();
                let mut last = BTreeMap::new();
                for (row, verdict) in rows.iter().zip(&stored.verdicts) {
                    if let Some(Verdict::Stored { entry_no, fresh: true, .. }) = verdict {
                        last.insert(row.event, last.get(&row.event).map_or(*entry_no, |n| *entry_no.max(n)));
                    }
                }
                assert_eq!(totals, Vec::from_iter(last), "an event's totals come once, and are those of its last row");
                return stored.verdicts;
            }
            Err(StorageError::Contended) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

async fn tally(store: &Store, event: EventId) -> Tally {
    let load = async |since| store.run(async move |c| storage::tally::load(c, event, since).await).await.unwrap();
    let all = load(0).await;
    // What is known already need not be read again.
    let rest = load(all.version).await;
    assert_eq!(Tally { by_hour: all.by_hour.clone(), ..rest.clone() }, all);
    assert!(rest.by_hour.is_empty());
    all
}

/// Eight writers, five events, duplicates inside and across batches, one event shut under load: no hole, no duplicate,
/// nothing after the shut, sums exact, the log without gaps.
#[tokio::test(flavor = "multi_thread")]
async fn numbered_without_holes_under_concurrent_writers() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    let mut events = Vec::new();
    for _ in 0..5 {
        events.push(system.live_event().await.0);
    }
    let shut = events[0];
    let at_shut = Arc::new(AtomicU32::new(u32::MAX));
    let done = Arc::new(AtomicBool::new(false));
    let shutting = {
        let (store, at_shut) = (store.clone(), at_shut.clone());
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            let (n, _) = store.tx(async move |c| storage::events::shut_gate(c, shut).await).await.unwrap();
            at_shut.store(u32::try_from(n).unwrap(), Ordering::SeqCst);
        })
    };
    let writers = (0..8u32).map(|writer| {
        let (store, events, done) = (store.clone(), events.clone(), done.clone());
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for round in 0..25u32 {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                // A shared pool of phones makes duplicates, and every batch holds one of its own.
                let rows: Vec<NewEntry> = (0..20u32)
                    .map(|i| {
                        let phone = if i % 3 == 0 { round * 7 + i } else { writer * 1_000_000 + round * 100 + i };
                        entry(events[(i as usize + round as usize) % 5], phone, None)
                    })
                    .chain([
                        entry(events[1], writer * 1_000_000 + round * 100, None),
                        entry(events[1], writer * 1_000_000 + round * 100, None),
                    ])
                    .collect();
                let verdicts = enter(&store, rows.clone(), round % 4 == 0).await;
                for (row, verdict) in rows.iter().zip(verdicts) {
                    if let Some(Verdict::Stored { entry_no, fresh: true, .. }) = verdict {
                        acknowledged.push((row.event, entry_no));
                    }
                }
            }
            acknowledged
        })
    });
    let mut numbers: BTreeMap<EventId, Vec<i64>> = BTreeMap::new();
    for writer in futures_util::future::join_all(writers).await {
        for (event, n) in writer.unwrap() {
            numbers.entry(event).or_default().push(n);
        }
    }
    done.store(true, Ordering::SeqCst);
    shutting.await.unwrap();
    for event in &events {
        let mut given = numbers.remove(event).unwrap();
        given.sort_unstable();
        let expected: Vec<i64> = (1..=given.len() as i64).collect();
        assert_eq!(given, expected, "numbers have no hole and no duplicate");
        let t = tally(&store, *event).await;
        assert_eq!(t.last_no, given.len() as i64);
        assert_eq!(t.by_source.iter().sum::<i64>(), t.last_no);
        assert_eq!(t.hours().values().sum::<i64>(), t.last_no);
        let (event, rows) = (*event, t.last_no);
        let leaves = storage::entries::all_leaves(&store, event).await.unwrap();
        assert_eq!(leaves.len() as i64, rows);
        assert_eq!(leaves.iter().map(|l| l.entry_no).collect::<BTreeSet<_>>().len(), leaves.len());
    }
    assert_eq!(
        i64::from(at_shut.load(Ordering::SeqCst)),
        tally(&store, shut).await.last_no,
        "nothing commits after the shut"
    );
    drop(store);
    system.stop().await;
}

/// The index knows four bytes of a receipt: two that share them are two all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_compared_whole() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    let (event, _) = system.live_event().await;
    let (first, mut second) = (entry(event, 1, None), entry(event, 2, None));
    second.receipt_hash[..4].copy_from_slice(&first.receipt_hash[..4]);
    let mut nobody = first.receipt_hash;
    nobody[31] ^= 1;
    enter(&store, vec![first.clone(), second.clone()], false).await;
    for (receipt, number) in [(first.receipt_hash, Some(1)), (second.receipt_hash, Some(2)), (nobody, None)] {
        let found = store.run(async move |c| storage::entries::by_receipt(c, receipt).await).await.unwrap();
        assert_eq!(found.map(|r| r.entry_no), number);
    }
    drop(store);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict() {
    let system = TestSystem::start().await;
    let store = system.handles().tools().store.clone();
    let (event, _) = system.live_event().await;
    let first = entry(event, 1, Some(7));
    let again = NewEntry { id: Uuid::now_v7(), ..first.clone() };
    let rows = vec![
        first.clone(),
        again.clone(),
        entry(event, 1, None),
        entry(EventId::new(), 2, None),
        entry(event, 3, None),
    ];
    let verdicts = enter(&store, rows, false).await;
    assert!(matches!(&verdicts[0], Some(Verdict::Stored { entry_no: 1, fresh: true, .. })), "{verdicts:?}");
    assert!(
        matches!(&verdicts[1], Some(Verdict::Stored { entry_no: 1, fresh: false, id, .. }) if *id == first.id),
        "the same request in one batch: {verdicts:?}"
    );
    assert_eq!(verdicts[2], Some(Verdict::Duplicate));
    assert_eq!(verdicts[3], Some(Verdict::Unknown));
    assert!(matches!(&verdicts[4], Some(Verdict::Stored { entry_no: 2, .. })));
    // The same batch again, after a lost connection: the verdicts tell the truth.
    let repeated = enter(&store, vec![first.clone(), again], false).await;
    assert!(
        repeated
            .iter()
            .all(|v| matches!(v, Some(Verdict::Stored { entry_no: 1, fresh: false, id, .. }) if *id == first.id)),
        "{repeated:?}"
    );
    store.tx(async move |c| storage::events::shut_gate(c, event).await).await.unwrap();
    let after = enter(&store, vec![entry(event, 9, None), first], false).await;
    assert_eq!(after[0], Some(Verdict::Ended));
    assert!(
        matches!(&after[1], Some(Verdict::Stored { entry_no: 1, fresh: false, .. })),
        "a retry after the close still learns its number"
    );
    drop(store);
    system.stop().await;
}

/// A client that resets its connection, or sends garbage, must not end the embedded database.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_survives_rude_clients() {
    use storage::embedded::Embedded;
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let database = Embedded::open(folder.path().to_owned()).await.unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 8, 4, 210, 22, 47], b""] {
        let mut rude = tokio::net::UnixStream::connect(database.socket()).await.unwrap();
        rude.write_all(bytes).await.unwrap();
        // Closing with unread bytes in the buffer resets the connection.
        drop(rude);
    }
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
    let mut polite = AsyncPgConnection::establish(&database.url()).await.unwrap();
    polite.batch_execute("create table t (x int); insert into t values (1)").await.unwrap();
    drop(polite);
    assert!(database.stop().await, "it ends when its client has left");
}

/// Every table and column says what it is.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_commented() {
    let database = testkit::Database::fresh().await;
    let store = database.open().await;
    let silent = store
        .run(async move |c| storage::sql::sql(
                    "select n.nspname || '.' || t.relname || coalesce('.' || a.attname, '') as s
                       from pg_class t join pg_namespace n on n.oid = t.relnamespace
                       left join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                      where n.nspname in ('identity', 'events', 'participation', 'analytics') and t.relkind in ('r', 'p') and not t.relispartition
                        and (obj_description(t.oid, 'pg_class') is null or (a.attnum is not null and col_description(t.oid, a.attnum) is null))
                      order by 1",
                )
                .all::<storage::sql::Word>(c)
                .await)
        .await
        .unwrap();
    assert!(silent.is_empty(), "without a comment: {:?}", silent.into_iter().map(|w| w.s).collect::<Vec<_>>());
    store.close().await;
}

/// One suite for both caches: in process, and Redis where `REDIS_URL` names one.
#[tokio::test(flavor = "multi_thread")]
async fn caches_conform() {
    use bytes::Bytes;
    use std::time::Duration;
    use storage::cache::Cache;
    let mut caches = vec![Cache::memory()];
    if let Ok(url) = std::env::var("REDIS_URL") {
        let redis = Cache::redis(&url, &format!("test-{}:", Uuid::now_v7())).unwrap();
        let begun = std::time::Instant::now();
        while !redis.is_connected() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the Redis of REDIS_URL does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        caches.push(redis);
    }
    for cache in caches {
        assert_eq!(cache.get("k").await, None);
        cache.set("k", Bytes::from_static(b"\x00one"), Duration::from_secs(60)).await;
        assert_eq!(cache.get("k").await.as_deref(), Some(&b"\x00one"[..]));
        cache.set("k", Bytes::from_static(b"two"), Duration::from_millis(80)).await;
        assert_eq!(cache.get("k").await.as_deref(), Some(&b"two"[..]));
        let begun = std::time::Instant::now();
        while cache.get("k").await.is_some() {
            assert!(begun.elapsed() < Duration::from_secs(3), "it must expire");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cache.set("d", Bytes::from_static(b"x"), Duration::from_secs(60)).await;
        cache.del("d").await;
        assert_eq!(cache.get("d").await, None);
    }
    // A Redis that is not there misses, and nothing hangs.
    let away = Cache::redis("redis://127.0.0.1:1", "x:").unwrap();
    let begun = std::time::Instant::now();
    away.set("k", Bytes::from_static(b"v"), Duration::from_secs(1)).await;
    assert_eq!(away.get("k").await, None);
    assert!(begun.elapsed() < Duration::from_secs(1));
}
