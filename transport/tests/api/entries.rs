//! US-17 to US-19: entries, receipts, erasure, draw.

use crate::support::{anonymous, at, ok, owner, owner_at, phone, run, start, within};
use domain::draw::proof::{DrawProof, verify};
use domain::draw::{Leaf, verify_inclusion};
use domain::event::state::hex32;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[test]
fn entries_are_checked_and_counted() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let public = anonymous();
        let page = public.get(&format!("/api/participation/events/{slug}")).await.is(200);
        assert_eq!(page["draw"]["commitment"].as_str().unwrap().len(), 64);
        let notice = page["notice"]["version"].as_str().unwrap().to_owned();
        let with = |extra: Value| {
            let mut body = json!({"name": "김손님", "phone": phone(1), "consents": {"privacy": true}});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            public.enter_with(&slug, body)
        };
        for wrong in ["", "010", "011-123-4567", "02-123-4567", "+1 10 1234 5678", "010-1234-567a", "0101234567890"] {
            with(json!({"phone": wrong})).await.fails(422, "phone-invalid");
        }
        with(json!({"consents": {}})).await.fails(422, "consent-required");
        with(json!({"consents": {"privacy": false}})).await.fails(422, "consent-required");
        with(json!({"consents": null})).await.fails(422, "consent-required");
        with(json!({"name": "a\u{0}b"})).await.fails(422, "invalid-characters");
        with(json!({"channel": "MARS"})).await.fails(422, "invalid-value");
        with(json!({"age": 3})).await.fails(422, "unknown-field");
        with(json!({"noticeVersion": "old"})).await.fails(409, "notice-changed");
        let first = with(json!({"noticeVersion": notice, "channel": "NAVER"})).await.is(201);
        assert_eq!(first["entryNo"], 1);
        with(json!({"phone": "+82 10 0000 0001"})).await.fails(409, "already-entered");
        let undecided = json!({"privacy": true, "marketing": null, "night": null});
        with(json!({"consents": undecided})).await.fails(409, "already-entered");
        let path = format!("/api/participation/events/{slug}/entries");
        let keyed = |key: &'static str, n: usize| {
            let body = json!({"name": "이손님", "phone": phone(n), "consents": {"privacy": true}});
            let request = public.request(Method::POST, &path).header("idempotency-key", key).json(&body);
            public.send(request)
        };
        let second = keyed("k1", 2).await.is(201);
        assert_eq!(keyed("k1", 2).await.is(201), second, "a retry gets the same number and receipt");
        keyed("k2", 2).await.fails(409, "already-entered");
        assert_eq!(keyed("k1", 3).await.is(201)["entryNo"], 3, "the same key with another phone is a new entry");
        let list = api.get(&format!("/api/events/{id}/participants?limit=2")).await.is(200);
        assert_eq!(
            list["items"][0],
            json!({"entryNo": 1, "maskedName": "김*님", "maskedPhone": "010-****-0001", "channel": "NAVER", "visited": false, "enteredAt": first["enteredAt"]})
        );
        let rest = api
            .get(&format!("/api/events/{id}/participants?limit=2&cursor={}", list["nextCursor"].as_str().unwrap()))
            .await
            .is(200);
        assert_eq!(rest["items"][0]["entryNo"], 3);
        assert_eq!(
            api.get(&format!("/api/events/{id}/participants?channel=NAVER")).await.is(200)["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        public.enter("aaaaaaaaaaaaaaaa", &phone(1)).await.fails(404, "not-found");
        let draft = api.draft().await;
        let hidden = api.get(&format!("/api/events/{draft}")).await.is(200)["slug"].as_str().unwrap().to_owned();
        public.get(&format!("/api/participation/events/{hidden}")).await.fails(404, "not-found");
        public.enter(&hidden, &phone(1)).await.fails(404, "not-found");
        api.post(&format!("/api/events/{id}/pause"), json!({})).await.is(200);
        public.enter(&slug, &phone(8)).await.fails(409, "event-paused");
        api.post(&format!("/api/events/{id}/resume"), json!({})).await.is(200);
        assert_eq!(public.enter(&slug, &phone(8)).await.is(201)["entryNo"], 4);
    });
}

