//! Starting and draining the system: the order is written here, once.

use crate::alarms::Alarms;
use crate::breaker::Breakers;
use crate::channels::Channels;
use crate::events::Events;
use crate::hub::Hub;
use crate::jobs::Jobs;
use crate::journal::{self, Journal};
use crate::reconciler::Reconciler;
use crate::root::{Address, Beyond, Child, Root};
use crate::tax_calls::TaxCalls;
use crate::trees::Trees;
use crate::vitals::Vitals;
use clients::alarm::Sink;
use clients::channel::ChannelClient;
use clients::image::Painter;
use clients::llm::LanguageModel;
use clients::nts::Nts;
use creative::Fonts;
use domain::channel::{Channel, Mode, Upstream};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::objects::Objects;
use storage::{Result, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everybody else's APIs, and how each is connected.
#[derive(Clone)]
pub struct Upstreams {
    /// Mode of each.
    pub modes: HashMap<Upstream, Mode>,
    /// The tax service.
    pub nts: Nts,
    /// Language models, in the order they are asked.
    pub models: Vec<(Upstream, Arc<dyn LanguageModel>)>,
    /// Picture models, in the order they are asked.
    pub painters: Vec<(Upstream, Arc<dyn Painter>)>,
    /// The channels.
    pub channels: HashMap<Channel, Arc<dyn ChannelClient>>,
}

impl Upstreams {
    /// Mode of an upstream; one that is not configured is off.
    #[must_use]
    pub fn mode(&self, upstream: Upstream) -> Mode {
        self.modes.get(&upstream).copied().unwrap_or(Mode::Off)
    }

    /// Those of a list that may be asked: a simulated one never stands in for a real one.
    pub(crate) fn usable<'a, T: ?Sized>(
        &self,
        list: &'a [(Upstream, Arc<T>)],
    ) -> impl Iterator<Item = &'a (Upstream, Arc<T>)> {
        let first = list.first().map_or(Mode::Off, |(u, _)| self.mode(*u));
        let modes: Vec<bool> = list
            .iter()
            .map(|(u, _)| match self.mode(*u) {
                Mode::Live => true,
                Mode::Sandbox => first == Mode::Sandbox,
                Mode::Assisted | Mode::Off => false,
            })
            .collect();
        list.iter().zip(modes).filter_map(|(one, usable)| usable.then_some(one))
    }

    pub(crate) fn channel(&self, channel: Channel) -> Arc<dyn ChannelClient> {
        self.channels[&channel].clone()
    }
}

/// What the system is built from.
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The cache.
    pub cache: Cache,
    /// Pictures.
    pub objects: Objects,
    /// Keys.
    pub keys: Keyring,
    /// Everybody else's APIs.
    pub upstreams: Upstreams,
    /// Fonts of this machine.
    pub fonts: Fonts,
    /// Where alarms go besides the log.
    pub sinks: Vec<Arc<dyn Sink>>,
}

/// How it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address customers see, without a trailing slash.
    pub public_url: String,
    /// Entries in flight at most.
    pub entries_in_flight: usize,
    /// Recommendations a business may ask for in a day.
    pub recommendations_per_day: i64,
    /// Picture jobs a business may ask for in a day.
    pub image_jobs_per_day: i64,
    /// Calls to the tax service in a day.
    pub tax_calls_per_day: u32,
    /// Slows the journal down, so that load tests meet a database that is the limit; never set otherwise.
    pub journal_rows_per_second: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".into(),
            entries_in_flight: crate::admission::MAX_ENTRIES,
            recommendations_per_day: 50,
            image_jobs_per_day: 50,
            tax_calls_per_day: 100_000,
            journal_rows_per_second: None,
        }
    }
}

/// What every actor needs. One value, shared.
pub struct Shared {
    /// The database.
    pub store: Store,
    /// The cache.
    pub cache: Cache,
    /// Pictures.
    pub objects: Objects,
    /// Keys.
    pub keys: Keyring,
    /// Everybody else's APIs.
    pub upstreams: Upstreams,
    /// Fonts of this machine.
    pub fonts: Fonts,
    /// The address customers see.
    pub public_url: String,
    /// Topics.
    pub hub: Hub,
    /// Breakers.
    pub breakers: Breakers,
    pub(crate) channels: Channels,
    pub(crate) tracker: TaskTracker,
    /// How the product is.
    pub vitals: Vitals,
    /// Calls to the tax service today.
    pub tax_calls: TaxCalls,
    jobs: Jobs,
    alarms: OnceLock<Alarms>,
    events: OnceLock<Events>,
    pub(crate) config: Config,
}

