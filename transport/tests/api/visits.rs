//! Proof of a visit: codes that are not to be guessed, and tokens for QR codes. And clicks, of people only.

use crate::support::{Answer, Api, Server, owner, owner_at, phone, run, start, within};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Enters the n-th customer with a code or token, from an address that a trusted proxy tells.
async fn enter(api: &Api, slug: &str, n: usize, code: &str, from: &str) -> Answer {
    let body = json!({"name": "김손님", "phone": phone(n), "consents": {"privacy": true}, "visitCode": code});
    let path = format!("/api/participation/events/{slug}/entries");
    api.send(api.request(Method::POST, &path).header("x-forwarded-for", from).json(&body)).await
}

/// Enters the n-th customer under an idempotency key.
async fn enter_keyed(api: &Api, slug: &str, n: usize, code: &str, from: &str) -> Answer {
    let body = json!({"name": "김손님", "phone": phone(n), "consents": {"privacy": true}, "visitCode": code});
    let path = format!("/api/participation/events/{slug}/entries");
    let request = api.request(Method::POST, &path).header("x-forwarded-for", from).header("idempotency-key", "again");
    api.send(request.json(&body)).await
}

/// Which numbers count as visits.
async fn visited(api: &Api, id: &str) -> Vec<i64> {
    let list = api.get(&format!("/api/events/{id}/participants?visited=true&limit=100")).await.is(200);
    list["items"].as_array().unwrap().iter().map(|p| p["entryNo"].as_i64().unwrap()).collect()
}

async fn shown(api: &Api, id: &str) -> (String, String) {
    let code = api.get(&format!("/api/events/{id}/visit-code")).await.is(200);
    (code["code"].as_str().unwrap().to_owned(), code["token"].as_str().unwrap().to_owned())
}

fn another(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

/// A server that believes what a proxy on this machine says of addresses.
async fn behind_a_proxy() -> Server {
    start(|s| s.trusted_proxies = transport::config::TrustedProxies::parse(&["127.0.0.1".into()]).unwrap()).await
}

/// Case 30: however the six digits are written, and the token as a QR code has it. Both give the same bonus.
#[test]
fn a_code_is_accepted_as_people_write_it_and_a_token_as_it_is_scanned() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 7}})).await;
        let (code, token) = shown(&api, &id).await;
        assert_eq!((code.len(), token.len()), (6, 32), "six digits, 128 bits");
        let wide: String = code.chars().map(|c| char::from_u32(c as u32 - 0x30 + 0xff10).unwrap()).collect();
        let (a, b) = code.split_at(3);
        let ways = [
            format!("{a} {b}"),
            format!("{a}-{b}"),
            wide,
            format!("{a}\u{200b}{b}\n"),
            token.clone(),
            token.to_uppercase(),
        ];
        for (n, way) in ways.iter().enumerate() {
            enter(&api, &slug, n, way, "").await.is(201);
        }
        assert_eq!(visited(&api, &id).await, [1, 2, 3, 4, 5, 6]);
        enter(&api, &slug, 90, &token[1..], "").await.fails(422, "visit-code-invalid");
        enter(&api, &slug, 91, &"0".repeat(32), "").await.fails(422, "visit-code-invalid");
        // Nothing to read is no code.
        enter(&api, &slug, 6, " \u{200b}- ", "").await.is(201);
        for (query, status) in [(format!("?v={token}"), 200), ("?v=123456".to_owned(), 422), ("?v=x".to_owned(), 422)] {
            assert_eq!(api.get(&format!("/api/events/{id}/qr.svg{query}")).await.status, status, "{query}");
        }
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        let draw = api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        let weights: Vec<i64> =
            draw["proof"]["leaves"].as_array().unwrap().iter().map(|l| l[0].as_i64().unwrap()).collect();
        assert_eq!(weights, [7, 7, 7, 7, 7, 7, 1]);
    });
}

