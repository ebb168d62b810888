use super::cell::LOG_UPDATES_KEPT;
use super::*;
use domain::ids::{EventId, JobId};

fn at() -> At {
    chrono::Utc::now()
}

/// Does anybody listen, or may somebody come back?
fn is_kept(hub: &Hub, topic: &Topic) -> bool {
    hub.shard(topic).contains_key(topic)
}

fn pull(sub: &Subscription, after: i64) -> (usize, Pull) {
    let mut out = Vec::new();
    let pulled = sub.pull(after, usize::MAX, &mut out);
    (out.len(), pulled)
}

const fn wait(offset: i64) -> Pull {
    Pull { offset, then: AfterPull::Wait }
}

#[tokio::test]
async fn state_topics_show_the_newest_and_never_go_back() {
    let hub = Hub::new("e".into());
    let topic = Topic::Event(EventId::new());
    let reader = Reader::new();
    let sub = hub.subscribe(&topic, &reader, 4);
    for offset in [1, 5, 3] {
        hub.publish(&topic, offset, "k", at(), || json!({}));
    }
    assert_eq!(reader.due().await, 4, "woken once for all");
    assert_eq!(pull(&sub, 0), (1, wait(5)));
    assert_eq!(pull(&sub, 5), (0, wait(5)));
    let late = hub.subscribe(&topic, &Reader::new(), 1);
    hub.publish(&topic, 6, "k", at(), || json!({}));
    assert_eq!(pull(&late, 5), (1, wait(6)));
}

#[tokio::test]
async fn log_topics_bring_everything_in_order_or_say_that_they_cannot() {
    let hub = Hub::new("e".into());
    let topic = Topic::Job(JobId::new());
    let sub = hub.subscribe(&topic, &Reader::new(), 1);
    let publish = |offset| hub.publish(&topic, offset, "k", at(), || json!({}));
    [1, 2, 4].into_iter().for_each(publish);
    assert_eq!(pull(&sub, 0), (2, Pull { offset: 2, then: AfterPull::Overtaken }));
    publish(3);
    assert_eq!(pull(&sub, 2), (2, wait(4)));
    let mut out = Vec::new();
    assert_eq!(sub.pull(0, 1, &mut out), Pull { offset: 1, then: AfterPull::More }, "about as many bytes as asked for");
    (5..5 + LOG_UPDATES_KEPT as i64).for_each(publish);
    assert_eq!(pull(&sub, 3), (0, Pull { offset: 3, then: AfterPull::Gap }), "the fourth is let go");
    assert_eq!(pull(&sub, 4).0, LOG_UPDATES_KEPT);
}

#[tokio::test]
async fn a_log_awaits_what_is_stored_and_not_published_yet() {
    let hub = Hub::new("e".into());
    let topic = Topic::Job(JobId::new());
    let sub = hub.subscribe(&topic, &Reader::new(), 1);
    let publish = |offset| hub.publish(&topic, offset, "k", at(), || json!({}));
    assert!(sub.awaits(4, 5), "nothing was published since");
    assert!(!sub.awaits(5, 5) && !sub.awaits(6, 5), "there is nothing to wait for");
    [3, 4].into_iter().for_each(publish);
    assert!(sub.awaits(2, 5) && sub.awaits(4, 6));
    assert!(!sub.awaits(1, 5), "the second is lost: waiting does not bring it");
    assert!(!sub.awaits(2, 4), "all of it came");
    publish(6);
    assert!(!sub.awaits(2, 7), "a hole is another matter");
    let state = Topic::Event(EventId::new());
    assert!(!hub.subscribe(&state, &Reader::new(), 1).awaits(0, 1), "a state has no missed updates");
}

