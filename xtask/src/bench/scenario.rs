//! One cluster with an operator in it, and what an operator goes through.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cluster::{AuditLog, Cluster, Options, Platform, Record, tools};
use jiff::Timestamp;
use kube::Client;
use kube::api::{DynamicObject, ResourceExt as _};
use serde_json::{Value, json};

use super::crowd::{Crowd, Seconds};
use super::subject::Subject;
use super::usage::{self, Usage, usage};
use crate::operator::{Deployed, Operator, Running, kind};
use crate::steps::run;

/// The operator of the catalog, which is the same program as that of registries.
pub(crate) const CATALOG: &str = "overlays/catalog";

/// An operator is done when it asked for nothing this long.
const PAUSE: Duration = Duration::from_secs(3);

/// How long it may take to lead, to be done, to stop.
const LIMIT: Duration = Duration::from_mins(1);

/// The built programs.
pub(crate) type Programs = BTreeMap<Subject, PathBuf>;

/// A cluster with an operator's manifests.
pub(crate) struct Scenario {
    /// The cluster.
    pub(crate) cluster: Arc<Cluster>,
    /// A cluster admin.
    pub(crate) client: Client,
    /// The operator's own way in.
    kubeconfig: PathBuf,
    /// What its operator is measured with.
    pub(crate) subject: Subject,
    operator: Operator,
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
    pub(crate) async fn new(
        platform: Platform,
        subject: Subject,
        variant: &'static str,
        programs: &Programs,
    ) -> Result<Self> {
        let cluster = Cluster::start(&Options {
            platform,
            ..Options::default()
        })?;
        for api in subject.apis() {
            cluster.install(*api).await?;
        }
        let program = programs.get(&subject).context("the program was built")?;
        Self::of(Arc::new(cluster), subject, variant, program).await
    }

    /// The same program in the same cluster, as another variant runs it.
    pub(crate) async fn beside(&self, variant: &'static str) -> Result<Self> {
        Self::of(
            Arc::clone(&self.cluster),
            self.subject,
            variant,
            &self.program,
        )
        .await
    }

    async fn of(
        cluster: Arc<Cluster>,
        subject: Subject,
        variant: &'static str,
        program: &Path,
    ) -> Result<Self> {
        let operator = subject.operator(variant);
        let client = cluster.client()?;
        let port = free_port()?;
        let deployed = operator
            .install_edited(&client, &tools::ensure()?.kubectl, |object| {
                lead_here(object, port);
            })
            .await?
            .with_flag(&format!("--webhook-bind-address=127.0.0.1:{port}"));
        let kubeconfig = cluster
            .service_account_kubeconfig(&deployed.namespace, &deployed.service_account)
            .await?;
        Ok(Self {
            cluster,
            client,
            kubeconfig,
            subject,
            operator,
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
        let mut running = self.operator.start(
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

    /// Creates the resources and waits until all are available.
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

/// A port that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Leads the API server's calls to this machine: an address in the cluster is served by nobody
/// here, and a Service of type ExternalName leads anywhere.
fn lead_here(object: &mut DynamicObject, port: u16) {
    if kind(object) == "Service"
        && object.name_any().ends_with("-webhook-service")
        && let Some(spec) = object.data.get_mut("spec")
    {
        *spec = json!({"type": "ExternalName", "externalName": "localhost"});
    }
    let configs = object
        .data
        .get_mut("webhooks")
        .and_then(Value::as_array_mut);
    for webhook in configs.into_iter().flatten() {
        set_port(webhook.pointer_mut("/clientConfig/service"), port);
    }
    let conversion = "/spec/conversion/webhook/clientConfig/service";
    set_port(object.data.pointer_mut(conversion), port);
}

fn set_port(service: Option<&mut Value>, port: u16) {
    if let Some(service) = service.and_then(Value::as_object_mut) {
        service.insert("port".to_owned(), port.into());
    }
}

fn is_lease(record: &Record) -> bool {
    record.group == "coordination.k8s.io"
}

fn leads(record: &Record) -> bool {
    is_lease(record) && record.is_write() && record.code < 300
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(object: Value) -> Value {
        let mut object: DynamicObject = serde_json::from_value(object).unwrap();
        lead_here(&mut object, 7);
        serde_json::to_value(object).unwrap()
    }

    #[test]
    fn calls_of_the_api_server_come_here() {
        let service = led(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "a-webhook-service"}, "spec": {"selector": {"a": "b"}}}));
        assert_eq!(
            service["spec"],
            json!({"type": "ExternalName", "externalName": "localhost"})
        );
        let configuration = led(json!({"metadata": {"name": "c"}, "webhooks": [
            {"clientConfig": {"service": {"name": "a-webhook-service", "port": 443}}},
        ]}));
        assert_eq!(
            configuration["webhooks"][0]["clientConfig"]["service"]["port"],
            7
        );
        let definition = led(json!({"metadata": {"name": "d"}, "spec": {"conversion": {
            "webhook": {"clientConfig": {"service": {"port": 443}}}}}}));
        assert_eq!(
            definition["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"],
            7
        );
        let other = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "metrics-service"}, "spec": {"selector": {"a": "b"}}});
        assert_eq!(led(other.clone()), other);
    }
}
