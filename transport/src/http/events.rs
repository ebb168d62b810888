//! Making and running events.

use super::bodies::{Channels, Content, EditEvent, NewEvent, Plan};
use super::stores::owned as owned_store;
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Id, IfMatch, Origin, Owner, Query, not_modified, page, unchanged, versioned};
use crate::gateway::Patience;
use crate::state::App;
use actors::{EventError, view};
use actors::{pictures, publishing};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use creative::raster::modules_png;
use domain::catalog::Objective;
use domain::channel::{Channel, Source};
use domain::event::command::{MAX_IMAGES, PlanInput};
use domain::event::{Command, Event, Fact, Rejection, Status, Who};
use domain::ids::{EventId, ImageId, JobId, StoreId};
use domain::offer::EventOption;
use domain::rule::within;
use domain::text::search;
use domain::visit_code::{self, VisitClaim};
use fast_qr::convert::{Builder, svg::SvgBuilder};
use fast_qr::{ECL, QRBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use storage::events::Filter;

/// Four modules of white around a QR code, as its standard asks.
const QR_MARGIN: u32 = 4;
/// 720 pixels a side of a QR code at most: sharp in print at six centimetres.
const MAX_QR_PIXELS: u32 = 720;

/// An event of this owner, as its actor has it.
pub(crate) async fn owned(app: &App, who: Session, id: EventId) -> ApiResult<Arc<Event>> {
    let event = app.handles.events.get(id).read().await?;
    if event.owner == who.user { Ok(event) } else { Err(Problem::not_found()) }
}

/// Returns the version that a command must find, where the command itself reads the event.
async fn expected(app: &App, who: Session, id: EventId, asked: &IfMatch) -> ApiResult<Option<i64>> {
    match asked {
        IfMatch::Any => Ok(None),
        IfMatch::OneOf(_) => asked.on(owned(app, who, id).await?.revision),
    }
}

fn shown(event: &Event) -> Response {
    versioned(StatusCode::OK, event.revision, &view::event(event))
}

pub(crate) async fn create(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Body(body): Body<NewEvent>,
) -> ApiResult {
    let objective = Objective::parse(&body.objective).ok_or_else(|| Problem::field("objective", "invalid-value"))?;
    let store = match body.store_id {
        Some(id) => owned_store(&app, who.user, StoreId(id)).await?.id,
        None => {
            let first = app.store().run(async move |c| storage::stores::list(c, who.user, None, 1).await).await?;
            first.first().ok_or_else(|| Problem::field("storeId", "required"))?.id
        }
    };
    let event = Event::draft(EventId::new(), pictures::unguessable(), who.user, store, objective, actors::clock::now());
    let event = app.handles.create_event(event, vec![Fact::Created { objective }], Vec::new()).await?;
    app.audit(Some(who), origin, "event-created", format!("event:{}", event.id), json!({"objective": objective}));
    Ok(versioned(StatusCode::CREATED, event.revision, &view::event(&event)))
}

pub(crate) async fn list(State(app): State<App>, Owner(who): Owner, query: Query) -> ApiResult<Json<Value>> {
    let limit = query.limit()?;
    let statuses = match query.get("status") {
        Some(word) => Status::filter(word).ok_or_else(|| Problem::field("status", "invalid-value"))?,
        None => Vec::new(),
    };
    let filter = Filter {
        owner: who.user,
        statuses,
        q: query.get("q").map(search).transpose().map_err(|e| Problem::field("q", e))?.flatten(),
        before: query.cursor::<EventId>()?,
        limit: limit + 1,
    };
    let rows = app.store().run(async move |c| storage::events::list(c, filter).await).await?;
    Ok(Json(page(rows, limit, |e| e.id.to_string(), |e| view::event(&e))))
}

pub(crate) async fn one(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    headers: HeaderMap,
) -> ApiResult {
    let event = owned(&app, who, id).await?;
    Ok(if unchanged(&headers, event.revision) { not_modified(event.revision) } else { shown(&event) })
}

async fn command(
    app: &App,
    who: Session,
    id: EventId,
    command: Command,
    if_match: Option<i64>,
) -> ApiResult<Arc<Event>> {
    Ok(app.handles.events.get(id).command(Who::Owner(who.user), command, if_match).await?)
}

pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
    Body(body): Body<EditEvent>,
) -> ApiResult {
    let event = owned(&app, who, id).await?;
    let edit = Command::Edit { title: body.title, ends_at: body.ends_at };
    let version = asked.on(event.revision)?;
    Ok(shown(&*command(&app, who, id, edit, version).await?))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
) -> ApiResult<StatusCode> {
    asked.on(owned(&app, who, id).await?.revision)?;
    app.handles.events.get(id).delete(who.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn plan(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
    Body(body): Body<Plan>,
) -> ApiResult {
    let event = owned(&app, who, id).await?;
    let version = asked.on(event.revision)?;
    if !event.status.is_drafting() {
        return Err(Rejection::WrongState(event.status).into());
    }
    let option = option_of(&app, who, &event, &body.option_id, body.job_id.map(JobId)).await?;
    let input = PlanInput {
        option,
        title: body.title,
        starts_at: body.starts_at,
        ends_at: body.ends_at,
        prizes: body.prizes,
        visit_weight: body.visit_bonus.map(|b| b.map(|b| b.weight)),
    };
    Ok(shown(&*command(&app, who, id, Command::Plan(Box::new(input)), version).await?))
}

/// An option that was offered for this event, or by a job of this owner, or is the event's own.
async fn option_of(app: &App, who: Session, event: &Event, option: &str, job: Option<JobId>) -> ApiResult<EventOption> {
    let unknown = || Problem::field("optionId", "option-unknown");
    // A named job is judged wherever the option comes from: that of another account is refused like one that never was.
    let job = match job {
        None => None,
        Some(id) => {
            let found = app.store().run(async move |c| storage::jobs::get(c, id).await).await?;
            Some(found.filter(|job| job.owner == Some(who.user)).ok_or_else(unknown)?)
        }
    };
    if let Some(own) = event.option.as_ref().filter(|o| o.id == option) {
        return Ok(own.clone());
    }
    let (id, wanted) = (event.id, option.to_owned());
    let offered = app.store().run(async move |c| storage::offers::option_of_event(c, id, &wanted).await).await?;
    if let Some(found) = offered {
        return Ok(found);
    }
    let result = job.and_then(|job| job.result).ok_or_else(unknown)?;
    let options: Vec<EventOption> =
        serde_json::from_value(result.get("options").cloned().unwrap_or_default()).map_err(|_| unknown())?;
    options.into_iter().find(|o| o.id == option).ok_or_else(unknown)
}

pub(crate) async fn content(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
    Body(body): Body<Content>,
) -> ApiResult {
    let event = owned(&app, who, id).await?;
    let version = asked.on(event.revision)?;
    if !matches!(event.status, Status::Planned | Status::Ready) {
        return Err(Rejection::WrongState(event.status).into());
    }
    // Bounded before the database is asked.
    if body.image_ids.is_empty() {
        return Err(Problem::field("imageIds", "required"));
    }
    within("too-many", body.image_ids.len() as i64, 1..=MAX_IMAGES as i64)
        .map_err(|e| Problem::field("imageIds", e))?;
    let mut ids = body.image_ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let found = app.store().run(async move |c| storage::images::newest_of(c, ids).await).await?;
    for (i, wanted) in body.image_ids.iter().enumerate() {
        if !found.iter().any(|image| image.id.0 == *wanted && image.event == id) {
            return Err(Problem::field(format!("imageIds[{i}]"), "image-unknown"));
        }
    }
    let images = body.image_ids.into_iter().map(ImageId).collect();
    Ok(shown(&*command(&app, who, id, Command::ChooseContent(images), version).await?))
}

pub(crate) async fn channels(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
    Body(body): Body<Channels>,
) -> ApiResult {
    let version = expected(&app, who, id, &asked).await?;
    Ok(shown(&*command(&app, who, id, Command::ChooseChannels(body.channels), version).await?))
}

/// A copy as a new draft: plan, pictures and channels, no dates. Nothing is painted: both events show the same files.
pub(crate) async fn duplicate(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
) -> ApiResult {
    let old = owned(&app, who, id).await?;
    let store = owned_store(&app, who.user, old.store).await?.id;
    let mut new =
        Event::draft(EventId::new(), pictures::unguessable(), who.user, store, old.objective, actors::clock::now());
    let mut facts = vec![Fact::Created { objective: old.objective }];
    let ids = old.content.iter().map(|c| c.image.0).collect();
    let chosen = app.store().run(async move |c| storage::images::newest_of(c, ids).await).await?;
    let mut copies = Vec::new();
    if let (Some(option), Some(title)) = (old.option.clone(), old.title.clone()) {
        copies.extend(chosen.into_iter().map(|picture| pictures::copy(picture, new.id)));
        let images = copies.iter().map(|i| i.id).collect();
        let fact = Fact::Duplicated {
            from: id,
            option,
            title,
            prizes: old.prizes.clone(),
            visit_weight: old.visit_weight,
            images,
            channels: old.channels.clone(),
        };
        new.apply(&fact, actors::clock::now());
        facts.push(fact);
    }
    let new = app.handles.create_event(new, facts, copies).await?;
    app.audit(Some(who), origin, "event-created", format!("event:{}", new.id), json!({"from": id}));
    Ok(versioned(StatusCode::CREATED, new.revision, &view::event(&new)))
}

pub(crate) async fn preflight(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
) -> ApiResult<Json<Value>> {
    let event = owned(&app, who, id).await?;
    let ids = event.content.iter().map(|c| c.image.0).collect();
    let images = app.store().run(async move |c| storage::images::newest_of(c, ids).await).await?;
    let tools = app.handles.tools();
    let channels: Vec<Value> = event
        .channels
        .iter()
        .map(|channel| {
            let missing = publishing::missing(tools, *channel, &images);
            let listed: Vec<Value> = missing.iter().map(|m| json!({"code": m.code, "messageKo": m.message_ko, "messageEn": m.message_en})).collect();
            json!({"channel": channel, "mode": tools.upstreams.mode((*channel).into()), "ok": missing.is_empty(), "missing": listed, "costWon": channel.price_won()})
        })
        .collect();
    Ok(Json(json!({"ready": event.status == Status::Ready, "channels": channels})))
}

pub(crate) async fn approve(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
    asked: IfMatch,
    patience: Patience,
    query: Query,
) -> ApiResult {
    let wait = query.wait()?;
    let version = expected(&app, who, id, &asked).await?;
    let approval = app.handles.events.get(id).approve(who.user, version).await?;
    app.audit(
        Some(who),
        origin,
        "event-approved",
        format!("event:{id}"),
        json!({"distribution": approval.distribution}),
    );
    patience.grant(wait);
    let ended = !wait.is_zero() && super::distribution::wait_ended(&app, approval.distribution, wait).await?;
    let event = if ended { owned(&app, who, id).await? } else { approval.event };
    let status = if ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(versioned(
        status,
        event.revision,
        &json!({"event": view::event(&event), "distributionId": approval.distribution}),
    ))
}

pub(crate) async fn pause(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>, asked: IfMatch) -> ApiResult {
    let version = expected(&app, who, id, &asked).await?;
    Ok(shown(&*command(&app, who, id, Command::Pause { reason: None }, version).await?))
}

pub(crate) async fn resume(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
) -> ApiResult {
    let version = expected(&app, who, id, &asked).await?;
    Ok(shown(&*command(&app, who, id, Command::Resume, version).await?))
}

pub(crate) async fn close(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>, asked: IfMatch) -> ApiResult {
    let version = expected(&app, who, id, &asked).await?;
    Ok(shown(&*command(&app, who, id, Command::Close { by_time: false }, version).await?))
}

pub(crate) async fn cancel(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    asked: IfMatch,
) -> ApiResult {
    let version = expected(&app, who, id, &asked).await?;
    Ok(shown(&*command(&app, who, id, Command::Cancel, version).await?))
}

/// The link behind a QR code, counted for a source.
async fn qr_link(app: &App, who: Session, id: EventId, query: &Query) -> ApiResult<String> {
    let event = owned(app, who, id).await?;
    let source = match query.get("channel") {
        Some(code) => Source::parse(code).ok_or_else(|| Problem::field("channel", "invalid-value"))?,
        None => Source::Qr,
    };
    let link = match Channel::parse(source.code()) {
        Some(channel) => publishing::tracking_link(&app.public_url, &event.slug, channel),
        None => format!("{}/e/{}?c={source}", app.public_url, event.slug),
    };
    // Shown in the shop: who scans it has been there.
    match query.get("v").map(VisitClaim::parse) {
        None => Ok(link),
        Some(Some(VisitClaim::Token(token))) => Ok(format!("{link}&v={token}")),
        Some(_) => Err(Problem::field("v", "invalid-value")),
    }
}

fn qr(link: &str) -> ApiResult<fast_qr::QRCode> {
    QRBuilder::new(link).ecl(ECL::M).build().map_err(|_| Problem::field("channel", "too-long"))
}

pub(crate) async fn qr_svg(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>, query: Query) -> ApiResult {
    let code = qr(&qr_link(&app, who, id, &query).await?)?;
    let svg = SvgBuilder::default().margin(QR_MARGIN as usize).to_str(&code);
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

pub(crate) async fn qr_png(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>, query: Query) -> ApiResult {
    let code = qr(&qr_link(&app, who, id, &query).await?)?;
    let drawn = tokio::task::spawn_blocking(move || {
        let is_dark = |x: u32, y: u32| code[y as usize][x as usize].value();
        modules_png(code.size as u32, QR_MARGIN, MAX_QR_PIXELS, is_dark)
    })
    .await;
    match drawn {
        Ok(Ok(png)) => Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response()),
        _ => Err(EventError::Unavailable.into()),
    }
}

/// The code and the token of this minute. The page that a token's QR code leads to has it as `v` in its query.
pub(crate) async fn visit_code(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
) -> ApiResult<Json<Value>> {
    owned(&app, who, id).await?;
    let code = visit_code::current(&app.handles.visit_key(id), actors::clock::now());
    Ok(Json(json!({"code": code.code, "token": code.token, "validUntil": code.valid_until})))
}

/// A token to be printed, good for a day or until papers are voided.
pub(crate) async fn visit_paper(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
) -> ApiResult {
    let event = owned(&app, who, id).await?;
    if event.status.is_over() {
        return Err(Rejection::WrongState(event.status).into());
    }
    let paper = visit_code::paper(&app.handles.visit_key(id), event.visit_papers, actors::clock::now());
    app.audit(Some(who), origin, "visit-paper-made", format!("event:{id}"), json!({"validUntil": paper.valid_until}));
    let body = json!({"token": paper.token, "validUntil": paper.valid_until});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Voids every token on paper.
pub(crate) async fn void_visit_papers(
    State(app): State<App>,
    Owner(who): Owner,
    Origin(origin): Origin,
    Id(id): Id<EventId>,
    asked: IfMatch,
) -> ApiResult<StatusCode> {
    let version = expected(&app, who, id, &asked).await?;
    command(&app, who, id, Command::VoidVisitPapers, version).await?;
    app.audit(Some(who), origin, "visit-papers-voided", format!("event:{id}"), json!({}));
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn facts(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<EventId>,
    query: Query,
) -> ApiResult<Json<Value>> {
    owned(&app, who, id).await?;
    let (limit, after) = (query.limit()?, query.cursor::<i64>()?.unwrap_or(0));
    let rows = app.store().run(async move |c| storage::events::facts(c, id, after, limit + 1).await).await?;
    let body = |f: storage::events::FactRow| json!({"revision": f.revision, "what": f.kind, "kind": f.kind, "data": f.data, "who": f.who, "at": f.at, "when": f.at});
    Ok(Json(page(rows, limit, |f| f.revision.to_string(), body)))
}
