//! Claude: reads the data of the prompt and answers with proposals as JSON text.

use crate::checks::{Service, key, knows_model, schema_fault};
use crate::faults::Fault;
use crate::server::Shared;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/v1/messages", post(messages))
}

async fn messages(
    State(shared): State<Shared>,
    headers: HeaderMap,
    fault: Option<Extension<Fault>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if !shared.accepts(key(&headers, "x-api-key")) {
        return failure(StatusCode::UNAUTHORIZED, "authentication_error", "invalid x-api-key");
    }
    if key(&headers, "anthropic-version") != Some("2023-06-01") {
        return failure(StatusCode::BAD_REQUEST, "invalid_request_error", "anthropic-version: header is required");
    }
    if !knows_model(Service::Claude, &body) {
        return failure(StatusCode::NOT_FOUND, "not_found_error", &format!("model: {}", body["model"]));
    }
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        let fault = match format["type"].as_str() {
            Some("json_schema") => schema_fault(Service::Claude, &format["schema"]),
            _ => Some("type: Input should be 'json_schema'".to_owned()),
        };
        if let Some(fault) = fault {
            return failure(
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                &format!("output_config.format: {fault}"),
            );
        }
    }
    let turns = body["messages"].as_array().cloned().unwrap_or_default();
    let data: Option<Value> = turns.iter().find_map(|t| serde_json::from_str(t["content"].as_str()?).ok());
    let (Some(data), Some(_)) = (data, body["max_tokens"].as_u64()) else {
        return failure(StatusCode::BAD_REQUEST, "invalid_request_error", "messages: no data to work on");
    };
    let text = crate::proposals::proposal(&data).to_string();
    // Hangul is about one token per character, JSON less.
    let (sent, received) = (body.to_string().chars().count() / 3, text.chars().count() / 2);
    let (text, reason) = match fault.map(|f| f.0) {
        Some(Fault::Refusal) => (String::new(), "refusal"),
        Some(Fault::CutShort) => (text.chars().take(80).collect(), "max_tokens"),
        _ => (text, "end_turn"),
    };
    let answer = json!({
        "id": format!("msg_{}", uuid::Uuid::now_v7().simple()), "type": "message", "role": "assistant",
        "model": body["model"], "content": [{"type": "text", "text": text}], "stop_reason": reason,
        "stop_sequence": null, "usage": {"input_tokens": sent, "output_tokens": received},
    });
    (StatusCode::OK, Json(answer))
}

fn failure(status: StatusCode, kind: &str, message: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"})))
}
