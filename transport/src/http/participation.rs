//! Customers: the public page, entries, receipts. And the owner's list of participants.

use super::bodies::Enter;
use super::events::owned;
use crate::error::{ApiResult, Problem, prefers_english};
use crate::extract::{Body, Check, Id, Origin, Owner, Query, page};
use crate::gateway::idempotency_key;
use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::channel::Source;
use domain::entry::{Consents, EntryForm};
use domain::event::Event;
use domain::event::state::hex;
use domain::ids::EventId;
use domain::phone::Phone;
use domain::text::PersonName;
use domain::visit_code::VisitClaim;
use serde_json::{Value, json};
use std::sync::Arc;
use storage::entries::{Participant, Receipted, flag};

/// The event behind a slug, once it is approved.
pub(crate) async fn by_slug(app: &App, slug: &str) -> ApiResult<Arc<Event>> {
    let id = app.slugs.id(app, slug).await?;
    let event = app.handles.events.get(id).read().await?;
    // A draft that was called off was never public.
    if event.status.is_drafting() || event.commitment.is_none() { Err(Problem::not_found()) } else { Ok(event) }
}

/// What everybody may see of an event.
pub(crate) async fn public(State(app): State<App>, Id(slug): Id<String>, headers: HeaderMap) -> ApiResult<Response> {
    let page = app.handles.events.get(app.slugs.id(&app, &slug).await?).public().await?;
    let body = if prefers_english(&headers) { &page.body().english } else { &page.body().korean };
    Ok(([(header::CONTENT_TYPE, "application/json")], body.clone()).into_response())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Entered {
    entry_no: i64,
    receipt: String,
    entered_at: domain::time::Instant,
}

/// Enters a customer. No limit by address: carriers and shop Wi-Fi put hundreds behind one.
pub(crate) async fn enter(
    State(app): State<App>,
    Id(slug): Id<String>,
    Origin(origin): Origin,
    headers: HeaderMap,
    Body(body): Body<Enter>,
) -> ApiResult {
    let mut check = Check::default();
    let name = check.take("name", PersonName::parse(&body.name));
    let phone = check.take("phone", Phone::parse(&body.phone).map_err(|_| "phone-invalid"));
    let consents = body.consents.map_or_else(Consents::default, Consents::from);
    check.take("consents.privacy", if consents.privacy { Ok(()) } else { Err("consent-required") });
    let source = body.channel.as_deref().map_or(Ok(Source::Direct), |c| Source::parse(c).ok_or("invalid-value"));
    let source = check.take("channel", source);
    let key = check.take("Idempotency-Key", idempotency_key(&headers));
    let (true, Some(name), Some(phone), Some(source), Some(key)) = (consents.privacy, name, phone, source, key) else {
        return Err(check.problem());
    };
    let id = app.slugs.id(&app, &slug).await?;
    let form = EntryForm {
        name,
        phone,
        consents,
        source,
        visit_code: body.visit_code.as_deref().and_then(VisitClaim::parse),
        address: Some(origin),
        notice_version: body.notice_version,
        idempotency_key: key,
    };
    let entered = app.handles.events.get(id).enter(form).await?;
    let body = Entered { entry_no: entered.entry_no, receipt: entered.receipt, entered_at: entered.entered_at };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn receipted(app: &App, receipt: &str) -> ApiResult<Receipted> {
    if receipt.len() > 64 || !receipt.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Problem::not_found());
    }
    let hash = actors::Handles::receipt_hash(receipt);
    let found = app.store().run(async move |c| storage::entries::by_receipt(c, hash).await).await?;
    found.ok_or_else(Problem::not_found)
}

/// What a receipt proves: number, event, and after the draw result and inclusion.
pub(crate) async fn receipt(State(app): State<App>, Id(receipt): Id<String>) -> ApiResult<Json<Value>> {
    let r = receipted(&app, &receipt).await?;
    let event = app.handles.events.get(EventId(r.event_id)).read().await?;
    let mut body = json!({
        "entryNo": r.entry_no, "enteredAt": r.entered_at,
        "event": {"slug": event.slug, "title": event.title, "status": event.status, "endsAt": event.ends_at},
    });
    if event.drawn {
        body["draw"] = result_of(&app, &event, r.entry_no).await?;
    }
    Ok(Json(body))
}

