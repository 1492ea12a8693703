//! Between rows and values: times, digests, numbers, words; and what may go wrong on the way.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::ErrorCode;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::demand::Origin;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::refusal::Code;
use crate::gate::verdict::{FileKind, Outcome};
use crate::migration::names::{LocationKind, Queue};

/// What may go wrong inside a transaction.
#[derive(Debug)]
pub(super) enum Trouble {
    /// SQLite says no.
    Sql(rusqlite::Error),
    /// Somebody else's fault, passed on as it is.
    Fault(Fault),
    /// The database doesn't hold what it must, or the caller asks for what can't be.
    Said(String),
}

impl Trouble {
    /// The fault of `operation` on the database `file`.
    pub(super) fn into_fault(self, operation: &'static str, file: &Path) -> Fault {
        let fault = Fault::new(operation, format!("in {}", file.display()));
        match self {
            Trouble::Fault(fault) => fault,
            Trouble::Said(why) => fault.because(why),
            Trouble::Sql(error) => {
                let remedy = match error.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => "Free space on the file system of the data folder; it goes on by itself then.",
                    Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                        "The data folder and state.db must be writable for the user that runs postern."
                    }
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "Another process holds the database; it is tried again.",
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                        "Stop the gateway, keep the damaged file, and put back the last good copy of the data folder."
                    }
                    _ => return fault.because(error),
                };
                fault.because(error).remedy(remedy)
            }
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Sql(error)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}

/// Trouble in plain words.
pub(super) fn said<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Said(why.into()))
}

/// A number that SQLite can hold.
pub(super) fn number(value: u64) -> Result<i64, Trouble> {
    i64::try_from(value).map_err(|_| Trouble::Said(format!("{value} is more than the database can hold")))
}

/// A count that SQLite gave.
pub(super) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A value as its column holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sql<T>(pub T);

fn unreadable<T>(what: &'static str) -> FromSqlResult<T> {
    Err(FromSqlError::Other(format!("{what} is not what this program writes").into()))
}

impl ToSql for Sql<Timestamp> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let nanoseconds =
            i64::try_from(self.0.as_nanosecond()).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(nanoseconds.into())
    }
}

impl FromSql for Sql<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_nanosecond(i128::from(value.as_i64()?)).map(Sql).or_else(|_| unreadable("a time"))
    }
}

impl ToSql for Sql<Sha256> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.0.0)))
    }
}

impl FromSql for Sql<Sha256> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_blob()?.try_into().map(|octets| Sql(Sha256(octets))).or_else(|_| unreadable("a digest"))
    }
}

impl ToSql for Sql<Eui64> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for Sql<Eui64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Sql).or_else(|_| unreadable("an EUI-64"))
    }
}

impl ToSql for Sql<Date> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for Sql<Date> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Sql).or_else(|_| unreadable("a day"))
    }
}

/// Words are stored as they are written, so that the database can be read with any SQLite tool.
macro_rules! stored_as_word {
    ($($type:ty, $word:expr, $from:expr;)*) => {$(
        impl ToSql for Sql<$type> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let word: fn($type) -> &'static str = $word;
                Ok(word(self.0).into())
            }
        }

        impl FromSql for Sql<$type> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let from: fn(&str) -> Option<$type> = $from;
                from(value.as_str()?).map_or_else(|| unreadable("a word"), |value| Ok(Sql(value)))
            }
        }
    )*};
}

stored_as_word! {
    Outcome, Outcome::as_str, Outcome::from_word;
    FileKind, FileKind::as_str, FileKind::from_word;
    LocationKind, LocationKind::as_str, LocationKind::from_word;
    Queue, Queue::as_str, Queue::from_word;
    Origin, Origin::as_str, Origin::from_word;
    Code, Code::as_str, |word| Code::ALL.iter().copied().find(|code| code.as_str() == word);
}

/// An optional column.
pub(super) fn optional<T>(value: Option<Sql<T>>) -> Option<T> {
    value.map(|value| value.0)
}

/// Makes an id type over a rowid.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(super) i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(out, "{}", self.0)
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    };
}
pub(super) use row_id;
