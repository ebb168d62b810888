//! Cache-aside: in process (moka), or Redis by `REDIS_URL`. One behaviour, one test suite.
//!
//! A cache that fails is a cache that misses: losing Redis costs freshness and time, never truth. Keys never hold a
//! token, phone or business number, only keyed hashes of them.

mod doubts;

use self::doubts::Doubts;
use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface, KeysInterface};
use fred::types::config::{Config, ReconnectPolicy, Server};
use fred::types::{Builder, Expiration, InfoKind};
use moka::Expiry;
use moka::future::Cache as Moka;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Lifetimes of the original design, of the keys that are used.
pub mod ttl {
    use std::time::Duration;
    /// CK-02 `business:{hmac of the verified tuple}`.
    pub const BUSINESS: Duration = Duration::from_secs(7 * 86_400);
    /// CK-03 `ai:recommendation:{industry}:{region}:{objective}:{season}:{prompt}`.
    pub const RECOMMENDATION: Duration = Duration::from_secs(86_400);
    /// CK-06 and CK-07 `job:{job}`.
    pub const JOB: Duration = Duration::from_secs(3_600);
    /// CK-05 `analytics:dashboard:{event}`.
    pub const DASHBOARD: Duration = Duration::from_secs(300);
    /// The longest of them: past it nothing is left in Redis of what was written before.
    pub(super) const LONGEST: Duration = BUSINESS;
}

/// The most entries the in-process cache holds: 50 MB at the design's sizes.
const MAX_ENTRIES: u64 = 10_000;
/// How often Redis is asked to take a write, and to delete what is in doubt.
const ROUND: Duration = Duration::from_secs(2);
/// Keys deleted in a round.
const MAX_DELETED: usize = 1_000;

/// A cache.
#[derive(Clone)]
pub enum Cache {
    /// In this process.
    Memory(Moka<String, Item>),
    /// Redis, with a prefix so that tests share a server.
    Redis {
        /// The client.
        client: Client,
        /// Put before every key.
        prefix: String,
        /// Keys whose newest value may not have arrived.
        doubts: Arc<Doubts>,
    },
}

/// A value and how long it lives.
#[derive(Clone)]
pub struct Item {
    bytes: Bytes,
    ttl: Duration,
}

struct PerItem;

impl Expiry<String, Item> for PerItem {
    fn expire_after_create(&self, _: &String, item: &Item, _: Instant) -> Option<Duration> {
        Some(item.ttl)
    }
    fn expire_after_update(&self, _: &String, item: &Item, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(item.ttl)
    }
}

