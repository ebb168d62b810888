//! The address of a PostgreSQL server: what it says, what a session needs besides, and why no connection comes about.
//!
//! The client says "invalid connection string" and "error connecting to server", whatever is wrong. This module reads the same
//! grammar and names the part.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as Diesel};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Time for which the name of a host, and then the host, is asked for the reason of a failure.
const PROBE: Duration = Duration::from_secs(3);
/// The port of PostgreSQL.
const PORT: u16 = 5432;

/// Limits of the connection, in seconds, so that nobody waits long for a server that went silent.
const CONNECTION: [(&str, &str); 5] = [
    ("connect_timeout", "3"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "2"),
    ("keepalives_retries", "3"),
    ("tcp_user_timeout", "5"),
];

/// Limits of the session, in milliseconds, so that nothing holds a lock or a statement for ever.
const SESSION: [(&str, u32); 4] = [
    ("statement_timeout", 5_000),
    ("lock_timeout", 2_000),
    ("idle_in_transaction_session_timeout", 10_000),
    ("client_connection_check_interval", 5_000),
];

/// An address, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    hosts: Vec<(Host, u16)>,
    /// The parameters in their order, decoded.
    parameters: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    /// A folder with a Unix socket.
    Folder(PathBuf),
}

impl Address {
    /// Reads an address as the client does.
    ///
    /// # Errors
    /// The part that no connection can be made with, in one line without the password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or("must begin with postgres:// or postgresql://")?;
        // The first @ ends user and password, whatever they hold.
        let (credentials, rest) = rest.split_once('@').map_or(("", rest), |(who, rest)| (who, rest));
        decoded("the user", credentials.split(':').next().unwrap_or_default())?;
        let host_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(host_end);
        let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
        decoded("the database's name", path.trim_start_matches('/'))?;
        let mut hosts = Vec::new();
        for chunk in authority.split(',').filter(|_| !authority.is_empty()) {
            let (name, port) = host_and_port(chunk)?;
            hosts.push((host(name)?, port));
        }
        let parameters = parameters(query)?;
        for (name, value) in &parameters {
            check(name, value)?;
            if name == "host" || name == "hostaddr" {
                for one in value.split(',') {
                    hosts.push((host(one)?, PORT));
                }
            }
        }
        if hosts.is_empty() {
            return Err("names no host".into());
        }
        Ok(Self { hosts, parameters })
    }

    fn says(&self, name: &str) -> bool {
        self.parameters.iter().any(|(n, _)| n == name)
    }

    /// The address with the limits of a connection that it does not set itself.
    pub(crate) fn limited(&self, url: &str) -> String {
        let mut url = url.to_owned();
        for (name, value) in CONNECTION.iter().filter(|(name, _)| !self.says(name)) {
            if !url.ends_with(['?', '&']) {
                url.push(if url.contains('?') { '&' } else { '?' });
            }
            let _ = write!(url, "{name}={value}");
        }
        url
    }

    /// Statements that begin a session. Limits that the address sets by its own `options` stand. The isolation level is always
    /// the one that the statements of this product were written for, whatever the database's default is. Only a superuser may
    /// choose the language of messages.
    pub(crate) fn session(&self) -> String {
        let options = self.parameters.iter().filter(|(name, _)| name == "options");
        let own: Vec<String> = options.flat_map(|(_, value)| set_by(value)).collect();
        let says = |name: &str| own.iter().any(|o| o.eq_ignore_ascii_case(name));
        let mut sql = String::from("set default_transaction_isolation = 'read committed'");
        for (name, value) in SESSION.iter().filter(|(name, _)| !says(name)) {
            let _ = write!(sql, "; set {name} = {value}");
        }
        if !says("lc_messages") {
            sql.push_str("; select set_config('lc_messages', 'C', false) where current_setting('is_superuser') = 'on'");
        }
        sql
    }

    /// Says in one line why no connection came about.
    pub(crate) async fn explain(&self, error: &ConnectionError) -> String {
        match error {
            ConnectionError::CouldntSetupConfiguration(Diesel::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand,
                info,
            )) => self.probe(info.message()).await,
            // The server's own words.
            ConnectionError::CouldntSetupConfiguration(Diesel::DatabaseError(_, info)) => {
                let said = info.message().replace('\n', " ");
                match said.contains("no encryption") {
                    true => format!("{said} (the server takes encrypted connections only, and this one is not)"),
                    false => said,
                }
            }
            other => other.to_string().replace('\n', " "),
        }
    }

    /// Says in one line why no connection came about in time: no name server or no host answers, or PostgreSQL does not.
    pub(crate) async fn explain_silence(&self, within: Duration) -> String {
        self.probe(&format!("no answer within {within:?}")).await
    }

    /// Tries each host once more, for the client does not say what happened to it.
    async fn probe(&self, said: &str) -> String {
        let mut reasons = Vec::new();
        for (host, port) in &self.hosts {
            let tried = tokio::time::timeout(2 * PROBE, reach(host, *port)).await;
            reasons.push(tried.unwrap_or_else(|_| Err(format!("{}: no answer", at(host, *port)))));
        }
        let failed: Vec<String> = reasons.iter().filter_map(|r| r.as_ref().err().cloned()).collect();
        match reasons.iter().position(Result::is_ok).and_then(|i| self.hosts.get(i)) {
            None => failed.join("; "),
            Some((host, port)) => format!("{} takes connections, but: {said}", at(host, *port)),
        }
    }
}

