//! Logs: JSON lines, or for people on a terminal. Metrics: Prometheus.

use crate::access_log::{self, Form};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The logs of this process; dropped, what is left of them is written.
#[must_use = "dropped, it ends the access log"]
pub struct Logs(#[allow(dead_code, reason = "held for its drop")] Option<access_log::Writer>);

/// Sets the log up. The second call in a process changes nothing.
pub fn logs(filter: &str) -> Logs {
    let log = tracing_subscriber::fmt().with_env_filter(quiet(filter)).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        with_access_log(log.compact().try_init().is_ok(), Form::Text)
    } else {
        with_access_log(log.json().flatten_event(true).try_init().is_ok(), Form::Json)
    }
}

/// Sets the log up for a person who looks on, wherever it goes: the level and the words. The second call in a process
/// changes nothing.
pub fn logs_for_people(filter: &str) -> Logs {
    let log = tracing_subscriber::fmt().with_env_filter(quiet(filter)).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal()).with_target(false).without_time();
    with_access_log(log.compact().try_init().is_ok(), Form::Text)
}

/// The filter, without what libraries say below these levels.
fn quiet(filter: &str) -> EnvFilter {
    // Binds are logged by these below info: never.
    let filter =
        format!("{filter},tokio_postgres=info,hyper=info,reqwest=info,ractor=warn,fred=warn,usvg=error,wasmer=warn");
    EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Starts the access log, if the log was `set` up. Each piece is written under the lock that other lines are written under:
/// whole lines, none between.
fn with_access_log(set: bool, form: Form) -> Logs {
    Logs(set.then(|| access_log::start(form, std::io::stderr()).ok()).flatten())
}

/// Has the access log written somewhere, as JSON, where [`logs`] did not set it up.
///
/// # Errors
/// The system has no thread left.
pub fn access_log(to: impl std::io::Write + Send + 'static) -> std::io::Result<Logs> {
    Ok(Logs(Some(access_log::start(Form::Json, to)?)))
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
    metrics::gauge!("redis_memory_ratio").set(0.0);
    for (name, label, values) in ZERO_AT_START {
        values.iter().for_each(|value| metrics::counter!(*name, *label => *value).increment(0));
    }
    metrics::gauge!("ws_connections").set(0.0);
    ["draws_total", "lease_fenced_total", "log_lines_dropped_total", "dashboard_loads_total", "ws_sent_total"]
        .iter()
        .for_each(|name| metrics::counter!(*name).increment(0));
    Some(handle)
}

/// Counters that a healthy server seldom or never raises: name, label, and its values. They begin at 0, so that a rate over them
/// sees the first event, and a dashboard shows 0 and not "no data".
const ZERO_AT_START: &[(&str, &str, &[&str])] = &[
    ("alarms_sent_total", "channel", &["webhook", "mail"]),
    ("auth_failures_total", "kind", &["token", "login", "reuse"]),
    ("dead_letters_total", "kind", &["job", "publication"]),
    ("fallbacks_total", "reason", &["last-good", "template", "built-in-background", "nts-pending"]),
    ("upstream_cost_won_total", "upstream", &["CLAUDE", "OPENAI", "STABILITY", "OPENAI_IMAGES"]),
    ("actor_restarts_total", "kind", &["event", "job", "channel", "breaker"]),
    ("ws_closed_total", "code", &["1012", "4400", "4401", "4403", "4408", "4429"]),
    ("ws_dropped_total", "reason", &["slow"]),
    ("ws_recoveries_total", "recovered", &["true", "false"]),
];
