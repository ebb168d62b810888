//! What a careful client runs into: repetitions, whole edits, languages, exact limits.

use crate::support::{owner, owner_at, phone, run, start, within};
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Fault;
use std::time::{Duration, Instant};

async fn enter(
    api: &crate::support::Api,
    slug: &str,
    phone: &str,
    key: &str,
    code: Option<&str>,
) -> crate::support::Answer {
    let body = json!({"name": "김손님", "phone": phone, "consents": {"privacy": true}, "visitCode": code});
    let path = format!("/api/participation/events/{slug}/entries");
    api.send(api.request(Method::POST, &path).header("idempotency-key", key).json(&body)).await
}

/// §2.5: same phone and same key, the first 201 again, whatever became of the event or the code meanwhile.
#[test]
fn a_lost_answer_is_heard_after_pause_close_and_another_code() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 3}})).await;
        let code = api.get(&format!("/api/events/{id}/visit-code")).await.is(200)["code"].as_str().unwrap().to_owned();
        let first = enter(&api, &slug, &phone(1), "k1", Some(&code)).await.is(201);
        let wrong = if code == "000000" { "000001" } else { "000000" };
        assert_eq!(enter(&api, &slug, &phone(1), "k1", Some(wrong)).await.is(201), first);
        for refused in ["visit-code-invalid"; 4] {
            enter(&api, &slug, &phone(2), "k2", Some(wrong)).await.fails(422, refused);
        }
        api.post(&format!("/api/events/{id}/pause"), json!({})).await.is(200);
        assert_eq!(enter(&api, &slug, &phone(1), "k1", Some(&code)).await.is(201), first);
        enter(&api, &slug, &phone(3), "k3", None).await.fails(409, "event-paused");
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        assert_eq!(enter(&api, &slug, &phone(1), "k1", None).await.is(201), first);
        enter(&api, &slug, &phone(1), "another", None).await.fails(410, "event-ended");
    });
}

#[test]
fn an_edit_is_whole_or_nothing_and_keeps_what_it_leaves_out() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({"visitBonus": {"weight": 5}}), json!(["NAVER"])).await;
        let path = format!("/api/events/{id}");
        let before = api.get(&path).await.is(200);
        api.patch(&path, json!({"title": "부분", "endsAt": "2020-01-01T00:00:00Z"})).await.fails(422, "period-invalid");
        assert_eq!(api.get(&path).await.is(200), before);
        let plan = |body: Value| api.put_plan(&path, &before, body);
        assert_eq!(plan(json!({})).await["visitBonus"]["weight"], 5);
        assert!(plan(json!({"visitBonus": null})).await["visitBonus"].is_null());
        let ids = vec![before["content"]["imageIds"][0].clone(); 10];
        api.put(&format!("{path}/content"), json!({"imageIds": ids})).await.fails(422, "too-many");
        let draft = format!("/api/events/{}/content", api.draft().await);
        api.put(&draft, json!({"imageIds": [before["id"]]})).await.fails(409, "wrong-state");
    });
}

/// Proposals cost money: a shop has a quota of the day, and what is cached or running already costs none of it.
#[test]
fn a_shop_has_a_daily_quota() {
    run(async {
        let own = start(|s| {
            s.recommendations_per_day = 1;
            s.redis_url = None;
        })
        .await;
        let api = owner_at(&own.base).await;
        let ask = |region| json!({"industry": "BAKERY", "region": region, "objective": "REVISIT", "season": "SUMMER"});
        let job = api.post("/api/ai/recommendations", ask("광주 서구")).await.is(202);
        api.job(&job["jobId"]).await;
        let refused = api.post("/api/ai/recommendations", ask("광주 북구")).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.fails(429, "quota-exceeded");
        assert_eq!(api.post("/api/ai/recommendations", ask("광주 서구")).await.is(200)["cached"], true);
        own.running.stop().await;
    });
}

