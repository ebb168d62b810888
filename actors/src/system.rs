//! Starting and draining the system: the order is written here, once.

use crate::breaker::Breakers;
use crate::channels::Channels;
use crate::event::EventError;
use crate::events::Events;
use crate::hub::Hub;
use crate::job::{images_input, recommendation_key};
use crate::jobs::Jobs;
use crate::journal::{self, Journal};
use crate::reconciler::{Msg as ReconcilerMsg, Reconciler};
use clients::channel::ChannelClient;
use clients::claude::Claude;
use clients::nts::Nts;
use clients::stability::Stability;
use creative::{Fonts, Look, Palette, Picture, compose};
use domain::catalog::{Objective, Region};
use domain::channel::{Channel, Mode, Platform, Style, Upstream};
use domain::ids::{EventId, ImageId, StoreId, UserId};
use domain::job::JobKind;
use domain::time::Season;
use ractor::{Actor, ActorRef};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::images::Image;
use storage::jobs::{Job, NewJob};
use storage::objects::Objects;
use storage::{Result, Store};
use tokio_util::task::TaskTracker;

/// Everybody else's APIs, and how each is connected.
#[derive(Clone)]
pub struct Upstreams {
    /// Mode of each.
    pub modes: HashMap<Upstream, Mode>,
    /// The tax service.
    pub nts: Nts,
    /// The language model.
    pub claude: Claude,
    /// The picture model.
    pub stability: Stability,
    /// The channels.
    pub channels: HashMap<Channel, Arc<dyn ChannelClient>>,
}

impl Upstreams {
    /// Mode of an upstream; one that is not configured is off.
    #[must_use]
    pub fn mode(&self, upstream: Upstream) -> Mode {
        self.modes.get(&upstream).copied().unwrap_or(Mode::Off)
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
}

/// How it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address customers see, without a trailing slash.
    pub public_url: String,
    /// Entries in flight at most.
    pub entries_in_flight: usize,
    /// Recommendations a shop may ask for in a day.
    pub recommendations_per_day: i64,
    /// Picture jobs a shop may ask for in a day.
    pub image_jobs_per_day: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".into(),
            entries_in_flight: crate::admission::MAX_ENTRIES,
            recommendations_per_day: 50,
            image_jobs_per_day: 50,
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
    jobs: Jobs,
    events: OnceLock<Events>,
    config: Config,
}

impl Shared {
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
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
    /// What the actors share; lists and reads go to its store.
    pub shared: Arc<Shared>,
    leaves: Arc<std::sync::Mutex<HashMap<EventId, Arc<Vec<domain::draw::Leaf>>>>>,
}

/// Trees of closed events that are kept in memory.
const KEPT_TREES: usize = 16;

/// The running system.
pub struct System {
    handles: Handles,
    reconciler: ActorRef<ReconcilerMsg>,
    channels: Channels,
    tracker: TaskTracker,
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
        let (breakers, channels, jobs) = (Breakers::start().await?, Channels::start().await?, Jobs::start().await?);
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
            jobs: jobs.clone(),
            events: OnceLock::new(),
            config,
        });
        let events = Events::start(shared.clone(), places).await?;
        let journal = Journal::start(journal::Deps {
            store: shared.store.clone(),
            keys: shared.keys.clone(),
            events: events.clone(),
            tracker: tracker.clone(),
        })
        .await?;
        events.set_journal(journal);
        let _ = shared.events.set(events.clone());
        channels.begin(shared.clone());
        jobs.begin(shared.clone());
        let (reconciler, _) = Reconciler::spawn(None, Reconciler, shared.clone()).await?;
        let handles = Handles { events, jobs, hub, breakers, shared, leaves: Arc::default() };
        Ok(Self { handles, reconciler, channels, tracker })
    }

    /// Handles for everybody outside.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Drains: reconciler, events, journal, jobs (leases given back), channels, breakers. At most about `limit`.
    pub async fn stop(self, limit: Duration) {
        let each = limit / 4;
        self.reconciler.stop(None);
        self.handles.events.stop(each).await;
        if let Some(journal) = self.handles.events.journal() {
            journal.finish(each).await;
        }
        self.handles.jobs.stop(each).await;
        self.channels.stop(Duration::from_secs(1)).await;
        self.handles.breakers.stop();
        self.tracker.close();
        let _ = tokio::time::timeout(each, self.tracker.wait()).await;
    }
}

/// Now, in microseconds: what PostgreSQL keeps, so that an answer and a later read say the same.
#[must_use]
pub fn now() -> domain::time::Instant {
    use chrono::SubsecRound;
    chrono::Utc::now().trunc_subsecs(6)
}

/// 80 random bits in base32: what cannot be guessed and can be read aloud.
#[must_use]
pub fn unguessable() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = storage::crypto::random16();
    random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect()
}

