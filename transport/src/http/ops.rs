//! Health.

use crate::state::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::channel::{Mode, Upstream};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::store::Health;

/// The process runs. Never touches the database.
pub(crate) async fn livez() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Answers 200 while the database takes writes and the server is not draining. Cache, clock and fonts only degrade it.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    let draining = app.draining.is_cancelled();
    let database = app.ready.load(Ordering::Relaxed);
    let tools = app.handles.tools();
    let mut degraded = Vec::new();
    let cache = &tools.cache;
    if !cache.is_connected() || !cache.takes_writes() || cache.distrusts_everything() {
        degraded.push("redis");
    }
    if clock_differs() {
        degraded.push("clock");
    }
    if tools.fonts.hangul().is_none() {
        degraded.push("fonts");
    }
    let modes: Value = Upstream::ALL
        .iter()
        .map(|u| (u.code().to_owned(), json!(tools.upstreams.mode(*u))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let sandbox = Upstream::ALL.iter().any(|u| tools.upstreams.mode(*u) == Mode::Sandbox);
    let ready = database && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = match (ready, draining) {
        (true, _) => "ready",
        (_, true) => "draining",
        _ => "not-ready",
    };
    let reason = match (ready, draining) {
        (true, _) => None,
        (_, true) => Some("draining"),
        _ if app.store().is_read_only() => Some("database-read-only"),
        _ => Some("database-unreachable"),
    };
    let body = json!({
        "status": word, "reason": reason, "database": database, "degraded": degraded, "modes": modes, "sandbox": sandbox,
    });
    (status, Json(body)).into_response()
}

/// Returns true if the clocks of server and database differ by more than the limit.
fn clock_differs() -> bool {
    storage::clock::ahead_seconds().abs() > storage::clock::MAX_SKEW_SECONDS
}

/// Keeps [`readyz`] current without queueing a request for the connection each time.
pub(crate) async fn watch_database(app: App) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut was, mut differed) = (Health::Writable, false);
    loop {
        tokio::select! {
            () = app.draining.cancelled() => return,
            _ = every.tick() => {}
        }
        let health = app.store().health(Duration::from_secs(3)).await;
        app.ready.store(health == Health::Writable, Ordering::Relaxed);
        if std::mem::replace(&mut was, health) != health {
            tracing::warn!(?health, "database health changed");
        }
        let differs = clock_differs();
        if std::mem::replace(&mut differed, differs) != differs {
            tracing::warn!(
                differs,
                database_ahead_seconds = storage::clock::ahead_seconds(),
                "clock difference to the database changed"
            );
        }
        if health != Health::Gone
            && let Err(e) = app.revocations.poll(app.store()).await
        {
            tracing::debug!(error = %e, "revoked logins could not be read");
        }
        if let Some(metrics) = &app.metrics {
            metrics.run_upkeep();
        }
        metrics::counter!("log_lines_dropped_total").absolute(crate::access_log::dropped());
        metrics::gauge!("cache_doubtful_keys").set(app.handles.tools().cache.doubtful() as f64);
        metrics::gauge!("db_waiting").set(app.store().waiting() as f64);
        metrics::gauge!("event_actors").set(app.handles.events.running() as f64);
    }
}
