//! What can go wrong with the database, as callers must tell it apart.

use diesel::result::{DatabaseErrorKind, Error as Diesel};
use std::time::Duration;

/// The shortest wait for a lock that a statement of ours is given up after.
const SHORTEST_LOCK_WAIT: Duration = Duration::from_millis(140);
/// A statement that runs longer than this was ended by its limit of 5 s.
const STATEMENT_END: Duration = Duration::from_millis(4_900);

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
                // Nothing was done: a replica, until it is promoted or the address names the primary.
                DatabaseErrorKind::ReadOnlyTransaction => Self::Unreachable(info.message().to_owned()),
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
    /// Tells apart what a server says in another language than English, where no message can. What it ends after a wait is a
    /// lock, a deadlock or the limit of a statement: in each case nothing was done, and it may be tried again. An error in a
    /// statement itself comes at once.
    pub(crate) fn by_time(self, took: Duration) -> Self {
        match self {
            Self::Database(Diesel::DatabaseError(DatabaseErrorKind::Unknown, _)) if took >= STATEMENT_END => Self::Busy,
            Self::Database(Diesel::DatabaseError(DatabaseErrorKind::Unknown, _)) if took >= SHORTEST_LOCK_WAIT => {
                Self::Contended
            }
            other => other,
        }
    }

    /// diesel hides the SQLSTATE of the rest. Sessions of a superuser speak English, and so do most servers; for others see
    /// [`StorageError::by_time`].
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
        let out_of = ["No space left on device", "out of memory", "out of shared memory"];
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: DatabaseErrorKind, message: &str) -> StorageError {
        Diesel::DatabaseError(kind, Box::new(message.to_owned())).into()
    }

    /// Case O1: an ordinary role cannot choose the language of its errors.
    #[test]
    fn errors_are_told_apart_in_any_language() {
        let korean = || said(DatabaseErrorKind::Unknown, "잠금 시간 초과로 작업을 취소합니다");
        assert!(
            matches!(korean().by_time(Duration::from_millis(3)), StorageError::Database(_)),
            "a fault comes at once"
        );
        for (waited, passing) in [(150, true), (1_001, true), (2_000, true), (5_000, true)] {
            let e = korean().by_time(Duration::from_millis(waited));
            assert_eq!(e.is_passing(), passing, "{waited} ms: {e}");
        }
        assert!(matches!(korean().by_time(Duration::from_millis(2_000)), StorageError::Contended));
        assert!(matches!(korean().by_time(Duration::from_millis(5_000)), StorageError::Busy));
        let read_only =
            said(DatabaseErrorKind::ReadOnlyTransaction, "읽기 전용 트랜잭션에서는 INSERT 명령을 실행할 수 없습니다");
        assert!(matches!(read_only.by_time(Duration::ZERO), StorageError::Unreachable(_)));
        let unique = said(DatabaseErrorKind::UniqueViolation, "중복된 키 값");
        assert!(matches!(unique.by_time(Duration::from_secs(6)), StorageError::Conflict { .. }), "a kind stands");
    }

    #[test]
    fn english_says_more() {
        for (message, expected) in [
            ("deadlock detected", StorageError::Contended),
            ("canceling statement due to lock timeout", StorageError::Contended),
            ("canceling statement due to statement timeout", StorageError::Busy),
            ("could not extend file: No space left on device", StorageError::Unreachable(String::new())),
            ("terminating connection due to administrator command", StorageError::Lost(String::new())),
        ] {
            let found = said(DatabaseErrorKind::Unknown, message);
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&expected), "{message}");
        }
    }
}
