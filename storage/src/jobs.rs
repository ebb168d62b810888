//! `events.jobs`: background work as rows. A claim raises the epoch; writes of a stale runner match no row.

use crate::error::{Result, corrupt};
use crate::sql::{Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::ids::{EventId, JobId, UserId};
use domain::job::{Job, JobKind, JobStatus, LEASE, NewJob};
use domain::time::Instant;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Text)]
    kind: String,
    #[diesel(sql_type = t::Text)]
    status: String,
    #[diesel(sql_type = t::Nullable<t::Uuid>)]
    owner_id: Option<Uuid>,
    #[diesel(sql_type = t::Nullable<t::Uuid>)]
    event_id: Option<Uuid>,
    #[diesel(sql_type = t::Jsonb)]
    input: Value,
    #[diesel(sql_type = t::SmallInt)]
    progress: i16,
    #[diesel(sql_type = t::Text)]
    stage: String,
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    result: Option<Value>,
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    error: Option<Value>,
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    fallback: Option<Value>,
    #[diesel(sql_type = t::Integer)]
    attempts: i32,
    #[diesel(sql_type = t::Integer)]
    max_attempts: i32,
    #[diesel(sql_type = t::BigInt)]
    epoch: i64,
    #[diesel(sql_type = t::BigInt)]
    version: i64,
    #[diesel(sql_type = t::Timestamptz)]
    created_at: Instant,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    ended_at: Option<Instant>,
}

impl Row {
    fn job(self) -> Result<Job> {
        let r = self;
        Ok(Job {
            id: JobId(r.id),
            kind: JobKind::parse(&r.kind).ok_or_else(|| corrupt("job kind"))?,
            status: JobStatus::parse(&r.status).ok_or_else(|| corrupt("job status"))?,
            owner: r.owner_id.map(UserId),
            event: r.event_id.map(EventId),
            input: r.input,
            progress: r.progress,
            stage: r.stage,
            result: r.result,
            error: r.error,
            fallback: r.fallback,
            attempts: r.attempts,
            max_attempts: r.max_attempts,
            epoch: r.epoch,
            version: r.version,
            created_at: r.created_at,
            ended_at: r.ended_at,
        })
    }
}

/// The columns every statement returns.
macro_rules! returning_jobs {
    ($statement:literal) => {
        concat!(
            $statement,
            " returning id, kind, status, owner_id, event_id, input, progress, stage, result, error, fallback,
                        attempts, max_attempts, epoch, version, created_at, ended_at"
        )
    };
}

async fn one(rows: Result<Vec<Row>>) -> Result<Option<Job>> {
    rows?.into_iter().next().map(Row::job).transpose()
}

/// Asks for a job; the active one with the same key, if there is one.
pub async fn insert(c: &mut Conn, j: NewJob) -> Result<Job> {
    for _ in 0..3 {
        let made = one(sql(returning_jobs!(
            "insert into events.jobs (id, kind, key, status, priority, owner_id, event_id, input, max_attempts, run_at, business_index)
             values (?, ?, ?, 'queued', ?, ?, ?, ?, ?, now() + make_interval(secs => ?),
                     (select business_index from identity.users where id = ?))
             on conflict (key) where status in ('queued', 'running') do nothing"
        ))
        .bind::<t::Uuid, _>(JobId::new().0)
        .bind::<t::Text, _>(j.kind.code())
        .bind::<t::Text, _>(j.key.clone())
        .bind::<t::SmallInt, _>(j.kind.priority())
        .bind::<t::Nullable<t::Uuid>, _>(j.owner.map(|o| o.0))
        .bind::<t::Nullable<t::Uuid>, _>(j.event.map(|e| e.0))
        .bind::<t::Jsonb, _>(j.input.clone())
        .bind::<t::Integer, _>(j.kind.max_attempts())
        .bind::<t::Double, _>(j.after.as_secs_f64())
        .bind::<t::Nullable<t::Uuid>, _>(j.owner.map(|o| o.0))
        .all(c)
        .await)
        .await?;
        let found = match made {
            Some(job) => Some(job),
            None => active(c, &j.key).await?,
        };
        if let Some(job) = found {
            return Ok(job);
        }
    }
    Err(crate::StorageError::Contended)
}

