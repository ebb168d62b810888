//! What settings must be, each for itself and together. `madang config check` and every start judge by this, and of data
//! folder and keys file by `boot::keys`.

use super::addresses::{host, public, root, web};
use super::{ConfigError, Settings, UpstreamSettings, bad};
use domain::channel::{Channel, Mode, Upstream};
use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use storage::cache::Cache;
use storage::crypto::Keyring;

/// The longest [`Settings::drain_seconds`]: the whole end must fit into 30 s.
const MAX_DRAIN_SECONDS: u64 = 5;

impl Settings {
    /// Judges everything. `given` is what was set by anybody, without defaults.
    pub(super) fn check(&self, given: &HashMap<String, String>) -> Result<(), ConfigError> {
        self.check_limits(given)?;
        self.check_listeners()?;
        self.check_addresses()?;
        self.check_alarms()?;
        self.check_files()?;
        self.check_upstreams()
    }

    fn check_limits(&self, given: &HashMap<String, String>) -> Result<(), ConfigError> {
        if !(10..=14).contains(&self.bcrypt_cost) {
            return Err(bad("MADANG_BCRYPT_COST: must be 10 to 14"));
        }
        if self.topics_per_socket > actors::hub::MOST_TOPICS {
            return Err(bad("MADANG_LIMIT_TOPICS_PER_SOCKET: must be 1 to 48"));
        }
        if self.drain_seconds > MAX_DRAIN_SECONDS {
            return Err(bad("MADANG_DRAIN_SECONDS: must be 0 to 5"));
        }
        if !(0.0..=100.0).contains(&self.simulator_latency) {
            return Err(bad("MADANG_SIMULATOR_LATENCY: must be 0 to 100"));
        }
        let both = ["MADANG_LIMIT_SOCKETS", "MADANG_LIMIT_SOCKETS_PER_USER"].iter().all(|n| given.contains_key(*n));
        if both && self.sockets_per_user > self.sockets {
            return Err(bad(format!(
                "MADANG_LIMIT_SOCKETS_PER_USER ({}) is more than MADANG_LIMIT_SOCKETS ({})",
                self.sockets_per_user, self.sockets
            )));
        }
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let (one, other) = (self.listen, self.admin_listen);
        if one == other && one.port() != 0 {
            return Err(bad(format!("MADANG_LISTEN and MADANG_ADMIN_LISTEN are both {one}")));
        }
        let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
        if one.port() == other.port() && one.port() != 0 && everywhere {
            return Err(bad(format!("MADANG_LISTEN {one} and MADANG_ADMIN_LISTEN {other} share a port")));
        }
        let beyond = [one, other].iter().any(|a| !a.ip().is_loopback());
        if self.production && beyond && self.tls.is_none() && self.trusted_proxies.is_empty() {
            return Err(bad(
                "in production a listener beyond loopback needs MADANG_TLS_CERT and MADANG_TLS_KEY, or MADANG_TRUSTED_PROXIES",
            ));
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.database_url {
            storage::Store::check_url(url).map_err(|e| bad(format!("DATABASE_URL: {e}")))?;
        }
        #[cfg(not(feature = "embedded"))]
        if self.database_url.is_none() {
            return Err(bad("DATABASE_URL is unset and this binary was built without the embedded database"));
        }
        if let Some(proxy) = self.proxy() {
            check_proxy(proxy).map_err(|e| bad(format!("HTTPS_PROXY: {e}")))?;
        }
        if let Some(url) = &self.redis_url {
            check_redis(url).map_err(|e| bad(format!("REDIS_URL: {e}")))?;
        }
        Ok(())
    }

    fn check_alarms(&self) -> Result<(), ConfigError> {
        if let Some(url) = &self.alarm_webhook {
            web(url).map_err(|e| bad(format!("MADANG_ALARM_WEBHOOK: {e}")))?;
        }
        let Some((server, from, to)) = &self.alarm_mail else { return Ok(()) };
        let receivers = to.iter().map(|to| ("MADANG_ALARM_MAIL_TO", to));
        for (name, address) in std::iter::once(("MADANG_ALARM_MAIL_FROM", from)).chain(receivers) {
            if !clients::alarm::is_mail_address(address) {
                return Err(bad(format!("{name}: {address:?} is no mail address")));
            }
        }
        clients::alarm::Mail::new(server, from, to).map_err(|e| bad(format!("MADANG_ALARM_SMTP: {e}")))?;
        Ok(())
    }

    fn check_files(&self) -> Result<(), ConfigError> {
        let folder = &self.data_dir;
        if let Some(taken) = folder.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
            return Err(bad(format!("MADANG_DATA_DIR: {} is no folder", taken.display())));
        }
        if let Some((cert, key)) = &self.tls {
            check_tls(cert, key)?;
        }
        if let Some(folder) = self.fonts_dir.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(bad(format!("MADANG_FONTS_DIR: {} is no folder", folder.display())));
        }
        let keys = self.keys_file();
        if self.production && !keys.is_file() {
            return Err(bad(format!("MADANG_KEYS_FILE: {} must exist in production", keys.display())));
        }
        if keys.exists() {
            Keyring::open(&keys, false).map_err(|e| bad(format!("MADANG_KEYS_FILE: {e}")))?;
        }
        Ok(())
    }

    fn check_upstreams(&self) -> Result<(), ConfigError> {
        for (upstream, s) in &self.upstreams {
            check_upstream(*upstream, s)?;
        }
        let nts = self.upstreams.get(&Upstream::Nts).cloned().unwrap_or_default();
        if self.production && nts.mode.is_none() && nts.effective_mode() == Mode::Sandbox {
            return Err(bad(
                "MADANG_NTS_KEY is unset: in production the SANDBOX tax service would call every business VERIFIED; set the key, or \
                 MADANG_NTS_MODE to OFF (shops stay PENDING) or to SANDBOX if that is meant",
            ));
        }
        Ok(())
    }

    /// What works but is hardly meant, one line each; `public_url` is the address that customers see.
    #[must_use]
    pub fn warnings(&self, public_url: &str) -> Vec<String> {
        let mut all = Vec::new();
        if self.public_url.is_none() && self.listen.ip().to_canonical().is_unspecified() {
            all.push(format!(
                "MADANG_PUBLIC_URL is unset: links, QR codes and pictures say {public_url}; set it to the address that customers open"
            ));
        }
        if self.tls.is_some() && self.public_url.as_ref().is_some_and(|url| url.starts_with("http://")) {
            all.push(format!(
                "MADANG_PUBLIC_URL is {public_url}, and the public port speaks TLS: links should say https://"
            ));
        }
        // Only a proxy on this machine can bring customers here.
        let behind_proxy = self.listen.ip().to_canonical().is_loopback() && !is_loopback(public_url);
        if behind_proxy && self.tls.is_none() && self.trusted_proxies.is_empty() {
            all.push(format!(
                "customers open {public_url} through a proxy that is not trusted, so that all of them count as one address: set \
                 MADANG_TRUSTED_PROXIES"
            ));
        }
        let live = |channel: &&Channel| self.mode((**channel).into()) == Mode::Live;
        let channels: Vec<&str> = Channel::ALL.iter().filter(live).map(|channel| channel.code()).collect();
        if !channels.is_empty() && !clients::reach::is_public(public_url) {
            all.push(format!(
                "{} LIVE, but links in their posts say {public_url}, which is not on the internet: set MADANG_PUBLIC_URL",
                if let [one] = channels[..] { format!("{one} is") } else { format!("{} are", channels.join(", ")) }
            ));
        }
        let instagram = self.mode(Channel::Instagram.into());
        if actors::publishing::misses_public_address(Channel::Instagram, instagram, public_url) {
            all.push(format!(
                "INSTAGRAM is LIVE and fetches pictures from the internet by https, which {public_url} does not offer: set MADANG_PUBLIC_URL"
            ));
        }
        if self.production && self.mode(Upstream::Nts) == Mode::Sandbox {
            all.push("MADANG_NTS_MODE is SANDBOX in production: every business counts as VERIFIED".into());
        }
        all
    }

    /// The proxy, where anything is asked that may need it: otherwise it is another program's.
    pub(crate) fn proxy(&self) -> Option<&str> {
        let needed = self.alarm_webhook.is_some() || Upstream::ALL.iter().any(|u| self.mode(*u) == Mode::Live);
        self.https_proxy.as_deref().filter(|_| needed)
    }

    fn mode(&self, upstream: Upstream) -> Mode {
        self.upstreams.get(&upstream).map_or(Mode::Sandbox, UpstreamSettings::effective_mode)
    }
}

