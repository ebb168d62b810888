//! What is published of a draw: finished bytes for everybody, and a file from which its holders follow.

use crate::support::{Api, anonymous, at, owner, owner_at, phone, run, start};
use domain::draw::{FileFormat, PublishedDraw, verify_published};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// An event with so many entries, closed; its id and slug, and the receipts by number.
async fn closed(api: &Api, entries: usize) -> (String, String, Vec<String>) {
    let (id, slug) = api.live(json!({"prizes": [{"name": "대상", "quantity": 2, "unitValueWon": 1000}]})).await;
    let mut receipts = Vec::new();
    for n in 0..entries {
        receipts.push(api.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
    }
    api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
    (id, slug, receipts)
}

/// Case H2: whoever reads a published draw is sent finished bytes, compressed once, or hears that nothing changed.
#[test]
fn a_published_draw_is_sent_as_finished_bytes() {
    run(async {
        let api = owner().await;
        let (id, slug, _) = closed(&api, 8).await;
        let public = anonymous();
        let paths = ["draw", "winners"].map(|what| format!("/api/participation/events/{slug}/{what}"));
        for path in &paths {
            public.get(path).await.fails(404, "not-found");
        }
        api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 2})).await.is(201);
        for path in &paths {
            let asked =
                |coding: &'static str| public.request(Method::GET, path).header("accept-encoding", coding).send();
            let plain = asked("identity").await.unwrap();
            assert!(!plain.headers().contains_key("content-encoding"));
            let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
            let plain = plain.bytes().await.unwrap();
            for (coding, accepted) in [("gzip", "gzip"), ("br", "gzip, deflate, br")] {
                let packed = asked(accepted).await.unwrap();
                assert_eq!(packed.status(), StatusCode::OK);
                let headers = packed.headers().clone();
                assert_eq!(headers["content-encoding"], coding, "{path}");
                assert_eq!(headers["cache-control"], "public, max-age=60");
                assert_eq!(headers["content-type"], "application/json");
                let vary =
                    headers.get_all("vary").iter().any(|v| v.to_str().unwrap().eq_ignore_ascii_case("accept-encoding"));
                assert!(vary, "{headers:?}");
                let bytes = packed.bytes().await.unwrap();
                assert_eq!(
                    headers["content-length"].to_str().unwrap(),
                    bytes.len().to_string(),
                    "nothing is made while it is sent"
                );
                if coding == "gzip" {
                    // A gzip file ends with the length of what is in it: compressed once, not twice.
                    let length = u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap());
                    assert_eq!(length as usize, plain.len(), "{path}");
                }
                let known = headers["etag"].to_str().unwrap();
                let again = public.send(public.request(Method::GET, path).header("if-none-match", known)).await;
                assert_eq!((again.status, again.body.as_str()), (304, Some("")), "{path}");
            }
            let again = public.send(public.request(Method::GET, path).header("if-none-match", &tag)).await;
            assert_eq!((again.status, again.headers["etag"].to_str().unwrap()), (304, tag.as_str()));
            assert_eq!(again.headers["cache-control"], "public, max-age=60");
        }
        let list = api.get(&format!("/api/events/{id}/draws")).await;
        assert_eq!(list.headers["cache-control"], "no-store", "an owner's list is nobody else's");
    });
}

