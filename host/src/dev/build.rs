//! Turns a project into a component: runs its build command, then cargo.
//!
//! cargo is run for wasm32-wasip2 with line tables, so that a trap names source lines; [`Profile`] says how it compiles. What
//! the compiler prints goes to the terminal as it is. Dropping a build ends the processes it started.
//!
//! Never reads the component, and never builds what was not asked for.

pub(super) mod environment;
mod error;
mod last;
mod messages;
mod output;
mod profile;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use self::environment::Environment;
pub use self::error::BuildError;
use self::messages::Metadata;
pub use self::profile::Profile;
use super::toolchain;
use crate::carried;
use crate::config::{BuildCommand, Project, Source};
use crate::wasm::default_cache_dir;

/// The target every Worker is built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Where a build says what it is doing.
pub trait Progress: Send + Sync {
    /// Shows one line. Must not block for long: the build waits for it.
    fn line(&self, line: &str);

    /// Whether it also takes what compilers and commands print, line by line. Otherwise that goes to the terminal as it is.
    fn takes_output(&self) -> bool {
        false
    }
}

/// Builds `project` with `profile` and returns the file of its component.
///
/// # Errors
///
/// When a command cannot be started or fails, or leaves no component. The compiler has explained itself by then.
pub async fn build(project: &Project, profile: Profile, progress: &dyn Progress) -> Result<PathBuf, BuildError> {
    if let Some(command) = &project.build {
        run_command(command, progress).await?;
    }
    match &project.source {
        Source::Wasm(file) => existing(file),
        Source::Crate { manifest } => {
            let environment = Environment::inherited();
            carried::restore(manifest, default_cache_dir(|name| std::env::var_os(name)).as_deref());
            toolchain::ensure_target(&environment, folder_of(manifest), progress).await?;
            progress.line(&format!("building {} for {TARGET}", project.name));
            let component =
                Cargo { environment: &environment, manifest, is_quiet: false }.build(profile, progress).await?;
            last::remember(manifest, &component);
            Ok(component)
        }
    }
}

/// Returns the newest component of `project`, whichever command built it, without building anything.
///
/// # Errors
///
/// When there is none.
pub async fn last_built(project: &Project) -> Result<PathBuf, BuildError> {
    match &project.source {
        Source::Wasm(file) => existing(file),
        Source::Crate { manifest } => {
            if let Some(component) = last::remembered(manifest) {
                return Ok(component);
            }
            let environment = Environment::inherited();
            let cargo = Cargo { environment: &environment, manifest, is_quiet: true };
            let metadata = cargo.metadata().await?;
            let component = |profile| metadata.component(manifest, profile);
            let Some(file) = component(Profile::Development) else {
                return Err(BuildError::NoComponent { manifest: manifest.clone() });
            };
            last::newest(profile::ALL.into_iter().filter_map(component)).ok_or(BuildError::NotBuilt { file })
        }
    }
}

/// As [`last_built`], and says which component that is.
///
/// # Errors
///
/// As there.
pub async fn use_last_built(project: &Project, progress: &dyn Progress) -> Result<PathBuf, BuildError> {
    let component = last_built(project).await?;
    if let Source::Crate { .. } = project.source {
        let build = last::profile_of(&component).map_or("newest build", Profile::description);
        progress.line(&format!("using the {build} of {}: {}", project.name, component.display()));
    }
    Ok(component)
}

/// What has to be known of a package to watch it.
pub(super) struct Package {
    /// Folders of packages that it depends on by their path.
    pub(super) path_dependencies: Vec<PathBuf>,
    /// Where cargo builds.
    pub(super) target_directory: PathBuf,
    pub(super) workspace_root: PathBuf,
    /// A program of its own runs before it is compiled.
    pub(super) has_build_script: bool,
}

/// Returns what cargo says of the package of `manifest`. Needs no network.
///
/// # Errors
///
/// When cargo cannot read it.
pub(super) async fn package(manifest: &Path) -> Result<Package, BuildError> {
    let environment = Environment::inherited();
    let metadata = Cargo { environment: &environment, manifest, is_quiet: true }.metadata().await?;
    Ok(Package {
        path_dependencies: metadata.path_dependencies(manifest),
        has_build_script: metadata.has_build_script(manifest),
        target_directory: metadata.target_directory,
        workspace_root: metadata.workspace_root,
    })
}

/// Builds the package in `folder` with the development profile and returns the file of its component, for tests.
///
/// Waits for its turn when another process builds into the same target directory. Can be called from anywhere, also
/// from asynchronous code that may block.
///
/// # Errors
///
/// As [`build`], and when the lock file cannot be made.
pub fn build_blocking(folder: &Path) -> Result<PathBuf, BuildError> {
    build_blocking_with(folder, Profile::Development)
}

