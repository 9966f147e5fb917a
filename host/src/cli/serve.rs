//! `miniflow dev`: serves a Worker.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use miniflow_runtime::clock::{MovableClock, TimeMode};
use miniflow_runtime::cron::{Cron, Utc};
use miniflow_runtime::dispatcher::CatchUp;
use miniflow_runtime::{Clock as _, storage};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt;

use super::dev::{CronCatchUp, DevArgs, DevOptions, Durability, StateFolder};
use super::keys::{Keyboard, Keys};
use super::ports_file::PortsFile;
use super::reporter::Reporter;
use super::stop::Stop;
use super::{authorities, browser, first, place, project};
use crate::bindings::logging::Level;
use crate::config::{self, Problem, Problems, Project};
use crate::dev::OWN_FOLDER;
use crate::dev::{Listener, Load, Worker};
use crate::report::log::{Console, Record};
use crate::report::{self, Banner, Served, StateKept, Style};
use crate::server::{Server, ServerOptions};
use crate::session::Built;
use crate::wasm::default_cache_dir;
use crate::wasm::network::Network;
use crate::wasm::tls::Authorities;

/// Runs `miniflow dev` until it is stopped.
///
/// # Errors
///
/// When the Worker cannot be served. Why has been said: the log may be one of JSON.
pub(super) async fn run(args: DevArgs, style: Style) -> Result<(), Problems> {
    let (console, printer) = Console::start(args.format(style), args.least())
        .map_err(|error| Problem::error(format!("could not start a thread: {error}")))?;
    if args.least().is_some() {
        // Fails only when somebody who embeds this has one already: theirs is used then.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(console.clone()));
    }
    let reporter = Reporter::new(console);
    let served = Box::pin(build_and_serve(args, &reporter)).await;
    let served = served.map_err(|problems| {
        reporter.failure(&problems);
        Problems::default()
    });
    printer.finish();
    served
}

async fn build_and_serve(args: DevArgs, reporter: &Reporter) -> Result<(), Problems> {
    reporter.problems(&args.project.of_wrangler.note().into_iter().collect());
    let projects = args.project.load(project::variable)?;
    let Some(first) = projects.first() else { return Ok(()) };
    for project in &projects {
        reporter.problems(&project.warnings);
    }
    let options = args.options(first);
    place::alone_or_guarded(&options)?;
    let (authorities, passed_over) = authorities::read(&options.ca_files, |name| std::env::var_os(name))?;
    reporter.problems(&passed_over);
    // All of this comes before a build, which may take minutes.
    let listener = place::listen(options.address).await?;
    let ports_file = options.ports_file.as_deref().map(PortsFile::prepare).transpose()?;
    prepare_state(&options.state, first)?;
    let tell: Arc<dyn Listener> = Arc::new(reporter.clone());
    let options_of_load = args.project.options(project::variable);
    let new = |(project, path): (Project, &PathBuf)| {
        let (path, with) = (path.clone(), options_of_load.clone());
        let load: Load = Arc::new(move || config::load(&path, &with));
        Worker::new(project, load, args.project.env_file.clone(), args.builds(), Arc::clone(&tell))
    };
    let mut workers: Vec<_> = projects.into_iter().zip(&args.project.paths()).map(new).collect();
    first::build(&mut workers, &listener, reporter).await?;
    for Worker { project, .. } in workers.iter().filter(|worker| !worker.project.without_effect.is_empty()) {
        let keys = project.without_effect.join("`, `");
        tracing::debug!("`{}`: of its configuration `{keys}` change nothing here", project.name);
    }
    serve_until_stopped(workers, &options, authorities, Place { listener, ports_file }, reporter).await
}

fn prepare_state(state: &StateFolder, project: &Project) -> Result<(), Problems> {
    match state {
        StateFolder::OfProject(folder) => place::state_folder(folder, Some(&project.root.join(OWN_FOLDER))),
        StateFolder::Given(folder) => place::state_folder(folder, None),
        StateFolder::None => Ok(()),
    }
}

/// Where it is reached, and where that is told.
struct Place {
    listener: TcpListener,
    ports_file: Option<PortsFile>,
}

