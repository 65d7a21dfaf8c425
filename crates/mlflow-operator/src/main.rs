//! Entry point: the operator runs, with one loop for each kind that it looks after.

use std::process::ExitCode;

use mlflow_operator::cli::Cli;
use mlflow_operator::config::{self, Config};
use mlflow_operator::server::{Installation, Server};
use mlflow_operator::{PROCESS, loops};
use runtime::operator::{self, Beside};
use tracing::info;

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let run = || operator::program(&cli.operator, || run(&cli));
    cli.offline().unwrap_or_else(run)
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let config = Config::from_env()?;
    for variable in config::without_effect(|name| std::env::var_os(name).is_some()) {
        info!(
            variable,
            "it has no effect: an API that comes later is used when it comes"
        );
    }
    let own = cli.namespace(std::env::var("POD_NAMESPACE").ok().as_deref());
    let namespace = config.target_namespace(&own);
    let beside = Beside {
        loops: loops::beside(&config, &namespace),
        ..Beside::default()
    };
    // What MLflows are made of is in one namespace, and so are the rights for it.
    let mut args = cli.operator.clone();
    args.watch_namespaces = vec![namespace.clone()];
    let installation = Installation { config, namespace };
    operator::main(PROCESS, &args, Server { installation }, beside)?;
    Ok(())
}
