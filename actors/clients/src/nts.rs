//! 국세청 사업자등록정보 진위확인 (data.go.kr 15081808): `POST /validate`.

use crate::error::UpstreamError;
use crate::http::{Answer, Endpoint, Http, JSON_CAP};
use crate::percent;
use chrono::NaiveDate;
use domain::business_number::BusinessNumber;
use domain::distribution::ErrorClass;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The provider's own address.
pub const BASE: &str = "https://api.odcloud.kr/api/nts-businessman/v1";
/// One attempt (RS-04).
pub const LIMIT: Duration = Duration::from_secs(5);

/// What the tax service says of a number, an opening day and a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NtsVerdict {
    /// They belong together and the business is open.
    Open,
    /// They belong together; suspended or closed.
    Closed,
    /// They do not belong together, or the number is not registered.
    Mismatch,
}

#[derive(Deserialize)]
struct Validated {
    status_code: String,
    #[serde(default)]
    data: Vec<Datum>,
}

#[derive(Deserialize)]
struct Datum {
    valid: String,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    b_stt_cd: String,
}

/// The client.
#[derive(Clone, Debug)]
pub struct Nts {
    http: Http,
    at: Endpoint,
}

/// Reads the key as data.go.kr shows it, encoded or decoded: a decoded one is base64 and holds no `%`.
///
/// # Errors
/// It is encoded more than once, or damaged.
pub fn decoded_key(shown: &str) -> Result<String, String> {
    let key = percent::decoded(shown);
    if key.contains('%') {
        return Err(
            "is percent-encoded more than once, or damaged: use the decoded key (Decoding) of data.go.kr".into()
        );
    }
    Ok(key)
}

impl Nts {
    /// A client of the service at an endpoint; its key may be the encoded or the decoded one.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        let key = percent::decoded(&at.key);
        Self { http, at: Endpoint { key, ..at } }
    }

    /// The question, with the key encoded once.
    fn question(&self, number: &BusinessNumber, opened_on: NaiveDate, representative: &str) -> RequestBuilder {
        let body = json!({"businesses": [{
            "b_no": number.expose(), "start_dt": opened_on.format("%Y%m%d").to_string(), "p_nm": representative,
        }]});
        self.http
            .client()
            .post(format!("{}/validate", self.at.base))
            .query(&[("serviceKey", self.at.key.as_str()), ("returnType", "JSON")])
            .json(&body)
    }

    /// Asks whether number, opening day and representative belong together, and whether the business is open.
    ///
    /// # Errors
    /// By class; a maintenance window is transient, a key that is not accepted is `auth`.
    pub async fn validate(
        &self,
        number: &BusinessNumber,
        opened_on: NaiveDate,
        representative: &str,
    ) -> Result<NtsVerdict, UpstreamError> {
        let request = self.question(number, opened_on, representative);
        decode(&self.http.send(request, LIMIT, JSON_CAP).await?)
    }
}

/// Reads an answer of `/validate`.
///
/// # Errors
/// By class.
pub fn decode(answer: &Answer) -> Result<NtsVerdict, UpstreamError> {
    // 411 and 413 are this service's own words for a malformed or too large request.
    let answer = answer.clone().ok()?;
    let body: Validated = answer.json()?;
    if body.status_code != "OK" {
        let class = if body.status_code.contains("KEY") { ErrorClass::Auth } else { ErrorClass::Transient };
        return Err(UpstreamError::new(class, body.status_code.chars().take(60).collect::<String>()));
    }
    let [datum] = body.data.as_slice() else {
        return Err(UpstreamError::garbage(format!("{} results for one question", body.data.len())));
    };
    match (datum.valid.as_str(), datum.status.as_ref().map(|s| s.b_stt_cd.as_str())) {
        ("01", Some("01")) => Ok(NtsVerdict::Open),
        ("01", Some("02" | "03")) => Ok(NtsVerdict::Closed),
        ("02", _) => Ok(NtsVerdict::Mismatch),
        _ => Err(UpstreamError::garbage("unknown verdict")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 20: data.go.kr shows each key twice, and either may be configured.
    #[test]
    fn the_key_is_encoded_once_on_the_wire() {
        let number = BusinessNumber::parse("124-81-00998").unwrap();
        let opened_on = NaiveDate::from_ymd_opt(2015, 4, 1).unwrap();
        for shown in ["abc%2Bdef%3D%3D", "abc%2bdef%3d%3d", "abc+def=="] {
            assert_eq!(decoded_key(shown).unwrap(), "abc+def==");
            let at = Endpoint { base: "http://127.0.0.1:1".into(), key: shown.into() };
            let request = Nts::new(Http::new(), at).question(&number, opened_on, "홍길동").build().unwrap();
            assert_eq!(request.url().query(), Some("serviceKey=abc%2Bdef%3D%3D&returnType=JSON"), "{shown}");
        }
        for damaged in ["abc%252Bdef%253D", "abc%2", "100%"] {
            assert!(decoded_key(damaged).is_err(), "{damaged}");
        }
    }
}
