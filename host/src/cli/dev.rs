//! Arguments of `miniflow dev` and the session options they resolve to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::{FalseyValueParser, NonEmptyStringValueParser};
use clap::{Args, ValueEnum};
use miniflow_runtime::clock::TimeMode;

use super::project::ProjectArgs;
use crate::bindings::logging::Level;
use crate::config::{self, Project};
use crate::dev::OWN_FOLDER;
use crate::report::Style;
use crate::report::log::Format;
use crate::session;
use crate::wasm::network::{AllowedHost, Network};

/// Default port, the same as wrangler's.
const PORT: u16 = 8787;

const EXAMPLES: &str = "\
Examples:
  miniflow dev                                  serve the Worker of this folder
  miniflow dev my-worker --port 0 --open        another folder, a free port, in a browser
  miniflow dev -c shop -c billing               two Workers in one session
  miniflow dev --time skip --log-level debug    skip idle time, show every step
  miniflow dev --log-format json --ports-file ports.json
                                                JSON logs and the address in a file, for scripts";

/// Build and serve a Worker, and rebuild it when its sources change
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DevArgs {
    #[command(flatten)]
    pub(super) project: ProjectArgs,

    /// Listen on this port; 0 picks a free one [default: `dev.port`, or 8787]
    #[arg(long, env = "MINIFLOW_PORT", hide_env_values = true)]
    port: Option<u16>,

    /// Listen on this IP address [default: `dev.ip`, or localhost]
    #[arg(long, env = "MINIFLOW_IP", hide_env_values = true, value_parser = parse_ip)]
    ip: Option<IpAddr>,

    /// Store the state in this folder [default: .miniflow/state beside the config]
    #[arg(long, env = "MINIFLOW_PERSIST_TO", hide_env_values = true, value_name = "FOLDER")]
    persist_to: Option<PathBuf>,

    /// Keep the state in memory only; overrides `--persist-to`
    #[arg(long, env = "MINIFLOW_EPHEMERAL", hide_env_values = true, value_parser = FalseyValueParser::new())]
    ephemeral: bool,

    /// Make commits survive a crash (`normal`) or also a power failure (`full`)
    #[arg(long, env = "MINIFLOW_DURABILITY", hide_env_values = true, value_enum, default_value_t = Durability::Normal)]
    durability: Durability,

    /// Serve the newest component that was built, without building
    #[arg(long, env = "MINIFLOW_NO_BUILD", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_build: bool,

    /// Require this bearer token on REST API requests [default: no token]
    #[arg(long, env = "MINIFLOW_API_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = NonEmptyStringValueParser::new())]
    api_token: Option<String>,

    /// Allow a non-loopback `--ip` without `--api-token`
    #[arg(long, env = "MINIFLOW_ALLOW_ANYONE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    allow_anyone: bool,

    /// Block outbound requests, except to hosts given with `--allow-host`
    #[arg(long, env = "MINIFLOW_DENY_NET", hide_env_values = true, value_parser = FalseyValueParser::new())]
    deny_net: bool,

    /// Allow outbound requests only to this host, e.g. `*.example.com`; repeatable
    #[arg(
        long,
        env = "MINIFLOW_ALLOW_HOST",
        hide_env_values = true,
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    allow_host: Vec<AllowedHost>,

    /// Trust the CA certificates in this PEM file, in addition to the built-in roots
    #[arg(long, env = "MINIFLOW_CA_FILE", hide_env_values = true, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

    /// Fire cron triggers by requests to `/__scheduled?cron=EXPRESSION`
    #[arg(long, env = "MINIFLOW_TEST_SCHEDULED", hide_env_values = true, value_parser = FalseyValueParser::new())]
    test_scheduled: bool,

    /// Disable cron triggers and workflow schedules
    #[arg(long, env = "MINIFLOW_NO_CRON", hide_env_values = true, value_parser = FalseyValueParser::new())]
    no_cron: bool,

    /// Run cron firings missed while the server was stopped
    #[arg(long, env = "MINIFLOW_CRON_CATCH_UP", hide_env_values = true, value_enum, default_value_t = CronCatchUp::None, value_name = "WHICH")]
    cron_catch_up: CronCatchUp,

    /// Set the clock mode: `real`, `x60`, `skip` or `manual` [default: as stored with the state, or `real`]
    #[arg(long, env = "MINIFLOW_TIME", hide_env_values = true, value_name = "MODE")]
    time: Option<TimeMode>,

    /// Action for instances that diverge from new code
    #[arg(long, env = "MINIFLOW_ON_DIVERGENCE", hide_env_values = true, value_enum, default_value_t = OnDivergence::Pause, value_name = "POLICY")]
    on_divergence: OnDivergence,

    /// Fail a run that reads the clock, randomness or environment outside a step
    #[arg(long, env = "MINIFLOW_STRICT_DETERMINISM", hide_env_values = true, value_parser = FalseyValueParser::new())]
    strict_determinism: bool,

    /// Run at most this many workflow instances at a time [default: 1700]
    #[arg(long, env = "MINIFLOW_MAX_LIVE_RUNS", hide_env_values = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1700))]
    max_live_runs: Option<u16>,

    /// Set the minimum level of log lines; `debug` shows every step
    #[arg(long, env = "MINIFLOW_LOG_LEVEL", hide_env_values = true, value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    log_level: LogLevel,

    /// Print log lines as text or as one JSON object a line
    #[arg(long, env = "MINIFLOW_LOG_FORMAT", hide_env_values = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,

    /// Write host, port, url and pid as JSON to this file while the server is ready
    #[arg(long, env = "MINIFLOW_PORTS_FILE", hide_env_values = true, value_name = "FILE")]
    ports_file: Option<PathBuf>,

    /// Open the Worker in a browser when ready: $BROWSER, or the system default
    #[arg(long, env = "MINIFLOW_OPEN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    open: bool,
}

