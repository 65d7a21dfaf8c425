//! The command line. Without a subcommand the operator runs, as the Go operator's `manager` does.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use runtime::args::{self, OperatorArgs};
use runtime::offline::{Command, OfflineError};

use crate::config::Config;
use crate::server::{Installation, Server};

/// Namespace of MLflows where nobody says another.
const DEFAULT_NAMESPACE: &str = "opendatahub";

/// Version, with the commit where it is known, and with `FIPS` where that was asked for.
#[must_use]
pub fn version() -> String {
    args::version(env!("CARGO_PKG_VERSION"), option_env!("BUILD_COMMIT"))
}

/// MLflow resources become running, migrated, secured MLflow servers.
#[derive(Debug, Parser)]
#[command(name = "mlflow-operator", version = version(), about)]
pub struct Cli {
    /// Flags of the running operator.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Namespace of MLflow servers. Without it: that of --mode, then `POD_NAMESPACE`, then
    /// opendatahub.
    #[arg(long, global = true, value_name = "NAMESPACE", value_parser = args::namespace())]
    pub namespace: Option<String>,
    /// The platform, which says the namespace of MLflow servers: redhat-ods-applications with rhoai,
    /// opendatahub with opendatahub.
    #[arg(long, global = true, value_enum)]
    pub mode: Option<Mode>,
    /// What to do; nothing means to run the operator.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Image of MLflows where no variable names one: files can be looked at all the same.
const IMAGE: &str = "quay.io/opendatahub/mlflow:odh-stable";

/// A platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Red Hat OpenShift AI.
    Rhoai,
    /// Open Data Hub.
    Opendatahub,
}

impl Mode {
    /// Its namespace for applications.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Rhoai => "redhat-ods-applications",
            Self::Opendatahub => "opendatahub",
        }
    }
}

impl Cli {
    /// Reads the command line. Long flags may have one dash, as Go's have.
    ///
    /// # Errors
    /// A flag is unknown or its value cannot be: the text says how to use it.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        args::read(arguments)
    }

    /// Does what needs no cluster. `None`: the operator is to run.
    #[must_use]
    pub fn offline(&self) -> Option<ExitCode> {
        let command = self.command.as_ref()?;
        Some(command.run::<Self, _>(|| self.server()))
    }

    /// The kind that becomes objects, as the environment sets the program up.
    fn server(&self) -> Result<Server, OfflineError> {
        let read = |name: &str| {
            let found = std::env::var(name).ok();
            found.or_else(|| (name == "MLFLOW_IMAGE").then(|| IMAGE.to_owned()))
        };
        let config = Config::from_lookup(read);
        let config = config.map_err(|error| OfflineError::Resources(error.to_string()))?;
        let own = self.namespace(read("POD_NAMESPACE").as_deref());
        let namespace = config.target_namespace(&own);
        let installation = Installation { config, namespace };
        Ok(Server { installation })
    }

    /// The operator's own namespace, in which MLflows are unless the platform says another:
    /// `--namespace`, else that of `--mode`, else `pod_namespace` (`POD_NAMESPACE`), else opendatahub.
    #[must_use]
    pub fn namespace(&self, pod_namespace: Option<&str>) -> String {
        let said = |name: &&str| !name.trim().is_empty();
        let flag = self.namespace.as_deref().filter(said);
        flag.or(self.mode.map(Mode::namespace))
            .or(pod_namespace.filter(said))
            .unwrap_or(DEFAULT_NAMESPACE)
            .trim()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use runtime::args::BindAddress;

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
            vec![
                "--leader-elect",
                "--health-probe-bind-address=:8081",
                "--metrics-bind-address=:8443",
            ],
            vec![
                "-leader-elect",
                "-metrics-bind-address=0",
                "-namespace=odh",
                "-zap-log-level=info",
            ],
            vec![
                "--metrics-secure=false",
                "--zap-devel",
                "--zap-encoder=console",
            ],
        ] {
            assert!(read(&arguments).unwrap().offline().is_none());
        }
        let certificate = [
            "-metrics-cert-path=/certs",
            "-metrics-cert-name=a",
            "-metrics-cert-key=b",
        ];
        let cli = read(&certificate).unwrap();
        let expected = ("/certs/a".into(), "/certs/b".into());
        assert_eq!(cli.operator.metrics_certificate(), Some(expected));
        let cli = read(&["-metrics-bind-address=0"]).unwrap();
        assert_eq!(cli.operator.metrics_bind_address, BindAddress::Disabled);
    }

    #[test]
    fn the_namespace_is_that_of_the_first_who_says_one() {
        let found = |arguments: &[&str], pod| read(arguments).unwrap().namespace(pod);
        let pod = Some("pods");
        assert_eq!(found(&["--namespace=mine", "--mode=rhoai"], pod), "mine");
        assert_eq!(found(&["-mode=rhoai"], pod), "redhat-ods-applications");
        assert_eq!(found(&["--mode", "opendatahub"], pod), "opendatahub");
        assert_eq!(found(&[], pod), "pods");
        assert_eq!(found(&["--namespace="], Some("")), "opendatahub");
        assert_eq!(found(&[], None), "opendatahub");
    }

    #[test]
    fn an_unknown_mode_is_refused_with_those_that_there_are() {
        let error = read(&["--mode=openshift"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("rhoai") && text.contains("opendatahub"),
            "{text}"
        );
        assert!(read(&["--namespace=Not_One"]).is_err());
    }
}
