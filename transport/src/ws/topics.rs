//! Rights to topics, and what a topic shows at the moment.

use crate::error::Problem;
use crate::http::distribution;
use crate::state::App;
use actors::view;
use domain::ids::UserId;
use domain::topic::Topic;
use serde_json::{Value, json};
use storage::StorageError;

/// A topic at the moment: its offset and its snapshot.
pub(super) struct TopicSnapshot {
    pub(super) offset: i64,
    pub(super) snapshot: Value,
}

/// Why a topic is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicRefusal {
    /// It does not exist, or belongs to somebody else.
    Forbidden,
    /// It cannot be read now: ask again.
    Unavailable,
}

impl From<Problem> for TopicRefusal {
    fn from(p: Problem) -> Self {
        if p.status.is_server_error() { Self::Unavailable } else { Self::Forbidden }
    }
}

impl From<StorageError> for TopicRefusal {
    fn from(_: StorageError) -> Self {
        Self::Unavailable
    }
}

/// What a topic shows. Offsets are read before what is shown: a snapshot may be newer than its offset, never older.
pub(super) async fn show(app: &App, user: Option<UserId>, topic: &Topic) -> Result<TopicSnapshot, TopicRefusal> {
    match topic {
        Topic::Event(id) => {
            let user = user.ok_or(TopicRefusal::Forbidden)?;
            let (body, _) = app.handles.events.get(*id).analytics_of(user).await.map_err(Problem::from)?;
            let snapshot: Value = serde_json::from_slice(&body).map_err(|_| TopicRefusal::Unavailable)?;
            let offset = snapshot["position"]["offset"].as_i64().ok_or(TopicRefusal::Unavailable)?;
            Ok(TopicSnapshot { offset, snapshot })
        }
        Topic::Public(slug) => {
            let id = app.slugs.id(app, slug).await?;
            let page = app.handles.events.get(id).public().await.map_err(Problem::from)?;
            let snapshot = serde_json::from_slice(&page.body().korean).map_err(|_| TopicRefusal::Unavailable)?;
            Ok(TopicSnapshot { offset: page.version(), snapshot })
        }
        Topic::Job(id) => {
            let id = *id;
            let job = app.store().run(async move |c| storage::jobs::get(c, id).await).await?;
            let job = job.filter(|j| j.owner.is_some() && j.owner == user).ok_or(TopicRefusal::Forbidden)?;
            Ok(TopicSnapshot { offset: job.version, snapshot: view::job(&job) })
        }
        Topic::Distribution(id) => {
            let d = distribution::read(app, *id).await?;
            if Some(d.owner) != user {
                return Err(TopicRefusal::Forbidden);
            }
            Ok(TopicSnapshot { offset: d.version, snapshot: view::distribution(&d) })
        }
        Topic::Owner(id) => {
            let owner = user.filter(|u| u == id).ok_or(TopicRefusal::Forbidden)?;
            let (offset, unread) = app
                .store()
                .run(async move |c| {
                    let offset = storage::notices::newest(c, owner).await?;
                    Ok((offset, storage::notices::list(c, owner, false, None, 50).await?))
                })
                .await?;
            // What the snapshot shows is not said again: one may have come between the two reads.
            let offset = unread.first().map_or(offset, |newest| newest.seq.max(offset));
            Ok(TopicSnapshot { offset, snapshot: json!({"notices": unread}) })
        }
    }
}
