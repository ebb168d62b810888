//! What the notice promises: data of those who did not win is destroyed after the draw, everything personal in the end, and
//! both are recorded.

use crate::support::{Api, Server, owner_at, phone, run, start, within};
use diesel_async::SimpleAsyncConnection;
use domain::draw::proof::DrawProof;
use serde_json::{Value, json};
use std::time::Duration;
use storage::retention::LAST_CALL;

/// As if everything so far had happened so many days earlier.
async fn days_pass(own: &Server, days: u32) {
    for table in [
        "events.facts set at = at",
        "events.notices set created_at = created_at",
        "events.events set last_call_at = last_call_at",
    ] {
        assert!(holds(own, format!("update {table} - interval '{days} days'")).await);
    }
}

/// Does the database take a statement?
async fn holds(own: &Server, statement: String) -> bool {
    let store = own.running.handles().tools().store.clone();
    store.run(async move |c| Ok(c.batch_execute(&statement).await?)).await.is_ok()
}

async fn destroy(own: &Server) {
    own.running.handles().destroy_due().await.unwrap();
}

/// What is stored of an event's entries: number, and whether name and phone are there.
async fn named(own: &Server, id: &str) -> Vec<(i64, bool)> {
    let id = domain::ids::EventId(id.parse().unwrap());
    let store = own.running.handles().tools().store.clone();
    let numbers: Vec<i64> = (1..=10).collect();
    let rows = store.run(async move |c| storage::entries::by_number(c, id, numbers).await).await;
    let keys = &own.running.handles().tools().keys;
    rows.unwrap().iter().map(|r| (r.entry_no, r.open(keys).unwrap().is_some())).collect()
}

async fn records(api: &Api, id: &str) -> Vec<Value> {
    let facts = api.get(&format!("/api/events/{id}/facts?limit=100")).await.is(200);
    let facts = facts["items"].as_array().unwrap().iter();
    facts.filter(|f| ["destroyed", "purged"].contains(&f["kind"].as_str().unwrap())).cloned().collect()
}

/// What an owner was told of draws that wait.
async fn reminders(api: &Api, kind: &str) -> Vec<Value> {
    let all = api.get("/api/notices?all=true").await.is(200);
    all["items"].as_array().unwrap().iter().filter(|n| n["kind"] == kind).cloned().collect()
}

/// The list of a closed event is published: owners are told how many wait.
async fn rooted(api: &Api, slug: &str) {
    let page = format!("/api/participation/events/{slug}");
    within(Duration::from_secs(20), "its list is published", || async {
        api.get(&page).await.body["draw"]["root"].is_string()
    })
    .await;
}

