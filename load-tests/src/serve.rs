//! The product in a process of this binary: the same server, with routes to compare with, a journal that can be slowed
//! down, and points at which it dies.

mod crash_points;
mod references;

pub use crash_points::POINTS;

use crate::server::Failure;
use actors::Handles;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::channel::Channel;
use domain::ids::{EventId, StoreId, UserId};
use serde_json::{Value, json};
use std::time::Instant;

/// Events that are made at the same time.
const MAKING: usize = 8;

/// What is different from `madang serve`.
#[derive(clap::Args)]
pub struct Options {
    /// The journal stores no more rows a second.
    #[arg(long)]
    rows_per_second: Option<u32>,
    /// Die, as by `kill -9`, at a point of the journal: taken, stored, told or answered.
    #[arg(long, requires = "after")]
    die_at: Option<String>,
    /// At the n-th time it is passed.
    #[arg(long, requires = "die_at")]
    after: Option<u64>,
}

/// Serves until it is told to stop.
pub async fn run(options: Options) -> Result<(), Failure> {
    let mut settings = transport::Settings::load(&[])?;
    let _logs = match options.die_at.as_deref().zip(options.after) {
        Some((point, nth)) => {
            crash_points::install(point, nth)?;
            None
        }
        None => Some(transport::telemetry::logs(&settings.log)),
    };
    settings.journal_rows_per_second = options.rows_per_second;
    let pool = references::pool(settings.database_url.as_deref()).await?;
    let metrics = transport::telemetry::metrics();
    let running = transport::Running::start_with(settings, metrics, |handles| {
        Router::new()
            .route("/test/events", post(make_events))
            .route("/test/tally/{event}", get(read_counts))
            .with_state(handles.clone())
            .merge(references::routes(handles.clone(), pool))
    })
    .await?;
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    told.recv().await;
    running.stop().await;
    Ok(())
}

#[derive(serde::Deserialize)]
struct Wanted {
    owner: UserId,
    store: StoreId,
    count: usize,
}

/// Live events of an owner, by the shortest way: no proposals, no pictures, one channel.
async fn make_events(State(handles): State<Handles>, Json(wanted): Json<Wanted>) -> Json<Value> {
    use futures_util::StreamExt;
    let made = futures_util::stream::iter(0..wanted.count)
        .map(|_| async {
            let id = testkit::ready_event(&handles, wanted.owner, wanted.store, vec![Channel::Kakao]).await;
            let approved = handles.events.get(id).approve(wanted.owner, None).await;
            approved.ok().map(|a| json!([a.event.id, a.event.slug]))
        })
        .buffered(MAKING)
        .collect::<Vec<_>>();
    Json(json!(made.await))
}

/// How long the counts of an event take to be read from the database, in milliseconds.
async fn read_counts(State(handles): State<Handles>, Path(event): Path<EventId>) -> Json<Value> {
    let begun = Instant::now();
    let read = handles.tools().store.run(async move |c| storage::tally::load(c, event, 0).await).await;
    Json(json!({"ms": read.is_ok().then_some(begun.elapsed().as_secs_f64() * 1000.0)}))
}