fn at(host: &Host, port: u16) -> String {
    match host {
        Host::Name(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Name(name) => format!("{name}:{port}"),
        Host::Folder(folder) => format!("{}/.s.PGSQL.{port}", folder.display()),
    }
}

async fn reach(host: &Host, port: u16) -> Result<(), String> {
    let name = match host {
        Host::Name(name) => name,
        Host::Folder(folder) => {
            #[cfg(unix)]
            return match tokio::net::UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await {
                Ok(_) => Ok(()),
                Err(e) => Err(cause(host, port, &e)),
            };
            #[cfg(not(unix))]
            return Err(format!("{}: no sockets of this kind here", folder.display()));
        }
    };
    let found = tokio::time::timeout(PROBE, tokio::net::lookup_host((name.as_str(), port))).await;
    let found = found.map_err(|_| format!("{name}: unknown host (no name server answers)"))?;
    let addresses: Vec<_> = found.map_err(|e| format!("{name}: unknown host ({e})"))?.collect();
    match tokio::net::TcpStream::connect(&addresses[..]).await {
        Ok(_) => Ok(()),
        Err(e) => Err(cause(host, port, &e)),
    }
}

fn cause(host: &Host, port: u16, e: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match e.kind() {
        ErrorKind::ConnectionRefused => format!("{}: connection refused; nothing listens there", at(host, port)),
        ErrorKind::NotFound => format!("{}: no such socket", at(host, port)),
        _ => format!("{}: {e}", at(host, port)),
    }
}

/// Splits `host:port` and `[address]:port`.
fn host_and_port(chunk: &str) -> Result<(&str, u16), String> {
    let (name, port) = match chunk.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) =
                rest.split_once(']').ok_or_else(|| format!("the host {chunk:?} has no closing bracket"))?;
            match rest.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None if rest.is_empty() => (name, None),
                None => return Err(format!("the host {chunk:?} is no address in brackets")),
            }
        }
        None => chunk.split_once(':').map_or((chunk, None), |(name, port)| (name, Some(port))),
    };
    match port {
        None | Some("") => Ok((name, PORT)),
        Some(port) => Ok((name, number_of_port(&decoded("the port", port)?)?)),
    }
}

fn number_of_port(port: &str) -> Result<u16, String> {
    port.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(|| format!("the port {port:?} is no number from 1 to 65535"))
}

fn host(text: &str) -> Result<Host, String> {
    let name = decoded("the host", text)?;
    if name.starts_with('/') {
        return Ok(Host::Folder(name.into()));
    }
    if name.is_empty() {
        return Err("names no host".into());
    }
    if name.contains('@') {
        return Err("has more than one @: in a user or password it is written %40".into());
    }
    if name.chars().any(char::is_whitespace) {
        return Err(format!("the host {name:?} has a space in it"));
    }
    Ok(Host::Name(name))
}

/// Splits `name=value&name=value`.
fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("the option {pair:?} has no value"))?;
        let name = decoded("an option", name)?;
        let value = decoded(&name, value)?;
        all.push((name, value));
    }
    Ok(all)
}