impl Cache {
    /// A cache in this process.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Moka::builder().max_capacity(MAX_ENTRIES).expire_after(PerItem).build())
    }

    /// Reads the address of a Redis without connecting to it.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn check_url(url: &str) -> Result<(), String> {
        Config::from_url(url).map(drop).map_err(|e| e.details().to_owned())
    }

    /// Redis. Does not wait for it: while it is away, everything misses, and the log says why.
    ///
    /// # Errors
    /// The URL is not one.
    pub fn redis(url: &str, prefix: &str) -> Result<Self, String> {
        let mut config = Config::from_url(url).map_err(|e| format!("REDIS_URL: {}", e.details()))?;
        config.fail_fast = false;
        let client = Builder::from_config(config)
            .with_performance_config(|p| p.default_command_timeout = Duration::from_millis(500))
            .with_connection_config(|c| {
                c.connection_timeout = Duration::from_secs(3);
                c.internal_command_timeout = Duration::from_secs(3);
                c.max_command_buffer_len = 10_000;
                c.max_command_attempts = 1;
                c.unresponsive.max_timeout = Some(Duration::from_secs(10));
                c.unresponsive.interval = Duration::from_secs(2);
            })
            .set_policy(ReconnectPolicy::new_exponential(0, 100, 5_000, 2))
            .build()
            .map_err(|e| format!("REDIS_URL: {}", e.details()))?;
        let (errors, doubts) = (client.error_rx(), Arc::<Doubts>::default());
        client.connect();
        tokio::spawn(keep(client.clone(), prefix.to_owned(), Arc::downgrade(&doubts), errors));
        Ok(Self::Redis { client, prefix: prefix.to_owned(), doubts })
    }

    /// Does it take writes? Redis does not as a replica, or with a full memory.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis { doubts, .. } => !doubts.is_refusing(),
        }
    }

    /// Were more keys in doubt than are remembered? Then everything misses, until the oldest value has expired.
    #[must_use]
    pub fn distrusts_everything(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Redis { doubts, .. } => doubts.has_overflowed(),
        }
    }

    /// Keys that miss because what Redis holds of them may be old.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        match self {
            Self::Memory(_) => 0,
            Self::Redis { doubts, .. } => doubts.len(),
        }
    }

    /// Is it there? The in-process one always is.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis { client, .. } => client.is_connected(),
        }
    }

    /// Share of Redis' memory that is in use, 0 to 1; `None` in process, without a limit, or while Redis is away.
    pub async fn memory_ratio(&self) -> Option<f64> {
        let Self::Redis { client, .. } = self else { return None };
        if !client.is_connected() {
            return None;
        }
        let info: String = client.info(Some(InfoKind::Memory)).await.ok()?;
        let number =
            |name: &str| info.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')?.trim().parse::<f64>().ok());
        let most = number("maxmemory").filter(|m| *m > 0.0)?;
        Some(number("used_memory")? / most)
    }

    /// The value of a key.
    pub async fn get(&self, key: &str) -> Option<Bytes> {
        match self {
            Self::Memory(cache) => cache.get(key).await.map(|i| i.bytes),
            Self::Redis { client, prefix, doubts }
                if client.is_connected() && doubts.trusts(Instant::now()) && !doubts.about(key) =>
            {
                client.get::<Option<Bytes>, _>(format!("{prefix}{key}")).await.unwrap_or_else(|e| missed("get", &e))
            }
            Self::Redis { .. } => None,
        }
    }

    /// Keeps a value for a while.
    pub async fn set(&self, key: &str, bytes: Bytes, ttl: Duration) {
        match self {
            Self::Memory(cache) => cache.insert(key.to_owned(), Item { bytes, ttl }).await,
            Self::Redis { client, prefix, doubts } => {
                let write = doubts.write(key);
                if !client.is_connected() {
                    return;
                }
                let (key, ms) = (format!("{prefix}{key}"), i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
                match client.set::<(), _, _>(key, bytes, Some(Expiration::PX(ms)), None, false).await {
                    Ok(()) => write.arrived(),
                    Err(e) => refused(doubts, &e),
                }
            }
        }
    }

    /// Forgets a key.
    pub async fn del(&self, key: &str) {
        match self {
            Self::Memory(cache) => cache.invalidate(key).await,
            Self::Redis { client, prefix, doubts } => {
                let write = doubts.write(key);
                if !client.is_connected() {
                    return;
                }
                match client.del::<(), _>(format!("{prefix}{key}")).await {
                    Ok(()) => write.arrived(),
                    Err(e) => refused(doubts, &e),
                }
            }
        }
    }
}

fn missed<T: Default>(what: &str, e: &Error) -> T {
    tracing::debug!(error = %e, "cache {what} failed");
    T::default()
}

fn refused(doubts: &Doubts, e: &Error) {
    if doubts.refused(Instant::now()) {
        tracing::warn!(error = %e, "Redis takes no writes: nothing of it is believed meanwhile");
    }
}

/// Says once why Redis is away, tries whether it takes writes, and deletes what is in doubt there, for other processes too.
async fn keep(client: Client, prefix: String, doubts: Weak<Doubts>, mut errors: Receiver<(Error, Option<Server>)>) {
    let mut every = tokio::time::interval(ROUND);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        tokio::select! {
            error = errors.recv() => match error {
                Ok((e, _)) if !client.is_connected() => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(error = %e, "REDIS_URL: no connection; everything misses until there is one");
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = every.tick() => {
                let Some(doubts) = doubts.upgrade() else { return };
                if client.is_connected() {
                    if std::mem::take(&mut away) {
                        tracing::info!("REDIS_URL: connected");
                    }
                    clear(&client, &prefix, &doubts).await;
                }
            }
        }
    }
}

/// One round: a write, and the deletion of what is in doubt.
async fn clear(client: &Client, prefix: &str, doubts: &Doubts) {
    let expires = Some(Expiration::PX(60_000));
    if let Err(e) = client.set::<(), _, _>(format!("{prefix}probe"), "1", expires, None, false).await {
        refused(doubts, &e);
    } else if doubts.taken() {
        tracing::info!("Redis takes writes again");
    }
    // A full memory refuses writes and still deletes.
    for (key, write) in doubts.failed(MAX_DELETED) {
        match client.del::<(), _>(format!("{prefix}{key}")).await {
            Ok(()) => doubts.settle(&key, write),
            Err(e) => return refused(doubts, &e),
        }
    }
    if doubts.recover(Instant::now()) {
        tracing::info!("what Redis holds is believed again");
    }
}
