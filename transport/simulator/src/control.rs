//! Switching faults and looking at what arrived, while it runs: `/_control` on the simulator's own port.

use crate::faults::Rule;
use crate::scenario::Scenario;
use crate::server::{Shared, Simulator};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/state", get(state))
        .route("/rules", post(rules).delete(heal))
        .route("/scenario", post(scenario))
        .route("/posts/{upstream}", get(posts))
}

async fn state(State(s): State<Shared>) -> Json<Value> {
    Json(Simulator::state_of(&s))
}

/// Replaces all rules that were set by hand.
async fn rules(State(s): State<Shared>, Json(rules): Json<Vec<Rule>>) -> StatusCode {
    s.set_rules(rules);
    StatusCode::NO_CONTENT
}

async fn heal(State(s): State<Shared>) -> StatusCode {
    s.set_rules(Vec::new());
    s.play(None);
    StatusCode::NO_CONTENT
}

/// Starts a scenario (TOML), in place of the one that plays.
async fn scenario(State(s): State<Shared>, text: String) -> Result<StatusCode, (StatusCode, String)> {
    let scenario = Scenario::parse(&text).map_err(|e| (StatusCode::UNPROCESSABLE_ENTITY, e))?;
    s.play(Some(scenario));
    Ok(StatusCode::NO_CONTENT)
}

/// What was posted to an upstream and not taken back: id, key, event.
async fn posts(State(s): State<Shared>, Path(upstream): Path<String>) -> Json<Value> {
    let all: Vec<Value> =
        s.posts.of(&upstream).into_iter().map(|p| json!({"id": p.id, "key": p.key, "event": p.event})).collect();
    Json(json!({"items": all}))
}
