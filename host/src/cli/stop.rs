//! Being asked to stop.
//!
//! Promises: who is told that the server is ready can ask it to stop in order. Never does: stop anything by itself, unless it is asked twice.

use super::keys;

/// Hears Ctrl-C and, where there is such a thing, the signal that tells a process to end.
pub(super) struct Stop(signals::Signals);

impl Stop {
    /// Hears them from now on; before, the system's own way ends the process.
    pub(super) fn listen() -> Self {
        Self(signals::Signals::listen())
    }

    /// Resolves when one was heard, or `quit` resolves. After that, being told once more ends the process at once.
    pub(super) async fn asked_for(mut self, quit: impl Future<Output = ()>) {
        tokio::select! {
            () = self.0.next() => {}
            () = quit => {}
        }
        tokio::spawn(async move {
            self.0.next().await;
            // Whoever asks twice does not want to wait; what is committed is safe.
            keys::restore();
            std::process::exit(130);
        });
    }
}

#[cfg(unix)]
mod signals {
    use std::future;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// None: no handler can be had, and the system's own ends the process.
    pub(super) struct Signals {
        interrupt: Option<Signal>,
        terminate: Option<Signal>,
    }

    impl Signals {
        pub(super) fn listen() -> Self {
            let heard = |kind| signal(kind).ok();
            Self { interrupt: heard(SignalKind::interrupt()), terminate: heard(SignalKind::terminate()) }
        }

        pub(super) async fn next(&mut self) {
            tokio::select! {
                () = heard(&mut self.interrupt) => {}
                () = heard(&mut self.terminate) => {}
            }
        }
    }

    async fn heard(signal: &mut Option<Signal>) {
        let heard = match signal {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if heard.is_none() {
            future::pending().await
        }
    }
}

#[cfg(windows)]
mod signals {
    use std::future;

    use tokio::signal::windows::{CtrlC, ctrl_c};

    /// None: no handler can be had, and the system's own ends the process.
    pub(super) struct Signals(Option<CtrlC>);

    impl Signals {
        pub(super) fn listen() -> Self {
            Self(ctrl_c().ok())
        }

        pub(super) async fn next(&mut self) {
            let heard = match &mut self.0 {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if heard.is_none() {
                future::pending().await
            }
        }
    }
}
