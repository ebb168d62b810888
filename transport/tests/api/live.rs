//! The WebSocket: tickets, snapshots, updates, limits.

use crate::support::{Api, anonymous, at, owner, owner_at, phone, run, server, start};
use futures_util::SinkExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Follows a log from cut to cut to its end; how often it was resumed. `from` is where it ended.
async fn cut_again_and_again(api: &Api, topic: &str, from: &mut Value) -> usize {
    let (mut seen, mut recovered, mut ended) = (Vec::new(), 0, false);
    while !ended {
        let mut socket = api.socket().await;
        let mut ask = json!({"type": "subscribe", "id": 1, "topic": topic});
        if !from.is_null() {
            ask["from"] = from.clone();
        }
        socket.send(ask).await;
        let subscribed = socket.until("subscribed").await;
        if from.is_null() {
            *from = subscribed["position"].clone();
            if !subscribed["snapshot"]["endedAt"].is_null() {
                return recovered;
            }
        } else {
            assert_eq!(subscribed["recovered"], true, "{subscribed}");
            assert!(subscribed.get("snapshot").is_none());
            assert_eq!(subscribed["position"], *from, "the log goes on from there");
            recovered += 1;
        }
        // One to three updates, then the tunnel.
        for _ in 0..=seen.len() % 3 {
            let update = socket.until("update").await;
            *from = update["position"].clone();
            seen.push(from["offset"].as_i64().unwrap());
            ended = update["kind"] == "distribution.ended";
            if ended {
                break;
            }
        }
    }
    assert!(seen.windows(2).all(|w| w[1] == w[0] + 1), "no gap, no duplicate, in order: {seen:?}");
    recovered
}

/// R6: cut again and again in the middle of a log, a client that says where it was gets exactly what it missed.
#[test]
fn a_log_resumes_with_exactly_what_was_missed() {
    run(async {
        let api = owner().await;
        let all = json!(["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"]);
        let (mut recovered, mut topic, mut from) = (0, String::new(), Value::Null);
        // On a busy machine a log may have ended before there was much to cut.
        for _ in 0..8 {
            let id = api.ready(json!({}), all.clone()).await;
            let approved = api.post(&format!("/api/events/{id}/approve"), json!({})).await.is(202);
            topic = format!("distribution:{}", approved["distributionId"].as_str().unwrap());
            from = Value::Null;
            recovered += cut_again_and_again(&api, &topic, &mut from).await;
            if recovered >= 3 {
                break;
            }
        }
        assert!(recovered >= 3, "it was cut {recovered} times");
        // Another epoch, or a place this server never saw: a snapshot, and it says so.
        let mut socket = api.socket().await;
        for stranger in
            [json!({"epoch": "another", "offset": from["offset"]}), json!({"epoch": from["epoch"], "offset": -5})]
        {
            socket.send(json!({"type": "subscribe", "id": 2, "topic": topic, "from": stranger})).await;
            let answer = socket.until("subscribed").await;
            assert!(answer["recovered"] == false && answer["snapshot"]["id"].is_string(), "{answer}");
        }
    });
}

