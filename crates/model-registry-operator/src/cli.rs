//! The command line. Without a subcommand the operator runs, as the Go operator's `manager` does.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use runtime::args::{OperatorArgs, normalise};

use crate::offline::{Files, Kinds, OfflineError};
use crate::render::{self, RenderArgs};
use crate::validate_cli;

/// Version, with the commit where it is known, and with `FIPS` where that was asked for.
#[must_use]
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("BUILD_COMMIT").map(|commit| format!(" ({commit})"));
    let fips = if crypto::FIPS { " FIPS" } else { "" };
    format!("{version}{}{fips}", commit.unwrap_or_default())
}

/// ModelRegistry resources become running, secured registries.
#[derive(Debug, Parser)]
#[command(name = "model-registry-operator", version = version(), about)]
pub struct Cli {
    /// Flags of the running operator.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// What to do; nothing means `modelregistry`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator for ModelRegistry resources. This is what happens without a subcommand.
    Modelregistry,
    /// Print the objects that resources become, without a cluster.
    ///
    /// Documents that are no ModelRegistry, Catalog or AIHub count as existing in the cluster. The environment
    /// variables of the operator are honoured. What is random, and every value of a Secret,
    /// prints as <generated>.
    Render(RenderArgs),
    /// Check resources as the API server and the operator would, without a cluster.
    Validate(Files),
    /// Print completions for a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Run the operator for Catalog resources.
    Catalog,
    /// Run the operator for AIHub resources: it deploys the operators of the other two kinds.
    Aihub,
}

impl Cli {
    /// Reads the command line. Long flags may have one dash, as Go's have.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let command = Self::command();
        let arguments = normalise(&command, arguments);
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// Does what needs no cluster. `None`: the operator is to run.
    #[must_use]
    pub fn offline(&self) -> Option<ExitCode> {
        let mut out = io::stdout().lock();
        let done = match self.command.as_ref()? {
            Command::Modelregistry | Command::Catalog | Command::Aihub => return None,
            Command::Render(args) => kinds().and_then(|kinds| render::run(&kinds, args, &mut out)),
            Command::Validate(files) => {
                kinds().and_then(|kinds| validate_cli::run(&kinds, files, &mut out))
            }
            Command::Completion { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(
                    *shell,
                    &mut Self::command(),
                    "model-registry-operator",
                    &mut text,
                );
                out.write_all(&text).map_err(OfflineError::Write)
            }
        };
        Some(match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                for line in error.to_string().lines() {
                    say("error", line);
                }
                ExitCode::FAILURE
            }
        })
    }
}

fn kinds() -> Result<Kinds, OfflineError> {
    let (kinds, warnings) = Kinds::from_lookup(|name| std::env::var(name).ok())?;
    for warning in &warnings {
        say("warning", warning);
    }
    Ok(kinds)
}

/// One line for people. Nobody can be told that it cannot be written.
pub(crate) fn say(what: &str, line: impl Display) {
    let _ = writeln!(io::stderr(), "{what}: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::read(
            std::iter::once(&"manager")
                .chain(arguments)
                .map(OsString::from),
        )
    }

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_go_manifests_run_the_operator() {
        for arguments in [
            vec![],
            vec![
                "modelregistry",
                "--leader-elect",
                "--health-probe-bind-address=:8081",
            ],
            vec![
                "-leader-elect",
                "-metrics-bind-address=0",
                "-zap-devel=false",
                "-zap-log-level=debug",
            ],
        ] {
            let cli = read(&arguments).unwrap();
            assert!(matches!(cli.command, None | Some(Command::Modelregistry)));
            assert_eq!(cli.operator.leader_elect, !arguments.is_empty());
            assert!(cli.offline().is_none());
        }
    }

    #[test]
    fn usage_errors_exit_with_2() {
        for arguments in [
            vec!["render"],
            vec!["render", "-f", "x", "--platform", "moon"],
            vec!["render", "-f", "x", "-o", "xml"],
            vec!["validate"],
            vec!["completion", "tcsh"],
            vec!["--no-such-flag"],
            vec!["nothing"],
        ] {
            assert_eq!(
                read(&arguments).unwrap_err().exit_code(),
                2,
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn the_version_has_the_commit_where_it_is_known() {
        let message = read(&["--version"]).unwrap_err().to_string();
        assert_eq!(
            message.trim(),
            format!("model-registry-operator {}", version())
        );
        if let Some(commit) = option_env!("BUILD_COMMIT") {
            assert!(message.contains(commit));
        }
    }
}
