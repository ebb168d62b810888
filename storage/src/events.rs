//! `events.events`, `events.facts`, `events.prizes`: the fold and its history, written together.

use crate::error::{Result, StorageError, corrupt};
use crate::sql::{Id, Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::catalog::Objective;
use domain::channel::Channel;
use domain::event::{Event, Fact, Gate, Status, Who};
use domain::ids::{DistributionId, EventId, StoreId, UserId};
use domain::offer::Prize;
use domain::time::Instant;
use serde_json::Value;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Text)]
    slug: String,
    #[diesel(sql_type = t::Uuid)]
    owner_id: Uuid,
    #[diesel(sql_type = t::Uuid)]
    store_id: Uuid,
    #[diesel(sql_type = t::Text)]
    objective: String,
    #[diesel(sql_type = t::Nullable<t::Text>)]
    title: Option<String>,
    #[diesel(sql_type = t::Text)]
    status: String,
    #[diesel(sql_type = t::BigInt)]
    revision: i64,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    starts_at: Option<Instant>,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    ends_at: Option<Instant>,
    #[diesel(sql_type = t::Nullable<t::Jsonb>)]
    option: Option<Value>,
    #[diesel(sql_type = t::Nullable<t::SmallInt>)]
    visit_weight: Option<i16>,
    #[diesel(sql_type = t::Jsonb)]
    content: Value,
    #[diesel(sql_type = t::Array<t::Text>)]
    channels: Vec<String>,
    #[diesel(sql_type = t::Nullable<t::Uuid>)]
    distribution_id: Option<Uuid>,
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    commitment: Option<Vec<u8>>,
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    root: Option<Vec<u8>>,
    #[diesel(sql_type = t::Nullable<t::BigInt>)]
    root_entries: Option<i64>,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    closed_at: Option<Instant>,
    #[diesel(sql_type = t::Bool)]
    drawn: bool,
    #[diesel(sql_type = t::Integer)]
    visit_papers: i32,
    #[diesel(sql_type = t::Timestamptz)]
    created_at: Instant,
    #[diesel(sql_type = t::Jsonb)]
    prizes: Value,
}

/// The columns every select of events reads; prizes come along as JSON.
macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select e.id, e.slug, e.owner_id, e.store_id, e.objective, e.title, e.status, e.revision, e.starts_at, e.ends_at, e.option,
                    e.visit_weight, e.content, e.channels, e.distribution_id, e.commitment, e.root, e.root_entries, e.closed_at, e.visit_papers, e.created_at,
                    exists (select 1 from participation.draws d where d.event_id = e.id) as drawn,
                    coalesce((select jsonb_agg(jsonb_build_object('name', p.name, 'quantity', p.quantity, 'unitValueWon', p.unit_value_won)
                                               order by p.rank) from events.prizes p where p.event_id = e.id), '[]') as prizes
               from events.events e ",
            $rest
        )
    };
}

fn bytes32(v: Vec<u8>) -> Result<[u8; 32]> {
    v.try_into().map_err(|_| corrupt("not 32 bytes"))
}

impl TryFrom<Row> for Event {
    type Error = StorageError;
    fn try_from(r: Row) -> Result<Self> {
        Ok(Self {
            id: EventId(r.id),
            slug: r.slug,
            owner: UserId(r.owner_id),
            store: StoreId(r.store_id),
            objective: Objective::parse(&r.objective).ok_or_else(|| corrupt("objective"))?,
            title: r.title,
            status: Status::parse(&r.status).ok_or_else(|| corrupt("status"))?,
            revision: r.revision,
            starts_at: r.starts_at,
            ends_at: r.ends_at,
            option: r.option.map(serde_json::from_value).transpose().map_err(corrupt)?,
            prizes: serde_json::from_value(r.prizes).map_err(corrupt)?,
            visit_weight: r.visit_weight.map(|w| u8::try_from(w).map_err(corrupt)).transpose()?,
            content: serde_json::from_value(r.content).map_err(corrupt)?,
            channels: r
                .channels
                .iter()
                .map(|c| Channel::parse(c).ok_or_else(|| corrupt("channel")))
                .collect::<Result<_>>()?,
            distribution: r.distribution_id.map(DistributionId),
            commitment: r.commitment.map(bytes32).transpose()?,
            root: match (r.root, r.root_entries) {
                (Some(root), Some(n)) => Some((bytes32(root)?, n)),
                _ => None,
            },
            closed_at: r.closed_at,
            drawn: r.drawn,
            visit_papers: u32::try_from(r.visit_papers).map_err(corrupt)?,
            created_at: r.created_at,
        })
    }
}

