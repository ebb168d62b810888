//! Entries through the handles, in process, closed loop.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use testkit::{TestSystem, form};

/// Drives; fails unless what was acknowledged is what the database holds.
pub async fn run(events: usize, entries: usize, at_once: usize) -> ExitCode {
    let system = TestSystem::start().await;
    let mut live = Vec::new();
    for _ in 0..events {
        live.push(system.live_event().await.0);
    }
    let (next, live) = (Arc::new(AtomicUsize::new(0)), Arc::new(live));
    let begun = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|_| {
            let (next, live, handles) = (next.clone(), live.clone(), system.handles().clone());
            tokio::spawn(async move {
                let (mut acknowledged, mut refused, mut latencies) = (0usize, 0usize, Vec::new());
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= entries {
                        return (acknowledged, refused, latencies);
                    }
                    let started = Instant::now();
                    match handles.events.get(live[n % live.len()]).enter(form(n)).await {
                        Ok(_) => acknowledged += 1,
                        Err(_) => refused += 1,
                    }
                    latencies.push(started.elapsed());
                }
            })
        })
        .collect();
    let (mut acknowledged, mut refused, mut latencies) = (0, 0, Vec::new());
    for worker in workers {
        if let Ok((a, r, l)) = worker.await {
            acknowledged += a;
            refused += r;
            latencies.extend(l);
        }
    }
    let took = begun.elapsed();
    let mut stored = 0;
    for event in live.iter() {
        let id = *event;
        let read = system
            .handles()
            .shared
            .store
            .run(move |c| Box::pin(async move { storage::tally::last_no(c, id).await }))
            .await;
        stored += read.unwrap_or(-1);
    }
    report(entries, acknowledged, refused, stored, took, latencies);
    system.stop().await;
    let balanced = acknowledged + refused == entries && stored == acknowledged as i64;
    if balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(sent: usize, acknowledged: usize, refused: usize, stored: i64, took: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!("sent {sent} = acknowledged {acknowledged} + refused {refused}; the database holds {stored}");
    println!(
        "{:.0} entries a second, p50 {:.1} ms, p99 {:.1} ms (closed loop, in process)",
        acknowledged as f64 / took.as_secs_f64(),
        at(0.50).as_secs_f64() * 1000.0,
        at(0.99).as_secs_f64() * 1000.0
    );
}
