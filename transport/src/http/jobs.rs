//! Jobs and notices.

use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::extract::{Id, Owner, Query, not_modified, page, unchanged, versioned};
use crate::gateway::Patience;
use crate::state::App;
use actors::hub::Reader;
use actors::jobs::JobView;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::ids::{JobId, NoticeId};
use domain::topic::Topic;
use serde_json::{Value, json};
use std::time::Duration;
use storage::notices::Notice;

async fn owned(app: &App, who: Session, id: JobId) -> ApiResult<JobView> {
    app.handles.jobs.read(id, who.user).await?.ok_or_else(Problem::not_found)
}

/// A job; `Prefer: wait` holds until it ended or, with `If-None-Match`, until it changed.
pub(crate) async fn one(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<JobId>,
    patience: Patience,
    headers: HeaderMap,
) -> ApiResult {
    let conditional = headers.contains_key("if-none-match");
    let wait = crate::gateway::wait_preferred(&headers);
    patience.grant(wait);
    let news = Reader::new();
    let _subscription = app.handles.hub.subscribe(&Topic::Job(id), &news, 1);
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let job = owned(&app, who, id).await?;
        let same = conditional && unchanged(&headers, job.version);
        let enough = job.over || (conditional && !same) || app.draining.is_cancelled();
        if enough || tokio::time::Instant::now() >= deadline {
            return Ok(if same {
                not_modified(job.version)
            } else {
                versioned(StatusCode::OK, job.version, &job.body)
            });
        }
        let look = (tokio::time::Instant::now() + Duration::from_secs(1)).min(deadline);
        app.hold(&news, look).await;
    }
}

pub(crate) async fn cancel(State(app): State<App>, Owner(who): Owner, Id(id): Id<JobId>) -> ApiResult<StatusCode> {
    let job = owned(&app, who, id).await?;
    match app.handles.jobs.cancel(id).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::wrong_state(&job.body["status"]).said("job-over")),
    }
}

pub(crate) async fn notices(State(app): State<App>, Owner(who): Owner, query: Query) -> ApiResult<Json<Value>> {
    let (limit, before, all) = (query.limit()?, query.cursor::<i64>()?, query.flag("all")?);
    let rows =
        app.store().run(async move |c| storage::notices::list(c, who.user, all, before, limit + 1).await).await?;
    Ok(Json(page(rows, limit, |n: &Notice| n.seq.to_string(), |n| json!(n))))
}

pub(crate) async fn read_notice(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<NoticeId>,
) -> ApiResult<Json<Value>> {
    let read = app.store().run(async move |c| storage::notices::read(c, who.user, id).await).await?;
    read.map(|n| Json(json!(n))).ok_or_else(Problem::not_found)
}