/// Stores a new event with its first fact, its head, and the first row of its log; the log's version.
pub async fn insert(c: &mut Conn, e: &Event, facts: &[Fact], who: Who) -> Result<i64> {
    sql("insert into events.events (id, slug, owner_id, store_id, objective, status, revision, created_at)
         values (?, ?, ?, ?, ?, 'draft', 1, ?)")
    .bind::<t::Uuid, _>(e.id.0)
    .bind::<t::Text, _>(e.slug.clone())
    .bind::<t::Uuid, _>(e.owner.0)
    .bind::<t::Uuid, _>(e.store.0)
    .bind::<t::Text, _>(e.objective.code())
    .bind::<t::Timestamptz, _>(e.created_at)
    .run(c)
    .await?;
    sql("insert into participation.heads (event_id, store_id) values (?, ?)")
        .bind::<t::Uuid, _>(e.id.0)
        .bind::<t::Uuid, _>(e.store.0)
        .run(c)
        .await?;
    // A duplicate is born with a plan: the fold of its facts is stored over the bare draft.
    let first = e.revision + 1 - i64::try_from(facts.len()).map_err(corrupt)?;
    insert_facts(c, e.id, first, facts, who).await?;
    write_fold(c, e, 1).await?;
    write_prizes(c, e.id, &e.prizes).await?;
    log_fact(c, e.id).await
}

async fn insert_facts(c: &mut Conn, event: EventId, first: i64, facts: &[Fact], who: Who) -> Result<()> {
    for (fact, revision) in facts.iter().zip(first..) {
        sql("insert into events.facts (event_id, revision, kind, data, who) values (?, ?, ?, ?, ?)")
            .bind::<t::Uuid, _>(event.0)
            .bind::<t::BigInt, _>(revision)
            .bind::<t::Text, _>(fact.kind())
            .bind::<t::Jsonb, _>(serde_json::to_value(fact).map_err(corrupt)?)
            .bind::<t::Text, _>(who.to_string())
            .run(c)
            .await?;
    }
    Ok(())
}

/// One more row of the event's log; its version.
///
/// # Errors
/// No such event, or whatever the database said.
pub async fn log_fact(c: &mut Conn, event: EventId) -> Result<i64> {
    let row: Option<Number> =
        sql("select participation.log_fact_v1(?, 3::smallint) as n").bind::<t::Uuid, _>(event.0).first(c).await?;
    Ok(row.ok_or_else(|| corrupt("no head"))?.n)
}

/// Stores what was decided: facts, fold, prizes, and a row of the log; the log's version. `before` is the revision
/// the decision was made on.
///
/// # Errors
/// [`StorageError::Contended`] when somebody else was first, or whatever the database said.
pub async fn commit(c: &mut Conn, after: &Event, before: i64, facts: &[Fact], who: Who) -> Result<i64> {
    write(c, after, before, facts, who).await?;
    log_fact(c, after.id).await
}

/// As [`commit`], where the transaction has its row of the log already.
///
/// # Errors
/// As [`commit`].
pub async fn write(c: &mut Conn, after: &Event, before: i64, facts: &[Fact], who: Who) -> Result<()> {
    write_fold(c, after, before).await?;
    insert_facts(c, after.id, before + 1, facts, who).await?;
    if facts.iter().any(|f| matches!(f, Fact::Planned { .. })) {
        write_prizes(c, after.id, &after.prizes).await?;
    }
    write_gate(c, after).await
}

async fn write_fold(c: &mut Conn, e: &Event, before: i64) -> Result<()> {
    let changed = sql("update events.events
                          set title = ?, title_search = ?, status = ?, revision = ?, starts_at = ?, ends_at = ?, option = ?, visit_weight = ?,
                              content = ?, channels = ?, distribution_id = ?, commitment = ?, root = ?, root_entries = ?, closed_at = ?, visit_papers = ?
                        where id = ? and revision = ?")
    .bind::<t::Nullable<t::Text>, _>(e.title.clone())
    .bind::<t::Nullable<t::Text>, _>(e.title.as_deref().map(str::to_lowercase))
    .bind::<t::Text, _>(e.status.code())
    .bind::<t::BigInt, _>(e.revision)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.starts_at)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.ends_at)
    .bind::<t::Nullable<t::Jsonb>, _>(e.option.as_ref().map(serde_json::to_value).transpose().map_err(corrupt)?)
    .bind::<t::Nullable<t::SmallInt>, _>(e.visit_weight.map(i16::from))
    .bind::<t::Jsonb, _>(serde_json::to_value(&e.content).map_err(corrupt)?)
    .bind::<t::Array<t::Text>, _>(e.channels.iter().map(|c| c.code().to_owned()).collect::<Vec<_>>())
    .bind::<t::Nullable<t::Uuid>, _>(e.distribution.map(|d| d.0))
    .bind::<t::Nullable<t::Binary>, _>(e.commitment.map(|x| x.to_vec()))
    .bind::<t::Nullable<t::Binary>, _>(e.root.map(|(r, _)| r.to_vec()))
    .bind::<t::Nullable<t::BigInt>, _>(e.root.map(|(_, n)| n))
    .bind::<t::Nullable<t::Timestamptz>, _>(e.closed_at)
    .bind::<t::Integer, _>(i32::try_from(e.visit_papers).map_err(corrupt)?)
    .bind::<t::Uuid, _>(e.id.0)
    .bind::<t::BigInt, _>(before)
    .run(c)
    .await?;
    if changed == 1 { Ok(()) } else { Err(StorageError::Contended) }
}