/// What each option may be.
fn check(name: &str, value: &str) -> Result<(), String> {
    let one_of = |known: &[&str]| match known.contains(&value) {
        true => Ok(()),
        false => Err(format!("{name}={value} is none of {}", known.join(", "))),
    };
    let number = |ok: bool| if ok { Ok(()) } else { Err(format!("{name}={value} is no number")) };
    match name {
        "user" | "password" | "dbname" | "options" | "application_name" | "host" => Ok(()),
        "sslmode" if matches!(value, "require" | "verify-ca" | "verify-full") => Err(format!(
            "{name}={value}: this version does not encrypt its connection to PostgreSQL; use sslmode=prefer on a network of your \
             own, or a tunnel"
        )),
        "sslmode" => one_of(&["disable", "prefer"]),
        "sslnegotiation" => one_of(&["postgres"]),
        "channel_binding" => one_of(&["disable", "prefer"]),
        "target_session_attrs" => one_of(&["any", "read-write", "read-only"]),
        "load_balance_hosts" => one_of(&["disable", "random"]),
        "port" => value.split(',').filter(|p| !p.is_empty()).try_for_each(|p| number_of_port(p).map(drop)),
        "hostaddr" => match value.split(',').all(|a| a.parse::<std::net::IpAddr>().is_ok()) {
            true => Ok(()),
            false => Err(format!("{name}={value} is no address")),
        },
        "connect_timeout" | "tcp_user_timeout" | "keepalives_idle" | "keepalives_interval" => {
            number(value.parse::<i64>().is_ok())
        }
        "keepalives" => number(value.parse::<u64>().is_ok()),
        "keepalives_retries" => number(value.parse::<u32>().is_ok()),
        "schema" | "currentSchema" | "search_path" => {
            Err(format!("{name} is no option here; a search path is set by options=-c%20search_path%3D{value}"))
        }
        other => Err(format!("unknown option {other}")),
    }
}

/// Names of the parameters that `options` sets: `-c name=value`, `-cname=value`, `--name=value`.
fn set_by(options: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(long) => Some(long),
            None => match word.strip_prefix("-c") {
                Some("") => words.next(),
                short => short,
            },
        };
        if let Some((name, _)) = setting.and_then(|s| s.split_once('=')) {
            names.push(name.replace('-', "_"));
        }
    }
    names
}

