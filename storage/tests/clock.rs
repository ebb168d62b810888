//! A database whose clock differs, by the real statement: embedded, or the server of `DATABASE_URL`. The difference is one
//! value of the process: this file has one test.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{TimeDelta, Utc};
use diesel_async::SimpleAsyncConnection;
use std::time::Duration;
use storage::Store;
use storage::clock::{MAX_SKEW_SECONDS, ahead_seconds, now};
use storage::store::Health;
use testkit::Database;

/// Shifts the clock of the connection, which is the only one while one unit of work follows the other: the path finds a
/// function of ours before PostgreSQL's.
async fn shift(store: &Store, hours: i32) {
    let statement = format!(
        "create schema if not exists shifted;
         create or replace function shifted.clock_timestamp() returns timestamptz language sql volatile
             as $$ select pg_catalog.clock_timestamp() + make_interval(hours => {hours}) $$;
         set search_path = shifted, pg_catalog, public"
    );
    store.run(async move |c| Ok(c.batch_execute(&statement).await?)).await.unwrap();
}

/// Case O9: an hour ahead, an hour behind, and right again. Time follows the database, and the difference is one that an
/// alarm is sent for.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_by_an_hour_is_corrected_and_told() {
    let database = Database::fresh().await;
    let store = database.open().await;
    for hours in [1, -1, 0] {
        shift(&store, hours).await;
        assert_eq!(store.health(Duration::from_secs(30)).await, Health::Writable);
        let (expected, ahead) = (f64::from(hours) * 3_600.0, ahead_seconds());
        assert!((ahead - expected).abs() < 30.0, "{hours} h: {ahead} s");
        assert_eq!(ahead.abs() > MAX_SKEW_SECONDS, hours != 0, "{hours} h: {ahead} s");
        let off = now() - (Utc::now() + TimeDelta::hours(i64::from(hours)));
        assert!(off.abs() < TimeDelta::seconds(30), "{hours} h: off by {off}");
    }
    store.close().await;
}
