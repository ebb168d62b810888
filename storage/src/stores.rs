//! `identity.stores`: shops.

use crate::error::{Result, corrupt};
use crate::sql::{Id, Number, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::catalog::Region;
use domain::channel::Mode;
use domain::ids::{EventId, StoreId, UserId};
use domain::shop::{Shop, Verification};
use domain::time::Instant;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Uuid)]
    id: Uuid,
    #[diesel(sql_type = t::Uuid)]
    user_id: Uuid,
    #[diesel(sql_type = t::Text)]
    name: String,
    #[diesel(sql_type = t::Text)]
    industry: String,
    #[diesel(sql_type = t::Text)]
    region: String,
    #[diesel(sql_type = t::Nullable<t::Text>)]
    address: Option<String>,
    #[diesel(sql_type = t::Text)]
    verification: String,
    #[diesel(sql_type = t::Text)]
    mode: String,
    #[diesel(sql_type = t::Text)]
    index_kid: String,
    #[diesel(sql_type = t::BigInt)]
    version: i64,
    #[diesel(sql_type = t::Timestamptz)]
    created_at: Instant,
    #[diesel(sql_type = t::Bool)]
    removed: bool,
}

impl Row {
    fn shop(self) -> Result<Shop> {
        let r = self;
        Ok(Shop {
            id: StoreId(r.id),
            user: UserId(r.user_id),
            name: r.name,
            industry: r.industry,
            region: Region::stored(&r.region),
            address: r.address,
            verification: Verification::parse(&r.verification).ok_or_else(|| corrupt("verification"))?,
            mode: Mode::parse(&r.mode).ok_or_else(|| corrupt("mode"))?,
            index_kid: r.index_kid,
            version: r.version,
            created_at: r.created_at,
            removed: r.removed,
        })
    }
}

/// Adds a shop.
pub async fn insert(c: &mut Conn, s: &Shop) -> Result<()> {
    sql("insert into identity.stores (id, user_id, name, industry, region, address, verification, mode, verified_at, index_kid, created_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, case when ? then now() end, ?, ?)")
    .bind::<t::Uuid, _>(s.id.0)
    .bind::<t::Uuid, _>(s.user.0)
    .bind::<t::Text, _>(s.name.clone())
    .bind::<t::Text, _>(s.industry.clone())
    .bind::<t::Text, _>(s.region.to_string())
    .bind::<t::Nullable<t::Text>, _>(s.address.clone())
    .bind::<t::Text, _>(s.verification.code())
    .bind::<t::Text, _>(s.mode.code())
    .bind::<t::Bool, _>(s.verification == Verification::Verified)
    .bind::<t::Text, _>(s.index_kid.clone())
    .bind::<t::Timestamptz, _>(s.created_at)
    .run(c)
    .await?;
    Ok(())
}

