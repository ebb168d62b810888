//! A server for the whole run, and the steps most tests begin with.

use futures_util::{SinkExt, StreamExt};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use rand::Rng;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use simulator::Fault;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use testkit::Database;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use transport::{Running, Settings};

/// Our key is not accepted: for an operator to mend.
pub const UNAUTHORISED: Fault = Fault::Status { status: 401, retry_after: None, body: None };

pub struct Server {
    pub running: Running,
    pub base: String,
    pub admin: String,
    pub database: Database,
}

/// Everything the server logs, so that a test can look for what must not be there.
pub static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogWriter;

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
}

pub fn settings(database: &Database) -> Settings {
    let mut settings = Settings::defaults().unwrap();
    settings.listen = "127.0.0.1:0".parse().unwrap();
    settings.admin_listen = "127.0.0.1:0".parse().unwrap();
    settings.database_url = database.url();
    settings.redis_url = std::env::var("REDIS_URL").ok();
    settings.data_dir = database.folder().to_owned();
    settings.simulator_latency = 0.0;
    settings.drain_seconds = 0;
    // One address is everybody's here.
    settings.signup_refusals = 100_000;
    settings.tax_calls_per_hour = 100_000;
    settings
}

/// There is one recorder in a process: every server shows the counters of all.
static METRICS: LazyLock<Option<PrometheusHandle>> = LazyLock::new(transport::telemetry::metrics);

/// A counter as it is now, without asking a server.
pub fn counted(name: &str) -> u64 {
    let all = METRICS.as_ref().unwrap().render();
    let line = all.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |n| n.parse().unwrap())
}

pub async fn start(change: impl FnOnce(&mut Settings)) -> Server {
    let database = Database::fresh().await;
    let mut settings = settings(&database);
    change(&mut settings);
    let running = Running::start(settings, METRICS.clone()).await.unwrap();
    let (base, admin) = (format!("http://{}", running.address), format!("http://{}", running.admin));
    Server { running, base, admin, database }
}

/// The shared server.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let log = tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(|| LogWriter);
        let _ = log.try_init();
        // For as long as the process lives.
        std::mem::forget(transport::telemetry::access_log(LogWriter).unwrap());
        std::thread::spawn(|| runtime().block_on(start(|_| {}))).join().unwrap()
    })
}

/// Runs a test on the shared runtime.
pub fn run(test: impl Future<Output = ()>) {
    server();
    runtime().block_on(test);
}

/// A client, with or without a login.
#[derive(Clone)]
pub struct Api {
    pub http: Client,
    pub base: String,
    pub token: Option<String>,
    pub refresh: String,
    pub user: String,
    pub store: String,
    /// What was asked, as the document names it, and every answer.
    pub seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub operations: BTreeSet<(String, String)>,
    pub answers: Vec<(u16, String)>,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn fails(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert!(self.body["traceId"].is_string() && self.body["title"].is_string() && self.body["status"] == status);
        self.body
    }
}

pub fn anonymous() -> Api {
    at(&server().base)
}

pub fn at(base: &str) -> Api {
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(70)).build().unwrap();
    Api {
        http,
        base: base.to_owned(),
        token: None,
        refresh: String::new(),
        user: String::new(),
        store: String::new(),
        seen: Arc::default(),
    }
}

pub fn business_number() -> String {
    loop {
        let nine = rand::rng().random_range(101_010_001u32..880_000_000);
        let found =
            (0..10).map(|c| format!("{nine}{c}")).find(|n| domain::business_number::BusinessNumber::parse(n).is_ok());
        if let Some(n) = found {
            return n;
        }
    }
}

pub fn email() -> String {
    format!("{}@test.example", uuid::Uuid::now_v7().simple())
}

pub fn signup_body() -> Value {
    json!({
        "email": email(), "password": "correct horse", "name": "홍길동", "phone": "010-1234-5678", "businessNumber": business_number(),
        "openedOn": "2020-01-02", "store": {"name": "시험가게", "industry": "CAFE", "region": "서울 강남구"},
    })
}

/// A signup with one of the simulator's special business numbers.
pub fn special(prefix: &str) -> Value {
    let mut body = signup_body();
    let number = (0..10_000u32)
        .flat_map(|n| (0..10).map(move |c| (n, c)))
        .map(|(n, c)| format!("{prefix}{:04}{c}", (n + rand::random::<u16>() as u32) % 10_000))
        .find(|n| domain::business_number::BusinessNumber::parse(n).is_ok())
        .unwrap();
    body["businessNumber"] = json!(number);
    body
}

/// A new owner with a shop.
pub async fn owner() -> Api {
    owner_at(&server().base).await
}

pub async fn owner_at(base: &str) -> Api {
    signed_up(base, signup_body()).await.0
}

/// A new owner whom the tax service says nothing about.
pub async fn pending_at(base: &str, body: Value) -> Api {
    let (api, made) = signed_up(base, body).await;
    assert_eq!(made["store"]["verification"], "PENDING");
    api
}

async fn signed_up(base: &str, body: Value) -> (Api, Value) {
    let mut api = at(base);
    let made = api.post("/api/users/signup", body).await.is(201);
    api.login_with(&made);
    api.user = made["user"]["id"].as_str().unwrap().to_owned();
    api.store = made["store"]["id"].as_str().unwrap().to_owned();
    (api, made)
}

/// Asks the admin port.
pub async fn admin(own: &Server, method: Method, path: &str, body: Option<Value>) -> Value {
    let admin = at(&own.admin);
    let mut request = admin.request(method, path).bearer_auth(own.running.admin_token());
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = admin.send(request).await;
    assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
    answer.body
}

