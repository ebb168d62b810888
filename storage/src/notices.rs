//! `events.notices`: what an owner should know, in order.

use crate::error::{Result, corrupt};
use crate::sql::{Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::channel::Upstream;
use domain::ids::{EventId, NoticeId, UserId};
use domain::time::Instant;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// A notice.
#[derive(QueryableByName, Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Its id.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// Offset of the topic.
    #[diesel(sql_type = t::BigInt)]
    pub seq: i64,
    /// Stable code.
    #[diesel(sql_type = t::Text)]
    pub kind: String,
    /// `info`, `warning` or `critical`.
    #[diesel(sql_type = t::Text)]
    pub level: String,
    /// In Korean.
    #[diesel(sql_type = t::Text)]
    pub message_ko: String,
    /// In English.
    #[diesel(sql_type = t::Text)]
    pub message_en: String,
    /// Ids it is about.
    #[diesel(sql_type = t::Jsonb)]
    pub data: Value,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub created_at: Instant,
    /// When it was read.
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    pub read_at: Option<Instant>,
}

/// A notice to be written.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// For whom.
    pub owner: UserId,
    /// Stable code.
    pub kind: &'static str,
    /// `info`, `warning` or `critical`.
    pub level: &'static str,
    /// In Korean.
    pub message_ko: String,
    /// In English.
    pub message_en: String,
    /// Ids it is about.
    pub data: Value,
}