impl Shared {
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    pub(crate) fn alarms(&self) -> &Alarms {
        self.alarms.get().expect("set before anything runs")
    }

    pub(crate) fn events(&self) -> &Events {
        self.events.get().expect("set before anything runs")
    }
}

/// Handles on the running system: its public face.
#[derive(Clone)]
pub struct Handles {
    /// Events.
    pub events: Events,
    /// Jobs.
    pub jobs: Jobs,
    /// Topics.
    pub hub: Hub,
    /// Breakers.
    pub breakers: Breakers,
    /// What is wrong.
    pub alarms: Alarms,
    /// Who watches over the actors there is one of.
    pub root: Root,
    /// What the actors share; lists and reads go to its store.
    pub shared: Arc<Shared>,
    pub(crate) trees: Arc<Trees>,
}

/// The running system.
pub struct System {
    handles: Handles,
    channels: Channels,
    tracker: TaskTracker,
    reconciler: Address<crate::reconciler::Msg>,
    failed: CancellationToken,
}

/// The system did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An actor did not start.
    #[error("an actor did not start: {0}")]
    Actor(#[from] ractor::SpawnErr),
    /// The database.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
}

impl System {
    /// Starts everything.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn start(deps: Deps, config: Config) -> Result<Self, StartError> {
        let hub = Hub::new(deps.store.epoch().await?);
        let tracker = TaskTracker::new();
        let failed = CancellationToken::new();
        let root = Root::start(failed.clone()).await?;
        let breakers = Breakers::start(&root).await?;
        let channels = Channels::start(&root).await?;
        let jobs = Jobs::start(&root).await?;
        let places = config.entries_in_flight;
        let shared = Arc::new(Shared {
            store: deps.store,
            cache: deps.cache,
            objects: deps.objects,
            keys: deps.keys,
            upstreams: deps.upstreams,
            fonts: deps.fonts,
            public_url: config.public_url.clone(),
            hub: hub.clone(),
            breakers: breakers.clone(),
            channels: channels.clone(),
            tracker: tracker.clone(),
            vitals: Vitals::default(),
            tax_calls: TaxCalls::new(config.tax_calls_per_day),
            jobs: jobs.clone(),
            alarms: OnceLock::new(),
            events: OnceLock::new(),
            config,
        });
        let events = Events::start(shared.clone(), places, &root).await?;
        let entries = journal::Deps {
            store: shared.store.clone(),
            keys: shared.keys.clone(),
            events: events.clone(),
            tracker: tracker.clone(),
            rows_per_second: shared.config.journal_rows_per_second,
        };
        let journal = Journal::start(entries, &root).await?;
        events.set_journal(journal);
        let _ = shared.events.set(events.clone());
        let alarms = Alarms::start(shared.clone(), deps.sinks, &root).await?;
        let _ = shared.alarms.set(alarms.clone());
        breakers.begin(shared.clone());
        channels.begin(shared.clone());
        jobs.begin(shared.clone());
        let (reconciler, each) = (Address::new(), shared.clone());
        root.adopt(Child::new("reconciler", "reconciler", Beyond::Fail, &reconciler, move || {
            (Reconciler, each.clone())
        }))
        .await?;
        let handles = Handles { events, jobs, hub, breakers, alarms, root, shared, trees: Arc::default() };
        Ok(Self { handles, channels, tracker, reconciler, failed })
    }

    /// Handles for everybody outside.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Cancelled when an actor nobody can do without keeps ending: drain and end the process.
    #[must_use]
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Drains: reconciler, events, journal, jobs (leases given back), channels, breakers. At most about `limit`.
    pub async fn stop(self, limit: Duration) {
        self.handles.root.stand_down().await;
        let each = limit / 4;
        self.reconciler.stop();
        self.handles.events.stop(each).await;
        if let Some(journal) = self.handles.events.journal() {
            journal.finish(each).await;
        }
        self.handles.jobs.stop(each).await;
        self.channels.stop(Duration::from_secs(1)).await;
        self.handles.breakers.stop();
        self.handles.alarms.stop();
        self.handles.root.stop();
        self.tracker.close();
        let _ = tokio::time::timeout(each, self.tracker.wait()).await;
    }
}

/// Now by the database's clock, which decides when an event is open. In microseconds: what PostgreSQL keeps, so that an answer
/// and a later read say the same.
#[must_use]
pub fn now() -> domain::time::Instant {
    use chrono::SubsecRound;
    storage::clock::now().trunc_subsecs(6)
}