/// A shop, removed or not.
pub async fn get(c: &mut Conn, id: StoreId) -> Result<Option<Shop>> {
    let row: Option<Row> =
        sql("select id, user_id, name, industry, region, address, verification, mode, index_kid, version, created_at, deleted_at is not null as removed
                                  from identity.stores where id = ?")
        .bind::<t::Uuid, _>(id.0)
        .first(c)
        .await?;
    row.map(Row::shop).transpose()
}

/// Shops of an owner that are not removed, oldest first, after `after`; at most `limit`.
pub async fn list(c: &mut Conn, user: UserId, after: Option<StoreId>, limit: i64) -> Result<Vec<Shop>> {
    let rows: Vec<Row> =
        sql("select id, user_id, name, industry, region, address, verification, mode, index_kid, version, created_at, deleted_at is not null as removed
                                from identity.stores
                               where user_id = ? and deleted_at is null and id > ? order by id limit ?")
        .bind::<t::Uuid, _>(user.0)
        .bind::<t::Uuid, _>(after.map_or(Uuid::nil(), |s| s.0))
        .bind::<t::BigInt, _>(limit)
        .all(c)
        .await?;
    rows.into_iter().map(Row::shop).collect()
}

/// Changes name, industry, region and address, if the version is still `expected`. False: it was not.
pub async fn update(c: &mut Conn, s: &Shop, expected: Option<i64>) -> Result<bool> {
    let changed =
        sql("update identity.stores set name = ?, industry = ?, region = ?, address = ?, version = version + 1
                        where id = ? and deleted_at is null and version = coalesce(?, version)")
        .bind::<t::Text, _>(s.name.clone())
        .bind::<t::Text, _>(s.industry.clone())
        .bind::<t::Text, _>(s.region.to_string())
        .bind::<t::Nullable<t::Text>, _>(s.address.clone())
        .bind::<t::Uuid, _>(s.id.0)
        .bind::<t::Nullable<t::BigInt>, _>(expected)
        .run(c)
        .await?;
    Ok(changed == 1)
}

/// The outcome of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The shop is removed.
    Removed,
    /// Its version is not the expected one.
    Stale,
    /// It has events that are not over.
    OpenEvents,
    /// The owner has no such shop.
    Unknown,
}

/// Removes an owner's shop without open events, if its version is still `expected` (or any, without one).
pub async fn remove(c: &mut Conn, user: UserId, id: StoreId, expected: Option<i64>) -> Result<Removal> {
    let changed = sql("update identity.stores s set deleted_at = now(), version = version + 1
                        where s.id = ? and s.user_id = ? and s.deleted_at is null and s.version = coalesce(?, s.version)
                          and not exists (
                          select 1 from events.events e where e.store_id = s.id and e.status in ('draft', 'planned', 'ready', 'scheduled', 'live', 'paused'))")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Uuid, _>(user.0)
    .bind::<t::Nullable<t::BigInt>, _>(expected)
    .run(c)
    .await?;
    if changed == 1 {
        return Ok(Removal::Removed);
    }
    Ok(match get(c, id).await?.filter(|shop| shop.user == user && !shop.removed) {
        None => Removal::Unknown,
        Some(shop) if expected.is_some_and(|version| version != shop.version) => Removal::Stale,
        Some(_) => Removal::OpenEvents,
    })
}

/// How many shops of an owner are not removed. Exact only while the owner is held ([`hold`]).
pub async fn count(c: &mut Conn, user: UserId) -> Result<i64> {
    let row: Option<Number> = sql("select count(*) as n from identity.stores where user_id = ? and deleted_at is null")
        .bind::<t::Uuid, _>(user.0)
        .first(c)
        .await?;
    Ok(row.map_or(0, |r| r.n))
}

/// Holds what is said of an owner's shops until the transaction ends: a shop that is added meanwhile must not miss it.
pub async fn hold(c: &mut Conn, user: UserId) -> Result<()> {
    sql("select id from identity.users where id = ? for no key update")
        .bind::<t::Uuid, _>(user.0)
        .first::<Id>(c)
        .await?;
    Ok(())
}

/// Records a verdict for every shop of the owner: of the tax service in its `mode`, for those that wait for it, or without one
/// of an operator, for all. How many it changed.
pub async fn set_verification(
    c: &mut Conn,
    user: UserId,
    verification: Verification,
    mode: Option<Mode>,
) -> Result<usize> {
    sql("update identity.stores set verification = ?, mode = coalesce(?, mode), version = version + 1,
                verified_at = case when ? then now() else verified_at end
          where user_id = ? and verification <> ? and (? or verification = 'PENDING')")
    .bind::<t::Text, _>(verification.code())
    .bind::<t::Nullable<t::Text>, _>(mode.map(Mode::code))
    .bind::<t::Bool, _>(verification == Verification::Verified)
    .bind::<t::Uuid, _>(user.0)
    .bind::<t::Text, _>(verification.code())
    .bind::<t::Bool, _>(mode.is_none())
    .run(c)
    .await
}

/// Shops that are not verified, or of these those with one result, newest first, before `before`; at most `limit`.
pub async fn unverified(
    c: &mut Conn,
    result: Option<Verification>,
    before: Option<StoreId>,
    limit: i64,
) -> Result<Vec<Shop>> {
    let rows: Vec<Row> =
        sql("select id, user_id, name, industry, region, address, verification, mode, index_kid, version, created_at, deleted_at is not null as removed
                                from identity.stores
                               where verification <> 'VERIFIED' and deleted_at is null and verification = coalesce(?, verification)
                                 and id < ? order by id desc limit ?")
        .bind::<t::Nullable<t::Text>, _>(result.map(Verification::code))
        .bind::<t::Uuid, _>(before.map_or(Uuid::max(), |s| s.0))
        .bind::<t::BigInt, _>(limit)
        .all(c)
        .await?;
    rows.into_iter().map(Row::shop).collect()
}

/// Open events of an owner's rejected shops, at most a thousand: what pauses.
pub async fn live_events(c: &mut Conn, user: UserId) -> Result<Vec<EventId>> {
    let rows: Vec<Id> = sql("select e.id from events.events e join identity.stores s on s.id = e.store_id
                              where e.owner_id = ? and e.status = 'live' and s.verification = 'REJECTED' limit 1000")
    .bind::<t::Uuid, _>(user.0)
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| EventId(r.id)).collect())
}

/// The newest shop of an owner, removed or not: verified or not is the same for all.
pub async fn newest(c: &mut Conn, user: UserId) -> Result<Option<Shop>> {
    let row: Option<Row> =
        sql("select id, user_id, name, industry, region, address, verification, mode, index_kid, version, created_at, deleted_at is not null as removed
                                  from identity.stores where user_id = ? order by id desc limit 1")
        .bind::<t::Uuid, _>(user.0)
        .first(c)
        .await?;
    row.map(Row::shop).transpose()
}
