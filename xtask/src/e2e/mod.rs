//! `e2e`: tests as files, in the layout of kuttl, against a cluster with the operator that they are
//! about.

mod case;
mod run;
mod subset;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use cluster::{Cluster, Options, Platform, tools};

use self::case::Case;
use crate::operator::{Operator, build};
use crate::steps::root;

/// Folders of tests, with what they need.
const SUITES: &[Suite] = &[Suite {
    folder: "e2e/trustyai",
    operator: Operator {
        name: "trustyai-operator",
        variant: "default",
        flags: &[
            "--metrics-bind-address=127.0.0.1:0",
            "--health-probe-bind-address=127.0.0.1:0",
        ],
    },
    platform: Platform::OpenShift,
}];

struct Suite {
    /// From the root of the workspace.
    folder: &'static str,
    operator: Operator,
    platform: Platform,
}

#[derive(Args)]
pub(crate) struct E2e {
    /// Only the tests of these names
    #[arg(value_name = "TEST")]
    only: Vec<String>,
}

/// Runs all tests, and fails unless all pass.
pub(crate) fn all() -> Result<()> {
    run(&E2e { only: Vec::new() })
}

/// Runs the tests, and fails unless all pass.
pub(crate) fn run(options: &E2e) -> Result<()> {
    let only = &options.only;
    let mut failed = 0;
    let mut ran = 0;
    for suite in SUITES {
        let mut cases = case::read(&root().join(suite.folder))?;
        cases.retain(|case| only.is_empty() || only.contains(&case.name));
        if cases.is_empty() {
            continue;
        }
        ran += cases.len();
        failed += suite.run(&cases).with_context(|| suite.folder.to_owned())?;
    }
    ensure!(ran > 0, "no test is called {}", only.join(" or "));
    ensure!(failed == 0, "{failed} of {ran} declarative tests failed");
    eprintln!("{ran} declarative tests passed");
    Ok(())
}

impl Suite {
    /// Runs tests one after the other, and says how many failed.
    fn run(&self, cases: &[Case]) -> Result<usize> {
        eprintln!("building {} …", self.operator.name);
        build(&[self.operator.name], false, None)?;
        let program = self.operator.built(false, None);
        let cluster = Cluster::start(&Options {
            platform: self.platform,
            ..Options::default()
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            tokio::select! {
                failed = self.run_on(&cluster, &program, cases) => failed,
                _ = tokio::signal::ctrl_c() => bail!("stopped"),
            }
        })
    }

    async fn run_on(&self, cluster: &Cluster, program: &Path, cases: &[Case]) -> Result<usize> {
        let client = cluster.client()?;
        let kubectl = tools::ensure()?.kubectl;
        let mut running = self
            .operator
            .run(
                &client,
                &kubectl,
                program,
                &cluster.kubeconfig_path(),
                cluster.dir(),
            )
            .await?;
        let mut failed = 0;
        for case in cases {
            let started = Instant::now();
            let outcome = run::run(&client, case).await;
            let seconds = started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => eprintln!("{} {}: ok, {seconds:.1} s", self.folder, case.name),
                Err(error) => {
                    failed += 1;
                    eprintln!(
                        "{} {}: FAILED, {seconds:.1} s\n{error:#}",
                        self.folder, case.name
                    );
                }
            }
            running.check()?;
        }
        Ok(failed)
    }
}
