//! A running actor system over a database of its own, with the simulator behind every upstream.

use crate::Database;
use actors::{Config, Deps, System, Upstreams};
use actors::{EnterRequest, Handles};
use chrono::{Duration, NaiveDate, Utc};
use clients::channel::client;
use clients::{Endpoint, Http, nts::Nts};
use domain::catalog::{Objective, Region};
use domain::channel::{Channel, Mode, Platform, Source, Style, Upstream};
use domain::entry::{Consents, EntryForm};
use domain::event::command::PlanInput;
use domain::event::{Command, Event, Fact, Who};
use domain::ids::{EventId, ImageId, StoreId, UserId};
use domain::offer::{EventOption, Expected, Prize, Range, Tier};
use domain::phone::Phone;
use domain::shop::{Shop, Verification};
use domain::text::PersonName;
use simulator::Simulator;
use std::sync::{Arc, Weak};
use storage::cache::Cache;
use storage::crypto::Keyring;
use storage::objects::Objects;
use storage::users::NewUser;

/// A system under test.
pub struct TestSystem {
    system: System,
    /// The simulator behind it.
    pub simulator: Simulator,
    /// Its database.
    pub database: Database,
}

impl TestSystem {
    /// Starts one.
    ///
    /// # Panics
    /// When anything does not start.
    pub async fn start() -> Self {
        Self::with_latency(0.0).await
    }

    /// Starts one whose simulator takes its time: 1 is a tenth of the design's seconds.
    ///
    /// # Panics
    /// When anything does not start.
    pub async fn with_latency(latency: f64) -> Self {
        let database = Database::fresh().await;
        let listen = ([127, 0, 0, 1], 0).into();
        let simulator = Simulator::start(simulator::Config { listen, data: None, latency, token: None })
            .await
            .expect("the simulator");
        let http = Http::new();
        let at = |u: Upstream| Endpoint { base: simulator.base(u.code()), key: "sandbox@1/1".into() };
        let upstreams = Upstreams {
            modes: Upstream::ALL.iter().map(|u| (*u, Mode::Sandbox)).collect(),
            nts: Nts::new(http.clone(), at(Upstream::Nts)),
            models: clients::models(&http, at),
            painters: clients::painters(&http, at),
            channels: Channel::ALL.iter().map(|c| (*c, client(*c, http.clone(), at((*c).into())))).collect(),
        };
        let deps = Deps {
            store: database.open().await,
            cache: Cache::memory(),
            objects: Objects::folder(&database.folder().join("objects")).expect("a folder"),
            keys: Keyring::ephemeral(),
            upstreams,
            fonts: creative::Fonts::none(),
            sinks: Vec::new(),
        };
        let system = System::start(deps, Config::default()).await.expect("the system");
        Self { system, simulator, database }
    }

    /// Its handles.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        self.system.handles()
    }

    /// Waits until the system says that it failed.
    pub async fn failed(&self) {
        self.system.failed().cancelled().await;
    }

    /// An owner with a shop.
    ///
    /// # Panics
    /// When the database does not answer.
    pub async fn owner(&self) -> (UserId, StoreId) {
        let (user, store) = (UserId::new(), StoreId::new());
        let keys = self.handles().tools().keys.clone();
        let new = NewUser {
            id: user,
            email: format!("{user}@test.example"),
            name: PersonName::parse("홍길동").expect("a name"),
            phone: Phone::parse("01012345678").expect("a phone"),
            business: business_number(),
            opened_on: NaiveDate::from_ymd_opt(2020, 1, 2).expect("a day"),
            password_hash: "$2b$10$abcdefghijklmnopqrstuv".into(),
            created_at: actors::clock::now(),
        };
        let shop = Shop {
            id: store,
            user,
            name: "시험가게".into(),
            industry: "CAFE".into(),
            region: Region::parse("서울 강남구").expect("a region"),
            address: None,
            verification: Verification::Verified,
            mode: Mode::Sandbox,
            index_kid: keys.active_index().to_owned(),
            version: 1,
            created_at: Utc::now(),
            removed: false,
        };
        let made = self.handles().tools().store.tx(async move |c| {
            storage::users::insert(c, &keys, new).await?;
            storage::stores::insert(c, &shop).await
        });
        made.await.expect("an account");
        (user, store)
    }

    /// A live event of a new owner, ending in an hour.
    ///
    /// # Panics
    /// When any step is refused.
    pub async fn live_event(&self) -> (EventId, UserId) {
        let (owner, store) = self.owner().await;
        let event = self.ready_event(owner, store).await;
        self.handles().events.get(event).approve(owner, None).await.expect("approved");
        (event, owner)
    }

    /// An event that waits for approval only.
    ///
    /// # Panics
    /// When any step is refused.
    pub async fn ready_event(&self, owner: UserId, store: StoreId) -> EventId {
        self.ready_event_on(owner, store, vec![Channel::WooriTv]).await
    }

    /// The same on these channels.
    ///
    /// # Panics
    /// When any step is refused.
    pub async fn ready_event_on(&self, owner: UserId, store: StoreId, channels: Vec<Channel>) -> EventId {
        ready_event(self.handles(), owner, store, channels).await
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.stop_keeping_database().await;
    }

    /// Stops everything but the database, which can be opened again.
    ///
    /// # Panics
    /// When an actor, a task or a handle of the test lives on: it would keep the tools, and with them the connections.
    pub async fn stop_keeping_database(self) -> Database {
        self.simulator.stop();
        let tools = Arc::downgrade(self.system.handles().tools());
        let store = self.system.handles().store().clone();
        self.system.stop(std::time::Duration::from_secs(8)).await;
        freed(&tools).await;
        store.close().await;
        self.database
    }
}

