//! [`SqlStorage`]: SQL on an object's storage.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::sql_row;
use crate::bindings::miniflow::worker::object_sql as wit;
use crate::{Error, Result, host};

/// The SQL side of a storage: a SQLite database of the object's own. What is written belongs together with entries that are.
///
/// ```no_run
/// # use miniflow_sdk::*;
/// # fn f(state: State) -> Result<()> {
/// #[derive(serde::Deserialize)]
/// struct Message { id: i64, text: String }
///
/// let sql = state.storage().sql();
/// sql.exec("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, text TEXT)", None)?;
/// sql.exec("INSERT INTO message (text) VALUES (?)", vec!["hello".into()])?;
/// let messages: Vec<Message> = sql.exec("SELECT * FROM message ORDER BY id", None)?.to_array()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqlStorage {}

impl SqlStorage {
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Returns the size of the database in bytes.
    #[must_use]
    pub fn database_size(&self) -> usize {
        host::required("`SqlStorage::database_size`");
        wit::database_size().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)).unwrap_or_default()
    }

    /// Runs one or several statements, and returns the rows of the last. `bindings` stand for its `?`.
    ///
    /// # Errors
    ///
    /// Code `sql.error` with SQLite's text, also for what an object may not do: `BEGIN`, `ATTACH`, most of `PRAGMA`.
    pub fn exec(&self, query: &str, bindings: impl Into<Option<Vec<SqlStorageValue>>>) -> Result<SqlCursor> {
        host::required("`SqlStorage::exec`");
        let bindings: Vec<_> = bindings.into().unwrap_or_default().into_iter().map(SqlStorageValue::into_wit).collect();
        Ok(SqlCursor::of(wit::exec(query, &bindings)?))
    }
}

/// A value of a database.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlStorageValue {
    /// `NULL`
    Null,
    /// Kept as 0 or 1.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    String(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// The largest integer that JavaScript has exactly.
const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

impl SqlStorageValue {
    /// Makes an integer that JavaScript could read exactly as well.
    ///
    /// # Errors
    ///
    /// When it is beyond 2^53 - 1.
    pub fn try_from_i64(value: i64) -> Result<Self> {
        if (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).contains(&value) {
            Ok(Self::Integer(value))
        } else {
            Err("Value outside JavaScript safe integer range".into())
        }
    }

    fn into_wit(self) -> wit::Value {
        match self {
            Self::Null => wit::Value::Null,
            Self::Boolean(value) => wit::Value::Integer(value.into()),
            Self::Integer(value) => wit::Value::Integer(value),
            Self::Float(value) => wit::Value::Real(value),
            Self::String(value) => wit::Value::Text(value),
            Self::Blob(value) => wit::Value::Blob(value),
        }
    }

