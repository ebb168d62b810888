//! What handlers take from a request: typed, with errors that say what to do.

mod distinct;
mod tags;

use crate::address::client_address;
use crate::auth::Session;
use crate::error::{ApiResult, FieldError, Problem};
use crate::gateway::MAX_WAIT;
use crate::http::bodies::LIST_TOO_LONG;
use crate::state::App;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use distinct::Distinct;
use domain::rule::{Broken, within};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

pub(crate) use tags::{IfMatch, is_known, unchanged};

/// Rows of a page unless told.
const DEFAULT_LIMIT: i64 = 20;
/// Rows of a page at most.
pub(crate) const MAX_LIMIT: i64 = 100;
/// Characters of a cursor: an id in its longest spelling, in base64.
pub(crate) const MAX_CURSOR: usize = 64;

/// A JSON body of a type. Malformed JSON is 400; a wrong shape is 422 with the field; a body that does not say that it is JSON
/// is 415.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + JsonSchema> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let typed = says_json(request.headers());
        if typed == Some(false) {
            return Err(Problem::unsupported());
        }
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        if typed.is_none() && !bytes.is_empty() {
            return Err(Problem::unsupported());
        }
        parse(&bytes).map(Self)
    }
}

/// Does a request say that its body is JSON? `None`: it says nothing, as a page of another origin may without asking first.
pub(crate) fn says_json(headers: &HeaderMap) -> Option<bool> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter().peekable();
    types.peek()?;
    Some(types.all(|typed| typed.to_str().is_ok_and(is_json)))
}

/// Is that a media type of ours, whatever its parameters and case?
fn is_json(typed: &str) -> bool {
    let essence = typed.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/merge-patch+json"].iter().any(|ours| essence.eq_ignore_ascii_case(ours))
}

/// A body as it came, within the limit.
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Bytes::from_request(request, app).await.map(Self).map_err(|e| {
            if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large")
            } else {
                Problem::new(StatusCode::BAD_REQUEST, "malformed-json")
            }
        })
    }
}

/// Reads a body. An empty one is an empty object.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.iter().all(u8::is_ascii_whitespace) { b"{}" } else { bytes };
    // serde takes a list of its fields' values for an object, which no document says.
    let is_object = bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{');
    let may_have_nul = memchr::memmem::find(bytes, b"\\u0000").is_some();
    if is_object
        && !may_have_nul
        && let Ok(good) = serde_json::from_slice(bytes)
    {
        return Ok(good);
    }
    // Once more for the syntax, so that a shape error in front does not hide a syntax error behind it.
    let malformed = |_| Problem::new(StatusCode::BAD_REQUEST, "malformed-json");
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    // Which of two values counts, every reader decides for itself.
    serde_json::from_slice::<Distinct>(bytes).map_err(|e| malformed(e).said("duplicate-key"))?;
    if let Some(at) = nul_in(&value) {
        return Err(Problem::field(at.trim_start_matches('.'), "invalid-characters"));
    }
    if !value.is_object() {
        return Err(Problem::field("body", "invalid-type"));
    }
    serde_path_to_error::deserialize(&value).map_err(|e| {
        let first = shape(&e.path().to_string(), &e.inner().to_string());
        let others = lacking::<T>(&value).into_iter().filter(|field| *field != first.field);
        let others = others.map(|field| FieldError::new(field, "required")).collect();
        Problem::fields([vec![first], others].concat())
    })
}

/// Once so many fields are known to be missing, no further row of a list is looked at.
const MOST_LACKING: usize = 20;

/// What a body lacks, by its type: serde stops at the first.
fn lacking<T: JsonSchema>(body: &Value) -> Vec<String> {
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut found = Vec::new();
    lacks(body, inline.into_generator().into_root_schema_for::<T>().as_value(), "", &mut found);
    found
}

fn lacks(value: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        // What no type describes lacks nothing.
        _ if !schema.is_object() => {}
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            found.extend(required.filter(|name| !fields.contains_key(*name)).map(|name| join(at, name)));
            for (name, described) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = fields.get(name) {
                    lacks(value, described, &join(at, name), found);
                }
            }
        }
        Value::Array(all) => {
            for (i, value) in all.iter().enumerate() {
                if found.len() >= MOST_LACKING {
                    break;
                }
                lacks(value, &schema["items"], &format!("{at}[{i}]"), found);
            }
        }
        _ => {}
    }
}

/// The path of a field of what is at a path.
fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Where a text has a NUL in it, which no text of the database has; from there outwards, each part with what is before it.
fn nul_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(all) => all.iter().enumerate().find_map(|(i, v)| nul_in(v).map(|within| format!("[{i}]{within}"))),
        Value::Object(all) => all.iter().find_map(|(name, v)| nul_in(v).map(|within| format!(".{name}{within}"))),
        _ => None,
    }
}

