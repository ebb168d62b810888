//! What can go wrong with the database, as callers must tell it apart.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// The result of a query or a unit of work.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A failed query.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection was free in time, or a statement took too long and was undone; nothing was done.
    #[error("no database connection was free in time")]
    Busy,
    /// The database cannot be reached, or has no room or memory left; nothing was done.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection was lost in the middle, or given up on: it may have been done.
    #[error("the connection to the database was lost: {0}")]
    Lost(String),
    /// A constraint refused it.
    #[error("constraint {constraint}")]
    Conflict {
        /// The constraint's name.
        constraint: String,
    },
    /// Somebody else was first: compare-and-set found another revision, or a lock was held too long.
    #[error("changed or locked by somebody else")]
    Contended,
    /// A row says something this version does not understand.
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
    /// Ciphertext that does not open: another key, or a tampered row.
    #[error("ciphertext does not open")]
    Sealed,
    /// A file or the cache.
    #[error("{0}")]
    Other(String),
    /// Anything else the database said. Never shown to a client.
    #[error("database: {0}")]
    Database(Diesel),
}

impl StorageError {
    /// The constraint that refused, if one did.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Conflict { constraint } => Some(constraint),
            _ => None,
        }
    }

    /// May the same unit of work succeed if it is simply tried again?
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable(_) | Self::Lost(_) | Self::Contended)
    }
}

impl From<Diesel> for StorageError {
    fn from(e: Diesel) -> Self {
        match e {
            Diesel::DatabaseError(kind, info) => match kind {
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::ExclusionViolation => {
                    Self::Conflict { constraint: info.constraint_name().unwrap_or("unnamed").to_owned() }
                }
                DatabaseErrorKind::SerializationFailure => Self::Contended,
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
                    Self::Lost(info.message().to_owned())
                }
                other => Self::by_message(other, info),
            },
            Diesel::BrokenTransactionManager | Diesel::RollbackErrorOnCommit { .. } => Self::Lost(e.to_string()),
            Diesel::DeserializationError(e) => Self::Corrupt(e.to_string()),
            other => Self::Database(other),
        }
    }
}

impl StorageError {
    /// diesel hides the SQLSTATE of the rest; servers are started with English messages.
    fn by_message(
        kind: DatabaseErrorKind,
        info: Box<dyn diesel::result::DatabaseErrorInformation + Send + Sync>,
    ) -> Self {
        let message = info.message();
        if message.contains("deadlock detected") || message.contains("lock timeout") {
            return Self::Contended;
        }
        // Nothing was done, and the next statement would hardly fare better: no row is at fault.
        if message.contains("statement timeout") {
            return Self::Busy;
        }
        let out_of = ["No space left on device", "out of memory", "out of shared memory", "read-only transaction"];
        if out_of.iter().any(|what| message.contains(what)) {
            return Self::Unreachable(message.to_owned());
        }
        if message.contains("terminating connection")
            || message.contains("shutting down")
            || message.contains("starting up")
        {
            return Self::Lost(message.to_owned());
        }
        Self::Database(Diesel::DatabaseError(kind, info))
    }
}

/// A row that this version does not understand.
pub(crate) fn corrupt(what: impl std::fmt::Display) -> StorageError {
    StorageError::Corrupt(what.to_string())
}
