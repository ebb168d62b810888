//! Destruction of what entries hold: name and phone of those who did not win, and in the end everything personal. A row keeps
//! its number, its hour and its leaf, so that counts and draws stay as they were.

use crate::error::Result;
use crate::sql::{Id, Number, sql, types as t};
use crate::store::Conn;
use crate::tally::{self, known_elsewhere};
use domain::ids::{EventId, StoreId};
use domain::retention::{ALL_DAYS, LAST_CALL_DAYS, LOSERS_DAYS};

/// Whose data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Name and phone of customers without a prize or a place among the alternates. The keyed index stays, which tells
    /// who returns.
    Losers,
    /// Everything personal of every customer, the index too.
    All,
}

/// The kind of the notice that tells an owner for the last time to draw an event.
pub const LAST_CALL: &str = "draw-last-call";
/// Hours from when nobody can draw a forgone event until what it holds is destroyed: a draw that was begun has ended by then.
const PURGE_GRACE_HOURS: i32 = 1;

/// Closed events whose owners let so much time pass since the last call, in days and hours.
macro_rules! forgone {
    () => {
        "e.status = 'closed' and e.last_call_at < now() - make_interval(days => ?, hours => ?)"
    };
}

/// Records that an owner was told for the last time to draw an event. Returns false when that was recorded before.
pub async fn record_last_call(c: &mut Conn, event: EventId) -> Result<bool> {
    let recorded = sql("update events.events set last_call_at = now() where id = ? and last_call_at is null")
        .bind::<t::Uuid, _>(event.0)
        .run(c)
        .await?;
    Ok(recorded == 1)
}

/// Did an event wait for its draw too long? Nobody can draw it any more.
pub async fn is_forgone(c: &mut Conn, event: EventId) -> Result<bool> {
    let found: Option<Id> = sql(concat!("select e.id from events.events e where e.id = ? and ", forgone!()))
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::Integer, _>(LAST_CALL_DAYS)
        .bind::<t::Integer, _>(0)
        .first(c)
        .await?;
    Ok(found.is_some())
}

/// Events that were drawn or cancelled long enough ago, at most `limit`; and, for [`Scope::All`], as many that nobody can draw
/// any more.
pub async fn due(c: &mut Conn, scope: Scope, limit: i64) -> Result<Vec<EventId>> {
    let days = match scope {
        Scope::Losers => LOSERS_DAYS,
        Scope::All => ALL_DAYS,
    };
    let mut rows: Vec<Id> = sql("select e.id from events.events e
                              where e.status in ('drawn', 'settled', 'cancelled') and e.commitment is not null
                                and (select max(f.at) from events.facts f
                                      where f.event_id = e.id and f.kind in ('drawn', 'cancelled')) < now() - make_interval(days => ?)
                                and (? or not exists (select 1 from events.facts d where d.event_id = e.id and d.kind = 'destroyed'))
                              order by e.id limit ?")
    .bind::<t::Integer, _>(days)
    .bind::<t::Bool, _>(scope == Scope::All)
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await?;
    if scope == Scope::All {
        let forgone = sql(concat!("select e.id from events.events e where ", forgone!(), " order by e.id limit ?"))
            .bind::<t::Integer, _>(LAST_CALL_DAYS)
            .bind::<t::Integer, _>(PURGE_GRACE_HOURS)
            .bind::<t::BigInt, _>(limit);
        rows.append(&mut forgone.all(c).await?);
    }
    Ok(rows.into_iter().map(|r| EventId(r.id)).collect())
}

/// Blanks the numbered entries of an event, as far as they are not blank.
pub async fn blank(c: &mut Conn, scope: Scope, event: EventId, store: StoreId, from: i64, to: i64) -> Result<()> {
    let numbered =
        |s: crate::sql::Sql| s.bind::<t::Uuid, _>(event.0).bind::<t::BigInt, _>(from).bind::<t::BigInt, _>(to);
    let statement = match scope {
        Scope::Losers => numbered(sql(
            "update participation.entries e set sealed = ''::bytea, request_key = null, flags = e.flags & 4
              where e.event_id = ? and e.entry_no between ? and ? and octet_length(e.sealed) > 0
                and not exists (select 1 from participation.draws d join participation.winners w on w.draw_id = d.id
                                 where d.event_id = e.event_id and w.entry_no = e.entry_no and w.forfeited_at is null)",
        )),
        // The row keeps whether the customer returned: without the index it could not be found again.
        Scope::All => numbered(
            sql(concat!(
                "update participation.entries x
                    set sealed = ''::bytea, request_key = null, phone_index = uuid_send(gen_random_uuid()), erased_at = clock_timestamp(),
                        flags = (x.flags & 4)::smallint | (case when ",
                known_elsewhere!(),
                " then 8 else 0 end)::smallint
                  where x.event_id = ? and x.entry_no between ? and ? and x.erased_at is null"
            ))
            .bind::<t::Array<t::Uuid>, _>(tally::others(c, event, store).await?),
        ),
    };
    statement.run(c).await?;
    Ok(())
}

/// How many entries of an event hold neither name nor phone, those left out whose customers had them erased.
pub async fn nameless(c: &mut Conn, event: EventId) -> Result<i64> {
    let blank: Option<Number> = sql("select count(*) as n from participation.entries
                                      where event_id = ? and octet_length(sealed) = 0 and erased_at is null")
    .bind::<t::Uuid, _>(event.0)
    .first(c)
    .await?;
    Ok(blank.map_or(0, |n| n.n))
}
