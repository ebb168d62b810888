//! `identity.sessions` and `identity.tickets`: logins, and the one-time keys to a socket.

use crate::error::Result;
use crate::sql::{Id, sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::ids::{SessionId, UserId};
use domain::time::Instant;
use uuid::Uuid;

/// Days until a new login is needed.
pub const SESSION_DAYS: i32 = 7;
/// Seconds in which the refresh token before the last one gets the same answer again.
pub const GRACE_SECONDS: i32 = 30;

/// Days for which an address stays known to an account after its last good login from there.
pub const KNOWN_ADDRESS_DAYS: i32 = 30;

/// A login, as a refresh finds it.
#[derive(QueryableByName, Clone, Debug)]
pub struct Session {
    /// Whose.
    #[diesel(sql_type = t::Uuid)]
    pub user_id: Uuid,
    /// Which refresh token is the good one.
    #[diesel(sql_type = t::Integer)]
    pub generation: i32,
    /// When that one was made.
    #[diesel(sql_type = t::Timestamptz)]
    pub rotated_at: Instant,
    /// Neither expired nor revoked, by the database's clock.
    #[diesel(sql_type = t::Bool)]
    pub alive: bool,
    /// The last rotation is younger than the grace.
    #[diesel(sql_type = t::Bool)]
    pub in_grace: bool,
}

/// Begins a login.
pub async fn insert(c: &mut Conn, id: SessionId, user: UserId) -> Result<()> {
    sql("insert into identity.sessions (id, user_id, expires_at) values (?, ?, now() + make_interval(days => ?))")
        .bind::<t::Uuid, _>(id.0)
        .bind::<t::Uuid, _>(user.0)
        .bind::<t::Integer, _>(SESSION_DAYS)
        .run(c)
        .await?;
    Ok(())
}

/// Remembers an address, by its keyed hash, as one that an account logs in from.
pub async fn know_address(c: &mut Conn, user: UserId, address: [u8; 32]) -> Result<()> {
    sql("insert into identity.known_addresses (user_id, address_index) values (?, ?)
         on conflict (user_id, address_index) do update set seen_at = now()")
    .bind::<t::Uuid, _>(user.0)
    .bind::<t::Binary, _>(address.to_vec())
    .run(c)
    .await?;
    Ok(())
}

/// A login.
pub async fn get(c: &mut Conn, id: SessionId) -> Result<Option<Session>> {
    sql("select user_id, generation, rotated_at, revoked_at is null and expires_at > now() as alive,
                rotated_at > now() - make_interval(secs => ?) as in_grace
           from identity.sessions where id = ?")
    .bind::<t::Integer, _>(GRACE_SECONDS)
    .bind::<t::Uuid, _>(id.0)
    .first(c)
    .await
}

/// Makes the next refresh token the good one, if `from` still is. `None`: somebody else was first.
pub async fn rotate(c: &mut Conn, id: SessionId, from: i32) -> Result<Option<Session>> {
    sql("update identity.sessions set generation = generation + 1, rotated_at = date_trunc('second', now())
          where id = ? and generation = ? and revoked_at is null and expires_at > now()
      returning user_id, generation, rotated_at, true as alive, true as in_grace")
    .bind::<t::Uuid, _>(id.0)
    .bind::<t::Integer, _>(from)
    .first(c)
    .await
}

/// Ends a login. Why: `logout` or `reuse`.
pub async fn revoke(c: &mut Conn, id: SessionId, reason: &'static str) -> Result<()> {
    sql("update identity.sessions set revoked_at = now(), reason = ? where id = ? and revoked_at is null")
        .bind::<t::Text, _>(reason)
        .bind::<t::Uuid, _>(id.0)
        .run(c)
        .await?;
    Ok(())
}

/// Ends every login of an account; which they were.
pub async fn revoke_all(c: &mut Conn, user: UserId) -> Result<Vec<SessionId>> {
    let rows: Vec<Id> = sql("update identity.sessions set revoked_at = now(), reason = 'logout'
                              where user_id = ? and revoked_at is null returning id")
    .bind::<t::Uuid, _>(user.0)
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| SessionId(r.id)).collect())
}

/// Logins revoked within the last quarter of an hour: longer than any access token lives.
pub async fn recently_revoked(c: &mut Conn) -> Result<Vec<SessionId>> {
    let rows: Vec<Id> =
        sql("select id from identity.sessions where revoked_at > now() - interval '20 minutes' limit 100000")
            .all(c)
            .await?;
    Ok(rows.into_iter().map(|r| SessionId(r.id)).collect())
}

/// Stores a ticket for 30 s.
pub async fn insert_ticket(c: &mut Conn, hash: [u8; 32], user: UserId, session: SessionId) -> Result<()> {
    sql("insert into identity.tickets (hash, user_id, session_id, expires_at) values (?, ?, ?, now() + interval '30 seconds')")
        .bind::<t::Binary, _>(hash.to_vec())
        .bind::<t::Uuid, _>(user.0)
        .bind::<t::Uuid, _>(session.0)
        .run(c)
        .await?;
    Ok(())
}

/// Whose ticket, and of which login.
#[derive(QueryableByName, Clone, Copy, Debug)]
pub struct Ticket {
    /// The account.
    #[diesel(sql_type = t::Uuid)]
    pub user_id: Uuid,
    /// The login.
    #[diesel(sql_type = t::Uuid)]
    pub session_id: Uuid,
}

/// Uses a ticket up. `None`: unknown, used, expired, or its login ended.
pub async fn take_ticket(c: &mut Conn, hash: [u8; 32]) -> Result<Option<Ticket>> {
    sql("with used as (delete from identity.tickets where hash = ? returning user_id, session_id, expires_at)
         select u.user_id, u.session_id from used u join identity.sessions s on s.id = u.session_id
          where u.expires_at > now() and s.revoked_at is null and s.expires_at > now()")
    .bind::<t::Binary, _>(hash.to_vec())
    .first(c)
    .await
}

/// Removes what has expired, of logins a day later: an access token outlives its login by a quarter of an hour at most. How
/// many rows: at most a thousand of logins, keys and known addresses at once.
pub async fn sweep(c: &mut Conn) -> Result<usize> {
    let tickets = sql("delete from identity.tickets where expires_at < now()").run(c).await?;
    let keys = sql("delete from identity.idempotency_keys where scope in (
                      select scope from identity.idempotency_keys where expires_at < now() limit 1000)")
    .run(c)
    .await?;
    let logins = sql("delete from identity.sessions where id in (
                        select id from identity.sessions where expires_at < now() - interval '1 day' limit 1000)")
    .run(c)
    .await?;
    let addresses = sql("delete from identity.known_addresses where (user_id, address_index) in (
                           select user_id, address_index from identity.known_addresses
                            where seen_at < now() - make_interval(days => ?) limit 1000)")
    .bind::<t::Integer, _>(KNOWN_ADDRESS_DAYS)
    .run(c)
    .await?;
    Ok(tickets + keys + logins + addresses)
}