impl Api {
    pub fn login_with(&mut self, tokens: &Value) {
        self.token = tokens["accessToken"].as_str().map(str::to_owned);
        self.refresh = tokens["refreshToken"].as_str().unwrap().to_owned();
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Every answer of every test is held to the document.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().as_str().to_lowercase(), request.url().path().to_owned());
        let response = client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        {
            let mut seen = self.seen.lock();
            seen.operations.extend(crate::contract::template(&path).map(|template| (method.clone(), template)));
            seen.answers.push((status, text.clone()));
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        crate::contract::check(&method, &path, status, &body);
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Plans an event again under the option it has.
    pub async fn put_plan(&self, event: &str, before: &Value, mut body: Value) -> Value {
        body["optionId"] = before["optionId"].clone();
        self.put(&format!("{event}/plan"), body).await.is(200)
    }

    /// A finished job's result.
    pub async fn job(&self, id: &Value) -> Value {
        let path = format!("/api/jobs/{}", id.as_str().unwrap());
        let job = self.send(self.request(Method::GET, &path).header("prefer", "wait=60")).await.is(200);
        assert_eq!(job["status"], "succeeded", "{job}");
        job
    }

    pub async fn draft(&self) -> String {
        let event = self.post("/api/events", json!({"objective": "SALES"})).await.is(201);
        event["id"].as_str().unwrap().to_owned()
    }

    /// The options of an event.
    pub async fn options(&self, event: &str) -> Vec<Value> {
        let answer = self.post("/api/ai/recommendations", json!({"eventId": event})).await;
        let result =
            if answer.status == 202 { self.job(&answer.body["jobId"]).await["result"].clone() } else { answer.is(200) };
        result["options"].as_array().unwrap().clone()
    }

    /// An event that waits for its approval, with one picture and these plan fields.
    pub async fn ready(&self, plan: Value, channels: Value) -> String {
        let id = self.draft().await;
        let mut body = json!({"optionId": self.options(&id).await[0]["id"]});
        for (key, value) in plan.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.put(&format!("/api/events/{id}/plan"), body).await.is(200);
        let started = self
            .post("/api/content/images", json!({"eventId": id, "styles": ["SIMPLE"], "platforms": ["INSTAGRAM"]}))
            .await;
        let images = self.job(&started.is(202)["jobId"]).await["result"]["images"].clone();
        self.put(&format!("/api/events/{id}/content"), json!({"imageIds": [images[0]["id"]]})).await.is(200);
        let ready = self.put(&format!("/api/events/{id}/channels"), json!({"channels": channels})).await.is(200);
        assert_eq!(ready["status"], "ready");
        id
    }

    /// Approves an event and waits until its publishing has ended; the answer, and the path of the distribution.
    pub async fn publish(&self, id: &str) -> (Value, String) {
        let approved = self.post(&format!("/api/events/{id}/approve?wait=30"), json!({})).await.is(200);
        let path = format!("/api/distribution/{}", approved["distributionId"].as_str().unwrap());
        (approved, path)
    }

    /// A live event whose channel was asked for figures once: nothing moves its dashboard by itself for five minutes.
    pub async fn live(&self, plan: Value) -> (String, String) {
        let id = self.ready(plan, json!(["RINGO_BIZ"])).await;
        let (approved, _) = self.publish(&id).await;
        assert_eq!(approved["event"]["status"], "live");
        let path = format!("/api/events/{id}/analytics");
        within(Duration::from_secs(20), "measured", || async {
            let analytics = self.get(&path).await.is(200);
            analytics["channels"].as_array().unwrap().iter().any(|c| c["asOf"].is_string())
        })
        .await;
        (id, approved["event"]["slug"].as_str().unwrap().to_owned())
    }

    pub async fn enter(&self, slug: &str, phone: &str) -> Answer {
        self.enter_with(slug, json!({"name": "김손님", "phone": phone, "consents": {"privacy": true}})).await
    }

    pub async fn enter_with(&self, slug: &str, body: Value) -> Answer {
        self.post(&format!("/api/participation/events/{slug}/entries"), body).await
    }

    pub async fn status(&self, event: &str) -> Value {
        self.get(&format!("/api/events/{event}")).await.is(200)["status"].clone()
    }

    pub async fn socket(&self) -> Socket {
        let mut socket = self.raw_socket().await;
        let ticket = self.post("/api/realtime/tickets", json!({})).await.is(201);
        socket.send(json!({"type": "hello", "ticket": ticket["ticket"]})).await;
        socket.until("welcome").await;
        socket
    }

    pub async fn raw_socket(&self) -> Socket {
        let (stream, _) =
            tokio_tungstenite::connect_async(format!("{}/ws", self.base.replace("http", "ws"))).await.unwrap();
        Socket(stream)
    }
}

pub fn phone(n: usize) -> String {
    format!("010{n:08}")
}

pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn send(&mut self, value: Value) {
        self.0.send(Message::text(value.to_string())).await.unwrap();
    }

    /// The next message, or the close code.
    pub async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let message =
                tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("the socket is silent");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if message["type"] == kind {
                return message;
            }
        }
    }

    pub async fn subscribe(&mut self, topic: &str) -> Value {
        self.send(json!({"type": "subscribe", "id": 1, "topic": topic})).await;
        loop {
            let message = self.next().await.unwrap();
            if message["type"] == "error" || (message["type"] == "subscribed" && message["topic"] == topic) {
                return message;
            }
        }
    }
}

/// Waits until something holds, asking less and less often (a user has 100 requests a minute), and fails when it does
/// not within a limit.
pub async fn within<F: Future<Output = bool>>(limit: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let deadline = std::time::Instant::now() + limit;
    let mut pause = Duration::from_millis(50);
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    }
}

pub fn ok(status: u16) -> bool {
    StatusCode::from_u16(status).unwrap().is_success()
}
