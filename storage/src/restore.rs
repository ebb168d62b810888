//! A database that was restored from a backup: whether it is whole, and the start of its new life.
//!
//! What was done after the backup is gone, and whoever remembers it must not be believed: positions of the topics, logins,
//! cached figures. What the database was about to publish may be out already.

use crate::crypto::Keyring;
use crate::error::Result;
use crate::sql::{Id, Word, sql, types as t};
use crate::store::{Conn, connect_once};
use diesel::QueryableByName;
use domain::ids::{EventId, UserId};
use domain::time::Instant;
use std::time::Duration;
use uuid::Uuid;

/// A server that does not answer within this is none.
const REACH: Duration = Duration::from_secs(10);
/// Sealed entries that are opened of each event, spread over its numbers.
const SAMPLE: i64 = 200;

/// The database that this is: of which server, and which of it.
macro_rules! here {
    () => {
        "(select system_identifier::text || '/' || d.oid::text from pg_control_system(), pg_database d where d.datname = current_database())"
    };
}

/// Is this the database that the epoch was made for, where it was made? The first who asks makes it so. A dump that was
/// restored, or a database that was made from another as its template, is not; a copy of a whole server is (the runbook says
/// what to do with one).
pub async fn is_at_home(c: &mut Conn) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Home {
        #[diesel(sql_type = t::Nullable<t::Text>)]
        origin: Option<String>,
        #[diesel(sql_type = t::Text)]
        here: String,
    }
    let home: Option<Home> =
        sql(concat!("select origin, ", here!(), " as here from participation.epoch")).first(c).await?;
    let Some(home) = home else { return Ok(false) };
    if home.origin.is_none() {
        sql(concat!("update participation.epoch set origin = ", here!(), " where origin is null")).run(c).await?;
    }
    Ok(home.origin.is_none_or(|origin| origin == home.here))
}

/// From now on the database is at home where it is: it was moved, and nothing is missing.
pub async fn moved(c: &mut Conn) -> Result<()> {
    sql(concat!("update participation.epoch set origin = ", here!())).run(c).await?;
    Ok(())
}

/// Returns the other connections to the database of a server, as process and name: there must be none.
///
/// # Errors
/// It cannot be reached.
pub async fn others(url: &str) -> Result<Vec<String>> {
    let mut c = connect_once(url, REACH).await?;
    let others: Vec<Word> = sql("select pid || ' ' || coalesce(nullif(application_name, ''), usename) as s from pg_stat_activity
                                  where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()")
        .all(&mut c)
        .await?;
    Ok(others.into_iter().map(|o| o.s).collect())
}

/// A table and its rows.
#[derive(QueryableByName, Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    #[diesel(sql_type = t::Text)]
    pub name: String,
    /// How many rows.
    #[diesel(sql_type = t::BigInt)]
    pub rows: i64,
}

/// What there is of what matters.
pub async fn tables(c: &mut Conn) -> Result<Vec<Table>> {
    sql("          select 'accounts' as name, count(*) as rows from identity.users
         union all select 'shops', count(*) from identity.stores
         union all select 'events', count(*) from events.events
         union all select 'pictures', count(*) from events.images
         union all select 'publications', count(*) from events.publications
         union all select 'entries', count(*) from participation.entries
         union all select 'draws', count(*) from participation.draws
         union all select 'audit records', count(*) from identity.audit")
    .all(c)
    .await
}

/// When the newest thing in it happened: what came later is gone. `None`: nothing ever happened.
pub async fn newest(c: &mut Conn) -> Result<Option<Instant>> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
        at: Option<Instant>,
    }
    let newest: Option<Newest> = sql("select greatest((select max(at) from participation.log), (select max(at) from events.facts),
                                                      (select max(at) from identity.audit), (select max(created_at) from identity.sessions)) as at")
    .first(c)
    .await?;
    Ok(newest.and_then(|n| n.at))
}

/// Every account.
pub async fn accounts(c: &mut Conn) -> Result<Vec<UserId>> {
    let ids: Vec<Id> = sql("select id from identity.users order by id").all(c).await?;
    Ok(ids.into_iter().map(|r| UserId(r.id)).collect())
}

/// Every event.
pub async fn events(c: &mut Conn) -> Result<Vec<EventId>> {
    let ids: Vec<Id> = sql("select id from events.events order by id").all(c).await?;
    Ok(ids.into_iter().map(|r| EventId(r.id)).collect())
}

/// Does an account open with these keys, and is it found by its e-mail and number?
///
/// # Errors
/// What the database answered; ciphertext that does not open is `false`.
pub async fn account_opens(c: &mut Conn, keys: &Keyring, id: UserId) -> Result<bool> {
    let user = match crate::users::get(c, keys, id).await {
        Ok(Some(user)) => user,
        Ok(None) | Err(crate::StorageError::Sealed | crate::StorageError::Corrupt(_)) => return Ok(false),
        Err(e) => return Err(e),
    };
    let found = crate::users::credentials(c, keys, &user.email).await?;
    Ok(found.is_some_and(|f| f.id == id.0) && crate::users::has_business(c, keys, id, &user.business).await?)
}