/// Undoes `%41`. What does not look like it stands, as with the client.
fn decoded(what: &str, text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(i) {
        let hex = text.get(i + 1..i + 3).filter(|hex| *byte == b'%' && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                i += 3;
            }
            None => {
                out.push(*byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|_| format!("{what} is no UTF-8 once its % are decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 23: a host that takes connections and says nothing is named, and so is one that nobody finds.
    #[tokio::test]
    async fn the_cause_of_silence_is_said() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let url = format!("postgres://u:geheim@127.0.0.1:{port}/x");
        let error = crate::store::connect_once(&url, Duration::from_millis(200)).await.err().unwrap().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port} takes connections, but: no answer within 200ms")), "{error}");
        assert!(!error.contains("geheim") && !error.contains('\n'));
        let unknown = Address::parse("postgres://u:p@db.invalid/x").unwrap();
        assert!(unknown.explain_silence(PROBE).await.contains("db.invalid: unknown host"));
    }

    /// Case 23: whatever stops a connection by its address is named.
    #[test]
    fn the_part_of_an_address_that_is_wrong_is_named() {
        for (url, says) in [
            ("mysql://db/x", "must begin with"),
            ("postgres://", "names no host"),
            ("postgres:///madang", "names no host"),
            ("postgres://u:p@/madang", "names no host"),
            ("postgres://u:p@db:notaport/x", "\"notaport\""),
            ("postgres://u:p@db:0/x", "\"0\""),
            ("postgres://u:p@db:65536/x", "\"65536\""),
            ("postgres://u:p@a:1,b:x/x", "\"x\""),
            ("postgres://u:p@[::1/x", "closing bracket"),
            ("postgres://u:p@[::1]5432/x", "in brackets"),
            ("postgres://u:p@ss@db/x", "%40"),
            ("postgres://u:p@my db/x", "space"),
            ("postgres://db/x?schema=public", "schema is no option"),
            ("postgres://db/x?sslmode=verify-full", "sslmode=verify-full"),
            ("postgres://db/x?sslmode=require", "sslmode=require"),
            ("postgres://db/x?sslmode=always", "sslmode=always is none of"),
            ("postgres://db/x?sslrootcert=/a.pem", "unknown option sslrootcert"),
            ("postgres://db/x?SSLMODE=disable", "unknown option SSLMODE"),
            ("postgres://db/x?channel_binding=require", "channel_binding=require"),
            ("postgres://db/x?connect_timeout=3s", "connect_timeout=3s is no number"),
            ("postgres://db/x?port=none", "\"none\""),
            ("postgres://db/x?hostaddr=db", "hostaddr=db"),
            ("postgres://db/x?connect_timeout", "\"connect_timeout\" has no value"),
            ("postgres://db/x?application_name=%ff", "application_name is no UTF-8"),
            ("postgres://%ff@db/x", "the user is no UTF-8"),
        ] {
            let why = Address::parse(url).unwrap_err();
            assert!(why.contains(says) && !why.contains('\n') && !why.contains("u:p"), "{url}: {why}");
        }
    }

    #[test]
    fn good_addresses_pass() {
        for (url, first) in [
            ("postgres://db/madang", "db:5432"),
            ("postgresql://u:p%40ss/word@db:6000/madang?sslmode=disable", "db:6000"),
            ("postgres://u@[::1]:5433/x?sslmode=prefer&target_session_attrs=read-write", "[::1]:5433"),
            ("postgres://u@a,b:2/x?connect_timeout=9&options=-c%20jit%3Doff", "a:5432"),
            ("postgres://u@db:/x?", "db:5432"),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/x", "/var/run/postgresql/.s.PGSQL.5432"),
            ("postgres:///x?host=/var/run/postgresql", "/var/run/postgresql/.s.PGSQL.5432"),
        ] {
            let address = Address::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert_eq!(at(&address.hosts[0].0, address.hosts[0].1), first);
        }
    }

    #[test]
    fn an_address_keeps_what_it_says_and_gets_the_rest() {
        let limited = |url: &str| Address::parse(url).unwrap().limited(url);
        let plain = limited("postgres://db/madang");
        assert!(plain.starts_with("postgres://db/madang?connect_timeout=3&keepalives_idle=10"), "{plain}");
        assert!(plain.ends_with("&tcp_user_timeout=5") && plain.matches('?').count() == 1, "{plain}");
        assert!(!plain.contains("options"), "a pooler between takes no options: {plain}");
        let own = limited("postgres://db/madang?connect_timeout=9&options=-c%20jit%3Doff");
        assert!(own.contains("connect_timeout=9") && !own.contains("connect_timeout=3"), "{own}");
        assert!(own.contains("options=-c%20jit%3Doff&keepalives_idle=10"), "{own}");
        let password = limited("postgres://u:connect_timeout=1@db/madang");
        assert!(password.contains("connect_timeout=3"), "{password}");
        assert!(limited("postgres://db/madang?").contains("madang?connect_timeout=3&"));
    }

    /// Cases O1 and O14: options of one's own take no limit away but those that they name, and never the isolation level.
    #[test]
    fn a_session_has_its_limits_whatever_the_options_are() {
        let session = |options: &str| Address::parse(&format!("postgres://db/x?options={options}")).unwrap().session();
        for options in ["", "-c%20jit%3Doff", "--search-path%3Dpublic", "-csearch_path%3Dpublic%20-c%20work_mem%3D8MB"]
        {
            let sql = session(options);
            for (name, value) in SESSION {
                assert!(sql.contains(&format!("set {name} = {value}")), "{options}: {sql}");
            }
            assert!(sql.contains("'read committed'") && sql.contains("is_superuser"), "{options}: {sql}");
        }
        for options in ["-c%20statement_timeout%3D60000", "--statement-timeout%3D1min", "-cSTATEMENT_TIMEOUT%3D0"] {
            let sql = session(options);
            assert!(
                !sql.contains("set statement_timeout") && sql.contains("set lock_timeout = 2000"),
                "{options}: {sql}"
            );
        }
        let serializable = session("-c%20default_transaction_isolation%3Dserializable");
        assert!(serializable.contains("set default_transaction_isolation = 'read committed'"), "{serializable}");
        assert!(!session("-c%20lc_messages%3DC").contains("lc_messages"));
    }

    /// Case 23: the cause of a failed connection, without a server of one's own.
    #[tokio::test]
    async fn the_cause_of_a_failed_connection_is_said() {
        let said = || {
            let message = Box::new("error connecting to server".to_owned());
            let error = Diesel::DatabaseError(DatabaseErrorKind::UnableToSendCommand, message);
            ConnectionError::CouldntSetupConfiguration(error)
        };
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = {
            let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap().port()
        };
        for (url, says) in [
            (format!("postgres://u:geheim@127.0.0.1:{free}/x"), "connection refused"),
            ("postgres://u:geheim@db.invalid/x".to_owned(), "db.invalid: unknown host"),
            ("postgres://u:geheim@%2Fnone/x".to_owned(), "no such socket"),
            (format!("postgres://u:geheim@127.0.0.1:{free},db.invalid/x"), "; db.invalid: unknown host"),
            (format!("postgres://u:geheim@127.0.0.1:{port}/x"), "takes connections, but"),
        ] {
            let why = Address::parse(&url).unwrap().explain(&said()).await;
            assert!(why.contains(says) && !why.contains('\n') && !why.contains("geheim"), "{url}: {why}");
        }
        let message = Box::new("password authentication failed for user \"u\"".to_owned());
        let refused =
            ConnectionError::CouldntSetupConfiguration(Diesel::DatabaseError(DatabaseErrorKind::Unknown, message));
        let why = Address::parse("postgres://u@db/x").unwrap().explain(&refused).await;
        assert_eq!(why, "password authentication failed for user \"u\"");
    }
}
