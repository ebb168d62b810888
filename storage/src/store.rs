//! The pool, and units of work on it.

use crate::error::{Result, StorageError};
use crate::migrations;
use crate::sql::{Word, sql};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// A connection.
pub type Conn = AsyncPgConnection;

/// How long a unit of work waits for a connection: past this the answer is 503 rather than a hang, and within three seconds.
const WAIT: Duration = Duration::from_millis(2_500);
/// How long establishing a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// The most units of work that wait for a connection; one more is refused at once.
const MAX_WAITING: usize = 2_000;
/// Lanes of the journal.
const WRITERS: u32 = 2;
/// Connections to a server. One writer of entries and a handful of readers saturate two cores.
const SERVER_CONNECTIONS: u32 = 12;

/// Which PostgreSQL this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the process; one connection at a time.
    Embedded,
    /// A server.
    Server,
}

/// The database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool<AsyncPgConnection>,
    /// The journal's own connections, one per lane: a server keeps the plan of its one statement warm there, and reads
    /// never stand in its way. The embedded database has one connection for everything.
    writers: Option<Pool<AsyncPgConnection>>,
    /// FIFO in front of the pool, which starves waiters when it has one connection.
    turns: Semaphore,
    waiting: AtomicUsize,
    kind: Kind,
    epoch: OnceCell<String>,
    #[cfg(feature = "embedded")]
    embedded: std::sync::Mutex<Option<crate::embedded::Embedded>>,
}

impl Store {
    /// Connects to a server and applies pending migrations under an advisory lock.
    ///
    /// # Errors
    /// The server cannot be reached, or a migration fails.
    pub async fn connect(url: &str) -> Result<Self> {
        let url = with_server_settings(url);
        migrations::apply(&url, Kind::Server).await?;
        Self::open(&url, Kind::Server).await
    }

    /// Opens the embedded database in a folder and applies pending migrations.
    ///
    /// # Errors
    /// The folder is held by another process for more than a few seconds, or a migration fails.
    #[cfg(feature = "embedded")]
    pub async fn embedded(folder: &std::path::Path) -> Result<Self> {
        let database = crate::embedded::Embedded::open(folder.to_owned()).await?;
        let url = database.url();
        migrations::apply(&url, Kind::Embedded).await?;
        let store = Self::open(&url, Kind::Embedded).await?;
        *store.inner.embedded.lock().expect("nobody panics holding it") = Some(database);
        Ok(store)
    }

    async fn open(url: &str, kind: Kind) -> Result<Self> {
        let size = if kind == Kind::Embedded { 1 } else { SERVER_CONNECTIONS };
        let pool = connections(url, kind, size).await?;
        let writers = match kind {
            Kind::Embedded => None,
            Kind::Server => Some(connections(url, kind, WRITERS).await?),
        };
        let store = Self {
            inner: Arc::new(Inner {
                pool,
                writers,
                turns: Semaphore::new(size as usize),
                waiting: AtomicUsize::new(0),
                kind,
                epoch: OnceCell::new(),
                #[cfg(feature = "embedded")]
                embedded: std::sync::Mutex::new(None),
            }),
        };
        store.epoch().await?;
        store.ensure_partitions().await?;
        Ok(store)
    }

    /// Which PostgreSQL this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The epoch of this database: positions compare within one only.
    ///
    /// # Errors
    /// Whatever the database said, the first time.
    pub async fn epoch(&self) -> Result<String> {
        let cell = &self.inner.epoch;
        if let Some(epoch) = cell.get() {
            return Ok(epoch.clone());
        }
        let row = self
            .run(|c| Box::pin(async move { sql("select epoch as s from participation.epoch").first::<Word>(c).await }))
            .await?
            .ok_or_else(|| crate::error::corrupt("no epoch"))?;
        let _ = cell.set(row.s.clone());
        Ok(row.s)
    }

