//! Entry point: what needs no cluster is done at once, else the operator runs.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use runtime::args::webhooks_enabled;
use runtime::logging::{self, LogSettings};
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
    let filter = std::env::var("RUST_LOG").ok();
    let terminal = std::io::stderr().is_terminal();
    logging::init(&LogSettings::new(
        &cli.operator,
        filter.as_deref(),
        terminal,
    ))?;
    let served = webhooks_enabled(std::env::var("ENABLE_WEBHOOKS").ok().as_deref());
    let namespace = std::env::var("POD_NAMESPACE").ok();
    let beside = Beside::serving(webhook::webhooks(), served, namespace, None);
    let component = TrustyAi::new(cli.config());
    // One thread for passes and one for connections, however many cores the node has.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(operator::run(PROCESS, &cli.operator, component, beside))?;
    Ok(())
}
