//! `miniflow dev`: serves a Worker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{FalseyValueParser, NonEmptyStringValueParser};
use clap::{Args, ValueEnum};
use miniflow_runtime::clock::{MovableClock, TimeMode};
use miniflow_runtime::cron::{Cron, Utc};
use miniflow_runtime::dispatcher::CatchUp;
use miniflow_runtime::{Clock as _, storage};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt;

use super::project::{self, ProjectArgs};
use super::{first, place, stop};
use crate::bindings::logging::{Level, LogLine, LogSink};
use crate::config::{self, Problem, Problems, Project};
use crate::dev::OWN_FOLDER;
use crate::dev::build::{self, Progress};
use crate::dev::{Listener, Load, News, Worker};
use crate::report::{self, Banner, Console, Printer, Served, StateKept, Style, terminal};
use crate::server::{Server, ServerOptions};
use crate::session::{self, Built};
use crate::wasm::default_cache_dir;

/// The port that wrangler has too.
const PORT: u16 = 8787;

/// Build and serve a Worker, and keep its workflow instances between sessions
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    #[command(flatten)]
    pub(super) project: ProjectArgs,

    /// The port to listen on; 0 takes any that is free [default: `dev.port` of the configuration, or 8787]
    #[arg(long, env = "MINIFLOW_PORT", hide_env_values = true)]
    port: Option<u16>,

    /// The address to listen on [default: `dev.ip` of the configuration, or localhost]
    #[arg(long, env = "MINIFLOW_IP", hide_env_values = true, value_parser = parse_ip)]
    ip: Option<IpAddr>,

    /// Where to keep the state [default: .miniflow/state in the folder of the Worker]
    #[arg(long, env = "MINIFLOW_PERSIST_TO", hide_env_values = true, value_name = "FOLDER")]
    persist_to: Option<PathBuf>,

    /// Keep nothing when the server stops, whatever `--persist-to` says
    #[arg(long, env = "MINIFLOW_EPHEMERAL", hide_env_values = true, value_parser = FalseyValueParser::new())]
    ephemeral: bool,

    /// What a commit survives: a crash of this program (`normal`), or a power failure too (`full`, slower)
    #[arg(long, env = "MINIFLOW_DURABILITY", hide_env_values = true, value_enum, default_value_t = Durability::Normal)]
    durability: Durability,

    /// Serve what the last build left instead of building
    #[arg(long, env = "MINIFLOW_NO_BUILD", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_build: bool,

    /// What requests to the REST API have to bring as `Authorization: Bearer TOKEN` [default: nothing]
    #[arg(long, env = "MINIFLOW_API_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = NonEmptyStringValueParser::new())]
    api_token: Option<String>,

    /// Let everybody who reaches `--ip` over the network drive the instances, without a token
    #[arg(long, env = "MINIFLOW_ALLOW_ANYONE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    allow_anyone: bool,

    /// Fire a cron trigger by a request to /__scheduled?cron=EXPRESSION, as to /cdn-cgi/local/scheduled
    #[arg(long, env = "MINIFLOW_TEST_SCHEDULED", hide_env_values = true, value_parser = FalseyValueParser::new())]
    test_scheduled: bool,

    /// Fire no cron triggers and no schedules
    #[arg(long, env = "MINIFLOW_NO_CRON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_cron: bool,

    /// What to do about cron triggers and schedules that were missed while no session was there: nothing, run the last of each, or all
    #[arg(long, env = "MINIFLOW_CRON_CATCH_UP", hide_env_values = true, value_enum, default_value_t = CronCatchUp::None, value_name = "WHICH")]
    cron_catch_up: CronCatchUp,

    /// How time passes: `real`, `x60` (60 times as fast), `skip` (idle time is skipped) or `manual` (only when it is moved)
    /// [default: as when the last session of this state ended, at first `real`]
    #[arg(long, env = "MINIFLOW_TIME", hide_env_values = true, value_name = "MODE")]
    time: Option<TimeMode>,

    /// What becomes of instances that do not fit new code: they are paused, they begin again, or they go on all the same
    #[arg(long, env = "MINIFLOW_ON_DIVERGENCE", hide_env_values = true, value_enum, default_value_t = OnDivergence::Pause, value_name = "POLICY")]
    on_divergence: OnDivergence,

    /// What to print of what happens
    #[arg(long, env = "MINIFLOW_LOG_LEVEL", hide_env_values = true, value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    log_level: LogLevel,
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// A crash of the program.
    #[value(help = None)]
    Normal,
    /// A power failure as well.
    #[value(help = None)]
    Full,
}

/// What becomes of instances that do not fit new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnDivergence {
    /// They are paused.
    #[value(help = None)]
    Pause,
    /// They begin again.
    #[value(help = None)]
    Restart,
    /// They go on.
    #[value(help = None)]
    Continue,
}

/// What becomes of what was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CronCatchUp {
    /// It is skipped.
    #[value(help = None)]
    None,
    /// The last of each expression runs.
    #[value(help = None)]
    Latest,
    /// All run.
    #[value(help = None)]
    All,
}