    fn from_wit(value: wit::Value) -> Self {
        match value {
            wit::Value::Null => Self::Null,
            wit::Value::Integer(value) => Self::Integer(value),
            wit::Value::Real(value) => Self::Float(value),
            wit::Value::Text(value) => Self::String(value),
            wit::Value::Blob(value) => Self::Blob(value),
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for SqlStorageValue {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Boolean,
    i32 => Integer,
    u32 => Integer,
    i64 => Integer,
    f64 => Float,
    String => String,
    &str => String,
    Vec<u8> => Blob,
}

impl<T: Into<Self>> From<Option<T>> for SqlStorageValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The rows of a query, read once from the first to the last. All clones are the same cursor.
#[derive(Clone)]
pub struct SqlCursor(Rc<Rows>);

struct Rows {
    columns: Vec<String>,
    rows: RefCell<std::vec::IntoIter<Vec<wit::Value>>>,
    rows_read: u64,
    rows_written: u64,
}

impl SqlCursor {
    fn of(rows: wit::Rows) -> Self {
        Self(Rc::new(Rows {
            columns: rows.columns,
            rows: RefCell::new(rows.rows.into_iter()),
            rows_read: rows.rows_read,
            rows_written: rows.rows_written,
        }))
    }

    /// Reads the rows that are left; each field of `T` is the column of its name.
    ///
    /// # Errors
    ///
    /// When a row is not a `T`.
    pub fn to_array<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.next().collect()
    }

    /// Reads the one row of the result.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one, or it is not a `T`.
    pub fn one<T: DeserializeOwned>(&self) -> Result<T> {
        let count = self.0.rows.borrow().len();
        match count {
            1 => self.next().next().unwrap_or_else(|| Err(Error::from("the row is gone"))),
            0 => Err("Expected exactly one result from SQL query, but got no results.".into()),
            _ => Err("Expected exactly one result from SQL query, but got multiple results.".into()),
        }
    }

    /// Returns the names of the columns.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        self.0.columns.clone()
    }

    /// Returns how many rows the query returned.
    #[must_use]
    pub fn rows_read(&self) -> usize {
        usize::try_from(self.0.rows_read).unwrap_or(usize::MAX)
    }

    /// Returns how many rows the query inserted, changed or removed.
    #[must_use]
    pub fn rows_written(&self) -> usize {
        usize::try_from(self.0.rows_written).unwrap_or(usize::MAX)
    }

    /// Returns the rows that are left, one by one.
    #[must_use]
    pub fn next<T: DeserializeOwned>(&self) -> SqlCursorIterator<T> {
        SqlCursorIterator { cursor: self.clone(), row: PhantomData }
    }

    /// Returns the values of the rows that are left, row by row.
    #[must_use]
    pub fn raw(&self) -> SqlCursorRawIterator {
        SqlCursorRawIterator { cursor: self.clone() }
    }

    fn take(&self) -> Option<Vec<wit::Value>> {
        self.0.rows.borrow_mut().next()
    }
}

impl fmt::Debug for SqlCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlCursor({} rows left)", self.0.rows.borrow().len())
    }
}

/// The rows of a cursor as `T`.
#[derive(Debug)]
pub struct SqlCursorIterator<T> {
    cursor: SqlCursor,
    row: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for SqlCursorIterator<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(sql_row::decode(&self.cursor.0.columns, self.cursor.take()?))
    }
}

/// The rows of a cursor as values.
#[derive(Debug)]
pub struct SqlCursorRawIterator {
    cursor: SqlCursor,
}

impl Iterator for SqlCursorRawIterator {
    type Item = Result<Vec<SqlStorageValue>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Ok(self.cursor.take()?.into_iter().map(SqlStorageValue::from_wit).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(rows: Vec<Vec<wit::Value>>) -> SqlCursor {
        let columns = vec!["id".to_owned(), "text".to_owned()];
        SqlCursor::of(wit::Rows { columns, rows, rows_read: 2, rows_written: 0 })
    }

    fn row(id: i64, text: &str) -> Vec<wit::Value> {
        vec![wit::Value::Integer(id), wit::Value::Text(text.to_owned())]
    }

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Message {
        id: i64,
        text: String,
    }

    #[test]
    fn rows_are_read_once_in_whatever_way() {
        let rows = cursor(vec![row(1, "a"), row(2, "b"), row(3, "c")]);
        assert_eq!(rows.next::<Message>().next().unwrap().unwrap(), Message { id: 1, text: "a".into() });
        let raw = rows.raw().next().unwrap().unwrap();
        assert_eq!(raw, [SqlStorageValue::Integer(2), SqlStorageValue::String("b".into())]);
        assert_eq!(rows.to_array::<Message>().unwrap(), [Message { id: 3, text: "c".into() }]);
        assert!(rows.to_array::<Message>().unwrap().is_empty());
        assert_eq!(rows.column_names(), ["id", "text"]);
    }

    #[test]
    fn one_is_one() {
        assert_eq!(cursor(vec![row(1, "a")]).one::<Message>().unwrap().id, 1);
        assert!(cursor(vec![]).one::<Message>().unwrap_err().to_string().ends_with("got no results."));
        assert!(cursor(vec![row(1, "a"), row(2, "b")]).one::<Message>().is_err());
    }

    #[test]
    fn values_are_made_of_what_programs_have() {
        assert_eq!(SqlStorageValue::from(None::<i64>), SqlStorageValue::Null);
        assert_eq!(SqlStorageValue::from(Some("x")), SqlStorageValue::String("x".into()));
        assert!(matches!(SqlStorageValue::from(true).into_wit(), wit::Value::Integer(1)));
        assert!(SqlStorageValue::try_from_i64(1 << 53).is_err());
    }
}
