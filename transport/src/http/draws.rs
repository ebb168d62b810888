//! The draw and its proof.

use super::bodies::Draw as NewDraw;
use super::events::owned;
use super::finished::{FinishedBody, SendAsIs, turn_to_make};
use super::participation::by_slug;
use super::published::DrawBodies;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Id, IfMatch, Origin, Owner, Query, tag};
use crate::state::App;
use actors::DrawRequest;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use domain::draw::proof::{DrawProof, MAX_ALTERNATES, RulePrize, Rules, proved_winners};
use domain::draw::{ALGORITHM, Holder, Leaf, PassedOn, PublishedDraw, commitment};
use domain::event::Event;
use domain::event::state::{hex, hex32};
use domain::ids::{DrawId, EventId};
use domain::phone::Phone;
use domain::rule::within;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use storage::StorageError;
use storage::crypto::Keyring;
use storage::draws::{Draw, Winner, digest};
use storage::entries::Participant;

/// Draws, once ever; any later call answers the same draw.
pub(crate) async fn draw(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
    asked: IfMatch,
    Body(body): Body<NewDraw>,
) -> ApiResult {
    let alternates = body.alternates.unwrap_or(0);
    within("out-of-range", alternates, 0..=i64::from(MAX_ALTERNATES)).map_err(|e| Problem::field("alternates", e))?;
    let external = match body.external {
        Some(text) => Some(hex32(&text.to_lowercase()).ok_or_else(|| Problem::field("external", "invalid-value"))?),
        None => None,
    };
    let event = owned(&app, who, id).await?;
    // A repetition comes with the version of before the draw, and hears what was drawn.
    if !event.drawn {
        asked.on(event.revision)?;
    }
    let drew = app.handles.events.get(id).draw(DrawRequest { owner: who.user, alternates, external }).await?;
    if drew {
        app.audit(Some(who), origin, "winners-drawn", format!("event:{id}"), json!({"alternates": alternates}));
    }
    let event = owned(&app, who, id).await?;
    let bodies = app.published.of(&app, &event).await?;
    let status = if drew { StatusCode::CREATED } else { StatusCode::OK };
    let mut answer = (status, [(header::CONTENT_TYPE, "application/json")], only(&bodies.list)).into_response();
    answer.headers_mut().insert(header::ETAG, tag(event.revision));
    answer.extensions_mut().insert(SendAsIs);
    Ok(answer)
}

