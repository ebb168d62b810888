//! Pictures: painted when their owner looks, within a budget, and deleted when nothing uses them.

use crate::support::{Api, owner, run, server, within};
use actors::pictures::{MAX_COMPOSITIONS_PER_DAY, unguessable};
use diesel::sql_types::Text;
use diesel_async::SimpleAsyncConnection;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use storage::Store;
use storage::sql::{Number, sql};

/// How long a file that nothing uses may stay: the reconciler looks once a second.
const SWEPT: Duration = Duration::from_secs(15);

fn store() -> Store {
    server().running.handles().shared.store.clone()
}

async fn execute(text: String) {
    store().run(move |c| Box::pin(async move { Ok(c.batch_execute(&text).await?) })).await.unwrap();
}

async fn schedule_deletion(name: &str) {
    let name = name.to_owned();
    let scheduled =
        store().run(move |c| Box::pin(async move { storage::objects::schedule_deletion(c, &name, 0).await })).await;
    scheduled.unwrap();
}

/// Versions that are stored of a picture.
async fn versions(image: &str) -> i64 {
    let image = image.to_owned();
    let counted = store();
    let counted = counted.run(move |c| {
        Box::pin(async move {
            let count = sql("select count(*) as n from events.images where id = ?::uuid").bind::<Text, _>(image);
            count.first::<Number>(c).await
        })
    });
    counted.await.unwrap().unwrap().n
}

/// An event that waits for its approval, and its one picture: the paths of both, and the picture's id.
async fn ready(api: &Api, channels: Value) -> (String, String, String) {
    let event = format!("/api/events/{}", api.ready(json!({}), channels).await);
    let ids = api.get(&event).await.is(200)["content"]["imageIds"].clone();
    let id = ids[0].as_str().unwrap().to_owned();
    (event, format!("/api/content/images/{id}"), id)
}

/// Chooses the picture again, which a new title unchose.
async fn choose(api: &Api, event: &str, image: &str) {
    let chosen = api.put(&format!("{event}/content"), json!({"imageIds": [image]})).await.is(200);
    assert_eq!(chosen["status"], "ready");
}

async fn publish(api: &Api, event: &str) -> (Value, String) {
    api.publish(event.rsplit('/').next().unwrap()).await
}

async fn url(api: &Api, picture: &str) -> String {
    api.get(picture).await.is(200)["url"].as_str().unwrap().to_owned()
}

async fn status(api: &Api, url: &str) -> StatusCode {
    api.http.get(url).send().await.unwrap().status()
}

async fn is_deleted(api: &Api, url: &str) {
    within(SWEPT, "the file is deleted", || async { status(api, url).await == StatusCode::NOT_FOUND }).await;
}

