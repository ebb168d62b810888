//! What the edges ask of the whole system: recommendations, pictures, new events, publishing by hand.

use super::Handles;
use crate::event::EventError;
use crate::job::{images_input, recommendation_key};
use domain::catalog::{Objective, Region};
use domain::channel::{Channel, Platform, Style};
use domain::distribution::ChannelError;
use domain::event::Event;
use domain::ids::{EventId, StoreId, UserId};
use domain::job::JobKind;
use domain::job::{Job, NewJob};
use domain::time::Season;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use storage::Result;

/// 200 events that an account has not approved: more than anybody prepares at once, and each costs rows for good.
pub const MAX_DRAFTS: i64 = 200;

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
    /// The owner who asks.
    pub owner: UserId,
}

/// A recommendation, at once or later.
pub enum Recommended {
    /// From the cache: `{options, trends}`.
    Now(Value),
    /// A job is asked.
    Job(Box<Job>),
    /// The business's quota for today is used up.
    QuotaExceeded,
}

impl Handles {
    /// Recommends: from the cache when industry, region, objective, season and prompt match, else by a job; the same
    /// request while its job runs gets the same job.
    pub async fn recommend(&self, r: RecommendationRequest) -> Result<Recommended> {
        let key = recommendation_key(&r.industry, &r.region, r.objective, r.season);
        let cached = self.tools.cache.get(&format!("ai:recommendation:{key}")).await;
        let hit = cached.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        self.tools.vitals.cache("recommendation", hit.is_some());
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
        self.within_quota(job, self.tools.config.recommendations_per_day).await
    }

    /// Stores a cached recommendation with the event it was asked for.
    async fn offer(&self, event: Option<EventId>, key: &str, result: &Value) -> Result<()> {
        let Some(proposal) = crate::job::proposal_of(result) else { return Ok(()) };
        let key = key.to_owned();
        self.tools
            .store
            .run(async move |c| {
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
            .await
    }

    /// Asks for pictures of an event: of the option that was chosen (CT-06).
    pub async fn draw_images(&self, event: &Event, styles: &[Style], platforms: &[Platform]) -> Result<Recommended> {
        let (option, title) = (event.option.as_ref().map(|o| &o.id), event.title.as_deref().unwrap_or_default());
        let input = json!({"styles": styles, "platforms": platforms, "store": event.store, "option": option});
        debug_assert!(images_input(&input).is_some());
        let wanted: Vec<&str> = styles.iter().map(|s| s.code()).chain(platforms.iter().map(|p| p.code())).collect();
        let job = NewJob {
            kind: JobKind::Images,
            key: format!("images:{}:{}:{}:{title}", event.id, option.map_or("", String::as_str), wanted.join(",")),
            owner: Some(event.owner),
            event: Some(event.id),
            input,
            after: Duration::ZERO,
        };
        self.within_quota(job, self.tools.config.image_jobs_per_day).await
    }

    /// Asks for a job unless the business has used up its quota; that is counted where the row is stored.
    async fn within_quota(&self, job: NewJob, per_day: i64) -> Result<Recommended> {
        let asked = self.tools.store.tx(async move |c| storage::jobs::insert_within(c, job, per_day).await);
        let Some(job) = asked.await? else { return Ok(Recommended::QuotaExceeded) };
        self.jobs.wake();
        Ok(Recommended::Job(Box::new(job)))
    }

    /// Stores a new event, with the pictures it begins with.
    ///
    /// # Errors
    /// [`EventError::TooManyDrafts`], or any error of the database.
    pub async fn create_event(
        &self,
        event: domain::event::Event,
        facts: Vec<domain::event::Fact>,
        pictures: Vec<storage::images::Image>,
    ) -> Result<domain::event::Event, EventError> {
        let who = domain::event::Who::Owner(event.owner);
        let stored = event.clone();
        let inserting = self.tools.store.tx(async move |c| {
            // Two drafts at once: each waits for the other to be counted.
            storage::stores::hold(c, stored.owner).await?;
            if storage::events::count_drafts(c, stored.owner).await? >= MAX_DRAFTS {
                return Ok(false);
            }
            storage::events::insert(c, &stored, &facts, who).await?;
            for picture in &pictures {
                storage::images::insert(c, picture).await?;
            }
            Ok(true)
        });
        if inserting.await? { Ok(event) } else { Err(EventError::TooManyDrafts) }
    }

    /// Takes back what was published of an event.
    pub async fn recall(&self, id: domain::ids::DistributionId, event: EventId, owner: UserId) -> Result<bool> {
        Ok(crate::publishing::recall(&self.tools, id, event, owner).await?.is_some())
    }

    /// Tries failed channels of a distribution again, each once and all in one transaction; which went back into the queue.
    pub async fn retry(
        &self,
        id: domain::ids::DistributionId,
        event: EventId,
        owner: UserId,
        channels: Vec<Channel>,
    ) -> Result<Vec<Channel>> {
        let named: BTreeSet<Channel> = channels.into_iter().collect();
        let again = self
            .tools
            .store
            .tx(async move |c| {
                let mut again = Vec::new();
                for channel in named {
                    let queued = storage::distributions::requeue(c, id, channel).await?;
                    again.extend(queued.map(|d| (channel, d)));
                }
                Ok(again)
            })
            .await?;
        for (channel, d) in &again {
            crate::publishing::announce(&self.tools, d, *channel, false);
        }
        if !again.is_empty() {
            self.jobs.submit(crate::publishing::job(id, event, owner)).await?;
        }
        Ok(again.into_iter().map(|(channel, _)| channel).collect())
    }

    /// The owner settles a publication nobody can ask about. False: it is not `unknown`.
    pub async fn confirm(&self, id: domain::ids::DistributionId, channel: Channel, posted: bool) -> Result<bool> {
        use domain::distribution::PublicationStatus as P;
        let status = if posted { P::Published } else { P::Failed };
        let mut change = storage::distributions::Change::to(status);
        change.external_id = posted.then(|| "confirmed-by-owner".to_owned());
        let changed = self
            .tools
            .store
            .tx(async move |c| {
                let known = storage::distributions::get(c, id).await?;
                let mut change = change;
                if posted && known.is_some_and(|d| d.recalling) {
                    // It was called off, and stays up.
                    change.error = Some(ChannelError::left_up(channel));
                }
                let changed = storage::distributions::change(c, id, channel, &[P::Unknown], None, change).await?;
                let Some((d, ended)) = changed else { return Ok(None) };
                // What went out is what is paid for.
                let version = storage::events::log_fact(c, d.event).await?;
                Ok(Some((d, ended, version)))
            })
            .await?;
        let Some((d, ended, version)) = changed else { return Ok(false) };
        crate::publishing::announce(&self.tools, &d, channel, ended);
        self.events.get(d.event).refresh(version).await;
        Ok(true)
    }
}
