//! What path, query and headers of an operation may say, with the limits of their rules.

use super::Operation;
use crate::extract::{MAX_CURSOR, MAX_LIMIT};
use crate::gateway::{MAX_KEY_BYTES, MAX_WAIT};
use crate::http::bodies::BLANK_LINE;
use domain::channel::Source;
use domain::event::Status;
use domain::text::MAX_SEARCH;
use serde_json::{Value, json};

/// POSTs that no key makes repeatable.
const WITHOUT_KEY: [&str; 4] =
    ["/api/users/login", "/api/users/token/refresh", "/api/users/logout", "/api/realtime/tickets"];
/// Words that stand for several statuses in the query of the list of events.
const STATUS_WORDS: [&str; 4] = ["drafting", "upcoming", "running", "ended"];
/// 80 random bits in base32.
const SLUG: &str = "^[a-z2-7]{16}$";
const RECEIPT: &str = "^[0-9a-f]{32}$";
/// The token of a minute, or one on paper.
const VISIT_TOKEN: &str = "^([0-9a-fA-F]{32}|[pP][0-9a-fA-F]{42})$";
const IDEMPOTENCY_KEY: &str = "^[!-~]([ -~]*[!-~])?$";
/// One tag, several, or any.
const VERSIONS: &str = r#"^(\*|(W/)?"[0-9]{1,19}"(, ?(W/)?"[0-9]{1,19}")*)$"#;

/// May an operation be repeated by its key?
pub(super) fn takes_key(o: &Operation) -> bool {
    o.method == "post" && !WITHOUT_KEY.contains(&o.path)
}

/// Every parameter of an operation.
pub(super) fn parameters(o: &Operation) -> Vec<Value> {
    let in_path = o.path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = in_path.map(path).collect();
    all.extend(o.query.iter().map(|name| query(name)));
    let mut header = |name: &str, schema: Value, says: &str| all.push(parameter("header", name, &schema, says));
    if o.statuses.contains(&412) {
        let says = "The versions that this may be made on, none of them weak; without it the last write wins";
        header("If-Match", json!({"type": "string", "pattern": VERSIONS}), says);
    }
    if o.statuses.contains(&304) {
        header("If-None-Match", json!({"type": "string"}), "The version that is there already");
    }
    if (o.method, o.path) == ("get", "/api/jobs/{id}") {
        let says = "wait=25 holds until it ended or, with If-None-Match, changed; at most 60 s";
        header("Prefer", json!({"type": "string"}), says);
    }
    if takes_key(o) {
        let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES, "pattern": IDEMPOTENCY_KEY});
        header("Idempotency-Key", key, "Repeats are answered as the first was, for 24 h");
    }
    header("Accept-Language", json!({"type": "string"}), "ko (unless told) or en: the language of problems");
    all
}

fn parameter(place: &str, name: &str, schema: &Value, says: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema, "description": says})
}

fn path(name: &str) -> Value {
    let (schema, says) = match name {
        "slug" => (json!({"type": "string", "pattern": SLUG}), "The event's, in its links"),
        "receipt" => (json!({"type": "string", "pattern": RECEIPT}), "As the entry was answered"),
        _ => (json!({"type": "string", "format": "uuid"}), ""),
    };
    parameter("path", name, &schema, says)
}

fn query(name: &str) -> Value {
    let whole = |most: u64| json!({"type": "integer", "minimum": 1, "maximum": most});
    let codes = |all: Vec<&str>| json!({"type": "string", "enum": all});
    let (schema, says) = match name {
        "cursor" => (
            json!({"type": "string", "maxLength": MAX_CURSOR, "pattern": "^[A-Za-z0-9_-]*$"}),
            "nextCursor of the page before, as it was received",
        ),
        "limit" => (whole(MAX_LIMIT.unsigned_abs()), "20 unless told"),
        "wait" => (whole(MAX_WAIT.as_secs()), "Seconds to wait for the end of the publishing"),
        "status" => {
            let statuses = Status::ALL.iter().map(|status| status.code());
            (codes(statuses.chain(STATUS_WORDS).collect()), "A status, or a word for several")
        }
        "q" => (json!({"type": "string", "maxLength": MAX_SEARCH, "pattern": BLANK_LINE}), "A part of the title"),
        "channel" => (codes(Source::ALL.iter().map(|source| source.code()).collect()), "Where entries come from"),
        "v" => (json!({"type": "string", "pattern": VISIT_TOKEN}), "A visit token, for the QR code in the shop"),
        "all" => (json!({"type": "boolean"}), "Those that were read, too"),
        "visited" => (json!({"type": "boolean"}), "Those who were in the shop, or the others"),
        "everywhere" => (json!({"type": "boolean"}), "Ends every login of the account"),
        other => unreachable!("the query {other} has no schema"),
    };
    parameter("query", name, &schema, says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_query_are_read() {
        for word in STATUS_WORDS {
            assert!(Status::filter(word).is_some(), "{word}");
        }
    }
}
