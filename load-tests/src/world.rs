//! A server of its own with an owner and live events, ready to be loaded.

use crate::api::Owner;
use crate::load::{Http, Target};
use crate::process::System;
use crate::server::{Failure, Program, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the server may stay busy with what was made.
const SETTLE: Duration = Duration::from_secs(120);

/// A server under load.
pub struct World {
    /// The server.
    pub server: Server,
    /// All processes that work for it.
    pub system: System,
    /// The owner of the events.
    pub owner: Owner,
    /// What is driven.
    pub http: Arc<Http>,
    /// Its data.
    pub folder: tempfile::TempDir,
}

impl World {
    /// Starts `load-tests serve` with these options, and makes live events.
    pub async fn start(events: usize, options: &[&str]) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let many = "1000000000".to_owned();
        let limits = ["SOCKETS", "SOCKETS_PER_USER", "REQUESTS_PER_MINUTE"];
        let mut env: Vec<_> = limits.iter().map(|s| (format!("MADANG_LIMIT_{s}"), many.clone())).collect();
        env.push(("MADANG_SIMULATOR_LATENCY".into(), "0".into()));
        let program = Program::Ours(options.iter().map(|o| (*o).to_owned()).collect());
        let server = Server::start_as(program, folder.path(), &env).await?;
        let system = System::of(server.id().ok_or("no server")?).await;
        let owner = Owner::signup(&server.base, Arc::default()).await?;
        let events = make(&server, &owner, events).await?;
        let address = server.base.trim_start_matches("http://").to_owned();
        let http = Arc::new(Http { address, events, token: owner.token().to_owned(), owner: Some(owner.clone()) });
        let world = Self { server, system, owner, http, folder };
        world.settle().await?;
        Ok(world)
    }

    /// What is driven.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::Http(self.http.clone())
    }

    /// Waits until the server has nothing to do.
    pub async fn settle(&self) -> Result<(), Failure> {
        let begun = std::time::Instant::now();
        let mut before = self.system.cpu()?;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.system.cpu()?;
            if now - before <= Duration::from_millis(40) || begun.elapsed() > SETTLE {
                return Ok(());
            }
            before = now;
        }
    }

    /// Entries that the server says it has.
    pub async fn stored(&self) -> Result<u64, Failure> {
        let mut stored = 0;
        for (id, _) in &self.http.events {
            let (_, analytics) = self.owner.get(&format!("/api/events/{id}/analytics")).await?;
            stored += analytics["cards"]["participants"].as_u64().ok_or("no analytics")?;
        }
        Ok(stored)
    }

    /// Ends the server.
    pub async fn stop(self) -> bool {
        self.server.stop().await
    }
}

/// Events that one request makes: it must end within ten seconds.
const AT_ONCE: usize = 5;

async fn make(server: &Server, owner: &Owner, count: usize) -> Result<Vec<(String, String)>, Failure> {
    let (_, me) = owner.get("/api/users/me").await?;
    let (_, stores) = owner.get("/api/stores").await?;
    let store =
        stores["items"][0]["id"].as_str().or(stores[0]["id"].as_str()).ok_or_else(|| format!("no store: {stores}"))?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut all, url) = (Vec::with_capacity(count), format!("{}/test/events", server.base));
    while all.len() < count {
        let wanted = json!({"owner": me["id"], "store": store, "count": AT_ONCE.min(count - all.len())});
        let made: Value = client.post(&url).json(&wanted).send().await?.json().await?;
        let pairs = made.as_array().into_iter().flatten();
        let events: Option<Vec<_>> =
            pairs.map(|e| Some((e[0].as_str()?.to_owned(), e[1].as_str()?.to_owned()))).collect();
        match events {
            Some(events) if !events.is_empty() => all.extend(events),
            _ => return Err(format!("not all events were made: {made}").into()),
        }
    }
    Ok(all)
}
