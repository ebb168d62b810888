//! What another process did to an event whose actor runs here, or this one did without hearing so.

use crate::support::{owner, phone, run, server, within};
use chrono::Utc;
use domain::event::{Command, Event, Who, decide};
use domain::ids::{DistributionId, EventId};
use serde_json::json;
use std::time::Duration;

/// Decides and stores, behind the back of the actor.
async fn command(id: &str, command: Command) {
    let id: EventId = id.parse().unwrap();
    let store = server().running.handles().shared.store.clone();
    store
        .tx(move |c| {
            Box::pin(async move {
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
