//! Composing pictures: size and look by platform and style, background from the objects, the result stored under a name
//! nobody guesses. Pictures follow the plan when their owner looks at them, or approves; until then a changed plan costs nothing.

mod places;
pub(crate) mod sweep;
mod words;

pub(crate) use words::PlanWords;
pub use words::{ImageEdit, MAX_BODY};

use crate::tools::Tools;
use bytes::Bytes;
use creative::{Palette, Picture, PictureLook, compose};
use domain::channel::{Platform, Style};
use domain::event::Event;
use domain::ids::{EventId, ImageId, UserId};
use domain::shop::Shop;
use std::sync::Arc;
use std::time::Duration;
use storage::images::{Budget, Image};
use storage::{Result, StorageError};

/// 300 compositions a day of an account by edits, and 300 by looks at what changed: an owner who works at pictures for hours
/// stays below both, a program that changes a title in a loop does not. Jobs have a quota of their own, and an approval
/// paints what it needs.
pub const MAX_COMPOSITIONS_PER_DAY: i64 = 300;
/// One hour between an object and its row; an object that is without one then is deleted. It takes milliseconds.
const ROW_GRACE_SECONDS: i32 = 3_600;

/// Why a picture was not composed.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The account's budget of the Korean day is spent; nothing was painted.
    #[error("the daily budget of compositions is spent")]
    BudgetSpent,
    /// Rows or objects cannot be read or written; a conflict where another caller made this version.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// 80 random bits in base32: what cannot be guessed and can be read aloud.
#[must_use]
pub fn unguessable() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = storage::crypto::random16();
    random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect()
}

/// The parts of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Composition {
    /// The same for all versions.
    pub id: ImageId,
    /// 1, 2, 3 …
    pub version: i32,
    /// For which event.
    pub event: EventId,
    /// Style.
    pub style: Style,
    /// Format.
    pub platform: Platform,
    /// Big text.
    pub headline: String,
    /// Small text.
    pub body: String,
    /// Palette.
    pub palette: String,
    /// Name of the background object.
    pub background: Option<String>,
    /// The owner wrote the big text.
    pub own_headline: bool,
    /// The owner wrote the small text.
    pub own_body: bool,
}

impl Composition {
    /// The next version of a picture, the same but for what is changed in it.
    pub(crate) fn after(image: Image) -> Self {
        Self { version: image.version + 1, ..Self::of(image) }
    }

    /// Takes a picture apart: the same version again.
    fn of(image: Image) -> Self {
        Self {
            id: image.id,
            version: image.version,
            event: image.event,
            style: image.style,
            platform: image.platform,
            headline: image.headline,
            body: image.body,
            palette: image.palette,
            background: image.background,
            own_headline: image.own_headline,
            own_body: image.own_body,
        }
    }
}

/// Five seconds that a look waits for its painting. With the wait for the turn it ends within the ten seconds of a request.
const MAX_LOOK_PAINTING: Duration = Duration::from_secs(5);

/// Returns the newest pictures of an event for an owner who looks at them. While the event is prepared, a picture that is behind
/// the plan is painted first, as its next version; `only` limits the painting to one picture. Past the daily budget of looks,
/// while the account's turn does not come, or where painting fails or takes too long, a picture is returned as it is: its row says which words
/// it shows.
///
/// # Errors
/// Rows cannot be read.
pub async fn look(tools: &Arc<Tools>, event: &Event, only: Option<ImageId>) -> Result<Vec<Image>> {
    let (id, owner) = (event.id, event.owner);
    let (images, behind) = read_behind(tools, id, only).await?;
    if behind.is_empty() {
        return Ok(images);
    }
    let Ok(place) = places::wait_for_look(owner).await else { return Ok(images) };
    let own = tools.clone();
    let painting = to_its_end(tools, async move {
        let _place = place;
        paint_behind(&own, owner, id, only).await
    });
    match tokio::time::timeout(MAX_LOOK_PAINTING, painting).await {
        Ok(images) => images,
        // The painting goes on, and the next look finds more of it.
        Err(_) => read_behind(tools, id, only).await.map(|(images, _)| images),
    }
}

/// Reads the pictures again and repaints those that differ from the plan: another look may have painted, and the title may
/// be another.
async fn paint_behind(tools: &Tools, owner: UserId, id: EventId, only: Option<ImageId>) -> Result<Vec<Image>> {
    let (mut images, behind) = read_behind(tools, id, only).await?;
    for next in behind {
        match compose_within_budget(tools, owner, Budget::Looks, next).await {
            Ok(painted) => images.iter_mut().filter(|i| i.id == painted.id).for_each(|i| i.clone_from(&painted)),
            Err(PictureError::Storage(StorageError::Conflict { .. })) => {}
            Err(PictureError::BudgetSpent) => break,
            Err(PictureError::Storage(e)) => {
                tracing::warn!(event = %id, error = %e, "pictures do not follow the plan yet");
                break;
            }
        }
    }
    Ok(images)
}

