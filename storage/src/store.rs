//! The pool, and units of work on it.

use crate::address::Address;
use crate::error::{Result, StorageError};
use crate::sql::{Word, sql, types as t};
use crate::{clock, migrations};
use chrono::Utc;
use diesel::{ConnectionError, ConnectionResult, QueryResult, QueryableByName};
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// A connection.
pub type Conn = AsyncPgConnection;

/// Time that a unit of work waits for a connection: then the answer is 503, within three seconds.
const CONNECTION_WAIT: Duration = Duration::from_millis(2_500);
/// Time in which a connection must be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time that a start waits for its first connection: on a busy machine an embedded database takes long.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two tries.
const CONNECT_RETRY_PAUSE: Duration = Duration::from_millis(50);
/// The most units of work that wait for a connection; one more is refused at once.
const MAX_WAITING: usize = 2_000;
/// Time in which a unit of work must end. A server ends single statements after 5 s; a silent one ends nothing.
const UNIT_OF_WORK_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for work that an operator waits for.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
/// The same for a batch of the journal, one statement.
const BATCH_TIMEOUT: Duration = Duration::from_secs(7);
/// Lanes of the journal.
const JOURNAL_CONNECTIONS: u32 = 2;
/// Connections to a server. One writer of entries and a handful of readers saturate two cores.
const SERVER_CONNECTIONS: u32 = 12;

/// An async closure over a connection, whose future may be sent to another thread.
///
/// `AsyncFnOnce` alone cannot say that its future is `Send`; diesel-async has the same helper for its transactions, privately.
pub trait UnitOfWork<C, R>: AsyncFnOnce(C) -> R + FnOnce(C) -> <Self as UnitOfWork<C, R>>::Fut {
    /// The future that the closure returns.
    type Fut: Future<Output = R>;
}

impl<F, C, Fut, R> UnitOfWork<C, R> for F
where
    F: AsyncFnOnce(C) -> R + FnOnce(C) -> Fut,
    Fut: Future<Output = R>,
{
    type Fut = Fut;
}

/// Which PostgreSQL this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the process; one connection at a time.
    Embedded,
    /// A server.
    Server,
}

/// How the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers, and takes writes.
    Writable,
    /// It answers, but takes no writes: a replica, or one that an operator closed.
    ReadOnly,
    /// It does not answer.
    Gone,
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
    /// When the database last answered anything.
    answered: Mutex<Option<Instant>>,
    /// It took no writes when it was last asked.
    read_only: AtomicBool,
    /// Its messages are not in English.
    foreign: AtomicBool,
    kind: Kind,
    epoch: OnceCell<String>,
    #[cfg(feature = "embedded")]
    embedded: parking_lot::Mutex<Option<crate::embedded::Embedded>>,
}

impl Inner {
    /// Remembers that the database answered, if it did.
    fn heard<T>(&self, result: &Result<T>) {
        if !matches!(result, Err(StorageError::Busy | StorageError::Unreachable(_) | StorageError::Lost(_))) {
            *self.answered.lock() = Some(Instant::now());
        }
    }

    fn answered(&self) -> Option<Instant> {
        *self.answered.lock()
    }
}

impl Store {
    /// Connects to a server and applies pending migrations under an advisory lock.
    ///
    /// # Errors
    /// The server cannot be reached (why, in one line), or a migration fails.
    pub async fn connect(url: &str) -> Result<Self> {
        migrations::apply(url, Kind::Server).await?;
        let store = Self::open_server(url).await?;
        store.ensure_partitions().await?;
        Ok(store)
    }

    /// Connects to a server and changes nothing there.
    ///
    /// # Errors
    /// The server cannot be reached, or migrations are pending.
    pub async fn connect_as_it_is(url: &str) -> Result<Self> {
        migrations::refuse_pending(url, Kind::Server).await?;
        Self::open_server(url).await
    }

    async fn open_server(url: &str) -> Result<Self> {
        let address = Address::parse(url).map_err(unusable)?;
        Self::open(&address.limited(url), Kind::Server).await
    }

