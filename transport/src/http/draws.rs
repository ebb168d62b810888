//! The draw and its proof.

use super::bodies::Draw;
use super::events::owned;
use super::participation::by_slug;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Id, IfMatch, Origin, Owner, Query, versioned};
use crate::state::App;
use actors::DrawRequest;
use axum::Json;
use axum::body::{Body as Content, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::draw::proof::{DrawProof, RulePrize, Rules, proved_winners};
use domain::draw::{ALGORITHM, Leaf, commitment};
use domain::event::Event;
use domain::event::state::{hex, hex32};
use domain::ids::{DrawId, EventId};
use domain::phone::Phone;
use domain::rule::within;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use storage::draws::{Winner, digest};

/// Draws, once ever; any later call answers the same draw.
pub(crate) async fn draw(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
    IfMatch(version): IfMatch,
    Body(body): Body<Draw>,
) -> ApiResult {
    let alternates = body.alternates.unwrap_or(0);
    within("out-of-range", alternates, 0..=100).map_err(|e| Problem::field("alternates", e))?;
    let external = match body.external {
        Some(text) => Some(hex32(&text.to_lowercase()).ok_or_else(|| Problem::field("external", "invalid-value"))?),
        None => None,
    };
    let event = owned(&app, who, id).await?;
    // A repetition comes with the version of before the draw, and hears what was drawn.
    if !event.drawn {
        super::events::current(version, event.revision)?;
    }
    let drew = app.handles.events.get(id).draw(DrawRequest { owner: who.user, alternates, external }).await?;
    if drew {
        app.audit(Some(who), origin, "winners-drawn", format!("event:{id}"), json!({"alternates": alternates}));
    }
    let event = owned(&app, who, id).await?;
    let all = bodies(&app, &event).await?;
    let body = all.into_iter().next().ok_or_else(Problem::not_found)?;
    let status = if drew { StatusCode::CREATED } else { StatusCode::OK };
    Ok(versioned(status, event.revision, &body))
}

pub(crate) async fn list(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    query: Query,
) -> ApiResult<Json<Value>> {
    query.limit()?;
    let event = owned(&app, who, id).await?;
    Ok(Json(json!({"items": bodies(&app, &event).await?, "nextCursor": null})))
}

/// The public proof: what `madang draw verify` recomputes. The long part of it is finished once, and shared by all.
pub(crate) async fn public(State(app): State<App>, Id(slug): Id<String>) -> ApiResult<Response> {
    let event = by_slug(&app, &slug).await?;
    let id = event.id;
    let draws = app.store().run(move |c| Box::pin(async move { storage::draws::list(c, id).await })).await?;
    let draw = draws.into_iter().next().ok_or_else(Problem::not_found)?;
    let drawn = drawn(&app, &draw).await?;
    let phones = masked(&app, id, &drawn).await?;
    let entries = app.handles.entries(id).await?;
    let finish = || async {
        let proof = proof(&entries.leaves, &event, &draw, &drawn)?;
        let bytes = tokio::task::spawn_blocking(move || serde_json::to_vec(&proof)).await;
        bytes.ok().and_then(Result::ok).map(Bytes::from).ok_or_else(Problem::not_found)
    };
    let proof = entries.proof.get_or_try_init(finish).await?.clone();
    // Who holds the prizes now: erased winners forfeit, alternates move up. Not part of the proof.
    let rest = json!({"holders": holders(&drawn, &phones), "says": says(draw.external.is_none())}).to_string();
    // One object of two parts.
    let parts = [proof.slice(..proof.len() - 1), Bytes::from(format!(",{}", &rest[1..]))];
    let body = Content::from_stream(stream::iter(parts.map(Ok::<_, Infallible>)));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// What the proof proves, and no more.
fn says(without_external: bool) -> Value {
    let (mut ko, mut en) = (
        "이 증명은 마감 때 공개한 목록과 규칙, 미리 약속한 난수로 당첨자를 뽑았음을 보여 줍니다. 사장님과 운영자가 함께 짰거나 같은 사람일 가능성과, 지어낸 전화번호는 증명하지 못합니다.".to_owned(),
        "It shows that the winners follow from the list and rules published at the close and from a number promised before. It does not exclude that owner and operator acted together or are the same person, nor invented phone numbers.".to_owned(),
    );
    if without_external {
        ko.push_str(
            " 이 추첨에는 사장님의 난수가 쓰이지 않아, 서버를 운영하는 쪽은 마감 때 결과를 미리 알 수 있었습니다.",
        );
        en.push_str(" No number of the owner's went into this draw: whoever runs the server could know the result at the close.");
    }
    json!({"ko": ko, "en": en})
}

async fn bodies(app: &App, event: &Event) -> ApiResult<Vec<Value>> {
    let id = event.id;
    let draws = app.store().run(move |c| Box::pin(async move { storage::draws::list(c, id).await })).await?;
    let mut all = Vec::new();
    for draw in draws {
        let drawn = drawn(app, &draw).await?;
        let phones = masked(app, id, &drawn).await?;
        let entries = app.handles.entries(id).await?;
        let proof = proof(&entries.leaves, event, &draw, &drawn)?;
        let phone = |n: i64| phones.get(&n);
        let alternates = drawn.iter().filter(|w| w.rank.is_none() && w.forfeited_at.is_none());
        all.push(json!({
            "id": draw.id, "round": draw.round, "drawnAt": draw.at,
            "winners": holders(&drawn, &phones),
            "alternates": alternates.map(|w| json!({"position": w.position, "entryNo": w.entry_no, "maskedPhone": phone(w.entry_no)})).collect::<Vec<_>>(),
            "proof": proof,
        }));
    }
    Ok(all)
}

/// Everyone drawn, in order.
async fn drawn(app: &App, draw: &storage::draws::Draw) -> ApiResult<Vec<Winner>> {
    let id = DrawId(draw.id);
    Ok(app.store().run(move |c| Box::pin(async move { storage::draws::winners(c, id).await })).await?)
}

/// Who holds the prizes now, by rank.
fn holders(drawn: &[Winner], phones: &HashMap<i64, String>) -> Vec<Value> {
    let mut winners: Vec<&Winner> = drawn.iter().filter(|w| w.rank.is_some()).collect();
    winners.sort_by_key(|w| w.rank);
    winners
        .iter()
        .map(|w| json!({"prize": w.prize, "rank": w.rank, "entryNo": w.entry_no, "maskedPhone": phones.get(&w.entry_no)}))
        .collect()
}

async fn masked(app: &App, id: EventId, drawn: &[Winner]) -> ApiResult<HashMap<i64, String>> {
    let numbers = drawn.iter().map(|w| w.entry_no).collect();
    let rows =
        app.store().run(move |c| Box::pin(async move { storage::entries::by_number(c, id, numbers).await })).await?;
    let keys = &app.handles.shared.keys;
    let mut phones = HashMap::new();
    for row in rows {
        if let Some((_, phone)) = row.open(keys)? {
            phones.insert(row.entry_no, Phone::parse(&phone).map(|p| p.masked()).unwrap_or_default());
        }
    }
    Ok(phones)
}

/// The proof of a draw.
pub(crate) fn proof(
    leaves: &[Leaf],
    event: &Event,
    d: &storage::draws::Draw,
    drawn: &[Winner],
) -> storage::Result<DrawProof> {
    let prizes: Vec<RulePrize> =
        event.prizes.iter().map(|p| RulePrize { name: p.name.clone(), quantity: p.quantity }).collect();
    let numbers = |won: bool| -> Vec<u64> {
        drawn.iter().filter(|w| w.drawn_rank.is_some() == won).map(|w| w.entry_no as u64).collect()
    };
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
        rules: Rules { prizes, visit_weight: event.visit_weight, alternates: d.alternates as u32 },
        leaves: leaves.iter().map(|l| (l.weight, hex(&l.receipt_hash))).collect(),
        alternates: numbers(false),
    })
}