/// What a picture is composed of.
#[derive(Clone, Debug)]
pub struct Composition {
    /// The same for all versions.
    pub id: ImageId,
    /// 1, 2, 3 …
    pub version: i32,
    /// For which event.
    pub event: EventId,
    /// Style.
    pub style: Style,
    /// Format.
    pub platform: Platform,
    /// Big text.
    pub headline: String,
    /// Small text.
    pub body: String,
    /// Palette.
    pub palette: String,
    /// Name of the background object.
    pub background: Option<String>,
}

/// Composes a picture and stores its object under a new, unguessable name; the row is the caller's.
///
/// # Errors
/// The objects cannot be read or written.
pub async fn compose_picture(shared: &Shared, c: Composition) -> Result<Image> {
    let (width, height) = match c.platform {
        Platform::Instagram => (1080, 1080),
        Platform::Naver => (800, 600),
        Platform::Kakao => (800, 400),
    };
    let look = match c.style {
        Style::Simple => Look::Simple,
        Style::Vivid => Look::Vivid,
        Style::Trendy => Look::Trendy,
    };
    let background = match &c.background {
        Some(name) => shared.objects.get(name).await?,
        None => None,
    };
    let palette = Palette::parse(&c.palette).or_else(|| Palette::parse("MONO")).expect("a named palette parses");
    let svg = compose(&Picture {
        width,
        height,
        look,
        headline: &c.headline,
        body: &c.body,
        palette,
        background: background.as_deref(),
    });
    let (bytes, extension) = crate::job::raster(shared.fonts.clone(), svg).await;
    let name = format!("{}.{extension}", unguessable());
    shared.objects.put(&name, bytes).await?;
    Ok(Image {
        id: c.id,
        version: c.version,
        event: c.event,
        style: c.style,
        platform: c.platform,
        name,
        width: width as i32,
        height: height as i32,
        alt_text: format!("{} - {}", c.headline, c.body),
        headline: c.headline,
        body: c.body,
        palette: c.palette,
        background: c.background,
    })
}

/// What a recommendation is for.
#[derive(Clone, Debug)]
pub struct RecommendationRequest {
    /// Code of the industry.
    pub industry: String,
    /// Where.
    pub region: Region,
    /// What for.
    pub objective: Objective,
    /// When.
    pub season: Season,
    /// For which shop.
    pub store: Option<StoreId>,
    /// For which event.
    pub event: Option<EventId>,
    /// Who asks.
    pub owner: UserId,
}

/// A recommendation, at once or later.
pub enum Recommended {
    /// From the cache: `{options, trends}`.
    Now(Value),
    /// A job is asked.
    Job(Box<Job>),
    /// The shop's quota for today is used up.
    QuotaExceeded,
}

