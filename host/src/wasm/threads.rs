//! The threads guests run on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Tasks a worker thread runs before it looks at sockets and timers. Guests that compute are let go every few
/// milliseconds and keep every thread busy; with tokio's 61 a request beside four of them waits for half a second before
/// anybody sees that it came.
const EVENT_INTERVAL: u32 = 3;

/// Returns the runtime for everything that serves guests: connections, runs, the guests themselves.
///
/// # Errors
///
/// When the machine gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_name("miniflow-guests").event_interval(EVENT_INTERVAL).build()
}
