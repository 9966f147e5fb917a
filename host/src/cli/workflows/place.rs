//! Where a command finds the instances: at a server that runs, or in the state directory when none does.
//!
//! Reading works in both ways, and gives the same answers: of the server's local API, or of the same handlers over the directory. What
//! changes something needs the server: it is the only one that writes.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use http::{Method, StatusCode};
use miniflow_runtime::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::api::Kept;
use crate::cli::{client, project};
use crate::config::{self, LoadOptions, Problem, Problems, Project, WorkflowEntry};
use crate::dev::OWN_FOLDER;
use crate::report::{self, Style, terminal};

/// Where the local API is.
pub(super) const API: &str = "/cdn-cgi/local/explorer/api";

/// Where the clock is.
const TIME: &str = "/cdn-cgi/local/miniflow/time";

/// The port that wrangler has too.
const PORT: u16 = 8787;

/// The server that a command is about, and how it answers.
#[derive(Debug, Clone, Args)]
pub(super) struct PlaceArgs {
    /// Port of the running server [default: `dev.port`, or 8787]
    #[arg(long, env = "MINIFLOW_PORT", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,

    /// Folder or configuration of the Worker [default: this folder]
    #[arg(short, long, env = "MINIFLOW_CONFIG", hide_env_values = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Change to this folder first; relative paths start there
    #[arg(long, env = "MINIFLOW_CWD", hide_env_values = true, value_name = "FOLDER")]
    cwd: Option<PathBuf>,

    /// Use this environment of the configuration [default: $CLOUDFLARE_ENV]
    #[arg(short, long, env = "MINIFLOW_ENV", hide_env_values = true, value_name = "NAME")]
    env: Option<String>,

    /// Accepted without effect: every command is local
    #[arg(long, hide = true)]
    local: bool,

    /// Accepted without effect: this command reads no secrets
    #[arg(long, hide = true)]
    env_file: Vec<PathBuf>,
}

/// The same, for commands that only read.
#[derive(Debug, Clone, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,

    /// Read this state folder instead of asking a server
    #[arg(long, value_name = "FOLDER", conflicts_with = "port")]
    persist_to: Option<PathBuf>,
}

/// Who answers.
pub(super) enum Source {
    /// The server on this port.
    Server(u16),
    /// What is kept in a folder; nobody serves it on the port that was tried.
    Kept(Box<Kept>),
}

/// What was answered instead of what was asked for.
pub(super) enum Failed {
    /// There is no such workflow, or no such instance.
    NotFound(String),
    /// Anything else.
    Otherwise(Problems),
}

/// An answer: the bytes of `result`, and of what is said about pages.
pub(super) struct Told {
    pub(super) result: Box<RawValue>,
    info: Option<Box<RawValue>>,
}

impl PlaceArgs {
    /// The server, which has to be there.
    pub(super) async fn server(&self) -> Result<Source, Problems> {
        let port = self.port(self.project()?.as_ref());
        if client::is_there(port).await {
            return Ok(Source::Server(port));
        }
        let message = format!("no server answers on port {port} of this machine, and only a server can do that");
        Err(Problem::error(message)
            .with_hint("start one with `miniflow dev`, or name the port of one that runs with `--port`")
            .into())
    }

    /// Says what was done, in the words or as the answer of the server.
    pub(super) fn say(&self, told: &Told, words: &str) -> Result<(), Problems> {
        terminal::stdout(&if self.json { report::indented(told.result.get()) } else { format!("{words}\n") });
        Ok(())
    }

    fn port(&self, project: Option<&Project>) -> u16 {
        self.port.or(project.and_then(|project| project.dev.port)).filter(|port| *port > 0).unwrap_or(PORT)
    }

    /// The project of this folder. None when there is none that can be loaded, unless it was named: a server is found without one.
    fn project(&self) -> Result<Option<Project>, Problems> {
        project::work_in(self.cwd.as_deref())?;
        let env = self.env.clone().or_else(|| project::variable("CLOUDFLARE_ENV"));
        let options = LoadOptions { env, ..LoadOptions::default() };
        let path = self.config.as_deref().unwrap_or(Path::new("."));
        match config::load(path, &options) {
            Ok(project) => Ok(Some(project)),
            Err(problems) if self.config.is_some() => Err(problems),
            Err(_) => Ok(None),
        }
    }
}