    /// Reads the address of a server without connecting to it.
    ///
    /// # Errors
    /// The part of the address that no connection can be made with, in one line without the password.
    pub fn check_url(url: &str) -> Result<(), String> {
        Address::parse(url).map(drop)
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
        store.ensure_partitions().await?;
        *store.inner.embedded.lock() = Some(database);
        Ok(store)
    }

    /// Opens the embedded database in a folder and changes nothing of what it holds.
    ///
    /// # Errors
    /// There is none in the folder, it is held by another process, or migrations are pending.
    #[cfg(feature = "embedded")]
    pub async fn embedded_as_it_is(folder: &std::path::Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(StorageError::Other(format!("embedded database in {}: there is none", folder.display())));
        }
        let database = crate::embedded::Embedded::open(folder.to_owned()).await?;
        let url = database.url();
        let opened = match migrations::refuse_pending(&url, Kind::Embedded).await {
            Ok(()) => Self::open(&url, Kind::Embedded).await,
            Err(e) => Err(e),
        };
        match opened {
            Ok(store) => {
                *store.inner.embedded.lock() = Some(database);
                Ok(store)
            }
            Err(e) => {
                database.stop().await;
                Err(e)
            }
        }
    }

    async fn open(url: &str, kind: Kind) -> Result<Self> {
        let size = if kind == Kind::Embedded { 1 } else { SERVER_CONNECTIONS };
        let pool = connections(url, kind, size).await?;
        let writers = match kind {
            Kind::Embedded => None,
            Kind::Server => Some(connections(url, kind, JOURNAL_CONNECTIONS).await?),
        };
        let store = Self {
            inner: Arc::new(Inner {
                pool,
                writers,
                turns: Semaphore::new(size as usize),
                waiting: AtomicUsize::new(0),
                answered: Mutex::default(),
                read_only: AtomicBool::new(false),
                foreign: AtomicBool::new(false),
                kind,
                epoch: OnceCell::new(),
                #[cfg(feature = "embedded")]
                embedded: parking_lot::Mutex::new(None),
            }),
        };
        store.reached().await?;
        if kind == Kind::Server {
            store.hear_language().await?;
        }
        Ok(store)
    }

    /// Waits for the first answer.
    async fn reached(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.epoch().await {
                Err(StorageError::Unreachable(_) | StorageError::Busy | StorageError::Lost(_))
                    if begun.elapsed() < START_TIMEOUT =>
                {
                    tokio::time::sleep(CONNECT_RETRY_PAUSE).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Errors are told apart by English messages. A server that speaks another language, and does not let this role choose,
    /// is judged by time instead.
    async fn hear_language(&self) -> Result<()> {
        let language =
            self.run(async move |c| sql("select current_setting('lc_messages') as s").first::<Word>(c).await);
        let language = language.await?.map(|w| w.s).unwrap_or_default();
        let english = ["C", "POSIX", "en", "English"].iter().any(|known| language.starts_with(known));
        self.inner.foreign.store(!english, Ordering::Relaxed);
        Ok(())
    }

    /// Which PostgreSQL this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// The epoch of this database: positions compare within one only.
    ///
    /// # Errors
    /// What the database answered to the first call; later ones do not ask it.
    pub async fn epoch(&self) -> Result<String> {
        let cell = &self.inner.epoch;
        if let Some(epoch) = cell.get() {
            return Ok(epoch.clone());
        }
        let row = self
            .run(async move |c| sql("select epoch as s from participation.epoch").first::<Word>(c).await)
            .await?
            .ok_or_else(|| crate::error::corrupt("no epoch"))?;
        let _ = cell.set(row.s.clone());
        Ok(row.s)
    }

    /// Makes the partitions of last month and three months ahead, where they are missing.
    pub async fn ensure_partitions(&self) -> Result<()> {
        self.run(async move |c| {
            sql("select participation.ensure_partitions_v1((current_date - interval '1 month')::date, 5)").run(c).await
        })
        .await?;
        Ok(())
    }

    /// One unit of work on one connection, in a task of its own that no caller aborts; given up on after ten seconds.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when no connection is free within 3 s, [`StorageError::Lost`] when the work does not end, else
    /// what the work says.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        self.run_within(UNIT_OF_WORK_TIMEOUT, work).await
    }

    /// The same for an operator who waits as long as it takes; no statement is ended either.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub async fn run_long<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        self.run_within(OPERATOR_TIMEOUT, async move |c| {
            c.batch_execute("set statement_timeout = 0").await?;
            work(c).await
        })
        .await
    }

    async fn run_within<T, F>(&self, limit: Duration, work: F) -> Result<T>
    where
        T: Send + 'static,
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        let inner = self.inner.clone();
        finished(tokio::spawn(async move {
            let _waiting = WaitingGuard::enter(&inner.waiting)?;
            let turn = tokio::time::timeout(CONNECTION_WAIT, inner.turns.acquire()).await;
            let _turn =
                turn.map_err(|_| StorageError::Busy)?.map_err(|_| StorageError::Unreachable("closed".into()))?;
            drop(_waiting);
            let mut conn: PooledConnection<'_, AsyncPgConnection> =
                inner.pool.get().await.map_err(|e| StorageError::Unreachable(e.to_string()))?;
            let result = limited(limit, inner.foreign.load(Ordering::Relaxed), &mut conn, work).await;
            inner.heard(&result);
            result
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
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        let Some(writers) = self.inner.writers.clone() else { return self.run(work).await };
        let foreign = self.inner.foreign.load(Ordering::Relaxed);
        finished(tokio::spawn(async move {
            let mut conn = writers.get().await.map_err(|e| StorageError::Unreachable(e.to_string()))?;
            limited(BATCH_TIMEOUT, foreign, &mut conn, work).await
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
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        self.run(async move |c| c.transaction::<T, StorageError, _>(work).await).await
    }

    /// The same as [`Store::run_long`].
    ///
    /// # Errors
    /// As [`Store::tx`].
    pub async fn tx_long<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        for<'c> F:
            AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send> + Send + 'static,
    {
        self.run_long(async move |c| c.transaction::<T, StorageError, _>(work).await).await
    }

    /// Units of work that wait for a connection now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Relaxed)
    }

    /// Does the database answer? Asked in its turn, within a limit; one that has no turn to give but answers others is
    /// busy, not gone.
    pub async fn answers(&self, within: Duration) -> bool {
        self.health(within).await != Health::Gone
    }

    /// Asks the database how it is, as [`Store::answers`] does, and what time it is.
    pub async fn health(&self, within: Duration) -> Health {
        let busy = || match self.inner.answered().is_some_and(|at| at.elapsed() < within) {
            true => self.answering(),
            false => Health::Gone,
        };
        match tokio::time::timeout(within, self.run(look)).await {
            Ok(Ok(read_only)) => {
                self.inner.read_only.store(read_only, Ordering::Relaxed);
                self.answering()
            }
            Ok(Err(StorageError::Busy)) | Err(_) => busy(),
            Ok(Err(_)) => Health::Gone,
        }
    }

    /// Did the database take no writes when it was last asked?
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only.load(Ordering::Relaxed)
    }

    fn answering(&self) -> Health {
        if self.is_read_only() { Health::ReadOnly } else { Health::Writable }
    }

    /// Ends the embedded database, if there is one. Every other clone must be gone or idle.
    pub async fn close(self) {
        self.inner.turns.close();
        #[cfg(feature = "embedded")]
        {
            let database = self.inner.embedded.lock().take();
            drop(self);
            if let Some(database) = database {
                database.stop().await;
            }
        }
    }
}

/// Is the database read-only? Its clock is compared on the way.
async fn look(c: &mut Conn) -> Result<bool> {
    #[derive(QueryableByName)]
    struct HealthRow {
        #[diesel(sql_type = t::Bool)]
        read_only: bool,
        #[diesel(sql_type = t::Timestamptz)]
        at: domain::time::Instant,
    }
    let (asked, begun) = (Utc::now(), Instant::now());
    let look: Option<HealthRow> =
        sql("select current_setting('transaction_read_only') = 'on' as read_only, clock_timestamp() as at")
            .first(c)
            .await?;
    let look = look.ok_or_else(|| crate::error::corrupt("no clock"))?;
    clock::measured(asked, begun.elapsed(), look.at);
    Ok(look.read_only)
}

fn unusable(why: String) -> StorageError {
    StorageError::Other(format!("DATABASE_URL: {why}"))
}

async fn connections(url: &str, kind: Kind, size: u32) -> Result<Pool<AsyncPgConnection>> {
    let mut config = ManagerConfig::<AsyncPgConnection>::default();
    config.custom_setup = Box::new(establish);
    if kind == Kind::Server {
        config.custom_setup = Box::new(establish_session);
    }
    config.recycling_method = RecyclingMethod::CustomFunction(Box::new(alive));
    let lifetime = (kind == Kind::Server).then_some(Duration::from_secs(1800));
    Pool::builder()
        .max_size(size)
        .connection_timeout(CONNECTION_WAIT)
        .max_lifetime(lifetime)
        .idle_timeout(None::<Duration>)
        .queue_strategy(bb8::QueueStrategy::Lifo)
        .error_sink(Box::new(LogSink))
        .build(AsyncDieselConnectionManager::new_with_config(url, config))
        .await
        .map_err(|e| StorageError::Unreachable(e.to_string()))
}

/// A unit of work, given up on when it does not end.
async fn limited<T, F>(limit: Duration, foreign: bool, conn: &mut Conn, work: F) -> Result<T>
where
    for<'c> F: AsyncFnOnce(&'c mut Conn) -> Result<T> + UnitOfWork<&'c mut Conn, Result<T>, Fut: Send>,
{
    let begun = Instant::now();
    match tokio::time::timeout(limit, work(conn)).await {
        Ok(Err(e)) if foreign => Err(e.by_time(begun.elapsed())),
        Ok(result) => result,
        Err(_) => {
            // Nobody knows what the server makes of it still: nobody else gets this connection.
            AnsiTransactionManager::transaction_manager_status_mut(conn).set_in_error();
            Err(StorageError::Lost(format!("no end within {limit:?}")))
        }
    }
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
struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn enter(counter: &'a AtomicUsize) -> Result<Self> {
        let me = Self(counter);
        if counter.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(StorageError::Busy);
        }
        Ok(me)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn establish(url: &str) -> BoxFuture<'_, ConnectionResult<AsyncPgConnection>> {
    Box::pin(async move { in_time(AsyncPgConnection::establish(url)).await })
}

/// The same with a server: the session gets its limits after it began, for a pooler between takes no startup options.
fn establish_session(url: &str) -> BoxFuture<'_, ConnectionResult<AsyncPgConnection>> {
    Box::pin(async move {
        let address = Address::parse(url).map_err(ConnectionError::InvalidConnectionUrl)?;
        in_time(begin_session(url, &address)).await
    })
}

async fn in_time<T>(connecting: impl Future<Output = ConnectionResult<T>>) -> ConnectionResult<T> {
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(ConnectionError::BadConnection(format!("no answer within {CONNECT_TIMEOUT:?}"))),
    }
}

async fn begin_session(url: &str, address: &Address) -> ConnectionResult<Conn> {
    let mut c = AsyncPgConnection::establish(url).await?;
    c.batch_execute(&address.session()).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(c)
}

/// One connection to a server, outside of any pool.
///
/// # Errors
/// Why there is none, in one line: the part of the address, the name, the port, or the server's own words.
pub(crate) async fn connect_once(url: &str, within: Duration) -> Result<Conn> {
    let address = Address::parse(url).map_err(unusable)?;
    let url = address.limited(url);
    match tokio::time::timeout(within, begin_session(&url, &address)).await {
        Ok(Ok(c)) => Ok(c),
        Ok(Err(e)) => Err(StorageError::Unreachable(address.explain(&e).await)),
        Err(_) => Err(StorageError::Unreachable(address.explain_silence(within).await)),
    }
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
