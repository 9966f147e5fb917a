//! The console: `console_log!` and its siblings.
//!
//! A line goes to the developer's terminal with the request, or the instance, step and attempt, it came from. In a native
//! build it goes to stderr. Logging never fails and never waits.

use std::fmt;

use crate::bindings::miniflow::worker::logging;

/// The importance of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `console_debug!`
    Debug,
    /// `console_info!`
    Info,
    /// `console_log!`
    Log,
    /// `console_warn!`
    Warn,
    /// `console_error!`
    Error,
}

/// Prints a line. The macros call it; there is no need to do so directly.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    if cfg!(target_family = "wasm") {
        let level = match level {
            Level::Debug => logging::Level::Debug,
            Level::Info => logging::Level::Info,
            Level::Log => logging::Level::Log,
            Level::Warn => logging::Level::Warn,
            Level::Error => logging::Level::Error,
        };
        logging::log(level, &message.to_string());
    } else {
        use std::io::Write;
        // A closed stderr is no reason for a Worker's unit test to fail.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}

/// Prints a line on the console.
///
/// ```
/// miniflow_sdk::console_log!("order {} arrived", 7);
/// ```
#[macro_export]
macro_rules! console_log {
    ($($t:tt)*) => { $crate::console::log($crate::console::Level::Log, ::core::format_args!($($t)*)) };
}

/// Prints a line that helps while debugging.
#[macro_export]
macro_rules! console_debug {
    ($($t:tt)*) => { $crate::console::log($crate::console::Level::Debug, ::core::format_args!($($t)*)) };
}

/// Prints a line of information.
#[macro_export]
macro_rules! console_info {
    ($($t:tt)*) => { $crate::console::log($crate::console::Level::Info, ::core::format_args!($($t)*)) };
}

/// Prints a warning.
#[macro_export]
macro_rules! console_warn {
    ($($t:tt)*) => { $crate::console::log($crate::console::Level::Warn, ::core::format_args!($($t)*)) };
}

/// Prints an error.
#[macro_export]
macro_rules! console_error {
    ($($t:tt)*) => { $crate::console::log($crate::console::Level::Error, ::core::format_args!($($t)*)) };
}
