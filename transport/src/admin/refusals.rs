//! Refusals at the admin port: the first one of an address is told, its next ones are only counted.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Minutes in which an address is told of once. Guessing fills neither the log nor the audit.
const QUIET: Duration = Duration::from_secs(15 * 60);
/// Addresses remembered. Past it none is news until the oldest are forgotten: a flood is told of, not each address of it.
const MAX_ADDRESSES: usize = 1_000;

/// Addresses that were refused, and when that was told.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<IpAddr, Instant>>);

impl Refusals {
    /// Notes a refusal. Returns true when it is to be told.
    pub(super) fn is_news(&self, address: IpAddr, now: Instant) -> bool {
        let mut told = self.0.lock();
        if told.len() >= MAX_ADDRESSES {
            told.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        let known = told.get(&address).is_some_and(|at| now.duration_since(*at) < QUIET);
        let news = !known && told.len() < MAX_ADDRESSES;
        if news {
            told.insert(address, now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// Case M10: a refusal is told once, and a flood has an end.
    #[test]
    fn an_address_is_told_of_once_in_a_while() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n));
        assert!(refusals.is_news(address(1), now));
        assert!(!refusals.is_news(address(1), now + QUIET / 2));
        assert!(refusals.is_news(address(2), now), "another one");
        assert!(refusals.is_news(address(1), now + QUIET));
        let told = (10..5_000).filter(|n| refusals.is_news(address(*n), now + QUIET)).count();
        assert!(told < MAX_ADDRESSES, "{told}");
        assert!(refusals.is_news(address(5_000), now + QUIET * 2));
    }
}
