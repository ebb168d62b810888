//! The address of a client, in one place: the last hop that one of our own proxies saw. What further hops say of themselves,
//! anybody may have written.

use crate::config::TrustedProxies;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the client of a request is: its peer, or the last hop that a trusted proxy names in `X-Forwarded-For` or in
/// `Forwarded` (RFC 7239). A proxy writes one of them and may pass the other one on as it came: where both are there and
/// disagree, nobody knows which one is the client's own word, and the peer counts.
pub(crate) fn client_address(parts: &Parts, trusted: &TrustedProxies) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let (plain, standard) = (forwarded_for(&parts.headers), forwarded(&parts.headers));
    let client = |hops: &[Option<IpAddr>]| nearest(peer, hops, trusted);
    match (plain.is_empty(), standard.is_empty()) {
        (true, _) => client(&standard),
        (_, true) => client(&plain),
        (false, false) => Some(client(&plain)).filter(|found| *found == client(&standard)).unwrap_or(peer),
    }
}

/// The last hop that a trusted proxy names, from the peer on.
fn nearest(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        // A hop without an address hides all that are behind it.
        let Some(address) = *hop else { break };
        nearest = address;
        if !trusted.contains(nearest) {
            break;
        }
    }
    nearest
}

/// The address that limits are counted by: of IPv6 the network of a subscriber (/64), who may use any address in it.
pub(crate) fn limit_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

/// The hops of all lines of `X-Forwarded-For`, the client's own word first. `None`: a hop that names no address.
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").iter().map(|line| line.to_str());
    // This header knows no quotes: one that a client writes must not swallow the comma before the proxy's own word.
    let parts = lines.flat_map(|line| line.unwrap_or("unknown").split(','));
    parts.map(|part| part.trim().trim_matches('"').trim()).filter(|part| !part.is_empty()).map(node).collect()
}

/// The same of `Forwarded`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(header::FORWARDED).iter().map(|line| line.to_str());
    lines.flat_map(|line| items(line.unwrap_or("unknown"), ',')).map(named).collect()
}

/// The parts of a text between separators that no quotes hold together, without those that are empty.
fn items(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let parts = text.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The address that an element of `Forwarded` is for. Quotes that do not end would take what follows for a part of them: such
/// an element says nothing.
fn named(element: &str) -> Option<IpAddr> {
    if !element.matches('"').count().is_multiple_of(2) {
        return None;
    }
    let mut found = items(element, ';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = found.next().filter(|_| found.next().is_none())?;
    node(value)
}

/// The address of a node in any spelling: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, quoted or not.
/// `None`: `unknown`, an obfuscated one (`_hidden`), or none at all.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).trim();
    let host = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            host.parse::<Ipv6Addr>().ok().filter(|_| fits).map(|_| host)?
        }
        // One colon separates a port; more are of IPv6.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => is_port(port).then_some(host)?,
            _ => text,
        },
    };
    Some(host.parse::<IpAddr>().ok()?.to_canonical())
}

