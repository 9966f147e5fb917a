//! `miniflow test PATH -- COMMAND`: a server for the tests of any language, as long as they run.
//!
//! Promises: nothing is kept, idle time is skipped, nothing fires by itself, and nothing goes to the network that was not allowed; whatever
//! becomes of the command, the server ends with it. Never does: look at what the command prints.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, BoxFuture};
use http::{Request, Response};
use miniflow_runtime::clock::{TimeMode, real};
use miniflow_runtime::script::Scripts;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tracing_subscriber::layer::SubscriberExt as _;

use super::TestArgs;
use crate::bindings::logging::Level;
use crate::cli::loaded::{build_all, show};
use crate::cli::project;
use crate::cli::stop::Stop;
use crate::config::{Problem, Problems};
use crate::dev::build::Profile;
use crate::report::Style;
use crate::report::log::{Console, Format, Printer};
use crate::server::{Server, ServerOptions};
use crate::verify::scenario::Scenario;
use crate::wasm::default_cache_dir;
use crate::wasm::outside::{Deed, Doer, Outside, send};

/// Where the command finds the server.
const URL: &str = "MINIFLOW_URL";

/// How long a command may take to end by itself when we are asked to stop, real time.
const GRACE: Duration = Duration::from_secs(2);

/// Serves, runs the command, and returns its exit code.
pub(super) async fn run(args: &TestArgs, style: Style) -> Result<ExitCode, Problems> {
    show(&args.project.of_wrangler.note().into_iter().collect(), style);
    let projects = args.project.load(project::variable)?;
    for project in &projects {
        show(&project.warnings, style);
    }
    let scenario = super::scenario(args)?;
    let workers = build_all(projects, (!args.no_build).then_some(Profile::Development)).await?;
    let (console, printer) = console(style)?;
    let options = ServerOptions {
        cache_dir: default_cache_dir(|name| std::env::var_os(name)),
        scripts: Some(Arc::new(Scripts::default())),
        outside: Some(Arc::new(Stubbed(scenario))),
        time: Some(TimeMode::Skip),
        test_scheduled: true,
        fires: false,
        strict_determinism: args.strict_determinism,
        ..ServerOptions::in_memory(Arc::new(console))
    };
    let ran = serve(Server::start(workers, options).await?, &args.command, style).await;
    printer.finish();
    ran
}

fn console(style: Style) -> Result<(Console, Printer), Problems> {
    // The command is the one that speaks here.
    let started = Console::start(Format::Text(style), Some(Level::Info));
    let (console, printer) = started.map_err(|error| Problem::error(format!("could not start a thread: {error}")))?;
    // Fails only when somebody who embeds this has one already: theirs is used then.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(console.clone()));
    Ok((console, printer))
}

async fn serve(server: Server, command: &[OsString], style: Style) -> Result<ExitCode, Problems> {
    show(server.warnings(), style);
    let no_port = |error: std::io::Error| Problem::error(format!("could not listen: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(no_port)?;
    let address = listener.local_addr().map_err(no_port)?;
    // Before the command is there: whoever stops us from now on stops it as well.
    let stop = Stop::listen();
    let mut child = start(command, &format!("http://{address}"))?;
    let (ended, end) = oneshot::channel::<()>();
    let served = server.serve(listener, async {
        // Dropped is as good.
        let _ = end.await;
    });
    let waiting = async move {
        let status = wait(&mut child, stop).await;
        drop(ended);
        status
    };
    let (served, status) = future::join(served, waiting).await;
    served.map_err(|error| Problem::error(format!("the server stopped: {error}")))?;
    let status = status.map_err(|error| Problem::error(format!("the command cannot be waited for: {error}")))?;
    Ok(ExitCode::from(code(status)))
}

fn start(command: &[OsString], url: &str) -> Result<Child, Problems> {
    const HINT: &str = "what comes after `--` is a program and its arguments, such as `-- npm test`; a line for a shell is \
                        `-- sh -c 'LINE'`";
    let [program, arguments @ ..] = command else { return Err(Problem::error("there is no command").into()) };
    let started = Command::new(program).args(arguments).env(URL, url).kill_on_drop(true).spawn();
    let shown = program.to_string_lossy();
    started.map_err(|error| Problem::error(format!("could not start `{shown}`: {error}")).with_hint(HINT).into())
}

/// Waits for the end of the command. When we are asked to stop, it was asked as well if that came from the keyboard; otherwise it is ended.
async fn wait(child: &mut Child, stop: Stop) -> std::io::Result<ExitStatus> {
    tokio::select! {
        biased;
        status = child.wait() => return status,
        () = stop.asked_for(future::pending()) => {}
    }
    if let Some(status) = real::timeout(GRACE, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

#[cfg(unix)]
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;

    // As shells say it.
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The network, as the arguments say it.
struct Stubbed(Scenario);

impl Outside for Stubbed {
    fn sees(&self, _doer: Option<&Doer>, _deed: Deed) -> bool {
        true
    }

    fn answer(
        &self,
        _doer: Option<Doer>,
        request: Request<Bytes>,
    ) -> BoxFuture<'static, Result<Response<Bytes>, String>> {
        let stubbed = self.0.stubbed(&request);
        let allow_net = self.0.allow_net;
        Box::pin(async move {
            match stubbed {
                Some(answer) => Ok(answer),
                None if allow_net => send(request).await,
                None => Err(format!(
                    "{} {} was not sent: tests have no network. Answer it with `--stub FILE`, or let it out with `--allow-net`",
                    request.method(),
                    request.uri()
                )),
            }
        })
    }
}
