//! Pictures.

use super::bodies::{EditImage, MakeImages, PaletteBody};
use super::events::owned;
use super::recommendations::{answer, until_midnight};
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, Id, IfMatch, Owner, versioned};
use crate::state::App;
use actors::pictures::{self, ImageEdit, PictureError};
use actors::view;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use creative::Palette;
use domain::channel::{Platform, Style};
use domain::event::command::{MAX_IMAGES, MAX_TITLE};
use domain::event::{Event, Rejection};
use domain::ids::{EventId, ImageId};
use domain::rule::{Broken, within};
use domain::text::{TextError, line, paragraph};
use serde_json::{Value, json};
use std::sync::Arc;
use storage::StorageError;
use storage::images::Image;

fn body_of(app: &App, image: &Image) -> Value {
    view::image(image, &app.public_url)
}

pub(crate) async fn make(State(app): State<App>, Owner(who): Owner, Body(body): Body<MakeImages>) -> ApiResult {
    let event = owned(&app, who, EventId(body.event_id)).await?;
    if !event.status.is_drafting() || event.title.is_none() {
        return Err(Rejection::WrongState(event.status).into());
    }
    let mut check = Check::default();
    let styles = check.take("styles", kinds(body.styles, Style::ALL));
    let platforms = check.take("platforms", kinds(body.platforms, Platform::ALL));
    let (Some(styles), Some(platforms)) = (styles, platforms) else { return Err(check.problem()) };
    let title = event.title.clone().unwrap_or_default();
    let have = pictures::look(app.handles.tools(), &event, None).await?;
    // A picture that could not follow the plan yet is shown as it is: no paid drawing stands in for it.
    let fits = |i: &Image| i.headline == title || !i.own_headline;
    let wanted = |i: &&Image| styles.contains(&i.style) && platforms.contains(&i.platform) && fits(i);
    // Requests that overlapped may have made two of a kind: the newest one stands.
    let mut kinds: std::collections::BTreeMap<(Style, Platform), &Image> = std::collections::BTreeMap::new();
    for image in have.iter().filter(wanted) {
        kinds.insert((image.style, image.platform), image);
    }
    let fitting: Vec<&Image> = kinds.into_values().collect();
    let all =
        styles.iter().all(|s| platforms.iter().all(|p| fitting.iter().any(|i| i.style == *s && i.platform == *p)));
    if all {
        let images: Vec<Value> = fitting.into_iter().map(|i| body_of(&app, i)).collect();
        return Ok(Json(json!({"images": images})).into_response());
    }
    answer(app.handles.draw_images(&event, &styles, &platforms).await?)
}

/// Styles or platforms that were asked for, each once; all of them where none was. The list is bounded before it is sorted.
fn kinds<T: Copy + Ord>(asked: Option<Vec<T>>, all: &[T]) -> Result<Vec<T>, Broken> {
    let mut kinds = asked.filter(|asked| !asked.is_empty()).unwrap_or_else(|| all.to_vec());
    within("too-many", kinds.len() as i64, 1..=MAX_IMAGES as i64)?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

async fn owned_image(app: &App, who: Session, id: ImageId) -> ApiResult<(Arc<Event>, Image)> {
    let found = app.store().run(async move |c| storage::images::newest(c, id).await).await?;
    let image = found.ok_or_else(Problem::not_found)?;
    Ok((owned(app, who, image.event).await?, image))
}

pub(crate) async fn one(State(app): State<App>, Owner(who): Owner, Id(id): Id<ImageId>) -> ApiResult {
    let (event, image) = owned_image(&app, who, id).await?;
    let images = pictures::look(app.handles.tools(), &event, Some(id)).await?;
    let image = images.into_iter().find(|i| i.id == id).unwrap_or(image);
    Ok(versioned(StatusCode::OK, image.version.into(), &body_of(&app, &image)))
}

pub(crate) async fn of_event(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>) -> ApiResult<Json<Value>> {
    let event = owned(&app, who, id).await?;
    let images = pictures::look(app.handles.tools(), &event, None).await?;
    Ok(Json(json!({"items": images.iter().map(|i| body_of(&app, i)).collect::<Vec<_>>(), "nextCursor": null})))
}

/// Composes the next version at once: no upstream is called.
pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<ImageId>,
    asked: IfMatch,
    Body(body): Body<EditImage>,
) -> ApiResult {
    let (event, image) = owned_image(&app, who, id).await?;
    asked.on(image.version.into())?;
    let mut check = Check::default();
    let headline = check.take("headline", body.headline.map(|h| line(&h, MAX_TITLE)).transpose());
    let text = check.take(
        "body",
        body.body
            .map(|b| match paragraph(&b, pictures::MAX_BODY) {
                Err(TextError::Empty) => Ok(String::new()),
                read => read,
            })
            .transpose(),
    );
    let palette = check.take("palette", body.palette.map(palette).transpose());
    let (Some(headline), Some(body), Some(palette)) = (headline, text, palette) else { return Err(check.problem()) };
    let change = ImageEdit { headline, body, palette };
    match pictures::edit(app.handles.tools(), &event, image, change).await {
        Ok(new) => Ok(versioned(StatusCode::OK, new.version.into(), &body_of(&app, &new))),
        // Two edits at once: one of them was made on an old version.
        Err(PictureError::Storage(StorageError::Conflict { .. })) => {
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale"))
        }
        Err(PictureError::Storage(e)) => Err(e.into()),
        Err(PictureError::BudgetSpent) => {
            let spent = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota-exceeded").said("picture-budget-spent");
            Err(spent.retry_after(until_midnight()))
        }
    }
}

/// Five colours: as many as a palette may have.
pub(crate) const MAX_COLOURS: usize = 5;

fn palette(given: PaletteBody) -> Result<String, &'static str> {
    let text = match given {
        PaletteBody::One(s) => s,
        PaletteBody::Several(all) if all.len() > MAX_COLOURS => return Err("palette-invalid"),
        PaletteBody::Several(all) => all.join(","),
    };
    Palette::parse(&text).map(|_| text.trim().to_owned()).ok_or("palette-invalid")
}

/// The picture itself: public, unguessable, never changing.
pub(crate) async fn file(State(app): State<App>, Id(name): Id<String>) -> ApiResult<Response> {
    let kind = match name.rsplit_once('.') {
        Some((stem, extension)) if stem.bytes().all(|b| b.is_ascii_alphanumeric()) => match extension {
            "jpg" => "image/jpeg",
            "png" => "image/png",
            "svg" => "image/svg+xml",
            _ => return Err(Problem::not_found()),
        },
        _ => return Err(Problem::not_found()),
    };
    let bytes = pictures::file(app.handles.tools(), &name).await?.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"),
    ];
    Ok((headers, bytes).into_response())
}
