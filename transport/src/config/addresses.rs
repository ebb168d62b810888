//! Addresses in settings, each judged before anything connects to it.

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Schemes of a web address.
const WEB: [&str; 2] = ["http", "https"];

/// Reads an address of the web with a host.
///
/// # Errors
/// What is wrong with it, without the address itself: it may hold a secret.
pub(super) fn web(text: &str) -> Result<Url, String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("holds a space".into());
    }
    // A browser's parser would forgive `https:shop.kr` and `https:\\shop.kr`.
    let named = text.split_once("://").filter(|(scheme, rest)| {
        WEB.iter().any(|web| scheme.eq_ignore_ascii_case(web)) && !rest.starts_with(['/', '\\'])
    });
    if named.is_none() {
        return Err("must begin with http:// or https://".into());
    }
    let url = Url::parse(text).map_err(|e| format!("is no address: {e}"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    match url.host_str() {
        Some(host) if host.chars().all(plain) && !host.starts_with('.') && !host.contains("..") => {}
        _ => return Err("is no address: its host is none".into()),
    }
    if url.port() == Some(0) {
        return Err("is no address: its port is 0".into());
    }
    Ok(url)
}

/// Reads scheme, host and port, as browsers write them: `HTTPS://Shop.kr:443/` is `https://shop.kr`.
///
/// # Errors
/// What is wrong with it, or what else it holds.
pub(super) fn root(text: &str) -> Result<String, String> {
    let url = web(text)?;
    only_place(&url)?;
    if !matches!(url.path(), "" | "/") {
        return Err(format!("holds the path {}, and Madang works only at the root of a host", url.path()));
    }
    Ok(url.origin().ascii_serialization())
}

/// Reads the address that a client's paths are appended to, without a trailing slash.
///
/// # Errors
/// What is wrong with it, or what does not belong in it.
pub(crate) fn base_address(text: &str) -> Result<String, String> {
    let url = web(text)?;
    only_place(&url)?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn only_place(url: &Url) -> Result<(), String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password, which does not belong in it".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a ? or #, which does not belong in it".into());
    }
    Ok(())
}

/// Reads the address that customers see.
///
/// # Errors
/// As [`root`]; it is that of a listener, which no customer can open.
pub(super) fn public(text: &str) -> Result<String, String> {
    let root = root(text)?;
    let host = host(&root).unwrap_or_default();
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) if address.to_canonical().is_unspecified() => {
            Err("is the address of a listener, which no customer can open: name the host that customers use".into())
        }
        _ => Ok(root),
    }
}

/// The host of an address.
pub(super) fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// The address at which others find a listener: one on every address of this machine is found at its address in the local
/// network, or without a network on this machine.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = listening.ip().to_canonical();
    let ip = if ip.is_unspecified() { in_network(ip.is_ipv6()) } else { ip };
    SocketAddr::new(ip, listening.port())
}

/// The address of this machine on the way to the internet. Nothing is sent: connecting a UDP socket only picks the way.
fn in_network(or_v6: bool) -> IpAddr {
    let toward = |from: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    // Addresses of documentation (RFC 5737, 3849) are routed like any other.
    let v4 = toward(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = || toward(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    v4.or_else(|| if or_v6 { v6() } else { None }).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 29.
    #[test]
    fn a_public_address_is_scheme_host_and_port() {
        for (text, is) in [
            ("HTTPS://Shop.kr", "https://shop.kr"),
            ("https://shop.kr:443/", "https://shop.kr"),
            ("http://shop.kr:8080", "http://shop.kr:8080"),
            ("https://마당.kr", "https://xn--ok1b32k.kr"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://192.168.0.5:8080/", "http://192.168.0.5:8080"),
        ] {
            assert_eq!(public(text).as_deref(), Ok(is), "{text}");
        }
        for (text, words) in [
            ("https://shop kr", "space"),
            ("https://sh\nop.kr", "space"),
            ("https://[::1", "IPv6"),
            ("https://shop.kr:99999", "port"),
            ("https://shop.kr:0", "port"),
            ("https://", "empty host"),
            ("https:shop.kr", "must begin"),
            ("https:///shop.kr", "must begin"),
            ("shop.kr", "must begin"),
            ("ftp://shop.kr", "must begin"),
            ("https://*.shop.kr", "no address"),
            ("https://a.kr,b.kr", "no address"),
            ("https://a..kr", "no address"),
            ("https://shop.kr/madang", "root of a host"),
            ("https://shop.kr//", "root of a host"),
            ("https://shop.kr?x=1", "?"),
            ("https://shop.kr#x", "#"),
            ("https://user:pass@shop.kr", "user or password"),
            ("http://0.0.0.0:8080", "listener"),
            ("http://[::]:8080", "listener"),
        ] {
            let error = public(text).unwrap_err();
            assert!(error.contains(words) && !error.contains("pass@"), "{text}: {error}");
        }
    }

    #[test]
    fn what_a_client_appends_its_paths_to_has_a_path_and_no_slash() {
        assert_eq!(base_address("HTTPS://Api.kr/v1/").as_deref(), Ok("https://api.kr/v1"));
        assert_eq!(base_address("http://127.0.0.1:8201").as_deref(), Ok("http://127.0.0.1:8201"));
        for text in ["127.0.0.1:8201", "http://", "http://a.kr?x", "http://u@a.kr", "https://a kr"] {
            assert!(base_address(text).is_err(), "{text}");
        }
    }

    /// Case 3.
    #[test]
    fn a_listener_on_every_address_is_found_at_one_of_them() {
        for listening in ["0.0.0.0:8203", "[::]:8203"] {
            let found = reachable(listening.parse().unwrap());
            assert!(!found.ip().is_unspecified() && found.port() == 8203, "{found}");
        }
        for listening in ["127.0.0.1:8080", "[::1]:8080", "192.168.0.5:80"] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), listening);
        }
    }
}