async fn enter(api: &Api, slug: &str, people: std::ops::Range<usize>) -> Vec<String> {
    let mut receipts = Vec::new();
    for n in people {
        receipts.push(api.enter(slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned());
    }
    receipts
}

/// The life of a draw's data: a day later losers are nameless, with proofs and counts as they were; after ninety nobody is
/// known, and the draw still verifies.
#[test]
fn losers_are_forgotten_after_the_draw_and_everybody_in_the_end() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let (id, slug) = api.live(json!({"prizes": [{"name": "대상", "quantity": 1, "unitValueWon": 1000}]})).await;
        let receipts = enter(&api, &slug, 0..6).await;
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        rooted(&api, &slug).await;
        days_pass(&own, 2).await;
        destroy(&own).await;
        assert!(named(&own, &id).await.iter().all(|(_, there)| *there), "nobody has lost yet");
        assert_eq!(reminders(&api, "draw-waiting").await, Vec::<Value>::new(), "there is time yet");
        days_pass(&own, 2).await;
        for _ in 0..2 {
            destroy(&own).await;
            let reminders = reminders(&api, "draw-waiting").await;
            assert_eq!(reminders.len(), 1, "once: {reminders:?}");
            assert!(reminders[0]["messageKo"].as_str().unwrap().contains("6건"), "{reminders:?}");
        }
        let draw = api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 2})).await.is(201);
        destroy(&own).await;
        assert!(named(&own, &id).await.iter().all(|(_, there)| *there), "the day is not over");

        days_pass(&own, 2).await;
        destroy(&own).await;
        let people = draw["winners"].as_array().unwrap().iter().chain(draw["alternates"].as_array().unwrap());
        let kept: Vec<i64> = people.map(|w| w["entryNo"].as_i64().unwrap()).collect();
        assert_eq!(kept.len(), 3);
        for (no, there) in named(&own, &id).await {
            assert_eq!(there, kept.contains(&no), "no. {no} of {kept:?}");
        }
        destroy(&own).await;
        let record = records(&api, &id).await;
        assert_eq!(record.len(), 1, "once: {record:?}");
        assert_eq!((&record[0]["who"], &record[0]["data"]["entries"]), (&json!("system"), &json!(3)));
        let loser = (1..=6).find(|no| !kept.contains(no)).unwrap();
        let receipt = api.get(&format!("/api/participation/receipts/{}", receipts[loser as usize - 1])).await.is(200);
        assert_eq!(
            (&receipt["draw"]["result"], &receipt["draw"]["inclusionProof"]["count"]),
            (&json!("not-won"), &json!(6))
        );
        let list = api.get(&format!("/api/events/{id}/participants?limit=100")).await.is(200);
        let row = |no: i64| list["items"].as_array().unwrap().iter().find(|p| p["entryNo"] == no).unwrap().clone();
        assert_eq!((&row(loser)["maskedName"], &row(loser)["maskedPhone"]), (&json!(""), &json!("")));
        assert_eq!(row(kept[0])["maskedPhone"], draw["winners"][0]["maskedPhone"]);

        days_pass(&own, 91).await;
        destroy(&own).await;
        assert_eq!(api.status(&id).await, "purged");
        assert!(named(&own, &id).await.iter().all(|(_, there)| !there));
        assert_eq!(records(&api, &id).await.iter().find(|f| f["kind"] == "purged").unwrap()["data"]["entries"], 6);
        api.get(&format!("/api/participation/receipts/{}", receipts[0])).await.fails(404, "not-found");
        let public = api.get(&format!("/api/participation/events/{slug}/draw")).await.is(200);
        let proof: DrawProof = serde_json::from_value(public).unwrap();
        assert_eq!(domain::draw::proof::verify(&proof), Ok(()));
        let page = api.get(&format!("/api/participation/events/{slug}")).await.is(200);
        assert_eq!((&page["status"], &page["draw"]["drawn"]), (&json!("purged"), &json!(true)));
        let again = api.post(&format!("/api/events/{id}/draws"), json!({})).await.is(200);
        assert_eq!((&again["id"], &again["winners"][0]["maskedPhone"]), (&draw["id"], &json!(null)));
        assert_eq!(api.get(&format!("/api/events/{id}/analytics")).await.is(200)["cards"]["participants"], 6);
        own.running.stop().await;
    });
}

/// An owner who never draws is told twice, and then it is too late: nobody can be drawn, and everything personal goes.
#[test]
fn what_nobody_draws_is_not_kept_for_ever() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let (id, slug) = api.live(json!({})).await;
        let receipts = enter(&api, &slug, 0..3).await;
        let draws = format!("/api/events/{id}/draws");
        let closed = api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        rooted(&api, &slug).await;
        days_pass(&own, 75).await;
        destroy(&own).await;
        assert_eq!(reminders(&api, LAST_CALL).await, Vec::<Value>::new(), "there is time yet");
        // Nothing ran for a month: whoever is told late has as long.
        days_pass(&own, 30).await;
        for _ in 0..2 {
            destroy(&own).await;
            let calls = reminders(&api, LAST_CALL).await;
            assert_eq!(calls.len(), 1, "once: {calls:?}");
            assert!(calls[0]["messageKo"].as_str().unwrap().contains("3건"), "{calls:?}");
        }
        days_pass(&own, 14).await;
        destroy(&own).await;
        assert!(named(&own, &id).await.iter().all(|(_, there)| *there), "a draw that was begun has ended first");
        api.post(&draws, json!({})).await.fails(409, "wrong-state");

        days_pass(&own, 1).await;
        destroy(&own).await;
        assert_eq!(api.status(&id).await, "purged");
        assert!(named(&own, &id).await.iter().all(|(_, there)| !there));
        assert_eq!(records(&api, &id).await[0]["data"]["entries"], 3);
        api.post(&draws, json!({})).await.fails(409, "wrong-state");
        assert_eq!(api.get(&draws).await.is(200)["items"], json!([]));
        api.get(&format!("/api/participation/receipts/{}", receipts[0])).await.fails(404, "not-found");
        api.get(&format!("/api/participation/events/{slug}/draw")).await.fails(404, "not-found");
        let page = api.get(&format!("/api/participation/events/{slug}")).await.is(200);
        assert_eq!((&page["status"], &page["draw"]["drawn"]), (&json!("purged"), &json!(false)));
        assert_eq!(page["draw"]["commitment"], closed["commitment"], "what was promised stays");
        assert_eq!(api.get(&format!("/api/events/{id}/analytics")).await.is(200)["cards"]["participants"], 3);
        own.running.stop().await;
    });
}

