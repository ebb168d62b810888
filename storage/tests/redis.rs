//! A Redis that takes no writes: a server of the test's own, where `redis-server` is installed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use storage::cache::Cache;

const HOUR: Duration = Duration::from_secs(3_600);

struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// Starts one; `None` where there is none to start.
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self { process, port })
    }

    /// Sends one command; the first line of the answer.
    fn command(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 256];
        let n = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..n]).lines().next().unwrap_or_default().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Case n8n #25038: what was not written over is not served, neither meanwhile nor when Redis takes writes again.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_could_not_be_replaced_is_not_served() {
    let Some(redis) = Redis::start() else {
        eprintln!("skipped: a_value_that_could_not_be_replaced_is_not_served: redis-server is not installed");
        return;
    };
    let cache = Cache::redis(&format!("redis://127.0.0.1:{}", redis.port), "own:").unwrap();
    let other = Cache::redis(&format!("redis://127.0.0.1:{}", redis.port), "own:").unwrap();
    until("both are connected", async || cache.is_connected() && other.is_connected()).await;
    for (refuse, allow) in
        [("replicaof 127.0.0.1 1", "replicaof no one"), ("config set maxmemory 1", "config set maxmemory 0")]
    {
        until("trusted", async || {
            cache.set("image", Bytes::from_static(b"v1"), HOUR).await;
            cache.get("image").await.as_deref() == Some(b"v1") && other.get("image").await.as_deref() == Some(b"v1")
        })
        .await;
        assert_eq!(redis.command(refuse), "+OK");
        cache.set("image", Bytes::from_static(b"v2"), HOUR).await;
        assert_eq!(cache.get("image").await, None, "{refuse}");
        assert!(!cache.takes_writes(), "{refuse}: it is told");
        until("another process finds out by itself", async || !other.takes_writes()).await;
        assert_eq!(other.get("image").await, None, "{refuse}");
        assert_eq!(redis.command(allow), "+OK");
        until("both write again", async || cache.takes_writes() && other.takes_writes()).await;
        until("nothing is in doubt", async || cache.doubtful() == 0).await;
        for cache in [&cache, &other] {
            assert_eq!(cache.get("image").await, None, "{allow}: the old value is gone");
        }
        until("the newest value is served", async || {
            cache.set("image", Bytes::from_static(b"v3"), HOUR).await;
            cache.get("image").await.as_deref() == Some(b"v3") && other.get("image").await.as_deref() == Some(b"v3")
        })
        .await;
    }
}

/// Case 23: what is wrong with an address is said without connecting.
#[test]
fn an_address_of_redis_is_read() {
    for url in ["redis://127.0.0.1:6379", "redis://user:pw@cache:6379/1", "rediss://cache"] {
        Cache::check_url(url).unwrap();
    }
    for url in ["redis://127.0.0.1:notaport", "redis://127.0.0.1:99999"] {
        let why = Cache::check_url(url).unwrap_err();
        assert!(!why.is_empty() && !why.contains('\n'), "{url}: {why}");
    }
}
