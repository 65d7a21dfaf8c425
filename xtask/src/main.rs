//! Every task a person runs: `cargo xtask help` is the map.

mod bench;
mod certificates;
mod charts;
mod check;
mod clusters;
mod codegen;
mod demo;
mod e2e;
mod mlflow;
mod operator;
mod rights;
mod steps;
mod upstream;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Every task a person runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build what the other tasks need: a Kubernetes control plane, with Go, and the checkers of lint
    Setup {
        /// Also fetch every dependency, so that the other tasks work without a network
        #[arg(long)]
        full: bool,
    },
    /// From nothing to a running model registry, a TrustyAI service and an MLflow, in one command
    Demo(demo::Demo),
    /// Everything that must hold before a change goes in: lint, and all tests
    Test {
        /// Also what is slow: tests that are marked `ignored` for their time, the oldest Kubernetes
        #[arg(long)]
        full: bool,
    },
    /// A Kubernetes API server to work with
    #[command(subcommand)]
    Cluster(clusters::Command),
    /// Certificates for the samples with TLS, as files in certs/ and as Secrets in the cluster
    Certificates(certificates::Certificates),
    /// An MLflow in a cluster of kind, with the databases and stores that are asked for
    DeployKind(mlflow::DeployKind),
    /// Remove that cluster
    UndeployKind(mlflow::UndeployKind),
    /// The MLflow operator on Open Data Hub or OpenShift AI, with the address of its Gateway
    DeployToPlatform(mlflow::DeployToPlatform),
    /// Write the files that come from code: CRDs and their reference, RBAC
    Codegen {
        /// Write nothing; fail where a file differs
        #[arg(long)]
        check: bool,
    },
    /// Format, spelling, dependencies, clippy, generated files, tests for the Go operators' cases
    Lint {
        /// Also security advisories, which are fetched from GitHub
        #[arg(long)]
        full: bool,
    },
    /// What an operator costs: requests, seconds, memory, size, beside their targets
    Bench(bench::Bench),
    /// The tests of e2e/, which are files in the layout of kuttl, against a local cluster
    E2e(e2e::E2e),
    /// Not yet: build the container images
    Image,
    /// Not yet: build the OLM bundles
    Bundle,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup { full } => check::setup(full)?,
        Task::Demo(options) => return demo::run(&options),
        Task::Test { full } => check::test(full)?,
        Task::Cluster(command) => clusters::run(&command)?,
        Task::Certificates(options) => certificates::run(&options)?,
        Task::DeployKind(options) => mlflow::deploy_kind(&options)?,
        Task::UndeployKind(options) => mlflow::undeploy_kind(&options)?,
        Task::DeployToPlatform(options) => mlflow::deploy_to_platform(&options)?,
        Task::Codegen { check } => codegen::run(check)?,
        Task::Lint { full } => check::lint(full)?,
        Task::Bench(options) => bench::run(&options)?,
        Task::E2e(options) => e2e::run(&options)?,
        Task::Image => return Ok(not_yet("image")),
        Task::Bundle => return Ok(not_yet("bundle")),
    }
    Ok(ExitCode::SUCCESS)
}

fn not_yet(task: &str) -> ExitCode {
    eprintln!("not yet: `{task}` is named here so that its place is known");
    ExitCode::from(2)
}