/// RFC 9110, 12.5.3: a client that refuses every coding is told so before anything is done, and no cache keeps it.
#[test]
fn a_client_that_takes_no_coding_gets_no_answer_of_a_cache() {
    run(async {
        let api = owner().await;
        let (id, slug, _) = closed(&api, 3).await;
        let draws = format!("/api/events/{id}/draws");
        let asked = async |api: &Api, method: Method, path: &str, coding: &str| {
            let request = api.request(method.clone(), path).header("accept-encoding", coding);
            api.send(if method == Method::POST { request.json(&json!({})) } else { request }).await
        };
        for refusing in ["*;q=0", "identity;q=0", "gzip;q=0, br;q=0, identity;q=0"] {
            asked(&api, Method::POST, &draws, refusing).await.fails(406, "not-acceptable");
        }
        assert_eq!(api.get(&draws).await.is(200)["items"], json!([]), "nothing was drawn");
        api.post(&draws, json!({})).await.is(201);
        for what in ["draw", "winners"] {
            let path = format!("/api/participation/events/{slug}/{what}");
            for refusing in ["*;q=0", "identity;q=0", "gzip;q=0, br;q=0, identity;q=0"] {
                let answer = asked(&anonymous(), Method::GET, &path, refusing).await;
                assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
                assert!(!answer.headers.contains_key("etag"), "{path}");
                answer.fails(406, "not-acceptable");
            }
            for (accepted, coding) in [
                ("*;q=0, identity", None),
                ("gzip;q=0, br;q=0", None),
                ("zstd", None),
                ("gzip;q=0, *", Some("br")),
                ("identity;q=0, gzip", Some("gzip")),
            ] {
                let request = anonymous().request(Method::GET, &path).header("accept-encoding", accepted);
                let answer = request.send().await.unwrap();
                let told = answer.headers().get("content-encoding").map(|coding| coding.to_str().unwrap());
                assert_eq!((answer.status(), told), (StatusCode::OK, coding), "{path}: {accepted}");
                assert_eq!(answer.headers()["cache-control"], "public, max-age=60");
            }
        }
    });
}

/// The holders of the prizes follow from the file, whatever is erased, and there is no phone in it.
#[test]
fn holders_follow_from_what_was_passed_on() {
    run(async {
        let api = owner().await;
        let (id, slug, receipts) = closed(&api, 9).await;
        let drawn = api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 3})).await.is(201);
        let public = anonymous();
        let (file, page) =
            (format!("/api/participation/events/{slug}/draw"), format!("/api/participation/events/{slug}/winners"));
        let number = |list: &str, at: usize| drawn[list][at]["entryNo"].as_u64().unwrap();
        let (winner, first, second) = (number("winners", 0), number("alternates", 0), number("alternates", 1));
        let mut tags = vec![public.get(&file).await.headers["etag"].clone()];
        // An alternate who waits, then a winner: the second alternate moves up.
        for gone in [first, winner] {
            let receipt = &receipts[gone as usize - 1];
            assert_eq!(public.delete(&format!("/api/participation/receipts/{receipt}")).await.status, 204);
            let answer = public.get(&file).await;
            assert!(!tags.contains(&answer.headers["etag"]), "seen at once");
            tags.push(answer.headers["etag"].clone());
            let body = answer.is(200);
            let read: PublishedDraw = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(verify_published(&read), Ok(FileFormat::Current));
            assert!(!body.to_string().contains("Phone") && !body.to_string().contains("010-****"), "{body}");
            let last = body["passedOn"].as_array().unwrap().last().unwrap();
            assert_eq!((last["entryNo"].as_u64(), last["why"].as_str()), (Some(gone), Some("erased")));
        }
        let body = public.get(&file).await.is(200);
        assert_eq!(body["holders"][0]["entryNo"].as_u64(), Some(second));
        let shown = public.get(&page).await.is(200);
        let owners = api.get(&format!("/api/events/{id}/draws")).await.is(200)["items"][0].clone();
        assert_eq!((&shown["winners"], &shown["drawnAt"]), (&owners["winners"], &owners["drawnAt"]));
        let phones: Vec<&Value> = shown["winners"].as_array().unwrap().iter().map(|w| &w["maskedPhone"]).collect();
        assert!(phones.iter().all(|p| p.as_str().unwrap().starts_with("010-****-")), "{phones:?}");
        // One value of it changed: refused.
        let mut changed = body.clone();
        changed["holders"][0]["entryNo"] = json!(winner);
        let read: PublishedDraw = serde_json::from_value(changed).unwrap();
        assert!(verify_published(&read).is_err());
    });
}

/// Case H2: what is in memory is sent while the database is away, to however many ask.
#[test]
fn a_draw_in_memory_needs_no_database() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let (id, slug, _) = closed(&api, 3).await;
        api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(201);
        let public = at(&own.base);
        let file = format!("/api/participation/events/{slug}/draw");
        let before = public.get(&file).await.is(200);
        own.running.handles().tools().store.clone().close().await;
        // Past a second it would be looked at again.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        for answer in join_all((0..20).map(|_| public.get(&file))).await {
            assert_eq!(answer.is(200), before);
        }
        own.running.stop().await;
    });
}
