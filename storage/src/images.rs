//! `events.images`: composed pictures and their versions.

use crate::error::{Result, StorageError, corrupt};
use crate::sql::{Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::channel::{Platform, Style};
use domain::ids::{EventId, ImageId, UserId};
use uuid::Uuid;

/// A version of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
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
    /// Name of the object and of the URL, with extension.
    pub name: String,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// Big text.
    pub headline: String,
    /// Small text.
    pub body: String,
    /// Palette of the composer.
    pub palette: String,
    /// For those who do not see it.
    pub alt_text: String,
    /// Name of the background object; `None` for the built-in one.
    pub background: Option<String>,
    /// The owner wrote the headline; otherwise it is the title of the event.
    pub own_headline: bool,
    /// The owner wrote the small text; otherwise it says what the plan says.
    pub own_body: bool,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Integer)]
    version: i32,
    #[diesel(sql_type = t::Uuid)]
    event_id: Uuid,
    #[diesel(sql_type = t::Text)]
    style: String,
    #[diesel(sql_type = t::Text)]
    platform: String,
    #[diesel(sql_type = t::Text)]
    name: String,
    #[diesel(sql_type = t::Integer)]
    width: i32,
    #[diesel(sql_type = t::Integer)]
    height: i32,
    #[diesel(sql_type = t::Text)]
    headline: String,
    #[diesel(sql_type = t::Text)]
    body: String,
    #[diesel(sql_type = t::Text)]
    palette: String,
    #[diesel(sql_type = t::Text)]
    alt_text: String,
    #[diesel(sql_type = t::Nullable<t::Text>)]
    background: Option<String>,
    #[diesel(sql_type = t::Bool)]
    own_headline: bool,
    #[diesel(sql_type = t::Bool)]
    own_body: bool,
}

/// The columns every select of pictures reads.
macro_rules! select_images {
    ($kind:literal, $rest:literal) => {
        concat!(
            "select ",
            $kind,
            " id, version, event_id, style, platform, name, width, height, headline, body, palette, alt_text, background,
                    own_headline, own_body
               from events.images ",
            $rest
        )
    };
}

impl TryFrom<Row> for Image {
    type Error = StorageError;
    fn try_from(r: Row) -> Result<Self> {
        Ok(Self {
            id: ImageId(r.id),
            version: r.version,
            event: EventId(r.event_id),
            style: Style::parse(&r.style).ok_or_else(|| corrupt("style"))?,
            platform: Platform::parse(&r.platform).ok_or_else(|| corrupt("platform"))?,
            name: r.name,
            width: r.width,
            height: r.height,
            headline: r.headline,
            body: r.body,
            palette: r.palette,
            alt_text: r.alt_text,
            background: r.background,
            own_headline: r.own_headline,
            own_body: r.own_body,
        })
    }
}

