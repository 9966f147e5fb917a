//! The first build of a session: the one before which there is nothing to serve.

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::reporter::Reporter;
use crate::bindings::logging::Level;
use crate::config::{Problem, Problems};
use crate::dev::Worker;
use crate::report::log::Record;
use crate::triggers::http::{NotBuilt, serve};

/// Builds `workers`, one after the other: cargo uses all cores by itself. From now on their sources are watched.
///
/// One that cannot be built is served as an earlier build has left it. Where there is nothing of that kind either, this waits for sources
/// that can be built, and answers requests on `listener` with that meanwhile.
///
/// # Errors
///
/// When it does not depend on the sources: there is no compiler, for example; or what was to be served without building is not there.
pub(super) async fn build(workers: &mut [Worker], listener: &TcpListener, reporter: &Reporter) -> Result<(), Problems> {
    let mut hopeless = Problems::default();
    let mut waiting = Vec::new();
    for worker in workers {
        worker.watch().await;
        let Err(error) = worker.build().await else { continue };
        if !worker.can_heal(&error) {
            hopeless.extend(Problems::from(error));
            continue;
        }
        let has_last = worker.take_last_build().await;
        reporter.problems(&Problems::from(error));
        if has_last {
            reporter.kept(&worker.project.name, "this build failed, an earlier one has left something");
        } else {
            waiting.push(worker);
        }
    }
    hopeless.or(())?;
    if waiting.is_empty() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Problem::error(format!("could not listen: {error}"));
    let address = listener.local_addr().map_err(failed)?;
    let url = format!("http://{address}");
    let message = format!("waiting for sources that can be built; requests are answered with 503: {url}");
    let waits = Record::new(Level::Warn, "build", &message).with("event", "waiting").with("url", url);
    reporter.console().show(&waits.shown_as(message + "\n"));
    let meanwhile = second(listener).map_err(failed)?;
    let (built, done) = oneshot::channel::<()>();
    let building = async move {
        join_all(waiting.into_iter().map(Worker::until_built)).await;
        drop(built);
    };
    let stop = async {
        // Ends with an error, when the other side is dropped.
        let _ = done.await;
    };
    let (served, ()) = tokio::join!(serve(meanwhile, NotBuilt, stop), building);
    served.map_err(|error| failed(error).into())
}

/// Another listener on the same socket: connections that come in between wait for the next.
fn second(listener: &TcpListener) -> std::io::Result<TcpListener> {
    #[cfg(unix)]
    let second = {
        use std::os::fd::AsFd as _;
        std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?)
    };
    #[cfg(windows)]
    let second = {
        use std::os::windows::io::AsSocket as _;
        std::net::TcpListener::from(listener.as_socket().try_clone_to_owned()?)
    };
    TcpListener::from_std(second)
}
