//! Destruction of what entries hold: name and phone of those who did not win, and in the end everything personal. A row keeps
//! its number, its hour and its leaf, so that counts and draws stay as they were.

use crate::error::Result;
use crate::sql::{Id, Number, sql, types as t};
use crate::store::Conn;
use domain::ids::EventId;
use domain::retention::{ALL_DAYS, LOSERS_DAYS};

/// Whose data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of those who hold neither a prize nor a place among the alternates: name and phone. The keyed index stays, which tells
    /// who returns.
    Losers,
    /// Of everybody, the index too.
    All,
}

/// Events whose time has come, at most `limit`: it runs from the draw, or from the end while there is none.
///
/// # Errors
/// Whatever the database said.
pub async fn due(c: &mut Conn, scope: Scope, limit: i64) -> Result<Vec<EventId>> {
    let (query, days) = match scope {
        Scope::Losers => (
            "select e.id from events.events e
              where e.status in ('drawn', 'settled', 'cancelled') and e.commitment is not null
                and (select max(f.at) from events.facts f where f.event_id = e.id and f.kind in ('closed', 'drawn', 'cancelled'))
                    < now() - make_interval(days => ?)
                and not exists (select 1 from events.facts d where d.event_id = e.id and d.kind = 'destroyed')
              order by e.id limit ?",
            LOSERS_DAYS,
        ),
        Scope::All => (
            "select e.id from events.events e
              where e.status in ('closed', 'drawn', 'settled', 'cancelled') and e.commitment is not null
                and (select max(f.at) from events.facts f where f.event_id = e.id and f.kind in ('closed', 'drawn', 'cancelled'))
                    < now() - make_interval(days => ?)
              order by e.id limit ?",
            ALL_DAYS,
        ),
    };
    let rows: Vec<Id> = sql(query).bind::<t::Integer, _>(days).bind::<t::BigInt, _>(limit).all(c).await?;
    Ok(rows.into_iter().map(|r| EventId(r.id)).collect())
}

/// Blanks the numbered entries of an event; how many were not blank.
///
/// # Errors
/// Whatever the database said.
pub async fn blank(c: &mut Conn, scope: Scope, event: EventId, from: i64, to: i64) -> Result<usize> {
    let statement = match scope {
        Scope::Losers => {
            sql("update participation.entries e set sealed = ''::bytea, request_key = null, flags = e.flags & 4
              where e.event_id = ? and e.entry_no between ? and ? and octet_length(e.sealed) > 0
                and not exists (select 1 from participation.draws d join participation.winners w on w.draw_id = d.id
                                 where d.event_id = e.event_id and w.entry_no = e.entry_no and w.forfeited_at is null)")
        }
        Scope::All => {
            sql("update participation.entries e set sealed = ''::bytea, request_key = null, flags = e.flags & 4,
                    phone_index = uuid_send(gen_random_uuid()), erased_at = clock_timestamp()
              where e.event_id = ? and e.entry_no between ? and ? and e.erased_at is null")
        }
    };
    statement.bind::<t::Uuid, _>(event.0).bind::<t::BigInt, _>(from).bind::<t::BigInt, _>(to).run(c).await
}

/// How many numbers an event gave out.
///
/// # Errors
/// Whatever the database said.
pub async fn numbers(c: &mut Conn, event: EventId) -> Result<i64> {
    let last: Option<Number> =
        sql("select last_no as n from participation.log where event_id = ? order by version desc limit 1")
            .bind::<t::Uuid, _>(event.0)
            .first(c)
            .await?;
    Ok(last.map_or(0, |n| n.n))
}

/// How many entries of an event hold neither name nor phone.
///
/// # Errors
/// Whatever the database said.
pub async fn blanked(c: &mut Conn, event: EventId) -> Result<i64> {
    let blank: Option<Number> =
        sql("select count(*) as n from participation.entries where event_id = ? and octet_length(sealed) = 0")
            .bind::<t::Uuid, _>(event.0)
            .first(c)
            .await?;
    Ok(blank.map_or(0, |n| n.n))
}