/// serde's message as a field and a code. `shape_errors` holds serde to these words.
fn shape(path: &str, message: &str) -> FieldError {
    let named = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let path = if path == "." { "" } else { path };
    if let Some(name) = named("unknown field `") {
        let field = if path.ends_with(name) { path.to_owned() } else { join(path, name) };
        return FieldError::new(field, "unknown-field");
    }
    if let Some(name) = named("missing field `") {
        return FieldError::new(join(path, name), "required");
    }
    let code = if message.starts_with(LIST_TOO_LONG) {
        "too-many"
    } else if message.starts_with("unknown variant") || message.starts_with("invalid value") {
        "invalid-value"
    } else {
        "invalid-type"
    };
    FieldError::new(if path.is_empty() { "body" } else { path }, code)
}

/// Collects what is wrong with a body, to say all of it at once.
#[derive(Default)]
pub(crate) struct Check(Vec<FieldError>);

impl Check {
    /// The value, or its error noted.
    pub(crate) fn take<T>(&mut self, field: &str, result: Result<T, impl Into<Broken>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(broken) => {
                self.0.push(FieldError::new(field, broken));
                None
            }
        }
    }

    /// Everything that was noted, as one problem.
    pub(crate) fn problem(self) -> Problem {
        Problem::fields(self.0)
    }
}

/// The owner a request is from; the gateway has checked the token.
pub(crate) struct Owner(pub(crate) Session);

impl FromRequestParts<App> for Owner {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        parts.extensions.get::<Session>().copied().map(Self).ok_or_else(Problem::unauthenticated)
    }
}

/// An id or a word in the path; anything that is none is not found.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path =
            axum::extract::Path::<String>::from_request_parts(parts, app).await.map_err(|_| Problem::not_found())?;
        // The database has no text with NUL in it.
        let found = path.0.parse().ok().filter(|_| !path.0.contains('\0'));
        found.map(Self).ok_or_else(Problem::not_found)
    }
}

/// The query, one value per name.
pub(crate) struct Query(pub(crate) HashMap<String, String>);

impl FromRequestParts<App> for Query {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::<HashMap<String, String>>::from_request_parts(parts, app).await;
        let query = query.map_err(|_| Problem::field("query", "invalid-value"))?.0;
        match query.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, _)) => Err(Problem::field(name, "invalid-characters")),
            None => Ok(Self(query)),
        }
    }
}

impl Query {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// `limit`, 1 to 100, default 20.
    pub(crate) fn limit(&self) -> ApiResult<i64> {
        let Some(text) = self.0.get("limit") else { return Ok(DEFAULT_LIMIT) };
        text.parse()
            .ok()
            .filter(|n| (1..=MAX_LIMIT).contains(n))
            .ok_or_else(|| Problem::field("limit", "limit-invalid"))
    }

    /// `wait`, 1 to 60 seconds; left out: none.
    pub(crate) fn wait(&self) -> ApiResult<Duration> {
        let Some(text) = self.get("wait") else { return Ok(Duration::ZERO) };
        let seconds: u32 = text.parse().map_err(|_| Problem::field("wait", "invalid-value"))?;
        within("out-of-range", seconds, 1..=MAX_WAIT.as_secs() as i64).map_err(|e| Problem::field("wait", e))?;
        Ok(Duration::from_secs(seconds.into()))
    }

    /// `true` or `false`; left out: `false`.
    pub(crate) fn flag(&self, name: &str) -> ApiResult<bool> {
        let text = self.0.get(name).map_or("false", String::as_str);
        text.parse().map_err(|_| Problem::field(name, "invalid-value"))
    }

    /// `cursor`, as it was made by [`cursor`].
    pub(crate) fn cursor<T: FromStr>(&self) -> ApiResult<Option<T>> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let invalid = || Problem::field("cursor", "cursor-invalid");
        if text.len() > MAX_CURSOR {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let key = String::from_utf8(bytes).map_err(|_| invalid())?;
        key.parse().map(Some).map_err(|_| invalid())
    }
}

/// A place in a list, as clients see it.
pub(crate) fn cursor(key: impl std::fmt::Display) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

/// A page: one row more than asked for says that there is a next one.
pub(crate) fn page<T>(mut rows: Vec<T>, limit: i64, key: impl Fn(&T) -> String, body: impl Fn(T) -> Value) -> Value {
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or_default());
    let next = rows.last().filter(|_| more).map(|last| cursor(key(last)));
    serde_json::json!({"items": rows.into_iter().map(body).collect::<Vec<_>>(), "nextCursor": next})
}

/// Address of the client: of the peer, or what a trusted proxy says.
pub(crate) struct Origin(pub(crate) IpAddr);

impl FromRequestParts<App> for Origin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(client_address(parts, &app.settings.trusted_proxies)))
    }
}