/// Stores the prizes of an event, replacing what was there.
pub async fn write_prizes(c: &mut Conn, event: EventId, prizes: &[Prize]) -> Result<()> {
    sql("delete from events.prizes where event_id = ?").bind::<t::Uuid, _>(event.0).run(c).await?;
    for (p, rank) in prizes.iter().zip(1i16..) {
        sql("insert into events.prizes (event_id, rank, name, quantity, unit_value_won) values (?, ?, ?, ?, ?)")
            .bind::<t::Uuid, _>(event.0)
            .bind::<t::SmallInt, _>(rank)
            .bind::<t::Text, _>(p.name.clone())
            .bind::<t::Integer, _>(i32::try_from(p.quantity).map_err(corrupt)?)
            .bind::<t::BigInt, _>(p.unit_value_won)
            .run(c)
            .await?;
    }
    Ok(())
}

/// Writes the gate that follows from the status. A closed gate stays closed.
async fn write_gate(c: &mut Conn, e: &Event) -> Result<()> {
    let gate = Gate::of(e.status).code();
    sql("update participation.heads set gate = ?, opens_at = ?, closes_at = ? where event_id = ? and gate <> ?
            and (gate, opens_at, closes_at) is distinct from (?, ?, ?)")
    .bind::<t::SmallInt, _>(gate)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.starts_at)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.ends_at)
    .bind::<t::Uuid, _>(e.id.0)
    .bind::<t::SmallInt, _>(Gate::Closed.code())
    .bind::<t::SmallInt, _>(gate)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.starts_at)
    .bind::<t::Nullable<t::Timestamptz>, _>(e.ends_at)
    .run(c)
    .await?;
    Ok(())
}

/// Locks an event's row against every other command, before its head is locked.
pub async fn lock(c: &mut Conn, event: EventId) -> Result<()> {
    sql("select id from events.events where id = ? for update").bind::<t::Uuid, _>(event.0).first::<Id>(c).await?;
    Ok(())
}

#[derive(QueryableByName)]
struct ShutGateRow {
    #[diesel(sql_type = t::BigInt)]
    entries: i64,
    #[diesel(sql_type = t::BigInt)]
    version: i64,
}