/// Waits for the last actor to drop what it worked with. Their mailboxes end a moment after the system has stopped.
async fn freed(tools: &Weak<actors::Tools>) {
    let limit = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while tools.strong_count() > 0 {
        assert!(tokio::time::Instant::now() < limit, "{} owners of the tools outlive the system", tools.strong_count());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// An event of this owner and shop on these channels that waits for approval only.
///
/// # Panics
/// When any step is refused.
pub async fn ready_event(handles: &Handles, owner: UserId, store: StoreId, channels: Vec<Channel>) -> EventId {
    let event =
        Event::draft(EventId::new(), actors::pictures::unguessable(), owner, store, Objective::Sales, Utc::now());
    let id = event.id;
    handles.create_event(event, vec![Fact::Created { objective: Objective::Sales }], Vec::new()).await.expect("made");
    let image = ImageId::new();
    let picture = storage::images::Image {
        own_headline: false,
        own_body: false,
        id: image,
        version: 1,
        event: id,
        style: Style::Simple,
        platform: Platform::Instagram,
        name: format!("{}.jpg", actors::pictures::unguessable()),
        width: 1080,
        height: 1080,
        headline: "제목".into(),
        body: String::new(),
        palette: "MONO".into(),
        alt_text: "제목".into(),
        background: None,
    };
    handles.tools().store.run(async move |c| storage::images::insert(c, &picture).await).await.expect("a picture");
    let plan = PlanInput {
        option: option(),
        title: None,
        starts_at: None,
        ends_at: Some(Utc::now() + Duration::hours(1)),
        prizes: None,
        visit_weight: Some(Some(3)),
    };
    let handle = handles.events.get(id);
    for command in
        [Command::Plan(Box::new(plan)), Command::ChooseContent(vec![image]), Command::ChooseChannels(channels)]
    {
        handle.command(Who::Owner(owner), command, None).await.expect("a draft takes it");
    }
    id
}

/// An entry of the n-th customer.
///
/// # Panics
/// When `n` has more than eight digits.
#[must_use]
pub fn form(n: usize) -> EnterRequest {
    EntryForm {
        name: PersonName::parse("김손님").expect("a name"),
        phone: Phone::parse(&format!("010{n:08}")).expect("a phone"),
        consents: Consents { privacy: true, ..Consents::default() },
        source: Source::ALL[n % 8],
        visit_code: None,
        address: None,
        notice_version: None,
        idempotency_key: None,
    }
}

/// A checksum-valid business number.
///
/// # Panics
/// Never: one check digit always fits.
#[must_use]
pub fn business_number() -> domain::business_number::BusinessNumber {
    let random = u64::from_be_bytes(storage::crypto::random16()[..8].try_into().expect("eight bytes"));
    let nine = 100_000_000 + random % 800_000_000;
    (0..10)
        .find_map(|check| domain::business_number::BusinessNumber::parse(&format!("{nine}{check}")).ok())
        .expect("one check digit fits")
}

fn option() -> EventOption {
    EventOption {
        id: "o1".into(),
        tier: Tier::Low,
        title: "시험 이벤트".into(),
        summary: "요약".into(),
        mechanics: "방법".into(),
        prizes: vec![Prize { name: "쿠폰".into(), quantity: 5, unit_value_won: 1_000 }],
        duration_days: 7,
        channels: vec![Channel::WooriTv],
        expected: Expected {
            participants: Range { low: 1, high: 2 },
            cost_won: 5_000,
            revenue_won: Range { low: 1, high: 2 },
            roi_percent: Range { low: 0, high: 0 },
        },
        rationale: vec![],
    }
}
