//! Three proposals: the model, its repair, its last good answer, a template.

use super::{Run, fallback};
use chrono::Utc;
use clients::UpstreamError;
use clients::llm::{LanguageModel, Spent};
use clients::prompt;
use domain::catalog::{INDUSTRIES, Industry, Objective, Region, industry_of};
use domain::channel::Upstream;
use domain::distribution::ErrorClass;
use domain::ids::StoreId;
use domain::offer::Proposal;
use domain::time::{Instant, Season};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use storage::StorageError;
use storage::jobs::End;
use storage::offers::{self, OfferSource, PaidCall};
use uuid::Uuid;

/// How long models are asked: the job has five minutes (RS-05), and the stand-in needs a moment of them.
const ASKING: Duration = Duration::from_secs(270);

/// What a recommendation is asked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) industry: String,
    pub(crate) region: Region,
    pub(crate) objective: Objective,
    pub(crate) season: Season,
    #[serde(default)]
    pub(crate) store: Option<StoreId>,
}

/// The cache key of a recommendation (CK-03, with season and prompt version).
pub(crate) fn key(industry: &str, region: &Region, objective: Objective, season: Season) -> String {
    format!("{industry}:{region}:{}:{}:{}", objective.code(), season.code(), prompt::RECOMMENDATION)
}

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Ok(input) = serde_json::from_value::<Input>(run.job.input.clone()) else {
        return Ok(End::Failed(
            json!({"code": "input", "messageKo": "요청을 읽을 수 없어요. 처음부터 다시 해 주세요.", "messageEn": "The request cannot be read."}),
        ));
    };
    let key = key(&input.industry, &input.region, input.objective, input.season);
    let industry = industry_of(&input.industry).unwrap_or(&INDUSTRIES[0]);
    run.progress(10, "asking", None).await?;
    let mut mode = None;
    let (proposal, source, as_of) = match ask(run, &input, industry).await {
        Ok((proposal, model)) => {
            mode = Some(run.tools.upstreams.mode(model));
            (proposal, OfferSource::Model, Utc::now())
        }
        Err(e) => {
            tracing::warn!(job = %run.job.id, error = %e, "the model gave no usable answer");
            stand_in(run, &key, &input, industry).await?
        }
    };
    let steps = [(60, 0), (75, 1), (90, 2)];
    for (percent, i) in steps {
        run.progress(percent, "options", Some(("option.ready", json!({"option": proposal.options[i]})))).await?;
    }
    store(run, &key, source, &proposal, as_of).await?;
    // What a simulated model proposes is called so.
    let result = json!({"options": proposal.options, "trends": proposal.trends, "mode": mode});
    let reason = match source {
        OfferSource::Model => None,
        OfferSource::LastGood => Some("last-good"),
        OfferSource::Template => Some("template"),
    };
    if source == OfferSource::Model {
        let cached = serde_json::to_vec(&result).unwrap_or_default();
        let ttl = storage::cache::ttl::RECOMMENDATION;
        run.tools.cache.set(&format!("ai:recommendation:{key}"), cached.into(), ttl).await;
    }
    Ok(End::Succeeded { result, fallback: reason.map(|r| fallback(r, Some(as_of))) })
}

/// Asks the models in turn, within a limit that leaves time for the stand-in.
async fn ask(run: &Run, input: &Input, industry: &Industry) -> Result<(Proposal, Upstream), UpstreamError> {
    let upstreams = &run.tools.upstreams;
    let mut last = UpstreamError::new(ErrorClass::Transient, "no model may be asked");
    let deadline = tokio::time::Instant::now() + ASKING;
    for (upstream, model) in upstreams.usable(&upstreams.models) {
        let asking = ask_one(run, input, industry, *upstream, model.as_ref());
        match tokio::time::timeout_at(deadline, asking).await {
            Ok(Ok(proposal)) => return Ok((proposal, *upstream)),
            Ok(Err(e)) => {
                tracing::warn!(job = %run.job.id, upstream = upstream.code(), error = %e, "no usable proposal");
                last = e;
            }
            Err(_) => return Err(UpstreamError::garbage("no time left")),
        }
    }
    Err(last)
}

