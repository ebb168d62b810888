//! The command line.

use crate::boot::Running;
use crate::config::{Settings, base_address, template};
use crate::{demo, restored};
use clap::{Args, Parser, Subcommand};
use domain::channel::Mode;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Madang (마당): promotional events for small shops.
#[derive(Parser)]
#[command(name = "madang", version)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings as flags; they override environment and file.
#[derive(Args)]
struct Flags {
    /// Address of the public port.
    #[arg(long, global = true)]
    listen: Option<String>,
    /// Address of the admin port.
    #[arg(long, global = true)]
    admin_listen: Option<String>,
    /// Data folder.
    #[arg(long, global = true)]
    data_dir: Option<String>,
}

impl Flags {
    fn pairs(&self) -> Vec<(String, String)> {
        [
            ("MADANG_LISTEN", &self.listen),
            ("MADANG_ADMIN_LISTEN", &self.admin_listen),
            ("MADANG_DATA_DIR", &self.data_dir),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect()
    }
}

#[derive(Subcommand)]
enum Command {
    /// Serve everything on this machine (the default).
    Serve,
    /// Play the whole merchant journey against a running server, or one started for it.
    Demo(demo::Options),
    /// The simulator of all upstreams alone.
    #[command(after_help = special_numbers())]
    Simulator {
        /// Folder of what is posted.
        #[arg(long, default_value = "./.madang/simulator")]
        data: PathBuf,
        /// Port of 127.0.0.1 to listen on.
        #[arg(long, default_value_t = 8090)]
        port: u16,
        /// Scale of the latency; 0 is none.
        #[arg(long, default_value_t = 1.0)]
        latency: f64,
    },
    /// Apply migrations.
    Migrate,
    /// Look at a database that was restored from a backup, and begin its new life. No server may use it meanwhile.
    Restored(restored::Options),
    /// Settings.
    Config {
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Draws.
    Draw {
        #[command(subcommand)]
        what: DrawCommand,
    },
    /// What the admin port offers, from the shell.
    Admin {
        /// Address of the admin port, such as http://127.0.0.1:9090, unless it is that of the settings.
        #[arg(long, global = true)]
        url: Option<String>,
        #[command(subcommand)]
        what: AdminCommand,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read and validate every setting.
    Check,
    /// Print every setting with its meaning and default.
    Template,
}

#[derive(Subcommand)]
enum DrawCommand {
    /// Recompute a published draw, offline.
    Verify {
        /// Body of GET /api/participation/events/{slug}/draw.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum AdminCommand {
    /// The actors there is one of, and how often each was started again.
    Actors,
    /// End one of them as a crash would; it is started again.
    Restart {
        /// Its name, as `actors` lists it.
        name: String,
    },
    /// State of every breaker.
    Breakers,
    /// Open a breaker by hand.
    ForceOpen {
        /// Which upstream.
        upstream: String,
    },
    /// Close a breaker by hand.
    ForceClosed {
        /// Which upstream.
        upstream: String,
    },
    /// Dead letters: jobs and publications that have used their attempts.
    Dlq,
    /// Give a dead letter its attempts back.
    Replay {
        /// Its id.
        id: String,
    },
    /// Replay all dead letters that fit.
    ReplayAll {
        /// `job` or `publication`; both when left out.
        #[arg(long)]
        kind: Option<String>,
        /// Publications of this channel only.
        #[arg(long)]
        channel: Option<String>,
        /// At most so many a second.
        #[arg(long, default_value_t = 5)]
        per_second: u32,
        /// Only say how many.
        #[arg(long)]
        dry_run: bool,
    },
    /// What is wrong now.
    Alarms,
    /// Forget a cached value, or an event's dashboard.
    Invalidate {
        /// Its key, or the id of an event.
        key: String,
    },
    /// The newest hundred shops that are not verified.
    Stores {
        /// Only those that the tax service or an operator rejected.
        #[arg(long)]
        rejected: bool,
    },
    /// Decide from documents whether a business exists and is its owner's.
    Verify {
        /// Id of a shop, as `stores` lists it; it holds for every shop of its owner.
        store: String,
        /// What was looked at, for the audit.
        reason: String,
        /// It does not: its events stop.
        #[arg(long)]
        reject: bool,
    },
    /// What the simulator received, keeps and does wrong.
    Simulator,
    /// Play a scenario of faults.
    Scenario {
        /// TOML file.
        file: PathBuf,
    },
    /// End every fault of the simulator and its scenario.
    Heal,
    /// The newest audit records.
    Audit,
    /// The metrics.
    Metrics,
}

fn special_numbers() -> String {
    let mut out = String::from("Business numbers with a meaning of their own (first five digits):\n");
    for (prefix, meaning) in simulator::SPECIAL_NUMBERS {
        out.push_str(&format!("  {}-{}-…  {meaning}\n", &prefix[..3], &prefix[3..]));
    }
    out.push_str("A title with 심의거절 is rejected by the reviewers of 지니TV and 우리동네TV.");
    out
}

type CliError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command; the process's exit code.
pub async fn run() -> i32 {
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&cli.flags).await,
        Command::Demo(options) => return demo::run(options).await,
        Command::Simulator { data, port, latency } => simulate(data, port, latency).await,
        Command::Migrate => migrate(&cli.flags).await,
        Command::Restored(options) => match Settings::load(&cli.flags.pairs()) {
            Ok(settings) => {
                crate::home::move_cache(&settings);
                restored::run(&settings, options).await.map(drop)
            }
            Err(e) => Err(e.into()),
        },
        Command::Config { what: ConfigCommand::Check } => check(&cli.flags),
        Command::Config { what: ConfigCommand::Template } => {
            print!("{}", template());
            Ok(())
        }
        Command::Draw { what: DrawCommand::Verify { file } } => {
            crate::draw_file::verify(&file).map(|said| println!("{said}")).map_err(Into::into)
        }
        Command::Admin { url, what } => admin(&cli.flags, url, what).await,
    };
    match outcome {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("madang: {e}");
            1
        }
    }
}

/// Reads the settings as a start does; touches nothing.
fn check(flags: &Flags) -> Result<(), CliError> {
    let settings = Settings::load(&flags.pairs())?;
    crate::boot::keys::check(&settings)?;
    for line in settings.warnings(&settings.public_url(settings.listen)) {
        println!("warning: {line}");
    }
    println!("settings are fine");
    Ok(())
}

async fn serve(flags: &Flags) -> Result<(), CliError> {
    let settings = Settings::load(&flags.pairs())?;
    crate::home::move_cache(&settings);
    let _logs = crate::telemetry::logs(&settings.log);
    // Before anything is ready: a signal must never find the default handler, which ends the process without a drain.
    let mut signals = Signals::install()?;
    let running = Running::start(settings.clone(), crate::telemetry::metrics()).await?;
    banner(&running, &settings);
    let failed = running.failed();
    tokio::select! {
        () = signals.wait() => tracing::info!("stopping; a second signal ends at once"),
        () = failed.cancelled() => tracing::error!("an actor failed for good: stopping"),
    }
    tokio::spawn(async move {
        signals.wait().await;
        std::process::exit(130);
    });
    running.stop().await;
    if failed.is_cancelled() { Err("the actor system failed; see the log".into()) } else { Ok(()) }
}

fn banner(running: &Running, settings: &Settings) {
    println!("마당 Madang {}", env!("CARGO_PKG_VERSION"));
    println!("  console   {}/", running.public_url());
    println!("  API       {}/docs", running.public_url());
    println!("  admin     {}/metrics", running.admin_url());
    if settings.database_url.is_none() {
        println!(
            "  database  embedded (survives a crash of the process, not a loss of power; production: DATABASE_URL)"
        );
    }
    if running.fonts().hangul().is_none() {
        println!(
            "  fonts     no Hangul font found: pictures stay SVG (install one, as fonts-nanum, or set MADANG_FONTS_DIR)"
        );
    } else if !running.fonts().has_emoji() {
        println!(
            "  fonts     no emoji font found: in pictures they are empty boxes (install one, as fonts-noto-color-emoji)"
        );
    }
    for line in settings.warnings(running.public_url()) {
        println!("  warning   {line}");
    }
    let modes: Vec<String> = running.modes().iter().map(|(u, m)| format!("{u} {m}")).collect();
    println!("  upstreams {}", modes.join(", "));
    if running.modes().iter().any(|(_, m)| *m == Mode::Sandbox) {
        println!(
            "            SANDBOX: nothing is really published; the simulator at {} answers",
            running.simulator().map_or_else(|| "the configured address".into(), |s| s.address().to_string())
        );
    }
}

/// SIGTERM and Ctrl-C.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn wait(&mut self) {
        tokio::select! { _ = self.0.recv() => {}, _ = self.1.recv() => {} }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

async fn simulate(data: PathBuf, port: u16, latency: f64) -> Result<(), CliError> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let _logs = crate::telemetry::logs("info");
    let mut signals = Signals::install()?;
    let simulator =
        simulator::Simulator::start(simulator::Config { listen, data: Some(data), latency, token: None }).await?;
    for (name, ..) in simulator::UPSTREAMS {
        println!("MADANG_{name}_URL={}", simulator.base(name));
    }
    signals.wait().await;
    Ok(())
}

