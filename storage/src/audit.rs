//! `identity.audit`: who did or saw what. Append-only.

use crate::error::Result;
use crate::sql::{sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::time::Instant;
use serde::Serialize;
use serde_json::Value;

/// A record of the audit log.
#[derive(QueryableByName, Clone, Debug, Serialize)]
pub struct Record {
    /// Order of writing.
    #[diesel(sql_type = t::BigInt)]
    pub id: i64,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub at: Instant,
    /// `owner:<id>`, `admin` or `anonymous`.
    #[diesel(sql_type = t::Text)]
    pub who: String,
    /// Address of the peer.
    #[diesel(sql_type = t::Text)]
    pub origin: String,
    /// What was done.
    #[diesel(sql_type = t::Text)]
    pub action: String,
    /// What it was done to.
    #[diesel(sql_type = t::Text)]
    pub object: String,
    /// More, never personal data.
    #[diesel(sql_type = t::Jsonb)]
    pub detail: Value,
}

/// Writes a record.
pub async fn write(
    c: &mut Conn,
    who: String,
    origin: String,
    action: &'static str,
    object: String,
    detail: Value,
) -> Result<()> {
    sql("insert into identity.audit (who, origin, action, object, detail) values (?, ?, ?, ?, ?)")
        .bind::<t::Text, _>(who)
        .bind::<t::Text, _>(origin)
        .bind::<t::Text, _>(action)
        .bind::<t::Text, _>(object)
        .bind::<t::Jsonb, _>(detail)
        .run(c)
        .await?;
    Ok(())
}

/// The newest records below `before`.
pub async fn newest(c: &mut Conn, before: Option<i64>, limit: i64) -> Result<Vec<Record>> {
    sql("select id, at, who, origin, action, object, detail from identity.audit where id < ? order by id desc limit ?")
        .bind::<t::BigInt, _>(before.unwrap_or(i64::MAX))
        .bind::<t::BigInt, _>(limit)
        .all(c)
        .await
}
