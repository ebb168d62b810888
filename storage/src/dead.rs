//! Dead letters: jobs and publications that have used their attempts, with their cause and history.

use crate::error::Result;
use crate::sql::{Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::channel::Channel;
use domain::time::Instant;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A job or a publication that was parked.
#[derive(QueryableByName, Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// A job's id, or `distribution:CHANNEL`.
    #[diesel(sql_type = t::Text)]
    pub id: String,
    /// `job` or `publication`.
    #[diesel(sql_type = t::Text)]
    pub kind: String,
    /// The job's kind, or the channel.
    #[diesel(sql_type = t::Text)]
    pub what: String,
    /// For which event.
    #[diesel(sql_type = t::Nullable<t::Uuid>)]
    pub event_id: Option<Uuid>,
    /// Whose.
    #[diesel(sql_type = t::Nullable<t::Uuid>)]
    pub owner_id: Option<Uuid>,
    /// How often it was tried.
    #[diesel(sql_type = t::Integer)]
    pub attempts: i32,
    /// The last failure.
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    pub cause: Option<Value>,
    /// The last twenty failures, oldest first.
    #[diesel(sql_type = t::Jsonb)]
    pub history: Value,
    /// When it was parked.
    #[diesel(sql_type = t::Timestamptz)]
    pub parked_at: Instant,
}

/// Which dead letters.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `job` or `publication`; both when left out.
    pub kind: Option<String>,
    /// Publications of this channel only.
    pub channel: Option<Channel>,
    /// Parked before this.
    pub before: Option<Instant>,
}

/// Dead letters, newest first.
pub async fn list(c: &mut Conn, filter: Filter, limit: i64) -> Result<Vec<DeadLetter>> {
    let Filter { kind, channel, before } = filter;
    sql("with f as (select ?::text as kind, ?::text as channel, ?::timestamptz as before, ?::bigint as n)
         select * from (
           (select j.id::text as id, 'job' as kind, j.kind as what, j.event_id, j.owner_id, j.attempts, j.error as cause,
                   j.history, j.ended_at as parked_at
              from events.jobs j, f
             where j.status = 'dead' and coalesce(f.kind, 'job') = 'job' and f.channel is null
               and (f.before is null or j.ended_at < f.before)
             order by j.ended_at desc limit (select n from f))
           union all
           (select p.distribution_id || ':' || p.channel, 'publication', p.channel, d.event_id, d.owner_id, p.attempts, p.error,
                   p.history, p.updated_at
              from events.publications p join events.distributions d on d.id = p.distribution_id, f
             where p.status = 'failed' and coalesce(f.kind, 'publication') = 'publication'
               and (f.channel is null or p.channel = f.channel) and (f.before is null or p.updated_at < f.before)
             order by p.updated_at desc limit (select n from f))) letters
         order by parked_at desc limit (select n from f)")
    .bind::<t::Nullable<t::Text>, _>(kind)
    .bind::<t::Nullable<t::Text>, _>(channel.map(|c| c.code().to_owned()))
    .bind::<t::Nullable<t::Timestamptz>, _>(before)
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await
}

/// How many wait for an operator: what a channel refused or did not accept is for the owner, who was told, to mend.
pub async fn count(c: &mut Conn) -> Result<i64> {
    let row: Option<Number> = sql("select (select count(*) from events.jobs j where j.status = 'dead' and not (j.kind = 'distribution'
                                             and exists (select 1 from events.jobs later where later.key = j.key and later.created_at > j.created_at)))
                                        + (select count(*) from events.publications where status = 'failed'
                                             and coalesce(error ->> 'class', '') not in ('refused', 'caller')) as n")
    .first(c)
    .await?;
    Ok(row.map_or(0, |r| r.n))
}