/// Case H4: a title that no one looked at is not painted; the last one is painted once, however many requests look.
#[test]
fn pictures_follow_the_last_title_when_somebody_looks() {
    run(async {
        let api = owner().await;
        let (event, picture, image) = ready(&api, json!(["RINGO_BIZ"])).await;
        for n in 1..=5 {
            api.patch(&event, json!({"title": format!("제목 {n}")})).await.is(200);
        }
        assert_eq!(versions(&image).await, 1, "nobody looked");
        let looks = (0..4).map(|_| api.get(&picture));
        for seen in futures_util::future::join_all(looks).await {
            let seen = seen.is(200);
            assert_eq!((&seen["version"], &seen["headline"]), (&json!(2), &json!("제목 5")));
        }
        let listed = api.get(&format!("{event}/images")).await.is(200);
        assert_eq!(listed["items"][0]["version"], 2, "{listed}");
        let asked = json!({"eventId": event.rsplit('/').next(), "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]});
        for title in ["여섯째 제목", "일곱째 제목"] {
            api.patch(&event, json!({"title": title})).await.is(200);
        }
        let made = api.post("/api/content/images", asked).await.is(200);
        assert_eq!((&made["images"][0]["version"], &made["images"][0]["headline"]), (&json!(3), &json!("일곱째 제목")));
        assert_eq!(versions(&image).await, 3);
    });
}

/// Case H4: an approval paints the last words, once.
#[test]
fn an_approval_shows_the_last_title() {
    run(async {
        let api = owner().await;
        let (event, picture, image) = ready(&api, json!(["KAKAO"])).await;
        for title in ["첫 제목", "마지막 제목"] {
            api.patch(&event, json!({"title": title})).await.is(200);
        }
        choose(&api, &event, &image).await;
        let (approved, distribution) = publish(&api, &event).await;
        assert_eq!(approved["event"]["content"]["images"][0]["version"], 2, "{approved}");
        assert_eq!(api.get(&picture).await.is(200)["headline"], "마지막 제목");
        let card = api.get(&distribution).await.is(200)["channels"][0]["imageUrl"].as_str().unwrap().to_owned();
        assert_eq!(status(&api, &card).await, 200);
        // A refused approval painted nothing.
        api.post(&format!("{event}/approve"), json!({})).await.fails(409, "wrong-state");
        assert_eq!(versions(&image).await, 2);
    });
}

/// Case H4: an edit of a picture whose title changed meanwhile shows the new title, and does not keep the old one.
#[test]
fn an_edit_shows_the_last_title() {
    run(async {
        let api = owner().await;
        let (event, picture, _) = ready(&api, json!(["RINGO_BIZ"])).await;
        let before = api.get(&picture).await.is(200);
        api.patch(&event, json!({"title": "다른 제목"})).await.is(200);
        let shown = json!({"headline": before["headline"], "palette": "NEON"});
        let edited = api.patch(&picture, shown).await.is(200);
        assert_eq!((&edited["version"], &edited["headline"]), (&json!(2), &json!("다른 제목")));
        api.patch(&event, json!({"title": "또 다른 제목"})).await.is(200);
        assert_eq!(api.get(&picture).await.is(200)["headline"], "또 다른 제목", "nobody wrote it");
    });
}

/// Case H4: past the budget of the day no edit is painted, a look shows what there is, and an approval goes on.
#[test]
fn a_spent_budget_binds_edits_and_looks_and_no_approval() {
    run(async {
        let api = owner().await;
        let (event, picture, image) = ready(&api, json!(["RINGO_BIZ"])).await;
        let spend = |days: i32, spent: i64| {
            let day = format!("(now() at time zone 'Asia/Seoul')::date - {days}");
            execute(format!(
                "insert into events.compositions values ('{}', {day}, {spent})
                 on conflict (owner_id) do update set day = excluded.day, spent = excluded.spent",
                api.user
            ))
        };
        spend(1, MAX_COMPOSITIONS_PER_DAY).await;
        api.patch(&picture, json!({"palette": "NEON"})).await.is(200);
        spend(0, MAX_COMPOSITIONS_PER_DAY - 1).await;
        api.patch(&picture, json!({"palette": "OCEAN"})).await.is(200);
        let refused = api.patch(&picture, json!({"palette": "FOREST"})).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.fails(429, "quota-exceeded");
        let same = api.patch(&picture, json!({"palette": "OCEAN"})).await.is(200);
        assert_eq!(same["version"], 3, "what changes nothing costs nothing");
        api.patch(&event, json!({"title": "한도 뒤의 제목"})).await.is(200);
        let shown = api.get(&picture).await.is(200);
        assert_eq!(shown["version"], 3, "shown as it is: {shown}");
        choose(&api, &event, &image).await;
        publish(&api, &event).await;
        let shown = api.get(&picture).await.is(200);
        assert_eq!((&shown["version"], &shown["headline"]), (&json!(4), &json!("한도 뒤의 제목")));
    });
}

/// Case H4: with a draft its pictures go, and no other event's.
#[test]
fn pictures_of_a_deleted_draft_are_deleted() {
    run(async {
        let api = owner().await;
        let (gone, picture, _) = ready(&api, json!(["RINGO_BIZ"])).await;
        let first = url(&api, &picture).await;
        let second = api.patch(&picture, json!({"headline": "새 문구"})).await.is(200)["url"].clone();
        let second = second.as_str().unwrap();
        // A copy has a file of its own, and shares the background.
        let copy = api.post(&format!("{gone}/duplicate"), json!({})).await.is(201);
        let copied = format!("/api/events/{}/images", copy["id"].as_str().unwrap());
        let kept = api.get(&copied).await.is(200)["items"][0]["url"].clone();
        assert_eq!((status(&api, &first).await, status(&api, second).await), (StatusCode::OK, StatusCode::OK));
        assert_eq!(api.delete(&gone).await.status, 204);
        is_deleted(&api, &first).await;
        is_deleted(&api, second).await;
        assert_eq!(status(&api, kept.as_str().unwrap()).await, 200);
        // Its background is still there to paint with.
        let image = api.get(&copied).await.is(200)["items"][0]["id"].clone();
        let copy = format!("/api/content/images/{}", image.as_str().unwrap());
        let painted = api.patch(&copy, json!({"palette": "NEON"})).await.is(200);
        assert_eq!(status(&api, painted["url"].as_str().unwrap()).await, 200);
    });
}

/// Case H4: versions that a publication shows stay, and so does the newest; those between go an hour after the next.
#[test]
fn a_publication_keeps_its_pictures() {
    run(async {
        let api = owner().await;
        let (event, picture, _) = ready(&api, json!(["KAKAO"])).await;
        let (_, distribution) = publish(&api, &event).await;
        let approved = url(&api, &picture).await;
        let card = api.get(&distribution).await.is(200)["channels"][0]["imageUrl"].clone();
        let mut later = Vec::new();
        for headline in ["둘째", "셋째"] {
            let edited = api.patch(&picture, json!({"headline": headline})).await.is(200);
            later.push(edited["url"].as_str().unwrap().to_owned());
        }
        let sweep = || async { server().running.handles().sweep_pictures().await.unwrap() };
        sweep().await;
        assert_eq!(status(&api, &later[0]).await, 200, "a page that is open still shows it");
        execute(format!(
            "update events.images set superseded_at = superseded_at - interval '61 minutes' where event_id = '{}'",
            event.rsplit('/').next().unwrap()
        ))
        .await;
        sweep().await;
        is_deleted(&api, &later[0]).await;
        for kept in [approved.as_str(), card.as_str().unwrap(), later[1].as_str()] {
            assert_eq!(status(&api, kept).await, 200, "{kept}");
        }
        assert_eq!(url(&api, &picture).await, later[1]);
    });
}

/// Case H4: a crash between file and row leaves neither a file for ever nor a row without its file.
#[test]
fn a_crash_between_file_and_row_leaves_neither_alone() {
    run(async {
        let api = owner().await;
        let objects = &server().running.handles().shared.objects;
        let (_, picture, _) = ready(&api, json!(["RINGO_BIZ"])).await;
        let url = url(&api, &picture).await;
        let name = url.rsplit('/').next().unwrap();
        // A file whose row never came, and one that has its row.
        let orphan = format!("{}.svg", unguessable());
        objects.put(&orphan, b"<svg/>".to_vec()).await.unwrap();
        for scheduled in [orphan.as_str(), name] {
            schedule_deletion(scheduled).await;
        }
        within(SWEPT, "the orphan is deleted", || async { !objects.has(&orphan).await.unwrap() }).await;
        assert!(objects.has(name).await.unwrap(), "a row uses it");
        // A row whose file is gone.
        let read = || async {
            let answer = api.http.get(&url).send().await.unwrap();
            (answer.status(), answer.headers()["content-type"].clone(), answer.bytes().await.unwrap())
        };
        let before = read().await;
        assert_eq!(before.0, StatusCode::OK);
        objects.delete(name).await.unwrap();
        let looks = futures_util::future::join_all((0..3).map(|_| read())).await;
        assert!(looks.iter().all(|after| *after == before), "it is the same picture");
        let unknown = format!("{}/images/{}.jpg", api.base, unguessable());
        assert_eq!(status(&api, &unknown).await, StatusCode::NOT_FOUND);
    });
}

/// Case M1: lists in bodies are bounded before the database is asked, and each thing counts once.
#[test]
fn lists_of_pictures_and_their_kinds_are_bounded() {
    run(async {
        let api = owner().await;
        let (event, picture, image) = ready(&api, json!(["RINGO_BIZ"])).await;
        let content = format!("{event}/content");
        let pictures = |n: usize| json!({"imageIds": (0..n).map(|_| uuid::Uuid::now_v7()).collect::<Vec<_>>()});
        let refused = api.put(&content, pictures(10)).await.fails(422, "too-many");
        assert_eq!((&refused["errors"][0]["field"], &refused["errors"][0]["max"]), (&json!("imageIds"), &json!(9)));
        let refused = api.put(&content, pictures(20_000)).await.fails(422, "too-many");
        assert_eq!(refused["errors"][0]["field"], "imageIds");
        api.put(&content, json!({"imageIds": []})).await.fails(422, "required");
        let twice = api.put(&content, json!({"imageIds": [image, image]})).await.is(200);
        assert_eq!(twice["content"]["imageIds"], json!([image]));
        let id = event.rsplit('/').next().unwrap();
        for (list, word) in [("styles", "SIMPLE"), ("platforms", "KAKAO")] {
            let mut body = json!({"eventId": id});
            body[list] = json!(vec![word; 50_000]);
            let refused = api.post("/api/content/images", body).await.fails(422, "too-many");
            assert_eq!(refused["errors"][0]["field"], list);
        }
        let colours = json!({"palette": vec!["#112233"; 50_000]});
        api.patch(&picture, colours).await.fails(422, "palette-invalid");
    });
}

/// The code is black and white squares, of whole pixels.
#[test]
fn the_qr_code_is_a_small_png() {
    run(async {
        let api = owner().await;
        let path = format!("/api/events/{}/qr.png", api.draft().await);
        let png = api.request(Method::GET, &path).send().await.unwrap().bytes().await.unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), png[24], png[25]), (side(20), 8, 0), "a square of eight bits of grey");
        assert!((400..=720).contains(&side(16)), "{}", side(16));
    });
}
