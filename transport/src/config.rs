//! Settings: `madang.toml`, then the environment, then flags. One table says what there is; anything else stops the start.

mod list;

pub use list::{SETTINGS, Setting};

use domain::channel::{Mode, Upstream};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
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

/// The longest [`Settings::drain_seconds`]: the whole end must fit into 30 s.
const MAX_DRAIN: u64 = 5;

/// The settings, read and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL, unless embedded.
    pub database_url: Option<String>,
    /// Redis, unless in process.
    pub redis_url: Option<String>,
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
    pub trusted_proxies: Vec<std::net::IpAddr>,
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

/// Name in the file of an environment name.
fn file_name(env: &str) -> String {
    env.trim_start_matches("MADANG_").to_lowercase()
}

/// Names of the settings of upstreams: URL, key, mode of each.
fn upstream_names() -> Vec<(Upstream, &'static str, String)> {
    Upstream::ALL
        .iter()
        .flat_map(|u| ["URL", "KEY", "MODE"].map(|part| (*u, part, format!("MADANG_{}_{part}", u.code()))))
        .collect()
}

/// Every name there is.
fn known_names() -> Vec<String> {
    SETTINGS.iter().map(|s| s.env.to_owned()).chain(upstream_names().into_iter().map(|(_, _, n)| n)).collect()
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
        Self::read(file.as_deref(), std::env::vars().collect(), flags)
    }

    /// Where the admin port is asked: beyond this machine it speaks TLS when the public one does.
    #[must_use]
    pub fn admin_url(&self, admin: SocketAddr) -> String {
        let scheme = if self.tls.is_some() && !admin.ip().is_loopback() { "https" } else { "http" };
        format!("{scheme}://{admin}")
    }

    /// The defaults.
    ///
    /// # Errors
    /// Never: for tests and the demo, which set fields by hand.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::read(None, HashMap::new(), &[])
    }

    fn read(file: Option<&str>, env: HashMap<String, String>, flags: &[(String, String)]) -> Result<Self, ConfigError> {
        let names = known_names();
        let mut values: HashMap<String, String> = HashMap::new();
        if let Some(text) = file {
            let table: toml::Table =
                toml::from_str(text).map_err(|e| bad(format!("madang.toml is not TOML: {}", e.message())))?;
            for (key, value) in table {
                let env = names
                    .iter()
                    .find(|n| file_name(n) == key)
                    .ok_or_else(|| bad(format!("madang.toml: unknown setting {key:?}")))?;
                let text = match value {
                    toml::Value::String(s) => s,
                    other => other.to_string(),
                };
                values.insert(env.clone(), text);
            }
        }
        for (name, value) in env {
            if names.contains(&name) {
                values.insert(name, value);
            } else if name.starts_with("MADANG_") {
                return Err(bad(format!("unknown setting {name} in the environment")));
            }
        }
        values.extend(flags.iter().cloned());
        for s in SETTINGS {
            values.entry(s.env.to_owned()).or_insert_with(|| s.default.to_owned());
        }
        Self::parse(&values)
    }

    fn parse(values: &HashMap<String, String>) -> Result<Self, ConfigError> {
        let text = |name: &str| values.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        fn number<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<T, ConfigError> {
            let value = value.unwrap_or_default();
            value.parse().map_err(|_| bad(format!("{name}: {value:?} is not a number")))
        }
        let address = |name: &str| -> Result<SocketAddr, ConfigError> {
            let value = text(name).unwrap_or_default();
            value.parse().map_err(|_| bad(format!("{name}: {value:?} is not an address and port")))
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
        let proxies = list("MADANG_TRUSTED_PROXIES");
        let trusted_proxies = proxies
            .iter()
            .map(|p| p.parse().map_err(|_| bad(format!("MADANG_TRUSTED_PROXIES: {p:?} is not an address"))))
            .collect::<Result<_, _>>()?;
        let settings = Self {
            database_url: text("DATABASE_URL"),
            redis_url: text("REDIS_URL"),
            production: production(&text)?,
            listen: address("MADANG_LISTEN")?,
            admin_listen: address("MADANG_ADMIN_LISTEN")?,
            data_dir: text("MADANG_DATA_DIR").unwrap_or_default().into(),
            public_url: text("MADANG_PUBLIC_URL").map(|u| u.trim_end_matches('/').to_owned()),
            allowed_origins: list("MADANG_ALLOWED_ORIGINS"),
            tls: tls(&text)?,
            trusted_proxies,
            keys_file: text("MADANG_KEYS_FILE").map(Into::into),
            fonts_dir: text("MADANG_FONTS_DIR").map(Into::into),
            log: log_filter(text("MADANG_LOG").unwrap_or_default())?,
            simulator_latency: number("MADANG_SIMULATOR_LATENCY", text("MADANG_SIMULATOR_LATENCY"))?,
            requests_per_minute: n("MADANG_LIMIT_REQUESTS_PER_MINUTE")? as usize,
            body_bytes: n("MADANG_LIMIT_BODY_BYTES")? as usize,
            request_seconds: n("MADANG_LIMIT_REQUEST_SECONDS")?,
            drain_seconds: number("MADANG_DRAIN_SECONDS", text("MADANG_DRAIN_SECONDS"))?,
            entries_in_flight: n("MADANG_LIMIT_ENTRIES_IN_FLIGHT")? as usize,
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
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(10..=14).contains(&self.bcrypt_cost) {
            return Err(bad("MADANG_BCRYPT_COST: must be 10 to 14"));
        }
        if self.topics_per_socket > actors::hub::MOST_TOPICS {
            return Err(bad("MADANG_LIMIT_TOPICS_PER_SOCKET: must be 1 to 48"));
        }
        if self.drain_seconds > MAX_DRAIN {
            return Err(bad("MADANG_DRAIN_SECONDS: must be 0 to 5"));
        }
        if !(0.0..=100.0).contains(&self.simulator_latency) {
            return Err(bad("MADANG_SIMULATOR_LATENCY: must be 0 to 100"));
        }
        let beyond = [self.listen, self.admin_listen].iter().any(|a| !a.ip().is_loopback());
        if self.production && beyond && self.tls.is_none() && self.trusted_proxies.is_empty() {
            return Err(bad(
                "in production a listener beyond loopback needs MADANG_TLS_CERT and MADANG_TLS_KEY, or MADANG_TRUSTED_PROXIES",
            ));
        }
        self.check_addresses()?;
        self.check_files()?;
        for (upstream, s) in &self.upstreams {
            let real = crate::boot::provider(*upstream);
            if s.mode == Some(Mode::Sandbox) && s.url.is_some() && s.url.as_deref().map(host) == real.map(host) {
                return Err(bad(format!(
                    "MADANG_{}_MODE is SANDBOX but MADANG_{0}_URL is the provider itself",
                    upstream.code()
                )));
            }
            if s.mode == Some(Mode::Live) && s.key.is_none() {
                return Err(bad(format!("MADANG_{}_MODE is LIVE but MADANG_{0}_KEY is unset", upstream.code())));
            }
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        if self.listen == self.admin_listen && self.listen.port() != 0 {
            return Err(bad(format!("MADANG_LISTEN and MADANG_ADMIN_LISTEN are both {}", self.listen)));
        }
        let named = |name: &str, value: &Option<String>, schemes: &[&str]| match value {
            Some(v) if !schemes.iter().any(|s| v.strip_prefix(s).is_some_and(|rest| !rest.is_empty())) => {
                Err(bad(format!("{name}: must begin with {}", schemes.join(" or "))))
            }
            _ => Ok(()),
        };
        named("DATABASE_URL", &self.database_url, &["postgres://", "postgresql://"])?;
        named("REDIS_URL", &self.redis_url, &["redis://", "rediss://", "redis-cluster://", "redis-sentinel://"])?;
        named("MADANG_ALARM_WEBHOOK", &self.alarm_webhook, &["http://", "https://"])?;
        if let Some((server, from, to)) = &self.alarm_mail {
            clients::alarm::Mail::new(server, from, to)
                .map_err(|e| bad(format!("MADANG_ALARM_SMTP and _MAIL: {e}")))?;
        }
        named("MADANG_PUBLIC_URL", &self.public_url, &["http://", "https://"])?;
        for origin in &self.allowed_origins {
            named("MADANG_ALLOWED_ORIGINS", &Some(origin.clone()), &["http://", "https://"])?;
            if crate::origins::of(origin).is_none() {
                return Err(bad(format!(
                    "MADANG_ALLOWED_ORIGINS: {origin} is no origin, such as https://shop.example.kr"
                )));
            }
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), ConfigError> {
        let tls = self.tls.iter().flat_map(|(cert, key)| [("MADANG_TLS_CERT", cert), ("MADANG_TLS_KEY", key)]);
        for (name, file) in tls {
            if !file.is_file() {
                return Err(bad(format!("{name}: {} is no file", file.display())));
            }
        }
        if let Some(folder) = self.fonts_dir.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(bad(format!("MADANG_FONTS_DIR: {} is no folder", folder.display())));
        }
        let keys = self.keys_file();
        if self.production && !keys.is_file() {
            return Err(bad(format!("MADANG_KEYS_FILE: {} must exist in production", keys.display())));
        }
        Ok(())
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
        self.public_url.clone().unwrap_or_else(|| format!("{scheme}://{listening}"))
    }
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

/// The host of an address.
fn host(url: &str) -> &str {
    url.split("://").nth(1).unwrap_or(url).split(['/', ':']).next().unwrap_or_default()
}

fn upstreams(text: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<Upstream, UpstreamSettings>, ConfigError> {
    let mut all: BTreeMap<Upstream, UpstreamSettings> = BTreeMap::new();
    for (upstream, part, name) in upstream_names() {
        let Some(value) = text(&name) else { continue };
        let s = all.entry(upstream).or_default();
        match part {
            "URL" if !value.starts_with("http://") && !value.starts_with("https://") => {
                return Err(bad(format!("{name}: {value:?} is not an http or https address")));
            }
            "URL" => s.url = Some(value.trim_end_matches('/').to_owned()),
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

/// `madang.toml` with every setting, its meaning and its default.
#[must_use]
pub fn template() -> String {
    use std::fmt::Write;
    let mut out = String::from(
        "# madang.toml: every setting with its default. The environment overrides this file, flags override both.\n",
    );
    for s in SETTINGS {
        let name = file_name(s.env);
        let _ = write!(out, "\n# {} ({})\n# {name} = {:?}\n", s.meaning, s.env, s.default);
    }
    out.push_str("\n# Per upstream (LIVE with a key, SANDBOX without, ASSISTED, OFF):\n");
    for (_, part, name) in upstream_names() {
        let _ = writeln!(
            out,
            "# {} = \"\"{}",
            file_name(&name),
            if part == "MODE" { "  # LIVE, SANDBOX, ASSISTED or OFF" } else { "" }
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flags_override_the_environment_overrides_the_file() {
        let file = Some("listen = \"127.0.0.1:1\"\nlimit_body_bytes = 5\n");
        let s = Settings::read(file, env(&[("MADANG_LISTEN", "127.0.0.1:2"), ("PATH", "x")]), &[]).unwrap();
        assert_eq!((s.listen.port(), s.body_bytes), (2, 5));
        let flags = [("MADANG_LISTEN".to_owned(), "127.0.0.1:3".to_owned())];
        assert_eq!(Settings::read(file, env(&[("MADANG_LISTEN", "127.0.0.1:2")]), &flags).unwrap().listen.port(), 3);
    }

    #[test]
    fn anything_unknown_or_contradictory_stops_the_start() {
        for (file, pairs, part) in [
            (Some("lisen = 1"), vec![], "lisen"),
            (Some("listen ="), vec![], "not TOML"),
            (None, vec![("MADANG_LISEN", "x")], "MADANG_LISEN"),
            (None, vec![("MADANG_LISTEN", "8080")], "not an address"),
            (None, vec![("MADANG_LIMIT_BODY_BYTES", "many")], "not a number"),
            (None, vec![("MADANG_BCRYPT_COST", "4")], "10 to 14"),
            (None, vec![("MADANG_TLS_CERT", "a")], "belong together"),
            (None, vec![("MADANG_NTS_MODE", "LIVE")], "KEY is unset"),
            (None, vec![("MADANG_NTS_MODE", "live")], "none of"),
            (None, vec![("MADANG_NTS_URL", "ftp://x")], "http"),
            (None, vec![("MADANG_ENV", "prod")], "neither"),
            (None, vec![("MADANG_LOG", "(((")], "MADANG_LOG"),
            (None, vec![("MADANG_ENV", "production")], "must exist in production"),
            (None, vec![("MADANG_TLS_CERT", "/none"), ("MADANG_TLS_KEY", "/none")], "is no file"),
            (None, vec![("MADANG_LISTEN", "127.0.0.1:9090")], "are both"),
            (None, vec![("MADANG_PUBLIC_URL", "notaurl")], "MADANG_PUBLIC_URL"),
            (None, vec![("MADANG_ALLOWED_ORIGINS", "foo")], "MADANG_ALLOWED_ORIGINS"),
            (None, vec![("DATABASE_URL", "nonsense")], "DATABASE_URL"),
            (None, vec![("REDIS_URL", "nonsense")], "REDIS_URL"),
            (None, vec![("MADANG_ALARM_WEBHOOK", "slack")], "MADANG_ALARM_WEBHOOK"),
            (None, vec![("MADANG_ALARM_SMTP", "smtp://localhost")], "belong together"),
            (None, vec![("MADANG_LIMIT_SOCKETS_PER_USER", "0")], "0 would refuse"),
            (None, vec![("MADANG_LIMIT_MESSAGES_PER_SECOND", "4294967296")], "too large"),
            (
                None,
                vec![("MADANG_NAVER_MODE", "SANDBOX"), ("MADANG_NAVER_URL", "https://openapi.naver.com")],
                "provider itself",
            ),
            (None, vec![("MADANG_ENV", "production"), ("MADANG_LISTEN", "0.0.0.0:80")], "needs MADANG_TLS_CERT"),
        ] {
            let error = Settings::read(file, env(&pairs), &[]).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_template_is_a_valid_file() {
        assert!(Settings::read(Some(&template()), HashMap::new(), &[]).is_ok());
        let uncommented: String = template()
            .lines()
            .filter(|l| l.contains(" = "))
            .map(|l| l.trim_start_matches("# ").to_owned() + "\n")
            .collect();
        assert!(Settings::read(Some(&uncommented), HashMap::new(), &[]).is_ok(), "{uncommented}");
    }
}
