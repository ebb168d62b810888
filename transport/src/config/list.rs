//! The table of settings: what there is, its default, what it means.

use domain::channel::Upstream;
use std::fmt::Write;

/// A setting: environment name, default (empty: none), meaning.
pub struct Setting {
    /// Name in the environment; the name in the file is the same in lower case without `MADANG_`.
    pub env: &'static str,
    /// Default; empty means unset.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn setting(env: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { env, default, meaning }
}

/// Every setting but those per upstream.
pub const SETTINGS: &[Setting] = &[
    setting("DATABASE_URL", "", "PostgreSQL to use. Unset: one embedded in the process, in the data folder"),
    setting("REDIS_URL", "", "Redis to cache in. Unset: in process"),
    setting(
        "HTTPS_PROXY",
        "",
        "Proxy through which https upstreams and webhooks are asked, such as http://proxy.corp:3128. Unset: none; this machine is always asked directly",
    ),
    setting(
        "NO_PROXY",
        "",
        "Hosts and networks that are asked directly all the same, separated by commas or as a list",
    ),
    setting("MADANG_ENV", "development", "development or production"),
    setting("MADANG_LISTEN", "127.0.0.1:8080", "Address of the public port"),
    setting("MADANG_ADMIN_LISTEN", "127.0.0.1:9090", "Address of the admin port"),
    setting(
        "MADANG_DATA_DIR",
        "./.madang",
        "Folder of the embedded database, pictures, keys and the simulator's posts",
    ),
    setting(
        "MADANG_PUBLIC_URL",
        "",
        "Address customers see: scheme, host and port. Unset: http:// and the listen address, or where that is every address of this machine, its one in the local network",
    ),
    setting("MADANG_ALLOWED_ORIGINS", "", "More origins whose pages may call, separated by commas or as a list"),
    setting("MADANG_TLS_CERT", "", "PEM file of the certificate chain: the public port speaks TLS 1.3"),
    setting("MADANG_TLS_KEY", "", "PEM file of its key"),
    setting(
        "MADANG_TRUSTED_PROXIES",
        "",
        "Addresses and networks (172.16.0.0/12) whose X-Forwarded-For is believed, separated by commas or as a list",
    ),
    setting("MADANG_KEYS_FILE", "", "Keys file. Unset: keys.json in the data folder; in production it must exist"),
    setting("MADANG_FONTS_DIR", "", "Folder of fonts. Unset: the system's"),
    setting("MADANG_LOG", "info", "Log filter, as RUST_LOG"),
    setting("MADANG_SIMULATOR_LATENCY", "1", "Scale of the simulator's latency; 0 is none"),
    setting("MADANG_LIMIT_REQUESTS_PER_MINUTE", "100", "Requests of a user in any minute"),
    setting("MADANG_LIMIT_BODY_BYTES", "1048576", "The largest body"),
    setting(
        "MADANG_DRAIN_SECONDS",
        "1",
        "How long a server that is told to stop still takes connections while it says that it is not ready, for a load balancer to notice",
    ),
    setting("MADANG_LIMIT_REQUEST_SECONDS", "10", "The longest a request may take, unless it asks to wait"),
    setting(
        "MADANG_LIMIT_ENTRIES_IN_FLIGHT",
        "4096",
        "Entries between acceptance and answer at most (fewer while storage is slow); past it 503",
    ),
    setting(
        "MADANG_LIMIT_CONNECTIONS",
        "",
        "Connections of the public port. Unset: as many as the process may open files, less what everything else needs",
    ),
    setting("MADANG_LIMIT_SOCKETS", "16000", "Open sockets in all; a quarter of them is for owners with a ticket"),
    setting("MADANG_LIMIT_SOCKETS_PER_USER", "5", "Open sockets of a user"),
    setting("MADANG_LIMIT_TOPICS_PER_SOCKET", "20", "Topics of a socket"),
    setting("MADANG_LIMIT_MESSAGES_PER_SECOND", "20", "Messages of a socket in a second"),
    setting("MADANG_LIMIT_FRAME_BYTES", "65536", "The largest message a socket may send"),
    setting("MADANG_LIMIT_LOGIN_FAILURES", "5", "Failed logins of an account from an address in 15 minutes"),
    setting("MADANG_LIMIT_ACCOUNT_FAILURES", "50", "Failed logins of an account from all addresses in an hour"),
    setting("MADANG_LIMIT_SIGNUP_REFUSALS", "100", "Refused signups of an address in 15 minutes"),
    setting(
        "MADANG_LIMIT_TAX_CALLS_PER_HOUR",
        "30",
        "Calls to the tax service that an address may cause in an hour without being verified; past it signups are PENDING",
    ),
    setting(
        "MADANG_LIMIT_TAX_CALLS_PER_DAY",
        "100000",
        "Calls to the tax service in a day, a tenth of them for retries; the service allows a key 1,000,000",
    ),
    setting("MADANG_LIMIT_STORES", "50", "Shops of an account"),
    setting("MADANG_LIMIT_RECOMMENDATIONS_PER_DAY", "50", "Recommendations a business may ask for in a day"),
    setting("MADANG_LIMIT_IMAGE_JOBS_PER_DAY", "50", "Picture jobs a business may ask for in a day"),
    setting("MADANG_ALARM_WEBHOOK", "", "Address alarms are posted to, in Slack's format"),
    setting(
        "MADANG_ALARM_SMTP",
        "",
        "Mail server of alarms: smtps://, or smtp:// (with STARTTLS where user:password@ is in it, or on port 587)",
    ),
    setting("MADANG_ALARM_MAIL_FROM", "", "Sender of alarm mails"),
    setting("MADANG_ALARM_MAIL_TO", "", "Receivers of alarm mails, separated by commas or as a list"),
    setting("MADANG_BCRYPT_COST", "10", "Cost of password hashes, 10 to 14"),
];