/// Case H3: twenty wrong codes of an address, thirty of an event. What is typed past them enters without the bonus and
/// without a word; tokens, and who was right that day, are never affected; the owner hears it once.
#[test]
fn a_code_that_is_guessed_at_is_not_judged() {
    run(async {
        let own = behind_a_proxy().await;
        let api = owner_at(&own.base).await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 5}})).await;
        let (code, token) = shown(&api, &id).await;
        let (wrong, mut n) = (another(&code), 1_000);
        enter(&api, &slug, 1, &code, "192.0.2.7").await.is(201);
        for _ in 0..20 {
            n += 1;
            enter(&api, &slug, n, wrong, "192.0.2.1").await.fails(422, "visit-code-invalid");
        }
        // The address has had its tries: right or wrong, nobody learns which.
        enter(&api, &slug, 2, &code, "192.0.2.1").await.is(201);
        enter(&api, &slug, 3, wrong, "192.0.2.1").await.is(201);
        enter(&api, &slug, 4, &token, "192.0.2.1").await.is(201);
        enter(&api, &slug, 5, &code, "192.0.2.2").await.is(201);
        for from in 0..10 {
            n += 1;
            enter(&api, &slug, n, wrong, &format!("198.51.100.{from}")).await.fails(422, "visit-code-invalid");
        }
        // Thirty of the event: strangers' codes are not judged, those of who was right today are.
        let (code, token) = shown(&api, &id).await;
        enter(&api, &slug, 6, &code, "203.0.113.1").await.is(201);
        enter(&api, &slug, 7, &code, "192.0.2.7").await.is(201);
        enter(&api, &slug, 8, &token, "203.0.113.2").await.is(201);
        assert_eq!(visited(&api, &id).await, [1, 4, 5, 7, 8]);
        within(Duration::from_secs(10), "the owner is told", || async {
            let notices = api.get("/api/notices").await.is(200);
            let told = |n: &&Value| n["kind"] == "visit-code-guessed" && n["data"]["eventId"] == json!(id);
            notices["items"].as_array().unwrap().iter().filter(told).count() == 1
        })
        .await;
        own.running.stop().await;
    });
}

/// Case H3: a repetition is answered without a look at its code. Nobody guesses under a stored key: neither wrong codes nor
/// right ones are told, and a right one does not make its address one of the shop's.
#[test]
fn a_repetition_tells_nothing_of_its_code() {
    run(async {
        let own = behind_a_proxy().await;
        let api = owner_at(&own.base).await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 5}})).await;
        let (code, _) = shown(&api, &id).await;
        let wrong = another(&code);
        let first = enter_keyed(&api, &slug, 1, "", "192.0.2.1").await.is(201);
        for _ in 0..12 {
            assert_eq!(enter_keyed(&api, &slug, 1, wrong, "192.0.2.1").await.is(201), first);
        }
        let (code, _) = shown(&api, &id).await;
        assert_eq!(enter_keyed(&api, &slug, 1, &code, "192.0.2.1").await.is(201), first);
        // A key under which nothing is stored hides no try: five wrong ones of a phone, then its code is not judged.
        for _ in 0..5 {
            enter_keyed(&api, &slug, 2, wrong, "192.0.2.2").await.fails(422, "visit-code-invalid");
        }
        enter_keyed(&api, &slug, 2, &code, "192.0.2.2").await.is(201);
        // Thirty wrong ones of the event: the address of the repetitions is a stranger's.
        for n in 0..25 {
            let from = format!("198.51.100.{n}");
            enter(&api, &slug, 1_000 + n, wrong, &from).await.fails(422, "visit-code-invalid");
        }
        let (code, _) = shown(&api, &id).await;
        enter(&api, &slug, 3, &code, "192.0.2.1").await.is(201);
        assert_eq!(visited(&api, &id).await, Vec::<i64>::new());
        own.running.stop().await;
    });
}