/// A cancelled event has no winners: all names go. Until the purge the shop knows who returns, then no more.
#[test]
fn a_cancelled_event_keeps_no_names_and_a_purged_one_no_index() {
    run(async {
        let own = start(|_| {}).await;
        let api = owner_at(&own.base).await;
        let (cancelled, slug) = api.live(json!({})).await;
        enter(&api, &slug, 0..2).await;
        api.post(&format!("/api/events/{cancelled}/cancel"), json!({})).await.is(200);
        days_pass(&own, 2).await;
        destroy(&own).await;
        assert!(named(&own, &cancelled).await.iter().all(|(_, there)| !there));
        assert_eq!(records(&api, &cancelled).await[0]["data"]["entries"], 2);
        // As an actor that is loaded anew counts them.
        let shop = domain::ids::StoreId(api.store.parse().unwrap());
        let returning = async |id: &str| {
            let (store, id) = (own.running.handles().tools().store.clone(), domain::ids::EventId(id.parse().unwrap()));
            let count = store.run(async move |c| storage::tally::returning(c, id, shop, 1, 10).await);
            count.await.unwrap().unwrap_or(0)
        };
        let (second, slug) = api.live(json!({})).await;
        enter(&api, &slug, 0..3).await;
        assert_eq!(returning(&second).await, 2);
        api.post(&format!("/api/events/{second}/cancel"), json!({})).await.is(200);
        days_pass(&own, 91).await;
        let (third, slug) = api.live(json!({})).await;
        enter(&api, &slug, 0..3).await;
        assert_eq!(returning(&third).await, 3);
        destroy(&own).await;
        for over in [&cancelled, &second] {
            assert_eq!(api.status(over).await, "purged");
            api.post(&format!("/api/events/{over}/draws"), json!({})).await.fails(409, "wrong-state");
        }
        assert_eq!(returning(&third).await, 0, "without their index nobody is known");
        // As it was when each was purged: what was known from the third, too.
        assert_eq!((returning(&cancelled).await, returning(&second).await), (2, 3));
        own.running.stop().await;
    });
}

/// A login leaves no trace a day after it ended by itself; one that lives goes on.
#[test]
fn logins_that_are_over_are_forgotten() {
    run(async {
        let own = start(|_| {}).await;
        let (old, api) = (owner_at(&own.base).await, owner_at(&own.base).await);
        let aged = format!(
            "update identity.sessions set expires_at = now() - interval '25 hours' where user_id = '{}'",
            old.user
        );
        assert!(holds(&own, aged).await);
        // Housekeeping is what it begins with.
        assert!(own.running.handles().root.restart("reconciler").await);
        let gone = "do $$ begin if (select count(*) <> 1 from identity.sessions) then raise exception 'not yet'; end if; end $$";
        within(Duration::from_secs(20), "one is left", || holds(&own, gone.into())).await;
        api.post("/api/users/token/refresh", json!({"refreshToken": api.refresh})).await.is(200);
        old.post("/api/users/token/refresh", json!({"refreshToken": old.refresh})).await.fails(401, "unauthenticated");
        own.running.stop().await;
    });
}