/// A version as an `ETag`.
pub(crate) fn tag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// An answer with a version as its `ETag`.
pub(crate) fn versioned(status: StatusCode, version: i64, body: &Value) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::ETAG, tag(version));
    response
}

/// 304 with the version.
pub(crate) fn not_modified(version: i64) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    response.headers_mut().insert(header::ETAG, tag(version));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema, Debug)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Outer {
        name: String,
        inner_part: Inner,
        #[serde(default)]
        more: Option<Vec<Inner>>,
    }

    #[derive(Deserialize, JsonSchema, Debug)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only its shape matters")]
    struct Inner {
        #[schemars(with = "String")]
        kind: domain::channel::Style,
        n: u32,
    }

    #[test]
    fn shape_errors() {
        for (body, errors) in [
            ("{}", &[("name", "required"), ("innerPart", "required")][..]),
            ("", &[("name", "required"), ("innerPart", "required")]),
            ("[]", &[("body", "invalid-type")]),
            (r#"["a",{"kind":"SIMPLE","n":1},null]"#, &[("body", "invalid-type")]),
            ("null", &[("body", "invalid-type")]),
            (r#"{"name":"a"}"#, &[("innerPart", "required")]),
            (r#"{"name":"a","innerPart":null}"#, &[("innerPart", "invalid-type")]),
            (
                r#"{"innerPart":{}}"#,
                &[("innerPart.kind", "required"), ("name", "required"), ("innerPart.n", "required")],
            ),
            (r#"{"innerPart":1}"#, &[("innerPart", "invalid-type"), ("name", "required")]),
            (r#"{"name":"a","innerPart":{"kind":"SIMPLE"}}"#, &[("innerPart.n", "required")]),
            (r#"{"name":"a","innerPart":{"kind":"X","n":1}}"#, &[("innerPart.kind", "invalid-value")]),
            (r#"{"name":"a","innerPart":{"kind":"SIMPLE","n":-1}}"#, &[("innerPart.n", "invalid-value")]),
            (r#"{"name":"a","innerPart":{"kind":"SIMPLE","n":1,"x":2}}"#, &[("innerPart.x", "unknown-field")]),
            (r#"{"name":"a","innerPart":{"kind":"SIMPLE","n":1},"y":2}"#, &[("y", "unknown-field")]),
            (
                r#"{"name":"a","innerPart":{"kind":"SIMPLE","n":1},"more":[{"n":1},{"kind":"SIMPLE"}]}"#,
                &[("more[0].kind", "required"), ("more[1].n", "required")],
            ),
        ] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (422, errors[0].1), "{body}");
            let found: Vec<_> = problem.errors.iter().map(|e| (e.field.as_str(), e.broken.code)).collect();
            assert_eq!(found, errors, "{body}");
        }
        for body in ["{", "{\"name\":1,}"] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "malformed-json"), "{body}");
        }
    }

    /// Low list: no name stands twice, however deep, and whatever its type.
    #[test]
    fn a_name_stands_once_in_an_object() {
        let good = r#"{"name":"a","innerPart":{"kind":"SIMPLE","n":1},"more":[{"kind":"SIMPLE","n":1},{"kind":"VIVID","n":1}]}"#;
        assert!(parse::<Outer>(good.as_bytes()).is_ok(), "siblings may have the same names");
        for (once, twice) in [
            (r#""name":"a""#, r#""name":"a","name":"a""#),
            (r#""name":"a""#, r#""name":"a","n\u0061me":"b""#),
            (r#""n":1"#, r#""n":1,"n":2"#),
            (r#"{"kind":"VIVID","n":1}"#, r#"{"kind":"VIVID","n":1,"n":1}"#),
            (r#""name":"a""#, r#""name":"a","other":{"x":[{"y":1,"y":1}]}"#),
        ] {
            let problem = parse::<Outer>(good.replace(once, twice).as_bytes()).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "malformed-json"), "{twice}");
        }
    }

    #[test]
    fn what_is_said_of_a_body_has_an_end() {
        let rows =
            format!(r#"{{"name":"a","innerPart":{{"kind":"SIMPLE","n":1}},"more":[{}{{}}]}}"#, "{},".repeat(100_000));
        let errors = parse::<Outer>(rows.as_bytes()).unwrap_err().errors;
        assert!((MOST_LACKING..MOST_LACKING + 3).contains(&errors.len()), "{}", errors.len());
        // Names are theirs to choose: none is copied for each of what it holds.
        let begun = std::time::Instant::now();
        let name = "k".repeat(500_000);
        let wide = format!(r#"{{"{name}":["\\u0000 is no NUL"{}]}}"#, ",0".repeat(200_000));
        assert_eq!(parse::<Outer>(wide.as_bytes()).unwrap_err().code, "unknown-field");
        assert!(begun.elapsed().as_secs() < 5, "a hundred thousand million bytes were copied");
    }
}
