//! Entry point: what needs no cluster is done at once, else the operator runs.

use std::process::ExitCode;

use runtime::args::webhooks_enabled;
use runtime::logging;
use runtime::operator::{self, Beside, Process};
use trustyai_operator::cli::Cli;
use trustyai_operator::rbac;
use trustyai_operator::service::{TrustyAi, webhook};

const PROCESS: Process = Process {
    name: "trustyai-operator",
    version: env!("CARGO_PKG_VERSION"),
    lease: rbac::LEASE,
};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    if let Some(code) = cli.offline() {
        return code;
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    logging::start(&cli.operator)?;
    let served = webhooks_enabled(std::env::var("ENABLE_WEBHOOKS").ok().as_deref());
    let namespace = std::env::var("POD_NAMESPACE").ok();
    let beside = Beside::serving(webhook::webhooks(), served, namespace, None);
    let component = TrustyAi::new(cli.config());
    operator::main(PROCESS, &cli.operator, component, beside)?;
    Ok(())
}
