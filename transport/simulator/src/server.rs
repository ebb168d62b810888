//! The server: one path prefix per upstream, latency and faults in front of each.

use crate::posts::Posts;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Upstreams by name, path prefix, and latency in milliseconds at scale 1 (a tenth of the original design's figures).
pub const UPSTREAMS: &[(&str, &str, u64)] = &[
    ("NTS", "nts", 250),
    ("CLAUDE", "claude", 750),
    ("STABILITY", "stability", 400),
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
}

/// What an upstream does instead of answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this status, before anything happens.
    Status(u16),
    /// Never answers, and nothing happens.
    Hang,
    /// Does what was asked, and the answer is lost.
    LoseAnswer,
    /// Answers 200 with a page instead of what was asked for.
    Garbage,
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
    faults: Arc<Mutex<HashMap<String, Fault>>>,
    calls: Arc<Mutex<HashMap<String, u64>>>,
    latency: f64,
}

impl Simulator {
    /// Starts it.
    ///
    /// # Errors
    /// The port is taken, or the folder cannot be read.
    pub async fn start(config: Config) -> std::io::Result<Self> {
        let shared = Shared {
            posts: Posts::open(config.data.as_deref())?,
            faults: Arc::default(),
            calls: Arc::default(),
            latency: config.latency,
        };
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let app = router(shared.clone());
        tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
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

    /// Switches a fault of an upstream on, or off with `None`.
    pub fn set_fault(&self, upstream: &str, fault: Option<Fault>) {
        let mut faults = self.shared.faults.lock().expect("nobody panics holding it");
        match fault {
            Some(fault) => faults.insert(upstream.to_owned(), fault),
            None => faults.remove(upstream),
        };
    }

    /// Requests an upstream has received.
    #[must_use]
    pub fn calls(&self, upstream: &str) -> u64 {
        self.shared.calls.lock().expect("nobody panics holding it").get(upstream).copied().unwrap_or(0)
    }

    /// What was posted.
    #[must_use]
    pub fn posts(&self) -> Posts {
        self.shared.posts.clone()
    }

    /// Stops it.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .nest("/nts", crate::nts::routes())
        .nest("/claude", crate::claude::routes())
        .nest("/stability", crate::stability::routes())
        .nest("/woori-tv", crate::television::woori())
        .nest("/genie-tv", crate::television::genie())
        .nest("/ringo-biz", crate::television::ringo())
        .nest("/instagram", crate::instagram::routes())
        .nest("/naver", crate::naver_kakao::naver())
        .nest("/kakao", crate::naver_kakao::kakao())
        .layer(from_fn_with_state(shared.clone(), behave))
        .with_state(shared)
}

/// Counts the call, takes its time, and fails where a fault is on.
async fn behave(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let prefix = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or("");
    let Some((name, _, latency)) = UPSTREAMS.iter().find(|(_, p, _)| *p == prefix) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    *shared.calls.lock().expect("nobody panics holding it").entry((*name).to_owned()).or_default() += 1;
    let spread = 0.7 + 0.6 * rand::random::<f64>();
    let wait = Duration::from_millis(*latency).mul_f64(shared.latency * spread);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let fault = shared.faults.lock().expect("nobody panics holding it").get(*name).cloned();
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [("retry-after", "1")], "{\"error\":\"simulated\"}").into_response()
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::LoseAnswer) => {
            let _ = next.run(request).await;
            std::future::pending().await
        }
        Some(Fault::Garbage) => {
            ([("content-type", "text/html")], "<html><body>점검 중입니다</body></html>").into_response()
        }
    }
}
