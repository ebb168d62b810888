//! The dashboard.

use super::events::owned;
use crate::error::ApiResult;
use crate::extract::{Id, Owner};
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use domain::ids::EventId;

pub(crate) async fn of_event(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>) -> ApiResult<Response> {
    owned(&app, who, id).await?;
    let (body, hit) = app.handles.events.get(id).analytics().await?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (HeaderName::from_static("x-cache"), if hit { "hit" } else { "miss" }),
    ];
    Ok((headers, body).into_response())
}