/// A token on paper holds for a day, and until it is voided; that is in the history.
#[test]
fn a_token_on_paper_holds_until_it_is_voided() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 5}})).await;
        let path = format!("/api/events/{id}/visit-paper");
        let paper = |made: Value| made["token"].as_str().unwrap().to_owned();
        let first = paper(api.post(&path, json!({})).await.is(201));
        let made = api.post(&path, json!({})).await.is(201);
        let left =
            made["validUntil"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap() - chrono::Utc::now();
        assert!((86_300..=86_400).contains(&left.num_seconds()), "{left}");
        let second = paper(made);
        enter(&api, &slug, 1, &first, "").await.is(201);
        enter(&api, &slug, 2, &second, "").await.is(201);
        assert_eq!(api.delete(&path).await.status, 204);
        enter(&api, &slug, 3, &second, "").await.fails(422, "visit-code-invalid");
        let third = paper(api.post(&path, json!({})).await.is(201));
        enter(&api, &slug, 3, &third, "").await.is(201);
        assert_eq!(visited(&api, &id).await, [1, 2, 3]);
        let facts = api.get(&format!("/api/events/{id}/facts?limit=100")).await.is(200);
        let voided = facts["items"].as_array().unwrap().iter().filter(|f| f["kind"] == "visit-papers-voided").count();
        assert_eq!(voided, 1);
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        api.post(&path, json!({})).await.fails(409, "wrong-state");
        assert_eq!(api.delete(&path).await.status, 204, "there is nothing left to void");
    });
}

/// One phone may not enter and erase for ever: each time leaves a row.
#[test]
fn a_phone_that_erases_again_and_again_waits_for_the_next_day() {
    run(async {
        let api = owner().await;
        let (_, slug) = api.live(json!({})).await;
        let path = format!("/api/participation/events/{slug}/entries");
        let body = json!({"name": "김손님", "phone": phone(1), "consents": {"privacy": true}});
        for n in 1..=10 {
            let entered = api.enter(&slug, &phone(1)).await.is(201);
            assert_eq!(entered["entryNo"], n, "under a new number");
            let receipt = entered["receipt"].as_str().unwrap();
            assert_eq!(api.delete(&format!("/api/participation/receipts/{receipt}")).await.status, 204);
        }
        let refused = api.send(api.request(Method::POST, &path).header("accept-language", "ko").json(&body)).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.fails(429, "erased-too-often");
        api.enter(&slug, &phone(2)).await.is(201);
    });
}

/// Case 27: what messengers and search engines look at is no click, and a click for a channel that was not chosen is one of
/// the bare link.
#[test]
fn clicks_are_those_of_people() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let page = |source: &str, headers: &[(&str, &str)]| {
            let request = api.http.get(format!("{}/e/{slug}?c={source}", api.base));
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
        };
        let tag = page("QR", &[]).await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
        for headers in [
            [("user-agent", "facebookexternalhit/1.1; kakaotalk-scrap/1.0")],
            [("user-agent", "Mozilla/5.0 (compatible; Yeti/1.1)")],
            [("user-agent", "Slackbot-LinkExpanding 1.0")],
            [("sec-purpose", "prefetch")],
            [("purpose", "prefetch")],
            [("range", "bytes=0-10")],
            [("sec-fetch-dest", "image")],
            [("if-none-match", tag.as_str())],
        ] {
            assert!(page("QR", &headers).await.unwrap().status().as_u16() < 400);
        }
        // It is live on RINGO_BIZ only: this one came by the bare link.
        page("KAKAO", &[("sec-fetch-dest", "document")]).await.unwrap();
        let clicks = |rows: &Value, of: &str| {
            rows.as_array().unwrap().iter().find(|c| c["channel"] == of).map(|c| c["clicks"].clone())
        };
        within(Duration::from_secs(5), "the last click is shown", || async {
            let rows = api.get(&format!("/api/events/{id}/analytics")).await.is(200)["channels"].clone();
            assert!(clicks(&rows, "QR").is_none_or(|n| n.is_null() || n == 1), "{rows}");
            clicks(&rows, "DIRECT") == Some(json!(1)) && clicks(&rows, "QR") == Some(json!(1))
        })
        .await;
        for _ in 0..45 {
            page("QR", &[]).await.unwrap();
        }
        page("DIRECT", &[]).await.unwrap();
        within(Duration::from_secs(5), "the last click is shown", || async {
            let rows = api.get(&format!("/api/events/{id}/analytics")).await.is(200)["channels"].clone();
            // Twenty of the loop count at most, and as many again where the machine took longer than they are taken together.
            let looped = clicks(&rows, "QR").and_then(|n| n.as_i64()).unwrap_or(0);
            clicks(&rows, "DIRECT") == Some(json!(2)) && (20..=41).contains(&looped)
        })
        .await;
    });
}
