//! `identity.idempotency_keys`: answers kept for requests that are repeated.

use crate::error::Result;
use crate::sql::{sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;

/// What is known of a key.
#[derive(QueryableByName, Debug)]
pub struct KeyRecord {
    /// Keyed hash of the body it came with.
    #[diesel(sql_type = t::Binary)]
    pub fingerprint: Vec<u8>,
    /// Status of the answer; `None` while the first request runs.
    #[diesel(sql_type = t::Nullable<t::SmallInt>)]
    pub status: Option<i16>,
    /// The answer, sealed.
    #[diesel(sql_type = t::Nullable<t::Binary>)]
    pub sealed: Option<Vec<u8>>,
}

/// Claims a key for this request. `None`: claimed, go on. Else what is known of it.
///
/// A claim without an answer is void when it was not renewed for 15 s: the process that made it is gone. It is swept after a
/// minute.
pub async fn claim(c: &mut Conn, scope: [u8; 32], fingerprint: [u8; 32]) -> Result<Option<KeyRecord>> {
    let claimed = sql("insert into identity.idempotency_keys as k (scope, fingerprint, expires_at)
                       values (?, ?, now() + interval '1 minute')
                       on conflict (scope) do update set fingerprint = excluded.fingerprint, status = null, sealed = null,
                                                         claimed_at = now(), expires_at = excluded.expires_at
                          where k.expires_at < now() or (k.status is null and k.claimed_at < now() - interval '15 seconds')")
    .bind::<t::Binary, _>(scope.to_vec())
    .bind::<t::Binary, _>(fingerprint.to_vec())
    .run(c)
    .await?;
    if claimed == 1 {
        return Ok(None);
    }
    get(c, scope).await
}

/// What is known of a key.
pub async fn get(c: &mut Conn, scope: [u8; 32]) -> Result<Option<KeyRecord>> {
    sql("select fingerprint, status, sealed from identity.idempotency_keys where scope = ?")
        .bind::<t::Binary, _>(scope.to_vec())
        .first(c)
        .await
}

/// The answer of a key that is kept and has not expired.
pub async fn answered(c: &mut Conn, scope: [u8; 32]) -> Result<Option<KeyRecord>> {
    sql("select fingerprint, status, sealed from identity.idempotency_keys
          where scope = ? and status is not null and expires_at > now()")
    .bind::<t::Binary, _>(scope.to_vec())
    .first(c)
    .await
}

/// Keeps the answer of a request that claimed nothing. The first one stands.
pub async fn keep(c: &mut Conn, scope: [u8; 32], fingerprint: [u8; 32], status: i16, sealed: Vec<u8>) -> Result<()> {
    sql("insert into identity.idempotency_keys as k (scope, fingerprint, status, sealed, expires_at)
         values (?, ?, ?, ?, now() + interval '24 hours')
         on conflict (scope) do update set fingerprint = excluded.fingerprint, status = excluded.status,
                                           sealed = excluded.sealed, expires_at = excluded.expires_at
            where k.expires_at < now()")
    .bind::<t::Binary, _>(scope.to_vec())
    .bind::<t::Binary, _>(fingerprint.to_vec())
    .bind::<t::SmallInt, _>(status)
    .bind::<t::Binary, _>(sealed)
    .run(c)
    .await?;
    Ok(())
}

/// Keeps the answer of a claimed key, for 24 hours from now.
pub async fn answer(c: &mut Conn, scope: [u8; 32], status: i16, sealed: Vec<u8>) -> Result<()> {
    sql("update identity.idempotency_keys set status = ?, sealed = ?, expires_at = now() + interval '24 hours' where scope = ?")
        .bind::<t::SmallInt, _>(status)
        .bind::<t::Binary, _>(sealed)
        .bind::<t::Binary, _>(scope.to_vec())
        .run(c)
        .await?;
    Ok(())
}

/// Gives a claim back: the answer is not one to be repeated.
pub async fn release(c: &mut Conn, scope: [u8; 32]) -> Result<()> {
    sql("delete from identity.idempotency_keys where scope = ? and status is null")
        .bind::<t::Binary, _>(scope.to_vec())
        .run(c)
        .await?;
    Ok(())
}

/// The first request is still being handled: its claim holds. One without a beat for 15 s is void, its server is gone.
pub async fn beat(c: &mut Conn, scope: [u8; 32]) -> Result<()> {
    sql("update identity.idempotency_keys set claimed_at = now(), expires_at = now() + interval '1 minute' where scope = ? and status is null")
        .bind::<t::Binary, _>(scope.to_vec())
        .run(c)
        .await?;
    Ok(())
}
