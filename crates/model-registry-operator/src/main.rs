//! Entry point: what needs no cluster is done at once, else the operator runs.

use std::path::Path;
use std::process::ExitCode;

use model_registry_operator::PROCESS;
use model_registry_operator::aihub::config::{MANIFESTS, refuse_manifests};
use model_registry_operator::aihub::{self, Hub};
use model_registry_operator::catalog::{self, Catalog};
use model_registry_operator::cli::{Cli, Command};
use model_registry_operator::migration::Migration;
use model_registry_operator::registry::{Registry, config::Config, webhook};
use runtime::component::Component;
use runtime::operator::{self, Beside, Process};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let run = || operator::program(&cli.operator, || run(&cli));
    cli.offline().unwrap_or_else(run)
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match cli.command {
        Some(Command::Catalog) => {
            let config = catalog::config::Config::from_env()?;
            let process = Process {
                lease: catalog::rbac::LEASE,
                ..PROCESS
            };
            warn(&config.shared.warnings);
            let webhooks = catalog::webhook::webhooks(config.clone());
            let beside = Beside::installed(webhooks, None);
            start(process, cli, Catalog { config }, beside)
        }
        Some(Command::Aihub) => {
            refuse_manifests(Path::new(MANIFESTS))?;
            let process = Process {
                lease: aihub::rbac::LEASE,
                ..PROCESS
            };
            let config = aihub::config::Config::from_env()?;
            start(process, cli, Hub { config }, Beside::default())
        }
        _ => {
            let config = Config::from_env()?;
            warn(&config.warnings);
            let migration = Migration::from_lookup(|name| std::env::var(name).ok());
            let webhooks = webhook::webhooks(config.clone());
            let chore = migration.map(Migration::chore);
            let beside = Beside::installed(webhooks, chore);
            start(PROCESS, cli, Registry { config }, beside)
        }
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

fn start<C: Component>(
    process: Process,
    cli: &Cli,
    component: C,
    beside: Beside,
) -> anyhow::Result<()> {
    operator::main(process, &cli.operator, component, beside)?;
    Ok(())
}