/// Failures that a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// A crash of the process.
    #[value(help = None)]
    Normal,
    /// A crash of the process or a power failure.
    #[value(help = None)]
    Full,
}

/// Action for instances that diverge from new code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnDivergence {
    /// Pause them.
    #[value(help = None)]
    Pause,
    /// Restart them from the beginning.
    #[value(help = None)]
    Restart,
    /// Resume them on the new code.
    #[value(help = None)]
    Continue,
}

/// Cron firings to run of those missed while the server was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CronCatchUp {
    /// None of them.
    #[value(help = None)]
    None,
    /// The last one of each expression.
    #[value(help = None)]
    Latest,
    /// All of them.
    #[value(help = None)]
    All,
}

/// Minimum level of the log lines that are printed.
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

impl LogLevel {
    /// Returns the minimum level; `None` disables the log.
    pub(super) fn least(self) -> Option<Level> {
        match self {
            Self::None => None,
            Self::Error => Some(Level::Error),
            Self::Warn => Some(Level::Warn),
            Self::Info => Some(Level::Info),
            Self::Debug => Some(Level::Debug),
        }
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for a terminal.
    #[value(help = None)]
    Text,
    /// One JSON object a line.
    #[value(help = None)]
    Json,
}

/// Options of a dev session, from the flags of `miniflow dev` and the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevOptions {
    /// Listen address. Port 0 picks a free port.
    pub address: SocketAddr,
    pub state: StateFolder,
    pub durability: Durability,
    /// Whether `/__scheduled` fires cron triggers.
    pub test_scheduled: bool,
    /// Whether cron triggers and schedules are disabled.
    pub no_cron: bool,
    /// Cron firings to run of those missed while the server was stopped.
    pub cron_catch_up: CronCatchUp,
    /// Clock mode. `None` keeps the mode stored with the state.
    pub time: Option<TimeMode>,
    /// Bearer token that REST API requests must send. `None` disables authentication.
    pub api_token: Option<String>,
    /// Whether a non-loopback address is allowed without a token.
    pub allow_anyone: bool,
    /// Hosts that outbound requests may reach.
    pub network: Network,
    /// PEM files with extra root certificates for outbound TLS.
    pub ca_files: Vec<PathBuf>,
    pub on_divergence: session::OnDivergence,
    /// Whether a run fails if it reads the clock, randomness or environment outside a step.
    pub strict_determinism: bool,
    /// Live runs of workflow instances at a time. `None` means the maximum.
    pub live_runs_max: Option<usize>,
    /// File that the address is written to when the server is ready.
    pub ports_file: Option<PathBuf>,
    /// Whether a browser is opened when the server is ready.
    pub open: bool,
}

/// Location of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFolder {
    /// `.miniflow/state` in the project's folder, as an absolute path.
    OfProject(PathBuf),
    /// The folder given with `--persist-to`.
    Given(PathBuf),
    /// In memory.
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
            network: Network::new(self.deny_net, self.allow_host.clone()),
            ca_files: self.ca_file.clone(),
            on_divergence: match self.on_divergence {
                OnDivergence::Pause => session::OnDivergence::Pause,
                OnDivergence::Restart => session::OnDivergence::Restart,
                OnDivergence::Continue => session::OnDivergence::Continue,
            },
            strict_determinism: self.strict_determinism,
            live_runs_max: self.max_live_runs.map(usize::from),
            ports_file: self.ports_file.clone(),
            open: self.open,
        }
    }

    /// Returns the minimum level of log lines; `None` disables the log.
    pub(super) fn least(&self) -> Option<Level> {
        self.log_level.least()
    }

    /// Returns whether the Worker is built before it is served.
    pub(super) fn builds(&self) -> bool {
        !self.no_build
    }

    /// Returns the format of log lines.
    pub(super) fn format(&self, style: Style) -> Format {
        match self.log_format {
            LogFormat::Text => Format::Text(style),
            LogFormat::Json => Format::Json,
        }
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    config::parse_ip(text).ok_or_else(|| "not an IP address, such as 127.0.0.1".to_owned())
}
