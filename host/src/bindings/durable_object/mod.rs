//! Durable Objects as guests see them: their ids, and to an object its storage.
//!
//! A storage is a SQLite database of the object's own, so that 10,000 objects are 10,000 small files, of which few are open. Everything an object
//! keeps is in it, entries, tables and alarm, and so in one transaction.
//!
//! Promises: a guest reaches the classes its configuration binds and no others, and an object its own storage and no other; nothing leaves an object
//! before what it wrote is durable. Never does: run an object; that is [`crate::triggers::durable_object`].

pub mod alarms;
mod authorize;
mod databases;
mod error;
mod host;
mod id;
mod range;
mod storage;
mod store;

pub use alarms::{Alarm, Alarms, ObjectKey};
pub use databases::Databases;
pub use error::StorageError;
pub use id::{IdError, Namespace, ObjectId};
pub use storage::{AlarmEnd, ObjectStorage};
