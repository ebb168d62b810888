//! The server: one path prefix per upstream.

use crate::behaviour::behave;
use crate::connection::{Breakable, Listening};
use crate::faults::{Fault, Rule};
use crate::posts::Posts;
use crate::scenario::Scenario;
use axum::Router;
use axum::middleware::from_fn_with_state;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Upstreams by name, path prefix, and latency in milliseconds at scale 1 (a tenth of the original design's figures).
pub const UPSTREAMS: &[(&str, &str, u64)] = &[
    ("NTS", "nts", 250),
    ("CLAUDE", "claude", 750),
    ("OPENAI", "openai", 750),
    ("STABILITY", "stability", 400),
    ("OPENAI_IMAGES", "openai-images", 400),
    ("WOORI_TV", "woori-tv", 150),
    ("RINGO_BIZ", "ringo-biz", 100),
    ("GENIE_TV", "genie-tv", 150),
    ("INSTAGRAM", "instagram", 200),
    ("NAVER", "naver", 200),
    ("KAKAO", "kakao", 200),
];

/// How the simulator runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of what was posted; `None`: kept in memory.
    pub data: Option<PathBuf>,
    /// Scale of the latency; 0 is none.
    pub latency: f64,
    /// The one token that every upstream knows; `None`: any that is not empty.
    pub token: Option<String>,
}

/// A running simulator.
#[derive(Clone)]
pub struct Simulator {
    address: SocketAddr,
    shared: Shared,
    stop: CancellationToken,
}

/// State of all routes.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) posts: Posts,
    pub(crate) latency: f64,
    pub(crate) token: Option<String>,
    faults: Arc<Mutex<Faults>>,
    received: Arc<Mutex<HashMap<String, Received>>>,
}

#[derive(Default)]
struct Faults {
    /// Set by hand; these come first.
    rules: Vec<Rule>,
    playing: Option<(Instant, Scenario)>,
}

/// What an upstream received.
#[derive(Clone, Debug, Default)]
struct Received {
    calls: u64,
    by_key: HashMap<String, u64>,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    pub(crate) fn set_rules(&self, rules: Vec<Rule>) {
        self.faults().rules = rules;
    }

    pub(crate) fn play(&self, scenario: Option<Scenario>) {
        self.faults().playing = scenario.map(|s| (Instant::now(), s));
    }

    /// The fault that a request meets now.
    pub(crate) fn fault(&self, upstream: &str, path: &str) -> Option<Fault> {
        let faults = self.faults();
        let scripted = faults.playing.as_ref().map(|(since, s)| s.rules_at(since.elapsed())).unwrap_or_default();
        let mut rules = faults.rules.iter().chain(&scripted);
        rules.find(|r| r.meets(upstream, path, rand::random())).map(|r| r.fault.clone())
    }

    pub(crate) fn count(&self, upstream: &str, key: Option<String>) {
        let mut all = self.received.lock();
        let received = all.entry(upstream.to_owned()).or_default();
        received.calls += 1;
        if let Some(key) = key {
            *received.by_key.entry(key).or_default() += 1;
        }
    }
}

impl Simulator {
    /// Starts it.
    ///
    /// # Errors
    /// The port is taken, or the folder cannot be read.
    pub async fn start(config: Config) -> std::io::Result<Self> {
        let shared = Shared {
            posts: Posts::open(config.data.as_deref())?,
            latency: config.latency,
            token: config.token,
            faults: Arc::default(),
            received: Arc::default(),
        };
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let app = router(shared.clone()).into_make_service_with_connect_info::<Breakable>();
        tokio::spawn(async move {
            if let Err(e) = axum::serve(Listening(listener), app).with_graceful_shutdown(stopped).await {
                tracing::error!(error = %e, "simulator");
            }
        });
        Ok(Self { address, shared, stop })
    }

    /// Base address of an upstream (`NTS`, `CLAUDE`, …).
    #[must_use]
    pub fn base(&self, upstream: &str) -> String {
        let prefix = UPSTREAMS.iter().find(|(name, ..)| *name == upstream).map_or("", |(_, prefix, _)| prefix);
        format!("http://{}/{prefix}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the one fault of an upstream, whatever the route; `None` heals it.
    pub fn set_fault(&self, upstream: &str, fault: Option<Fault>) {
        let mut faults = self.shared.faults();
        faults.rules.retain(|r| r.upstream != upstream);
        faults.rules.extend(fault.map(|fault| Rule::of(upstream, fault)));
    }

    /// Adds a rule.
    pub fn add_rule(&self, rule: Rule) {
        self.shared.faults().rules.push(rule);
    }

    /// Removes every rule and ends the scenario.
    pub fn heal(&self) {
        self.shared.set_rules(Vec::new());
        self.shared.play(None);
    }

    /// Starts a scenario, in place of the one that plays.
    pub fn play(&self, scenario: Scenario) {
        self.shared.play(Some(scenario));
    }

    /// Requests an upstream has received.
    #[must_use]
    pub fn calls(&self, upstream: &str) -> u64 {
        let all = self.shared.received.lock();
        all.get(upstream).map_or(0, |r| r.calls)
    }

    /// How often an upstream received each idempotency key.
    #[must_use]
    pub fn keys(&self, upstream: &str) -> HashMap<String, u64> {
        let all = self.shared.received.lock();
        all.get(upstream).map(|r| r.by_key.clone()).unwrap_or_default()
    }

    /// What was posted.
    #[must_use]
    pub fn posts(&self) -> Posts {
        self.shared.posts.clone()
    }

    /// What it received, keeps, and does wrong, per upstream.
    #[must_use]
    pub fn state(&self) -> Value {
        Self::state_of(&self.shared)
    }

    pub(crate) fn state_of(shared: &Shared) -> Value {
        let received = shared.received.lock().clone();
        let each = |name: &str| {
            let r = received.get(name).cloned().unwrap_or_default();
            let most = r.by_key.values().max().copied().unwrap_or(0);
            json!({"upstream": name, "calls": r.calls, "keys": r.by_key.len(), "mostCallsOfAKey": most,
                   "posts": shared.posts.count(name)})
        };
        let faults = shared.faults();
        let playing = faults.playing.as_ref().map(|(since, s)| {
            json!({"seconds": since.elapsed().as_secs_f64(), "steps": s.steps.len(), "now": s.rules_at(since.elapsed())})
        });
        let items: Vec<Value> = UPSTREAMS.iter().map(|(name, ..)| each(name)).collect();
        json!({"items": items, "rules": faults.rules, "scenario": playing})
    }

    /// Stops it.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

fn router(shared: Shared) -> Router {
    let upstreams = Router::new()
        .nest("/nts", crate::nts::routes())
        .nest("/claude", crate::claude::routes())
        .nest("/openai", crate::openai::chat())
        .nest("/openai-images", crate::openai::images())
        .nest("/stability", crate::stability::routes())
        .nest("/woori-tv", crate::television::woori())
        .nest("/genie-tv", crate::television::genie())
        .nest("/ringo-biz", crate::television::ringo())
        .nest("/instagram", crate::instagram::routes())
        .nest("/naver", crate::naver_kakao::naver())
        .nest("/kakao", crate::naver_kakao::kakao())
        .layer(from_fn_with_state(shared.clone(), behave));
    Router::new().merge(upstreams).nest("/_control", crate::control::routes()).with_state(shared)
}