/// Does an address lead back to this machine?
fn is_loopback(url: &str) -> bool {
    let host = host(url);
    let host = host.as_deref().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Reads the address that customers see.
pub(super) fn public_url(text: Option<String>) -> Result<Option<String>, ConfigError> {
    text.map(|url| public(&url).map_err(|e| bad(format!("MADANG_PUBLIC_URL: {e}")))).transpose()
}

/// Reads origins.
pub(super) fn origins(list: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let read = |origin: String| {
        root(&origin).map_err(|e| {
            bad(format!("MADANG_ALLOWED_ORIGINS: {origin:?} is no origin, such as https://shop.example.kr: it {e}"))
        })
    };
    list.into_iter().map(read).collect()
}

/// Judges a proxy's address, which may leave `http://` out.
fn check_proxy(proxy: &str) -> Result<(), String> {
    let full = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    web(&full)?;
    clients::Http::through(proxy, "").map(drop)
}

fn check_redis(url: &str) -> Result<(), String> {
    let schemes = ["redis://", "rediss://", "redis-cluster://", "redis-sentinel://"];
    if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("must begin with {}", schemes.join(" or ")));
    }
    let parsed = Url::parse(url).map_err(|e| format!("is no address: {e}"))?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err("names no host".into());
    }
    Cache::check_url(url)
}

