//! Many sockets that read, or do not: raw streams, so that the client costs as little as it can.

use crate::server::Failure;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use testkit::wire::{client_frame, upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Handshakes at the same time.
const AT_ONCE: usize = 64;

/// What the sockets of a swarm got.
#[derive(Default)]
pub struct Received {
    /// Text frames.
    pub frames: AtomicU64,
    /// Sockets that were closed by the other side.
    pub closed: AtomicU64,
    /// Whether the age of each update is kept.
    pub timed: std::sync::atomic::AtomicBool,
    /// Ages of updates when read, in microseconds.
    pub ages: Mutex<Vec<u32>>,
}

impl Received {
    /// Waits until so many frames were read; false when they do not come.
    pub async fn until(&self, frames: u64, limit: Duration) -> bool {
        let begun = std::time::Instant::now();
        while self.frames.load(Ordering::Relaxed) < frames {
            if begun.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }

    /// Percentile of the ages in milliseconds, and forgets them.
    pub fn take_ages(&self) -> Vec<f64> {
        let mut ages: Vec<u32> = std::mem::take(&mut *self.ages.lock());
        ages.sort_unstable();
        ages.into_iter().map(|us| f64::from(us) / 1000.0).collect()
    }
}

/// One of them, by share of the sorted values.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((sorted.len() as f64 * share) as usize).min(last)).copied().unwrap_or(f64::NAN)
}

/// Open sockets.
pub struct Swarm {
    /// What they got.
    pub received: Arc<Received>,
    readers: Vec<JoinHandle<()>>,
}

/// How a socket begins: the path, what it says, and how many frames answer that.
pub struct Opening {
    /// `host:port`.
    pub address: String,
    /// Path of the upgrade.
    pub path: &'static str,
    /// Texts sent after the upgrade.
    pub says: Vec<String>,
    /// Text frames that answer them.
    pub answers: u64,
}

impl Swarm {
    /// Opens one socket per opening. Those with a number below `deaf` read their answers and then nothing more.
    pub async fn open(openings: Vec<Opening>, deaf: usize) -> Result<Self, Failure> {
        let received = Arc::new(Received::default());
        let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let opening: Vec<_> = openings
            .into_iter()
            .enumerate()
            .map(|(n, opening)| {
                let (received, gate) = (received.clone(), gate.clone());
                tokio::spawn(async move {
                    let _place = gate.acquire_owned().await?;
                    let mut socket = Socket::open(&opening).await?;
                    socket.answers(opening.answers).await?;
                    let reader = tokio::spawn(async move {
                        if n < deaf {
                            return std::future::pending().await;
                        }
                        socket.read(&received).await;
                    });
                    Ok::<_, Failure>(reader)
                })
            })
            .collect();
        let mut readers = Vec::new();
        for one in opening {
            readers.push(one.await??);
        }
        Ok(Self { received, readers })
    }

    /// Closes all.
    pub async fn close(self) {
        for reader in &self.readers {
            reader.abort();
        }
        for reader in self.readers {
            let _ = reader.await;
        }
    }
}

struct Socket {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Socket {
    async fn open(opening: &Opening) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(&opening.address).await?;
        stream.set_nodelay(true)?;
        let upgrade = upgrade(opening.path, &opening.address);
        stream.write_all(upgrade.as_bytes()).await?;
        let mut socket = Self { stream, pending: Vec::new() };
        let head = loop {
            if let Some(at) = socket.pending.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            socket.fill().await?;
        };
        if !socket.pending.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(&socket.pending[..head.min(80)])).into());
        }
        socket.pending.drain(..head);
        for text in &opening.says {
            socket.stream.write_all(&client_frame(0x81, text.as_bytes())).await?;
        }
        Ok(socket)
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer).await? {
            0 => Err("closed".into()),
            n => {
                self.pending.extend_from_slice(&buffer[..n]);
                Ok(())
            }
        }
    }

    /// Reads the answers to what was said.
    async fn answers(&mut self, count: u64) -> Result<(), Failure> {
        let mut texts = 0;
        while texts < count {
            while let Some((opcode, payload, whole)) = frame(&self.pending) {
                if opcode == 8 {
                    return Err("closed while subscribing".into());
                }
                if opcode == 1 {
                    texts += 1;
                    if memchr(&self.pending[payload.clone()], b"\"type\":\"error\"") {
                        return Err(String::from_utf8_lossy(&self.pending[payload]).into_owned().into());
                    }
                }
                self.pending.drain(..whole);
            }
            if texts < count {
                self.fill().await?;
            }
        }
        Ok(())
    }

    async fn read(mut self, received: &Received) {
        loop {
            let mut at = 0;
            while let Some((opcode, payload, whole)) = frame(&self.pending[at..]) {
                match opcode {
                    1 => {
                        if received.timed.load(Ordering::Relaxed) {
                            note(received, &self.pending[at..][payload]);
                        }
                        received.frames.fetch_add(1, Ordering::Relaxed);
                    }
                    9 => {
                        let _ = self.stream.write_all(&client_frame(0x8a, &[])).await;
                    }
                    8 => {
                        received.closed.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    _ => {}
                }
                at += whole;
            }
            self.pending.drain(..at);
            if self.pending.is_empty() {
                self.pending = Vec::new();
            }
            if self.fill().await.is_err() {
                received.closed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn memchr(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|w| w == what)
}

/// The age of an update: now less its `at`, by the same machine's clock.
fn note(received: &Received, text: &[u8]) {
    const AT: &[u8] = b"\"at\":\"";
    let Some(start) = text.windows(AT.len()).position(|w| w == AT) else { return };
    let rest = &text[start + AT.len()..];
    let Some(end) = rest.iter().position(|b| *b == b'"') else { return };
    let at = std::str::from_utf8(&rest[..end]).ok().and_then(|s| chrono::DateTime::parse_from_rfc3339(s).ok());
    if let Some(at) = at {
        let age = (chrono::Utc::now() - at.to_utc()).num_microseconds().unwrap_or(0).clamp(0, i64::from(u32::MAX));
        received.ages.lock().push(age as u32);
    }
}

/// A server's frame at the front: opcode, where its payload is, how long it is in all.
fn frame(bytes: &[u8]) -> Option<(u8, std::ops::Range<usize>, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        n => (usize::from(n), 2),
    };
    (bytes.len() >= at + length).then_some((first & 0x0f, at..at + length, at + length))
}
