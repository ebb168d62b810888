//! Putting a server together, and taking it apart in order.

pub(crate) mod keys;

use self::keys::FoundKeys;
use crate::auth::{Passwords, Tokens};
use crate::config::{Settings, UpstreamSettings};
use crate::origins::Origins;
use crate::ratelimit::RateLimit;
use crate::revocations::Revocations;
use crate::server::listen;
use crate::state::{App, Slugs, State};
use crate::tally::Tally;
use crate::throttle::LoginLimits;
use crate::verify::TaxBudget;
use actors::{Config, Deps, System, Upstreams};
use axum::Router;
use clients::alarm::{Mail, Sink, Webhook};
use clients::channel::{client, default_base};
use clients::nts::Nts;
use clients::{Endpoint, Http};
use creative::Fonts;
use domain::channel::{Channel, Mode, Upstream};
use metrics_exporter_prometheus::PrometheusHandle;
use simulator::Simulator;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use storage::Store;
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::objects::Objects;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time in which everything stops (the contract's 30 s, less what the process needs to end).
const STOP: Duration = Duration::from_secs(20);

/// A running server.
pub struct Running {
    app: App,
    system: System,
    /// Where the public port listens.
    pub address: SocketAddr,
    /// Where the admin port listens.
    pub admin: SocketAddr,
    stop: CancellationToken,
    servers: Vec<JoinHandle<()>>,
}

type BootError = Box<dyn std::error::Error + Send + Sync>;

/// The address and key an upstream is reached with, and its mode.
fn endpoint(upstream: Upstream, s: &UpstreamSettings, simulator: Option<&Simulator>) -> (Endpoint, Mode) {
    let mode = s.mode.unwrap_or(if s.key.is_some() { Mode::Live } else { Mode::Sandbox });
    let provider = provider(upstream);
    let simulated = simulator.map(|s| s.base(upstream.code()));
    let base = match mode {
        Mode::Sandbox => s.url.clone().or(simulated),
        _ => s.url.clone().or(provider.map(str::to_owned)),
    };
    // The café's key carries its address; a simulated one is any.
    let key = s.key.clone().unwrap_or_else(|| "sandbox@1/1".into());
    (Endpoint { base: base.unwrap_or_default(), key }, mode)
}

/// The provider's own address, where it has a public one.
pub(crate) fn provider(upstream: Upstream) -> Option<&'static str> {
    match upstream {
        Upstream::Nts => Some(clients::nts::BASE),
        Upstream::Claude => Some(clients::llm::claude::BASE),
        Upstream::OpenAi => Some(clients::llm::openai::BASE),
        Upstream::Stability => Some(clients::image::stability::BASE),
        Upstream::OpenAiImages => Some(clients::image::openai::BASE),
        other => other.channel().and_then(default_base),
    }
}

/// The client of everybody else's APIs.
fn http(settings: &Settings) -> Result<Http, BootError> {
    match settings.proxy() {
        Some(proxy) => {
            Http::through(proxy, &settings.no_proxy.join(",")).map_err(|e| format!("HTTPS_PROXY: {e}").into())
        }
        None => Ok(Http::new()),
    }
}

fn upstreams(settings: &Settings, simulator: Option<&Simulator>) -> Result<Upstreams, BootError> {
    let http = http(settings)?;
    let default = UpstreamSettings::default();
    let mut modes = HashMap::new();
    let mut at = HashMap::new();
    for upstream in Upstream::ALL {
        let (endpoint, mode) = endpoint(*upstream, settings.upstreams.get(upstream).unwrap_or(&default), simulator);
        if mode == Mode::Live && endpoint.base.is_empty() {
            return Err(format!("MADANG_{0}_URL: {0} has no public address; it must be set", upstream.code()).into());
        }
        modes.insert(*upstream, mode);
        at.insert(*upstream, endpoint);
    }
    let end = |u: Upstream| at[&u].clone();
    Ok(Upstreams {
        modes,
        nts: Nts::new(http.clone(), end(Upstream::Nts)),
        models: clients::models(&http, end),
        painters: clients::painters(&http, end),
        channels: Channel::ALL.iter().map(|c| (*c, client(*c, http.clone(), end((*c).into())))).collect(),
    })
}

/// Does any upstream need the simulator?
fn needs_simulator(settings: &Settings) -> bool {
    Upstream::ALL.iter().any(|u| {
        let s = settings.upstreams.get(u).cloned().unwrap_or_default();
        let mode = s.mode.unwrap_or(if s.key.is_some() { Mode::Live } else { Mode::Sandbox });
        mode == Mode::Sandbox && s.url.is_none()
    })
}

/// Where alarms go besides the log.
fn sinks(settings: &Settings) -> Result<Vec<Arc<dyn Sink>>, BootError> {
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    if let Some(url) = &settings.alarm_webhook {
        sinks.push(Arc::new(Webhook::new(http(settings)?, url.clone())));
    }
    if let Some((server, from, to)) = &settings.alarm_mail {
        sinks.push(Arc::new(Mail::new(server, from, to)?));
    }
    Ok(sinks)
}

