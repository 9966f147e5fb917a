//! Durable Objects: classes whose objects live under an id, one at a time, with a storage of their own.
//!
//! A class is a struct with `#[durable_object]` and a [`DurableObject`]. Whoever has the binding reaches an object through its
//! [`Stub`]: requests to it are answered by the one instance that lives, in the order in which they came. What must survive is put into
//! its [`Storage`]; fields of the struct are gone when the object was idle for a while.

mod class;
mod list;
mod namespace;
mod sql;
mod sql_row;
mod state;
mod storage;
mod transaction;

pub use class::{DurableObject, ObjectClass, ObjectsExport};
pub use list::{Entries, ListOptions};
pub use namespace::{ObjectId, ObjectNamespace, Stub};
pub use sql::{SqlCursor, SqlCursorIterator, SqlCursorRawIterator, SqlStorage, SqlStorageValue};
pub use state::State;
pub use storage::{ScheduledTime, Storage};
pub use transaction::Transaction;
