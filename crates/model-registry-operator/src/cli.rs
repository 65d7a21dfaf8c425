//! The command line. Without a subcommand the operator runs, as the Go operator's `manager` does.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::args::{self, OperatorArgs};
use runtime::offline::{self, OfflineError, say};

use crate::offline::{Also, Kinds};

/// Version, with the commit where it is known, and with `FIPS` where that was asked for.
#[must_use]
pub fn version() -> String {
    args::version(env!("CARGO_PKG_VERSION"), option_env!("BUILD_COMMIT"))
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
    /// What needs no cluster.
    #[command(flatten)]
    Offline(offline::Command<Also>),
    /// Run the operator for Catalog resources.
    Catalog,
    /// Run the operator for AIHub resources: it deploys the operators of the other two kinds.
    Aihub,
}

impl Cli {
    /// Reads the command line. Long flags may have one dash, as Go's have.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        args::read(arguments)
    }

    /// Does what needs no cluster. `None`: the operator is to run.
    #[must_use]
    pub fn offline(&self) -> Option<ExitCode> {
        match self.command.as_ref()? {
            Command::Modelregistry | Command::Catalog | Command::Aihub => None,
            Command::Offline(command) => Some(command.run::<Self, _>(kinds)),
        }
    }
}

fn kinds() -> Result<Kinds, OfflineError> {
    let kinds = Kinds::from_lookup(|name| std::env::var(name).ok());
    let (kinds, warnings) = kinds.map_err(|error| OfflineError::Resources(error.to_string()))?;
    for warning in &warnings {
        say("warning", warning);
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

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