/// US-20: what is pushed says who returns, as what is read does.
#[test]
fn pushes_know_who_returns() {
    run(async {
        let api = owner().await;
        let (_, first) = api.live(json!({})).await;
        for n in 0..3 {
            api.enter(&first, &phone(n)).await.is(201);
        }
        let (id, slug) = api.live(json!({})).await;
        let mut socket = api.socket().await;
        let mut offset = socket.subscribe(&format!("event:{id}")).await["position"]["offset"].as_i64().unwrap();
        let mut shown = async |wanted: Value| {
            loop {
                let update = socket.until("update").await;
                let now = update["position"]["offset"].as_i64().unwrap();
                assert!(now > offset, "what is counted later has a version of its own");
                offset = now;
                if update["data"]["profile"]["newVsReturning"] == wanted {
                    break;
                }
            }
        };
        let mut receipts = Vec::new();
        for n in [0, 1, 50] {
            receipts.push(api.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
        }
        shown(json!({"new": 1, "returning": 2})).await;
        api.delete(&format!("/api/participation/receipts/{}", receipts[1])).await;
        shown(json!({"new": 1, "returning": 1})).await;
        let read = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
        assert_eq!(read["profile"]["newVsReturning"], json!({"new": 1, "returning": 1}));
    });
}

#[test]
fn a_snapshot_and_then_every_change() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let mut socket = api.socket().await;
        let subscribed = socket.subscribe(&format!("event:{id}")).await;
        assert_eq!(
            (subscribed["recovered"].as_bool(), subscribed["snapshot"]["cards"]["participants"].as_i64()),
            (Some(false), Some(0))
        );
        assert_eq!(subscribed["snapshot"]["status"], "live");
        let mut public = anonymous().raw_socket().await;
        public.send(json!({"type": "hello"})).await;
        public.until("welcome").await;
        assert_eq!(public.subscribe(&format!("public:{slug}")).await["snapshot"]["count"], 0);
        assert_eq!(
            public.subscribe(&format!("event:{id}")).await["code"],
            "topic-forbidden",
            "no ticket, public topics only"
        );
        for n in 0..20 {
            api.enter(&slug, &phone(n)).await.is(201);
        }
        let (mut last, mut offset) = (0, subscribed["position"]["offset"].as_i64().unwrap());
        while last < 20 {
            let update = socket.until("update").await;
            let now = update["position"]["offset"].as_i64().unwrap();
            assert!(now > offset, "offsets only rise");
            offset = now;
            assert_eq!(update["position"]["epoch"], subscribed["position"]["epoch"]);
            last = update["data"]["cards"]["participants"].as_i64().unwrap();
        }
        loop {
            if public.until("update").await["data"]["count"] == 20 {
                break;
            }
        }
        let analytics = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
        assert_eq!(analytics["position"]["offset"].as_i64().unwrap(), offset, "the offset is the log's version");
        // Resuming from the present needs no snapshot.
        socket
            .send(json!({"type": "subscribe", "id": 2, "topic": format!("event:{id}"), "from": analytics["position"]}))
            .await;
        let resumed = socket.until("subscribed").await;
        assert_eq!((resumed["recovered"].as_bool(), resumed.get("snapshot")), (Some(true), None));
        api.post(&format!("/api/events/{id}/pause"), json!({})).await.is(200);
        let changed = socket.until("update").await;
        assert_eq!(
            (changed["kind"].as_str(), changed["data"]["status"].as_str()),
            (Some("event.changed"), Some("paused"))
        );
        socket.send(json!({"type": "ping", "id": 7})).await;
        assert_eq!(socket.until("pong").await["id"], 7);
    });
}

#[test]
fn job_updates_are_consecutive() {
    run(async {
        let api = owner().await;
        let event = api.draft().await;
        let options = api.options(&event).await;
        api.put(&format!("/api/events/{event}/plan"), json!({"optionId": options[0]["id"]})).await.is(200);
        let mut socket = api.socket().await;
        let job = api.post("/api/content/images", json!({"eventId": event})).await.is(202)["jobId"]
            .as_str()
            .unwrap()
            .to_owned();
        let subscribed = socket.subscribe(&format!("job:{job}")).await;
        let mut offset = subscribed["position"]["offset"].as_i64().unwrap();
        let mut images = 0;
        loop {
            let update = socket.until("update").await;
            assert_eq!(update["position"]["offset"].as_i64().unwrap(), offset + 1, "a log topic brings every update");
            offset += 1;
            images += i32::from(update["kind"] == "image.ready");
            if update["kind"] == "job.ended" {
                assert_eq!(update["data"]["status"], "succeeded");
                break;
            }
        }
        assert!(images >= 1);
        let done = api.get(&format!("/api/jobs/{job}")).await;
        assert_eq!(done.headers["etag"], format!("\"{offset}\""));
        assert_eq!(
            api.delete(&format!("/api/jobs/{job}")).await.fails(409, "wrong-state")["currentStatus"],
            "succeeded"
        );
    });
}

