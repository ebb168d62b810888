//! Migrations, embedded in the binary and applied at start.

use crate::error::{Result, StorageError};
use crate::sql::{Word, sql};
use crate::store::{Conn, Kind, START_TIMEOUT, connect_once};
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::collections::HashSet;
use std::time::Duration;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");
/// The advisory lock several nodes queue on: "madang" in ASCII.
const LOCK: i64 = 0x6d61_6461_6e67;
/// Time in which a server must answer. Otherwise the address is wrong, or something on the way is.
const REACH: Duration = Duration::from_secs(10);

/// Applies what is pending; the names of what was applied.
///
/// # Errors
/// The database cannot be reached, or a migration fails (each is one transaction).
pub async fn apply(url: &str, kind: Kind) -> Result<Vec<String>> {
    let mut conn = connect(url, kind).await?;
    let read_only = sql("select current_setting('transaction_read_only') as s").first::<Word>(&mut conn).await?;
    if read_only.is_some_and(|w| w.s == "on") {
        let why = "it is read-only: a replica, or closed by default_transaction_read_only; name the primary";
        return Err(StorageError::Unreachable(why.into()));
    }
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

/// Refuses a database in which migrations are pending. Nothing is changed, not even the table of migrations is made.
///
/// # Errors
/// The database cannot be reached, or migrations are pending.
pub async fn refuse_pending(url: &str, kind: Kind) -> Result<()> {
    let mut conn = connect(url, kind).await?;
    let found = sql(
        "select to_regclass('__diesel_schema_migrations')::text as s where to_regclass('__diesel_schema_migrations') is not null",
    );
    let mut applied = HashSet::new();
    if found.first::<Word>(&mut conn).await?.is_some() {
        let all = sql("select version::text as s from __diesel_schema_migrations").all::<Word>(&mut conn).await?;
        applied.extend(all.into_iter().map(|word| word.s));
    }
    let known: Vec<Box<dyn Migration<Pg>>> =
        MIGRATIONS.migrations().map_err(|e| StorageError::Other(format!("migration: {e}")))?;
    let pending = known.iter().filter(|m| !applied.contains(&m.name().version().to_string())).count();
    match pending {
        0 => Ok(()),
        n => Err(StorageError::Other(format!(
            "{n} migration(s) of this version are pending in the database: `madang migrate` applies them, and then it can be looked at"
        ))),
    }
}

async fn connect(url: &str, kind: Kind) -> Result<Conn> {
    match kind {
        Kind::Server => connect_once(url, REACH).await,
        Kind::Embedded => connect_embedded(url).await,
    }
}

async fn connect_embedded(url: &str) -> Result<Conn> {
    match tokio::time::timeout(START_TIMEOUT, AsyncPgConnection::establish(url)).await {
        Ok(connected) => connected.map_err(|e| StorageError::Unreachable(e.to_string())),
        Err(_) => Err(StorageError::Unreachable(format!("no answer within {START_TIMEOUT:?}"))),
    }
}