async fn serve_until_stopped(
    workers: Vec<Worker>,
    options: &DevOptions,
    authorities: Authorities,
    Place { listener, ports_file }: Place,
    reporter: &Reporter,
) -> Result<(), Problems> {
    let server_options = ServerOptions {
        state: options.state.path().map(Path::to_owned),
        durability: match options.durability {
            Durability::Normal => storage::Durability::Normal,
            Durability::Full => storage::Durability::Full,
        },
        cache_dir: default_cache_dir(|name| std::env::var_os(name)),
        compiler: None,
        live_runs_max: options.live_runs_max,
        scripts: None,
        outside: None,
        test_scheduled: options.test_scheduled,
        api_token: options.api_token.clone(),
        is_shared: !options.address.ip().to_canonical().is_loopback(),
        catch_up: match options.cron_catch_up {
            CronCatchUp::None => CatchUp::None,
            CronCatchUp::Latest => CatchUp::Latest,
            CronCatchUp::All => CatchUp::All,
        },
        fires: !options.no_cron,
        strict_determinism: options.strict_determinism,
        time: options.time,
        network: options.network.clone(),
        authorities,
        logs: Arc::new(reporter.console().clone()),
    };
    let built = |worker: &Worker| {
        let component = worker.component.clone()?;
        Some(Built { project: worker.project.clone(), component })
    };
    let server = Server::start(workers.iter().filter_map(built).collect(), server_options).await?;
    reporter.problems(server.warnings());
    let address = listener.local_addr().map_err(|error| Problem::error(format!("could not listen: {error}")))?;
    let url = format!("http://{}", reachable(address));
    // Before anybody is told that it is ready: a script may have it stopped at once.
    let stop = Stop::listen();
    if let Some(file) = &ports_file {
        file.write(address, &url)?;
    }
    reporter.console().show(&ready(&server, options, address, reporter));
    tell_of_missed(&server, reporter.console());
    if options.open {
        browser::open(&url);
    }
    let mut developing = JoinSet::new();
    let quit = Arc::new(Notify::new());
    if Keys::are_wanted(reporter.console())
        && let Some(keyboard) = Keyboard::take()
    {
        let keys = Keys {
            url,
            console: reporter.console().clone(),
            crons: server.crons().clone(),
            instances: server.instances(),
            mover: server.mover().clone(),
            rebuild: workers.iter().map(Worker::rebuild).collect(),
            quit: Arc::clone(&quit),
        };
        developing.spawn(keys.serve(keyboard));
    }
    for worker in workers {
        developing.spawn(worker.develop(server.reloader(), options.on_divergence));
    }
    let served = server.serve(listener, stop.asked_for(quit.notified())).await;
    // What is being built is not wanted any more.
    developing.shutdown().await;
    served.map_err(|error| Problem::error(format!("the server stopped: {error}")).into())
}

/// Where a client of this machine finds a server that listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What is said when it is ready: the banner.
fn ready(server: &Server, options: &DevOptions, address: SocketAddr, reporter: &Reporter) -> Record {
    let url = format!("http://{address}");
    let members = server.session().members();
    let served: Vec<_> = members.iter().map(|member| Served::from(&**member)).collect();
    let recovered = server.recovered();
    let banner = Banner {
        workers: &served,
        url: &url,
        state: options.state.path().map_or(StateKept::InMemory, StateKept::Folder),
        resumed: recovered.unfinished,
        orphaned: recovered.orphaned,
        next_wake: server.next_wake(),
        schedules: schedules(server),
        network: network_line(&options.network),
        time: time_line(server.mover().clock()),
    };
    let names: Vec<_> = members.iter().map(|member| member.name()).collect();
    let state = options.state.path().map_or(Value::Null, |path| path.display().to_string().into());
    let schedules = banner.schedules.iter().map(|[cron, of, next]| json!({ "cron": cron, "of": of, "next": next }));
    Record::new(Level::Info, "ready", format!("ready on {url}"))
        .with("url", url.as_str())
        .with("pid", std::process::id())
        .with("workers", names)
        .with("state", state)
        .with("resumed", recovered.unfinished)
        .with("orphaned", recovered.orphaned)
        .with("schedules", schedules.collect::<Vec<_>>())
        .shown_as(banner.render(reporter.console().format().style()))
}

/// Says what should have fired while no session was there.
fn tell_of_missed(server: &Server, console: &Console) {
    for missed in &server.recovered().missed {
        let text = report::missed(std::slice::from_ref(missed));
        let record = Record::new(Level::Warn, "cron", text.trim())
            .with("event", "missed")
            .with("cron", missed.cron.as_str())
            .with("count", missed.count)
            .with("runs", missed.runs);
        console.show(&record.shown_as(text));
    }
}

/// Each expression that fires by itself: whose it is, and when it fires next.
fn schedules(server: &Server) -> Vec<[String; 3]> {
    let now = server.mover().clock().now();
    let row = |cron: &Cron, whose: String| {
        let next = cron.next_after(now).map_or_else(|| "never".to_owned(), |at| Utc::of(at).to_string());
        [cron.as_str().to_owned(), whose, next]
    };
    let workflows = server.definitions().iter().flat_map(|definition| {
        definition.schedules.iter().map(move |cron| row(cron, format!("workflow {}", definition.name)))
    });
    let triggers = server.triggers().iter().map(|trigger| row(&trigger.cron, format!("handler of {}", trigger.worker)));
    workflows.chain(triggers).collect()
}

/// Where Workers' requests may go, if that is worth a line.
fn network_line(network: &Network) -> Option<String> {
    let allowed = network.allowed()?;
    let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    Some(if names.is_empty() {
        "none: Workers reach nothing outside".to_owned()
    } else {
        format!("only {}", names.join(", "))
    })
}

/// What the clock says, if that is worth a line.
fn time_line(clock: &MovableClock) -> Option<String> {
    // Rounded: what was kept is a whole number of milliseconds.
    let (mode, ahead) = (clock.mode(), (clock.offset() + Duration::from_millis(500)).as_secs());
    match (mode, ahead) {
        (TimeMode::Real, 0) => None,
        (mode, 0) => Some(mode.to_string()),
        (mode, ahead) => Some(format!("{mode}, {} ahead of the machine's", report::units(ahead))),
    }
}