/// The database of the settings, current.
pub(crate) async fn store(settings: &Settings) -> Result<Store, BootError> {
    if let Some(url) = &settings.database_url {
        return Ok(Store::connect(url).await?);
    }
    #[cfg(feature = "embedded")]
    return Ok(Store::embedded(&settings.data_dir.join("db")).await?);
    #[cfg(not(feature = "embedded"))]
    Err("DATABASE_URL is unset and this binary was built without the embedded database".into())
}

/// The database of the settings as it is. Nothing is changed there.
pub(crate) async fn store_as_it_is(settings: &Settings) -> Result<Store, BootError> {
    if let Some(url) = &settings.database_url {
        return Ok(Store::connect_as_it_is(url).await?);
    }
    #[cfg(feature = "embedded")]
    return Ok(Store::embedded_as_it_is(&settings.data_dir.join("db")).await?);
    #[cfg(not(feature = "embedded"))]
    Err("DATABASE_URL is unset and this binary was built without the embedded database".into())
}

/// Closes the data folder to all other users of this machine.
pub(crate) fn secure_data_folder(settings: &Settings) -> Result<(), BootError> {
    let folder = &settings.data_dir;
    if storage::private::secure_folder(folder).map_err(|e| format!("MADANG_DATA_DIR: {e}"))? {
        tracing::warn!("data folder {}: other users could enter it; its mode is 0700 now", folder.display());
    }
    Ok(())
}

/// A database that is open, and what must be known of it before it is used.
struct Opened {
    store: Store,
    keys: Keyring,
    epoch: String,
    revocations: Revocations,
}

/// Opens the database of the settings with keys that are its own.
async fn open(settings: &Settings, keys: FoundKeys) -> Result<Opened, BootError> {
    let store = store(settings).await?;
    match admit(&store, keys).await {
        Ok((keys, epoch, revocations)) => Ok(Opened { store, keys, epoch, revocations }),
        Err(e) => {
            // What was refused is free for whoever looks at it next.
            store.close().await;
            Err(e)
        }
    }
}

/// Lets a database pass that has not been restored since it was served, and whose keys are these. Logins that ended before
/// this start are known before anybody asks.
async fn admit(store: &Store, keys: FoundKeys) -> Result<(Keyring, String, Revocations), BootError> {
    if !store.run(async move |c| storage::restore::is_at_home(c).await).await? {
        return Err("this database was restored from a backup, copied or moved: `madang restored` looks at it and begins its new \
                    life (`--moved`: it goes on as it was)".into());
    }
    // What it says of the time is known before anything is decided by it.
    store.health(Duration::from_secs(3)).await;
    let keys = keys.of(store).await?;
    let revocations = Revocations::new();
    revocations.poll(store).await?;
    Ok((keys, store.epoch().await?, revocations))
}

/// What the actors must know of the settings.
fn config(settings: &Settings, public_url: &str) -> Config {
    Config {
        public_url: public_url.to_owned(),
        entries_in_flight: settings.entries_in_flight,
        recommendations_per_day: settings.recommendations_per_day,
        image_jobs_per_day: settings.image_jobs_per_day,
        tax_calls_per_day: settings.tax_calls_per_day,
        journal_rows_per_second: settings.journal_rows_per_second,
    }
}

/// What the actors are given.
async fn deps(
    settings: &Settings,
    simulator: Option<&Simulator>,
    store: Store,
    keys: Keyring,
    epoch: &str,
) -> Result<Deps, BootError> {
    let fonts_dir = settings.fonts_dir.clone();
    let fonts = tokio::task::spawn_blocking(move || Fonts::load(fonts_dir.as_deref()));
    Ok(Deps {
        store,
        cache: match &settings.redis_url {
            // What was cached before a restore is of another epoch.
            Some(url) => Cache::redis(url, &format!("madang:{epoch}:"))?,
            None => Cache::memory(),
        },
        objects: Objects::folder(&settings.data_dir.join("objects"))?,
        upstreams: upstreams(settings, simulator)?,
        fonts: fonts.await?,
        sinks: sinks(settings)?,
        keys,
    })
}

impl Running {
    /// Starts everything; returns when it can serve.
    ///
    /// # Errors
    /// The reason why it cannot start, in one line.
    pub async fn start(settings: Settings, metrics: Option<PrometheusHandle>) -> Result<Self, BootError> {
        Self::start_with(settings, metrics, |_| Router::new()).await
    }

