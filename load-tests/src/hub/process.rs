//! What a process costs: processor time and resident memory, from `/proc`.

use crate::server::Failure;
use std::time::Duration;

/// Ticks of the clock in a second: `USER_HZ` is 100 on every Linux.
const TICKS: u32 = 100;

/// Processor time of processes, user and system, all threads.
pub fn cpu(pids: &[u32]) -> Result<Duration, Failure> {
    let mut ticks = 0u64;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold spaces; what follows it does not.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = rest.split_whitespace().skip(11).take(2).filter_map(|f| f.parse().ok()).collect();
        ticks += fields.iter().sum::<u64>();
    }
    Ok(Duration::from_secs(ticks) / TICKS)
}

/// Resident memory of processes, in bytes.
pub fn resident(pids: &[u32]) -> Result<u64, Failure> {
    let mut bytes = 0;
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        bytes += line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024;
    }
    Ok(bytes)
}