/// Writes a notice, numbered under the owner's row lock.
pub async fn insert(c: &mut Conn, n: NewNotice) -> Result<Notice> {
    let seq: Number =
        sql("update identity.users set notice_seq = notice_seq + 1 where id = ? returning notice_seq as n")
            .bind::<t::Uuid, _>(n.owner.0)
            .first(c)
            .await?
            .ok_or_else(|| corrupt("no such owner"))?;
    sql("insert into events.notices (id, owner_id, seq, kind, level, message_ko, message_en, data) values (?, ?, ?, ?, ?, ?, ?, ?)
         returning id, seq, kind, level, message_ko, message_en, data, created_at, read_at")
    .bind::<t::Uuid, _>(NoticeId::new().0)
    .bind::<t::Uuid, _>(n.owner.0)
    .bind::<t::BigInt, _>(seq.n)
    .bind::<t::Text, _>(n.kind)
    .bind::<t::Text, _>(n.level)
    .bind::<t::Text, _>(n.message_ko)
    .bind::<t::Text, _>(n.message_en)
    .bind::<t::Jsonb, _>(n.data)
    .first(c)
    .await?
    .ok_or_else(|| corrupt("insert returned nothing"))
}

/// Writes a notice, unless the owner got one of its kind within a day. `None`: the owner did.
pub async fn insert_daily(c: &mut Conn, n: NewNotice) -> Result<Option<Notice>> {
    // Two nodes at once: the second one sees the notice of the first.
    crate::stores::hold(c, n.owner).await?;
    let told = sql("select seq as n from events.notices
                     where owner_id = ? and kind = ? and created_at > now() - interval '1 day' limit 1")
    .bind::<t::Uuid, _>(n.owner.0)
    .bind::<t::Text, _>(n.kind)
    .first::<Number>(c)
    .await?;
    if told.is_some() { Ok(None) } else { insert(c, n).await.map(Some) }
}

/// Writes a notice about an event, unless its owner has one of the same kind about it, read or not. `None`: there is one.
pub async fn insert_once(c: &mut Conn, n: NewNotice, event: EventId) -> Result<Option<Notice>> {
    // Two nodes at once: the second one sees the notice of the first.
    crate::stores::hold(c, n.owner).await?;
    let told =
        sql("select seq as n from events.notices where owner_id = ? and kind = ? and data ->> 'eventId' = ? limit 1")
            .bind::<t::Uuid, _>(n.owner.0)
            .bind::<t::Text, _>(n.kind)
            .bind::<t::Text, _>(event.to_string())
            .first::<Number>(c)
            .await?;
    if told.is_some() { Ok(None) } else { insert(c, n).await.map(Some) }
}

/// A page of an owner's notices, newest first, below `before`: those that wait to be read, or all.
pub async fn list(c: &mut Conn, owner: UserId, all: bool, before: Option<i64>, limit: i64) -> Result<Vec<Notice>> {
    sql("select id, seq, kind, level, message_ko, message_en, data, created_at, read_at from events.notices
          where owner_id = ? and seq < ? and (? or read_at is null) order by seq desc limit ?")
    .bind::<t::Uuid, _>(owner.0)
    .bind::<t::BigInt, _>(before.unwrap_or(i64::MAX))
    .bind::<t::Bool, _>(all)
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await
}

/// Marks a notice as read. `None`: no such notice of this owner.
pub async fn read(c: &mut Conn, owner: UserId, id: NoticeId) -> Result<Option<Notice>> {
    sql("update events.notices set read_at = coalesce(read_at, now()) where id = ? and owner_id = ?
         returning id, seq, kind, level, message_ko, message_en, data, created_at, read_at")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Uuid, _>(owner.0)
    .first(c)
    .await
}

/// The newest number of an owner's notices: the topic's offset.
pub async fn newest(c: &mut Conn, owner: UserId) -> Result<i64> {
    let row: Option<Number> =
        sql("select notice_seq as n from identity.users where id = ?").bind::<t::Uuid, _>(owner.0).first(c).await?;
    Ok(row.map_or(0, |r| r.n))
}

/// Owners whom an upstream's trouble concerns, at most `limit`: of the channel's open events, or, for what events are made
/// with, of drafts touched within the hour; for the tax service, of stores that wait for it.
pub async fn concerned(c: &mut Conn, upstream: Upstream, limit: i64) -> Result<Vec<UserId>> {
    let rows: Vec<crate::sql::Id> = match (upstream, upstream.channel()) {
        (_, Some(channel)) => {
            sql("select distinct owner_id as id from events.events
                  where status in ('ready', 'scheduled', 'live', 'paused') and channels @> array[?]::text[] limit ?")
            .bind::<t::Text, _>(channel.code())
            .bind::<t::BigInt, _>(limit)
            .all(c)
            .await?
        }
        (Upstream::Nts, _) => {
            sql("select distinct user_id as id from identity.stores where verification = 'PENDING' and deleted_at is null limit ?")
                .bind::<t::BigInt, _>(limit)
                .all(c)
                .await?
        }
        _ => {
            sql("select distinct e.owner_id as id from events.events e
                  where e.status in ('draft', 'planned') and exists (select 1 from events.facts f
                        where f.event_id = e.id and f.revision = e.revision and f.at > now() - interval '1 hour') limit ?")
            .bind::<t::BigInt, _>(limit)
            .all(c)
            .await?
        }
    };
    Ok(rows.into_iter().map(|r| UserId(r.id)).collect())
}

/// An event that was closed long ago and not drawn.
#[derive(Clone, Debug, QueryableByName)]
pub struct UndrawnEvent {
    /// Which.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// Whose.
    #[diesel(sql_type = t::Uuid)]
    pub owner_id: Uuid,
    /// What it is called.
    #[diesel(sql_type = t::Text)]
    pub title: String,
    /// How many wait.
    #[diesel(sql_type = t::BigInt)]
    pub entries: i64,
}

/// Events with entries that were closed days ago and not drawn, whose owners were not told so by a notice of this kind.
pub async fn undrawn(c: &mut Conn, kind: &'static str, days: i32, limit: i64) -> Result<Vec<UndrawnEvent>> {
    sql("select e.id, e.owner_id, e.title, e.root_entries as entries from events.events e
          where e.status = 'closed' and e.root_entries > 0
            and (select max(f.at) from events.facts f where f.event_id = e.id and f.kind = 'closed') < now() - make_interval(days => ?)
            and not exists (select 1 from events.notices n
                             where n.owner_id = e.owner_id and n.kind = ? and n.data ->> 'eventId' = e.id::text)
          order by e.id limit ?")
    .bind::<t::Integer, _>(days)
    .bind::<t::Text, _>(kind)
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await
}