/// Is that a port, or a hidden one (RFC 7239, 6.2)?
fn is_port(text: &str) -> bool {
    let hidden = text.strip_prefix('_').is_some_and(|rest| !rest.is_empty());
    hidden || text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn seen(peer: &str, lines: &[(&str, &str)], trusted: &[&str]) -> String {
        let mut request = axum::http::Request::builder();
        for (name, line) in lines {
            request = request.header(*name, *line);
        }
        let mut parts = request.body(()).expect("a request").into_parts().0;
        parts.extensions.insert(ConnectInfo(SocketAddr::new(ip(peer), 1)));
        let trusted: Vec<String> = trusted.iter().map(|proxy| (*proxy).to_owned()).collect();
        let trusted = TrustedProxies::parse(&trusted).expect("addresses");
        client_address(&parts, &trusted).to_string()
    }

    /// Case M6: a quote of the client's does not hide what the proxy wrote behind it.
    #[test]
    fn a_quote_of_the_client_hides_nothing() {
        const X: &str = "x-forwarded-for";
        for lines in [
            &[(X, "\"x, 203.0.113.9")][..],
            &[(X, "\"x"), (X, "203.0.113.9\"")],
            &[(X, "\"1.1.1.1, 203.0.113.9\"")],
            &[(X, "1.1.1.1\",\"203.0.113.9\"")],
        ] {
            assert_eq!(seen("127.0.0.1", lines, &["127.0.0.1"]), "203.0.113.9", "{lines:?}");
        }
    }

    /// Cases M6, 8 and 10.
    #[test]
    fn the_last_trusted_hop_says_who_it_is() {
        const X: &str = "x-forwarded-for";
        let proxy = &["10.0.0.1"][..];
        for (peer, lines, trusted, client) in [
            ("1.2.3.4", &[(X, "9.9.9.9")][..], proxy, "1.2.3.4"),
            ("10.0.0.1", &[], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "6.6.6.6, 9.9.9.9")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[(X, "1.2.3.4"), (X, "203.0.113.5")], proxy, "203.0.113.5"),
            ("10.0.0.1", &[(X, "1.2.3.4"), (X, "203.0.113.5"), (X, "")], proxy, "203.0.113.5"),
            ("10.0.0.1", &[(X, "203.0.113.5,,")], proxy, "203.0.113.5"),
            ("10.0.0.1", &[(X, "1.1.1.1, nonsense")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "1.1.1.1, unknown, 10.0.0.1")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "9.9.9.9:4711")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[(X, "[2001:db8::1]:4711")], proxy, "2001:db8::1"),
            ("10.0.0.1", &[(X, "[2001:db8::1]")], proxy, "2001:db8::1"),
            ("10.0.0.1", &[(X, "2001:DB8:0::1")], proxy, "2001:db8::1"),
            ("10.0.0.1", &[(X, "\"9.9.9.9\"")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[(X, "::ffff:9.9.9.9")], proxy, "9.9.9.9"),
            ("::ffff:10.0.0.1", &[(X, "9.9.9.9")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[(X, "9.9.9.9")], &["::ffff:10.0.0.1"], "9.9.9.9"),
            ("10.0.0.1", &[(X, "9.9.9.9, 10.0.0.2")], &["10.0.0.1", "10.0.0.2"], "9.9.9.9"),
            ("10.0.0.1", &[(X, "10.0.0.2")], &["10.0.0.1", "10.0.0.2"], "10.0.0.2"),
            ("::ffff:1.2.3.4", &[(X, "9.9.9.9")], proxy, "1.2.3.4"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1, For=\"[2001:db8::1]:80\";proto=http")], proxy, "2001:db8::1"),
            ("10.0.0.1", &[("forwarded", "proto=https;for=9.9.9.9:80;by=10.0.0.1")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1"), ("forwarded", "for=9.9.9.9")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1, for=_hidden")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1, for=unknown, for=10.0.0.1")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1, proto=https")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1;for=2.2.2.2")], proxy, "10.0.0.1"),
            // Quotes of the client's own take what the proxy adds into them, and gain nothing by it.
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1;x=\", for=9.9.9.9")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1;x=\", for=\"[2001:db8::1]\"")], proxy, "10.0.0.1"),
            // One of the two headers is the client's.
            ("10.0.0.1", &[("forwarded", "for=1.1.1.1"), (X, "9.9.9.9")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "1.1.1.1"), ("forwarded", "for=9.9.9.9")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "unknown"), ("forwarded", "for=9.9.9.9")], proxy, "10.0.0.1"),
            ("10.0.0.1", &[(X, "1.1.1.1, 9.9.9.9"), ("forwarded", "for=\"9.9.9.9:80\"")], proxy, "9.9.9.9"),
            ("10.0.0.1", &[(X, ""), ("forwarded", "for=9.9.9.9")], proxy, "9.9.9.9"),
            (
                "10.0.0.1",
                &[(X, "9.9.9.9, 10.0.0.2"), ("forwarded", "for=10.0.0.2")],
                &["10.0.0.1", "10.0.0.2"],
                "10.0.0.1",
            ),
        ] {
            assert_eq!(seen(peer, lines, trusted), client, "{peer} {lines:?}");
        }
    }

    /// Case M6: limits count a network of IPv6, and IPv4 in whatever form it comes.
    #[test]
    fn limits_count_networks() {
        for (address, key) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("::1", "::"),
        ] {
            assert_eq!(limit_key(ip(address)), ip(key), "{address}");
        }
    }

    proptest! {
        /// Case M6: an address is the same client however it is written.
        #[test]
        fn every_spelling_is_one_address(bits: u128, v4: bool, port: u16) {
            let address = match v4 {
                true => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
                false => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            };
            let (canonical, bare) = (address.to_canonical(), address.to_string());
            let bracketed = match address {
                IpAddr::V4(v4) => format!("[{}]", v4.to_ipv6_mapped()),
                IpAddr::V6(_) => format!("[{bare}]"),
            };
            let with_port = if v4 { format!("{bare}:{port}") } else { format!("{bracketed}:{port}") };
            for text in [bare.clone(), bare.to_uppercase(), bracketed, with_port.clone(), format!("\"{with_port}\"")] {
                prop_assert_eq!(node(&text), Some(canonical), "{}", text);
            }
        }

        /// Case M6: a client never chooses its address, whatever it writes before the line of the proxy.
        #[test]
        fn what_a_client_writes_changes_nothing(own in proptest::collection::vec("[ -~]{0,40}", 0..4), forwarded: bool) {
            let (name, last) = if forwarded { ("forwarded", "for=9.9.9.9") } else { ("x-forwarded-for", "9.9.9.9") };
            let lines: Vec<(&str, &str)> = own.iter().map(|line| (name, line.as_str())).chain([(name, last)]).collect();
            prop_assert_eq!(seen("10.0.0.1", &lines, &["10.0.0.1"]), "9.9.9.9");
            // In one line with the client's words it is the proxy's, or nobody's.
            let joined = format!("{}, {last}", own.concat());
            let client = seen("10.0.0.1", &[(name, joined.as_str())], &["10.0.0.1"]);
            prop_assert!(matches!(client.as_str(), "9.9.9.9" | "10.0.0.1"), "{}", client);
        }

        /// Case M6: all addresses of a /64 share a limit, and no other does.
        #[test]
        fn a_network_has_one_key(network: u64, one: u64, other: u64) {
            let within = |host: u64| IpAddr::V6(Ipv6Addr::from_bits((u128::from(network) << 64) | u128::from(host)));
            // The network of the mapped addresses is IPv4's.
            prop_assume!(network != 0);
            prop_assert_eq!(limit_key(within(one)), limit_key(within(other)));
            let next = Ipv6Addr::from_bits((u128::from(network ^ 1) << 64) | u128::from(one));
            prop_assert_ne!(limit_key(within(one)), limit_key(next.into()));
        }
    }
}
