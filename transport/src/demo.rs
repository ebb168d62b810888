//! `madang demo`: the whole merchant journey over the public API and the WebSocket.

mod client;
mod input;
mod journey;

use crate::Settings;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What the demo is run with.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// A running server, such as http://127.0.0.1:8080; without it one is started in a temporary folder, with the embedded
    /// database and simulated upstreams, whatever the settings say.
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
    let _logs = crate::telemetry::logs_for_people("warn");
    let outcome = match &options.url {
        Some(url) => with_running_server(url, &options).await,
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

async fn with_running_server(url: &str, options: &Options) -> Result<(), DemoError> {
    let base = crate::config::base_address(url).map_err(|e| format!("--url {url}: {e}"))?;
    journey::play(base, options).await
}

/// Settings of a server that lives in a folder and touches nothing else: neither the environment nor `madang.toml` is asked.
fn settings_in(folder: &Path) -> Result<Settings, DemoError> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let defaults = Settings::defaults()?;
    Ok(Settings { listen: any_port, admin_listen: any_port, data_dir: folder.to_owned(), ..defaults })
}

async fn with_own_server(options: &Options) -> Result<(), DemoError> {
    if let Some(code) = crate::home::play_elsewhere() {
        std::process::exit(code);
    }
    // Before anything that the log may say: whoever looks on knows what begins.
    println!("demo: starting a server in a temporary folder; nothing leaves this machine, and nothing stays on it");
    let folder = tempfile::tempdir()?;
    let started = std::time::Instant::now();
    let running = crate::Running::start(settings_in(folder.path())?, crate::telemetry::metrics()).await?;
    println!("a server was started for the demo at {} in {} ms", running.public_url(), started.elapsed().as_millis());
    let url = format!("http://{}", running.address);
    let outcome = journey::play(url, options).await;
    running.stop().await;
    outcome
}
