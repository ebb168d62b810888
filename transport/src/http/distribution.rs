//! Publishing, as the owner sees and steers it.

use super::bodies::{Channels, Confirm};
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Id, IfMatch, Owner, not_modified, unchanged, versioned};
use crate::state::App;
use actors::hub::Reader;
use actors::view;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::distribution::Distribution;
use domain::distribution::PublicationStatus;
use domain::event::Rejection;
use domain::ids::DistributionId;
use domain::topic::Topic;
use std::collections::HashSet;
use std::time::Duration;

pub(crate) async fn read(app: &App, id: DistributionId) -> ApiResult<Distribution> {
    let found = app.store().run(async move |c| storage::distributions::get(c, id).await).await?;
    found.ok_or_else(Problem::not_found)
}

async fn owned(app: &App, who: Session, id: DistributionId) -> ApiResult<Distribution> {
    let d = read(app, id).await?;
    if d.owner == who.user { Ok(d) } else { Err(Problem::not_found()) }
}

/// Waits until a distribution ended; false when it did not in time.
pub(crate) async fn wait_ended(app: &App, id: DistributionId, limit: Duration) -> ApiResult<bool> {
    let news = Reader::new();
    let _subscription = app.handles.hub.subscribe(&Topic::Distribution(id), &news, 1);
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if read(app, id).await?.ended_at.is_some() {
            return Ok(true);
        }
        // Woken by an update, and every second in case the one that matters was made on another node.
        let look = (tokio::time::Instant::now() + Duration::from_secs(1)).min(deadline);
        app.hold(&news, look).await;
        if tokio::time::Instant::now() >= deadline || app.draining.is_cancelled() {
            return Ok(read(app, id).await?.ended_at.is_some());
        }
    }
}

pub(crate) async fn one(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<DistributionId>,
    headers: HeaderMap,
) -> ApiResult {
    let d = owned(&app, who, id).await?;
    Ok(if unchanged(&headers, d.version) {
        not_modified(d.version)
    } else {
        versioned(StatusCode::OK, d.version, &view::distribution(&d))
    })
}

async fn accepted(app: &App, id: DistributionId) -> ApiResult {
    let d = read(app, id).await?;
    Ok(versioned(StatusCode::ACCEPTED, d.version, &view::distribution(&d)))
}

fn wrong_state(d: &Distribution) -> Problem {
    Problem::wrong_state(d.status())
}

pub(crate) async fn retry(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<DistributionId>,
    asked: IfMatch,
    Body(body): Body<Channels>,
) -> ApiResult {
    let d = owned(&app, who, id).await?;
    asked.on(d.version)?;
    // Each once: nothing is gained by naming one again. Errors name the place in the list that was sent.
    let mut named = HashSet::new();
    let channels: Vec<_> =
        body.channels.into_iter().enumerate().filter(|(_, channel)| named.insert(*channel)).collect();
    if channels.is_empty() {
        return Err(Problem::field("channels", "required"));
    }
    let event = app.handles.events.get(d.event).read().await?;
    let over = event.is_over(actors::clock::now());
    for (i, channel) in &channels {
        let p = d.publication(*channel).ok_or_else(|| Problem::field(format!("channels[{i}]"), "invalid-value"))?;
        if d.recalling || !p.status.may_retry(*channel) {
            return Err(wrong_state(&d));
        }
        // What is over is not advertised any more; whether something went out may still be asked.
        if over && p.status != PublicationStatus::Unknown {
            return Err(Rejection::WrongState(event.status).into());
        }
    }
    let channels = channels.into_iter().map(|(_, channel)| channel).collect();
    if app.handles.retry(id, d.event, d.owner, channels).await?.is_empty() {
        return Err(wrong_state(&d));
    }
    accepted(&app, id).await
}

pub(crate) async fn recall(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<DistributionId>,
    asked: IfMatch,
) -> ApiResult {
    let d = owned(&app, who, id).await?;
    asked.on(d.version)?;
    app.handles.recall(id, d.event, d.owner).await?;
    accepted(&app, id).await
}

pub(crate) async fn confirm(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<DistributionId>,
    asked: IfMatch,
    Body(body): Body<Confirm>,
) -> ApiResult {
    let d = owned(&app, who, id).await?;
    asked.on(d.version)?;
    if d.publication(body.channel).is_none() {
        return Err(Problem::field("channel", "invalid-value"));
    }
    if !app.handles.confirm(id, body.channel, body.posted).await? {
        return Err(wrong_state(&d));
    }
    accepted(&app, id).await
}
