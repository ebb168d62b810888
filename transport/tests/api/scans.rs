//! No read of a table that grows goes through all of it: with sequential scans forbidden where an index can serve, none is
//! left over a whole journey, lists, filters and the background's own look-ups included.

use crate::support::{Server, owner_at, phone, start};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Tables that do not grow with use, or hold a row for each running thing at most.
const SMALL: &[&str] = &["system"];

#[derive(diesel::QueryableByName)]
struct Scanned {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    scans: i64,
}

/// Sequential scans so far, by table.
async fn scans(server: &Server) -> BTreeMap<String, i64> {
    let store = server.running.handles().tools().store.clone();
    store
        .run(async move |c| {
            // Statistics are written down once a second by each connection.
            diesel::sql_query("select pg_stat_force_next_flush()").execute(c).await?;
            diesel::sql_query("select 1").execute(c).await?;
            let rows: Vec<Scanned> = diesel::sql_query(
                "select schemaname || '.' || relname as name, seq_scan as scans from pg_stat_user_tables",
            )
            .load(c)
            .await?;
            Ok(rows.into_iter().map(|r| (r.name, r.scans)).collect())
        })
        .await
        .unwrap()
}

/// A server whose planner takes an index wherever there is one.
async fn indexed() -> Server {
    let mut url = None;
    let server = start(|settings| url.clone_from(&settings.database_url)).await;
    let forbid = "set enable_seqscan = off";
    // Plans made before that, on empty tables, do not count.
    let again = format!("{forbid}; discard plans");
    match url {
        None => {
            // Embedded, there is one connection.
            let store = server.running.handles().tools().store.clone();
            store.run(async move |c| Ok(c.batch_execute(&again).await?)).await.unwrap();
            server
        }
        Some(url) => {
            let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
            let mut c = AsyncPgConnection::establish(&url).await.unwrap();
            c.batch_execute(&format!("alter database {name} {forbid}")).await.unwrap();
            // Connections that are open already keep their plans: they are closed, and opened anew.
            c.batch_execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()
                    and backend_type = 'client backend' and usename = current_user",
            )
            .await
            .unwrap();
            server
        }
    }
}

#[test]
fn no_read_goes_through_a_table_that_grows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = indexed().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = scans(&server).await;
        let api = owner_at(&server.base).await;
        let (id, slug) = api.live(json!({})).await;
        let mut receipt = String::new();
        for n in 0..5 {
            receipt = api.enter(&slug, &phone(n)).await.is(201)["receipt"].as_str().unwrap().to_owned();
        }
        let mut socket = api.socket().await;
        for topic in [format!("event:{id}"), format!("public:{slug}"), format!("owner:{}", api.user)] {
            socket.subscribe(&topic).await;
        }
        for path in [
            "/api/users/me",
            "/api/stores",
            "/api/notices",
            "/api/events",
            "/api/events?status=running",
            "/api/events?q=이벤트",
            "/api/events?limit=1",
        ] {
            api.get(path).await.is(200);
        }
        for part in [
            "",
            "/facts",
            "/images",
            "/participants",
            "/participants?channel=DIRECT&visited=false",
            "/analytics",
            "/preflight",
            "/draws",
        ] {
            api.get(&format!("/api/events/{id}{part}")).await.is(200);
        }
        api.get(&format!("/api/participation/events/{slug}")).await.is(200);
        api.get(&format!("/api/participation/receipts/{receipt}")).await.is(200);
        api.delete(&format!("/api/participation/receipts/{receipt}")).await;
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        api.post(&format!("/api/events/{id}/draws"), json!({"alternates": 1})).await.is(201);
        api.get(&format!("/api/participation/events/{slug}/draw")).await.is(200);
        api.get(&format!("/api/participation/events/{slug}/winners")).await.is(200);
        api.post("/api/users/token/refresh", json!({"refreshToken": api.refresh})).await.is(200);
        api.post("/api/users/logout", json!({})).await;
        server.running.handles().destroy_due().await.unwrap();
        // The reconciler and its like look once a second.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let after = scans(&server).await;
        let scanned: Vec<String> = after
            .iter()
            .filter(|(name, scans)| {
                **scans > before.get(*name).copied().unwrap_or(0) && !SMALL.iter().any(|s| name.ends_with(s))
            })
            .map(|(name, scans)| format!("{name}: {}", scans - before.get(name).copied().unwrap_or(0)))
            .collect();
        assert!(after.len() > 20, "statistics are kept");
        assert_eq!(scanned, Vec::<String>::new());
        server.running.stop().await;
    });
}