#[test]
fn what_is_answered_first_is_what_is_read_later() {
    run(async {
        let api = owner().await;
        let me = api.get("/api/users/me").await.is(200);
        let first = api.seen.lock().answers[0].1.clone();
        let signed: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(signed["user"]["createdAt"], me["createdAt"]);
        let store =
            api.post("/api/stores", json!({"name": "둘째", "industry": "CAFE", "region": "서울 중구"})).await.is(201);
        let path = format!("/api/stores/{}", store["id"].as_str().unwrap());
        assert_eq!(api.get(&path).await.is(200), store);
    });
}

#[test]
fn languages_limits_and_headers_hold_everywhere() {
    run(async {
        let api = owner().await;
        let request = |language: &str| {
            api.request(Method::POST, "/api/events")
                .header("idempotency-key", uuid::Uuid::now_v7().to_string())
                .header("accept-language", language)
                .json(&json!({"objective": "X"}))
        };
        for (language, answered) in [("en", "en"), ("en;q=0.1, ko;q=0.9", "ko"), ("fr, en;q=0.5", "en"), ("fr", "ko")] {
            let answer = api.send(request(language)).await;
            assert_eq!(answer.headers["content-language"], answered, "{language}");
            assert_eq!(answer.headers["x-trace-id"], answer.body["traceId"].as_str().unwrap());
        }
        for (method, path, status) in [(Method::DELETE, "/api/events", 405), (Method::GET, "/api/nope", 404)] {
            let answer = api.send(api.request(method, path)).await;
            assert_eq!(answer.status, status);
            assert!(answer.headers.contains_key("ratelimit") && answer.headers.contains_key("ratelimit-policy"));
        }
        let (id, _) = api.live(json!({})).await;
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        for external in ["+a".repeat(32), "g".repeat(64), "a".repeat(63)] {
            let answer = api.post(&format!("/api/events/{id}/draws"), json!({"external": external})).await;
            assert_eq!(answer.status, 422, "{}", answer.body);
        }
    });
}

#[test]
fn a_frame_of_exactly_the_limit_is_taken_and_a_lost_right_closes() {
    run(async {
        let api = owner().await;
        let mut socket = api.socket().await;
        let mut ping = json!({"type": "ping", "id": ""});
        ping["id"] = json!("x".repeat(65_536 - ping.to_string().len()));
        assert_eq!(ping.to_string().len(), 65_536);
        socket.send(ping.clone()).await;
        assert_eq!(socket.until("pong").await["id"], ping["id"]);
        let id = api.draft().await;
        assert_eq!(socket.subscribe(&format!("event:{id}")).await["type"], "subscribed");
        api.delete(&format!("/api/events/{id}")).await.is(204);
        let end = async {
            loop {
                if let Err(code) = socket.next().await {
                    return code;
                }
            }
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), end).await.expect("it closes"), 4403);
        ping["id"] = json!("x".repeat(65_536));
        let mut other = api.socket().await;
        other.send(ping).await;
        assert_eq!(other.next().await, Err(4400));
        within(Duration::from_secs(5), "the event is gone", || async {
            api.get(&format!("/api/events/{id}")).await.status == 404
        })
        .await;
    });
}

/// A request that waits for a job does not hold up a server that leaves: the answer comes at once, and says that the job is not over.
#[test]
fn a_server_that_drains_lets_nobody_wait() {
    run(async {
        let own = start(|s| s.drain_seconds = 2).await;
        let api = owner_at(&own.base).await;
        for upstream in ["CLAUDE", "OPENAI"] {
            own.running.simulator().unwrap().set_fault(upstream, Some(Fault::Hang));
        }
        let event = api.draft().await;
        let job = api.post("/api/ai/recommendations", json!({"eventId": event})).await.is(202)["jobId"].clone();
        let path = format!("/api/jobs/{}", job.as_str().unwrap());
        let (waited, begun) = (api.request(Method::GET, &path).header("prefer", "wait=60"), Instant::now());
        // Whichever comes first: for two seconds more it accepts.
        let (answer, ()) = tokio::join!(api.send(waited), own.running.stop());
        assert!(["queued", "running"].contains(&answer.is(200)["status"].as_str().unwrap()));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    });
}
