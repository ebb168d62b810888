//! `participation.log` read back: the counts of an event.

use crate::error::{Result, corrupt};
use crate::sql::{Id, Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::dashboard::Tally;
use domain::ids::{EventId, StoreId};
use domain::time::Instant;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Last {
    #[diesel(sql_type = t::BigInt)]
    version: i64,
    #[diesel(sql_type = t::BigInt)]
    last_no: i64,
    #[diesel(sql_type = t::BigInt)]
    void: i64,
    #[diesel(sql_type = t::Array<t::BigInt>)]
    by_channel: Vec<i64>,
    #[diesel(sql_type = t::Timestamptz)]
    at: Instant,
}

#[derive(QueryableByName)]
struct Hour {
    #[diesel(sql_type = t::Timestamptz)]
    hour: Instant,
    #[diesel(sql_type = t::BigInt)]
    n: i64,
}

/// The counts of an event, but for who returns; per hour those of hours with entries after version `since` of the log.
pub async fn load(c: &mut Conn, event: EventId, since: i64) -> Result<Tally> {
    let last: Option<Last> = sql("select version, last_no, void, by_channel, at from participation.log where event_id = ? order by version desc limit 1")
        .bind::<t::Uuid, _>(event.0)
        .first(c)
        .await?;
    let Some(last) = last else { return Ok(Tally::default()) };
    let hours: Vec<Hour> = sql("select distinct on (hour) hour, hour_entries as n from participation.log
                                 where event_id = ? and version > ? and hour_entries > 0 order by hour, version desc")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(since)
    .all(c)
    .await?;
    let void: Vec<Hour> =
        sql("select date_trunc('hour', entered_at, 'UTC') as hour, count(*) as n from participation.entries
                                where event_id = ? and voided_at is not null group by 1")
        .bind::<t::Uuid, _>(event.0)
        .all(c)
        .await?;
    Ok(Tally {
        version: last.version,
        last_no: last.last_no,
        void: last.void,
        by_source: last.by_channel.try_into().map_err(|_| corrupt("by_channel"))?,
        by_hour: hours.into_iter().map(|h| (h.hour, h.n)).collect(),
        void_by_hour: void.into_iter().map(|h| (h.hour, h.n)).collect(),
        returning: 0,
        at: Some(last.at),
    })
}

/// Numbers given out so far.
pub async fn last_no(c: &mut Conn, event: EventId) -> Result<i64> {
    let row: Option<Number> =
        sql("select last_no as n from participation.log where event_id = ? order by version desc limit 1")
            .bind::<t::Uuid, _>(event.0)
            .first(c)
            .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// The newest version of an event's log: the offset of its topics.
pub async fn version(c: &mut Conn, event: EventId) -> Result<i64> {
    let row: Option<Number> =
        sql("select version as n from participation.log where event_id = ? order by version desc limit 1")
            .bind::<t::Uuid, _>(event.0)
            .first(c)
            .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// Other events of the shop that a phone is looked for in: the newest.
const OTHERS: i64 = 50;

/// Is the phone of the entry `x` known from one of the events bound here?
macro_rules! known_elsewhere {
    () => {
        "exists (select 1 from unnest(?) o(event_id), lateral (select 1 from participation.entries y
                  where y.event_id = o.event_id and y.phone_index = x.phone_index and y.erased_at is null limit 1) k)"
    };
}
pub(crate) use known_elsewhere;

/// Other unpurged events of the shop, the newest 50.
pub(crate) async fn others(c: &mut Conn, event: EventId, store: StoreId) -> Result<Vec<Uuid>> {
    let others: Vec<Id> = sql("select h.event_id as id from participation.heads h join events.events e on e.id = h.event_id
                                where h.store_id = ? and h.event_id <> ? and e.status not in ('draft', 'planned', 'ready', 'purged')
                                order by h.event_id desc limit ?")
    .bind::<t::Uuid, _>(store.0)
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(OTHERS)
    .all(c)
    .await?;
    Ok(others.into_iter().map(|o| o.id).collect())
}

/// Counts the entries numbered `from` to `to` whose phone is known from another unpurged event of the shop, of its
/// newest 50; of a purged event, those that were when it was purged. `None`: nobody can be.
pub async fn returning(c: &mut Conn, event: EventId, store: StoreId, from: i64, to: i64) -> Result<Option<i64>> {
    let others = others(c, event, store).await?;
    if others.is_empty() && !is_purged(c, event).await? {
        return Ok(None);
    }
    let row: Option<Number> = sql(concat!(
        "select count(*) as n from participation.entries x
          where x.event_id = ? and x.entry_no between ? and ? and (x.flags & 8 <> 0 or x.erased_at is null and ",
        known_elsewhere!(),
        ")"
    ))
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(from)
    .bind::<t::BigInt, _>(to)
    .bind::<t::Array<t::Uuid>, _>(others)
    .first(c)
    .await?;
    Ok(Some(row.map_or(0, |r| r.n)))
}

async fn is_purged(c: &mut Conn, event: EventId) -> Result<bool> {
    let purged: Option<Id> = sql("select id from events.events where id = ? and status = 'purged'")
        .bind::<t::Uuid, _>(event.0)
        .first(c)
        .await?;
    Ok(purged.is_some())
}
