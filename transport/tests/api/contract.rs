//! Holds every answer the tests get to `GET /openapi.json`.

use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::OnceLock;

type Key = (String, String, u16);

struct Contract {
    document: Value,
    /// Compiled when first met.
    validators: Mutex<HashMap<Key, Option<&'static Validator>>>,
}

fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let mut document = transport::openapi::document();
        // Clients must bear new fields; a test must notice one that the document does not know.
        close(&mut document["components"]["schemas"]);
        Contract { document, validators: Mutex::default() }
    })
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("properties").is_some_and(|p| p.is_object() && p.get("type") != Some(&json!("string"))) {
                map.entry("unevaluatedProperties").or_insert(json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// The path of the document that a path is one of.
pub fn template(path: &str) -> Option<String> {
    let document = &contract().document;
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let theirs: Vec<&str> = template.split('/').collect();
        theirs.len() == parts.len() && theirs.iter().zip(&parts).all(|(t, p)| t == p || t.starts_with('{'))
    };
    let mut fitting: Vec<&String> = document["paths"].as_object().unwrap().keys().filter(|t| fits(t)).collect();
    fitting.sort_by_key(|t| t.matches('{').count());
    fitting.first().map(|t| (*t).clone())
}

fn compile(document: &Value, (method, path, status): &Key) -> Option<&'static Validator> {
    let operation = &document["paths"][path][method];
    if operation.is_null() {
        assert!(*status >= 400, "{method} {path} answers {status} and is not documented");
        return None;
    }
    let response = &operation["responses"][status.to_string()];
    if response.is_null() {
        assert!(*status >= 400, "{method} {path}: {status} is not documented");
    }
    let schema = match *status {
        400.. => json!({"$ref": "#/components/schemas/Problem"}),
        _ => response["content"]["application/json"]["schema"].clone(),
    };
    if schema.is_null() {
        return None;
    }
    let whole = json!({"allOf": [schema], "components": document["components"]});
    Some(Box::leak(Box::new(jsonschema::validator_for(&whole).unwrap())))
}

/// Fails unless an answer of the API is what the document says.
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    let contract = contract();
    if !path.starts_with("/api/") {
        return;
    }
    let Some(template) = template(path) else { return };
    let key = (method.to_owned(), template, status);
    let mut validators = contract.validators.lock();
    let validator = *validators.entry(key.clone()).or_insert_with_key(|key| compile(&contract.document, key));
    drop(validators);
    if let Some(validator) = validator {
        let errors: Vec<String> = validator.iter_errors(body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{key:?} is not as documented: {errors:#?} {body}");
    }
}
