//! The dashboard.

use crate::error::ApiResult;
use crate::extract::{Id, Owner};
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use domain::ids::EventId;

pub(crate) async fn of_event(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>) -> ApiResult<Response> {
    let (body, hit) = app.handles.events.get(id).analytics_of(who.user).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (HeaderName::from_static("x-cache"), if hit { "hit" } else { "miss" }),
    ];
    Ok((headers, body).into_response())
}
