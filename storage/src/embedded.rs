//! PostgreSQL inside the process, behind an accept loop of our own.
//!
//! The crate's own server ends its loop for good when one client resets its connection; ours serves the next. One
//! client at a time, on a Unix socket that no other user of the machine can reach: this PostgreSQL asks for no password.
//! No fsync reaches the kernel: a crash of the process loses nothing, a loss of power may.

mod socket;

use self::socket::Socket;
use crate::error::{Result, StorageError};
use pglite_oxide::PgliteProxy;
use std::fs::File;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Time that a start waits for a folder which a killed process still seems to hold.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Time that a stop waits for the last client.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// A running embedded database.
pub struct Embedded {
    stopping: Arc<AtomicBool>,
    done: mpsc::Receiver<()>,
    socket: Socket,
    /// Dropped after the socket: whoever holds the lock removes what is left of one.
    _lock: File,
}

impl Embedded {
    /// Opens or creates the database in a folder.
    ///
    /// # Errors
    /// Another process holds the folder, it belongs to another user, or it cannot be written.
    pub async fn open(folder: PathBuf) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::start(&folder))
            .await
            .map_err(|e| StorageError::Other(format!("embedded database: {e}")))?
    }

    fn start(folder: &Path) -> Result<Self> {
        let failed =
            |e: &dyn std::fmt::Display| StorageError::Other(format!("embedded database in {}: {e}", folder.display()));
        crate::private::secure_folder(folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(folder.join(".pglite-oxide.lock"))
            .map_err(|e| failed(&e))?;
        let begun = Instant::now();
        while let Err(e) = lock.try_lock() {
            if begun.elapsed() > LOCK_WAIT {
                return Err(failed(&format!("held by another process ({e})")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        pglite_oxide::install_into(folder).map_err(|e| failed(&format!("{e:#}")))?;
        let (socket, listener) = Socket::listen(folder).map_err(|e| failed(&e))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (ended, done) = mpsc::channel();
        let proxy = PgliteProxy::new(folder);
        let flag = stopping.clone();
        std::thread::Builder::new()
            .name("embedded-pg".into())
            .spawn(move || {
                let _ended = ended;
                accept_clients(&proxy, &listener, &flag);
            })
            .map_err(|e| failed(&e))?;
        Ok(Self { stopping, done, socket, _lock: lock })
    }

    /// Where to connect.
    #[must_use]
    pub fn url(&self) -> String {
        self.socket.url()
    }

    /// The socket's file.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket.file()
    }

    /// Waits for the last client to leave; false when it does not, and only the end of the process ends it.
    pub async fn stop(self) -> bool {
        tokio::task::spawn_blocking(move || self.end()).await.unwrap_or(false)
    }

    /// Ends the loop; socket and lock are given back when it has ended.
    fn end(self) -> bool {
        self.stopping.store(true, Ordering::SeqCst);
        // Closing at once is no error to the proxy.
        self.socket.wake();
        !matches!(self.done.recv_timeout(STOP_WAIT), Err(mpsc::RecvTimeoutError::Timeout))
    }
}

/// Serves one client after the other. A reset or garbage ends that client, not the loop.
fn accept_clients(proxy: &PgliteProxy, listener: &UnixListener, stopping: &AtomicBool) {
    let mut panics = 0;
    while !stopping.load(Ordering::SeqCst) {
        match catch_unwind(AssertUnwindSafe(|| proxy.accept_unix_once(listener))) {
            Ok(Ok(())) => panics = 0,
            Ok(Err(e)) => {
                tracing::warn!(error = format!("{e:#}"), "embedded database: a connection ended");
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(_) => {
                panics += 1;
                if panics == 3 {
                    tracing::error!("the embedded database panics at every connection: ending the process");
                    std::process::exit(70);
                }
            }
        }
    }
}