/// Settings that hold several values.
pub(super) const LISTS: [&str; 4] =
    ["NO_PROXY", "MADANG_ALLOWED_ORIGINS", "MADANG_TRUSTED_PROXIES", "MADANG_ALARM_MAIL_TO"];

/// Settings that other programs read in lower case too.
pub(super) const LOWER_CASE_TOO: [&str; 2] = ["HTTPS_PROXY", "NO_PROXY"];

/// The default of a setting.
pub(super) fn default_of(env: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|s| s.env == env).map(|s| s.default)
}

/// Name in the file of an environment name.
pub(super) fn file_name(env: &str) -> String {
    env.trim_start_matches("MADANG_").to_lowercase()
}

/// Names of the settings of upstreams: URL, key, mode of each.
pub(super) fn upstream_names() -> Vec<(Upstream, &'static str, String)> {
    Upstream::ALL
        .iter()
        .flat_map(|u| ["URL", "KEY", "MODE"].map(|part| (*u, part, format!("MADANG_{}_{part}", u.code()))))
        .collect()
}

/// Every name there is.
pub(super) fn known_names() -> Vec<String> {
    SETTINGS.iter().map(|s| s.env.to_owned()).chain(upstream_names().into_iter().map(|(_, _, n)| n)).collect()
}

/// `madang.toml` with every setting, its meaning and its default.
#[must_use]
pub fn template() -> String {
    let mut out = String::from(
        "# madang.toml: every setting with its default. The environment overrides this file, flags override both.\n",
    );
    for s in SETTINGS {
        let name = file_name(s.env);
        let _ = write!(out, "\n# {} ({})\n# {name} = {:?}\n", s.meaning, s.env, s.default);
    }
    out.push_str("\n# Per upstream (LIVE with a key, SANDBOX without, ASSISTED, OFF). The key of NTS may be the encoded or the decoded\n# one; that of NAVER is token@club/menu.\n");
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
