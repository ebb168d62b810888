//! Recommendations.

use super::bodies::Recommend;
use super::events::owned;
use super::stores::{owned as owned_store, region};
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, Owner};
use crate::state::App;
use actors::requests::{RecommendationRequest, Recommended};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use domain::catalog::{Objective, industry_of};
use domain::ids::EventId;
use domain::time::Season;
use serde_json::json;

pub(crate) async fn recommend(State(app): State<App>, Owner(who): Owner, Body(body): Body<Recommend>) -> ApiResult {
    let season = match body.season.as_deref() {
        Some(code) => Season::parse(code).ok_or_else(|| Problem::field("season", "invalid-value"))?,
        None => Season::at(Utc::now()),
    };
    let request = if let Some(id) = body.event_id {
        let event = owned(&app, who, EventId(id)).await?;
        if !event.status.is_drafting() {
            return Err(domain::event::Rejection::WrongState(event.status).into());
        }
        let shop = owned_store(&app, who.user, event.store).await?;
        RecommendationRequest {
            industry: shop.industry,
            region: shop.region,
            objective: event.objective,
            season,
            store: Some(shop.id),
            event: Some(event.id),
            owner: who.user,
        }
    } else {
        let mut check = Check::default();
        let given = |value: &Option<String>| value.clone().ok_or("required");
        let industry =
            check.take("industry", given(&body.industry).and_then(|i| industry_of(&i).ok_or("industry-invalid")));
        let region = check.take("region", given(&body.region).and_then(|r| region(&r)));
        let objective =
            check.take("objective", given(&body.objective).and_then(|o| Objective::parse(&o).ok_or("invalid-value")));
        let (Some(industry), Some(region), Some(objective)) = (industry, region, objective) else {
            return Err(check.problem());
        };
        let store = app.store().run(async move |c| storage::stores::newest(c, who.user).await).await?.map(|s| s.id);
        RecommendationRequest {
            industry: industry.code.into(),
            region,
            objective,
            season,
            store,
            event: None,
            owner: who.user,
        }
    };
    answer(app.handles.recommend(request).await?)
}

/// 200 with the result, 202 with the job, or 429.
pub(crate) fn answer(recommended: Recommended) -> ApiResult<Response> {
    match recommended {
        Recommended::Now(mut result) => {
            result["cached"] = json!(true);
            Ok(Json(result).into_response())
        }
        Recommended::Job(job) => Ok((StatusCode::ACCEPTED, Json(json!({"jobId": job.id}))).into_response()),
        Recommended::QuotaExceeded => {
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded").retry_after(until_midnight()))
        }
    }
}

/// Until the quota of the Korean day is new.
pub(crate) fn until_midnight() -> std::time::Duration {
    let tomorrow = domain::time::kst_day(Utc::now()).succ_opt().and_then(|d| d.and_hms_opt(0, 0, 0));
    let midnight = tomorrow.and_then(|t| t.and_local_timezone(domain::time::kst()).single());
    midnight
        .and_then(|m| (m.with_timezone(&Utc) - Utc::now()).to_std().ok())
        .unwrap_or(std::time::Duration::from_secs(3600))
}
