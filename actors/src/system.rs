//! Starting and draining the system: the order is written here, once.

use crate::alarms::{self, Alarms};
use crate::breaker::Breakers;
use crate::channels::Channels;
use crate::events::Events;
use crate::handles::Handles;
use crate::hub::Hub;
use crate::job;
use crate::jobs::Jobs;
use crate::journal::{self, Journal};
use crate::reconciler::{self, Reconciler};
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tax_calls::TaxCalls;
use crate::tools::{Config, JobSignal, Tools, Upstreams};
use crate::vitals::Vitals;
use clients::alarm::Sink;
use creative::Fonts;
use std::sync::Arc;
use std::time::Duration;
use storage::Store;
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::objects::Objects;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time in which tasks end that were told to give up.
const LAST_WAIT: Duration = Duration::from_secs(1);

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

/// The running system.
pub struct System {
    handles: Handles,
    channels: Channels,
    journal: Journal,
    reconciler: Address<reconciler::Msg>,
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
    /// Starts everything: tools first, then each actor with the handles of those that it uses.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn start(deps: Deps, config: Config) -> Result<Self, StartError> {
        let epoch = deps.store.epoch().await?;
        let failed = CancellationToken::new();
        let root = Root::start(failed.clone()).await?;
        let sinks = Arc::new(deps.sinks);
        let tools = Arc::new(Tools {
            store: deps.store,
            cache: deps.cache,
            objects: deps.objects,
            keys: deps.keys,
            upstreams: deps.upstreams,
            fonts: deps.fonts,
            public_url: config.public_url.clone(),
            hub: Hub::new(epoch),
            vitals: Vitals::default(),
            tax_calls: TaxCalls::new(config.tax_calls_per_day),
            jobs: JobSignal::default(),
            alarms: Notify::new(),
            tracker: TaskTracker::new(),
            ended: CancellationToken::new(),
            config,
        });
        let (breakers, journal) = (Breakers::new(), Journal::new());
        breakers.start(&tools, &root).await?;
        let channels = Channels::start(&tools, &breakers, &root).await?;
        let events = Events::start(tools.clone(), journal.clone(), &root).await?;
        journal.start(journal_deps(&tools, &events), &root).await?;
        let alarms = alarms::Deps { tools: tools.clone(), breakers: breakers.clone(), sinks };
        let alarms = Alarms::start(alarms, &root).await?;
        let jobs = Jobs::start(
            job::Deps {
                tools: tools.clone(),
                breakers: breakers.clone(),
                channels: channels.clone(),
                events: events.clone(),
            },
            &root,
        )
        .await?;
        let reconciler = Address::new();
        let deps = reconciler::Deps { tools: tools.clone(), events: events.clone(), jobs: jobs.clone() };
        let make = move || (Reconciler, deps.clone());
        root.adopt(Child::new("reconciler", "reconciler", OnExhausted::Fail, &reconciler, make)).await?;
        let (hub, trees) = (tools.hub.clone(), Arc::default());
        let handles = Handles { events, jobs, hub, breakers, alarms, root, tools, trees };
        Ok(Self { handles, channels, journal, reconciler, failed })
    }

    /// Handles for everybody outside.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Cancelled when an actor that nothing can do without keeps ending: drain and end the process.
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
        self.journal.finish(each).await;
        self.handles.jobs.stop(each).await;
        self.channels.stop(Duration::from_secs(1)).await;
        self.handles.breakers.stop();
        self.handles.alarms.stop();
        self.handles.root.stop();
        let (tracker, ended) = (&self.handles.tools.tracker, &self.handles.tools.ended);
        tracker.close();
        if tokio::time::timeout(each, tracker.wait()).await.is_err() {
            ended.cancel();
            let _ = tokio::time::timeout(LAST_WAIT, tracker.wait()).await;
        }
    }
}

fn journal_deps(tools: &Tools, events: &Events) -> journal::Deps {
    journal::Deps {
        store: tools.store.clone(),
        keys: tools.keys.clone(),
        listener: Arc::new(events.clone()),
        tracker: tools.tracker.clone(),
        rows_per_second: tools.config.journal_rows_per_second,
    }
}
