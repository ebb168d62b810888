//! `events.distributions` and `events.publications`: publishing, one row per channel.

use crate::error::{Result, corrupt};
use crate::sql::{Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::channel::{Channel, Mode};
use domain::distribution::{ChannelError, Distribution, Publication, PublicationStatus};
use domain::ids::{DistributionId, EventId, JobId, UserId};
use domain::time::Instant;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Uuid)]
    event_id: Uuid,
    #[diesel(sql_type = t::Uuid)]
    owner_id: Uuid,
    #[diesel(sql_type = t::Bool)]
    recalling: bool,
    #[diesel(sql_type = t::BigInt)]
    version: i64,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    ended_at: Option<Instant>,
}

#[derive(QueryableByName)]
struct PublicationRow {
    #[diesel(sql_type = t::Text)]
    channel: String,
    #[diesel(sql_type = t::Text)]
    mode: String,
    #[diesel(sql_type = t::Text)]
    status: String,
    #[diesel(sql_type = t::Uuid)]
    request_key: Uuid,
    #[diesel(sql_type = t::Integer)]
    calls: i32,
    #[diesel(sql_type = t::Integer)]
    attempts: i32,
    #[diesel(sql_type = t::Nullable<t::Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = t::Nullable<t::Text>)]
    url: Option<String>,
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    error: Option<Value>,
    #[diesel(sql_type = t::Jsonb)]
    remote: Value,
}

impl PublicationRow {
    fn publication(self) -> Result<Publication> {
        let r = self;
        Ok(Publication {
            channel: Channel::parse(&r.channel).ok_or_else(|| corrupt("channel"))?,
            mode: Mode::parse(&r.mode).ok_or_else(|| corrupt("mode"))?,
            status: PublicationStatus::parse(&r.status).ok_or_else(|| corrupt("publication status"))?,
            request_key: r.request_key,
            calls: r.calls,
            attempts: r.attempts,
            external_id: r.external_id,
            url: r.url,
            error: r.error.map(serde_json::from_value).transpose().map_err(corrupt)?,
            remote: r.remote,
        })
    }
}