async fn result_of(app: &App, event: &Event, entry_no: i64) -> ApiResult<Value> {
    let id = event.id;
    let place = app.store().run(async move |c| storage::draws::place_of(c, id, entry_no).await).await?;
    let result = match &place {
        Some(w) if w.rank.is_some() => "won",
        Some(w) if w.forfeited_at.is_none() => "alternate",
        _ => "not-won",
    };
    let entries = app.handles.entries(id).await?;
    let index = usize::try_from(entry_no - 1).unwrap_or(0);
    let leaf = entries.leaves.get(index);
    Ok(json!({
        "result": result, "won": result == "won", "prize": place.as_ref().and_then(|w| w.prize.clone()), "rank": place.as_ref().and_then(|w| w.rank),
        "inclusionProof": {
            "index": index, "count": entries.leaves.len(), "weight": leaf.map(|l| l.weight), "receiptHash": leaf.map(|l| hex(&l.receipt_hash)),
            "path": entries.tree.path(index).unwrap_or_default().iter().map(|h| hex(h)).collect::<Vec<_>>(), "merkleRoot": hex(&entries.tree.root()),
            "root": event.root.map(|(r, _)| hex(&r)),
        },
    }))
}

/// Erases an entry: name, phone and index are blanked.
pub(crate) async fn erase(
    State(app): State<App>,
    Id(receipt): Id<String>,
    Origin(origin): Origin,
) -> ApiResult<Response> {
    let r = receipted(&app, &receipt).await?;
    if !app.handles.events.get(EventId(r.event_id)).erase(r.entry_no).await? {
        return Err(Problem::not_found());
    }
    app.published.changed(EventId(r.event_id));
    // Outside the database too: whoever restores an older one erases it anew.
    tracing::info!(event = %r.event_id, entry_no = r.entry_no, "an entry was erased");
    app.audit(None, origin, "entry-erased", format!("event:{}", r.event_id), json!({"entryNo": r.entry_no}));
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The owner's list, masked. Who saw whose data is recorded.
pub(crate) async fn participants(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
    query: Query,
) -> ApiResult<Json<Value>> {
    owned(&app, who, id).await?;
    let (limit, after) = (query.limit()?, query.cursor::<i64>()?.unwrap_or(0));
    let source = query
        .get("channel")
        .map(|c| Source::parse(c).ok_or_else(|| Problem::field("channel", "invalid-value")))
        .transpose()?;
    let visited = match query.get("visited") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Problem::field("visited", "invalid-value")),
    };
    let rows =
        app.store().run(async move |c| storage::entries::page(c, id, source, visited, after, limit + 1).await).await?;
    let (first, last) = (rows.first().map(|r| r.entry_no), rows.last().map(|r| r.entry_no));
    app.audit(Some(who), origin, "participants-read", format!("event:{id}"), json!({"from": first, "to": last}));
    let keys = app.handles.tools().keys.clone();
    let shown: Vec<(i64, Value)> =
        rows.into_iter().map(|r| Ok((r.entry_no, participant(&keys, &r)?))).collect::<ApiResult<_>>()?;
    Ok(Json(page(shown, limit, |(n, _)| n.to_string(), |(_, body)| body)))
}

fn participant(keys: &storage::crypto::Keyring, r: &Participant) -> ApiResult<Value> {
    let (name, phone) = r.open(keys)?.unwrap_or_default();
    let name = PersonName::stored(&name).masked();
    let phone = Phone::parse(&phone).map(|p| p.masked()).unwrap_or_default();
    let source = Source::ALL.get(usize::try_from(r.channel).unwrap_or(7)).copied().unwrap_or(Source::Direct);
    Ok(json!({
        "entryNo": r.entry_no, "maskedName": name, "maskedPhone": phone, "channel": source,
        "visited": r.flags & flag::VISITED != 0, "enteredAt": r.entered_at,
    }))
}