/// What the rows of an event add up to.
#[derive(QueryableByName, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Entries.
    #[diesel(sql_type = t::BigInt)]
    pub entries: i64,
    /// Their numbers run 1, 2, 3 ….
    #[diesel(sql_type = t::Bool)]
    pub numbered: bool,
    /// The newest row of the log says as many, as many void, and the same of every source.
    #[diesel(sql_type = t::Bool)]
    pub counted: bool,
    /// The versions of the log run 1, 2, 3 ….
    #[diesel(sql_type = t::Bool)]
    pub logged: bool,
}

/// Adds the rows of an event up.
pub async fn sums(c: &mut Conn, event: EventId) -> Result<Sums> {
    let sums: Option<Sums> = sql(
        "with e as (select count(*) as n, coalesce(max(entry_no), 0) as last, count(voided_at) as void from participation.entries where event_id = ?),
              s as (select array_agg(coalesce(x.n, 0) order by source) as by_channel
                      from generate_series(0, 7) source
                      left join (select channel, count(*) as n from participation.entries
                                  where event_id = ? and voided_at is null group by channel) x on x.channel = source),
              v as (select count(*) as n, coalesce(max(version), 0) as last from participation.log where event_id = ?),
              l as (select last_no, void, by_channel from participation.log where event_id = ? order by version desc limit 1)
         select e.n as entries, e.n = e.last as numbered, v.n = v.last as logged,
                coalesce(l.last_no, 0) = e.n and coalesce(l.void, 0) = e.void
                  and coalesce(l.by_channel, array[0,0,0,0,0,0,0,0]::bigint[]) = s.by_channel as counted
           from e cross join s cross join v left join l on true",
    )
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Uuid, _>(event.0)
    .first(c)
    .await?;
    sums.ok_or_else(|| crate::error::corrupt("an aggregate without a row"))
}

/// How many of a sample of an event's entries were looked at, and how many of them open with these keys and are found under
/// the phone that they hold.
pub async fn sample(c: &mut Conn, keys: &Keyring, event: EventId) -> Result<(usize, usize)> {
    #[derive(QueryableByName)]
    struct Sampled {
        #[diesel(sql_type = t::Uuid)]
        id: Uuid,
        #[diesel(sql_type = t::Binary)]
        sealed: Vec<u8>,
        #[diesel(sql_type = t::Binary)]
        phone_index: Vec<u8>,
        #[diesel(sql_type = t::Text)]
        index_kid: String,
        #[diesel(sql_type = t::Uuid)]
        store_id: Uuid,
    }
    let last = crate::tally::last_no(c, event).await?;
    let step = (last / SAMPLE).max(1);
    let rows: Vec<Sampled> = sql("select e.id, e.sealed, e.phone_index, s.index_kid, s.id as store_id
                                    from participation.entries e
                                    join events.events v on v.id = e.event_id join identity.stores s on s.id = v.store_id
                                   where e.event_id = ? and octet_length(e.sealed) > 0
                                     and e.entry_no = any (array(select generate_series(1, ?, ?)))")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(last)
    .bind::<t::BigInt, _>(step)
    .all(c)
    .await?;
    let opens = |r: &&Sampled| {
        let Ok(plain) = keys.open_text("entries.sealed", r.id, &r.sealed) else { return false };
        let Some((_, phone)) = plain.split_once('\n') else { return false };
        keys.phone_index(&r.index_kid, domain::ids::StoreId(r.store_id), phone)
            .is_ok_and(|i| i[..] == r.phone_index[..])
    };
    Ok((rows.len(), rows.iter().filter(opens).count()))
}

/// Names of the pictures of an event, their backgrounds included.
pub async fn objects(c: &mut Conn, event: EventId) -> Result<Vec<String>> {
    let names: Vec<Word> = sql("select name as s from events.images where event_id = ?
                                union select background from events.images where event_id = ? and background is not null")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Uuid, _>(event.0)
    .all(c)
    .await?;
    Ok(names.into_iter().map(|n| n.s).collect())
}

/// What began with a new life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLife {
    /// Logins that ended.
    pub logins: usize,
    /// Publications that will be asked about before they are called: they may be out already.
    pub doubtful: usize,
}

/// Begins the new life: positions of the topics mean nothing any more, every login ends, and what was to be published is asked
/// about first.
pub async fn begin(c: &mut Conn) -> Result<NewLife> {
    sql(concat!(
        "update participation.epoch set epoch = replace(gen_random_uuid()::text, '-', ''), origin = ",
        here!()
    ))
    .run(c)
    .await?;
    sql("delete from identity.tickets").run(c).await?;
    let logins = sql("delete from identity.sessions").run(c).await?;
    // Requests that were under way hold their keys for a minute otherwise.
    sql("delete from identity.idempotency_keys where status is null").run(c).await?;
    let doubtful = sql("update events.publications set status = 'publishing', next_at = now(), updated_at = now()
                         where status in ('queued', 'retrying')")
    .run(c)
    .await?;
    Ok(NewLife { logins, doubtful })
}

/// Owners who have an event that is not over: what they did last may be gone.
pub async fn owners_at_work(c: &mut Conn) -> Result<Vec<UserId>> {
    let ids: Vec<Id> =
        sql("select distinct owner_id as id from events.events where status not in ('drawn', 'settled', 'cancelled', 'purged')")
            .all(c)
            .await?;
    Ok(ids.into_iter().map(|r| UserId(r.id)).collect())
}
