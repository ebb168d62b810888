//! Settings: `madang.toml`, then the environment, then flags. One table says what there is; anything else stops the start.

mod addresses;
mod checks;
mod list;
mod proxies;
#[cfg(test)]
mod tests;

pub(crate) use addresses::base_address;
pub use list::{SETTINGS, Setting, template};
pub use proxies::TrustedProxies;

use domain::channel::{Mode, Upstream};
use list::{LISTS, LOWER_CASE_TOO, default_of, file_name, known_names, upstream_names};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// How one upstream is connected.
#[derive(Clone, Debug, Default)]
pub struct UpstreamSettings {
    /// Base address; unset: the provider's, or the simulator's without a key.
    pub url: Option<String>,
    /// API key or token.
    pub key: Option<String>,
    /// Mode; unset: `LIVE` with a key, `SANDBOX` without.
    pub mode: Option<Mode>,
}

impl UpstreamSettings {
    /// Its mode, set or not.
    #[must_use]
    pub fn effective_mode(&self) -> Mode {
        self.mode.unwrap_or(if self.key.is_some() { Mode::Live } else { Mode::Sandbox })
    }
}

/// The settings, read and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL, unless embedded.
    pub database_url: Option<String>,
    /// Redis, unless in process.
    pub redis_url: Option<String>,
    /// Proxy of https upstreams.
    pub https_proxy: Option<String>,
    /// What is asked directly all the same.
    pub no_proxy: Vec<String>,
    /// Production: keys must exist, listeners beyond loopback need TLS or a proxy.
    pub production: bool,
    /// Public port.
    pub listen: SocketAddr,
    /// Admin port.
    pub admin_listen: SocketAddr,
    /// Data folder.
    pub data_dir: PathBuf,
    /// Address customers see.
    pub public_url: Option<String>,
    /// More origins whose pages may call.
    pub allowed_origins: Vec<String>,
    /// Certificate chain and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// Keys file.
    pub keys_file: Option<PathBuf>,
    /// Folder of fonts.
    pub fonts_dir: Option<PathBuf>,
    /// Log filter.
    pub log: String,
    /// Scale of the simulator's latency.
    pub simulator_latency: f64,
    /// Requests of a user in any minute.
    pub requests_per_minute: usize,
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest a request may take, in seconds.
    pub request_seconds: u64,
    /// How long it answers as not ready before it takes no more connections, in seconds.
    pub drain_seconds: u64,
    /// Entries in flight.
    pub entries_in_flight: usize,
    /// Sockets of a user.
    pub sockets_per_user: usize,
    /// Connections of the public port; unset: as many as the process has descriptors for.
    pub connections: Option<usize>,
    /// Open sockets in all.
    pub sockets: usize,
    /// Topics of a socket.
    pub topics_per_socket: usize,
    /// Messages of a socket in a second.
    pub messages_per_second: u32,
    /// The largest message a socket may send, in bytes.
    pub frame_bytes: usize,
    /// Failed logins of an account from an address in 15 minutes.
    pub login_failures: usize,
    /// Failed logins of an account from all addresses in an hour.
    pub account_failures: usize,
    /// Refused signups of an address in 15 minutes.
    pub signup_refusals: usize,
    /// Calls to the tax service that the signups of an address cause in an hour, unless they verify.
    pub tax_calls_per_hour: usize,
    /// Calls to the tax service in a day.
    pub tax_calls_per_day: u32,
    /// Shops of an account.
    pub stores: i64,
    /// Recommendations of a business in a day.
    pub recommendations_per_day: i64,
    /// Picture jobs of a business in a day.
    pub image_jobs_per_day: i64,
    /// Rows a second the journal is held to; only load tests set it.
    pub journal_rows_per_second: Option<u32>,
    /// Where alarms are posted to.
    pub alarm_webhook: Option<String>,
    /// Mail of alarms: server, sender, receivers.
    pub alarm_mail: Option<(String, String, Vec<String>)>,
    /// Cost of password hashes.
    pub bcrypt_cost: u32,
    /// Per upstream.
    pub upstreams: BTreeMap<Upstream, UpstreamSettings>,
}

