//! Pictures.

use super::bodies::{EditImage, MakeImages, PaletteBody};
use super::events::owned;
use super::recommendations::answer;
use crate::auth::Session;
use crate::error::{ApiResult, Problem};
use crate::extract::{Body, Check, Id, IfMatch, Owner, versioned};
use crate::state::App;
use actors::pictures::{self, Composition, make_picture};
use actors::view;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use creative::Palette;
use domain::channel::{Platform, Style};
use domain::event::Rejection;
use domain::ids::{EventId, ImageId};
use domain::text::{TextError, line, paragraph};
use serde_json::{Value, json};
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
    let mut styles = body.styles.filter(|s| !s.is_empty()).unwrap_or_else(|| Style::ALL.to_vec());
    let mut platforms = body.platforms.filter(|p| !p.is_empty()).unwrap_or_else(|| Platform::ALL.to_vec());
    styles.sort_unstable();
    styles.dedup();
    platforms.sort_unstable();
    platforms.dedup();
    let title = event.title.clone().unwrap_or_default();
    let id = event.id;
    if let Some(images) = cached(&app, id, &styles, &platforms, &title).await {
        return Ok(Json(json!({"images": images})).into_response());
    }
    let have = app.store().run(move |c| Box::pin(async move { storage::images::of_event(c, id).await })).await?;
    let wanted = |i: &&Image| styles.contains(&i.style) && platforms.contains(&i.platform) && i.headline == title;
    // Requests that overlapped may have made two of a kind: the newest one stands.
    let mut kinds: std::collections::BTreeMap<(Style, Platform), &Image> = std::collections::BTreeMap::new();
    for image in have.iter().filter(wanted) {
        kinds.insert((image.style, image.platform), image);
    }
    let fitting: Vec<&Image> = kinds.into_values().collect();
    let all =
        styles.iter().all(|s| platforms.iter().all(|p| fitting.iter().any(|i| i.style == *s && i.platform == *p)));
    if all {
        for image in &fitting {
            pictures::found(&app.handles.shared, image).await;
        }
        let images: Vec<Value> = fitting.into_iter().map(|i| body_of(&app, i)).collect();
        return Ok(Json(json!({"images": images})).into_response());
    }
    answer(app.handles.draw_images(&event, &styles, &platforms).await?)
}

/// All pictures asked for, from the cache; `None` when one is missing or was made for another title.
async fn cached(app: &App, id: EventId, styles: &[Style], platforms: &[Platform], title: &str) -> Option<Vec<Value>> {
    let mut images = Vec::new();
    for style in styles {
        for platform in platforms {
            let image = pictures::cached(&app.handles.shared, id, *style, *platform).await?;
            images.push(Some(image).filter(|i| i["headline"] == title)?);
        }
    }
    Some(images)
}

async fn owned_image(app: &App, who: Session, id: ImageId) -> ApiResult<Image> {
    let found = app.store().run(move |c| Box::pin(async move { storage::images::newest(c, id).await })).await?;
    let image = found.ok_or_else(Problem::not_found)?;
    owned(app, who, image.event).await?;
    Ok(image)
}

pub(crate) async fn one(State(app): State<App>, Owner(who): Owner, Id(id): Id<ImageId>) -> ApiResult {
    let image = owned_image(&app, who, id).await?;
    Ok(versioned(StatusCode::OK, image.version.into(), &body_of(&app, &image)))
}

pub(crate) async fn of_event(State(app): State<App>, Owner(who): Owner, Id(id): Id<EventId>) -> ApiResult<Json<Value>> {
    owned(&app, who, id).await?;
    let images = app.store().run(move |c| Box::pin(async move { storage::images::of_event(c, id).await })).await?;
    Ok(Json(json!({"items": images.iter().map(|i| body_of(&app, i)).collect::<Vec<_>>(), "nextCursor": null})))
}

/// Composes the next version at once: no upstream is called.
pub(crate) async fn edit(
    State(app): State<App>,
    Owner(who): Owner,
    Id(id): Id<ImageId>,
    IfMatch(version): IfMatch,
    Body(body): Body<EditImage>,
) -> ApiResult {
    let image = owned_image(&app, who, id).await?;
    if version.is_some_and(|v| v != i64::from(image.version)) {
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale"));
    }
    let mut check = Check::default();
    let headline = check.take("headline", body.headline.map_or(Ok(image.headline.clone()), |h| line(&h, 60)));
    let text = check.take(
        "body",
        match body.body {
            None => Ok(image.body.clone()),
            Some(b) => match paragraph(&b, 120) {
                Err(TextError::Empty) => Ok(String::new()),
                read => read,
            },
        },
    );
    let palette = check.take("palette", body.palette.map_or(Ok(image.palette.clone()), palette));
    let (Some(headline), Some(text), Some(palette)) = (headline, text, palette) else { return Err(check.problem()) };
    if (&headline, &text, &palette) == (&image.headline, &image.body, &image.palette) {
        return Ok(versioned(StatusCode::OK, image.version.into(), &body_of(&app, &image)));
    }
    let (own_headline, own_body) =
        (image.own_headline || headline != image.headline, image.own_body || text != image.body);
    let what = Composition { headline, body: text, palette, own_headline, own_body, ..Composition::after(image) };
    match make_picture(&app.handles.shared, what).await {
        Ok(new) => Ok(versioned(StatusCode::OK, new.version.into(), &body_of(&app, &new))),
        // Two edits at once: one of them was made on an old version.
        Err(StorageError::Conflict { .. }) => Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale")),
        Err(e) => Err(e.into()),
    }
}

fn palette(given: PaletteBody) -> Result<String, &'static str> {
    let text = match given {
        PaletteBody::One(s) => s,
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
    let bytes = app.handles.shared.objects.get(&name).await?.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"),
    ];
    Ok((headers, bytes).into_response())
}