/// Does work in a task of its own, to its end even where its caller is gone: a composition that a caller gave up on is stored,
/// is counted, and keeps the account's turn as long as it takes a core.
async fn to_its_end<T, E>(tools: &Tools, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
{
    match tools.tracker.spawn(work).await {
        Ok(done) => done,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(StorageError::Lost("the runtime is shutting down".into()).into()),
    }
}

/// The newest pictures of an event, and the next version of each that is behind the plan.
async fn read_behind(tools: &Tools, id: EventId, only: Option<ImageId>) -> Result<(Vec<Image>, Vec<Composition>)> {
    let read = tools.store.run(async move |c| {
        let images = storage::images::of_event(c, id).await?;
        Ok((plan_words(c, id).await?, images))
    });
    let (words, images) = read.await?;
    let wanted = images.iter().filter(|i| only.is_none_or(|only| i.id == only));
    let behind = words.map_or_else(Vec::new, |words| wanted.filter_map(|i| words.following(i)).collect());
    Ok((images, behind))
}

/// Returns the words that pictures of an event show now; `None` once it is approved: then they stay as they are.
async fn plan_words(c: &mut storage::Conn, id: EventId) -> Result<Option<PlanWords>> {
    let Some(event) = storage::events::get(c, id).await?.filter(|event| event.status.is_drafting()) else {
        return Ok(None);
    };
    let shop = storage::stores::get(c, event.store).await?;
    Ok(shop.map(|shop| PlanWords::of(&event, &shop)))
}

/// Edits a picture: its next version at once, or the same where nothing changes.
///
/// # Errors
/// The budget of edits is spent; a conflict where another edit was sooner; busy where the account's turn does not come.
pub async fn edit(tools: &Arc<Tools>, event: &Event, image: Image, change: ImageEdit) -> Result<Image, PictureError> {
    let (id, owner) = (event.id, event.owner);
    let words = tools.store.run(async move |c| plan_words(c, id).await).await?;
    let Some(next) = change.of(&image, words.as_ref()) else { return Ok(image) };
    let (place, own) = (places::wait_for_edit(owner).await?, tools.clone());
    to_its_end(tools, async move {
        let _place = place;
        compose_within_budget(&own, owner, Budget::Edits, next).await
    })
    .await
}

/// Repaints every picture that differs from the plan, before an approval; words that the owner wrote stay. Where the owner
/// edits at the same time, the edit stands.
///
/// # Errors
/// Rows or objects cannot be read or written; some pictures may have followed.
pub(crate) async fn follow_plan(tools: &Arc<Tools>, event: &Event, shop: &Shop) -> Result<()> {
    let (id, words) = (event.id, PlanWords::of(event, shop));
    let images = tools.store.run(async move |c| storage::images::of_event(c, id).await).await?;
    for next in images.iter().filter_map(|image| words.following(image)) {
        match make_picture(tools, event.owner, next).await {
            Ok(_) | Err(StorageError::Conflict { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes the first of the chosen pictures in the size of each channel for whose platform none was chosen, unless there is
/// one that says and looks the same. The newest pictures of the event, with these.
///
/// # Errors
/// Rows or objects cannot be read or written.
pub(crate) async fn in_every_size(tools: &Arc<Tools>, event: &Event, chosen: &[Image]) -> Result<Vec<Image>> {
    let id = event.id;
    let mut all = tools.store.run(async move |c| storage::images::of_event(c, id).await).await?;
    let Some(first) = chosen.first() else { return Ok(all) };
    for platform in event.channels.iter().filter_map(|channel| channel.platform()) {
        let there = chosen.iter().any(|i| i.platform == platform);
        if there || all.iter().any(|i| i.platform == platform && looks_like(i, first)) {
            continue;
        }
        let what = Composition { id: ImageId::new(), version: 1, platform, ..Composition::after(first.clone()) };
        all.push(make_picture(tools, event.owner, what).await?);
    }
    Ok(all)
}

/// The same but for the size?
pub(crate) fn looks_like(one: &Image, other: &Image) -> bool {
    let look = |i: &Image| (i.style, i.headline.clone(), i.body.clone(), i.palette.clone(), i.background.clone());
    look(one) == look(other)
}

/// Composes a picture outside the budget and stores it.
///
/// # Errors
/// Rows or objects cannot be read or written; a conflict where this version was made by somebody else.
pub(crate) async fn make_picture(tools: &Arc<Tools>, owner: UserId, what: Composition) -> Result<Image> {
    let (place, own) = (places::wait(owner.0).await, tools.clone());
    to_its_end::<Image, StorageError>(tools, async move {
        let _place = place;
        let image = compose_picture(&own, what).await?;
        let stored = image.clone();
        own.store.tx(async move |c| storage::images::insert(c, &stored).await).await?;
        Ok(image)
    })
    .await
}

/// Composes and stores within the account's daily budget. The caller holds the account's turn. Refuses a version that is not
/// the next one before it paints: a conflict costs no composition.
async fn compose_within_budget(
    tools: &Tools,
    owner: UserId,
    budget: Budget,
    what: Composition,
) -> Result<Image, PictureError> {
    let id = what.id;
    let read = tools.store.run(async move |c| {
        Ok((storage::images::spent_today(c, owner, budget).await?, storage::images::newest(c, id).await?))
    });
    let (spent, newest) = read.await?;
    if newest.is_none_or(|newest| newest.version + 1 != what.version) {
        return Err(StorageError::Conflict { constraint: "images_pkey".into() }.into());
    }
    if spent >= MAX_COMPOSITIONS_PER_DAY {
        return Err(PictureError::BudgetSpent);
    }
    let image = compose_picture(tools, what).await?;
    let stored = image.clone();
    let within = tools.store.tx(async move |c| {
        let within = storage::images::spend(c, owner, budget, MAX_COMPOSITIONS_PER_DAY).await?;
        if within {
            storage::images::insert(c, &stored).await?;
        }
        Ok(within)
    });
    if !within.await? {
        return Err(PictureError::BudgetSpent);
    }
    Ok(image)
}

/// Stores an object whose row follows. Without one it is deleted after an hour.
///
/// # Errors
/// The row or the folder cannot be written.
pub(crate) async fn store_object(tools: &Tools, name: &str, bytes: Vec<u8>) -> Result<()> {
    let intended = name.to_owned();
    let schedule =
        tools.store.run(async move |c| storage::objects::schedule_deletion(c, &intended, ROW_GRACE_SECONDS).await);
    schedule.await?;
    tools.objects.put(name, bytes).await
}

/// The bytes of a picture. Where only the file is missing, it is composed anew from its row.
///
/// # Errors
/// Rows or objects cannot be read or written.
pub async fn file(tools: &Tools, name: &str) -> Result<Option<Bytes>> {
    if let Some(bytes) = tools.objects.get(name).await? {
        return Ok(Some(bytes));
    }
    let wanted = name.to_owned();
    let row = tools.store.run(async move |c| storage::images::by_name(c, &wanted).await);
    let Some(image) = row.await? else { return Ok(None) };
    let _place = places::wait(image.id.0).await;
    if let Some(bytes) = tools.objects.get(name).await? {
        return Ok(Some(bytes));
    }
    let (svg, _, _) = draw(tools, &Composition::of(image)).await?;
    let bytes = if name.ends_with(".svg") {
        svg.into_bytes()
    } else {
        let (bytes, extension) = places::raster(tools.fonts.clone(), svg).await;
        if !name.ends_with(extension) {
            return Ok(None);
        }
        bytes
    };
    store_object(tools, name, bytes.clone()).await?;
    tracing::warn!(%name, "the file of a picture was missing, and is composed anew");
    Ok(Some(bytes.into()))
}

/// Returns a picture for a copy of its event, not stored yet. Both show the same file, which stays while one of them does: a
/// copy costs a row.
#[must_use]
pub fn copy(picture: Image, event: EventId) -> Image {
    Image { id: ImageId::new(), version: 1, event, ..picture }
}

/// Composes a picture and stores its object under a new, unguessable name.
async fn compose_picture(tools: &Tools, c: Composition) -> Result<Image> {
    let (svg, width, height) = draw(tools, &c).await?;
    let (bytes, extension) = places::raster(tools.fonts.clone(), svg).await;
    let name = format!("{}.{extension}", unguessable());
    store_object(tools, &name, bytes).await?;
    Ok(Image {
        id: c.id,
        version: c.version,
        event: c.event,
        style: c.style,
        platform: c.platform,
        name,
        width: width as i32,
        height: height as i32,
        alt_text: format!("{} - {}", c.headline, c.body),
        headline: c.headline,
        body: c.body,
        palette: c.palette,
        background: c.background,
        own_headline: c.own_headline,
        own_body: c.own_body,
    })
}

/// A composition as SVG, with its width and height.
async fn draw(tools: &Tools, c: &Composition) -> Result<(String, u32, u32)> {
    let (width, height) = match c.platform {
        Platform::Instagram => (1080, 1080),
        Platform::Naver => (800, 600),
        Platform::Kakao => (800, 400),
    };
    let look = match c.style {
        Style::Simple => PictureLook::Simple,
        Style::Vivid => PictureLook::Vivid,
        Style::Trendy => PictureLook::Trendy,
    };
    let background = match &c.background {
        Some(name) => tools.objects.get(name).await?,
        None => None,
    };
    let palette = Palette::parse(&c.palette).or_else(|| Palette::parse("MONO")).expect("a named palette parses");
    let svg = compose(&Picture {
        width,
        height,
        look,
        headline: &c.headline,
        body: &c.body,
        palette,
        background: background.as_deref(),
    });
    Ok((svg, width, height))
}
