//! Takes what a server needs of the machine before anything is built: a port, and a folder for its state.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::DevOptions;
use crate::config::{Problem, Problems};
use crate::dev::hide_from_git;

/// Binds `address`.
///
/// # Errors
///
/// When it cannot be had.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Problems> {
    TcpListener::bind(address).await.map_err(|error| {
        let (ip, port) = (address.ip(), address.port());
        let problem = match error.kind() {
            ErrorKind::AddrInUse => Problem::error(format!("port {port} on {ip} is in use"))
                .with_hint("stop what uses it, or pass another one: `--port 0` takes any that is free"),
            ErrorKind::PermissionDenied => Problem::error(format!("port {port} on {ip} may not be used"))
                .with_hint("pass a port from 1024 on with `--port`"),
            ErrorKind::AddrNotAvailable => Problem::error(format!("this machine has no address {ip}"))
                .with_hint("pass `--ip 127.0.0.1`, or `--ip 0.0.0.0` for all addresses"),
            _ => Problem::error(format!("could not listen on {address}: {error}"))
                .with_hint("pass another address with `--ip` and `--port`"),
        };
        problem.into()
    })
}

/// Refuses an address that others reach, when they could do everything there: it takes a token, or somebody who means it.
///
/// # Errors
///
/// When that is so.
pub(super) fn alone_or_guarded(options: &DevOptions) -> Result<(), Problems> {
    let ip = options.address.ip();
    if ip.to_canonical().is_loopback() || options.api_token.is_some() || options.allow_anyone {
        return Ok(());
    }
    let message = format!("everybody who reaches {ip} could drive the instances of this server");
    let hint =
        "ask for a token with `--api-token`, stay on this machine with `--ip 127.0.0.1`, or pass `--allow-anyone`";
    Err(Problem::error(message).with_hint(hint).into())
}

/// Makes `folder` if it is not there, and makes sure that it can be used. `ignored` is a folder at or above it that
/// git should not see.
///
/// # Errors
///
/// When it cannot be made, read or written to.
pub(super) fn state_folder(folder: &Path, ignored: Option<&Path>) -> Result<(), Problems> {
    const HINT: &str = "pass another folder with `--persist-to`, or `--ephemeral` to keep nothing";
    let problem = |what: String| Problems::from(Problem::error(what).with_hint(HINT));
    let shown = folder.display();
    if folder.exists() && !folder.is_dir() {
        return Err(problem(format!("state cannot be kept in `{shown}`, which is not a folder")));
    }
    let failed = |error: std::io::Error| problem(format!("state cannot be kept in `{shown}`: {error}"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::read_dir(folder).map_err(failed)?;
    match ignored {
        Some(ignored) => hide_from_git(ignored).map_err(failed),
        None => Ok(()),
    }
}