/// What is printed of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    #[value(help = None)]
    None,
    #[value(help = None)]
    Error,
    #[value(help = None)]
    Warn,
    /// wrangler also calls it `log`.
    #[value(help = None, alias = "log")]
    Info,
    #[value(help = None)]
    Debug,
}

/// How to serve a project: what the flags of `miniflow dev` come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevOptions {
    /// Port 0 is any that is free.
    pub address: SocketAddr,
    pub state: StateFolder,
    pub durability: Durability,
    /// `/__scheduled` fires a cron trigger.
    pub test_scheduled: bool,
    /// Nothing fires by itself.
    pub no_cron: bool,
    /// What becomes of what was missed.
    pub cron_catch_up: CronCatchUp,
    /// How time passes, if not as in the session before.
    pub time: Option<TimeMode>,
    /// What requests to the REST API have to bring.
    pub api_token: Option<String>,
    /// Also when others on the network reach it, nothing.
    pub allow_anyone: bool,
    pub on_divergence: session::OnDivergence,
    pub log_level: LogLevel,
}

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFolder {
    /// In the project's own folder, under `.miniflow`. Absolute.
    OfProject(PathBuf),
    /// Where the developer wants it.
    Given(PathBuf),
    /// Nowhere: it is gone when the server stops.
    None,
}

impl StateFolder {
    /// Returns the folder, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::OfProject(folder) | Self::Given(folder) => Some(folder),
            Self::None => None,
        }
    }
}

impl DevArgs {
    pub(super) fn options(&self, project: &Project) -> DevOptions {
        let state = match &self.persist_to {
            _ if self.ephemeral => StateFolder::None,
            Some(folder) => StateFolder::Given(folder.clone()),
            None => StateFolder::OfProject(project.root.join(OWN_FOLDER).join("state")),
        };
        DevOptions {
            address: SocketAddr::new(
                self.ip.or(project.dev.ip).unwrap_or(Ipv4Addr::LOCALHOST.into()),
                self.port.or(project.dev.port).unwrap_or(PORT),
            ),
            state,
            durability: self.durability,
            test_scheduled: self.test_scheduled,
            no_cron: self.no_cron,
            cron_catch_up: self.cron_catch_up,
            time: self.time,
            api_token: self.api_token.clone(),
            allow_anyone: self.allow_anyone,
            on_divergence: match self.on_divergence {
                OnDivergence::Pause => session::OnDivergence::Pause,
                OnDivergence::Restart => session::OnDivergence::Restart,
                OnDivergence::Continue => session::OnDivergence::Continue,
            },
            log_level: self.log_level,
        }
    }
}

/// Runs `miniflow dev` until it is stopped.
///
/// # Errors
///
/// When the Worker cannot be served.
pub(super) async fn run(args: DevArgs, style: Style) -> Result<(), Problems> {
    let notes: Problems = args.project.of_wrangler.note().into_iter().collect();
    terminal::stderr(&report::problems(&notes, style));
    let projects = args.project.load(project::variable)?;
    let Some(first) = projects.first() else { return Ok(()) };
    for project in &projects {
        terminal::stderr(&report::problems(&project.warnings, style));
    }
    let options = args.options(first);
    place::alone_or_guarded(&options)?;
    // Both come before a build, which may take minutes.
    let listener = place::listen(options.address).await?;
    prepare_state(&options.state, first)?;
    let tell: Arc<dyn Listener> = Arc::new(ToTerminal { style });
    let options_of_load = args.project.options(project::variable);
    let new = |(project, path): (Project, &PathBuf)| {
        let (path, with) = (path.clone(), options_of_load.clone());
        let load: Load = Arc::new(move || config::load(&path, &with));
        Worker::new(project, load, args.project.env_file.clone(), !args.no_build, Arc::clone(&tell))
    };
    let mut workers: Vec<_> = projects.into_iter().zip(&args.project.paths()).map(new).collect();
    first::build(&mut workers, &listener, style).await?;
    let (console, printer) = start_console(options.log_level, style)?;
    for Worker { project, .. } in workers.iter().filter(|worker| !worker.project.without_effect.is_empty()) {
        let keys = project.without_effect.join("`, `");
        tracing::debug!("`{}`: of its configuration `{keys}` change nothing here", project.name);
    }
    let served = serve_until_stopped(workers, &options, listener, console, style).await;
    printer.finish();
    served
}

/// Builds every Worker, one after the other: cargo uses all cores by itself.
pub(super) async fn build_all(
    projects: Vec<Project>,
    no_build: bool,
    progress: &dyn Progress,
) -> Result<Vec<Built>, Problems> {
    let (mut workers, mut problems) = (Vec::new(), Problems::default());
    for project in projects {
        let built = match no_build {
            true => build::last_built(&project).await,
            false => build::build(&project, progress).await,
        };
        match built {
            Ok(component) => workers.push(Built { project, component }),
            Err(error) => problems.extend(Problems::from(error)),
        }
    }
    problems.or(workers).map(|(workers, _)| workers)
}