#[test]
fn tickets_and_limits() {
    run(async {
        let api = owner().await;
        let ticket = api.post("/api/realtime/tickets", json!({})).await.is(201)["ticket"].clone();
        let mut first = api.raw_socket().await;
        first.send(json!({"type": "hello", "ticket": ticket})).await;
        first.until("welcome").await;
        let mut again = api.raw_socket().await;
        again.send(json!({"type": "hello", "ticket": ticket})).await;
        assert_eq!(again.next().await, Err(4401), "a ticket is used once");
        let mut rude = api.raw_socket().await;
        rude.send(json!({"type": "subscribe", "id": 1, "topic": "x"})).await;
        assert_eq!(rude.next().await, Err(4400), "hello comes first");
        let mut garbage = api.raw_socket().await;
        garbage.0.send(Message::Binary(vec![1, 2, 3].into())).await.unwrap();
        assert_eq!(garbage.next().await, Err(4400));
        let mut silent = api.raw_socket().await;
        let begun = std::time::Instant::now();
        assert_eq!(silent.next().await, Err(4400), "no hello within five seconds");
        assert!(begun.elapsed() > Duration::from_secs(4));
        let mut sockets = vec![first];
        for _ in 0..4 {
            sockets.push(api.socket().await);
        }
        let sixth = api.post("/api/realtime/tickets", json!({})).await.is(201)["ticket"].clone();
        let mut socket = api.raw_socket().await;
        socket.send(json!({"type": "hello", "ticket": sixth})).await;
        assert_eq!(socket.next().await, Err(4429), "five sockets a user");
        let mut chatty = sockets.pop().unwrap();
        // Some come back meanwhile.
        for i in 0..200 {
            let _ = chatty.0.send(Message::text(json!({"type": "ping", "id": i}).to_string())).await;
        }
        let closed = loop {
            match chatty.next().await {
                Ok(_) => {}
                Err(code) => break code,
            }
        };
        assert_eq!(closed, 4429, "twenty messages a second");
    });
}

#[test]
fn foreign_origins_are_refused_before_the_upgrade() {
    run(async {
        let address = format!("{}/ws", server().base.replace("http", "ws"));
        for (origin, allowed) in [("https://evil.example", false), ("null", false), (server().base.as_str(), true)] {
            let mut request = address.as_str().into_client_request().unwrap();
            request.headers_mut().insert("origin", origin.parse().unwrap());
            request.headers_mut().insert("sec-websocket-protocol", "madang.v1".parse().unwrap());
            match tokio_tungstenite::connect_async(request).await {
                Ok((_, response)) => {
                    assert!(allowed, "{origin}");
                    assert_eq!(response.headers()["sec-websocket-protocol"], "madang.v1");
                }
                Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                    assert!(!allowed, "{origin}");
                    assert_eq!(response.status(), 403);
                }
                Err(e) => panic!("{e}"),
            }
        }
        anonymous().get("/ws").await.fails(426, "upgrade-required");
    });
}

/// The figures of channels are told to the owner only: what changes with them on the public page must not hide behind them.
#[test]
fn the_public_page_hears_of_the_last_entry_whatever_else_changed_with_it() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let (id, slug) = api.live(json!({})).await;
        let event = own.running.handles().events.get(id.parse().unwrap());
        let mut socket = at(&own.base).raw_socket().await;
        socket.send(json!({"type": "hello"})).await;
        socket.until("welcome").await;
        let subscribed = socket.subscribe(&format!("public:{slug}")).await;
        assert_eq!(subscribed["snapshot"]["count"], 0, "{subscribed}");
        for n in 1..=10 {
            api.enter(&slug, &phone(2 * n)).await.is(201);
            api.enter(&slug, &phone(2 * n + 1)).await.is(201);
            event.refresh(0).await;
            loop {
                let update = socket.until("update").await;
                assert_eq!(update["kind"], "entries.counted", "{update}");
                if update["data"]["count"] == 2 * n {
                    break;
                }
            }
        }
        own.running.stop().await;
    });
}
