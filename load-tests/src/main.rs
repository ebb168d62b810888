#![doc = include_str!("../README.md")]

mod api;
mod cache;
mod channels;
mod compare;
mod crash;
mod gone;
mod hub;
mod load;
mod outage;
mod process;
mod publications;
mod record;
mod report;
mod scenario;
mod serve;
mod server;
mod starve;
mod world;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Load tests of Madang.
#[derive(Parser)]
struct Cli {
    /// Append what the run prints to `load-tests/RESULTS.md`.
    #[arg(long, global = true)]
    record: bool,
    #[command(subcommand)]
    what: Run,
}

/// The results beside the sources that this was built from.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");

#[derive(Subcommand)]
enum Run {
    /// Play a scenario on the handles of an actor system in process.
    Drive(scenario::Options),
    /// Play a scenario over HTTP, against a server process.
    Remote(scenario::Options),
    /// Publish with two of six channels dead, in process, against all channels healthy (W8).
    Channels {
        /// Events per round.
        #[arg(long, default_value_t = 48)]
        events: usize,
        /// Rounds of each kind, in turns.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Entries while the server is killed and its database restarted: nothing acknowledged is lost, doubled or different.
    Crash {
        /// Entries in all.
        #[arg(long, default_value_t = 500_000)]
        entries: usize,
        /// Events they go to, in turn.
        #[arg(long, default_value_t = 20)]
        events: usize,
        /// Customers at the same time.
        #[arg(long, default_value_t = 128)]
        at_once: usize,
        /// `kill -9` of the server, in all.
        #[arg(long, default_value_t = 50)]
        kills: usize,
        /// Shell command that restarts the database of `DATABASE_URL`, as `pg_ctl -m immediate restart`.
        #[arg(long, requires = "restarts")]
        restart: Option<String>,
        /// How often it is run.
        #[arg(long, requires = "restart")]
        restarts: Option<usize>,
    },
    /// The database of `DATABASE_URL` is gone for a while: quick refusals, nothing acknowledged without a row, back by itself.
    Gone {
        /// Shell command that stops it.
        #[arg(long)]
        stop: String,
        /// Shell command that starts it, and returns when it answers.
        #[arg(long)]
        start: String,
        /// How long it is gone.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Sockets: what a delivery costs, what an idle one holds, how fresh figures are, and what deaf readers do (W4 to W6).
    Hub {
        /// What is measured.
        #[arg(long, value_delimiter = ',', value_enum, default_values = ["fan-out", "freshness", "deaf", "memory"])]
        parts: Vec<hub::Part>,
        /// Sockets of the fan-outs.
        #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
        sockets: Vec<usize>,
        /// Idle sockets.
        #[arg(long, default_value_t = 15_000)]
        idle: usize,
        /// Rounds of ours and each reference, in turns.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Entries a second while dashboards are watched.
        #[arg(long, default_value_t = 2_000)]
        rate: u32,
    },
    /// Ours and the built-in references in turns: the ratios of W1, W2, W3, W7 and W9.
    Compare {
        /// What is compared.
        #[arg(long, value_delimiter = ',', value_enum, default_values = ["w1", "w2", "w3", "w7", "w9"])]
        goals: Vec<compare::Goal>,
        /// Rounds, in turns.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Seconds of each turn.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Connections.
        #[arg(long, default_value_t = 256)]
        connections: usize,
        /// Threads of the measuring side.
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// The product with routes to compare with: started by `compare`, `remote` and `crash`.
    #[command(hide = true)]
    Serve(serve::Options),
    /// The least a server can do: a reference of `hub`, started by it.
    #[command(hide = true)]
    BareSend {
        /// Where it listens.
        port: u16,
    },
    /// The whole journey of many events while every upstream fails in turn, against a server process.
    Outage {
        /// Events, each of an owner of its own.
        #[arg(long, default_value_t = 50)]
        events: usize,
        /// Seconds over which they begin, and the upstreams fail.
        #[arg(long, default_value_t = 110)]
        seconds: u64,
    },
    /// Twenty readers of a long published draw, and a hundred strangers who log in: nobody else may notice.
    Starve(starve::Plan),
    /// Publish while the server is killed and answers are lost; the simulator keeps what it was really sent.
    Publications {
        /// Publications: six to an event.
        #[arg(long, default_value_t = 10_000)]
        publications: usize,
        /// Seconds between two kills, spread by half.
        #[arg(long, default_value_t = 6.0)]
        kill_every: f64,
        /// Share of the publishing calls whose answer is lost, 0 to 1.
        #[arg(long, default_value_t = 0.03)]
        lost: f64,
    },
}

/// The product's allocator: what is measured here is built as it is.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    clients::http::choose_tls_provider();
    let cli = Cli::parse();
    let ended = match cli.what {
        Run::Drive(options) => scenario::in_process(options).await,
        Run::Remote(options) => scenario::remote(options).await,
        Run::Channels { events, rounds } => channels::run(events.max(1), rounds.max(1)).await,
        Run::Crash { entries, events, at_once, kills, restart, restarts } => {
            let restart = restart.zip(restarts);
            crash::run(crash::Plan { entries, events: events.max(1), at_once: at_once.max(1), kills, restart }).await
        }
        Run::Gone { stop, start, seconds } => gone::run(&stop, &start, seconds).await,
        Run::Hub { parts, sockets, idle, rounds, rate } => {
            hub::run(hub::Plan { parts, sockets, idle, rounds: rounds.max(1), rate }).await
        }
        Run::Compare { goals, rounds, seconds, connections, threads } => {
            let plan = compare::Plan { goals, rounds: rounds.max(1), seconds: seconds.max(1), connections, threads };
            compare::run(plan).await
        }
        Run::Serve(options) => serve::run(options).await.map(|()| ExitCode::SUCCESS),
        Run::BareSend { port } => hub::bare_send(port).await.map(|()| ExitCode::SUCCESS),
        Run::Outage { events, seconds } => outage::run(events.max(1), seconds).await,
        Run::Starve(plan) => starve::run(plan).await,
        Run::Publications { publications, kill_every, lost } => {
            publications::run(publications, kill_every.max(1.0), lost.clamp(0.0, 0.5)).await
        }
    };
    server::drop_databases().await;
    let held = ended.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS);
    if cli.record
        && let Err(e) = record::append(RESULTS.as_ref(), held)
    {
        eprintln!("load-tests: the run is not recorded: {e}");
    }
    ended.unwrap_or_else(|e| {
        eprintln!("load-tests: {e}");
        ExitCode::FAILURE
    })
}