    /// Makes the partitions of last month and three months ahead, where they are missing.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn ensure_partitions(&self) -> Result<()> {
        self.run(|c| {
            Box::pin(async move {
                sql("select participation.ensure_partitions_v1((current_date - interval '1 month')::date, 5)")
                    .run(c)
                    .await
            })
        })
        .await?;
        Ok(())
    }

    /// One unit of work on one connection, in a task of its own that is never aborted.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when no connection is free within 3 s, else what the work says.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let inner = self.inner.clone();
        finished(tokio::spawn(async move {
            let _waiting = Waiting::enter(&inner.waiting)?;
            let turn = tokio::time::timeout(WAIT, inner.turns.acquire()).await;
            let _turn =
                turn.map_err(|_| StorageError::Busy)?.map_err(|_| StorageError::Unreachable("closed".into()))?;
            drop(_waiting);
            let mut conn: PooledConnection<'_, AsyncPgConnection> =
                inner.pool.get().await.map_err(|e| StorageError::Unreachable(e.to_string()))?;
            work(&mut conn).await
        }))
        .await
    }

    /// One unit of work of a lane of the journal, on the lane's own connection where there is a server.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub async fn run_writer<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let Some(writers) = self.inner.writers.clone() else { return self.run(work).await };
        finished(tokio::spawn(async move {
            let mut conn = writers.get().await.map_err(|e| StorageError::Unreachable(e.to_string()))?;
            work(&mut conn).await
        }))
        .await
    }

    /// One transaction: committed when the work says `Ok`, rolled back when it says `Err`.
    ///
    /// # Errors
    /// As [`Store::run`]; a lost connection leaves the outcome unknown.
    pub async fn tx<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.run(move |c| {
            Box::pin(async move { c.transaction::<T, StorageError, _>(async move |c| work(c).await).await })
        })
        .await
    }

    /// Units of work that wait for a connection now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Relaxed)
    }

    /// Does the database answer? Asked in its turn.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<()> {
        self.run(|c| Box::pin(async move { Ok(c.batch_execute("select 1").await?) })).await
    }

    /// Ends the embedded database, if there is one. Every other clone must be gone or idle.
    pub async fn close(self) {
        self.inner.turns.close();
        #[cfg(feature = "embedded")]
        {
            let database = self.inner.embedded.lock().expect("nobody panics holding it").take();
            drop(self);
            if let Some(database) = database {
                database.stop().await;
            }
        }
    }
}

async fn connections(url: &str, kind: Kind, size: u32) -> Result<Pool<AsyncPgConnection>> {
    let mut config = ManagerConfig::<AsyncPgConnection>::default();
    config.custom_setup = Box::new(establish);
    config.recycling_method = RecyclingMethod::CustomFunction(Box::new(alive));
    let lifetime = (kind == Kind::Server).then_some(Duration::from_secs(1800));
    Pool::builder()
        .max_size(size)
        .connection_timeout(WAIT)
        .max_lifetime(lifetime)
        .idle_timeout(None::<Duration>)
        .queue_strategy(bb8::QueueStrategy::Lifo)
        .error_sink(Box::new(LogSink))
        .build(AsyncDieselConnectionManager::new_with_config(url, config))
        .await
        .map_err(|e| StorageError::Unreachable(e.to_string()))
}

/// What a unit of work came to.
async fn finished<T>(task: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    match task.await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(StorageError::Lost("the runtime is shutting down".into())),
    }
}

/// Counts who waits, and refuses past the limit.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(counter: &'a AtomicUsize) -> Result<Self> {
        let me = Self(counter);
        if counter.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(StorageError::Busy);
        }
        Ok(me)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn establish(url: &str) -> BoxFuture<'_, ConnectionResult<AsyncPgConnection>> {
    Box::pin(async move {
        match tokio::time::timeout(CONNECT, AsyncPgConnection::establish(url)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectionError::BadConnection(format!("no answer within {CONNECT:?}"))),
        }
    })
}

/// A local check without a round trip: diesel's own "fast" method hands out connections that died while idle.
fn alive(c: &mut AsyncPgConnection) -> BoxFuture<'_, QueryResult<()>> {
    let broken = PoolableConnection::is_broken(c);
    Box::pin(std::future::ready(if broken { Err(diesel::result::Error::BrokenTransactionManager) } else { Ok(()) }))
}

#[derive(Debug, Clone, Copy)]
struct LogSink;

impl bb8::ErrorSink<PoolError> for LogSink {
    fn sink(&self, e: PoolError) {
        tracing::warn!(error = %e, "database connection");
    }
    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<PoolError>> {
        Box::new(*self)
    }
}

/// Limits on the server's side, so that nothing holds a lock or a statement for ever.
fn with_server_settings(url: &str) -> String {
    if url.contains("options=") {
        return url.to_owned();
    }
    let join = if url.contains('?') { '&' } else { '?' };
    let options = "-c%20statement_timeout%3D5000%20-c%20lock_timeout%3D2000%20-c%20idle_in_transaction_session_timeout%3D10000\
                   %20-c%20client_connection_check_interval%3D5000%20-c%20lc_messages%3DC";
    format!("{url}{join}options={options}&connect_timeout=3&keepalives_idle=10")
}
