//! The proxies in front of this server: single addresses, and the networks that containers get theirs from.

use std::net::{IpAddr, Ipv6Addr};

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    /// How many bits are the same, at least one.
    prefix: u32,
}

/// Bits of an IPv4 address that is written as IPv6, before those of IPv4 itself (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u32 = 96;

impl TrustedProxies {
    /// Reads addresses and networks (`10.0.0.1`, `172.16.0.0/12`, `fd00::/8`).
    ///
    /// # Errors
    /// The first one that is neither.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        list.iter().map(|entry| Network::parse(entry)).collect::<Result<_, _>>().map(Self)
    }

    /// Is none trusted?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this the address of a trusted proxy? An IPv4 address is the same when it is written as IPv6 (`::ffff:10.0.0.1`), as a
    /// listener for both sees it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    /// One address.
    fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address) }
    }

    fn parse(entry: &str) -> Result<Self, String> {
        let wrong = || format!("{entry:?} is no address or network, such as 10.0.0.1 or 172.16.0.0/12");
        let (address, prefix) =
            entry.split_once('/').map_or((entry, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let Some(prefix) = prefix else { return Ok(Self::of(address)) };
        let prefix: u32 = prefix.trim().parse().map_err(|_| wrong())?;
        if prefix > bits(address) {
            return Err(wrong());
        }
        let plain = address.to_canonical();
        let mapped = plain.is_ipv4() && address.is_ipv6();
        let prefix = if mapped { prefix.saturating_sub(MAPPED_BITS) } else { prefix };
        match prefix {
            0 => Err(format!("{entry} would believe every client: name the proxy's address or its network")),
            prefix => Ok(Self { address: plain, prefix }),
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let rest = bits(address).saturating_sub(self.prefix);
        address.is_ipv4() == self.address.is_ipv4() && number(address) >> rest == number(self.address) >> rest
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { Ipv6Addr::BITS }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> Result<TrustedProxies, String> {
        TrustedProxies::parse(&list.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    /// Case 10.
    #[test]
    fn addresses_and_networks_contain_what_they_say() {
        for (entry, inside, outside) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"),
            ("::ffff:127.0.0.1", "127.0.0.1", "::1"),
            ("172.16.0.0/12", "172.31.255.255", "172.32.0.0"),
            ("172.17.0.5/16", "172.17.9.9", "172.18.0.1"),
            ("10.0.0.0/8", "::ffff:10.200.0.1", "11.0.0.0"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.0"),
            ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::1/128", "::1", "127.0.0.1"),
        ] {
            let proxies = proxies(&[entry]).unwrap();
            assert!(proxies.contains(inside.parse().unwrap()), "{entry} has {inside}");
            assert!(!proxies.contains(outside.parse().unwrap()), "{entry} has not {outside}");
        }
        let both = proxies(&["10.0.0.1", "192.168.0.0/16"]).unwrap();
        assert!(!both.is_empty() && both.contains("192.168.3.4".parse().unwrap()));
        assert!(proxies(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for entry in [
            "proxy.local",
            "10.0.0.1:80",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "10.0.0/8",
            "fd00::/129",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0.0.0.0/96",
            "[::1]",
            "*",
        ] {
            assert!(proxies(&[entry]).unwrap_err().contains(entry), "{entry}");
        }
    }
}
