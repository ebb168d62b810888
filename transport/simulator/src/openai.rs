//! OpenAI: the same proposals and backgrounds in its own wire formats.

use crate::checks::{Service, bearer, knows_model, schema_fault};
use crate::faults::Fault;
use crate::server::Shared;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use serde_json::{Value, json};

type Answer = (StatusCode, Json<Value>);

pub(crate) fn chat() -> Router<Shared> {
    Router::new().route("/v1/chat/completions", post(complete))
}

pub(crate) fn images() -> Router<Shared> {
    Router::new().route("/v1/images/generations", post(generate))
}

fn failure(status: StatusCode, kind: &str, message: &str) -> Answer {
    (status, Json(json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})))
}

/// Says why a request is refused before anything is made.
fn refusal(shared: &Shared, service: Service, headers: &HeaderMap, body: &Value) -> Option<Answer> {
    if !shared.accepts(bearer(headers)) {
        return Some(failure(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided"));
    }
    if !knows_model(service, body) {
        let message = format!("The model {} does not exist or you do not have access to it.", body["model"]);
        return Some(failure(StatusCode::NOT_FOUND, "model_not_found", &message));
    }
    None
}

/// Says why the format of an answer is refused.
fn format_fault(format: &Value) -> Option<String> {
    if format.is_null() {
        return None;
    }
    let (asked, name) = (&format["json_schema"], format["json_schema"]["name"].as_str().unwrap_or_default());
    let named = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    match (format["type"].as_str(), named) {
        (Some("text" | "json_object"), _) => None,
        (Some("json_schema"), true) if asked["strict"] == true => schema_fault(Service::OpenAi, &asked["schema"]),
        (Some("json_schema"), true) => None,
        (Some("json_schema"), false) => Some("json_schema.name: a short name is required".to_owned()),
        _ => Some("type: unknown".to_owned()),
    }
}

async fn complete(
    State(shared): State<Shared>,
    headers: HeaderMap,
    fault: Option<Extension<Fault>>,
    Json(body): Json<Value>,
) -> Answer {
    if let Some(refused) = refusal(&shared, Service::OpenAi, &headers, &body) {
        return refused;
    }
    if let Some(why) = format_fault(&body["response_format"]) {
        let message = format!("Invalid schema for response_format: {why}");
        return failure(StatusCode::BAD_REQUEST, "invalid_request_error", &message);
    }
    let turns = body["messages"].as_array().cloned().unwrap_or_default();
    let Some(data) = turns.iter().find_map(|t| serde_json::from_str::<Value>(t["content"].as_str()?).ok()) else {
        return failure(StatusCode::BAD_REQUEST, "invalid_request_error", "messages: no data to work on");
    };
    let text = crate::proposals::proposal(&data).to_string();
    let fault = fault.map(|f| f.0);
    let (content, refusal, reason) = match fault {
        Some(Fault::Refusal) => (Value::Null, json!("I cannot help with that."), "stop"),
        Some(Fault::CutShort) => (json!(text.chars().take(80).collect::<String>()), Value::Null, "length"),
        _ => (json!(text), Value::Null, "stop"),
    };
    let (sent, received) = (body.to_string().chars().count() / 3, text.chars().count() / 2);
    let answer = json!({
        "id": format!("chatcmpl-{}", uuid::Uuid::now_v7().simple()), "object": "chat.completion", "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "refusal": refusal}, "finish_reason": reason}],
        "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
    });
    (StatusCode::OK, Json(answer))
}

async fn generate(
    State(shared): State<Shared>,
    headers: HeaderMap,
    fault: Option<Extension<Fault>>,
    Json(body): Json<Value>,
) -> Answer {
    if let Some(refused) = refusal(&shared, Service::OpenAiImages, &headers, &body) {
        return refused;
    }
    let Some(prompt) = body["prompt"].as_str().map(str::to_owned) else {
        return failure(StatusCode::BAD_REQUEST, "invalid_request_error", "prompt: required");
    };
    if matches!(fault, Some(Extension(Fault::Refusal))) {
        return failure(
            StatusCode::BAD_REQUEST,
            "moderation_blocked",
            "Your request was rejected by the safety system",
        );
    }
    let seed = crate::background::seed(&uuid::Uuid::now_v7().to_string());
    match tokio::task::spawn_blocking(move || crate::background::draw(&prompt, seed)).await {
        Ok(png) if !png.is_empty() => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(png);
            let usage = json!({"input_tokens": 60, "output_tokens": 272, "total_tokens": 332});
            (StatusCode::OK, Json(json!({"created": 0, "data": [{"b64_json": encoded}], "usage": usage})))
        }
        _ => failure(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "no picture"),
    }
}