fn check_tls(cert: &Path, key: &Path) -> Result<(), ConfigError> {
    for (name, file) in [("MADANG_TLS_CERT", cert), ("MADANG_TLS_KEY", key)] {
        if !file.is_file() {
            return Err(bad(format!("{name}: {} is no file", file.display())));
        }
        std::fs::File::open(file).map_err(|e| bad(format!("{name}: {} cannot be read: {e}", file.display())))?;
    }
    let no_certificate = || bad(format!("MADANG_TLS_CERT: {} holds no certificate in PEM form", cert.display()));
    let chain = CertificateDer::pem_file_iter(cert).map_err(|_| no_certificate())?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|_| no_certificate())?;
    if chain.is_empty() {
        return Err(no_certificate());
    }
    PrivateKeyDer::from_pem_file(key)
        .map_err(|_| bad(format!("MADANG_TLS_KEY: {} holds no key in PEM form, or an encrypted one", key.display())))?;
    crate::server::tls(cert, key).map(drop).map_err(bad)
}

fn check_upstream(upstream: Upstream, s: &UpstreamSettings) -> Result<(), ConfigError> {
    let name = upstream.code();
    let provider = crate::boot::provider(upstream);
    let own = s.url.as_deref().and_then(host);
    if s.mode == Some(Mode::Sandbox) && own.is_some() && own == provider.and_then(host) {
        return Err(bad(format!("MADANG_{name}_MODE is SANDBOX but MADANG_{name}_URL is the provider itself")));
    }
    let Some(key) = &s.key else {
        return match s.mode {
            Some(Mode::Live) => Err(bad(format!("MADANG_{name}_MODE is LIVE but MADANG_{name}_KEY is unset"))),
            _ => Ok(()),
        };
    };
    // A header takes no other character, and quotes come from files that some tools do not unquote.
    if !key.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\'') {
        return Err(bad(format!("MADANG_{name}_KEY: holds a space, a quote or a letter that no key has")));
    }
    if s.effective_mode() != Mode::Live {
        return Ok(());
    }
    if s.url.is_none() && provider.is_none() {
        return Err(bad(format!(
            "MADANG_{name}_URL: {name} has no public address; it must be set with MADANG_{name}_KEY"
        )));
    }
    match upstream {
        Upstream::Nts => {
            clients::nts::decoded_key(key).map_err(|e| bad(format!("MADANG_NTS_KEY: {e}")))?;
        }
        Upstream::Naver if !is_cafe_key(key) => {
            return Err(bad("MADANG_NAVER_KEY: is not token@club/menu, so it names no café to post to"));
        }
        _ => {}
    }
    Ok(())
}

/// Does it name a token, a café and a menu of it?
fn is_cafe_key(key: &str) -> bool {
    let parts = key.split_once('@').and_then(|(token, place)| Some((token, place.split_once('/')?)));
    parts.is_some_and(|(token, (club, menu))| {
        !token.is_empty() && !club.is_empty() && !menu.is_empty() && !menu.contains('/')
    })
}
