//! `madang demo`: the whole merchant journey over the public API and the WebSocket.

mod client;
mod input;
mod journey;

use clap::Args;
use std::path::PathBuf;

/// What the demo is run with.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// A running server; without it one is started in a temporary folder.
    #[arg(long)]
    pub url: Option<String>,
    /// How many customers enter.
    #[arg(long, default_value_t = 200, conflicts_with = "entries")]
    pub customers: usize,
    /// Seed of the customers' names and phones.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The shop, its owner and objective, as TOML.
    #[arg(long)]
    pub shop: Option<PathBuf>,
    /// Entries, as CSV: name, phone, channel.
    #[arg(long)]
    pub entries: Option<PathBuf>,
}

/// Runs the demo; the process's exit code.
pub async fn run(options: Options) -> i32 {
    let _logs = crate::telemetry::logs("warn");
    let outcome = match &options.url {
        Some(url) => journey::play(url.trim_end_matches('/').to_owned(), &options).await,
        None => with_own_server(&options).await,
    };
    match outcome {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("demo: {e}");
            1
        }
    }
}

type DemoError = Box<dyn std::error::Error + Send + Sync>;

async fn with_own_server(options: &Options) -> Result<(), DemoError> {
    let folder = tempfile::tempdir()?;
    let flags = [
        ("MADANG_LISTEN", "127.0.0.1:0".to_owned()),
        ("MADANG_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("MADANG_DATA_DIR", folder.path().display().to_string()),
    ]
    .map(|(k, v)| (k.to_owned(), v));
    let settings = crate::Settings::load(&flags)?;
    let started = std::time::Instant::now();
    let running = crate::Running::start(settings, crate::telemetry::metrics()).await?;
    println!("a server was started for the demo at {} in {} ms", running.public_url(), started.elapsed().as_millis());
    let url = format!("http://{}", running.address);
    let outcome = journey::play(url, options).await;
    running.stop().await;
    outcome
}
