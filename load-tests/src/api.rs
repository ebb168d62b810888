//! A merchant at the API: requests are counted, and repeated with the same key where an answer was lost.

use crate::server::Failure;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a request is repeated while the server is away.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was asked of the server.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests sent.
    pub sent: AtomicU64,
    /// Answered with 5xx.
    pub failed: AtomicU64,
    /// Not answered: the connection broke.
    pub lost: AtomicU64,
}

/// An owner.
#[derive(Clone)]
pub struct Owner {
    http: Client,
    base: String,
    token: String,
    /// Shared by all owners of a run.
    pub counts: Arc<Counts>,
}

/// An answer: status and JSON body.
pub type Answer = (StatusCode, Value);

impl Owner {
    /// Signs a new owner up.
    pub async fn signup(base: &str, counts: Arc<Counts>) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(75)).build()?;
        let mut owner = Self { http, base: base.to_owned(), token: String::new(), counts };
        let body = json!({
            "email": format!("{}@load.example", Uuid::now_v7().simple()), "password": "correct horse", "name": "홍길동",
            "phone": "010-1234-5678", "businessNumber": testkit::business_number().expose(), "openedOn": "2020-01-02",
            "store": {"name": "시험가게", "industry": "CAFE", "region": "서울 강남구"},
        });
        let (_, made) = owner.post("/api/users/signup", body).await?;
        owner.token = made["accessToken"].as_str().ok_or_else(|| format!("no login: {made}"))?.to_owned();
        Ok(owner)
    }

    /// Its access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// GET, repeated while the server is away.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.repeat(Method::GET, path, &Value::Null).await
    }

    /// POST with a key of its own, repeated while the answer is missing.
    pub async fn post(&self, path: &str, body: Value) -> Result<Answer, Failure> {
        self.repeat(Method::POST, path, &body).await
    }

    /// PUT, repeated while the answer is missing.
    pub async fn put(&self, path: &str, body: Value) -> Result<Answer, Failure> {
        self.repeat(Method::PUT, path, &body).await
    }

    async fn repeat(&self, method: Method, path: &str, body: &Value) -> Result<Answer, Failure> {
        let (key, begun) = (Uuid::now_v7().to_string(), Instant::now());
        loop {
            self.counts.sent.fetch_add(1, Ordering::Relaxed);
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
            if !self.token.is_empty() {
                request = request.bearer_auth(&self.token);
            }
            if method == Method::GET {
                request = request.header("prefer", "wait=25");
            } else {
                request = request.header("idempotency-key", &key).json(body);
            }
            match request.send().await {
                Ok(response) if !response.status().is_server_error() => {
                    let status = response.status();
                    if let Ok(text) = response.text().await {
                        return Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))));
                    }
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{method} {path}: no answer within {} s", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits for a job's end.
    pub async fn job(&self, id: &Value) -> Result<Value, Failure> {
        let path = format!("/api/jobs/{}", id.as_str().ok_or("no job")?);
        loop {
            let (status, job) = self.get(&path).await?;
            match job["status"].as_str() {
                Some("queued" | "running") => {}
                Some(_) => return Ok(job),
                None => return Err(format!("{path}: {status} {job}").into()),
            }
        }
    }

    /// An event that waits for its approval: proposal, one picture, these channels. With it the jobs that made it.
    pub async fn ready(&self, channels: &[&str]) -> Result<(Value, Vec<Value>), Failure> {
        let mut jobs = Vec::new();
        let (_, event) = self.post("/api/events", json!({"objective": "SALES"})).await?;
        let id = event["id"].as_str().ok_or_else(|| format!("no event: {event}"))?.to_owned();
        let (status, mut asked) = self.post("/api/ai/recommendations", json!({"eventId": id})).await?;
        if status == StatusCode::ACCEPTED {
            let job = self.job(&asked["jobId"]).await?;
            asked = job["result"].clone();
            jobs.push(job);
        }
        let option = &asked["options"][0]["id"];
        self.put(&format!("/api/events/{id}/plan"), json!({"optionId": option})).await?;
        let pictures = json!({"eventId": id, "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]});
        let (_, made) = self.post("/api/content/images", pictures).await?;
        let job = self.job(&made["jobId"]).await?;
        let image = job["result"]["images"][0]["id"].clone();
        jobs.push(job);
        self.put(&format!("/api/events/{id}/content"), json!({"imageIds": [image]})).await?;
        let (_, event) = self.put(&format!("/api/events/{id}/channels"), json!({"channels": channels})).await?;
        if event["status"] == "ready" { Ok((event, jobs)) } else { Err(format!("not ready: {event}").into()) }
    }

    /// Approves; the distribution's id.
    pub async fn approve(&self, event: &str) -> Result<String, Failure> {
        let (status, answer) = self.post(&format!("/api/events/{event}/approve"), json!({})).await?;
        let mut distribution = answer["distributionId"].clone();
        if status == StatusCode::CONFLICT {
            distribution = self.get(&format!("/api/events/{event}")).await?.1["distributionId"].clone();
        }
        Ok(distribution.as_str().ok_or_else(|| format!("not approved: {status} {answer}"))?.to_owned())
    }

    /// The distribution, once no channel is being worked on.
    pub async fn ended(&self, distribution: &str) -> Result<Value, Failure> {
        let begun = Instant::now();
        loop {
            let (_, d) = self.get(&format!("/api/distribution/{distribution}")).await?;
            if d["status"].is_string() && d["status"] != "publishing" {
                return Ok(d);
            }
            if begun.elapsed() > Duration::from_secs(600) {
                return Err(format!("a distribution did not end: {d}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