fn prepare_state(state: &StateFolder, project: &Project) -> Result<(), Problems> {
    match state {
        StateFolder::OfProject(folder) => place::state_folder(folder, Some(&project.root.join(OWN_FOLDER))),
        StateFolder::Given(folder) => place::state_folder(folder, None),
        StateFolder::None => Ok(()),
    }
}

async fn serve_until_stopped(
    workers: Vec<Worker>,
    options: &DevOptions,
    listener: TcpListener,
    console: Option<Console>,
    style: Style,
) -> Result<(), Problems> {
    let logs: Arc<dyn LogSink> = match console {
        Some(console) => Arc::new(console),
        None => Arc::new(Silence),
    };
    let server_options = ServerOptions {
        state: options.state.path().map(Path::to_owned),
        durability: match options.durability {
            Durability::Normal => storage::Durability::Normal,
            Durability::Full => storage::Durability::Full,
        },
        cache_dir: default_cache_dir(|name| std::env::var_os(name)),
        compiler: None,
        test_scheduled: options.test_scheduled,
        api_token: options.api_token.clone(),
        is_shared: !options.address.ip().to_canonical().is_loopback(),
        catch_up: match options.cron_catch_up {
            CronCatchUp::None => CatchUp::None,
            CronCatchUp::Latest => CatchUp::Latest,
            CronCatchUp::All => CatchUp::All,
        },
        fires: !options.no_cron,
        time: options.time,
        logs,
    };
    let built = |worker: &Worker| {
        let component = worker.component.clone()?;
        Some(Built { project: worker.project.clone(), component })
    };
    let server = Server::start(workers.iter().filter_map(built).collect(), server_options).await?;
    terminal::stderr(&report::problems(server.warnings(), style));
    let address = listener.local_addr().map_err(|error| Problem::error(format!("could not listen: {error}")))?;
    let members = server.session().members();
    let served: Vec<_> =
        members.iter().map(|member| Served { project: &member.project, workflows: &member.workflows }).collect();
    let banner = Banner {
        workers: &served,
        url: &format!("http://{address}"),
        state: options.state.path().map_or(StateKept::InMemory, StateKept::Folder),
        resumed: server.recovered().unfinished,
        orphaned: server.recovered().orphaned,
        next_wake: server.next_wake(),
        schedules: schedules(&server),
        time: time_line(server.mover().clock()),
    };
    terminal::stderr(&banner.render(style));
    terminal::stderr(&report::missed(&server.recovered().missed));
    let mut developing = JoinSet::new();
    for worker in workers {
        developing.spawn(worker.develop(server.reloader(), options.on_divergence));
    }
    let served = server.serve(listener, stop::asked_for()).await;
    // What is being built is not wanted any more.
    developing.shutdown().await;
    served.map_err(|error| Problem::error(format!("the server stopped: {error}")).into())
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

/// Prints what happens from now on. None at level `none`.
fn start_console(level: LogLevel, style: Style) -> Result<(Option<Console>, Printer), Problems> {
    let least = match level {
        LogLevel::None | LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    let (console, printer) =
        Console::start(style, least).map_err(|error| Problem::error(format!("could not start a thread: {error}")))?;
    if level == LogLevel::None {
        return Ok((None, printer));
    }
    // Fails only when somebody who embeds this has one already: theirs is used then.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(console.clone()));
    Ok((Some(console), printer))
}

/// Takes no lines.
pub(super) struct Silence;

impl LogSink for Silence {
    fn line(&self, _: LogLine) {}
}

/// Shows what builds do, and what comes of them.
pub(super) struct ToTerminal {
    pub(super) style: Style,
}

impl Progress for ToTerminal {
    fn line(&self, line: &str) {
        terminal::stderr(&format!("{line}\n"));
    }
}

impl Listener for ToTerminal {
    fn happened(&self, worker: &str, news: News) {
        let style = self.style;
        terminal::stderr(&match news {
            News::Reloaded(reload, build) => {
                report::problems(&reload.warnings, style) + &report::reload(&reload, build, style)
            }
            News::Unchanged(build) => report::unchanged(worker, build, style),
            News::NotBuilt(error) => report::kept(worker, &error.to_string(), style),
            News::Refused(problems) => {
                report::problems(&problems, style) + &report::kept(worker, "it cannot be served like this", style)
            }
            News::Polls(why) => {
                let problem = Problem::warning(format!("the system does not tell of changes ({why}): files are looked at now and then"))
                    .with_hint("raise the limits `fs.inotify.max_user_watches` and `fs.inotify.max_user_instances`, or end other programs that watch files");
                report::problems(&problem.into(), style)
            }
            News::Outputs(paths) => {
                let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                let problem =
                    Problem::warning(format!("changed by every build, and not watched any more: {}", names.join(", ")))
                        .with_hint("name the folders of the sources in `build.watch_dir`");
                report::problems(&problem.into(), style)
            }
        });
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    config::parse_ip(text).ok_or_else(|| "not an IP address, such as 127.0.0.1".to_owned())
}
