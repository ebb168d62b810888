//! What processes cost: processor time and resident memory, from `/proc`; and what the disk takes.

use crate::server::Failure;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Ticks of the clock in a second: `USER_HZ` is 100 on every Linux.
const TICKS: u32 = 100;
/// Writes of one look at the disk.
const SYNCS: usize = 100;

/// The fields after the name in brackets, which may hold spaces.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit(')').next()?;
    Some(rest.split_whitespace().map(|f| f.parse().unwrap_or(0)).collect())
}

/// Processor time of processes, user and system, all threads.
pub fn cpu(pids: &[u32]) -> Result<Duration, Failure> {
    let mut ticks = 0u64;
    for pid in pids {
        let fields = stat(*pid).ok_or("a process is gone")?;
        ticks += fields.iter().skip(11).take(2).sum::<u64>();
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

/// All processes of a system under test: the server, and PostgreSQL where it runs on this machine.
#[derive(Clone)]
pub struct System {
    server: u32,
    database: Option<u32>,
}

impl System {
    /// The server's process, and the database of `DATABASE_URL`.
    pub async fn of(server: u32) -> Self {
        Self { server, database: postmaster().await }
    }

    /// Processor time of all of it so far: the server, the database, and its backends that are and were.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let mut all = cpu(&[self.server])?;
        if let Some(postmaster) = self.database {
            let own = stat(postmaster).ok_or("the database is gone")?;
            let mut ticks: u64 = own.iter().skip(11).take(4).sum();
            for entry in std::fs::read_dir("/proc")?.flatten() {
                let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
                let Some(fields) = stat(pid) else { continue };
                if fields.get(1) == Some(&u64::from(postmaster)) {
                    ticks += fields.iter().skip(11).take(2).sum::<u64>();
                }
            }
            all += Duration::from_secs(ticks) / TICKS;
        }
        Ok(all)
    }

    /// Resident memory of the server alone, in bytes.
    pub fn resident(&self) -> Result<u64, Failure> {
        resident(&[self.server])
    }
}

/// The first process of the database, if it is one on this machine.
async fn postmaster() -> Option<u32> {
    use diesel_async::{AsyncConnection, AsyncPgConnection};
    let url = std::env::var("DATABASE_URL").ok().filter(|u| !u.is_empty())?;
    let mut connection = AsyncPgConnection::establish(&url).await.ok()?;
    let backend = storage::sql::sql("select pg_backend_pid()::bigint as n")
        .first::<storage::sql::Number>(&mut connection)
        .await
        .ok()??;
    let parent = stat(u32::try_from(backend.n).ok()?)?.get(1).copied()?;
    u32::try_from(parent).ok().filter(|p| *p > 1)
}

/// How long the disk of a folder takes to keep 8 KiB: p50 and p99 of a hundred `fdatasync`.
pub fn disk(folder: &Path) -> Result<(Duration, Duration), Failure> {
    let mut file = std::fs::File::create(folder.join("sync.probe"))?;
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0x5a; 8192])?;
        let begun = Instant::now();
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok((took[SYNCS / 2], took[SYNCS * 99 / 100]))
}