/// Stores a version, and that it supersedes those before it. Two edits at once: one of them gets a conflict on `images_pkey`.
pub async fn insert(c: &mut Conn, i: &Image) -> Result<()> {
    sql("insert into events.images (id, version, event_id, style, platform, name, width, height, headline, body, palette, alt_text, background, own_headline, own_body)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind::<t::Uuid, _>(i.id.0)
    .bind::<t::Integer, _>(i.version)
    .bind::<t::Uuid, _>(i.event.0)
    .bind::<t::Text, _>(i.style.code())
    .bind::<t::Text, _>(i.platform.code())
    .bind::<t::Text, _>(i.name.clone())
    .bind::<t::Integer, _>(i.width)
    .bind::<t::Integer, _>(i.height)
    .bind::<t::Text, _>(i.headline.clone())
    .bind::<t::Text, _>(i.body.clone())
    .bind::<t::Text, _>(i.palette.clone())
    .bind::<t::Text, _>(i.alt_text.clone())
    .bind::<t::Nullable<t::Text>, _>(i.background.clone())
    .bind::<t::Bool, _>(i.own_headline)
    .bind::<t::Bool, _>(i.own_body)
    .run(c)
    .await?;
    if i.version > 1 {
        sql("update events.images set superseded_at = now() where id = ? and version < ? and superseded_at is null")
            .bind::<t::Uuid, _>(i.id.0)
            .bind::<t::Integer, _>(i.version)
            .run(c)
            .await?;
    }
    Ok(())
}

/// The newest version of a picture.
pub async fn newest(c: &mut Conn, id: ImageId) -> Result<Option<Image>> {
    let row: Option<Row> =
        sql(select_images!("", "where id = ? order by version desc limit 1")).bind::<t::Uuid, _>(id.0).first(c).await?;
    row.map(Image::try_from).transpose()
}

/// The newest version of each of these pictures.
pub async fn newest_of(c: &mut Conn, ids: Vec<Uuid>) -> Result<Vec<Image>> {
    let rows: Vec<Row> = sql(select_images!("distinct on (id)", "where id = any (?) order by id, version desc"))
        .bind::<t::Array<t::Uuid>, _>(ids)
        .all(c)
        .await?;
    rows.into_iter().map(Image::try_from).collect()
}

/// The newest version of every picture of an event (at most a hundred).
pub async fn of_event(c: &mut Conn, event: EventId) -> Result<Vec<Image>> {
    let rows: Vec<Row> =
        sql(select_images!("distinct on (id)", "where event_id = ? order by id, version desc limit 100"))
            .bind::<t::Uuid, _>(event.0)
            .all(c)
            .await?;
    rows.into_iter().map(Image::try_from).collect()
}

/// Every version that publications of an event show, oldest first.
pub async fn published_of_event(c: &mut Conn, event: EventId) -> Result<Vec<Image>> {
    let rows: Vec<Row> = sql(select_images!("", "where event_id = ? and published order by id, version limit 10000"))
        .bind::<t::Uuid, _>(event.0)
        .all(c)
        .await?;
    rows.into_iter().map(Image::try_from).collect()
}

/// A version of a picture.
pub async fn version(c: &mut Conn, id: ImageId, version: i32) -> Result<Option<Image>> {
    let row: Option<Row> = sql(select_images!("", "where id = ? and version = ?"))
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::Integer, _>(version)
        .first(c)
        .await?;
    row.map(Image::try_from).transpose()
}

/// A version whose object has this name: several look the same, where an event was copied.
pub async fn by_name(c: &mut Conn, name: &str) -> Result<Option<Image>> {
    let row: Option<Row> =
        sql(select_images!("", "where name = ? limit 1")).bind::<t::Text, _>(name.to_owned()).first(c).await?;
    row.map(Image::try_from).transpose()
}

/// Keeps these versions for good: publications show them.
///
/// # Errors
/// [`StorageError::Contended`] when one of them is not there any more, or any error of the database.
pub async fn mark_published(c: &mut Conn, shown: &[(ImageId, i32)]) -> Result<()> {
    for (id, version) in shown {
        let marked = sql("update events.images set published = true where id = ? and version = ?")
            .bind::<t::Uuid, _>(id.0)
            .bind::<t::Integer, _>(*version)
            .run(c)
            .await?;
        if marked == 0 {
            return Err(StorageError::Contended);
        }
    }
    Ok(())
}

/// Deletes versions that were superseded so many seconds ago and that no publication shows, at most `limit`; how many. Their
/// objects are released with them.
pub async fn delete_superseded(c: &mut Conn, seconds: i32, limit: i64) -> Result<usize> {
    sql("delete from events.images where (id, version) in (
           select id, version from events.images
            where superseded_at is not null and not published and superseded_at < now() - make_interval(secs => ?)
            order by superseded_at limit ?)")
    .bind::<t::Integer, _>(seconds)
    .bind::<t::BigInt, _>(limit)
    .run(c)
    .await
}

/// A daily budget of compositions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Pictures that the owner edits.
    Edits,
    /// Pictures that are repainted when the owner looks at them.
    Looks,
}

impl Budget {
    fn code(self) -> &'static str {
        match self {
            Self::Edits => "edits",
            Self::Looks => "looks",
        }
    }
}

/// Returns the compositions that an account has spent of a budget on this Korean day.
pub async fn spent_today(c: &mut Conn, owner: UserId, budget: Budget) -> Result<i64> {
    let row: Option<Number> = sql("select spent::bigint as n from events.compositions
                                    where owner_id = ? and budget = ? and day = (now() at time zone 'Asia/Seoul')::date")
    .bind::<t::Uuid, _>(owner.0)
    .bind::<t::Text, _>(budget.code())
    .first(c)
    .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// Spends one composition of a budget of an account on this Korean day. Returns false where `limit` was spent before.
pub async fn spend(c: &mut Conn, owner: UserId, budget: Budget, limit: i64) -> Result<bool> {
    let spent = sql("insert into events.compositions as had (owner_id, budget, day, spent)
                     values (?, ?, (now() at time zone 'Asia/Seoul')::date, 1)
                     on conflict (owner_id, budget) do update
                       set day = excluded.day, spent = case when had.day = excluded.day then had.spent + 1 else 1 end
                     where had.day <> excluded.day or had.spent < ?")
    .bind::<t::Uuid, _>(owner.0)
    .bind::<t::Text, _>(budget.code())
    .bind::<t::BigInt, _>(limit)
    .run(c)
    .await?;
    Ok(spent == 1)
}