impl ReadArgs {
    /// The server if one is there, else what is kept.
    pub(super) async fn source(&self, style: Style) -> Result<Source, Problems> {
        let project = self.place.project()?;
        let port = self.place.port(project.as_ref());
        if self.persist_to.is_none() && client::is_there(port).await {
            return Ok(Source::Server(port));
        }
        let nobody = format!("no server answers on port {port} of this machine");
        if self.place.port.is_some() {
            // That server was meant, not this folder.
            let hint = "start one with `miniflow dev`, or leave out `--port` to read what is kept in this folder";
            return Err(Problem::error(nobody).with_hint(hint).into());
        }
        let folder = self.folder(project.as_ref());
        let workflows = project.as_ref().and_then(workflows);
        match Kept::open(&folder, workflows) {
            Ok(Some(kept)) => {
                if self.persist_to.is_none() {
                    let note = Problem::note(format!("{nobody}: this is what is kept in `{}`", folder.display()));
                    terminal::stderr(&report::problems(&note.into(), style));
                }
                Ok(Source::Kept(Box::new(kept)))
            }
            Ok(None) if self.persist_to.is_some() => {
                let message = format!("no state is kept in `{}`", folder.display());
                Err(Problem::error(message).with_hint("pass the folder that `miniflow dev` keeps its state in").into())
            }
            Ok(None) => {
                let message = format!("{nobody}, and no state is kept in `{}`", folder.display());
                let hint = "start one with `miniflow dev`, name the port of one that runs with `--port`, or the folder of \
                            a state with `--persist-to`";
                Err(Problem::error(message).with_hint(hint).into())
            }
            Err(error) => Err(Problem::from_error(&error).into()),
        }
    }

    /// Where `dev` keeps the state.
    fn folder(&self, project: Option<&Project>) -> PathBuf {
        let given = || project::variable("MINIFLOW_PERSIST_TO").filter(|path| !path.is_empty()).map(PathBuf::from);
        let default = || match project {
            Some(project) => project.root.join(OWN_FOLDER).join("state"),
            None => Path::new(OWN_FOLDER).join("state"),
        };
        self.persist_to.clone().or_else(given).unwrap_or_else(default)
    }
}

/// The workflows that a configuration defines, if there is one.
fn workflows(project: &Project) -> Option<Vec<(WorkflowEntry, String)>> {
    let own = |entry: &&WorkflowEntry| entry.script_name.as_deref().is_none_or(|script| script == project.name);
    let entries = project.workflows.as_ref()?.iter().filter(own);
    Some(entries.map(|entry| (entry.clone(), project.name.clone())).collect())
}

impl Source {
    /// Asks for `path`, which begins behind the prefix of the API.
    pub(super) async fn get(&self, path: &str) -> Result<Told, Failed> {
        match self {
            Self::Server(_) => self.send(Method::GET, path, Bytes::new()).await,
            Self::Kept(kept) => match kept.get(path).await {
                Ok((status, bytes)) => read(status, &bytes, "what is kept"),
                Err(error) => Err(Failed::Otherwise(Problem::from_error(&error).into())),
            },
        }
    }

    /// Sends a request; only a server takes one.
    pub(super) async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Told, Failed> {
        let Self::Server(port) = self else {
            return Err(Failed::Otherwise(Problem::error("what is kept cannot be changed without a server").into()));
        };
        let answer = client::exchange(*port, method, &format!("{API}{path}"), body).await;
        let (status, bytes) = answer.map_err(Failed::Otherwise)?;
        read(status, &bytes, &format!("the server on port {port}"))
    }

    /// The moment that its clock says, if there is one.
    pub(super) async fn now(&self) -> Option<Timestamp> {
        let answer = client::get(self.port()?, TIME).await.ok()?;
        answer["now"]["ms"].as_u64().map(Timestamp)
    }

    /// The port of the server, if it is one.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Server(port) => Some(*port),
            Self::Kept(_) => None,
        }
    }
}

impl Told {
    /// The result, as far as it is shown.
    pub(super) fn result<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        parse(&self.result)
    }

    /// What is said about pages.
    pub(super) fn info<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        parse(self.info.as_deref().unwrap_or(RawValue::NULL))
    }
}

impl Failed {
    /// The failure, of a request that is about nothing that could be misspelt.
    pub(super) fn into_problems(self) -> Problems {
        match self {
            Self::NotFound(message) => Problem::error(message).into(),
            Self::Otherwise(problems) => problems,
        }
    }
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        Self::Otherwise(problems)
    }
}

fn parse<T: DeserializeOwned>(json: &RawValue) -> Result<T, Problems> {
    serde_json::from_str(json.get()).map_err(|error| {
        Problem::error(format!("an answer cannot be read: {error}"))
            .with_hint("is the server of another version of miniflow?")
            .into()
    })
}

/// What every answer of an API looks like.
#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<Refusal>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    result_info: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

pub(super) fn read(status: StatusCode, bytes: &[u8], whose: &str) -> Result<Told, Failed> {
    let Ok(Envelope { success, errors, result, result_info }) = serde_json::from_slice(bytes) else {
        let problem = Problem::error(format!("{whose} answers {status}, which is no answer of a `miniflow dev`"))
            .with_hint("name the port of one with `--port`");
        return Err(Failed::Otherwise(problem.into()));
    };
    if success && status.is_success() {
        return Ok(Told { result: result.unwrap_or_else(|| RawValue::NULL.to_owned()), info: result_info });
    }
    let message = errors.into_iter().next().map_or_else(|| status.to_string(), |refusal| refusal.message);
    Err(match status {
        StatusCode::NOT_FOUND => Failed::NotFound(message),
        _ => Failed::Otherwise(Problem::error(message).into()),
    })
}
