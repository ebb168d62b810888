//! The two documents: OpenAPI 3.1 for REST, AsyncAPI for the live connection. Schemas come from the bodies' own types;
//! a test holds the list of operations to the router.

use crate::http::bodies;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

type Schema = fn(&mut SchemaGenerator) -> Value;

fn of<T: JsonSchema>(g: &mut SchemaGenerator) -> Value {
    g.subschema_for::<T>().to_value()
}

/// One operation: method, path, owner only, summary, body, statuses.
pub struct Operation {
    /// Lower case.
    pub method: &'static str,
    /// With `{parameters}`.
    pub path: &'static str,
    owner: bool,
    summary: &'static str,
    body: Option<Schema>,
    statuses: &'static [u16],
}

const fn op(
    method: &'static str,
    path: &'static str,
    owner: bool,
    summary: &'static str,
    body: Option<Schema>,
    statuses: &'static [u16],
) -> Operation {
    Operation { method, path, owner, summary, body, statuses }
}

/// Every operation of the public port's API.
pub const OPERATIONS: &[Operation] = &[
    op(
        "post",
        "/api/users/signup",
        false,
        "Sign up: account, shop and a first login",
        Some(of::<bodies::Signup>),
        &[201, 400, 409, 422, 503],
    ),
    op("post", "/api/users/login", false, "Log in", Some(of::<bodies::Login>), &[200, 401, 429]),
    op("post", "/api/users/token/refresh", false, "Rotate the refresh token", Some(of::<bodies::Refresh>), &[200, 401]),
    op("post", "/api/users/logout", true, "Log out, here or everywhere", None, &[204]),
    op("get", "/api/users/me", true, "The owner", None, &[200]),
    op("patch", "/api/users/me", true, "Change name or phone", Some(of::<bodies::EditMe>), &[200, 412, 422]),
    op("get", "/api/stores", true, "Shops", None, &[200]),
    op("post", "/api/stores", true, "Add a shop", Some(of::<bodies::NewStore>), &[201, 422]),
    op("get", "/api/stores/{id}", true, "A shop", None, &[200, 404]),
    op("patch", "/api/stores/{id}", true, "Change a shop", Some(of::<bodies::EditStore>), &[200, 404, 412, 422]),
    op("delete", "/api/stores/{id}", true, "Remove a shop without open events", None, &[204, 404, 409]),
    op("get", "/api/industries", false, "Industries", None, &[200]),
    op("get", "/api/events", true, "Events, newest first", None, &[200, 422]),
    op("post", "/api/events", true, "Begin an event by its objective", Some(of::<bodies::NewEvent>), &[201, 422]),
    op("get", "/api/events/{id}", true, "An event", None, &[200, 304, 404]),
    op(
        "patch",
        "/api/events/{id}",
        true,
        "Change the title, or move the end later",
        Some(of::<bodies::EditEvent>),
        &[200, 404, 409, 412, 422],
    ),
    op("delete", "/api/events/{id}", true, "Remove a draft", None, &[204, 404, 409]),
    op("post", "/api/events/{id}/duplicate", true, "Copy plan, pictures and channels", None, &[201, 404]),
    op("put", "/api/events/{id}/plan", true, "Choose an option", Some(of::<bodies::Plan>), &[200, 404, 409, 412, 422]),
    op(
        "put",
        "/api/events/{id}/content",
        true,
        "Choose pictures",
        Some(of::<bodies::Content>),
        &[200, 404, 409, 412, 422],
    ),
    op(
        "put",
        "/api/events/{id}/channels",
        true,
        "Choose channels",
        Some(of::<bodies::Channels>),
        &[200, 404, 409, 412, 422],
    ),
    op("get", "/api/events/{id}/preflight", true, "What each channel misses", None, &[200, 404]),
    op("post", "/api/events/{id}/approve", true, "Approve and publish", None, &[200, 202, 404, 409, 412, 422]),
    op("post", "/api/events/{id}/pause", true, "Pause", None, &[200, 404, 409, 412]),
    op("post", "/api/events/{id}/resume", true, "Resume", None, &[200, 404, 409, 412]),
    op("post", "/api/events/{id}/close", true, "Close", None, &[200, 404, 409, 412]),
    op("post", "/api/events/{id}/cancel", true, "Call off and recall", None, &[200, 404, 409, 412]),
    op("get", "/api/events/{id}/qr.svg", true, "The link as QR code", None, &[200, 404]),
    op("get", "/api/events/{id}/qr.png", true, "The link as QR code", None, &[200, 404]),
    op("get", "/api/events/{id}/visit-code", true, "The code shown in the shop", None, &[200, 404]),
    op("get", "/api/events/{id}/facts", true, "The history", None, &[200, 404]),
    op("get", "/api/events/{id}/images", true, "Pictures of an event", None, &[200, 404]),
    op("get", "/api/events/{id}/participants", true, "Participants, masked", None, &[200, 404, 422]),
    op("get", "/api/events/{id}/draws", true, "Draws", None, &[200, 404]),
    op("post", "/api/events/{id}/draws", true, "Draw, once ever", Some(of::<bodies::Draw>), &[200, 201, 404, 409, 422]),
    op("get", "/api/events/{id}/analytics", true, "The dashboard", None, &[200, 404]),
    op("get", "/api/analytics/events/{id}", true, "The dashboard (alias)", None, &[200, 404]),
    op(
        "post",
        "/api/ai/recommendations",
        true,
        "Three proposals",
        Some(of::<bodies::Recommend>),
        &[200, 202, 404, 409, 422, 429],
    ),
    op(
        "post",
        "/api/content/images",
        true,
        "Make pictures",
        Some(of::<bodies::MakeImages>),
        &[200, 202, 404, 409, 422, 429],
    ),
    op("get", "/api/content/images/{id}", true, "A picture", None, &[200, 404]),
    op(
        "patch",
        "/api/content/images/{id}",
        true,
        "Edit a picture at once",
        Some(of::<bodies::EditImage>),
        &[200, 404, 412, 422],
    ),
    op("get", "/api/jobs/{id}", true, "A job; Prefer: wait holds", None, &[200, 304, 404]),
    op("delete", "/api/jobs/{id}", true, "Call a job off", None, &[204, 404, 409]),
    op("get", "/api/notices", true, "Notices, newest first", None, &[200]),
    op("post", "/api/notices/{id}/read", true, "Mark a notice as read", None, &[200, 404]),
    op("get", "/api/distribution/{id}", true, "A distribution", None, &[200, 304, 404]),
    op(
        "post",
        "/api/distribution/{id}/retry",
        true,
        "Try failed channels again",
        Some(of::<bodies::Channels>),
        &[202, 404, 409, 422],
    ),
    op("post", "/api/distribution/{id}/recall", true, "Take back what was published", None, &[202, 404]),
    op(
        "post",
        "/api/distribution/{id}/confirm",
        true,
        "Settle an unknown channel",
        Some(of::<bodies::Confirm>),
        &[202, 404, 409, 422],
    ),
    op("post", "/api/realtime/tickets", true, "A ticket for a socket", None, &[201]),
    op("get", "/api/participation/events/{slug}", false, "The public page", None, &[200, 404]),
    op(
        "post",
        "/api/participation/events/{slug}/entries",
        false,
        "Enter",
        Some(of::<bodies::Enter>),
        &[201, 400, 404, 409, 410, 422, 425, 503],
    ),
    op("get", "/api/participation/events/{slug}/draw", false, "The proof of the draw", None, &[200, 404]),
    op("get", "/api/participation/receipts/{receipt}", false, "What a receipt proves", None, &[200, 404]),
    op("delete", "/api/participation/receipts/{receipt}", false, "Erase an entry", None, &[204, 404]),
];

