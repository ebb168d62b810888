//! The document's limits are the rules': what it refuses is refused, and what it allows is taken, save what JSON Schema
//! cannot say.

use crate::support::{Api, anonymous, business_number, email, owner, phone, run, signup_body};
use futures_util::StreamExt;
use futures_util::stream::iter;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Cases of one owner, who has 100 requests a minute.
const CASES: usize = 50;
/// Operations tried at once: each begins with signups, whose passwords are hashed.
const AT_ONCE: usize = 4;
/// Parameters that no rule bounds: a value that is not understood is passed over.
const UNBOUNDED: &[&str] = &["Prefer", "If-None-Match", "Accept-Language"];
/// Operations that are not tried: wrong logins from this address would be served behind those of the other tests.
const UNTRIED: &[&str] = &["/api/users/login"];
/// What JSON Schema cannot say: the field, the code of its refusal, and why.
const UNSAID: &[(&str, &str, &str)] = &[
    ("businessNumber", "business-number-invalid", "the last digit is computed from the others"),
    ("channel", "invalid-value", "only channels of the distribution are confirmed"),
    ("channels", "invalid-value", "only channels of the distribution are tried again"),
    ("cursor", "cursor-invalid", "the server makes cursors"),
    ("endsAt", "period-invalid", "the end is compared with the start and the clock"),
    ("imageIds", "image-unknown", "pictures belong to an event"),
    ("openedOn", "out-of-range", "the clock says which day is today"),
    ("optionId", "option-unknown", "options are offered for an event"),
    ("password", "password-common", "three thousand words, and the e-mail"),
    ("region", "region-invalid", "a table of every district under each of its names"),
    ("startsAt", "period-invalid", "the start is compared with the clock"),
    ("visitCode", "visit-code-invalid", "the code is of the minute"),
];

/// The schemas that a schema stands for, without references.
fn variants(document: &Value, schema: &Value) -> Vec<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return variants(document, document.pointer(name.trim_start_matches('#')).unwrap());
    }
    match schema["anyOf"].as_array() {
        Some(all) if schema["properties"].is_null() => all.iter().flat_map(|one| variants(document, one)).collect(),
        _ => vec![schema.clone()],
    }
}

/// The type of a schema, beside null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(all) => all.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default(),
        _ => "",
    }
}

/// Notes each place whose values have no end.
fn unbounded(document: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    for one in variants(document, schema) {
        let has = |key: &&str| !one[*key].is_null();
        let bounded = match kind(&one) {
            "string" => ["maxLength", "enum", "format", "pattern"].iter().any(has),
            "integer" => ["minimum", "maximum"].iter().all(has),
            "array" => ["items", "maxItems"].iter().all(has),
            "object" => one["additionalProperties"] == false,
            "boolean" | "null" => true,
            _ => false,
        };
        if !bounded {
            found.push(at.to_owned());
        }
        for (name, inner) in one["properties"].as_object().into_iter().flatten() {
            unbounded(document, inner, &format!("{at}.{name}"), found);
        }
        if kind(&one) == "array" {
            unbounded(document, &one["items"], &format!("{at}[]"), found);
        }
    }
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    all.collect()
}

fn body_of(operation: &Value) -> &Value {
    &operation["requestBody"]["content"]["application/json"]["schema"]
}

