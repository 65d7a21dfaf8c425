//! Entry point: what needs no cluster is done at once, else the operator runs.

use std::process::ExitCode;

use runtime::operator::{self, Beside};
use trustyai_operator::PROCESS;
use trustyai_operator::cli::Cli;
use trustyai_operator::service::{TrustyAi, webhook};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let run = || operator::program(&cli.operator, || run(&cli));
    cli.offline().unwrap_or_else(run)
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let beside = Beside::installed(webhook::webhooks(), None);
    let component = TrustyAi::new(cli.config());
    operator::main(PROCESS, &cli.operator, component, beside)?;
    Ok(())
}
