//! What can go wrong with an object's storage.

use rusqlite::ffi;

/// A storage that did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The guest's SQL is wrong, or not allowed. SQLite's text, and its name for the error.
    #[error("{0}")]
    Sql(String),
    /// A statement has another number of parameters.
    #[error(
        "Wrong number of parameter bindings for SQL query: it has {expected} parameters, {given} values were given."
    )]
    Bindings {
        /// What it has.
        expected: usize,
        /// What was given.
        given: usize,
    },
    /// A query returned too much to hand it over.
    #[error("the result of the query is larger than {} MiB: read it in parts, with LIMIT", max >> 20)]
    ResultTooLarge {
        /// What is allowed.
        max: usize,
    },
    /// A transaction was begun in another.
    #[error("a transaction is open already: transactions of an object are not nested")]
    NestedTransaction,
    /// A transaction was ended that is not there.
    #[error("no transaction is open")]
    NoTransaction,
    /// Something is longer or more than it may be. The text is whole.
    #[error("{0}")]
    Limit(String),
    /// The guest is not an object.
    #[error("only a Durable Object has a storage")]
    OutsideObject,
    /// The disk, or what is on it.
    #[error("storage failed: {0}")]
    Failed(String),
}

impl StorageError {
    /// The stable part, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sql(_) | Self::Bindings { .. } | Self::ResultTooLarge { .. } => "sql.error",
            Self::NestedTransaction => "storage.nested_transaction",
            Self::NoTransaction => "storage.no_transaction",
            Self::Limit(_) => "storage.limit",
            Self::OutsideObject => "storage.outside_object",
            Self::Failed(_) => "storage.failed",
        }
    }

    /// An error of the guest's SQL.
    pub(super) fn of_sql(error: rusqlite::Error) -> Self {
        let (code, text) = match error {
            rusqlite::Error::SqliteFailure(code, text) => (code, text),
            rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg)),
            other => return Self::Sql(other.to_string()),
        };
        let text = text.unwrap_or_else(|| code.to_string());
        Self::Sql(format!("{text}: {}", name(code.extended_code & 0xff)))
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// SQLite's name for the error.
fn name(code: i32) -> &'static str {
    match code {
        ffi::SQLITE_INTERNAL => "SQLITE_INTERNAL",
        ffi::SQLITE_PERM => "SQLITE_PERM",
        ffi::SQLITE_ABORT => "SQLITE_ABORT",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_NOMEM => "SQLITE_NOMEM",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_INTERRUPT => "SQLITE_INTERRUPT",
        ffi::SQLITE_IOERR => "SQLITE_IOERR",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        ffi::SQLITE_SCHEMA => "SQLITE_SCHEMA",
        ffi::SQLITE_TOOBIG => "SQLITE_TOOBIG",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        ffi::SQLITE_MISMATCH => "SQLITE_MISMATCH",
        ffi::SQLITE_AUTH => "SQLITE_AUTH",
        ffi::SQLITE_RANGE => "SQLITE_RANGE",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        _ => "SQLITE_ERROR",
    }
}
