//! Pictures: painted when their owner looks, within a budget, and deleted when nothing uses them.

use crate::support::{Api, owner, run, server, within};
use actors::pictures::{self, ImageEdit, MAX_COMPOSITIONS_PER_DAY, PictureError, unguessable};
use actors::requests::MAX_DRAFTS;
use diesel::sql_types::Text;
use diesel_async::SimpleAsyncConnection;
use domain::ids::EventId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use storage::sql::{Number, Word, sql};
use storage::{StorageError, Store};

/// How long a file may stay once its deletion is due: the reconciler looks once a second.
const SWEPT: Duration = Duration::from_secs(15);

fn store() -> Store {
    server().running.handles().tools().store.clone()
}

async fn execute(text: String) {
    store().run(async move |c| Ok(c.batch_execute(&text).await?)).await.unwrap();
}

async fn schedule_deletion(name: &str) {
    let name = name.to_owned();
    let scheduled = store().run(async move |c| storage::objects::schedule_deletion(c, &name, 0).await).await;
    scheduled.unwrap();
}

/// The one number that a query about a text gives.
async fn number(query: &'static str, about: &str) -> i64 {
    let about = about.to_owned();
    let read = store().run(async move |c| sql(query).bind::<Text, _>(about).first::<Number>(c).await).await;
    read.unwrap().unwrap().n
}

/// Versions that are stored of a picture.
async fn versions(image: &str) -> i64 {
    number("select count(*) as n from events.images where id = ?::uuid", image).await
}

