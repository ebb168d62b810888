//! How many connections and sockets there may be: fewer than the process may open files, so that the admin port, the database,
//! pictures and upstreams always find a descriptor.

use crate::config::Settings;

/// Descriptors kept for everything but the public port: the embedded database opens hundreds of files, and every upstream
/// call, picture and connection to the admin port opens one. Where the process may open few, half of them are kept.
const RESERVED_DESCRIPTORS: usize = 1_024;
/// Descriptors asked for at most. No server of ours holds more, and some systems allow a thousand million.
const MAX_DESCRIPTORS: u64 = 1_048_576;
/// Descriptors asked for where the hard limit itself is refused: macOS says "unlimited" and allows this many.
const MODEST_DESCRIPTORS: u64 = 10_240;
/// Connections of the public port at most, unless the settings say a number. More only take memory.
const MAX_CONNECTIONS: usize = 65_536;
/// One connection in eight is left to requests by sockets: pages load while all sockets are taken.
const REQUESTS_PART: usize = 8;

/// Connections and sockets that fit.
#[derive(Debug, PartialEq, Eq)]
struct Limits {
    connections: usize,
    sockets: usize,
}

impl Limits {
    /// The limits for so many descriptors, and what the settings ask for.
    fn of(descriptors: usize, connections: Option<usize>, sockets: usize) -> Self {
        let room = descriptors - RESERVED_DESCRIPTORS.min(descriptors / 2);
        let connections = connections.unwrap_or(MAX_CONNECTIONS).min(room).max(1);
        let for_requests = (connections / REQUESTS_PART).max(1);
        Self { connections, sockets: sockets.min(connections - for_requests).max(1) }
    }
}

/// Raises the limit of descriptors as far as the system allows, and brings the settings within it. Returns the connections that
/// the public port may have. Says in one line of the log where less fits than the settings ask for.
pub(crate) fn fit(settings: &mut Settings) -> usize {
    let descriptors = raise().unwrap_or(MAX_DESCRIPTORS);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let limits = Limits::of(descriptors, settings.connections, settings.sockets);
    if limits.sockets < settings.sockets || settings.connections.is_some_and(|wanted| wanted > limits.connections) {
        tracing::warn!(
            descriptors,
            connections = limits.connections,
            sockets = limits.sockets,
            "MADANG_LIMIT_SOCKETS {} does not fit into the connections that this process may have: raise `ulimit -n` \
             (systemd: LimitNOFILE) or MADANG_LIMIT_CONNECTIONS",
            settings.sockets,
        );
    }
    settings.sockets = limits.sockets;
    limits.connections
}

/// Raises the soft limit to the hard one. Returns the soft limit as it is now; `None`: there is none.
#[cfg(unix)]
fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current?;
    let hard = limit.maximum.unwrap_or(u64::MAX).min(MAX_DESCRIPTORS);
    let mut wanted = [hard, hard.min(MODEST_DESCRIPTORS)].into_iter().filter(|wanted| *wanted > now);
    let raised = |wanted: u64| {
        let asked = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, asked).is_ok().then_some(wanted)
    };
    Some(wanted.find_map(raised).unwrap_or(now))
}

/// There is no such limit.
#[cfg(not(unix))]
fn raise() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case H5: whatever the limit of descriptors, a part of them is never the public port's, nor all connections sockets'.
    #[test]
    fn everything_else_keeps_its_descriptors() {
        for (descriptors, connections, sockets, fits) in [
            (20_000, None, 16_000, (18_976, 16_000)),
            (1_048_576, None, 16_000, (65_536, 16_000)),
            (1_024, None, 16_000, (512, 448)),
            (400, None, 16_000, (200, 175)),
            (256, None, 50, (128, 50)),
            (20_000, Some(40), 16_000, (40, 35)),
            (1_024, Some(5_000), 10, (512, 10)),
            (20_000, Some(1), 10, (1, 1)),
        ] {
            let limits = Limits::of(descriptors, connections, sockets);
            assert_eq!((limits.connections, limits.sockets), fits, "{descriptors} {connections:?} {sockets}");
        }
    }

    /// Case O5: a soft limit below the hard one is raised to it.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_soft_limit_is_raised() {
        let now = raise().expect("there is a limit");
        let told = std::fs::read_to_string("/proc/self/limits").expect("Linux tells limits");
        let line = told.lines().find_map(|line| line.strip_prefix("Max open files")).expect("this one too");
        let mut limits = line.split_whitespace().map_while(|n| n.parse::<u64>().ok());
        let (soft, hard) = (limits.next().expect("soft"), limits.next().expect("hard"));
        assert_eq!((soft, soft), (now, hard.min(MAX_DESCRIPTORS).max(now)));
    }
}