async fn migrate(flags: &Flags) -> Result<(), CliError> {
    let settings = Settings::load(&flags.pairs())?;
    crate::home::move_cache(&settings);
    crate::boot::secure_data_folder(&settings)?;
    match &settings.database_url {
        Some(url) => {
            let applied = storage::migrations::apply(url, storage::store::Kind::Server).await?;
            println!("{} migration(s) applied", applied.len());
        }
        None => {
            #[cfg(feature = "embedded")]
            storage::Store::embedded(&settings.data_dir.join("db")).await?.close().await;
            println!("the embedded database is current");
        }
    }
    Ok(())
}

/// The innermost cause of an error: what is around it only says that a request failed.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn admin(flags: &Flags, url: Option<String>, what: AdminCommand) -> Result<(), CliError> {
    let settings = Settings::load(&flags.pairs())?;
    let keys = storage::crypto::Keyring::open(&settings.keys_file(), false)?;
    let url = match url {
        Some(url) => base_address(&url).map_err(|e| format!("--url {url}: {e}"))?,
        None => settings.admin_url(settings.admin_listen),
    };
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some((cert, _)) = &settings.tls {
        // Our own, self-signed or with whoever signed it beside it.
        for known in reqwest::Certificate::from_pem_bundle(&std::fs::read(cert)?)? {
            client = client.add_root_certificate(known);
        }
    }
    let client = client.build()?;
    let get = |path: &str| client.get(format!("{url}{path}"));
    let post = |path: &str| client.post(format!("{url}{path}"));
    let request = match what {
        AdminCommand::Actors => get("/admin/actors"),
        AdminCommand::Restart { name } => post(&format!("/admin/actors/{name}/restart")),
        AdminCommand::Breakers => get("/admin/breakers"),
        AdminCommand::ForceOpen { upstream } => post(&format!("/admin/breakers/{upstream}/force-open")),
        AdminCommand::ForceClosed { upstream } => post(&format!("/admin/breakers/{upstream}/force-closed")),
        AdminCommand::Dlq => get("/admin/dlq"),
        AdminCommand::Replay { id } => post(&format!("/admin/dlq/{id}/replay")),
        AdminCommand::ReplayAll { kind, channel, per_second, dry_run } => post("/admin/dlq/replay")
            .json(&serde_json::json!({"kind": kind, "channel": channel, "perSecond": per_second, "dryRun": dry_run})),
        AdminCommand::Alarms => get("/admin/alarms"),
        AdminCommand::Invalidate { key } => {
            let what = if key.parse::<domain::ids::EventId>().is_ok() { "eventId" } else { "key" };
            post("/admin/cache/invalidate").json(&serde_json::json!({what: key}))
        }
        AdminCommand::Stores { rejected } => {
            get(if rejected { "/admin/stores?limit=100&verification=REJECTED" } else { "/admin/stores?limit=100" })
        }
        AdminCommand::Verify { store, reason, reject } => post(&format!("/admin/stores/{store}/verification"))
            .json(&serde_json::json!({"verified": !reject, "reason": reason})),
        AdminCommand::Simulator => get("/admin/simulator"),
        AdminCommand::Scenario { file } => {
            let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            post("/admin/simulator/scenario").body(text)
        }
        AdminCommand::Heal => client.delete(format!("{url}/admin/simulator")),
        AdminCommand::Audit => get("/admin/audit"),
        AdminCommand::Metrics => get("/metrics"),
    };
    let response = request.bearer_auth(keys.admin_token()).send().await;
    let response = response.map_err(|e| format!("{url} does not answer: {}", root_cause(&e)))?;
    let status = response.status();
    let text = response.text().await?;
    if status.is_success() && text.is_empty() {
        println!("done");
        return Ok(());
    }
    let pretty =
        serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|v| serde_json::to_string_pretty(&v).ok());
    println!("{}", pretty.unwrap_or(text));
    if status.is_success() { Ok(()) } else { Err(format!("the admin port answered {status}").into()) }
}
