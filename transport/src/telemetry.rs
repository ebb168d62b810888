//! Logs: JSON lines, or for people on a terminal. Metrics: Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::{BufWriter, IsTerminal};
use std::sync::OnceLock;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// Target of a line for every request.
pub(crate) const ACCESS: &str = "access";

/// Lines of the access log that may wait for whoever reads it; past it they are dropped and counted. Some 2 MiB.
const LINES: usize = 8_192;
/// What is written at once: as much as a pipe takes whole, so that no other line comes between.
const WRITTEN: usize = 4096;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// The writer of the access log, a thread of its own: no request waits for who reads it. Dropped, it writes what is left.
/// A crash loses what it has not written yet; everything else is written at once.
#[must_use = "dropped, it ends the access log"]
pub struct Logs(#[allow(dead_code, reason = "held for its drop")] WorkerGuard);

/// Sets the log up. The second call in a process changes nothing.
pub fn logs(filter: &str) -> Logs {
    // Binds are logged by these below info: never.
    let filter =
        format!("{filter},tokio_postgres=info,hyper=info,reqwest=info,ractor=warn,fred=warn,usvg=error,wasmer=warn");
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .thread_name("log")
        .finish(BufWriter::with_capacity(WRITTEN, std::io::stderr()));
    let dropped = writer.error_counter();
    let writer = writer.with_filter(|line| line.target() == ACCESS).or_else(std::io::stderr);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let set = if std::io::stderr().is_terminal() {
        log.compact().try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    if set.is_ok() {
        let _ = DROPPED.set(dropped);
    }
    Logs(worker)
}

/// Lines of the access log that were dropped because nobody took them fast enough.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |d| d.dropped_lines() as u64)
}

/// Installs the metrics recorder; `None` when the process has one already.
#[must_use]
pub fn metrics() -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
        .and_then(|b| {
            b.set_buckets_for_metric(
                Matcher::Suffix("_rows".into()),
                &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 512.0],
            )
        })
        .and_then(PrometheusBuilder::install_recorder)
        .ok()?;
    metrics::gauge!("app_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}
