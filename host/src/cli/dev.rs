//! The arguments of `miniflow dev`, and what they come to.

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

/// The port that wrangler has too.
const PORT: u16 = 8787;

const EXAMPLES: &str = "\
Examples:
  miniflow dev                                  serve the Worker of this folder
  miniflow dev my-worker --port 0 --open        another one, on any free port, in the browser
  miniflow dev -c shop -c billing               two Workers in one session
  miniflow dev --time skip --log-level debug    skip idle time, show every step
  miniflow dev --log-format json --ports-file ports.json
                                                for scripts: a log to parse, an address to read";

/// Build and serve a Worker, and keep its workflow instances between sessions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
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

    /// Send nothing over the network that Workers ask for, but to hosts of `--allow-host`
    #[arg(long, env = "MINIFLOW_DENY_NET", hide_env_values = true, value_parser = FalseyValueParser::new())]
    deny_net: bool,

    /// Let Workers reach this host, such as `api.example.com`, `*.example.com` or `localhost:8080`, and no other that is not named so
    #[arg(
        long,
        env = "MINIFLOW_ALLOW_HOST",
        hide_env_values = true,
        value_name = "HOST[:PORT]",
        value_delimiter = ','
    )]
    allow_host: Vec<AllowedHost>,

    /// Believe the certificate authorities of this PEM file too, such as a company's proxy has; so are those of $SSL_CERT_FILE and $NODE_EXTRA_CA_CERTS
    #[arg(long, env = "MINIFLOW_CA_FILE", hide_env_values = true, value_name = "FILE")]
    ca_file: Vec<PathBuf>,

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

    /// Take it as an error when `run` reads the clock, a random number or the environment of the process outside of a step
    #[arg(long, env = "MINIFLOW_STRICT_DETERMINISM", hide_env_values = true, value_parser = FalseyValueParser::new())]
    strict_determinism: bool,

    /// What to print of what happens; `debug` shows every step
    #[arg(long, env = "MINIFLOW_LOG_LEVEL", hide_env_values = true, value_enum, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    log_level: LogLevel,

    /// How to print it: for people, or each line a JSON object
    #[arg(long, env = "MINIFLOW_LOG_FORMAT", hide_env_values = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,

    /// When ready, write host, port, url and pid to this file as JSON; it is removed at the end
    #[arg(long, env = "MINIFLOW_PORTS_FILE", hide_env_values = true, value_name = "FILE")]
    ports_file: Option<PathBuf>,

    /// Open the Worker in the browser when it is ready: $BROWSER, or that of the system
    #[arg(long, env = "MINIFLOW_OPEN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    open: bool,
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

impl LogLevel {
    /// What is printed at least; none: nothing.
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

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[value(help = None)]
    Text,
    /// Each line an object.
    #[value(help = None)]
    Json,
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
    /// Where Workers' requests may go.
    pub network: Network,
    /// Files of authorities that they believe there, besides those of the web.
    pub ca_files: Vec<PathBuf>,
    pub on_divergence: session::OnDivergence,
    /// What `run` reads that is another thing each time is an error.
    pub strict_determinism: bool,
    /// Where to write where it listens.
    pub ports_file: Option<PathBuf>,
    /// A browser is opened.
    pub open: bool,
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
            network: Network::new(self.deny_net, self.allow_host.clone()),
            ca_files: self.ca_file.clone(),
            on_divergence: match self.on_divergence {
                OnDivergence::Pause => session::OnDivergence::Pause,
                OnDivergence::Restart => session::OnDivergence::Restart,
                OnDivergence::Continue => session::OnDivergence::Continue,
            },
            strict_determinism: self.strict_determinism,
            ports_file: self.ports_file.clone(),
            open: self.open,
        }
    }

    /// How much to print.
    pub(super) fn least(&self) -> Option<Level> {
        self.log_level.least()
    }

    /// Whether to build at all.
    pub(super) fn builds(&self) -> bool {
        !self.no_build
    }

    /// How to print it.
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
