//! Being asked to stop.

use super::keys;

/// Resolves when Ctrl-C is pressed, the process is told to end, or `quit` resolves. After that, being told once more ends it at once.
pub(super) async fn asked_for(quit: impl Future<Output = ()>) {
    tokio::select! {
        () = once() => {}
        () = quit => {}
    }
    tokio::spawn(async {
        once().await;
        keys::restore();
        #[expect(clippy::exit, reason = "whoever asks twice does not want to wait; what is committed is safe")]
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn once() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return ctrl_c().await;
    };
    tokio::select! {
        () = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn once() {
    ctrl_c().await;
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // No handler can be had: then the system's own ends the process.
        std::future::pending::<()>().await;
    }
}