#[test]
fn every_value_of_a_request_is_bounded() {
    let document = transport::openapi::document();
    let mut found = Vec::new();
    for (method, path, operation) in operations(&document) {
        if body_of(&operation).is_object() {
            unbounded(&document, body_of(&operation), &format!("{method} {path}"), &mut found);
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if !UNBOUNDED.contains(&name) {
                unbounded(&document, &parameter["schema"], &format!("{method} {path} {name}"), &mut found);
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

/// A change of one place of a body.
#[derive(Debug)]
enum Change {
    Set(Value),
    /// A list of so many of the first of what is there.
    Repeat(usize),
    /// An object with one field more.
    Add,
    /// The values of an object as a list.
    List,
    Remove,
}

/// Every change that is tried of a body and of what is in it.
fn changes(document: &Value, schema: &Value, at: &str, found: &mut Vec<(String, Change)>) {
    for one in variants(document, schema) {
        if kind(&one) == "null" {
            continue;
        }
        found.extend(tries(&one).into_iter().map(|change| (at.to_owned(), change)));
        for (name, inner) in one["properties"].as_object().into_iter().flatten() {
            let place = format!("{at}/{name}");
            found.push((place.clone(), Change::Remove));
            changes(document, inner, &place, found);
        }
        if kind(&one) == "array" {
            changes(document, &one["items"], &format!("{at}/0"), found);
        }
    }
}

/// Values at each limit of a schema and just beyond it, and of other types.
fn tries(schema: &Value) -> Vec<Change> {
    let limit = |key: &str| schema[key].as_i64();
    let around = |least: Option<i64>, most: Option<i64>| {
        let beyond = [least.map(|n| n - 1), least, most, most.map(|n| n + 1)];
        beyond.into_iter().flatten().collect::<Vec<_>>()
    };
    let mut all: Vec<Change> = [json!(null), json!(7), json!([{}])].into_iter().map(Change::Set).collect();
    match kind(schema) {
        "string" => {
            let texts = ["", " ", "a", "a\u{1}", "a\u{202e}b"].map(str::to_owned);
            let long = around(limit("minLength"), limit("maxLength")).into_iter().map(|n| "a".repeat(n as usize));
            let codes = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let codes = codes.flat_map(|code| [code.to_owned(), code.to_lowercase()]);
            all.extend(texts.into_iter().chain(long).chain(codes.take(4)).map(|text| Change::Set(json!(text))));
        }
        "integer" => all.extend(around(limit("minimum"), limit("maximum")).into_iter().map(|n| Change::Set(json!(n)))),
        "boolean" => all.extend([true, false].map(|yes| Change::Set(json!(yes)))),
        "array" => {
            let counts = around(Some(limit("minItems").unwrap_or(1)), limit("maxItems"));
            all.extend(counts.into_iter().map(|n| Change::Repeat(n as usize)));
        }
        "object" => all.extend([Change::Add, Change::List]),
        other => panic!("{other} is not tried: {schema}"),
    }
    all
}

/// The changed body; `None` where nothing is there to change.
fn changed(body: &Value, at: &str, change: &Change) -> Option<Value> {
    let mut body = body.clone();
    let value = match change {
        Change::Set(value) => value.clone(),
        Change::Repeat(count) => json!(vec![body.pointer(at)?.get(0)?; *count]),
        Change::List => json!(body.pointer(at)?.as_object()?.values().collect::<Vec<_>>()),
        Change::Add => {
            body.pointer_mut(at)?.as_object_mut()?.insert("unknown".into(), json!(1));
            return Some(body);
        }
        Change::Remove => {
            let (parent, name) = at.rsplit_once('/')?;
            body.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
            return Some(body);
        }
    };
    let Some((parent, name)) = at.rsplit_once('/') else { return Some(value) };
    match body.pointer_mut(parent)? {
        Value::Object(fields) => _ = fields.insert(name.to_owned(), value),
        Value::Array(all) => *all.get_mut(name.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(body)
}

/// Where an operation is tried, with a body that it takes.
struct Stage {
    api: Api,
    path: String,
    body: Value,
}

impl Stage {
    /// The body, with what no two requests may share.
    fn fresh(&self) -> Value {
        static ENTERED: AtomicUsize = AtomicUsize::new(0);
        let mut body = self.body.clone();
        if self.path.ends_with("/entries") {
            body["phone"] = json!(phone(ENTERED.fetch_add(1, Ordering::Relaxed)));
        } else if self.path.ends_with("/signup") {
            (body["email"], body["businessNumber"]) = (json!(email()), json!(business_number()));
        }
        body
    }
}

/// A new owner on the way to an operation.
async fn stage(method: &str, path: &str) -> Stage {
    let at = |api: Api, path: &str, body: Value| Stage { api, path: path.to_owned(), body };
    let prizes = json!([{"name": "쿠폰", "quantity": 2, "unitValueWon": 1_000}]);
    match (method, path) {
        ("post", "/api/users/signup") => {
            let mut body = signup_body();
            body["store"]["address"] = json!("서울 강남구 1");
            return at(anonymous(), path, body);
        }
        ("post", "/api/participation/events/{slug}/entries") => {
            let slug = owner().await.live(json!({})).await.1;
            let consents = json!({"privacy": true, "marketing": false, "night": null});
            let body = json!({"name": "김손님", "phone": phone(0), "consents": consents, "channel": "QR"});
            return at(anonymous(), &path.replace("{slug}", &slug), body);
        }
        _ => {}
    }
    let api = owner().await;
    let shop = json!({"name": "가게", "industry": "CAFE", "region": "서울 강남구", "address": "1층"});
    match path {
        "/api/users/token/refresh" => {
            let body = json!({"refreshToken": api.refresh});
            return at(anonymous(), path, body);
        }
        "/api/users/me" => return at(api, path, json!({"name": "홍길동", "phone": "010-1234-5678"})),
        "/api/stores" => return at(api, path, shop),
        "/api/stores/{id}" => {
            let path = path.replace("{id}", &api.store);
            return at(api, &path, shop);
        }
        "/api/events" => {
            let body = json!({"objective": "SALES", "storeId": api.store});
            return at(api, path, body);
        }
        "/api/ai/recommendations" => {
            let body = json!({"industry": "CAFE", "region": "서울 강남구", "objective": "SALES", "season": "SPRING"});
            return at(api, path, body);
        }
        "/api/events/{id}" => {
            let path = path.replace("{id}", &api.draft().await);
            return at(api, &path, json!({"title": "가을"}));
        }
        "/api/events/{id}/plan" => {
            let id = api.draft().await;
            let option = api.options(&id).await[0]["id"].clone();
            let body = json!({"optionId": option, "title": "가을", "prizes": prizes, "visitBonus": {"weight": 3}});
            return at(api, &path.replace("{id}", &id), body);
        }
        "/api/events/{id}/draws" => {
            let (id, _) = api.live(json!({})).await;
            api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
            return at(api, &path.replace("{id}", &id), json!({"alternates": 1, "external": "ab".repeat(32)}));
        }
        _ => {}
    }
    let id = api.ready(json!({}), json!(["NAVER"])).await;
    let image = api.get(&format!("/api/events/{id}")).await.is(200)["content"]["imageIds"][0].clone();
    let (id, body) = match path {
        "/api/events/{id}/content" => (id, json!({"imageIds": [image]})),
        "/api/events/{id}/channels" => (id, json!({"channels": ["NAVER"]})),
        "/api/content/images" => {
            let body = json!({"eventId": id, "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]});
            (id, body)
        }
        "/api/content/images/{id}" => {
            let body = json!({"headline": "제목", "body": "글", "palette": ["#112233"]});
            (image.as_str().unwrap().to_owned(), body)
        }
        "/api/distribution/{id}/retry" | "/api/distribution/{id}/confirm" => {
            let distribution = api.publish(&id).await.1.rsplit('/').next().unwrap().to_owned();
            let channels = json!({"channels": ["NAVER"]});
            let confirmed = json!({"channel": "NAVER", "posted": true});
            (distribution, if path.ends_with("retry") { channels } else { confirmed })
        }
        other => panic!("{method} {other} is not tried"),
    };
    at(api, &path.replace("{id}", &id), body)
}

/// Fails unless document and server say the same of every change of a body.
async fn agree(document: &Value, method: &str, path: &str, schema: &Value) {
    let whole = json!({"allOf": [schema], "components": document["components"]});
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    let mut all = Vec::new();
    changes(document, schema, "", &mut all);
    for some in all.chunks(CASES) {
        let stage = stage(method, path).await;
        assert!(validator.is_valid(&stage.fresh()), "{method} {path}: {}", stage.body);
        for (at, change) in some {
            if let Some(body) = changed(&stage.fresh(), at, change) {
                agree_once(&validator, &stage, method, (at.as_str(), change), &body).await;
            }
        }
    }
}

async fn agree_once(validator: &Validator, stage: &Stage, method: &str, (at, change): (&str, &Change), body: &Value) {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let answer = stage.api.send(stage.api.request(method.clone(), &stage.path).json(body)).await;
    let told = format!("{method} {} {at} {change:?}: {} {}", stage.path, answer.status, answer.body);
    assert!(answer.status < 500, "{told}");
    let field = at.split('/').rfind(|part| !part.is_empty() && part.parse::<usize>().is_err()).unwrap_or_default();
    let refused = match answer.status {
        400 | 422 => true,
        // A token that is none, and another notice than the one shown.
        401 => field == "refreshToken",
        409 => field == "noticeVersion",
        _ => false,
    };
    let blank = matches!(change, Change::Set(Value::String(text)) if text.trim().is_empty());
    if validator.is_valid(body) {
        let unsaid = UNSAID.iter().any(|(name, code, _)| *name == field && answer.body["code"] == *code);
        assert!(!refused || unsaid, "the document allows it: {told}");
    } else {
        // A blank visit code is none: the field was left empty.
        assert!(refused || (blank && field == "visitCode"), "the document refuses it: {told}");
    }
}

/// Issue 21: the document's own limits are the rules'.
#[test]
fn bodies_are_taken_as_the_document_says() {
    run(async {
        let document = transport::openapi::document();
        let all = operations(&document);
        let tried = all.iter().filter(|(_, path, o)| body_of(o).is_object() && !UNTRIED.contains(&path.as_str()));
        let tried: Vec<_> = tried.map(|(method, path, o)| agree(&document, method, path, body_of(o))).collect();
        assert!(tried.len() > 15, "{}", tried.len());
        iter(tried).for_each_concurrent(AT_ONCE, |operation| operation).await;
    });
}

/// The same of what stands in the query of a read.
#[test]
fn queries_are_taken_as_the_document_says() {
    run(async {
        let document = transport::openapi::document();
        let mut texts: Vec<String> =
            ["0", "1", "100", "101", "-1", "true", "yes", "NAVER", "naver", "running", "a\u{1}b"]
                .map(str::to_owned)
                .into();
        texts.extend([32, 33, 64, 65, 200, 201].map(|n| "a".repeat(n)));
        texts.push(format!("p{}", "a".repeat(42)));
        for (_, path, operation) in operations(&document).into_iter().filter(|(method, ..)| method == "get") {
            let all = operation["parameters"].as_array().unwrap().iter().filter(|p| p["in"] == "query");
            let all: Vec<&Value> = all.collect();
            if all.is_empty() {
                continue;
            }
            let api = owner().await;
            let asked = path.replace("{id}", &api.draft().await);
            for (parameter, text) in all.iter().flat_map(|p| texts.iter().map(move |text| (*p, text))) {
                let name = parameter["name"].as_str().unwrap();
                let value = match kind(&parameter["schema"]) {
                    "string" => json!(text),
                    _ => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
                };
                let answer = api.send(api.request(Method::GET, &asked).query(&[(name, text)])).await;
                let told = format!("{asked}?{name}={text}: {} {}", answer.status, answer.body);
                let unsaid = UNSAID.iter().any(|(field, code, _)| *field == name && answer.body["code"] == *code);
                match (jsonschema::is_valid(&parameter["schema"], &value), answer.status) {
                    (true, 200) | (false, 422) => {}
                    (true, 422) if unsaid => {}
                    (allowed, _) => panic!("the document says {allowed}: {told}"),
                }
            }
        }
    });
}

/// The same of the query and the headers of writes; nothing is done where one is refused.
#[test]
fn a_wait_and_a_key_have_limits() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({}), json!(["NAVER"])).await;
        for wait in ["0", "61", "-1", "1.5", "soon"] {
            let refused = api.post(&format!("/api/events/{id}/approve?wait={wait}"), json!({})).await.is(422);
            assert_eq!(refused["errors"][0]["field"], "wait");
        }
        assert_eq!(api.status(&id).await, "ready");
        api.post(&format!("/api/events/{id}/approve?wait=60"), json!({})).await.is(200);
        let keyed = |key: String| {
            let request = api.request(Method::POST, "/api/events").header("idempotency-key", key);
            api.send(request.json(&json!({"objective": "SALES"})))
        };
        keyed(String::new()).await.fails(422, "idempotency-key-invalid");
        keyed("k".repeat(256)).await.fails(422, "idempotency-key-invalid");
        keyed("k".repeat(255)).await.is(201);
        let request = api.request(Method::POST, "/api/events").header("idempotency-key", "one");
        let twice = request.header("idempotency-key", "two").json(&json!({"objective": "SALES"}));
        api.send(twice).await.fails(422, "idempotency-key-invalid");
    });
}
