//! Who may subscribe to what, and what a topic shows at the moment.

use crate::http::distribution;
use crate::http::participation::public_body;
use crate::state::App;
use actors::view;
use domain::ids::UserId;
use domain::topic::Topic;
use serde_json::{Value, json};

/// A topic at the moment: its offset and its snapshot.
pub(super) struct Shown {
    pub(super) offset: i64,
    pub(super) snapshot: Value,
}

/// What a topic shows; `None` when it does not exist or belongs to somebody else.
pub(super) async fn show(app: &App, user: Option<UserId>, topic: &Topic) -> Option<Shown> {
    match topic {
        Topic::Event(id) => {
            let handle = app.handles.events.get(*id);
            let event = handle.read().await.ok()?;
            if Some(event.owner) != user {
                return None;
            }
            let (body, _) = handle.analytics().await.ok()?;
            let snapshot: Value = serde_json::from_slice(&body).ok()?;
            Some(Shown { offset: snapshot["position"]["offset"].as_i64()?, snapshot })
        }
        Topic::Public(slug) => {
            let id = app.slugs.id(app, slug).await.ok()?;
            let event = app.handles.events.get(id).read().await.ok()?;
            if event.status.is_drafting() || event.commitment.is_none() {
                return None;
            }
            // The version first: a snapshot may be newer than its offset, never older.
            let offset =
                app.store().run(move |c| Box::pin(async move { storage::tally::version(c, id).await })).await.ok()?;
            Some(Shown { offset, snapshot: public_body(app, &event).await.ok()? })
        }
        Topic::Job(id) => {
            let id = *id;
            let job =
                app.store().run(move |c| Box::pin(async move { storage::jobs::get(c, id).await })).await.ok()??;
            if job.owner.is_none() || job.owner != user {
                return None;
            }
            Some(Shown { offset: job.version, snapshot: view::job(&job) })
        }
        Topic::Distribution(id) => {
            let d = distribution::read(app, *id).await.ok().filter(|d| Some(d.owner) == user)?;
            Some(Shown { offset: d.version, snapshot: view::distribution(&d) })
        }
        Topic::Owner(id) => {
            let owner = user.filter(|u| u == id)?;
            let (offset, unread) = app
                .store()
                .run(move |c| {
                    Box::pin(async move {
                        let offset = storage::notices::newest(c, owner).await?;
                        Ok((offset, storage::notices::list(c, owner, None, 50).await?))
                    })
                })
                .await
                .ok()?;
            let unread: Vec<Value> = unread.iter().filter(|n| n.read_at.is_none()).map(|n| json!(n)).collect();
            Some(Shown { offset, snapshot: json!({"notices": unread}) })
        }
    }
}
