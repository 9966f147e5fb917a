//! The log of a server: what happens, one record after the other.
//!
//! A [`Record`] says what has happened; [`Format`] makes it a line for people, or a JSON object for programs; the [`Console`] prints it. The names
//! of kinds and fields are those of `docs/terminal.md`: programs rely on them.

mod console;
mod event;
mod format;
mod record;
#[cfg(test)]
mod tests;

pub use console::{Console, Printer};
pub use format::Format;
pub use record::{Record, level_of};
