//! The database of one object: entries, the guest's tables and the alarm.
//!
//! Everything that is written between two commits is one transaction. The names of our own tables are the platform's; the guest can neither read
//! nor change them by SQL.
//!
//! Promises: nothing is durable before [`Database::commit`], and then all of it. Never does: know when to commit.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use miniflow_runtime::Timestamp;
use miniflow_runtime::clock::Stopwatch;
use miniflow_runtime::storage::Durability;
use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Batch, Connection, OpenFlags, named_params};

use super::authorize;
use super::error::StorageError;

/// A statement that works for longer is stopped.
const STATEMENT_MAX: Duration = Duration::from_secs(30);

/// Instructions of SQLite's between two looks at the time.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Rows that one query returns: they are handed over whole.
const RESULT_MAX_BYTES: usize = 64 << 20;

/// Settings of every connection. The file is ours alone, which saves the shared memory beside it.
const SETTINGS: &[(&str, &str)] = &[
    ("locking_mode", "EXCLUSIVE"),
    ("journal_mode", "WAL"),
    ("temp_store", "MEMORY"),
    ("foreign_keys", "ON"),
    ("trusted_schema", "OFF"),
];

/// What the guest's SQL may ask for: the platform's numbers, of which it documents columns, parameters and patterns. It documents 32 arguments of
/// a function, and allows as many as this.
const LIMITS: &[(Limit, i32)] = &[
    // A little more than an entry has at most.
    (Limit::SQLITE_LIMIT_LENGTH, 2_200_000),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
];

const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE IF NOT EXISTS _cf_METADATA (key INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT;";

/// Key of the alarm in `_cf_METADATA`.
const ALARM: i64 = 1;

/// Which entries, in which order. A blob is greater than any text: it stands for "no end".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    /// The first key.
    pub(super) from: String,
    /// The first key that does not belong to it any more.
    pub(super) to: Option<String>,
    /// The last ones first.
    pub(super) reverse: bool,
    /// At most so many.
    pub(super) limit: Option<u32>,
}

/// What a query returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    /// Names of the columns.
    pub(super) columns: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<Value>>,
    /// Rows inserted, changed or removed, by all statements.
    pub(super) written: u64,
}

/// An open database. Dropped, what was not committed is gone.
pub(super) struct Database {
    connection: Connection,
    guard: Guard,
    /// A transaction of the guest's own is open: it ends when the guest says so.
    explicit: bool,
    /// The alarm as it is committed.
    alarm_committed: Option<Timestamp>,
}

/// What stands between the guest's SQL and the connection.
#[derive(Clone, Default)]
struct Guard(Arc<Mutex<Option<Watch>>>);

/// The guest's SQL is at work.
struct Watch {
    since: Stopwatch,
    /// Why it was refused, if it was.
    refused: Option<String>,
}

impl Guard {
    fn watch(&self) -> std::sync::MutexGuard<'_, Option<Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorize(&self, context: AuthContext<'_>) -> Authorization {
        let mut watch = self.watch();
        // Our own statements may do everything.
        let Some(watch) = watch.as_mut() else { return Authorization::Allow };
        match authorize::refusal(&context) {
            None => Authorization::Allow,
            Some(why) => {
                watch.refused.get_or_insert(why);
                Authorization::Deny
            }
        }
    }

    /// Whether the guest's statement has worked for long enough.
    fn is_overdue(&self) -> bool {
        self.watch().as_ref().is_some_and(|watch| watch.since.elapsed() > STATEMENT_MAX)
    }
}