/// A setting that cannot be used, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

fn bad(what: impl Into<String>) -> ConfigError {
    ConfigError(what.into())
}

impl Settings {
    /// Reads `madang.toml` in the working folder (if there is one), the environment, and the flags.
    ///
    /// # Errors
    /// The first setting that is unknown, malformed or contradicts another.
    pub fn load(flags: &[(String, String)]) -> Result<Self, ConfigError> {
        let file = match std::fs::read_to_string("madang.toml") {
            Ok(text) => Some(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(bad(format!("madang.toml cannot be read: {e}"))),
        };
        Self::read(file.as_deref(), environment()?, flags)
    }

    /// Where the admin port is asked: beyond this machine it speaks TLS when the public one does.
    #[must_use]
    pub fn admin_url(&self, admin: SocketAddr) -> String {
        let scheme = if self.tls.is_some() && !admin.ip().is_loopback() { "https" } else { "http" };
        let here = match admin.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(here, admin.port()))
    }

    /// The defaults, whatever this machine, its environment and its files say.
    ///
    /// # Errors
    /// Never: for tests and the demo, which set fields by hand.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::parse(&HashMap::new())
    }

    fn read(file: Option<&str>, env: HashMap<String, String>, flags: &[(String, String)]) -> Result<Self, ConfigError> {
        let mut given = file.map_or_else(|| Ok(HashMap::new()), values_of)?;
        let names = known_names();
        for (name, value) in env {
            if names.contains(&name) {
                given.insert(name, value);
            } else if name.starts_with("MADANG_") {
                return Err(bad(format!("unknown setting {name} in the environment")));
            }
        }
        given.extend(flags.iter().cloned());
        let settings = Self::parse(&given)?;
        settings.check(&given)?;
        Ok(settings)
    }

    fn parse(given: &HashMap<String, String>) -> Result<Self, ConfigError> {
        let text = |name: &str| {
            let value = given.get(name).map(String::as_str).or_else(|| default_of(name));
            value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
        };
        fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<T, ConfigError> {
            let value = value.unwrap_or_default();
            value.parse().map_err(|_| bad(format!("{name}: {value:?} is not a number")))
        }
        let address = |name: &str| -> Result<SocketAddr, ConfigError> {
            let value = text(name).unwrap_or_default();
            value
                .parse()
                .map_err(|_| bad(format!("{name}: {value:?} is not an address and port, such as 127.0.0.1:8080")))
        };
        let list = |name: &str| -> Vec<String> {
            text(name).unwrap_or_default().split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
        };
        // Every limit fits 31 bits, and none of them is 0.
        let n = |name: &'static str| match number::<u64>(name, text(name))? {
            0 => Err(bad(format!("{name}: 0 would refuse everything"))),
            n if n > u64::from(u32::MAX / 2) => Err(bad(format!("{name}: {n} is too large"))),
            n => Ok(n),
        };
        Ok(Self {
            database_url: text("DATABASE_URL"),
            redis_url: text("REDIS_URL"),
            https_proxy: text("HTTPS_PROXY"),
            no_proxy: list("NO_PROXY"),
            production: production(&text)?,
            listen: address("MADANG_LISTEN")?,
            admin_listen: address("MADANG_ADMIN_LISTEN")?,
            data_dir: data_dir(&text)?,
            public_url: checks::public_url(text("MADANG_PUBLIC_URL"))?,
            allowed_origins: checks::origins(list("MADANG_ALLOWED_ORIGINS"))?,
            tls: tls(&text)?,
            trusted_proxies: TrustedProxies::parse(&list("MADANG_TRUSTED_PROXIES"))
                .map_err(|e| bad(format!("MADANG_TRUSTED_PROXIES: {e}")))?,
            keys_file: text("MADANG_KEYS_FILE").map(Into::into),
            fonts_dir: text("MADANG_FONTS_DIR").map(Into::into),
            log: log_filter(text("MADANG_LOG").unwrap_or_default())?,
            simulator_latency: number("MADANG_SIMULATOR_LATENCY", text("MADANG_SIMULATOR_LATENCY"))?,
            requests_per_minute: n("MADANG_LIMIT_REQUESTS_PER_MINUTE")? as usize,
            body_bytes: n("MADANG_LIMIT_BODY_BYTES")? as usize,
            request_seconds: n("MADANG_LIMIT_REQUEST_SECONDS")?,
            drain_seconds: number("MADANG_DRAIN_SECONDS", text("MADANG_DRAIN_SECONDS"))?,
            entries_in_flight: n("MADANG_LIMIT_ENTRIES_IN_FLIGHT")? as usize,
            connections: match text("MADANG_LIMIT_CONNECTIONS") {
                Some(_) => Some(n("MADANG_LIMIT_CONNECTIONS")? as usize),
                None => None,
            },
            sockets: n("MADANG_LIMIT_SOCKETS")? as usize,
            sockets_per_user: n("MADANG_LIMIT_SOCKETS_PER_USER")? as usize,
            topics_per_socket: n("MADANG_LIMIT_TOPICS_PER_SOCKET")? as usize,
            messages_per_second: n("MADANG_LIMIT_MESSAGES_PER_SECOND")? as u32,
            frame_bytes: n("MADANG_LIMIT_FRAME_BYTES")? as usize,
            login_failures: n("MADANG_LIMIT_LOGIN_FAILURES")? as usize,
            account_failures: n("MADANG_LIMIT_ACCOUNT_FAILURES")? as usize,
            signup_refusals: n("MADANG_LIMIT_SIGNUP_REFUSALS")? as usize,
            tax_calls_per_hour: n("MADANG_LIMIT_TAX_CALLS_PER_HOUR")? as usize,
            tax_calls_per_day: n("MADANG_LIMIT_TAX_CALLS_PER_DAY")? as u32,
            stores: n("MADANG_LIMIT_STORES")? as i64,
            recommendations_per_day: n("MADANG_LIMIT_RECOMMENDATIONS_PER_DAY")? as i64,
            image_jobs_per_day: n("MADANG_LIMIT_IMAGE_JOBS_PER_DAY")? as i64,
            journal_rows_per_second: None,
            alarm_webhook: text("MADANG_ALARM_WEBHOOK"),
            alarm_mail: alarm_mail(&text, list("MADANG_ALARM_MAIL_TO"))?,
            bcrypt_cost: n("MADANG_BCRYPT_COST")? as u32,
            upstreams: upstreams(&text)?,
        })
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys_file(&self) -> PathBuf {
        self.keys_file.clone().unwrap_or_else(|| self.data_dir.join("keys.json"))
    }

    /// The address customers see, without a trailing slash.
    #[must_use]
    pub fn public_url(&self, listening: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{}", addresses::reachable(listening)))
    }
}