pub(crate) async fn list(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    headers: HeaderMap,
    query: Query,
) -> ApiResult {
    query.limit()?;
    let event = owned(&app, who, id).await?;
    match app.published.of(&app, &event).await {
        Ok(bodies) => {
            let mut answer = bodies.list.answer(&headers).await;
            // An owner's own, with masked phones: nobody keeps it.
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(answer)
        }
        Err(problem) if problem.status == StatusCode::NOT_FOUND => {
            Ok(Json(json!({"items": [], "nextCursor": null})).into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// The public proof: what `madang draw verify` recomputes. It holds no phone.
pub(crate) async fn public(State(app): State<App>, Id(slug): Id<String>, headers: HeaderMap) -> ApiResult {
    let event = by_slug(&app, &slug).await?;
    Ok(app.published.of(&app, &event).await?.proof.answer(&headers).await)
}

/// Returns the present holders of the prizes, for pages: small where the proof is long.
pub(crate) async fn winners(State(app): State<App>, Id(slug): Id<String>, headers: HeaderMap) -> ApiResult {
    let event = by_slug(&app, &slug).await?;
    Ok(app.published.of(&app, &event).await?.winners.answer(&headers).await)
}

/// What the owner's list begins and ends with, around its one draw: a part of it is the answer of the draw itself.
const LIST: (&str, &str) = ("{\"items\":[", "],\"nextCursor\":null}");

/// The owner's draw, out of the list.
fn only(list: &FinishedBody) -> Bytes {
    let all = list.plain();
    all.slice(LIST.0.len()..all.len() - LIST.1.len())
}

/// Makes everything that is read of an event's draw, off the runtime's threads.
pub(super) async fn bodies_of(app: &App, event: &Arc<Event>) -> ApiResult<DrawBodies> {
    let (id, event) = (event.id, event.clone());
    let draws = app.store().run(async move |c| storage::draws::list(c, id).await).await?;
    let draw = draws.into_iter().next().ok_or_else(Problem::not_found)?;
    let drawn = drawn(app, &draw).await?;
    let numbers = drawn.iter().map(|w| w.entry_no).collect();
    let rows = app.store().run(async move |c| storage::entries::by_number(c, id, numbers).await).await?;
    let turn = turn_to_make().await;
    let (entries, keys) = (app.handles.entries(id).await?, app.handles.tools().keys.clone());
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let phones = masked(&keys, &rows)?;
        let proof = proof(&entries.leaves, &event, &draw, &drawn)?;
        let list = serde_json::to_string(&owners(&draw, &drawn, &phones, &proof)).map_err(corrupt)?;
        let public = serde_json::to_vec(&published(proof, &drawn)?).map_err(corrupt)?;
        let winners = json!({"drawnAt": draw.at, "winners": holders(&drawn, &phones)});
        let finished = |bytes| Arc::new(FinishedBody::new(bytes));
        Ok::<_, StorageError>(DrawBodies {
            proof: finished(public),
            winners: finished(winners.to_string().into_bytes()),
            list: finished([LIST.0, &list, LIST.1].concat().into_bytes()),
        })
    });
    match made.await {
        Ok(made) => Ok(made?),
        Err(e) => Err(StorageError::Other(e.to_string()).into()),
    }
}

fn corrupt(e: impl std::fmt::Display) -> StorageError {
    StorageError::Corrupt(e.to_string())
}

/// A draw as its owner sees it.
fn owners(draw: &Draw, drawn: &[Winner], phones: &HashMap<i64, String>, proof: &DrawProof) -> Value {
    let alternates = drawn.iter().filter(|w| w.rank.is_none() && w.forfeited_at.is_none());
    let alternate =
        |w: &Winner| json!({"position": w.position, "entryNo": w.entry_no, "maskedPhone": phones.get(&w.entry_no)});
    json!({
        "id": draw.id, "round": draw.round, "drawnAt": draw.at,
        "winners": holders(drawn, phones),
        "alternates": alternates.map(alternate).collect::<Vec<_>>(),
        "proof": proof,
    })
}

/// Everyone drawn, in order.
async fn drawn(app: &App, draw: &Draw) -> ApiResult<Vec<Winner>> {
    let id = DrawId(draw.id);
    Ok(app.store().run(async move |c| storage::draws::winners(c, id).await).await?)
}

/// The present holders of the prizes, by rank.
fn held(drawn: &[Winner]) -> Vec<&Winner> {
    let mut winners: Vec<&Winner> = drawn.iter().filter(|w| w.rank.is_some()).collect();
    winners.sort_by_key(|w| w.rank);
    winners
}

/// What was passed on, in order. A node of before the numbers, which serves beside this one during an upgrade, gives none:
/// the instant decides first.
fn gone(drawn: &[Winner]) -> Vec<&Winner> {
    let mut gone: Vec<&Winner> = drawn.iter().filter(|w| w.forfeited_at.is_some()).collect();
    gone.sort_by_key(|w| (w.forfeited_at, w.passed_on_no, w.entry_no));
    gone
}

/// The holders with masked phones.
fn holders(drawn: &[Winner], phones: &HashMap<i64, String>) -> Vec<Value> {
    held(drawn)
        .iter()
        .map(|w| json!({"prize": w.prize, "rank": w.rank, "entryNo": w.entry_no, "maskedPhone": phones.get(&w.entry_no)}))
        .collect()
}

/// Masked phones by entry number, of those who are still known.
fn masked(keys: &Keyring, rows: &[Participant]) -> storage::Result<HashMap<i64, String>> {
    let mut phones = HashMap::new();
    for row in rows {
        if let Some((_, phone)) = row.open(keys)? {
            phones.insert(row.entry_no, Phone::parse(&phone).map(|p| p.masked()).unwrap_or_default());
        }
    }
    Ok(phones)
}

/// The public file of a draw.
pub(crate) fn published(proof: DrawProof, drawn: &[Winner]) -> storage::Result<PublishedDraw> {
    let holder = |w: &&Winner| Holder {
        prize: w.prize.clone().unwrap_or_default(),
        rank: w.rank.unwrap_or_default() as u32,
        entry_no: w.entry_no as u64,
        masked_phone: None,
    };
    let passed_on = |w: &&Winner| Some(PassedOn { entry_no: w.entry_no as u64, why: w.why(), at: w.forfeited_at? });
    let holders = held(drawn).iter().map(holder).collect();
    let passed_on = gone(drawn).iter().filter_map(passed_on).collect();
    PublishedDraw::new(proof, holders, passed_on).map_err(corrupt)
}

/// The proof of a draw.
pub(crate) fn proof(leaves: &[Leaf], event: &Event, d: &Draw, drawn: &[Winner]) -> storage::Result<DrawProof> {
    let prizes: Vec<RulePrize> =
        event.prizes.iter().map(|p| RulePrize { name: p.name.clone(), quantity: p.quantity }).collect();
    let numbers = |won: bool| -> Vec<u64> {
        drawn.iter().filter(|w| w.drawn_rank.is_some() == won).map(|w| w.entry_no as u64).collect()
    };
    let alternates = numbers(false);
    Ok(DrawProof {
        algorithm: ALGORITHM.into(),
        event_id: event.id,
        round: d.round as u32,
        commitment: hex(&commitment(&digest(&d.seed)?)),
        seed: hex(&d.seed),
        external: d.external.as_deref().map(hex),
        root: hex(&d.root),
        merkle_root: hex(&d.merkle_root),
        count: d.entries as u64,
        winners: proved_winners(&prizes, &numbers(true)),
        rules: Rules { prizes, visit_weight: event.visit_weight, alternates: alternates.len() as u32 },
        leaves: leaves.iter().map(|l| (l.weight, hex(&l.receipt_hash))).collect(),
        alternates,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// During a rolling upgrade the nodes of before pass prizes on without a number.
    #[test]
    fn what_was_passed_on_goes_by_its_instant() {
        let at = |seconds: i64| chrono::DateTime::from_timestamp(1_800_000_000 + seconds, 0);
        let drawn = |(entry_no, forfeited_at, passed_on_no)| Winner {
            position: 1,
            entry_no,
            drawn_rank: None,
            rank: None,
            prize: None,
            forfeited_at,
            passed_on_no,
            passed_on_why: None,
        };
        let all = [(9, at(3), None), (8, at(4), Some(2)), (7, at(2), Some(1)), (6, None, None), (5, at(1), None)]
            .map(drawn)
            .to_vec();
        assert_eq!(gone(&all).iter().map(|w| w.entry_no).collect::<Vec<_>>(), [5, 7, 9, 8]);
        // Those of one transaction of before went by entry number, and have their numbers in that order.
        let together = [(3, at(1), Some(2)), (2, at(1), Some(1)), (1, at(1), None)].map(drawn).to_vec();
        assert_eq!(gone(&together).iter().map(|w| w.entry_no).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
