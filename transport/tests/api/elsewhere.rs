//! Decisions of another server, or made in the database without the event's actor.

use crate::support::{owner, owner_at, phone, run, server, settings, within};
use chrono::Utc;
use domain::event::{Command, Event, Who, decide};
use domain::ids::{DistributionId, EventId};
use serde_json::json;
use std::time::Duration;
use testkit::Database;
use transport::Running;

/// R4: two servers on one database, each with an actor of the same event. A decision of one server holds on the other.
#[test]
fn two_servers_agree_on_an_event() {
    run(async {
        let (database, folder) = (Database::fresh().await, tempfile::tempdir().unwrap());
        if database.url().is_none() {
            return testkit::skipped("two_servers_agree_on_an_event", "the embedded database serves one process");
        }
        let one = Running::start(settings(&database), None).await.unwrap();
        let mut own = settings(&database);
        // The same keys and pictures, as on any two servers of one installation.
        own.keys_file = Some(database.folder().join("keys.json"));
        std::os::unix::fs::symlink(database.folder().join("objects"), folder.path().join("objects")).unwrap();
        own.data_dir = folder.path().to_owned();
        let two = Running::start(own, None).await.unwrap();
        let here = owner_at(&format!("http://{}", one.address)).await;
        let there = crate::support::Api { base: format!("http://{}", two.address), ..here.clone() };
        let id = here.ready(json!({}), json!(["RINGO_BIZ"])).await;
        let slug = there.get(&format!("/api/events/{id}")).await.is(200)["slug"].as_str().unwrap().to_owned();
        there.enter(&slug, &phone(1)).await.fails(404, "not-found");
        here.publish(&id).await;
        within(Duration::from_secs(5), "the approval is heard of", || async {
            there.enter(&slug, &phone(1)).await.status == 201
        })
        .await;
        for n in 2..10 {
            let api = if n % 2 == 0 { &here } else { &there };
            assert_eq!(api.enter(&slug, &phone(n)).await.is(201)["entryNo"], n, "one sequence of numbers");
        }
        for api in [&here, &there] {
            api.enter(&slug, &phone(3)).await.fails(409, "already-entered");
        }
        here.post(&format!("/api/events/{id}/pause"), json!({})).await.is(200);
        there.enter(&slug, &phone(20)).await.fails(409, "event-paused");
        within(Duration::from_secs(5), "the pause is heard of", || async { there.status(&id).await == "paused" }).await;
        there.post(&format!("/api/events/{id}/resume"), json!({})).await.is(200);
        within(Duration::from_secs(5), "the resumption is heard of", || async {
            here.enter(&slug, &phone(20)).await.status != 409
        })
        .await;
        there.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        here.enter(&slug, &phone(30)).await.fails(410, "event-ended");
        within(Duration::from_secs(5), "the close is heard of", || async { here.status(&id).await == "closed" }).await;
        let draw = format!("/api/events/{id}/draws");
        let (first, second) = tokio::join!(here.post(&draw, json!({})), there.post(&draw, json!({})));
        assert_eq!(first.body["winners"], second.body["winners"], "one draw");
        one.stop().await;
        two.stop().await;
    });
}

/// Decides and stores, behind the back of the actor.
async fn command(id: &str, command: Command) {
    let id: EventId = id.parse().unwrap();
    let store = server().running.handles().tools().store.clone();
    store
        .tx(async move |c| {
            let event = storage::events::get(c, id).await?.unwrap();
            if let Command::Approve { distribution, .. } = &command {
                storage::events::set_seed(c, id, vec![7; 64]).await?;
                storage::distributions::insert(c, *distribution, id, event.owner, &[]).await?;
            }
            let facts = decide(&event, command, Utc::now()).unwrap();
            let mut after = Event::clone(&event);
            facts.iter().for_each(|f| after.apply(f, Utc::now()));
            storage::events::commit(c, &after, event.revision, &facts, Who::System).await
        })
        .await
        .unwrap();
}

/// R4: an actor that believes in a draft refuses no customer of an event that was approved, catches up with what it did not
/// see, and closes it in time.
#[test]
fn an_approval_that_was_not_seen_is_caught_up_with() {
    run(async {
        let api = owner().await;
        let ends = Utc::now() + chrono::Duration::seconds(30);
        let id = api.ready(json!({"endsAt": ends}), json!(["RINGO_BIZ"])).await;
        let slug = api.get(&format!("/api/events/{id}")).await.is(200)["slug"].as_str().unwrap().to_owned();
        api.enter(&slug, &phone(1)).await.fails(404, "not-found");
        let approve =
            Command::Approve { commitment: [7; 32], distribution: DistributionId::new(), content: Vec::new() };
        command(&id, approve).await;
        within(Duration::from_secs(5), "the gate is read anew", || async {
            api.enter(&slug, &phone(1)).await.status == 201
        })
        .await;
        within(Duration::from_secs(5), "caught up", || async { api.status(&id).await == "live" }).await;
        command(&id, Command::Pause { reason: None }).await;
        // Nothing passes: the gate is in the database. The actor learns of it from what the journal was told.
        api.enter(&slug, &phone(2)).await.fails(409, "event-paused");
        within(Duration::from_secs(5), "heard of the pause", || async { api.status(&id).await == "paused" }).await;
        command(&id, Command::Resume).await;
        within(Duration::from_secs(60), "closed in time", || async { api.status(&id).await == "closed" }).await;
    });
}