/// The environment; a setting that is no text is refused, anything else of that kind is not ours.
fn environment() -> Result<HashMap<String, String>, ConfigError> {
    let names = known_names();
    let mut all = HashMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(all.insert(name, value)),
            Err(_) if names.contains(&name) => return Err(bad(format!("{name}: is not UTF-8"))),
            Err(_) => {}
        }
    }
    for name in LOWER_CASE_TOO {
        if let Some(value) = all.remove(&name.to_lowercase()) {
            all.entry(name.to_owned()).or_insert(value);
        }
    }
    Ok(all)
}

/// What is wrong with a file of TOML, in one line that says where.
pub(crate) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    match error.span() {
        Some(span) => {
            let before = text.as_bytes().iter().take(span.start);
            format!("line {}: {message}", 1 + before.filter(|byte| **byte == b'\n').count())
        }
        None => message,
    }
}

/// The values of `madang.toml`, by their names in the environment.
fn values_of(file: &str) -> Result<HashMap<String, String>, ConfigError> {
    let names = known_names();
    // Editors of Windows put a mark before the text.
    let file = file.trim_start_matches('\u{feff}');
    let table: toml::Table =
        toml::from_str(file).map_err(|e| bad(format!("madang.toml is not TOML: {}", toml_problem(file, &e))))?;
    let mut values = HashMap::new();
    for (key, value) in table {
        let name = names.iter().find(|name| file_name(name) == key);
        let name = name.ok_or_else(|| bad(format!("madang.toml: unknown setting {key:?}")))?;
        values.insert(name.clone(), text_of(name, value)?);
    }
    Ok(values)
}

