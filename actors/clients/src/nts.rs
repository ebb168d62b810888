//! 국세청 사업자등록정보 진위확인 (data.go.kr 15081808): `POST /validate`.

use crate::error::UpstreamError;
use crate::http::{Answer, Endpoint, Http, JSON_CAP};
use chrono::NaiveDate;
use domain::business_number::BusinessNumber;
use domain::distribution::ErrorClass;
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

impl Nts {
    /// A client of the service at an endpoint; the key is the decoded one, encoded once here.
    #[must_use]
    pub fn new(http: Http, at: Endpoint) -> Self {
        Self { http, at }
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
        let body = json!({"businesses": [{
            "b_no": number.expose(), "start_dt": opened_on.format("%Y%m%d").to_string(), "p_nm": representative,
        }]});
        let request = self
            .http
            .client()
            .post(format!("{}/validate", self.at.base))
            .query(&[("serviceKey", self.at.key.as_str()), ("returnType", "JSON")])
            .json(&body);
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
