//! Migrations, embedded in the binary and applied at start.

use crate::error::{Result, StorageError};
use crate::store::{Kind, START};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::time::Duration;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");
/// The advisory lock several nodes queue on: "madang" in ASCII.
const LOCK: i64 = 0x6d61_6461_6e67;
/// A server that does not answer within this is none: the address is wrong, or something in between is.
const REACH: Duration = Duration::from_secs(10);

/// Applies what is pending; the names of what was applied.
///
/// # Errors
/// The database cannot be reached, or a migration fails (each is one transaction).
pub async fn apply(url: &str, kind: Kind) -> Result<Vec<String>> {
    let unreachable = |e: diesel::ConnectionError| StorageError::Unreachable(e.to_string());
    let connecting = AsyncPgConnection::establish(url);
    let limit = if kind == Kind::Server { REACH } else { START };
    let mut conn = tokio::time::timeout(limit, connecting)
        .await
        .map_err(|_| StorageError::Unreachable(format!("no answer within {limit:?}")))?
        .map_err(unreachable)?;
    let lock = kind == Kind::Server;
    if lock {
        // Another node may be migrating: wait for it longer than any statement may take otherwise.
        let wait =
            format!("set statement_timeout = '120s'; set lock_timeout = '120s'; select pg_advisory_lock({LOCK})");
        conn.batch_execute(&wait).await?;
    }
    let mut harness = AsyncMigrationHarness::new(conn);
    let applied: Vec<String> = harness
        .run_pending_migrations(MIGRATIONS)
        .map_err(|e| StorageError::Other(format!("migration: {e}")))?
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut conn = harness.into_inner();
    if lock {
        conn.batch_execute(&format!("select pg_advisory_unlock({LOCK})")).await?;
    }
    Ok(applied)
}
