//! The command line. Without a subcommand the operator runs, as the Go operator's `manager` does.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use runtime::args::{self, OperatorArgs};
use runtime::offline::Command;

use crate::service::TrustyAi;
use crate::service::config::{CONFIG_MAP, Config};

/// Version, with the commit where it is known, and with `FIPS` where that was asked for.
#[must_use]
pub fn version() -> String {
    args::version(env!("CARGO_PKG_VERSION"), option_env!("BUILD_COMMIT"))
}

/// TrustyAIService resources become running, secured, monitored services.
#[derive(Debug, Parser)]
#[command(name = "trustyai-operator", version = version(), about)]
pub struct Cli {
    /// Flags of the running operator.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Services to run, separated by commas. TAS, which is TrustyAIService, is the only one here.
    #[arg(long, global = true, value_name = "NAMES", default_value = "", value_parser = services)]
    pub enable_services: Services,
    /// ConfigMap in the operator's namespace with images and settings.
    #[arg(long, global = true, value_name = "NAME", default_value = CONFIG_MAP)]
    pub configmap: String,
    /// What to do; nothing means to run the operator.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `--enable-services` asks for, once it was understood: TAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services;

/// Services of the Go operator that are not ours.
const ELSEWHERE: [&str; 5] = ["LMES", "EVALHUB", "GORCH", "NEMO_GUARDRAILS", "JOB_MGR"];

fn services(text: &str) -> Result<Services, String> {
    let names = text.split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        if ELSEWHERE.contains(&name) {
            return Err(format!(
                "{name} is a service of the Go operator that this operator does not run; leave it \
                 to the Go operator with --enable-services {name} there, and write TAS here"
            ));
        }
        if name != "TAS" {
            return Err(format!(
                "{name:?} is no service; write TAS, or leave the flag out"
            ));
        }
    }
    Ok(Services)
}

impl Cli {
    /// Reads the command line. Long flags may have one dash, as Go's have.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        args::read(arguments)
    }

    /// What the installation sets.
    #[must_use]
    pub fn config(&self) -> Config {
        Config {
            // It is looked for as long as the process lives.
            config_map: self.configmap.clone().leak(),
            ..Config::from_env()
        }
    }

    /// Does what needs no cluster. `None`: the operator is to run.
    #[must_use]
    pub fn offline(&self) -> Option<ExitCode> {
        let command = self.command.as_ref()?;
        Some(command.run::<Self, _>(|| Ok(TrustyAi::new(self.config()))))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn read(arguments: &[&str]) -> Result<Cli, clap::Error> {
        let all = std::iter::once(&"manager").chain(arguments);
        Cli::read(all.map(OsString::from))
    }

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_go_manifests_run_the_operator() {
        for arguments in [
            vec![],
            vec!["--leader-elect", "--enable-services", "TAS"],
            vec![
                "-enable-services=TAS, TAS",
                "-configmap=other",
                "--zap-devel=false",
            ],
            vec!["--enable-services="],
        ] {
            let cli = read(&arguments).unwrap();
            assert!(cli.offline().is_none(), "{arguments:?}");
        }
        assert_eq!(read(&[]).unwrap().configmap, CONFIG_MAP);
    }

    #[test]
    fn a_service_that_is_not_ours_is_refused_with_what_to_do() {
        for (services, word) in [
            ("TAS,LMES", "leave it to the Go operator"),
            ("tas", "write TAS"),
        ] {
            let error = read(&["--enable-services", services]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
