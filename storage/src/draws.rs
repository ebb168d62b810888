//! `participation.draws` and `participation.winners`.

use crate::error::{Result, corrupt};
use crate::sql::{sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::draw::PassedOnWhy;
use domain::ids::{DrawId, EventId};
use domain::time::Instant;
use uuid::Uuid;

/// A draw.
#[derive(QueryableByName, Clone, Debug)]
pub struct Draw {
    /// Its id.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// 1 for the first.
    #[diesel(sql_type = t::Integer)]
    pub round: i32,
    /// How many were asked for.
    #[diesel(sql_type = t::Integer)]
    pub alternates: i32,
    /// From the owner's browser.
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    pub external: Option<Vec<u8>>,
    /// Revealed.
    #[diesel(sql_type = t::Binary)]
    pub seed: Vec<u8>,
    /// What the close committed to.
    #[diesel(sql_type = t::Binary)]
    pub root: Vec<u8>,
    /// The tree's own root.
    #[diesel(sql_type = t::Binary)]
    pub merkle_root: Vec<u8>,
    /// Numbers under it.
    #[diesel(sql_type = t::BigInt)]
    pub entries: i64,
    /// The bonus that was in the rules.
    #[diesel(sql_type = t::Nullable<t::SmallInt>)]
    pub visit_weight: Option<i16>,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub at: Instant,
}

/// Somebody who was drawn.
#[derive(QueryableByName, Clone, Debug)]
pub struct Winner {
    /// Place in the stream, from 1.
    #[diesel(sql_type = t::Integer)]
    pub position: i32,
    /// Which entry.
    #[diesel(sql_type = t::BigInt)]
    pub entry_no: i64,
    /// Rank when drawn.
    #[diesel(sql_type = t::Nullable<t::Integer>)]
    pub drawn_rank: Option<i32>,
    /// Rank held now.
    #[diesel(sql_type = t::Nullable<t::Integer>)]
    pub rank: Option<i32>,
    /// Prize held now.
    #[diesel(sql_type = t::Nullable<t::Text>)]
    pub prize: Option<String>,
    /// When it was given up.
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    pub forfeited_at: Option<Instant>,
    /// 1, 2, 3 … in the order in which this draw's prizes and places were passed on.
    #[diesel(sql_type = t::Nullable<t::Integer>)]
    pub passed_on_no: Option<i32>,
    /// Why it was.
    #[diesel(sql_type = t::Nullable<t::Text>)]
    pub passed_on_why: Option<String>,
}

impl Winner {
    /// Why the prize or place was passed on. A node of before, which knew of erasures only, stored no reason.
    #[must_use]
    pub fn why(&self) -> PassedOnWhy {
        self.passed_on_why.as_deref().and_then(PassedOnWhy::parse).unwrap_or(PassedOnWhy::Erased)
    }
}

/// Stores a draw with everyone drawn: `(entry number, prize)` in order, prize `None` for alternates.
///
/// # Errors
/// `draws_once` when there is one already, or whatever else the database said.
pub async fn insert(
    c: &mut Conn,
    event: EventId,
    d: &Draw,
    drawn: &[(i64, Option<String>)],
    who: String,
) -> Result<()> {
    sql("insert into participation.draws (id, event_id, round, alternates, external, seed, root, merkle_root, entries, visit_weight, who)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind::<t::Uuid, _>(d.id)
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Integer, _>(d.round)
    .bind::<t::Integer, _>(d.alternates)
    .bind::<t::Nullable<t::Binary>, _>(d.external.clone())
    .bind::<t::Binary, _>(d.seed.clone())
    .bind::<t::Binary, _>(d.root.clone())
    .bind::<t::Binary, _>(d.merkle_root.clone())
    .bind::<t::BigInt, _>(d.entries)
    .bind::<t::Nullable<t::SmallInt>, _>(d.visit_weight)
    .bind::<t::Text, _>(who)
    .run(c)
    .await?;
    let numbers: Vec<i64> = drawn.iter().map(|(n, _)| *n).collect();
    let prizes: Vec<Option<String>> = drawn.iter().map(|(_, p)| p.clone()).collect();
    sql("insert into participation.winners (draw_id, position, entry_no, drawn_rank, rank, prize)
         select ?, x.ord::int, x.no, case when x.prize is not null then x.ord::int end, case when x.prize is not null then x.ord::int end, x.prize
           from unnest(?, ?) with ordinality as x(no, prize, ord)")
    .bind::<t::Uuid, _>(d.id)
    .bind::<t::Array<t::BigInt>, _>(numbers)
    .bind::<t::Array<t::Nullable<t::Text>>, _>(prizes)
    .run(c)
    .await?;
    Ok(())
}

/// The draws of an event, by round.
pub async fn list(c: &mut Conn, event: EventId) -> Result<Vec<Draw>> {
    sql("select id, round, alternates, external, seed, root, merkle_root, entries, visit_weight, at from participation.draws where event_id = ? order by round limit 100")
        .bind::<t::Uuid, _>(event.0)
        .all(c)
        .await
}

/// Everyone drawn, in order.
pub async fn winners(c: &mut Conn, draw: DrawId) -> Result<Vec<Winner>> {
    sql("select position, entry_no, drawn_rank, rank, prize, forfeited_at, passed_on_no, passed_on_why from participation.winners where draw_id = ? order by position limit 20100")
        .bind::<t::Uuid, _>(draw.0)
        .all(c)
        .await
}

/// Where an entry was drawn, if it was, in the newest draw.
pub async fn place_of(c: &mut Conn, event: EventId, entry_no: i64) -> Result<Option<Winner>> {
    sql("select position, entry_no, drawn_rank, rank, prize, forfeited_at, passed_on_no, passed_on_why from participation.winners
          where entry_no = ? and draw_id = (select id from participation.draws where event_id = ? order by round desc limit 1)")
        .bind::<t::BigInt, _>(entry_no)
        .bind::<t::Uuid, _>(event.0)
        .first(c)
        .await
}

/// Takes the prize from an entry and gives it to the next alternate. `None`: it holds none. Else who moved up. The caller
/// holds the event's row lock: the order of what is passed on is public.
pub async fn forfeit(c: &mut Conn, event: EventId, entry_no: i64, why: PassedOnWhy) -> Result<Option<Option<i64>>> {
    let Some(draw) = list(c, event).await?.pop() else { return Ok(None) };
    let drawn = winners(c, DrawId(draw.id)).await?;
    let Some(loser) = drawn.iter().find(|w| w.entry_no == entry_no && w.forfeited_at.is_none()) else {
        return Ok(None);
    };
    let no = 1 + drawn.iter().filter_map(|w| w.passed_on_no).max().unwrap_or(0);
    // The order is public by its instants: a clock that was set back does not change it.
    let last = drawn.iter().filter_map(|w| w.forfeited_at).max();
    sql("update participation.winners
            set rank = null, prize = null, forfeited_at = greatest(clock_timestamp(), ?), passed_on_no = ?, passed_on_why = ?
          where draw_id = ? and position = ?")
    .bind::<t::Nullable<t::Timestamptz>, _>(last)
    .bind::<t::Integer, _>(no)
    .bind::<t::Text, _>(why.code())
    .bind::<t::Uuid, _>(draw.id)
    .bind::<t::Integer, _>(loser.position)
    .run(c)
    .await?;
    let (Some(rank), Some(prize)) = (loser.rank, loser.prize.clone()) else { return Ok(None) };
    let Some(next) = drawn.iter().find(|w| w.rank.is_none() && w.forfeited_at.is_none() && w.entry_no != entry_no)
    else {
        return Ok(Some(None));
    };
    sql("update participation.winners set rank = ?, prize = ? where draw_id = ? and position = ?")
        .bind::<t::Integer, _>(rank)
        .bind::<t::Text, _>(prize)
        .bind::<t::Uuid, _>(draw.id)
        .bind::<t::Integer, _>(next.position)
        .run(c)
        .await?;
    Ok(Some(Some(next.entry_no)))
}

/// Changes with everything that the public file of a draw shows.
#[derive(QueryableByName, Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawVersion {
    /// Revision of the event: who holds the prizes, and whether phones were destroyed.
    #[diesel(sql_type = t::BigInt)]
    pub revision: i64,
    /// How often something was passed on: an alternate's erasure is no fact of the event.
    #[diesel(sql_type = t::BigInt)]
    pub passed_on: i64,
}

/// Reads the version of an event's draw, cheaply: one row, however many won. `None`: there is no draw.
pub async fn version(c: &mut Conn, event: EventId) -> Result<Option<DrawVersion>> {
    sql("select e.revision, coalesce((select max(w.passed_on_no) from participation.winners w where w.draw_id = d.id), 0)::bigint as passed_on
           from participation.draws d join events.events e on e.id = d.event_id
          where d.event_id = ? order by d.round limit 1")
        .bind::<t::Uuid, _>(event.0)
        .first(c)
        .await
}

/// 32 bytes of a stored digest.
///
/// # Errors
/// It has another length.
pub fn digest(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| corrupt("not 32 bytes"))
}