#[test]
fn two_hundred_with_the_same_phone_and_three_hundred_behind_one_address() {
    run(async {
        let (_, slug) = owner().await.live(json!({})).await;
        let public = anonymous();
        let same = join_all((0..200).map(|_| public.enter(&slug, "010-7777-7777"))).await;
        assert_eq!(same.iter().filter(|a| a.status == 201).count(), 1);
        assert_eq!(same.iter().filter(|a| a.status == 409 && a.body["code"] == "already-entered").count(), 199);
        let crowd = join_all((0..300).map(|n| {
            let (public, slug) = (&public, &slug);
            async move { public.enter(slug, &phone(n)).await }
        }))
        .await;
        let mut numbers: Vec<i64> = crowd.into_iter().map(|a| a.is(201)["entryNo"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (2..=301).collect::<Vec<i64>>());
    });
}

/// A request as it is, on a connection of one's own: the head first, the body a moment later. Its answer, and whether the
/// connection stays.
async fn in_two_pieces(stream: &mut TcpStream, head: &str, body: &str) -> (String, bool) {
    stream.write_all(format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.ends_with('}') {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "closed after {answer}");
        answer.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    let stays = !answer.contains("connection: close");
    (answer, stays)
}

/// No place: refused whatever the body says, with all that a refusal has, in the caller's language, on a connection that
/// stays good; and who had the place is stored.
#[test]
fn who_finds_no_place_is_told_so_at_once() {
    run(async {
        let own = start(|s| {
            s.entries_in_flight = 1;
            s.journal_rows_per_second = Some(1);
            s.allowed_origins = vec!["https://shop.example.kr".into()];
        })
        .await;
        let (_, slug) = owner_at(&own.base).await.live(json!({})).await;
        let (public, path) = (at(&own.base), format!("/api/participation/events/{slug}/entries"));
        let is_full = || own.running.handles().events.is_full();
        let mut answers = Vec::new();
        // The place is taken for a second; who looks too late looks again.
        for customer in 1..=5 {
            let first = tokio::spawn({
                let (public, slug) = (public.clone(), slug.clone());
                async move { public.enter(&slug, &phone(customer)).await }
            });
            within(Duration::from_secs(5), "the only place is taken", async || is_full()).await;
            let mut stream = TcpStream::connect(own.running.address).await.unwrap();
            answers.clear();
            for language in ["ko", "en"] {
                let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\naccept-language: {language}\r\n");
                let head = format!("{head}origin: https://shop.example.kr\r\n");
                answers.push(in_two_pieces(&mut stream, &head, "{ this is no JSON").await);
            }
            let in_time = is_full();
            // Everything else goes its way.
            public.get(&format!("/api/participation/events/{slug}")).await.is(200);
            first.await.unwrap().is(201);
            if in_time {
                break;
            }
        }
        for ((answer, stays), (language, title)) in answers.iter().zip([("ko", "붐빔"), ("en", "Overloaded")]) {
            assert!(answer.starts_with("HTTP/1.1 503 ") && *stays, "{answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!((body["code"].as_str(), body["title"].as_str()), (Some("overloaded"), Some(title)));
            for header in [
                "retry-after: 1".to_owned(),
                format!("content-language: {language}"),
                format!("x-trace-id: {}", body["traceId"].as_str().unwrap()),
                "cache-control: no-store".to_owned(),
                "x-content-type-options: nosniff".to_owned(),
                "content-type: application/problem+json".to_owned(),
                "access-control-allow-origin: https://shop.example.kr".to_owned(),
            ] {
                assert!(head.contains(&header), "{header} is not in {head}");
            }
        }
        own.running.stop().await;
    });
}

/// Entries racing a close: none after it, and the root covers exactly those before it.
#[test]
fn entries_racing_a_close() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let public = anonymous();
        let entering = join_all((0..300).map(|n| {
            let (public, slug) = (&public, &slug);
            async move { public.enter(slug, &phone(n)).await }
        }));
        let closing = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200)
        };
        let (answers, closed) = tokio::join!(entering, closing);
        assert_eq!(closed["status"], "closed");
        let stored = answers.iter().filter(|a| ok(a.status)).count();
        assert!(answers.iter().all(|a| a.status == 201 || (a.status == 410 && a.body["code"] == "event-ended")));
        public.enter(&slug, &phone(999)).await.fails(410, "event-ended");
        let drawn = api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        assert_eq!(drawn["proof"]["count"].as_u64().unwrap() as usize, stored);
        let count =
            api.get(&format!("/api/events/{id}/analytics")).await.is(200)["cards"]["participants"].as_u64().unwrap();
        assert_eq!(count as usize, stored);
    });
}