/// Shuts the gate for good, with a row of the log; how many numbers were given out, and the log's version. No entry
/// commits after this transaction.
pub async fn shut_gate(c: &mut Conn, event: EventId) -> Result<(i64, i64)> {
    let shut: Option<ShutGateRow> =
        sql("select entries, version from participation.shut_gate_v1(?)").bind::<t::Uuid, _>(event.0).first(c).await?;
    match shut {
        Some(s) => Ok((s.entries, s.version)),
        None => Ok((crate::tally::last_no(c, event).await?, crate::tally::version(c, event).await?)),
    }
}

/// Keeps the draw's seed, sealed, with the approval that publishes its hash.
pub async fn set_seed(c: &mut Conn, event: EventId, sealed: Vec<u8>) -> Result<()> {
    sql("update events.events set seed_sealed = ? where id = ?")
        .bind::<t::Binary, _>(sealed)
        .bind::<t::Uuid, _>(event.0)
        .run(c)
        .await?;
    Ok(())
}

#[derive(QueryableByName)]
struct SealedSeedRow {
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    seed_sealed: Option<Vec<u8>>,
}

/// The sealed seed.
pub async fn seed(c: &mut Conn, event: EventId) -> Result<Option<Vec<u8>>> {
    let row: Option<SealedSeedRow> =
        sql("select seed_sealed from events.events where id = ?").bind::<t::Uuid, _>(event.0).first(c).await?;
    Ok(row.and_then(|r| r.seed_sealed))
}

/// An event.
pub async fn get(c: &mut Conn, id: EventId) -> Result<Option<Event>> {
    let row: Option<Row> = sql(select_events!("where e.id = ?")).bind::<t::Uuid, _>(id.0).first(c).await?;
    row.map(Event::try_from).transpose()
}

/// The event behind a slug.
pub async fn id_of_slug(c: &mut Conn, slug: &str) -> Result<Option<EventId>> {
    let row: Option<Id> =
        sql("select id from events.events where slug = ?").bind::<t::Text, _>(slug.to_owned()).first(c).await?;
    Ok(row.map(|r| EventId(r.id)))
}

/// Which events of an owner: newest first, below `before`, in one of `statuses`, with `q` in the title.
pub struct Filter {
    /// The owner.
    pub owner: UserId,
    /// Empty: any.
    pub statuses: Vec<Status>,
    /// Part of the title, NFC, lower case.
    pub q: Option<String>,
    /// Only below this id.
    pub before: Option<EventId>,
    /// At most.
    pub limit: i64,
}

/// A page of events.
pub async fn list(c: &mut Conn, f: Filter) -> Result<Vec<Event>> {
    let statuses: Vec<String> = f.statuses.iter().map(|s| s.code().to_owned()).collect();
    let rows: Vec<Row> = sql(select_events!(
        "where e.owner_id = ? and e.id < ? and (cardinality(?) = 0 or e.status = any (?))
           and (? is null or position(? in e.title_search) > 0) order by e.id desc limit ?"
    ))
    .bind::<t::Uuid, _>(f.owner.0)
    .bind::<t::Uuid, _>(f.before.map_or(Uuid::max(), |e| e.0))
    .bind::<t::Array<t::Text>, _>(statuses.clone())
    .bind::<t::Array<t::Text>, _>(statuses)
    .bind::<t::Nullable<t::Text>, _>(f.q.clone())
    .bind::<t::Nullable<t::Text>, _>(f.q)
    .bind::<t::BigInt, _>(f.limit)
    .all(c)
    .await?;
    rows.into_iter().map(Event::try_from).collect()
}

