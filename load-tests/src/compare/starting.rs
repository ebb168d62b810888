//! W9: from the start of the process until it is ready, and what it holds when nobody asks anything.

use super::{Plan, Spread};
use crate::process;
use crate::record::say;
use crate::server::{Failure, Server};
use std::time::{Duration, Instant};

/// Idle for this long, before memory is read.
const IDLE: Duration = Duration::from_secs(3);

/// Starts the server again and again on the same data.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    let external = std::env::var("DATABASE_URL").is_ok_and(|u| !u.is_empty());
    let folder = tempfile::tempdir()?;
    // The first start makes the database and its schemas.
    Server::start(folder.path(), &[]).await?.stop().await;
    let (mut took, mut held) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let begun = Instant::now();
        let server = Server::start(folder.path(), &[]).await?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(IDLE).await;
        held.push(process::resident(&[server.id().ok_or("no server")?])? as f64 / 1_048_576.0);
        server.stop().await;
    }
    let (kind, goal) = if external { ("PostgreSQL", "100 ms, 25 MiB") } else { ("embedded", "1,500 ms") };
    say!("W9 {kind}: ready after {} ms, {} MiB idle (goal {goal})", Spread::of(took), Spread::of(held));
    Ok(())
}
