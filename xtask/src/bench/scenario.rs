//! One cluster with one operator in it, and what an operator goes through.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cluster::{AuditLog, Cluster, Options, Platform, Record, tools};
use jiff::Timestamp;
use kube::Client;

use super::crowd::{Crowd, Seconds};
use super::usage::{self, Usage, usage};
use crate::operator::{Deployed, Operator, Running};
use crate::steps::run;

/// What is measured.
pub(crate) const OPERATOR: Operator = Operator {
    name: "model-registry-operator",
    flags: &[
        "--metrics-bind-address=127.0.0.1:0",
        "--health-probe-bind-address=127.0.0.1:0",
        "--max-concurrent-reconciles=16",
    ],
};

/// An operator is done when it asked for nothing this long.
const PAUSE: Duration = Duration::from_secs(3);

/// How long it may take to lead, to be done, to stop.
const LIMIT: Duration = Duration::from_mins(1);

/// A cluster with the operator's manifests.
pub(crate) struct Scenario {
    /// The cluster.
    pub(crate) cluster: Cluster,
    /// A cluster admin.
    pub(crate) client: Client,
    /// The operator's own way in.
    kubeconfig: PathBuf,
    deployed: Deployed,
    program: PathBuf,
}

/// A process of the operator.
pub(crate) struct Process {
    running: Running,
    pid: u32,
    /// When it was started.
    pub(crate) started: Timestamp,
    /// Its place in the audit log: nothing of it is before.
    pub(crate) mark: u64,
}

impl Scenario {
    /// Starts a cluster of its own, so that no measure has the remains of another in it.
    pub(crate) async fn new(platform: Platform, program: &Path) -> Result<Self> {
        let cluster = Cluster::start(&Options {
            platform,
            ..Options::default()
        })?;
        let client = cluster.client()?;
        let deployed = OPERATOR.install(&client, &tools::ensure()?.kubectl).await?;
        let kubeconfig = cluster
            .service_account_kubeconfig(&deployed.namespace, &deployed.service_account)
            .await?;
        Ok(Self {
            cluster,
            client,
            kubeconfig,
            deployed,
            program: program.to_owned(),
        })
    }

    /// A client that asks as the operator.
    pub(crate) async fn operators_client(&self) -> Result<Client> {
        Ok(Client::try_from(
            cluster::read_config(&self.kubeconfig).await?,
        )?)
    }

    /// Starts the operator, without waiting for anything.
    pub(crate) async fn start(&self) -> Result<Process> {
        let mark = self.cluster.audit_mark().await?;
        let started = Timestamp::now();
        let mut running = OPERATOR.start(
            &self.program,
            &self.deployed,
            &self.kubeconfig,
            self.cluster.dir(),
        )?;
        let since = Instant::now();
        let pid = loop {
            if let Some(pid) = usage::child(running.id(), &self.program) {
                break pid;
            }
            running.check()?;
            ensure!(since.elapsed() < LIMIT, "the operator did not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Ok(Process {
            running,
            pid,
            started,
            mark,
        })
    }

    /// Starts the operator and waits until it holds its Lease and has nothing more to do.
    pub(crate) async fn start_and_settle(&self) -> Result<Process> {
        let mut process = self.start().await?;
        let since = Instant::now();
        loop {
            process.running.check()?;
            let log = self.requests(process.mark).await?;
            if log.records.iter().any(leads) {
                break;
            }
            ensure!(
                since.elapsed() < LIMIT,
                "the operator did not take its Lease; its log is {}",
                process.running.log.display()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mark = process.mark;
        self.settle(&mut process, mark).await?;
        Ok(process)
    }

    /// Creates the registries and waits until all are available.
    pub(crate) async fn create(&self, process: &mut Process, crowd: &Crowd) -> Result<Seconds> {
        let race = crowd.race(&self.client, true, |number| async move {
            crowd.create(&self.client, number).await.map(drop)
        });
        let outcome = tokio::select! {
            seconds = race => seconds,
            error = process.ended() => Err(error),
        };
        outcome.with_context(|| process.tail())
    }

    /// Waits until the operator asks for nothing more. One that never rests is measured as it is.
    pub(crate) async fn settle(&self, process: &mut Process, mark: u64) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < LIMIT {
            process.running.check()?;
            let log = self.requests(mark).await?;
            let last = log.records.iter().filter(|record| !is_lease(record));
            let last = last.map(|record| record.answered).max();
            let quiet = last.map_or(since.elapsed(), |last| {
                Timestamp::now().duration_since(last).unsigned_abs()
            });
            if quiet >= PAUSE {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        eprintln!("  the operator does not come to rest");
        Ok(())
    }

    /// The operator's requests since a mark.
    pub(crate) async fn requests(&self, mark: u64) -> Result<AuditLog> {
        let log = self.cluster.audit_since(mark).await?;
        let (namespace, name) = (&self.deployed.namespace, &self.deployed.service_account);
        let own = log.by_service_account(namespace, name);
        Ok(AuditLog {
            records: own.into_iter().cloned().collect(),
        })
    }
}

impl Process {
    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.pid)
    }

    /// Asks it to stop, as a kubelet does, and waits until it has.
    pub(crate) async fn stop(self) -> Result<()> {
        run(Command::new("kill").arg(self.pid.to_string()))?;
        let since = Instant::now();
        while Path::new(&format!("/proc/{}", self.pid)).exists() {
            ensure!(since.elapsed() < LIMIT, "the operator does not stop");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// An error once it has ended.
    async fn ended(&mut self) -> anyhow::Error {
        loop {
            if let Err(error) = self.running.check() {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.running.log).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().rev().take(10).collect();
        lines.reverse();
        format!("the operator's log ends with:\n{}\n", lines.join("\n"))
    }
}

fn is_lease(record: &Record) -> bool {
    record.group == "coordination.k8s.io"
}

fn leads(record: &Record) -> bool {
    is_lease(record) && record.is_write() && record.code < 300
}