/// Stores a distribution and its channels.
///
/// # Errors
/// `distributions_one_per_event`, or whatever else the database said.
pub async fn insert(
    c: &mut Conn,
    id: DistributionId,
    event: EventId,
    owner: UserId,
    publications: &[Publication],
) -> Result<()> {
    sql("insert into events.distributions (id, event_id, owner_id) values (?, ?, ?)")
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::Uuid, _>(owner.0)
        .run(c)
        .await?;
    for p in publications {
        sql("insert into events.publications (distribution_id, channel, mode, status, request_key, url, error, remote)
             values (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::Text, _>(p.channel.code())
        .bind::<t::Text, _>(p.mode.code())
        .bind::<t::Text, _>(p.status.code())
        .bind::<t::Uuid, _>(p.request_key)
        .bind::<t::Nullable<t::Text>, _>(p.url.clone())
        .bind::<t::Nullable<t::Jsonb>, _>(p.error.as_ref().map(serde_json::to_value).transpose().map_err(corrupt)?)
        .bind::<t::Jsonb, _>(p.remote.clone())
        .run(c)
        .await?;
    }
    end_if_over(c, id).await?;
    Ok(())
}

/// A distribution.
pub async fn get(c: &mut Conn, id: DistributionId) -> Result<Option<Distribution>> {
    let row: Option<Row> =
        sql("select id, event_id, owner_id, recalling, version, ended_at from events.distributions where id = ?")
            .bind::<t::Uuid, _>(id.0)
            .first(c)
            .await?;
    let Some(r) = row else { return Ok(None) };
    let rows: Vec<PublicationRow> =
        sql("select channel, mode, status, request_key, calls, attempts, external_id, url, error, remote
                                           from events.publications where distribution_id = ?")
        .bind::<t::Uuid, _>(id.0)
        .all(c)
        .await?;
    let mut publications: Vec<Publication> =
        rows.into_iter().map(PublicationRow::publication).collect::<Result<_>>()?;
    publications.sort_by_key(|p| p.channel);
    Ok(Some(Distribution {
        id: DistributionId(r.id),
        event: EventId(r.event_id),
        owner: UserId(r.owner_id),
        recalling: r.recalling,
        version: r.version,
        ended_at: r.ended_at,
        publications,
    }))
}

/// Records the intent to call before the call; the distribution then. `None`: the channel is not waiting for one, or the
/// runner's lease went to another. The lease is renewed with it, so that the call is over before anybody takes over: a
/// runner that stalled and woke up would otherwise call while its successor asks whether it had.
pub async fn begin_call(
    c: &mut Conn,
    id: DistributionId,
    channel: Channel,
    (job, epoch): (JobId, i64),
) -> Result<Option<Distribution>> {
    lock(c, id).await?;
    if !crate::jobs::beat(c, job, epoch).await? {
        return Ok(None);
    }
    let begun = sql("update events.publications set status = 'publishing', calls = calls + 1, attempts = attempts + 1, next_at = null, updated_at = now()
                      where distribution_id = ? and channel = ? and status in ('queued', 'retrying')
                        and not (select recalling from events.distributions where id = ?)")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Uuid, _>(id.0)
    .run(c)
    .await?;
    if begun == 0 {
        return Ok(None);
    }
    bump(c, id).await?;
    get(c, id).await
}

/// Remembers what comes before a publish, if the attempt that made it still runs, and renews the lease for the publish.
/// False: another one took over.
pub async fn remember(
    c: &mut Conn,
    id: DistributionId,
    channel: Channel,
    attempt: i32,
    remote: Value,
    (job, epoch): (JobId, i64),
) -> Result<bool> {
    lock(c, id).await?;
    if !crate::jobs::beat(c, job, epoch).await? {
        return Ok(false);
    }
    let done = sql("update events.publications set remote = ?, updated_at = now()
                     where distribution_id = ? and channel = ? and status = 'publishing' and attempts = ?")
    .bind::<t::Jsonb, _>(remote)
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Integer, _>(attempt)
    .run(c)
    .await?;
    Ok(done == 1)
}

/// Looks again later at what has not changed: no version, no update. False: it changed meanwhile.
pub async fn look_again(
    c: &mut Conn,
    id: DistributionId,
    channel: Channel,
    status: PublicationStatus,
    after: Duration,
) -> Result<bool> {
    let done = sql("update events.publications set next_at = now() + make_interval(secs => ?)
                     where distribution_id = ? and channel = ? and status = ?")
    .bind::<t::Double, _>(after.as_secs_f64())
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Text, _>(status.code())
    .run(c)
    .await?;
    Ok(done == 1)
}

/// What became of a channel.
#[derive(Clone, Debug)]
pub struct Change {
    /// The new status.
    pub status: PublicationStatus,
    /// What the channel calls it, if it said.
    pub external_id: Option<String>,
    /// Where it can be seen, if it said.
    pub url: Option<String>,
    /// The failure; `None` clears the last one.
    pub error: Option<ChannelError>,
    /// What to remember, if anything new.
    pub remote: Option<Value>,
    /// When to look again.
    pub next_in: Option<Duration>,
}

impl Change {
    /// A change to a status and nothing else.
    #[must_use]
    pub fn to(status: PublicationStatus) -> Self {
        Self { status, external_id: None, url: None, error: None, remote: None, next_in: None }
    }
}

/// Records what became of a channel, if it is still in one of `from` and `attempt`, where it is said, is still the last
/// one: what a runner learns that was overtaken is no news. The distribution then, and whether this ended it
/// (the end has a version of its own, right after the change's).
pub async fn change(
    c: &mut Conn,
    id: DistributionId,
    channel: Channel,
    from: &[PublicationStatus],
    attempt: Option<i32>,
    to: Change,
) -> Result<Option<(Distribution, bool)>> {
    lock(c, id).await?;
    let from: Vec<String> = from.iter().map(|s| s.code().to_owned()).collect();
    let changed = sql("update events.publications p
                          set status = w.status, external_id = coalesce(w.external_id, p.external_id), url = coalesce(w.url, p.url),
                              error = w.error, remote = coalesce(w.remote, p.remote),
                              history = case when w.error is null then p.history else events.with_failure(p.history,
                                jsonb_build_object('at', now(), 'attempt', p.attempts, 'status', w.status, 'error', w.error)) end,
                              next_at = now() + make_interval(secs => w.next_in), updated_at = now()
                         from (select ?::text as status, ?::text as external_id, ?::text as url, ?::jsonb as error,
                                      ?::jsonb as remote, ?::float8 as next_in) w
                        where p.distribution_id = ? and p.channel = ? and p.status = any (?) and (?::int is null or p.attempts = ?)")
    .bind::<t::Text, _>(to.status.code())
    .bind::<t::Nullable<t::Text>, _>(to.external_id)
    .bind::<t::Nullable<t::Text>, _>(to.url)
    .bind::<t::Nullable<t::Jsonb>, _>(to.error.as_ref().map(serde_json::to_value).transpose().map_err(corrupt)?)
    .bind::<t::Nullable<t::Jsonb>, _>(to.remote)
    .bind::<t::Nullable<t::Double>, _>(to.next_in.map(|d| d.as_secs_f64()))
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Array<t::Text>, _>(from)
    .bind::<t::Nullable<t::Integer>, _>(attempt)
    .bind::<t::Nullable<t::Integer>, _>(attempt)
    .run(c)
    .await?;
    if changed == 0 {
        return Ok(None);
    }
    bump(c, id).await?;
    let ended = end_if_over(c, id).await?;
    Ok(get(c, id).await?.map(|d| (d, ended)))
}

async fn lock(c: &mut Conn, id: DistributionId) -> Result<()> {
    sql("select id from events.distributions where id = ? for update")
        .bind::<t::Uuid, _>(id.0)
        .first::<crate::sql::Id>(c)
        .await?;
    Ok(())
}

async fn bump(c: &mut Conn, id: DistributionId) -> Result<()> {
    sql("update events.distributions set version = version + 1 where id = ?").bind::<t::Uuid, _>(id.0).run(c).await?;
    Ok(())
}

/// Ends a distribution when no channel is being worked on, with a version of its own; true when this call ended it.
async fn end_if_over(c: &mut Conn, id: DistributionId) -> Result<bool> {
    let ended = sql("update events.distributions d set ended_at = now(), version = version + 1
          where d.id = ? and d.ended_at is null and not exists (
            select 1 from events.publications p where p.distribution_id = d.id and p.status in ('queued', 'publishing', 'retrying'))")
    .bind::<t::Uuid, _>(id.0)
    .run(c)
    .await?;
    Ok(ended == 1)
}

/// Puts a channel back into the queue for another round of attempts. `None`: there is nothing to try again.
pub async fn requeue(c: &mut Conn, id: DistributionId, channel: Channel) -> Result<Option<Distribution>> {
    lock(c, id).await?;
    // What may have happened is asked for first: `publishing` is recovered by asking.
    let gone = sql("update events.publications
                       set status = case when status = 'unknown' then 'publishing' else 'queued' end, calls = 0, error = null, updated_at = now(),
                           -- What a reviewer refused is refused for good under its key: another try is another post.
                           request_key = case when error ->> 'class' = 'refused' then gen_random_uuid() else request_key end,
                           remote = case when error ->> 'class' = 'refused' then '{}'::jsonb else remote end
                     where distribution_id = ? and channel = ? and status in ('failed', 'skipped', 'unknown') and mode in ('LIVE', 'SANDBOX')
                       and not (select recalling from events.distributions where id = ?)")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Uuid, _>(id.0)
    .run(c)
    .await?;
    if gone == 0 {
        return Ok(None);
    }
    sql("update events.distributions set version = version + 1, ended_at = null where id = ?")
        .bind::<t::Uuid, _>(id.0)
        .run(c)
        .await?;
    get(c, id).await
}

/// Marks a distribution as being taken back. `None`: it is already.
pub async fn begin_recall(c: &mut Conn, id: DistributionId) -> Result<Option<Distribution>> {
    lock(c, id).await?;
    let begun =
        sql("update events.distributions set recalling = true, version = version + 1 where id = ? and not recalling")
            .bind::<t::Uuid, _>(id.0)
            .run(c)
            .await?;
    if begun == 0 { Ok(None) } else { get(c, id).await }
}

/// Distributions with a channel that is being worked on, or reviewed or unknown, and due to be looked at, without an active job.
pub async fn orphaned(c: &mut Conn) -> Result<Vec<(DistributionId, EventId, UserId)>> {
    let rows: Vec<Row> = sql("select distinct d.id, d.event_id, d.owner_id, d.recalling, d.version, d.ended_at
           from events.distributions d join events.publications p on p.distribution_id = d.id
          where (p.status in ('queued', 'publishing', 'retrying') or (p.status in ('awaiting-review', 'unknown') and p.next_at < now()))
            and p.updated_at < now() - interval '3 seconds'
            and not exists (select 1 from events.jobs j where j.key = 'distribution:' || d.id and j.status in ('queued', 'running'))
          limit 100")
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| (DistributionId(r.id), EventId(r.event_id), UserId(r.owner_id))).collect())
}

/// Distributions of cancelled events that nobody began to take back.
pub async fn not_recalled(c: &mut Conn) -> Result<Vec<(DistributionId, EventId, UserId)>> {
    let rows: Vec<Row> = sql("select d.id, d.event_id, d.owner_id, d.recalling, d.version, d.ended_at
           from events.distributions d join events.events e on e.id = d.event_id
          where e.status = 'cancelled' and not d.recalling limit 100")
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| (DistributionId(r.id), EventId(r.event_id), UserId(r.owner_id))).collect())
}

/// The distribution of an event, if it has one.
pub async fn of_event(c: &mut Conn, event: EventId) -> Result<Option<Distribution>> {
    let row: Option<crate::sql::Id> =
        sql("select id from events.distributions where event_id = ?").bind::<t::Uuid, _>(event.0).first(c).await?;
    match row {
        Some(r) => get(c, DistributionId(r.id)).await,
        None => Ok(None),
    }
}

/// The version of a distribution: the topic's offset.
pub async fn version(c: &mut Conn, id: DistributionId) -> Result<i64> {
    let row: Option<Number> =
        sql("select version as n from events.distributions where id = ?").bind::<t::Uuid, _>(id.0).first(c).await?;
    Ok(row.map_or(0, |r| r.n))
}

#[derive(QueryableByName)]
struct SettledRow {
    #[diesel(sql_type = t::Text)]
    channel: String,
    #[diesel(sql_type = t::Bool)]
    pending: bool,
    #[diesel(sql_type = t::Timestamptz)]
    updated_at: Instant,
}

/// When each channel of an event changed last; `None` while one is being worked on, or there is no distribution.
pub async fn settled_at(c: &mut Conn, event: EventId) -> Result<Option<Vec<(Channel, Instant)>>> {
    let rows: Vec<SettledRow> =
        sql("select p.channel, p.status in ('queued', 'publishing', 'retrying') as pending, p.updated_at
           from events.publications p join events.distributions d on d.id = p.distribution_id where d.event_id = ?")
        .bind::<t::Uuid, _>(event.0)
        .all(c)
        .await?;
    if rows.is_empty() || rows.iter().any(|r| r.pending) {
        return Ok(None);
    }
    let each =
        rows.into_iter().map(|r| Ok((Channel::parse(&r.channel).ok_or_else(|| corrupt("channel"))?, r.updated_at)));
    each.collect::<Result<_>>().map(Some)
}