impl Handles {
    /// Recommends: from the cache when industry, region, objective, season and prompt match, else by a job; the same
    /// request while its job runs gets the same job.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn recommend(&self, r: RecommendationRequest) -> Result<Recommended> {
        let key = recommendation_key(&r.industry, &r.region, r.objective, r.season);
        let cached = self.shared.cache.get(&format!("ai:recommendation:{key}")).await;
        let hit = cached.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        metrics::counter!("cache_requests_total", "key" => "recommendation", "result" => if hit.is_some() { "hit" } else { "miss" }).increment(1);
        if let Some(result) = hit {
            self.offer(r.event, &key, &result).await?;
            return Ok(Recommended::Now(result));
        }
        let scope = r.event.map_or_else(|| r.owner.to_string(), |e| e.to_string());
        let job = NewJob {
            kind: JobKind::Recommendation,
            key: format!("recommendation:{scope}:{key}"),
            owner: Some(r.owner),
            event: r.event,
            input: json!({"industry": r.industry, "region": r.region, "objective": r.objective, "season": r.season, "store": r.store}),
            after: Duration::ZERO,
        };
        self.within_quota(job, r.store, self.shared.config.recommendations_per_day).await
    }

    /// Stores a cached recommendation with the event it was asked for.
    async fn offer(&self, event: Option<EventId>, key: &str, result: &Value) -> Result<()> {
        let Some(proposal) = crate::job::proposal_of(result) else { return Ok(()) };
        let key = key.to_owned();
        self.shared
            .store
            .run(move |c| {
                Box::pin(async move {
                    let source = storage::offers::OfferSource::LastGood;
                    storage::offers::insert(
                        c,
                        event,
                        &key,
                        clients::prompt::RECOMMENDATION,
                        source,
                        &proposal,
                        chrono::Utc::now(),
                    )
                    .await
                })
            })
            .await
    }

    /// Asks for pictures of an event.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn draw_images(
        &self,
        event: EventId,
        store: StoreId,
        owner: UserId,
        styles: &[Style],
        platforms: &[Platform],
        title: &str,
    ) -> Result<Recommended> {
        let input = json!({"styles": styles, "platforms": platforms, "store": store});
        debug_assert!(images_input(&input).is_some());
        let wanted: Vec<&str> = styles.iter().map(|s| s.code()).chain(platforms.iter().map(|p| p.code())).collect();
        let job = NewJob {
            kind: JobKind::Images,
            key: format!("images:{event}:{}:{title}", wanted.join(",")),
            owner: Some(owner),
            event: Some(event),
            input,
            after: Duration::ZERO,
        };
        self.within_quota(job, Some(store), self.shared.config.image_jobs_per_day).await
    }

    async fn within_quota(&self, job: NewJob, store: Option<StoreId>, limit: i64) -> Result<Recommended> {
        let (key, kind) = (job.key.clone(), job.kind.code());
        let (active, used) = self
            .shared
            .store
            .run(move |c| {
                Box::pin(async move {
                    let active = storage::jobs::active(c, &key).await?;
                    let used = match store {
                        Some(store) => storage::offers::jobs_today(c, store, kind).await?,
                        None => 0,
                    };
                    Ok((active, used))
                })
            })
            .await?;
        if let Some(job) = active {
            return Ok(Recommended::Job(Box::new(job)));
        }
        if used >= limit {
            return Ok(Recommended::QuotaExceeded);
        }
        Ok(Recommended::Job(Box::new(self.jobs.submit(job).await?)))
    }

    /// Stores a new event.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn create_event(
        &self,
        event: domain::event::Event,
        facts: Vec<domain::event::Fact>,
    ) -> Result<domain::event::Event, EventError> {
        let who = domain::event::Who::Owner(event.owner);
        let stored = event.clone();
        self.shared
            .store
            .tx(move |c| Box::pin(async move { storage::events::insert(c, &stored, &facts, who).await }))
            .await?;
        Ok(event)
    }

    /// Takes back what was published of an event.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn recall(&self, id: domain::ids::DistributionId, event: EventId, owner: UserId) -> Result<bool> {
        Ok(crate::publishing::recall(&self.shared, id, event, owner).await?.is_some())
    }

    /// Tries failed channels of a distribution again; which went back into the queue.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn retry(
        &self,
        id: domain::ids::DistributionId,
        event: EventId,
        owner: UserId,
        channels: Vec<Channel>,
    ) -> Result<Vec<Channel>> {
        let mut gone = Vec::new();
        for channel in channels {
            let again = self
                .shared
                .store
                .tx(move |c| Box::pin(async move { storage::distributions::requeue(c, id, channel).await }))
                .await?;
            if let Some(d) = again {
                crate::publishing::announce(&self.shared, &d, channel, false);
                gone.push(channel);
            }
        }
        if !gone.is_empty() {
            self.jobs.submit(crate::publishing::job(id, event, owner)).await?;
        }
        Ok(gone)
    }

    /// The owner settles a publication nobody can ask about. False: it is not `unknown`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn confirm(&self, id: domain::ids::DistributionId, channel: Channel, posted: bool) -> Result<bool> {
        use domain::distribution::PublicationStatus as P;
        let status = if posted { P::Published } else { P::Failed };
        let mut change = storage::distributions::Change::to(status);
        change.external_id = posted.then(|| "confirmed-by-owner".to_owned());
        let changed = self
            .shared
            .store
            .tx(move |c| {
                Box::pin(async move { storage::distributions::change(c, id, channel, &[P::Unknown], change).await })
            })
            .await?;
        if let Some((d, ended)) = &changed {
            crate::publishing::announce(&self.shared, d, channel, *ended);
        }
        Ok(changed.is_some())
    }

    /// The leaves of an event's tree, by number; fixed once it is closed, and kept then.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn leaves(&self, event: EventId) -> Result<Arc<Vec<domain::draw::Leaf>>> {
        if let Some(known) = self.leaves.lock().expect("nobody panics holding it").get(&event) {
            return Ok(known.clone());
        }
        let leaves = Arc::new(crate::draw::leaves(&self.shared.store, event).await?);
        let closed = self.events.get(event).read().await.is_ok_and(|e| e.root.is_some());
        if closed {
            let mut known = self.leaves.lock().expect("nobody panics holding it");
            if known.len() >= KEPT_TREES {
                known.clear();
            }
            known.insert(event, leaves.clone());
        }
        Ok(leaves)
    }

    /// The key of an event's visit codes.
    #[must_use]
    pub fn visit_key(&self, id: EventId) -> [u8; 32] {
        crate::event::visit_key(&self.shared, id)
    }

    /// What is stored of a receipt.
    #[must_use]
    pub fn receipt_hash(receipt: &str) -> [u8; 32] {
        crate::entry::receipt_hash(receipt)
    }
}
