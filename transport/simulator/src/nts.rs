//! 국세청: every checksum-valid number is open and matches, save the special ones.

use crate::server::Shared;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// First five digits with a meaning of their own, and what they mean.
pub const SPECIAL_NUMBERS: &[(&str, &str)] = &[
    ("99901", "closed (폐업)"),
    ("99902", "does not match name and opening day"),
    ("99903", "the service asks to come back later (429): the store stays PENDING"),
    ("99904", "suspended (휴업)"),
];

#[derive(Deserialize)]
struct Question {
    businesses: Vec<Business>,
}

#[derive(Deserialize)]
struct Business {
    b_no: String,
    start_dt: String,
    p_nm: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/validate", post(validate))
}

async fn validate(
    State(shared): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    body: Json<Value>,
) -> (StatusCode, Json<Value>) {
    if !shared.accepts(query.get("serviceKey").map(String::as_str)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"code": -401, "msg": "유효하지 않은 인증키 입니다."})));
    }
    let Ok(question) = serde_json::from_value::<Question>(body.0) else {
        return (StatusCode::LENGTH_REQUIRED, Json(json!({"status_code": "REQUEST_DATA_MALFORMED"})));
    };
    if question.businesses.len() > 100 {
        return (StatusCode::PAYLOAD_TOO_LARGE, Json(json!({"status_code": "TOO_LARGE_REQUEST"})));
    }
    if question.businesses.iter().any(|b| b.b_no.starts_with("99903")) {
        return (
            StatusCode::TOO_MANY_REQUESTS,
            Json(json!({"code": -22, "msg": "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR"})),
        );
    }
    let data: Vec<Value> = question.businesses.iter().map(answer).collect();
    let valid = data.iter().filter(|d| d["valid"] == "01").count();
    let body = json!({"request_cnt": data.len(), "valid_cnt": valid, "status_code": "OK", "data": data});
    (StatusCode::OK, Json(body))
}

fn answer(b: &Business) -> Value {
    let well_formed = b.b_no.len() == 10 && b.start_dt.len() == 8 && !b.p_nm.is_empty();
    if !well_formed || b.b_no.starts_with("99902") {
        return json!({"b_no": b.b_no, "valid": "02", "valid_msg": "확인할 수 없습니다."});
    }
    let (name, code) = match b.b_no.get(..5) {
        Some("99901") => ("폐업자", "03"),
        Some("99904") => ("휴업자", "02"),
        _ => ("계속사업자", "01"),
    };
    json!({"b_no": b.b_no, "valid": "01", "status": {"b_no": b.b_no, "b_stt": name, "b_stt_cd": code,
        "tax_type": "부가가치세 일반과세자", "tax_type_cd": "01", "end_dt": "", "utcc_yn": "N"}})
}