/// Returns how many events of an owner were never approved. Exact only while the owner is held ([`crate::stores::hold`]).
pub async fn count_drafts(c: &mut Conn, owner: UserId) -> Result<i64> {
    let row: Option<Number> = sql("select count(*) as n from events.events
                                    where owner_id = ? and status in ('draft', 'planned', 'ready')")
    .bind::<t::Uuid, _>(owner.0)
    .first(c)
    .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// Removes an event that was never approved; which of its jobs were called off. `None`: it was, or is not there.
pub async fn delete(c: &mut Conn, id: EventId) -> Result<Option<Vec<domain::job::Job>>> {
    // Its jobs stay, for the day's quota: what is not over is called off.
    let jobs: Vec<Id> = sql("select id from events.jobs where event_id = ?").bind::<t::Uuid, _>(id.0).all(c).await?;
    let gone = sql("delete from events.events where id = ? and status in ('draft', 'planned', 'ready')")
        .bind::<t::Uuid, _>(id.0)
        .run(c)
        .await?;
    let mut cancelled = Vec::new();
    if gone == 1 {
        for job in jobs {
            cancelled.extend(crate::jobs::cancel(c, domain::ids::JobId(job.id)).await?);
        }
        sql("delete from participation.log where event_id = ?").bind::<t::Uuid, _>(id.0).run(c).await?;
    }
    Ok((gone == 1).then_some(cancelled))
}

/// A row of the history.
#[derive(QueryableByName, Clone, Debug)]
pub struct FactRow {
    /// 1, 2, 3 …
    #[diesel(sql_type = t::BigInt)]
    pub revision: i64,
    /// What happened.
    #[diesel(sql_type = t::Text)]
    pub kind: String,
    /// Its details.
    #[diesel(sql_type = t::Jsonb)]
    pub data: Value,
    /// The person or part of the system that made it, as `owner:ID` or `system`.
    #[diesel(sql_type = t::Text)]
    pub who: String,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub at: Instant,
}

/// A page of the history, oldest first, after `after`.
pub async fn facts(c: &mut Conn, event: EventId, after: i64, limit: i64) -> Result<Vec<FactRow>> {
    sql("select revision, kind, data, who, at from events.facts where event_id = ? and revision > ? order by revision limit ?")
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::BigInt, _>(after)
        .bind::<t::BigInt, _>(limit)
        .all(c)
        .await
}

/// Events whose time has come or comes within `ahead_seconds`: to open, to close, or closed without a root.
pub async fn due(c: &mut Conn, ahead_seconds: i32) -> Result<Vec<EventId>> {
    let rows: Vec<Id> = sql("select id from events.events
                              where (status = 'scheduled' and starts_at < now() + make_interval(secs => ?))
                                 or (status in ('live', 'paused') and ends_at < now() + make_interval(secs => ?))
                                 or (status = 'closed' and root is null) limit 1000")
    .bind::<t::Integer, _>(ahead_seconds)
    .bind::<t::Integer, _>(ahead_seconds)
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| EventId(r.id)).collect())
}

/// Is the event of a distribution over, by its status or by its time on the database's clock? Nothing is published for it
/// any more.
pub async fn is_over_of(c: &mut Conn, id: DistributionId) -> Result<bool> {
    let over: Option<Id> = sql("select d.id from events.distributions d join events.events e on e.id = d.event_id
                                 where d.id = ? and (e.status not in ('scheduled', 'live', 'paused') or e.ends_at <= now())")
    .bind::<t::Uuid, _>(id.0)
    .first(c)
    .await?;
    Ok(over.is_some())
}

/// Events whose channels have not been asked for figures for `older_than_seconds` while live or paused, and for twelve
/// times as long in the two days after the close: channels report late.
pub async fn to_measure(c: &mut Conn, older_than_seconds: i32) -> Result<Vec<(EventId, UserId)>> {
    #[derive(QueryableByName)]
    struct DueRow {
        #[diesel(sql_type = t::Uuid)]
        id: Uuid,
        #[diesel(sql_type = t::Uuid)]
        owner_id: Uuid,
    }
    let rows: Vec<DueRow> = sql("select e.id, e.owner_id from events.events e join events.distributions d on d.event_id = e.id
                              where (e.status in ('live', 'paused') or (e.status in ('closed', 'drawn') and e.closed_at > now() - interval '48 hours'))
                                and d.ended_at is not null
                                and not exists (select 1 from analytics.channel_stats s
                                                 where s.event_id = e.id
                                                   and s.tried_at > now() - make_interval(secs => ? * case when e.closed_at is null then 1 else 12 end))
                                and exists (select 1 from events.publications p where p.distribution_id = d.id and p.status = 'published')
                              limit 200")
    .bind::<t::Integer, _>(older_than_seconds)
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| (EventId(r.id), UserId(r.owner_id))).collect())
}