#[tokio::test]
async fn a_log_is_kept_for_a_reader_that_comes_back_and_for_a_while_only() {
    let hub = Hub::new("e".into());
    let topic = Topic::Job(JobId::new());
    let sub = hub.subscribe(&topic, &Reader::new(), 1);
    let publish = |offset| hub.publish(&topic, offset, "k", at(), || json!({}));
    [1, 2].into_iter().for_each(publish);
    drop(sub);
    [4, 3].into_iter().for_each(publish);
    let back = hub.subscribe(&topic, &Reader::new(), 1);
    assert!(back.covers(1, 4) && back.covers(4, 4) && back.covers(0, 4));
    assert!(!back.covers(2, 5), "the fifth was never seen here");
    assert!(!back.covers(-1, 4), "nor was the one before the first");
    [5, 7].into_iter().for_each(publish);
    assert!(!back.covers(4, 7), "a hole is never passed over");
    (8..8 + LOG_UPDATES_KEPT as i64).for_each(publish);
    assert!(back.covers(7, 8) && !back.covers(5, 8), "beyond the ring");
    drop(back);
    hub.forget(Instant::now() + LOG_RETENTION / 2);
    assert!(is_kept(&hub, &topic));
    hub.forget(Instant::now() + LOG_RETENTION * 2);
    assert!(!is_kept(&hub, &topic));
}

#[tokio::test]
async fn who_was_refused_leaves_nothing_and_a_topic_is_queued_once() {
    let hub = Hub::new("e".into());
    let topic = Topic::Job(JobId::new());
    hub.subscribe(&topic, &Reader::new(), 1).refused();
    assert!(!is_kept(&hub, &topic));
    for _ in 0..5 {
        drop(hub.subscribe(&topic, &Reader::new(), 1));
    }
    assert_eq!(hub.inner.unread.lock().len(), 1);
    let back = hub.subscribe(&topic, &Reader::new(), 1);
    hub.forget(Instant::now() + LOG_RETENTION * 2);
    assert!(is_kept(&hub, &topic), "it is read");
    drop(back);
    hub.forget(Instant::now() + LOG_RETENTION * 2);
    assert!(!is_kept(&hub, &topic));
}

#[tokio::test]
async fn a_topic_without_readers_is_gone_and_nothing_is_encoded() {
    let hub = Hub::new("e".into());
    let topic = Topic::Public("x".into());
    drop(hub.subscribe(&topic, &Reader::new(), 1));
    assert!(!is_kept(&hub, &topic));
    hub.publish(&topic, 1, "k", at(), || panic!("encoded for nobody"));
}

#[tokio::test]
async fn what_is_lost_is_said_and_a_new_topic_of_that_name_lives_on() {
    let hub = Hub::new("e".into());
    let topic = Topic::Event(EventId::new());
    let reader = Reader::new();
    let old = hub.subscribe(&topic, &reader, 2);
    hub.lose(&topic);
    assert_eq!((reader.due().await, pull(&old, 0).1.then), (2, AfterPull::Lost));
    let new = hub.subscribe(&topic, &Reader::new(), 1);
    drop(old);
    hub.publish(&topic, 1, "k", at(), || json!({}));
    assert_eq!(pull(&new, 0), (1, wait(1)));
}

/// A reader that is woken whenever something is due misses nothing, however publishing and reading interleave.
#[test]
fn no_wake_up_is_lost_between_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("runtime");
    runtime.block_on(async {
        let hub = Hub::new("e".into());
        let topic = Topic::Job(JobId::new());
        let readers: Vec<_> = (0..16)
            .map(|n| {
                let reader = Reader::new();
                let sub = hub.subscribe(&topic, &reader, 1 << n);
                tokio::spawn(async move {
                    let (mut offset, mut seen) = (0, 0);
                    while offset < 5_000 {
                        let mut out = Vec::new();
                        let pulled = sub.pull(offset, 500, &mut out);
                        seen += out.len();
                        offset = pulled.offset;
                        match pulled.then {
                            AfterPull::More => {}
                            AfterPull::Wait | AfterPull::Overtaken => drop(reader.due().await),
                            AfterPull::Gap | AfterPull::Lost => return Err(offset),
                        }
                    }
                    Ok(seen)
                })
            })
            .collect();
        for n in 0..2_500 {
            // In pairs, the second before the first.
            for offset in [2 * n + 2, 2 * n + 1] {
                hub.publish(&topic, offset, "k", at(), || json!({}));
            }
            if n % 40 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        for reader in readers {
            match reader.await.expect("no panic") {
                Ok(seen) => assert_eq!(seen, 5_000),
                Err(at) => assert!(at > 0, "a reader fell behind the ring and was told so"),
            }
        }
    });
}