#[test]
fn one_draw_whoever_asks_and_a_proof_anybody_can_check() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"prizes": [{"name": "대상", "quantity": 1, "unitValueWon": 50_000}, {"name": "참가상", "quantity": 3, "unitValueWon": 1_000}]})).await;
        let public = anonymous();
        let mut receipts = Vec::new();
        for n in 0..12 {
            receipts.push(public.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
        }
        let before = public.get(&format!("/api/participation/receipts/{}", receipts[0])).await.is(200);
        assert_eq!(before["entryNo"], 1);
        assert!(before.get("draw").is_none());
        public.get(&format!("/api/participation/events/{slug}/draw")).await.fails(404, "not-found");
        api.post(&format!("/api/events/{id}/draws"), json!({})).await.fails(409, "wrong-state");
        let commitment =
            public.get(&format!("/api/participation/events/{slug}")).await.is(200)["draw"]["commitment"].clone();
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 101})).await.fails(422, "out-of-range");
        api.post(&format!("/api/events/{id}/draws"), json!({"external": "xyz"})).await.fails(422, "invalid-value");
        let body = json!({"alternates": 2, "external": "ab".repeat(32)});
        let path = format!("/api/events/{id}/draws");
        let all = join_all((0..8).map(|_| api.post(&path, body.clone()))).await;
        assert_eq!(all.iter().filter(|a| a.status == 201).count(), 1);
        assert_eq!(all.iter().filter(|a| a.status == 200).count(), 7);
        let draws: Vec<Value> = all.into_iter().map(|a| a.body).collect();
        assert!(draws.windows(2).all(|w| w[0] == w[1]), "eight at once: one draw");
        let draw = &draws[0];
        assert_eq!((draw["winners"].as_array().unwrap().len(), draw["alternates"].as_array().unwrap().len()), (4, 2));
        assert_eq!(draw["winners"][0]["prize"], "대상");
        assert!(draw["winners"][0]["maskedPhone"].as_str().unwrap().starts_with("010-****-"));
        let proof = public.get(&format!("/api/participation/events/{slug}/draw")).await.is(200);
        assert_eq!(proof["commitment"], commitment, "the seed is the one promised at approval");
        let parsed: DrawProof = serde_json::from_value(proof).unwrap();
        verify(&parsed).unwrap();
        let winner = draw["winners"][0]["entryNo"].as_u64().unwrap() as usize;
        let mine = public.get(&format!("/api/participation/receipts/{}", receipts[winner - 1])).await.is(200);
        assert_eq!((mine["draw"]["result"].as_str(), mine["draw"]["prize"].as_str()), (Some("won"), Some("대상")));
        let inclusion = &mine["draw"]["inclusionProof"];
        let path: Vec<[u8; 32]> =
            inclusion["path"].as_array().unwrap().iter().map(|h| hex32(h.as_str().unwrap()).unwrap()).collect();
        let leaf = Leaf {
            entry_no: winner as u64,
            weight: 1,
            receipt_hash: <sha2::Sha256 as sha2::Digest>::digest(receipts[winner - 1].as_bytes()).into(),
        };
        assert!(
            verify_inclusion(&leaf, winner - 1, 12, &path, &hex32(&parsed.merkle_root).unwrap()),
            "the receipt alone proves that it was in"
        );
        // A winner who erases forfeits, and the next alternate moves up; the proof stands.
        assert_eq!(public.delete(&format!("/api/participation/receipts/{}", receipts[winner - 1])).await.status, 204);
        let after = api.get(&format!("/api/events/{id}/draws")).await.is(200)["items"][0].clone();
        assert_eq!(after["winners"][0]["entryNo"], draw["alternates"][0]["entryNo"]);
        assert_eq!(after["winners"][0]["prize"], "대상");
        assert_eq!(after["proof"], draw["proof"]);
        let notices = api.get("/api/notices").await.is(200);
        let told = notices["items"].as_array().unwrap().iter().find(|n| n["kind"] == "winner-forfeited").unwrap();
        let promoted = format!("예비 당첨자 {}번", draw["alternates"][0]["entryNo"]);
        assert!(told["messageKo"].as_str().unwrap().contains(&promoted), "{told}");
    });
}

