//! The two documents: OpenAPI 3.1 for REST, AsyncAPI for the live connection. Schemas come from the bodies' own types;
//! a test holds the list of operations to the router.

mod operations;
mod parameters;

pub use operations::{OPERATIONS, Operation};
use parameters::{parameters, takes_key};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The one operation of owners that no rate limit refuses.
const UNCOUNTED: &str = "/api/users/logout";

fn says(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Made",
        202 => "Accepted",
        204 => "Done",
        304 => "Unchanged",
        400 => "Malformed JSON",
        401 => "Not logged in",
        403 => "A page of another origin",
        404 => "Nothing here, or somebody else's",
        406 => "Accept-Encoding refuses every coding",
        409 => "Not possible now",
        410 => "Over",
        412 => "Changed meanwhile",
        413 => "The body is too large",
        414 => "The address is too long",
        415 => "The body does not say that it is JSON",
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
    // A field of an answer that may be null is always there; one of a request may be left out.
    let mut given = settings.clone().for_serialize().into_generator();
    let mut taken = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for o in OPERATIONS {
        let path = paths.entry(o.path).or_insert_with(|| json!({}));
        path[o.method] = operation(o, &mut taken, &mut given);
    }
    let mut schemas = taken.take_definitions(true);
    schemas.extend(given.take_definitions(true));
    schemas.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Madang", "version": env!("CARGO_PKG_VERSION"), "description": "Promotional events for small shops: make, publish, watch, draw. Whole numbers are written without a fraction."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"owner": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn operation(o: &Operation, taken: &mut SchemaGenerator, given: &mut SchemaGenerator) -> Value {
    let id: String = format!("{}{}", o.method, o.path.replace("/api", "").replace(['/', '{', '}', '.', '-'], "_"));
    let statuses = statuses(o);
    let mut responses: Map<String, Value> =
        statuses.into_iter().map(|status| (status.to_string(), response(o, status, given))).collect();
    let mut other = response(o, 503, given);
    other["description"] = json!("Any other problem; with Retry-After where it is worth trying again");
    responses.insert("default".into(), other);
    let mut body =
        json!({"operationId": id, "summary": o.summary, "responses": responses, "parameters": parameters(o)});
    if let Some(schema) = o.takes {
        body["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema(taken)}}});
    }
    if o.owner {
        body["security"] = json!([{"owner": []}]);
    }
    body
}

/// Every status that an operation answers: its own, and those of what stands before its handler.
fn statuses(o: &Operation) -> Vec<u16> {
    let mut statuses = [o.statuses, &[406, 414, 503]].concat();
    if o.owner {
        statuses.push(401);
    }
    if o.owner && o.path != UNCOUNTED {
        statuses.push(429);
    }
    if o.takes.is_some() {
        statuses.extend([400, 422]);
    }
    if o.method != "get" {
        statuses.extend([403, 413, 415]);
    }
    if takes_key(o) {
        statuses.push(422);
    }
    statuses
}

fn response(o: &Operation, status: u16, given: &mut SchemaGenerator) -> Value {
    let mut response = json!({"description": says(status)});
    let schema = match status {
        204 | 304 => return response,
        400.. => {
            response["content"] =
                json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
            return response;
        }
        202 => o.or_job.or(o.gives),
        _ => o.gives,
    };
    response["content"] = match (o.file, schema) {
        (Some(kind), _) => json!({kind: {"schema": {"type": "string"}}}),
        (None, Some(schema)) => json!({"application/json": {"schema": schema(given)}}),
        (None, None) => json!({}),
    };
    response
}

fn problem() -> Value {
    json!({
        "type": "object", "required": ["status", "code", "title", "traceId"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
            "code": {"type": "string"}, "traceId": {"type": "string"},
            "currentStatus": {"type": "string", "description": "The present status, with wrong-state"},
            "present": {"type": "string", "description": "The same"},
            "errors": {"type": "array", "items": {"type": "object", "required": ["field", "code", "detail"], "properties": {
                "field": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"},
                "min": {"type": "integer", "description": "The least that is allowed, of a number or of characters or pieces"},
                "max": {"type": "integer", "description": "The most"}}}},
        },
    })
}

/// The AsyncAPI document of a server at this address.
#[must_use]
pub fn asyncapi(public_url: &str) -> Value {
    let (scheme, host) = public_url.split_once("://").unwrap_or(("http", public_url));
    let protocol = if scheme == "https" { "wss" } else { "ws" };
    let topic = |address: &str, kind: &str, updates: &[&str]| json!({"address": address, "description": format!("{kind} topic; updates: {}", updates.join(", "))});
    let message = |name: &str, required: &[&str], optional: &[&str]| {
        let all = [&["type"], required].concat();
        let properties: Map<String, Value> = required
            .iter()
            .chain(optional)
            .map(|p| ((*p).to_owned(), json!({})))
            .chain([("type".to_owned(), json!({"const": name}))])
            .collect();
        json!({"name": name, "payload": {"type": "object", "required": all, "properties": properties}})
    };
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Madang live", "version": env!("CARGO_PKG_VERSION")},
        "servers": {"here": {"host": host, "pathname": "/ws", "protocol": protocol}},
        "channels": {
            "event": topic("event:{id}", "State", &["entries.counted", "event.changed", "channels.measured"]),
            "public": topic("public:{slug}", "State", &["entries.counted", "event.changed", "draw.published"]),
            "job": topic("job:{id}", "Log", &["job.progress", "option.ready", "image.ready", "job.ended"]),
            "distribution": topic("distribution:{id}", "Log", &["channel.changed", "distribution.ended"]),
            "owner": topic("owner:{userId}", "Log", &["notice"]),
        },
        "components": {"messages": {
            "hello": message("hello", &[], &["ticket"]), "subscribe": message("subscribe", &["id", "topic"], &["from"]), "unsubscribe": message("unsubscribe", &["topic"], &[]),
            "ping": message("ping", &["id"], &[]), "welcome": message("welcome", &["sessionId", "serverTime", "heartbeatMs"], &[]),
            "subscribed": message("subscribed", &["id", "topic", "position", "recovered"], &["snapshot"]),
            "update": message("update", &["topic", "position", "at", "kind", "data"], &[]), "gap": message("gap", &["topic"], &[]),
            "error": message("error", &["id", "code"], &[]), "pong": message("pong", &["id"], &[]), "goaway": message("goaway", &["reconnectAfterMs"], &[]),
        }},
        "x-close-codes": {"4400": "protocol, or no hello", "4401": "no authorisation", "4403": "a right was lost", "4408": "too slow, or two heartbeats unanswered", "4429": "too many", "1012": "restart"},
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
        for o in OPERATIONS {
            let says = |status: u16| statuses(o).contains(&status);
            assert!(says(404) || !o.path.contains('{'), "{} may name nothing", o.path);
            assert!(says(422) || o.query.is_empty(), "the query of {} may break a rule", o.path);
            assert_eq!(says(403) && says(415), o.method != "get", "{} {} changes something", o.method, o.path);
            let answered = o.statuses.iter().any(|s| matches!(s, 200..=202));
            assert_eq!(answered, o.gives.is_some() || o.file.is_some(), "{} {} says what it answers", o.method, o.path);
        }
    }
}