/// A value of the file as the environment has it: the items of a list are separated by commas.
fn text_of(name: &str, value: toml::Value) -> Result<String, ConfigError> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Array(items) if LISTS.contains(&name) => {
            let items: Vec<String> = items.into_iter().map(|item| text_of(name, item)).collect::<Result<_, _>>()?;
            Ok(items.join(","))
        }
        toml::Value::Array(_) => Err(bad(format!("madang.toml: {} is one value, not a list", file_name(name)))),
        toml::Value::Table(_) => Err(bad(format!("madang.toml: {} is a value, not a table", file_name(name)))),
        other => Ok(other.to_string()),
    }
}

fn data_dir(text: Text<'_>) -> Result<PathBuf, ConfigError> {
    text("MADANG_DATA_DIR")
        .map(Into::into)
        .ok_or_else(|| bad("MADANG_DATA_DIR: is empty: name a folder, such as ./.madang"))
}

type Text<'t> = &'t dyn Fn(&str) -> Option<String>;

fn production(text: Text<'_>) -> Result<bool, ConfigError> {
    match text("MADANG_ENV").unwrap_or_default().as_str() {
        "development" => Ok(false),
        "production" => Ok(true),
        other => Err(bad(format!("MADANG_ENV: {other:?} is neither development nor production"))),
    }
}

fn log_filter(filter: String) -> Result<String, ConfigError> {
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(e) => Err(bad(format!("MADANG_LOG: {filter:?} is no filter: {e}"))),
    }
}

fn tls(text: Text<'_>) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (text("MADANG_TLS_CERT"), text("MADANG_TLS_KEY")) {
        (Some(cert), Some(key)) => Ok(Some((cert.into(), key.into()))),
        (None, None) => Ok(None),
        _ => Err(bad("MADANG_TLS_CERT and MADANG_TLS_KEY belong together")),
    }
}

fn alarm_mail(text: Text<'_>, to: Vec<String>) -> Result<Option<(String, String, Vec<String>)>, ConfigError> {
    match (text("MADANG_ALARM_SMTP"), text("MADANG_ALARM_MAIL_FROM"), to.is_empty()) {
        (None, None, true) => Ok(None),
        (Some(server), Some(from), false) => Ok(Some((server, from, to))),
        _ => Err(bad("MADANG_ALARM_SMTP, MADANG_ALARM_MAIL_FROM and MADANG_ALARM_MAIL_TO belong together")),
    }
}

fn upstreams(text: Text<'_>) -> Result<BTreeMap<Upstream, UpstreamSettings>, ConfigError> {
    let mut all: BTreeMap<Upstream, UpstreamSettings> = BTreeMap::new();
    for (upstream, part, name) in upstream_names() {
        let Some(value) = text(&name) else { continue };
        let s = all.entry(upstream).or_default();
        match part {
            "URL" => s.url = Some(base_address(&value).map_err(|e| bad(format!("{name}: {e}")))?),
            "KEY" => s.key = Some(value),
            _ => {
                s.mode = Some(
                    Mode::parse(&value)
                        .ok_or_else(|| bad(format!("{name}: {value:?} is none of LIVE, SANDBOX, ASSISTED, OFF")))?,
                )
            }
        }
    }
    Ok(all)
}
