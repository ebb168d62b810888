//! The processes under test: a server and, where it must outlive the server, a simulator of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::Database;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// What went wrong, in one line.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a start may take: a first one initialises the database.
const START: Duration = Duration::from_secs(30);
/// What lines of the access log have, as JSON.
const ACCESS: &[u8] = br#""target":"access""#;

/// The databases of this run: one for each data folder, for a server refuses one that was sealed with other keys.
static DATABASES: Mutex<Vec<(PathBuf, Database)>> = Mutex::const_new(Vec::new());

/// The database of a data folder on the server of `DATABASE_URL`, made when it is first asked for; `None`: it is embedded.
async fn database_of(data: &Path) -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())?;
    let mut all = DATABASES.lock().await;
    if let Some((_, database)) = all.iter().find(|(folder, _)| folder == data) {
        return database.url();
    }
    let database = Database::fresh().await;
    let url = database.url();
    all.push((data.to_owned(), database));
    url
}

/// Removes the databases of this run.
pub async fn drop_databases() {
    DATABASES.lock().await.clear();
}

/// The `madang` beside this binary: the same build.
pub fn madang() -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe()?.with_file_name("madang");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(format!("{} is missing: build the workspace first (cargo build --workspace --profile dist)", beside.display())
        .into())
}

/// A port nobody uses now.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A simulator in a process and folder of its own.
pub struct Simulator {
    /// Where it listens.
    pub base: String,
    process: Child,
}

impl Simulator {
    /// Starts one.
    pub async fn start(data: &Path, latency: f64) -> Result<Self, Failure> {
        let port = free_port()?;
        let process = Command::new(madang()?)
            .args(["simulator", "--port", &port.to_string(), "--latency", &latency.to_string(), "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let simulator = Self { base: format!("http://127.0.0.1:{port}"), process };
        until_answered(&format!("{}/_control/state", simulator.base)).await?;
        Ok(simulator)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        let _ = self.process.kill().await;
    }
}

/// A server that can be killed and started again on the same data and ports.
pub struct Server {
    /// Public address.
    pub base: String,
    /// Address of the admin port.
    pub admin: String,
    data: PathBuf,
    env: Vec<(String, String)>,
    database: Option<String>,
    program: Program,
    process: Option<Child>,
}

/// What is started.
#[derive(Clone, Debug)]
pub enum Program {
    /// `madang serve`.
    Madang,
    /// `load-tests serve` with these options: the same server, and what it is compared with.
    Ours(Vec<String>),
}

/// The server logs as it does anywhere; of that, a line for every request is more than a disk under test should take.
fn keep_what_matters(said: std::fs::File, mut log: std::fs::File) {
    let lines = BufReader::with_capacity(256 * 1024, said).split(b'\n').map_while(Result::ok);
    for line in lines.filter(|line| memchr::memmem::find(line, ACCESS).is_none()) {
        let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
    }
}

impl Server {
    /// Starts one on a folder, with settings on top of the defaults. `REDIS_URL` is inherited; on the server of `DATABASE_URL`
    /// each folder has a database of its own.
    pub async fn start(data: &Path, env: &[(String, String)]) -> Result<Self, Failure> {
        Self::start_as(Program::Madang, data, env).await
    }

    /// The same of another program.
    pub async fn start_as(program: Program, data: &Path, env: &[(String, String)]) -> Result<Self, Failure> {
        let (public, admin) = (free_port()?, free_port()?);
        let mut server = Self {
            base: format!("http://127.0.0.1:{public}"),
            admin: format!("http://127.0.0.1:{admin}"),
            data: data.to_owned(),
            env: env.to_vec(),
            database: database_of(data).await,
            program,
            process: None,
        };
        server.run(public, admin)?;
        until_answered(&format!("{}/readyz", server.base)).await?;
        Ok(server)
    }

    fn run(&mut self, public: u16, admin: u16) -> Result<(), Failure> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.data.join("server.log"))?;
        let mut command = match &self.program {
            Program::Madang => Command::new(madang()?),
            Program::Ours(_) => Command::new(std::env::current_exe()?),
        };
        command.arg("serve");
        if let Program::Ours(options) = &self.program {
            command.args(options);
        }
        let mut process = command
            .envs(self.database.iter().map(|url| ("DATABASE_URL", url)))
            .env("MADANG_DATA_DIR", self.data.join("madang"))
            .env("MADANG_LISTEN", format!("127.0.0.1:{public}"))
            .env("MADANG_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .envs(self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(said) = process.stderr.take() {
            let said = std::fs::File::from(said.into_owned_fd()?);
            std::thread::spawn(move || keep_what_matters(said, log));
        }
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`, then a start on the same ports; returns when it is ready again, with the time that took.
    pub async fn crash(&mut self) -> Result<Duration, Failure> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        let begun = Instant::now();
        self.run_again()?;
        until_answered(&format!("{}/readyz", self.base)).await?;
        Ok(begun.elapsed())
    }

    /// `kill -9`, a life that ends by itself at a point of the journal, and a start after it.
    pub async fn crash_at(&mut self, point: &str, nth: u64) -> Result<Duration, Failure> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        let usual = self.program.clone();
        let options = ["--die-at", point, "--after", &nth.to_string()].map(str::to_owned);
        self.program = Program::Ours(options.to_vec());
        self.run_again()?;
        self.program = usual;
        let mut armed = self.process.take().ok_or("no process")?;
        match tokio::time::timeout(START, armed.wait()).await {
            Ok(Ok(status)) if !status.success() => self.crash().await,
            _ => Err(format!("the server did not die at {point}").into()),
        }
    }

    fn run_again(&mut self) -> Result<(), Failure> {
        let port = |base: &str| base.rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or(0);
        self.run(port(&self.base), port(&self.admin))
    }

    /// Its process.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// Sockets it closed because they read too slowly.
    pub async fn slow_closed(&self) -> Result<u64, Failure> {
        self.metric("ws_closed_total{code=\"4408\"}").await
    }

    /// A counter of its metrics, by name and labels; 0 before it was first counted.
    pub async fn metric(&self, name: &str) -> Result<u64, Failure> {
        let metrics = reqwest::get(format!("{}/metrics", self.admin)).await?.text().await?;
        let line =
            metrics.lines().find(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))).unwrap_or(" 0");
        Ok(line.rsplit(' ').next().unwrap_or("0").parse()?)
    }

    /// The admin token of its keys file.
    pub fn admin_token(&self) -> Result<String, Failure> {
        let keys = storage::crypto::Keyring::open(&self.data.join("madang/keys.json"), false)?;
        Ok(keys.admin_token().to_owned())
    }

    /// Ends it by SIGTERM; true when it exited with 0.
    pub async fn stop(mut self) -> bool {
        let Some(mut process) = self.process.take() else { return false };
        if let Some(id) = process.id() {
            let _ = Command::new("kill").arg(id.to_string()).status().await;
        }
        let ended = tokio::time::timeout(Duration::from_secs(30), process.wait()).await;
        matches!(ended, Ok(Ok(status)) if status.success())
    }
}

async fn until_answered(url: &str) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    let begun = Instant::now();
    while begun.elapsed() < START {
        if client.get(url).send().await.is_ok_and(|r| r.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{url} did not answer within {} s", START.as_secs()).into())
}