/// Asks one model, and once more: with what was wrong with its answer, or more softly when it refused.
async fn ask_one(
    run: &Run,
    input: &Input,
    industry: &Industry,
    upstream: Upstream,
    model: &dyn LanguageModel,
) -> Result<Proposal, UpstreamError> {
    let (mut system, schema) = (prompt::system().to_owned(), prompt::schema());
    let mut turns = vec![prompt::recommendation(industry, &input.region, input.objective, input.season)];
    let mut last = UpstreamError::new(ErrorClass::Transient, "not asked");
    for _ in 0..2 {
        let call = || async {
            let answered = model.complete(&system, &turns, &schema).await;
            // What is refused is billed too, each time.
            if let Err(UpstreamError { spent: Some(spent), .. }) = &answered {
                paid(run, input.store, upstream, *spent, false).await;
            }
            answered
        };
        let answered = run.breakers.retrying(upstream, call).await;
        let completion = match answered {
            Ok(completion) => completion,
            Err(e) if e.class == ErrorClass::Refused => {
                last = e;
                turns.truncate(1);
                system.push_str(prompt::SOFTENED);
                continue;
            }
            Err(e) => return Err(e),
        };
        let parsed =
            serde_json::from_str::<Proposal>(&completion.text).map_err(|e| format!("not the JSON asked for: {e}"));
        let checked = parsed.and_then(|p| p.validate().map_err(|e| e.to_string()));
        paid(run, input.store, upstream, completion.spent, checked.is_ok()).await;
        match checked {
            Ok(proposal) => return Ok(with_own_ids(proposal)),
            Err(problem) => {
                turns.push(completion.text);
                turns
                    .push(format!("The answer was not usable: {problem}. Answer again, following the schema exactly."));
                last = UpstreamError::garbage(problem);
            }
        }
    }
    Err(last)
}

/// Ids that are unique everywhere, whatever the model called its options.
fn with_own_ids(mut proposal: Proposal) -> Proposal {
    for option in &mut proposal.options {
        option.id = Uuid::now_v7().to_string();
    }
    proposal
}

async fn paid(run: &Run, store: Option<StoreId>, upstream: Upstream, spent: Spent, succeeded: bool) {
    let call = PaidCall {
        store,
        upstream: upstream.code(),
        purpose: "recommendation",
        prompt: Some(prompt::RECOMMENDATION.to_owned()),
        tokens: spent.tokens,
        cost_centiwon: spent.cost_centiwon,
        succeeded,
    };
    super::images::record(run, call).await;
}

async fn stand_in(
    run: &Run,
    key: &str,
    input: &Input,
    industry: &Industry,
) -> Result<(Proposal, OfferSource, Instant), StorageError> {
    let wanted = key.to_owned();
    let good = run.tools.store.run(async move |c| offers::last_good(c, &wanted).await).await?;
    Ok(match good {
        Some((proposal, as_of)) => (proposal, OfferSource::LastGood, as_of),
        None => (
            with_own_ids(super::templates::proposal(industry, input.objective, input.season)),
            OfferSource::Template,
            Utc::now(),
        ),
    })
}

async fn store(
    run: &Run,
    key: &str,
    source: OfferSource,
    proposal: &Proposal,
    as_of: Instant,
) -> Result<(), StorageError> {
    let (event, key, proposal) = (run.job.event, key.to_owned(), proposal.clone());
    run.tools
        .store
        .run(async move |c| offers::insert(c, event, &key, prompt::RECOMMENDATION, source, &proposal, as_of).await)
        .await
}

/// What a cached or finished recommendation holds, as a proposal.
pub(crate) fn proposal_of(result: &Value) -> Option<Proposal> {
    serde_json::from_value(json!({"options": result.get("options")?, "trends": result.get("trends")?})).ok()
}