    /// The same with more routes behind the same gateway, as load tests compare with.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub async fn start_with(
        mut settings: Settings,
        metrics: Option<PrometheusHandle>,
        more: impl FnOnce(&actors::Handles) -> Router,
    ) -> Result<Self, BootError> {
        let connections = crate::descriptors::fit(&mut settings);
        let keys = keys::find(&settings)?;
        let tls = match &settings.tls {
            Some((cert, key)) => Some(crate::server::tls(cert, key)?),
            None => None,
        };
        let listener = listen(settings.listen).map_err(|e| format!("MADANG_LISTEN {}: {e}", settings.listen))?;
        let admin_listener =
            listen(settings.admin_listen).map_err(|e| format!("MADANG_ADMIN_LISTEN {}: {e}", settings.admin_listen))?;
        let (address, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
        let simulator = match needs_simulator(&settings) {
            true => Some(start_simulator(&settings).await?),
            false => None,
        };
        let public_url = settings.public_url(address);
        let Opened { store, keys, epoch, revocations } = open(&settings, keys).await?;
        let deps = deps(&settings, simulator.as_ref(), store, keys.clone(), &epoch).await?;
        let system = System::start(deps, config(&settings, &public_url)).await?;
        let app: App = Arc::new(State {
            handles: system.handles().clone(),
            origins: Origins::new(&public_url, &settings, address),
            public_url,
            tokens: Tokens::new(keys, &epoch),
            passwords: Passwords::new(settings.bcrypt_cost),
            rate: RateLimit::new(settings.requests_per_minute),
            logins: Arc::new(LoginLimits::new(settings.login_failures, settings.account_failures)),
            signups: Tally::new(settings.signup_refusals, crate::throttle::WINDOW),
            tax_budget: TaxBudget::new(settings.tax_calls_per_hour),
            strangers: crate::gateway::InFlight::default(),
            revocations,
            slugs: Slugs::default(),
            documents: crate::http::documents::Documents::default(),
            published: crate::http::published::PublishedDraws::default(),
            clicks: crate::clicks::RecentClicks::default(),
            sockets: crate::ws::Sockets::default(),
            metrics,
            meters: crate::gateway::Meters::default(),
            simulator,
            draining: CancellationToken::new(),
            ready: AtomicBool::new(true),
            tracker: TaskTracker::new(),
            settings,
        });
        let stop = CancellationToken::new();
        let service = crate::server::Service {
            early: crate::gateway::early(app.clone()),
            routes: crate::http::router(app.clone(), more(&app.handles)),
        };
        // What goes beyond this machine is encrypted, tokens of operators too.
        let admin_tls = tls.clone().filter(|_| !admin.ip().is_loopback());
        let admin_port = crate::server::serve(
            admin_listener,
            crate::admin::router(app.clone()),
            admin_tls,
            crate::server::ADMIN_CONNECTIONS,
            stop.clone(),
        );
        let public_port = crate::server::serve(listener, service, tls, connections, stop.clone());
        let servers = vec![tokio::spawn(public_port), tokio::spawn(admin_port)];
        app.tracker.spawn(crate::http::ops::watch_database(app.clone()));
        app.tracker.spawn(crate::ws::keep(app.clone()));
        Ok(Self { app, system, address, admin, stop, servers })
    }

    /// The address customers see.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.app.public_url
    }

    /// How each upstream is connected.
    #[must_use]
    pub fn modes(&self) -> Vec<(Upstream, Mode)> {
        Upstream::ALL.iter().map(|u| (*u, self.app.handles.tools().upstreams.mode(*u))).collect()
    }

    /// Where the admin port is asked.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.app.settings.admin_url(self.admin)
    }

    /// What pictures are drawn with.
    #[must_use]
    pub fn fonts(&self) -> &Fonts {
        &self.app.handles.tools().fonts
    }

    /// The simulator, if one was started.
    #[must_use]
    pub fn simulator(&self) -> Option<&Simulator> {
        self.app.simulator.as_ref()
    }

    /// Handles on the actors.
    #[must_use]
    pub fn handles(&self) -> &actors::Handles {
        self.system.handles()
    }

    /// Cancelled when the actor system failed: drain and end the process.
    #[must_use]
    pub fn failed(&self) -> CancellationToken {
        self.system.failed()
    }

    /// The admin token.
    #[must_use]
    pub fn admin_token(&self) -> String {
        self.app.handles.tools().keys.admin_token().to_owned()
    }

    /// Drains: not ready, sockets told to go, no more connections once who sends them could have seen it, requests finished,
    /// actors drained, database closed.
    pub async fn stop(self) {
        let Self { app, system, stop, servers, .. } = self;
        app.draining.cancel();
        tokio::time::sleep(Duration::from_secs(app.settings.drain_seconds)).await;
        stop.cancel();
        let _ = tokio::time::timeout(STOP / 2, futures_util::future::join_all(servers)).await;
        app.tracker.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), app.tracker.wait()).await;
        system.stop(STOP / 2).await;
        if let Some(simulator) = &app.simulator {
            simulator.stop();
        }
        let store = app.store().clone();
        // The embedded database ends with its last connection, which lives as long as anything that may use the store.
        drop(app);
        store.close().await;
    }
}

async fn start_simulator(settings: &Settings) -> Result<Simulator, BootError> {
    let config = simulator::Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data: Some(settings.data_dir.join("simulator")),
        latency: settings.simulator_latency,
        token: None,
    };
    Ok(Simulator::start(config).await?)
}
