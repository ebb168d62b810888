//! Composing pictures: size and look by platform and style, background from the objects, the result stored under a name
//! nobody guesses.

use crate::system::Shared;
use creative::{Look, Palette, Picture, compose};
use domain::channel::{Platform, Style};
use domain::event::Event;
use domain::ids::{EventId, ImageId};
use domain::time::last_day_ko;
use serde_json::Value;
use storage::cache::ttl;
use storage::images::Image;
use storage::stores::Shop;
use storage::{Result, StorageError};

/// 80 random bits in base32: what cannot be guessed and can be read aloud.
#[must_use]
pub fn unguessable() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random = storage::crypto::random16();
    random.iter().map(|b| char::from(LETTERS[usize::from(b & 31)])).collect()
}

/// Cache key of an event's picture of a style and format (CK-04).
fn cache_key(event: EventId, style: Style, platform: Platform) -> String {
    format!("content:image:{event}:{}:{}", style.code(), platform.code())
}

/// The newest picture of a style and format as the API shows it, if the cache has it.
pub async fn cached(shared: &Shared, event: EventId, style: Style, platform: Platform) -> Option<Value> {
    let found = shared.cache.get(&cache_key(event, style, platform)).await;
    let hit = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    shared.vitals.cache("image", hit.is_some());
    hit
}

/// A picture was made or edited: from now on it is the newest of its style and format.
async fn remember(shared: &Shared, image: &Image) {
    let body = crate::view::image(image, &shared.public_url).to_string();
    shared.cache.set(&cache_key(image.event, image.style, image.platform), body.into(), ttl::IMAGE).await;
}

/// A picture was read as the newest of its style and format; one that was remembered meanwhile stays.
pub async fn found(shared: &Shared, image: &Image) {
    let body = crate::view::image(image, &shared.public_url).to_string();
    shared.cache.fill(&cache_key(image.event, image.style, image.platform), body.into(), ttl::IMAGE).await;
}

/// What a picture is composed of.
#[derive(Clone, Debug)]
pub struct Composition {
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
    #[must_use]
    pub fn after(image: Image) -> Self {
        Self {
            id: image.id,
            version: image.version + 1,
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

/// The big text, unless the owner writes another: the title.
pub(crate) fn headline(event: &Event, shop: &Shop) -> String {
    event.title.clone().unwrap_or_else(|| shop.name.clone())
}

/// The small text, unless the owner writes another: the shop, the first prize, until when.
pub(crate) fn small_text(event: &Event, shop: &Shop) -> String {
    let until = event.ends_at.map(|end| format!("{}까지", last_day_ko(end)));
    let prize = event.prizes.first().map(|p| p.name.clone());
    let parts: Vec<String> = [Some(shop.name.clone()), prize, until].into_iter().flatten().collect();
    parts.join(" · ").chars().take(120).collect()
}

/// Has every picture of an event that is being prepared say what the plan says now, as its next version where it did not;
/// words that the owner wrote stay. Where the owner edits at the same time, the edit stands and the next call follows it.
///
/// # Errors
/// Rows or objects cannot be read or written; some pictures may have followed.
pub async fn follow_plan(shared: &Shared, event: &Event) -> Result<()> {
    let (id, store) = (event.id, event.store);
    let read = shared.store.run(move |c| {
        Box::pin(async move { Ok((storage::stores::get(c, store).await?, storage::images::of_event(c, id).await?)) })
    });
    let (Some(shop), images) = read.await? else { return Ok(()) };
    let (big, small) = (headline(event, &shop), small_text(event, &shop));
    let behind = images.into_iter().filter_map(|image| {
        let headline = if image.own_headline { image.headline.clone() } else { big.clone() };
        let body = if image.own_body { image.body.clone() } else { small.clone() };
        let same = (&headline, &body) == (&image.headline, &image.body);
        (!same).then(|| next_version(shared, Composition { headline, body, ..Composition::after(image) }))
    });
    futures_util::future::try_join_all(behind).await.map(|_| ())
}

/// Makes the first of the chosen pictures in the size of each channel for whose platform none was chosen, unless there is
/// one that says and looks the same. All pictures of the event, with these.
///
/// # Errors
/// Rows or objects cannot be read or written.
pub(crate) async fn in_every_size(shared: &Shared, event: &Event, chosen: &[Image]) -> Result<Vec<Image>> {
    let id = event.id;
    let mut all =
        shared.store.run(move |c| Box::pin(async move { storage::images::versions_of_event(c, id).await })).await?;
    let Some(first) = chosen.first() else { return Ok(all) };
    for platform in event.channels.iter().filter_map(|channel| channel.platform()) {
        let there = chosen.iter().any(|i| i.platform == platform);
        if there || all.iter().any(|i| i.platform == platform && looks_like(i, first)) {
            continue;
        }
        let what = Composition { id: ImageId::new(), version: 1, platform, ..Composition::after(first.clone()) };
        all.push(make_picture(shared, what).await?);
    }
    Ok(all)
}

/// The same but for the size?
pub(crate) fn looks_like(one: &Image, other: &Image) -> bool {
    let look = |i: &Image| (i.style, i.headline.clone(), i.body.clone(), i.palette.clone(), i.background.clone());
    look(one) == look(other)
}

async fn next_version(shared: &Shared, what: Composition) -> Result<()> {
    match make_picture(shared, what).await {
        Ok(_) | Err(StorageError::Conflict { .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Composes a picture and stores it: from now on it is the newest of its style and format.
///
/// # Errors
/// Rows or objects cannot be read or written; a conflict where this version was made by somebody else.
pub async fn make_picture(shared: &Shared, what: Composition) -> Result<Image> {
    let image = compose_picture(shared, what).await?;
    let stored = image.clone();
    shared.store.run(move |c| Box::pin(async move { storage::images::insert(c, &stored).await })).await?;
    remember(shared, &image).await;
    Ok(image)
}

/// Composes a picture and stores its object under a new, unguessable name.
async fn compose_picture(shared: &Shared, c: Composition) -> Result<Image> {
    let (width, height) = match c.platform {
        Platform::Instagram => (1080, 1080),
        Platform::Naver => (800, 600),
        Platform::Kakao => (800, 400),
    };
    let look = match c.style {
        Style::Simple => Look::Simple,
        Style::Vivid => Look::Vivid,
        Style::Trendy => Look::Trendy,
    };
    let background = match &c.background {
        Some(name) => shared.objects.get(name).await?,
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
    let (bytes, extension) = crate::job::raster(shared.fonts.clone(), svg).await;
    let name = format!("{}.{extension}", unguessable());
    shared.objects.put(&name, bytes).await?;
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