/// Returns the name of the file that the first version of a picture shows.
async fn name_of(image: &str) -> String {
    let image = image.to_owned();
    let query = "select name as s from events.images where id = ?::uuid and version = 1";
    let read = store().run(async move |c| sql(query).bind::<Text, _>(image).first::<Word>(c).await).await;
    read.unwrap().unwrap().s
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

/// Returns how many deletions of a file are due in a day: longer than a backup takes.
async fn due_tomorrow(name: &str) -> i64 {
    let query = "select count(*) as n from events.object_deletions
                  where name = ? and due_at between now() + interval '23 hours' and now() + interval '25 hours'";
    number(query, name).await
}

/// Has a file's deletion be due now.
async fn a_day_passes(name: &str) {
    execute(format!("update events.object_deletions set due_at = now() where name = '{name}'")).await;
}

/// A file whose row was deleted stays for a day, in which a backup may name it, and goes then.
async fn is_deleted_after_a_day(api: &Api, url: &str) {
    let name = url.rsplit('/').next().unwrap();
    assert_eq!(due_tomorrow(name).await, 1, "{url}");
    server().running.handles().sweep_pictures().await.unwrap();
    let objects = &server().running.handles().tools().objects;
    assert!(objects.has(name).await.unwrap(), "a backup that began before names it");
    a_day_passes(name).await;
    within(SWEPT, "the file is deleted", || async { !objects.has(name).await.unwrap() }).await;
    assert_eq!(status(api, url).await, StatusCode::NOT_FOUND);
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
        // A look that does not get its turn in time shows the picture as it is.
        let looks = (0..4).map(|_| api.get(&picture));
        let seen = futures_util::future::join_all(looks).await.into_iter().map(|seen| seen.is(200));
        let painted = seen.filter(|seen| (&seen["version"], &seen["headline"]) == (&json!(2), &json!("제목 5")));
        assert!(painted.count() > 0, "the first one paints");
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
        let spend = |budget: &str, days: i32, spent: i64| {
            let day = format!("(now() at time zone 'Asia/Seoul')::date - {days}");
            execute(format!(
                "insert into events.compositions (owner_id, budget, day, spent) values ('{}', '{budget}', {day}, {spent})
                 on conflict (owner_id, budget) do update set day = excluded.day, spent = excluded.spent",
                api.user
            ))
        };
        spend("edits", 1, MAX_COMPOSITIONS_PER_DAY).await;
        api.patch(&picture, json!({"palette": "NEON"})).await.is(200);
        spend("edits", 0, MAX_COMPOSITIONS_PER_DAY - 1).await;
        // Looks have a budget of their own, which binds no edit.
        spend("looks", 0, MAX_COMPOSITIONS_PER_DAY).await;
        api.patch(&picture, json!({"palette": "OCEAN"})).await.is(200);
        let refused = api.patch(&picture, json!({"palette": "FOREST"})).await;
        assert!(refused.headers.contains_key("retry-after"));
        refused.fails(429, "quota-exceeded");
        let same = api.patch(&picture, json!({"palette": "OCEAN"})).await.is(200);
        assert_eq!(same["version"], 3, "what changes nothing costs nothing");
        api.patch(&event, json!({"title": "한도 뒤의 제목"})).await.is(200);
        let shown = api.get(&picture).await.is(200);
        assert_eq!(shown["version"], 3, "shown as it is: {shown}");
        spend("looks", 0, MAX_COMPOSITIONS_PER_DAY - 1).await;
        let painted = api.get(&picture).await.is(200);
        assert_eq!(
            (&painted["version"], &painted["headline"]),
            (&json!(4), &json!("한도 뒤의 제목")),
            "edits bind no look"
        );
        api.patch(&event, json!({"title": "마지막 제목"})).await.is(200);
        assert_eq!(api.get(&picture).await.is(200)["version"], 4);
        let asked = json!({"eventId": event.rsplit('/').next(), "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]});
        let behind = api.post("/api/content/images", asked).await.is(200);
        assert_eq!(behind["images"][0]["version"], 4, "no job draws it anew: {behind}");
        choose(&api, &event, &image).await;
        publish(&api, &event).await;
        let shown = api.get(&picture).await.is(200);
        assert_eq!((&shown["version"], &shown["headline"]), (&json!(5), &json!("마지막 제목")));
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
        // A copy shows the file of the newest version, and shares the background.
        let copy = api.post(&format!("{gone}/duplicate"), json!({})).await.is(201);
        let chosen = copy["content"]["imageIds"][0].as_str().unwrap().to_owned();
        assert_eq!(name_of(&chosen).await, second.rsplit('/').next().unwrap(), "nothing was painted or stored");
        let copied = format!("/api/events/{}/images", copy["id"].as_str().unwrap());
        assert_eq!((status(&api, &first).await, status(&api, second).await), (StatusCode::OK, StatusCode::OK));
        assert_eq!(api.delete(&gone).await.status, 204);
        is_deleted_after_a_day(&api, &first).await;
        let name = second.rsplit('/').next().unwrap();
        a_day_passes(name).await;
        let scheduled = "select count(*) as n from events.object_deletions where name = ?";
        within(SWEPT, "its deletion is settled", || async { number(scheduled, name).await == 0 }).await;
        assert_eq!(status(&api, second).await, 200, "the copy shows it");
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
        is_deleted_after_a_day(&api, &later[0]).await;
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
        let objects = &server().running.handles().tools().objects;
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

/// An edit of a picture that was edited meanwhile is refused before the budget is asked, so before anything is painted.
#[test]
fn an_edit_that_comes_too_late_is_not_painted() {
    run(async {
        let api = owner().await;
        let (event, _, _) = ready(&api, json!(["RINGO_BIZ"])).await;
        let handles = server().running.handles();
        let id: EventId = event.rsplit('/').next().unwrap().parse().unwrap();
        let event = handles.events.get(id).read().await.unwrap();
        let images = pictures::look(handles.tools(), &event, None).await.unwrap();
        let edit = |palette: &str| {
            let change = ImageEdit { palette: Some(palette.into()), ..ImageEdit::default() };
            pictures::edit(handles.tools(), &event, images[0].clone(), change)
        };
        edit("NEON").await.unwrap();
        let spent = "select spent::bigint as n from events.compositions where owner_id = ?::uuid and budget = 'edits'";
        assert_eq!(number(spent, &api.user).await, 1);
        execute(format!(
            "update events.compositions set spent = {MAX_COMPOSITIONS_PER_DAY} where owner_id = '{}'",
            api.user
        ))
        .await;
        let late = edit("OCEAN").await;
        assert!(matches!(late, Err(PictureError::Storage(StorageError::Conflict { .. }))), "{late:?}");
    });
}

/// An account has a bounded number of drafts, however many requests make one at once; copies count too.
#[test]
fn drafts_of_an_account_are_bounded() {
    run(async {
        let api = owner().await;
        let first = api.draft().await;
        execute(format!(
            "insert into events.events (id, slug, owner_id, store_id, objective, status, revision)
             select gen_random_uuid(), translate(left(md5(random()::text), 16), '0189', 'ghij'), owner_id, store_id, 'SALES',
                    'draft', 1
               from events.events, generate_series(3, {MAX_DRAFTS}) where id = '{first}'"
        ))
        .await;
        let asked = [
            ("/api/events".to_owned(), json!({"objective": "SALES"})),
            (format!("/api/events/{first}/duplicate"), json!({})),
        ];
        let asked = asked.iter().cycle().take(4).map(|(path, body)| api.post(path, body.clone()));
        let answers = futures_util::future::join_all(asked).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert_eq!(made.len(), 1, "one was left");
        for answer in refused {
            let said = answer.fails(409, "too-many")["detail"].as_str().unwrap().to_owned();
            assert!(said.contains(&MAX_DRAFTS.to_string()) && said.contains("초안"), "{said}");
        }
        assert_eq!(api.delete(&format!("/api/events/{first}")).await.status, 204);
        api.post("/api/events", json!({"objective": "SALES"})).await.is(201);
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