fn says(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Made",
        202 => "Accepted",
        204 => "Done",
        304 => "Unchanged",
        400 => "Malformed JSON",
        401 => "Not logged in",
        404 => "Nothing here, or somebody else's",
        409 => "Not possible now",
        410 => "Over",
        412 => "Changed meanwhile",
        422 => "A field breaks a rule",
        425 => "Not begun",
        429 => "Too many",
        _ => "Not now: try again after Retry-After",
    }
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for o in OPERATIONS {
        let path = paths.entry(o.path).or_insert_with(|| json!({}));
        path[o.method] = operation(o, &mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Madang", "version": env!("CARGO_PKG_VERSION"), "description": "Promotional events for small shops: make, publish, watch, draw."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"owner": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn operation(o: &Operation, generator: &mut SchemaGenerator) -> Value {
    let id: String = format!("{}{}", o.method, o.path.replace("/api", "").replace(['/', '{', '}', '.', '-'], "_"));
    let mut statuses: Vec<u16> = o.statuses.to_vec();
    if o.owner {
        statuses.extend([401, 429]);
    }
    let responses: Map<String, Value> = statuses
        .into_iter()
        .map(|status| {
            let kind = if status < 400 { "application/json" } else { "application/problem+json" };
            let schema = if status < 400 { json!({}) } else { json!({"$ref": "#/components/schemas/Problem"}) };
            let mut response = json!({"description": says(status)});
            if !matches!(status, 204 | 304) {
                response["content"] = json!({kind: {"schema": schema}});
            }
            (status.to_string(), response)
        })
        .collect();
    let parameters: Vec<Value> = o
        .path
        .split('/')
        .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut body = json!({"operationId": id, "summary": o.summary, "responses": responses, "parameters": parameters});
    if let Some(schema) = o.body {
        body["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema(generator)}}});
    }
    if o.owner {
        body["security"] = json!([{"owner": []}]);
    }
    body
}

fn problem() -> Value {
    json!({
        "type": "object", "required": ["status", "code", "title", "traceId"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
            "code": {"type": "string"}, "traceId": {"type": "string"},
            "currentStatus": {"type": "string", "description": "The present status, with wrong-state"},
            "errors": {"type": "array", "items": {"type": "object", "required": ["field", "code", "detail"], "properties": {
                "field": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"}}}},
        },
    })
}

/// The AsyncAPI document.
#[must_use]
pub fn asyncapi() -> Value {
    let topic = |address: &str, kind: &str, updates: &[&str]| json!({"address": address, "description": format!("{kind} topic; updates: {}", updates.join(", "))});
    let message = |name: &str, required: &[&str]| {
        let all = [&["type"], required].concat();
        let properties: Map<String, Value> = required
            .iter()
            .map(|p| ((*p).to_owned(), json!({})))
            .chain([("type".to_owned(), json!({"const": name}))])
            .collect();
        json!({"name": name, "payload": {"type": "object", "required": all, "properties": properties}})
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Madang live", "version": env!("CARGO_PKG_VERSION")},
        "servers": {"here": {"host": "127.0.0.1:8080", "pathname": "/ws", "protocol": "ws"}},
        "channels": {
            "event": topic("event:{id}", "State", &["entries.counted", "event.changed", "channels.measured"]),
            "public": topic("public:{slug}", "State", &["entries.counted", "event.changed", "draw.published"]),
            "job": topic("job:{id}", "Log", &["job.progress", "option.ready", "image.ready", "job.ended"]),
            "distribution": topic("distribution:{id}", "Log", &["channel.changed", "distribution.ended"]),
            "owner": topic("owner:{userId}", "Log", &["notice"]),
        },
        "components": {"messages": {
            "hello": message("hello", &[]), "subscribe": message("subscribe", &["id", "topic"]), "unsubscribe": message("unsubscribe", &["topic"]),
            "ping": message("ping", &["id"]), "welcome": message("welcome", &["sessionId", "serverTime", "heartbeatMs"]),
            "subscribed": message("subscribed", &["id", "topic", "position", "recovered"]),
            "update": message("update", &["topic", "position", "at", "kind", "data"]), "gap": message("gap", &["topic"]),
            "error": message("error", &["id", "code"]), "pong": message("pong", &["id"]), "goaway": message("goaway", &["reconnectAfterMs"]),
        }},
        "x-close-codes": {"4400": "protocol, or no hello", "4401": "no authorisation", "4403": "a right was lost", "4408": "too slow", "4429": "too many", "1012": "restart"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every route of the router under /api is in the document, and the other way round.
    #[test]
    fn the_document_is_the_router() {
        let source = include_str!("http.rs");
        let mut routed: Vec<(String, String)> = Vec::new();
        for line in source.lines().filter(|l| l.contains(".route(\"/api/")) {
            let path = line.split('"').nth(1).unwrap();
            for method in ["get", "post", "put", "patch", "delete"] {
                if line.contains(&format!(" {method}(")) || line.contains(&format!(".{method}(")) {
                    routed.push((method.to_owned(), path.to_owned()));
                }
            }
        }
        let mut documented: Vec<(String, String)> =
            OPERATIONS.iter().map(|o| (o.method.to_owned(), o.path.to_owned())).collect();
        routed.sort();
        documented.sort();
        assert_eq!(routed, documented);
        let document = document();
        assert!(document["components"]["schemas"]["Signup"]["properties"]["businessNumber"].is_object());
        assert!(!document.to_string().contains("#/$defs/"), "references stay inside components");
    }
}
