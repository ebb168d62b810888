//! What every actor works with: storage, keys, upstreams, topics. Nothing here knows an actor.

use crate::hub::Hub;
use crate::tax_calls::TaxCalls;
use crate::vitals::Vitals;
use clients::channel::ChannelClient;
use clients::image::Painter;
use clients::llm::LanguageModel;
use clients::nts::Nts;
use creative::Fonts;
use domain::channel::{Channel, Mode, Upstream};
use domain::ids::JobId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use storage::Store;
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::objects::Objects;
use tokio::sync::Notify;
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

/// One value, shared by all actors and handles.
pub struct Tools {
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
    /// The address that customers see, without a trailing slash.
    pub public_url: String,
    /// Topics.
    pub hub: Hub,
    /// Counters that the alarms judge.
    pub vitals: Vitals,
    /// Calls to the tax service today.
    pub tax_calls: TaxCalls,
    /// Wakes the dispatcher of jobs.
    pub(crate) jobs: JobSignal,
    /// Wakes the alarms before their timer does.
    pub(crate) alarms: Notify,
    pub(crate) tracker: TaskTracker,
    /// Cancelled when the time for a graceful end is over: what still waits for a channel gives up then.
    pub(crate) ended: CancellationToken,
    pub(crate) config: Config,
}

/// Tells the dispatcher that jobs are due or were cancelled. The sender needs no address of the dispatcher, and nothing is lost
/// while the dispatcher is started again.
#[derive(Default)]
pub(crate) struct JobSignal {
    changed: Notify,
    cancelled: Mutex<Vec<JobId>>,
}

impl JobSignal {
    /// Has the dispatcher look for due jobs.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Has the dispatcher end a running job, whose row says that it was cancelled.
    pub(crate) fn cancel(&self, job: JobId) {
        self.cancelled.lock().push(job);
        self.changed.notify_one();
    }

    /// Returns the jobs to end; each is returned once.
    pub(crate) fn take_cancelled(&self) -> Vec<JobId> {
        std::mem::take(&mut *self.cancelled.lock())
    }

    /// Waits for the next signal. One that came before the call ends it at once.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
