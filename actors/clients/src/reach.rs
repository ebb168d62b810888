//! Addresses that the internet can reach.

use reqwest::Url;
use std::net::IpAddr;

/// Names that are found in a home or an office only (RFC 6761, 6762, 8375, and what routers and clouds use).
const LOCAL_NAMES: [&str; 8] = ["localhost", "localdomain", "local", "internal", "lan", "home.arpa", "test", "invalid"];

/// Is it an https address on a host that a provider may find on the internet?
#[must_use]
pub fn is_public_https(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https") && is_public(url)
}

/// Is its host one that the internet may know, whatever the scheme?
#[must_use]
pub fn is_public(url: &str) -> bool {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_end_matches('.');
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => is_public_address(address),
        Err(_) => {
            let within =
                |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            host.contains('.') && !LOCAL_NAMES.iter().any(|name| within(name))
        }
    }
}

fn is_public_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            // 100.64.0.0/10 is shared by the customers of a carrier (RFC 6598).
            let shared = first == 100 && (64..128).contains(&second);
            let ours = a.is_loopback() || a.is_private() || a.is_link_local() || shared;
            !ours && (1..224).contains(&first)
        }
        IpAddr::V6(a) => {
            let ours = a.is_loopback() || a.is_unique_local() || a.is_unicast_link_local();
            !ours && !a.is_unspecified() && !a.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 28.
    #[test]
    fn a_provider_reaches_https_on_the_internet_only() {
        for public in ["https://shop.kr", "https://xn--ok1b32k.kr", "https://8.8.8.8:8443", "https://[2001:4860::8888]"]
        {
            assert!(is_public_https(public), "{public}");
        }
        for other in [
            "http://shop.kr",
            "http://192.168.0.5:8080",
            "https://localhost:8208",
            "https://pc.localhost",
            "https://LOCALHOST.",
            "https://192.168.0.5",
            "https://10.1.2.3",
            "https://172.16.0.1",
            "https://100.64.0.1",
            "https://169.254.1.1",
            "https://127.0.0.1",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[::]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://[::ffff:192.168.0.5]",
            "https://madang",
            "https://nas.local",
            "https://madang.internal",
            "no address",
            "",
        ] {
            assert!(!is_public_https(other), "{other}");
        }
        assert!(is_public("http://shop.kr") && !is_public("http://192.168.0.5"));
    }
}
