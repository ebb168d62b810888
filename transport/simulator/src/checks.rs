//! What the providers check before they work: the token, the model's name, the schema of the answer.
//!
//! Sources: the providers' references for structured outputs and authentication, as collected in the specification of the
//! upstreams. A request that the real service refuses is refused here with the same status and kind of error.

use crate::server::Shared;
use axum::http::HeaderMap;
use serde_json::Value;

/// Models that the simulated services know. A real service answers any other name with 404.
const CLAUDE_MODELS: &[&str] = &["claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "claude-opus-4-1"];
const OPENAI_MODELS: &[&str] = &["gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini"];
const OPENAI_IMAGE_MODELS: &[&str] = &["gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5", "gpt-image-2"];

/// Levels of nesting that OpenAI takes under `strict: true`.
const MAX_DEPTH: usize = 10;
/// Properties of a whole schema that OpenAI takes under `strict: true`.
const MAX_PROPERTIES: usize = 5_000;

/// Keywords that OpenAI refuses under `strict: true`.
const REFUSED_BY_OPENAI: &[&str] = &["allOf", "not", "if", "then", "else", "dependentRequired", "patternProperties"];
/// Keywords that Claude refuses: bounds of numbers and lengths.
const REFUSED_BY_CLAUDE: &[&str] =
    &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"];

/// A service that answers with text by a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Anthropic Messages.
    Claude,
    /// OpenAI chat completions.
    OpenAi,
    /// OpenAI images.
    OpenAiImages,
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The key in a header of a provider's own.
pub(crate) fn key<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

impl Shared {
    /// Returns true if the provider knows the token: the configured one, or any that is not empty where none is configured.
    pub(crate) fn accepts(&self, token: Option<&str>) -> bool {
        match (&self.token, token) {
            (_, None) => false,
            (Some(known), Some(token)) => known == token,
            (None, Some(token)) => !token.trim().is_empty(),
        }
    }
}

/// Returns true if the service has a model of this name.
pub(crate) fn knows_model(service: Service, body: &Value) -> bool {
    let models = match service {
        Service::Claude => CLAUDE_MODELS,
        Service::OpenAi => OPENAI_MODELS,
        Service::OpenAiImages => OPENAI_IMAGE_MODELS,
    };
    body["model"].as_str().is_some_and(|name| models.contains(&name))
}

/// Says why a service refuses a schema, or nothing.
pub(crate) fn schema_fault(service: Service, schema: &Value) -> Option<String> {
    if schema["type"] != "object" || schema.get("anyOf").is_some() {
        return Some("the root must be an object".into());
    }
    let mut properties = 0;
    node_fault(service, schema, "$", 0, &mut properties)
}

fn node_fault(service: Service, node: &Value, at: &str, depth: usize, properties: &mut usize) -> Option<String> {
    let Some(fields) = node.as_object() else { return Some(format!("{at}: not a schema")) };
    let refused = if service == Service::Claude { REFUSED_BY_CLAUDE } else { REFUSED_BY_OPENAI };
    if let Some(keyword) = refused.iter().find(|k| fields.contains_key(**k)) {
        return Some(format!("{at}: '{keyword}' is not permitted"));
    }
    if fields.contains_key("$ref") && service == Service::Claude {
        return Some(format!("{at}: recursive schemas are not supported"));
    }
    if let Some(choices) = node["anyOf"].as_array() {
        return choices.iter().find_map(|choice| node_fault(service, choice, at, depth + 1, properties));
    }
    if service == Service::OpenAi && (depth > MAX_DEPTH || *properties > MAX_PROPERTIES) {
        return Some(format!("{at}: the schema is too large"));
    }
    let kinds: Vec<&str> = match &node["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.is_empty() {
        return Some(format!("{at}: schema must have a 'type' key"));
    }
    if kinds.contains(&"object") {
        return object_fault(service, node, at, depth, properties);
    }
    if kinds.contains(&"array") {
        let items = format!("{at}[]");
        return node_fault(service, &node["items"], &items, depth + 1, properties);
    }
    None
}

fn object_fault(service: Service, node: &Value, at: &str, depth: usize, properties: &mut usize) -> Option<String> {
    if node["additionalProperties"] != Value::Bool(false) {
        return Some(format!("{at}: 'additionalProperties' is required to be supplied and to be false"));
    }
    let fields = node["properties"].as_object()?;
    *properties += fields.len();
    let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if service == Service::OpenAi
        && let Some(optional) = fields.keys().find(|name| !required.contains(&name.as_str()))
    {
        return Some(format!("{at}: 'required' must include every property, '{optional}' is missing"));
    }
    fields.iter().find_map(|(name, field)| node_fault(service, field, &format!("{at}.{name}"), depth + 1, properties))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(properties: Value, required: Value) -> Value {
        json!({"type": "object", "additionalProperties": false, "properties": properties, "required": required})
    }

    #[test]
    fn a_schema_that_a_provider_refuses_is_refused() {
        let refused = |service, schema: &Value| schema_fault(service, schema).is_some();
        let with = |field: Value| object(json!({"a": field}), json!(["a"]));
        let both = [Service::Claude, Service::OpenAi];
        for service in both {
            assert!(!refused(service, &with(json!({"type": "string", "enum": ["x", "y"]}))));
            assert!(!refused(service, &with(json!({"type": ["integer", "null"]}))));
            assert!(refused(service, &with(json!({"enum": ["x", "y"]}))), "an enum without a type");
            assert!(refused(service, &with(json!({"type": "array", "items": {"enum": ["x"]}}))), "inside a list");
            assert!(refused(service, &with(json!({"type": "array"}))), "a list of anything");
            assert!(refused(service, &with(json!({"type": "object", "properties": {}}))), "open objects");
            assert!(refused(service, &json!({})) && refused(service, &json!({"type": "array"})), "the root");
        }
        let optional = object(json!({"a": {"type": "string"}}), json!([]));
        assert!(refused(Service::OpenAi, &optional) && !refused(Service::Claude, &optional));
        let bounded = with(json!({"type": "integer", "minimum": 1}));
        assert!(refused(Service::Claude, &bounded) && !refused(Service::OpenAi, &bounded));
        let deep = (0..12).fold(json!({"type": "string"}), |inner, _| with(inner));
        assert!(refused(Service::OpenAi, &deep) && !refused(Service::Claude, &deep));
    }

    #[test]
    fn models_have_names() {
        assert!(knows_model(Service::OpenAi, &json!({"model": "gpt-4.1"})));
        assert!(!knows_model(Service::OpenAi, &json!({"model": "claude-sonnet-4-5"})));
        assert!(!knows_model(Service::Claude, &json!({})));
    }
}