/// Asks for a job within its business's quota of the Korean day, in a transaction: the active one with the same key, if there
/// is one; `None`: the quota is used up. However many come at once, each sees those before it.
pub async fn insert_within(c: &mut Conn, j: NewJob, per_day: i64) -> Result<Option<Job>> {
    let Some(owner) = j.owner else { return insert(c, j).await.map(Some) };
    crate::stores::hold(c, owner).await?;
    if let Some(job) = active(c, &j.key).await? {
        return Ok(Some(job));
    }
    if of_business_today(c, owner, j.kind).await? >= per_day {
        return Ok(None);
    }
    insert(c, j).await.map(Some)
}

/// Jobs of a kind that an owner's business asked for since midnight in Korea.
async fn of_business_today(c: &mut Conn, owner: UserId, kind: JobKind) -> Result<i64> {
    let row: Option<Number> = sql("select count(*) as n from events.jobs
                                    where business_index = (select business_index from identity.users where id = ?) and kind = ?
                                      and created_at >= (date_trunc('day', now() at time zone 'Asia/Seoul') at time zone 'Asia/Seoul')")
    .bind::<t::Uuid, _>(owner.0)
    .bind::<t::Text, _>(kind.code())
    .first(c)
    .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// The active job of a key.
pub async fn active(c: &mut Conn, key: &str) -> Result<Option<Job>> {
    let rows = sql("select id, kind, status, owner_id, event_id, input, progress, stage, result, error, fallback,
                           attempts, max_attempts, epoch, version, created_at, ended_at
                      from events.jobs where key = ? and status in ('queued', 'running')")
    .bind::<t::Text, _>(key.to_owned())
    .all(c)
    .await;
    one(rows).await
}

/// A job.
pub async fn get(c: &mut Conn, id: JobId) -> Result<Option<Job>> {
    let rows = sql("select id, kind, status, owner_id, event_id, input, progress, stage, result, error, fallback,
                           attempts, max_attempts, epoch, version, created_at, ended_at from events.jobs where id = ?")
    .bind::<t::Uuid, _>(id.0)
    .all(c)
    .await;
    one(rows).await
}

/// Parks jobs whose runner vanished with their last attempt: whatever vanishes with each of them is not tried for ever.
pub async fn bury(c: &mut Conn) -> Result<Vec<Job>> {
    let error = serde_json::json!({
        "code": "runner-lost", "messageKo": "작업이 여러 번 중간에 끊겨 그만뒀어요. 다시 시도해 주세요.", "messageEn": "The job was cut off again and again.",
    });
    let rows: Vec<Row> = sql(returning_jobs!(
        "update events.jobs set status = 'dead', ended_at = now(), lease_until = null, stage = 'queued', error = ?, version = version + 1
          where status = 'running' and lease_until < now() and attempts >= max_attempts"
    ))
    .bind::<t::Jsonb, _>(error)
    .all(c)
    .await?;
    rows.into_iter().map(Row::job).collect()
}

/// Claims up to `limit` due jobs: the most urgent first, and those whose runner's lease ran out, unless it was their last
/// attempt ([`bury`] is for those: their lease may run out between the two).
pub async fn claim(c: &mut Conn, limit: i64) -> Result<Vec<Job>> {
    let rows: Vec<Row> = sql(returning_jobs!(
        "update events.jobs set status = 'running', lease_until = now() + make_interval(secs => ?), epoch = epoch + 1,
                attempts = attempts + 1, version = version + 1
          where id in (select id from events.jobs
                        where (status = 'queued' and run_at <= now())
                           or (status = 'running' and lease_until < now() and attempts < max_attempts)
                        order by priority, run_at limit ? for update skip locked)"
    ))
    .bind::<t::Double, _>(LEASE.as_secs_f64())
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await?;
    rows.into_iter().map(Row::job).collect()
}

/// Renews a lease. False: it was lost (fenced).
pub async fn beat(c: &mut Conn, id: JobId, epoch: i64) -> Result<bool> {
    let held = sql("update events.jobs set lease_until = now() + make_interval(secs => ?) where id = ? and epoch = ? and status = 'running'")
        .bind::<t::Double, _>(LEASE.as_secs_f64())
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::BigInt, _>(epoch)
        .run(c)
        .await?;
    Ok(held == 1)
}

/// Records progress. `None`: fenced.
pub async fn progress(c: &mut Conn, id: JobId, epoch: i64, percent: i16, stage: String) -> Result<Option<Job>> {
    let rows = sql(returning_jobs!(
        "update events.jobs set progress = ?, stage = ?, version = version + 1 where id = ? and epoch = ? and status = 'running'"
    ))
    .bind::<t::SmallInt, _>(percent.clamp(0, 100))
    .bind::<t::Text, _>(stage)
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::BigInt, _>(epoch)
    .all(c)
    .await;
    one(rows).await
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With a result, perhaps a stand-in.
    Succeeded {
        /// The result.
        result: Value,
        /// What stood in: `{reason, asOf}`.
        fallback: Option<Value>,
    },
    /// Without, and trying again does not mend it.
    Failed(Value),
    /// Without; try again after this long, or be dead when all attempts are used.
    Again(Value, Duration),
    /// Given back unfinished, to be claimed again after this long: not counted as an attempt.
    Released(Duration),
}

/// Ends a run. `None`: fenced, cancelled, or over already.
pub async fn finish(c: &mut Conn, id: JobId, epoch: i64, end: End) -> Result<Option<Job>> {
    let (statement, result, error, fallback, after) = match end {
        End::Succeeded { result, fallback } => ("succeeded", Some(result), None, fallback, Duration::ZERO),
        End::Failed(error) => ("failed", None, Some(error), None, Duration::ZERO),
        End::Again(error, after) => ("again", None, Some(error), None, after),
        End::Released(after) => ("released", None, None, None, after),
    };
    let rows = sql(returning_jobs!(
        "update events.jobs
            set status = case when how.w in ('succeeded', 'failed') then how.w
                              when how.w = 'again' and attempts >= max_attempts then 'dead' else 'queued' end,
                ended_at = case when how.w in ('succeeded', 'failed') or (how.w = 'again' and attempts >= max_attempts) then now() end,
                progress = case when how.w = 'succeeded' then 100 else progress end,
                stage = case how.w when 'succeeded' then 'done' when 'failed' then 'failed' else 'queued' end,
                attempts = attempts - case when how.w = 'released' then 1 else 0 end,
                history = case when how.w_error is null then history else events.with_failure(history,
                            jsonb_build_object('at', now(), 'attempt', attempts, 'error', how.w_error)) end,
                result = how.w_result, error = how.w_error, fallback = how.w_fallback,
                run_at = now() + make_interval(secs => how.w_after), lease_until = null, version = version + 1
           from (select ?::text as w, ?::jsonb as w_result, ?::jsonb as w_error, ?::jsonb as w_fallback, ?::float8 as w_after) how
          where id = ? and epoch = ? and status = 'running'"
    ))
    .bind::<t::Text, _>(statement)
    .bind::<t::Nullable<t::Jsonb>, _>(result)
    .bind::<t::Nullable<t::Jsonb>, _>(error)
    .bind::<t::Nullable<t::Jsonb>, _>(fallback)
    .bind::<t::Double, _>(after.as_secs_f64())
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::BigInt, _>(epoch)
    .all(c)
    .await;
    one(rows).await
}

/// Calls a job off. `None`: it was over already.
pub async fn cancel(c: &mut Conn, id: JobId) -> Result<Option<Job>> {
    let rows = sql(returning_jobs!(
        "update events.jobs set status = 'cancelled', ended_at = now(), lease_until = null, stage = 'cancelled', version = version + 1
          where id = ? and status in ('queued', 'running')"
    ))
    .bind::<t::Uuid, _>(id.0)
    .all(c)
    .await;
    one(rows).await
}

/// Gives a dead job its attempts back. `None`: it is not dead, or an active one has its key.
pub async fn replay(c: &mut Conn, id: JobId) -> Result<Option<Job>> {
    let rows = sql(returning_jobs!(
        "update events.jobs j set status = 'queued', attempts = 0, ended_at = null, error = null, run_at = now(), stage = 'queued', version = version + 1
          where id = ? and status = 'dead'
            and not exists (select 1 from events.jobs o where o.key = j.key and o.status in ('queued', 'running'))"
    ))
    .bind::<t::Uuid, _>(id.0)
    .all(c)
    .await;
    one(rows).await
}
