//! `miniflow build`: builds Workers, and says where they are.

use clap::Args;

use super::loaded::{build_all, show};
use super::project::{self, ProjectArgs};
use crate::config::Problems;
use crate::dev::build::Profile;
use crate::report::{Style, terminal};

const EXAMPLES: &str = "\
Examples:
  miniflow build                          build the Worker of this folder
  miniflow build my-worker -e staging     build another folder, for an environment
  miniflow dev \"$(miniflow build)\"        serve the component without its configuration

Prints the path of each component to standard output.

Exit codes: 0 on success, 1 if the build fails, 2 if the arguments are invalid.";

/// Build a Worker and print the path of its component
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    project: ProjectArgs,
}

/// Builds every Worker that was asked for.
///
/// # Errors
///
/// When one of them could not be built.
pub(super) async fn run(args: BuildArgs, style: Style) -> Result<(), Problems> {
    show(&args.project.of_wrangler.note().into_iter().collect(), style);
    let projects = args.project.load(project::variable)?;
    for project in &projects {
        show(&project.warnings, style);
    }
    for built in build_all(projects, Some(Profile::Release)).await? {
        terminal::stdout(&format!("{}\n", built.component.display()));
    }
    Ok(())
}