#[test]
fn a_draw_without_entries_and_with_fewer_than_prizes() {
    run(async {
        let api = owner().await;
        for n in [0usize, 2] {
            let (id, slug) = api.live(json!({})).await;
            for i in 0..n {
                api.enter(&slug, &phone(i)).await.is(201);
            }
            api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
            let draw = api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
            assert_eq!(draw["winners"].as_array().unwrap().len(), n);
            verify(&serde_json::from_value(draw["proof"].clone()).unwrap()).unwrap();
        }
    });
}

#[test]
fn erasure_before_the_close_leaves_count_and_draw() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let public = anonymous();
        let mut receipts = Vec::new();
        for n in 0..3 {
            receipts.push(public.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
        }
        let path = format!("/api/participation/receipts/{}", receipts[1]);
        assert_eq!(public.delete(&path).await.status, 204);
        public.delete(&path).await.fails(404, "not-found");
        public.get(&path).await.fails(404, "not-found");
        public.get("/api/participation/receipts/nonsense").await.fails(404, "not-found");
        let body = api.get(&format!("/api/events/{id}/analytics")).await.is(200);
        assert_eq!(body["cards"]["participants"], 2);
        assert_eq!(body["hourly"].as_array().unwrap().iter().map(|h| h["entries"].as_i64().unwrap()).sum::<i64>(), 2);
        assert_eq!(
            public.enter(&slug, &phone(1)).await.is(201)["entryNo"],
            4,
            "the phone may enter again under a new number"
        );
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        let draw = api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 10})).await.is(201);
        assert_eq!(draw["proof"]["leaves"][1][0], 0, "its leaf is marked void");
        assert_eq!(draw["proof"]["count"], 4);
        let all: Vec<i64> = draw["winners"]
            .as_array()
            .unwrap()
            .iter()
            .chain(draw["alternates"].as_array().unwrap())
            .map(|w| w["entryNo"].as_i64().unwrap())
            .collect();
        assert!(!all.contains(&2));
    });
}

#[test]
fn visit_codes_earn_weight_and_five_wrong_ones_earn_nothing() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 5}})).await;
        let code = api.get(&format!("/api/events/{id}/visit-code")).await.is(200);
        let right = code["code"].as_str().unwrap().to_owned();
        assert_eq!(right.len(), 6);
        let wrong = if right == "000000" { "000001" } else { "000000" };
        let enter = |n: usize, code: String| {
            api.enter_with(
                &slug,
                json!({"name": "손님", "phone": phone(n), "consents": {"privacy": true}, "visitCode": code}),
            )
        };
        enter(1, right.clone()).await.is(201);
        for _ in 0..5 {
            enter(2, wrong.to_owned()).await.fails(422, "visit-code-invalid");
        }
        enter(2, right).await.is(201);
        let list = api.get(&format!("/api/events/{id}/participants")).await.is(200);
        let visited: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|p| &p["visited"]).collect();
        assert_eq!(visited, [&json!(true), &json!(false)]);
        assert_eq!(
            api.get(&format!("/api/events/{id}/participants?visited=true")).await.is(200)["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        let draw = api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        assert_eq!((&draw["proof"]["leaves"][0][0], &draw["proof"]["leaves"][1][0]), (&json!(5), &json!(1)));
        verify(&serde_json::from_value(draw["proof"].clone()).unwrap()).unwrap();
    });
}

/// What was answered once is answered again, under a notice that changed meanwhile too.
#[test]
fn a_repetition_hears_the_same_after_the_notice_changed() {
    run(async {
        let api = owner().await;
        let (_, slug) = api.live(json!({})).await;
        let public = anonymous();
        let page = format!("/api/participation/events/{slug}");
        let notice = public.get(&page).await.is(200)["notice"]["version"].clone();
        let keyed = |key: &'static str, n: usize| {
            let body =
                json!({"name": "이손님", "phone": phone(n), "consents": {"privacy": true}, "noticeVersion": notice});
            public.send(
                public.request(Method::POST, &format!("{page}/entries")).header("idempotency-key", key).json(&body),
            )
        };
        let first = keyed("k", 1).await.is(201);
        api.patch(&format!("/api/stores/{}", api.store), json!({"name": "새 이름"})).await.is(200);
        within(Duration::from_secs(5), "the notice has the new name", || async {
            public.get(&page).await.is(200)["notice"]["version"] != notice
        })
        .await;
        assert_eq!(keyed("k", 1).await.is(201), first);
        keyed("k", 2).await.fails(409, "notice-changed");
        keyed("other", 1).await.fails(409, "notice-changed");
    });
}