/// As [`build_blocking`], with `profile`.
///
/// # Errors
///
/// As there.
pub fn build_blocking_with(folder: &Path, profile: Profile) -> Result<PathBuf, BuildError> {
    // A thread of its own: a runtime cannot be started inside of another one.
    std::thread::scope(|scope| match scope.spawn(|| build_in_turn(folder, profile)).join() {
        Ok(built) => built,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn build_in_turn(folder: &Path, profile: Profile) -> Result<PathBuf, BuildError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        |source| BuildError::File { path, source }
    };
    let manifest = std::path::absolute(folder.join("Cargo.toml")).map_err(file_error(folder))?;
    let environment = Environment::inherited();
    let cargo = Cargo { environment: &environment, manifest: &manifest, is_quiet: true };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(file_error(folder))?;
    runtime.block_on(async {
        let target = cargo.metadata().await?.target_directory;
        std::fs::create_dir_all(&target).map_err(file_error(&target))?;
        let path = target.join("miniflow-build.lock");
        let lock = File::create(&path).map_err(file_error(&path))?;
        lock.lock().map_err(file_error(&path))?;
        toolchain::ensure_target(&environment, folder_of(&manifest), &Silent).await?;
        let component = cargo.build(profile, &Silent).await?;
        last::remember(&manifest, &component);
        Ok(component)
    })
}

struct Silent;

impl Progress for Silent {
    fn line(&self, _line: &str) {}
}

fn existing(file: &Path) -> Result<PathBuf, BuildError> {
    if file.is_file() { Ok(file.to_owned()) } else { Err(BuildError::Missing { file: file.to_owned() }) }
}

fn folder_of(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(manifest)
}

async fn run_command(build: &BuildCommand, progress: &dyn Progress) -> Result<(), BuildError> {
    progress.line(&format!("running `{}`", build.command));
    let mut command = shell(&build.command);
    command.current_dir(&build.cwd).stdin(Stdio::null()).kill_on_drop(true);
    if progress.takes_output() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    } else {
        // Standard output is for data, and what a build prints is none.
        command.stdout(std::io::stderr());
    }
    let not_started = |source| BuildError::Start { program: build.command.clone(), source };
    let mut child = command.spawn().map_err(not_started)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    futures::join!(output::pass(stdout, progress), output::pass(stderr, progress));
    let status = child.wait().await.map_err(not_started)?;
    if status.success() { Ok(()) } else { Err(BuildError::CommandFailed { command: build.command.clone(), status }) }
}

#[cfg(not(windows))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    // cmd has its own idea of quotes: it gets the text as it is.
    shell.arg("/C").raw_arg(command);
    shell
}

/// cargo, for one package.
struct Cargo<'a> {
    environment: &'a Environment,
    manifest: &'a Path,
    /// Whether only warnings and errors are printed.
    is_quiet: bool,
}

impl Cargo<'_> {
    fn not_started(&self, source: std::io::Error) -> BuildError {
        let program = self.environment.cargo.to_string_lossy().into_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound => BuildError::CargoMissing { program },
            _ => BuildError::Start { program, source },
        }
    }

    async fn build(&self, profile: Profile, progress: &dyn Progress) -> Result<PathBuf, BuildError> {
        let mut command = self.environment.command(&self.environment.cargo, folder_of(self.manifest));
        command.args(["build", "--target", TARGET, "--message-format=json-render-diagnostics"]);
        command.args(profile.arguments());
        command.arg("--manifest-path").arg(self.manifest);
        if self.is_quiet {
            command.arg("--quiet");
        }
        if progress.takes_output() {
            command.stderr(Stdio::piped());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|source| self.not_started(source))?;
        let stdout = child.stdout.take().expect("standard output is piped, and taken once");
        let mut lines = BufReader::new(stdout).split(b'\n');
        let read = async {
            let mut artifacts = Vec::new();
            while let Some(line) = lines.next_segment().await.map_err(|source| self.not_started(source))? {
                artifacts.extend(messages::artifact(&line, self.manifest));
            }
            Ok::<_, BuildError>(artifacts)
        };
        let (artifacts, ()) = futures::join!(read, output::pass(child.stderr.take(), progress));
        let artifacts = artifacts?;
        let status = child.wait().await.map_err(|source| self.not_started(source))?;
        if !status.success() {
            toolchain::forget(folder_of(self.manifest));
            return Err(BuildError::CargoFailed { manifest: self.manifest.to_owned(), status });
        }
        messages::component(artifacts).ok_or_else(|| BuildError::NoComponent { manifest: self.manifest.to_owned() })
    }

    async fn metadata(&self) -> Result<Metadata, BuildError> {
        let mut command = self.environment.query(&self.environment.cargo, folder_of(self.manifest));
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(self.manifest);
        let output = command.output().await.map_err(|source| self.not_started(source))?;
        if !output.status.success() {
            let message = toolchain::reason(&output.stderr);
            return Err(BuildError::Metadata { manifest: self.manifest.to_owned(), message });
        }
        Metadata::parse(&output.stdout)
            .map_err(|error| BuildError::Metadata { manifest: self.manifest.to_owned(), message: error.to_string() })
    }
}