impl Database {
    /// Opens the file, which is made when it is not there; none: in memory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is not a database.
    pub(super) fn open(path: Option<&Path>, durability: Durability) -> Result<Self, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = match path {
            Some(path) => Connection::open_with_flags(path, flags)?,
            None => Connection::open_in_memory()?,
        };
        connection.set_prepared_statement_cache_capacity(16);
        for (name, value) in SETTINGS {
            connection.pragma_update(None, name, value)?;
        }
        let synchronous = match durability {
            Durability::Normal => "NORMAL",
            Durability::Full => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        // A checkpoint when an idle object is put away would cost two syncs of the disk each.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.execute_batch(TABLES)?;
        for (limit, most) in LIMITS {
            connection.set_limit(*limit, *most)?;
        }
        let guard = Guard::default();
        let (authorizer, progress) = (guard.clone(), guard.clone());
        connection.authorizer(Some(move |context: AuthContext<'_>| authorizer.authorize(context)))?;
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || progress.is_overdue()))?;
        let mut database = Self { connection, guard, explicit: false, alarm_committed: None };
        database.alarm_committed = database.alarm()?;
        Ok(database)
    }

    /// Whether something is written that is not committed, or a transaction of the guest's is open.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// The values of `keys` that are there, in the order of the keys.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn get(&self, keys: &[String]) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut statement = self.connection.prepare_cached(GET)?;
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let mut rows = statement.query(named_params! { ":key": key })?;
            if let Some(row) = rows.next()? {
                found.push((key.clone(), row.get(0)?));
            }
        }
        Ok(found)
    }

    /// The entries of `range`.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn list(&self, range: &Range) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let mut statement = self.connection.prepare_cached(if range.reverse { LIST_REVERSE } else { LIST })?;
        let to = range.to.clone().map_or(Value::Blob(Vec::new()), Value::Text);
        let limit = range.limit.map_or(-1, i64::from);
        let parameters = named_params! { ":from": range.from, ":to": to, ":limit": limit };
        let rows = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes entries: all of them or none.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn put(&mut self, entries: &[(String, Vec<u8>)]) -> Result<(), StorageError> {
        self.atomic(|connection| {
            let mut statement = connection.prepare_cached(PUT)?;
            for (key, value) in entries {
                statement.execute(named_params! { ":key": key, ":value": value })?;
            }
            Ok(())
        })
    }

    /// Removes keys; returns how many were there.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn delete(&mut self, keys: &[String]) -> Result<usize, StorageError> {
        self.atomic(|connection| {
            let mut statement = connection.prepare_cached(DELETE)?;
            keys.iter().try_fold(0, |count, key| Ok(count + statement.execute(named_params! { ":key": key })?))
        })
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn delete_all(&mut self) -> Result<(), StorageError> {
        self.atomic(|connection| {
            connection.pragma_update(None, "defer_foreign_keys", "ON")?;
            // Virtual tables first: they take their own tables with them.
            for query in [VIRTUAL_TABLES, VIEWS, OTHER_TABLES] {
                let names: Vec<String> =
                    connection.prepare(query)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                let kind = if query == VIEWS { "VIEW" } else { "TABLE" };
                for name in names {
                    connection.execute_batch(&format!("DROP {kind} \"{}\"", name.replace('"', "\"\"")))?;
                }
            }
            connection.execute_batch(CLEAR)
        })
    }

    /// Everything that is kept, as texts, by where it is: for whoever compares two objects.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn contents(&self) -> Result<Vec<(String, String)>, StorageError> {
        let tables = self
            .connection
            .prepare(ALL_TABLES)?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        let mut contents = Vec::new();
        for table in tables {
            let mut statement =
                self.connection.prepare(&format!("SELECT * FROM \"{}\"", table.replace('"', "\"\"")))?;
            let columns = statement.column_count();
            let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
            let mut rows: Vec<Vec<String>> = statement.query_map([], row)?.collect::<Result<_, _>>()?;
            rows.sort_unstable();
            for (number, row) in (1..).zip(rows) {
                match (table.as_str(), row.as_slice()) {
                    ("_cf_KV", [key, value]) => contents.push((format!("the entry `{key}`"), value.clone())),
                    ("_cf_METADATA", [_, value]) => contents.push(("the alarm".to_owned(), value.clone())),
                    _ => contents.push((format!("row {number} of the table `{table}`"), row.join(", "))),
                }
            }
        }
        Ok(contents)
    }

    /// Runs the guest's statements and returns the rows of the last.
    ///
    /// # Errors
    ///
    /// When SQLite, or what an object may do, has something against it.
    pub(super) fn exec(&mut self, query: &str, bindings: &[Value]) -> Result<Rows, StorageError> {
        *self.guard.watch() = Some(Watch { since: Stopwatch::start(), refused: None });
        let result = self.exec_watched(query, bindings);
        let watch = self.guard.watch().take();
        let overdue = watch.as_ref().is_some_and(|watch| watch.since.elapsed() > STATEMENT_MAX);
        result.map_err(|error| match watch.and_then(|watch| watch.refused) {
            Some(why) => StorageError::Sql(format!("{why}: SQLITE_AUTH")),
            None if overdue => {
                StorageError::Sql(format!("the query took over {} seconds: SQLITE_INTERRUPT", STATEMENT_MAX.as_secs()))
            }
            None => error,
        })
    }

    fn exec_watched(&mut self, query: &str, bindings: &[Value]) -> Result<Rows, StorageError> {
        let before = self.connection.total_changes();
        let mut result = None;
        let mut used = bindings.is_empty();
        let mut batch = Batch::new(&self.connection, query);
        while let Some(mut statement) = batch.next().map_err(StorageError::of_sql)? {
            let count = statement.parameter_count();
            if count > 0 && count != bindings.len() {
                return Err(StorageError::Bindings { expected: count, given: bindings.len() });
            }
            used |= count > 0;
            if !statement.readonly() && self.connection.is_autocommit() {
                // Ours, which the guest's statements are not allowed.
                let watch = self.guard.watch().take();
                let begun = self.connection.execute_batch(BEGIN);
                *self.guard.watch() = watch;
                begun?;
            }
            let parameters = if count > 0 { bindings } else { &[] };
            let columns = statement.column_names().map(ToOwned::to_owned).collect();
            let mut rows = Rows { columns, ..Rows::default() };
            let width = rows.columns.len();
            let mut found = statement.query(rusqlite::params_from_iter(parameters)).map_err(StorageError::of_sql)?;
            let mut bytes = 0;
            while let Some(row) = found.next().map_err(StorageError::of_sql)? {
                let mut values = Vec::with_capacity(width);
                for index in 0..width {
                    let value = row.get_ref(index).map_err(StorageError::of_sql)?;
                    bytes += size(value);
                    values.push(value.try_into().map_err(|_| {
                        StorageError::Sql("a text of the database is not UTF-8: SQLITE_MISMATCH".to_owned())
                    })?);
                }
                if bytes > RESULT_MAX_BYTES {
                    return Err(StorageError::ResultTooLarge { max: RESULT_MAX_BYTES });
                }
                rows.rows.push(values);
            }
            result = Some(rows);
        }
        let mut rows = result.ok_or_else(|| StorageError::Sql("SQL code did not contain a statement.".to_owned()))?;
        if !used {
            return Err(StorageError::Bindings { expected: 0, given: bindings.len() });
        }
        rows.written = self.connection.total_changes().saturating_sub(before);
        Ok(rows)
    }

    /// Bytes of the database.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn size_bytes(&self) -> Result<u64, StorageError> {
        let number = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(number("page_count")? * number("page_size")?)
    }

    /// When the alarm goes off.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn alarm(&self) -> Result<Option<Timestamp>, StorageError> {
        let mut statement = self.connection.prepare_cached(GET_ALARM)?;
        let mut rows = statement.query(named_params! { ":key": ALARM })?;
        let ms: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(ms.map(|ms| Timestamp(u64::try_from(ms).unwrap_or_default())))
    }

    /// Sets the alarm, or removes it.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn set_alarm(&mut self, at: Option<Timestamp>) -> Result<(), StorageError> {
        self.atomic(|connection| {
            let changed = match at {
                Some(at) => {
                    let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
                    connection.prepare_cached(SET_ALARM)?.execute(named_params! { ":key": ALARM, ":at": at })
                }
                None => connection.prepare_cached(DELETE_ALARM)?.execute(named_params! { ":key": ALARM }),
            };
            changed.map(drop)
        })
    }

    /// Begins a transaction that ends when the guest says so. What was written before it is committed by `publish`.
    ///
    /// # Errors
    ///
    /// When one is open; when the database fails.
    pub(super) fn begin(
        &mut self,
        publish: impl FnMut(Option<Timestamp>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if self.explicit {
            return Err(StorageError::NestedTransaction);
        }
        self.commit(publish)?;
        self.connection.execute_batch(BEGIN)?;
        self.explicit = true;
        Ok(())
    }

    /// Ends the guest's transaction, which is to be committed with the rest.
    ///
    /// # Errors
    ///
    /// When none is open, also when a statement such as `INSERT OR ROLLBACK` has ended it.
    pub(super) fn end(&mut self) -> Result<(), StorageError> {
        if !std::mem::take(&mut self.explicit) || !self.is_open() {
            return Err(StorageError::NoTransaction);
        }
        Ok(())
    }

    /// Takes the guest's transaction back.
    ///
    /// # Errors
    ///
    /// When none is open; when the database fails.
    pub(super) fn rollback(&mut self) -> Result<(), StorageError> {
        self.end()?;
        self.discard()
    }

    /// Takes back what is not committed.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub(super) fn discard(&mut self) -> Result<(), StorageError> {
        self.explicit = false;
        if self.is_open() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    /// Makes everything durable that was written, unless a transaction of the guest's is open. `publish` is told of another alarm: of an earlier
    /// one before it is durable and of a later one after, so that it never knows of one that is too late.
    ///
    /// # Errors
    ///
    /// When the database or `publish` fails.
    pub(super) fn commit(
        &mut self,
        mut publish: impl FnMut(Option<Timestamp>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if self.explicit || !self.is_open() {
            return Ok(());
        }
        let alarm = self.alarm()?;
        let earlier = alarm.unwrap_or(Timestamp::MAX) < self.alarm_committed.unwrap_or(Timestamp::MAX);
        if earlier {
            publish(alarm)?;
        }
        self.connection.execute_batch("COMMIT").map_err(StorageError::of_sql)?;
        if !earlier && alarm != self.alarm_committed {
            publish(alarm)?;
        }
        self.alarm_committed = alarm;
        Ok(())
    }

    /// Does all of it or nothing, in the transaction that is open.
    fn atomic<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StorageError> {
        if !self.is_open() {
            self.connection.execute_batch(BEGIN)?;
        }
        let mut savepoint = self.connection.savepoint()?;
        savepoint.set_drop_behavior(rusqlite::DropBehavior::Rollback);
        let result = work(&savepoint)?;
        savepoint.commit()?;
        Ok(result)
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn size(value: ValueRef<'_>) -> usize {
    // What a row takes beside its contents.
    const EACH: usize = 32;
    EACH + match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 0,
    }
}

const BEGIN: &str = "BEGIN IMMEDIATE";
const ALL_TABLES: &str =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
const GET: &str = "SELECT value FROM _cf_KV WHERE key = :key";
const PUT: &str = "INSERT INTO _cf_KV (key, value) VALUES (:key, :value)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM _cf_KV WHERE key = :key";
const LIST: &str = "SELECT key, value FROM _cf_KV WHERE key >= :from AND key < :to ORDER BY key LIMIT :limit";
const LIST_REVERSE: &str =
    "SELECT key, value FROM _cf_KV WHERE key >= :from AND key < :to ORDER BY key DESC LIMIT :limit";
const GET_ALARM: &str = "SELECT value FROM _cf_METADATA WHERE key = :key";
const SET_ALARM: &str = "INSERT INTO _cf_METADATA (key, value) VALUES (:key, :at)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const DELETE_ALARM: &str = "DELETE FROM _cf_METADATA WHERE key = :key";
const CLEAR: &str = "DELETE FROM _cf_KV; DELETE FROM _cf_METADATA;";
const VIRTUAL_TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'";
const VIEWS: &str = "SELECT name FROM sqlite_schema WHERE type = 'view'";
const OTHER_TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'
    AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'";

#[cfg(test)]
mod tests;
