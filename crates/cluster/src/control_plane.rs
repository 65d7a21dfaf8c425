//! Starting the servers, and what a running cluster offers.

mod layout;
mod life;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use tokio::sync::oneshot;

use self::layout::Layout;
use self::life::background;
use crate::audit::MARKER;
use crate::process::Guardian;
use crate::tools::Tools;
use crate::{AuditLog, Error, Record, StandIn, access, kubeconfig, pki, tools};

/// What a cluster is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// Plain Kubernetes: no API but its own.
    #[default]
    Kubernetes,
    /// A stand-in for OpenShift, see [`crate::standin`].
    OpenShift,
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kubernetes" => Ok(Self::Kubernetes),
            "openshift" => Ok(Self::OpenShift),
            other => Err(format!(
                "platform `{other}` is unknown: use `kubernetes` or `openshift`"
            )),
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kubernetes => "kubernetes",
            Self::OpenShift => "openshift",
        })
    }
}

/// Environment variable: a directory that exists, where audit logs are written to, and stay when
/// their clusters go.
pub const COLLECTED_AUDIT: &str = "MODELOPS_COLLECTED_AUDIT";

/// How to start a cluster.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What it is like.
    pub platform: Platform,
    /// Where its files go: an empty or new directory; a temporary one by default. It is removed
    /// with the cluster.
    pub dir: Option<PathBuf>,
    /// YAML that is applied before the controllers start: `CustomResourceDefinition`s, above all.
    /// The garbage collector looks for new kinds every 30 s only; these it knows from the start.
    pub manifests: String,
}

/// A running control plane. Dropping it, or the end of the process in any way, ends it.
pub struct Cluster {
    dir: PathBuf,
    audit: PathBuf,
    platform: Platform,
    config: Config,
    tools: Tools,
    background: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    servers: Guardian,
}

impl Cluster {
    /// Builds what is missing and starts everything. Blocks until a pod could be made.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let tools = tools::ensure()?;
        let mut attempts = 3;
        loop {
            match Self::start_once(options, &tools) {
                // A free port was taken between the look and the bind.
                Err(Error::Server { tail, .. })
                    if attempts > 1 && tail.contains("address already in use") =>
                {
                    attempts -= 1;
                }
                other => return other,
            }
        }
    }

    fn start_once(options: &Options, tools: &Tools) -> Result<Self, Error> {
        let dir = match &options.dir {
            Some(dir) => std::path::absolute(dir).map_err(Error::io(dir.display().to_string()))?,
            None => tempfile::Builder::new()
                .prefix("cluster-")
                .tempdir()
                .map_err(Error::io("making a temporary directory"))?
                .keep(),
        };
        std::fs::create_dir_all(dir.join("logs")).map_err(Error::io(dir.display().to_string()))?;
        let layout = Layout::write(&dir, options.platform)?;
        let audit = layout.audit.clone();

        // Controllers and the start itself have a thread and a runtime of their own, because each
        // test of a process has another runtime, and all of them end before the cluster does.
        let (ready, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let (tools_for_thread, options_for_thread) = (tools.clone(), options.clone());
        let thread = std::thread::Builder::new()
            .name("cluster".to_owned())
            .spawn(move || {
                background(
                    &layout,
                    &tools_for_thread,
                    &options_for_thread,
                    &ready,
                    stopped,
                );
            })
            .map_err(Error::io("starting a thread"))?;
        let (servers, config) = started.recv().unwrap_or_else(|_| {
            Err(Error::Shared(
                "the cluster's thread ended while it started".to_owned(),
            ))
        })?;
        Ok(Self {
            dir,
            audit,
            platform: options.platform,
            config,
            tools: tools.clone(),
            background: Some((stop, thread)),
            servers,
        })
    }

    /// A new client of a cluster admin, for the current runtime.
    pub fn client(&self) -> Result<Client, Error> {
        Client::try_from(self.config.clone()).map_err(Error::api("making a client"))
    }

    /// The client configuration of a cluster admin.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// What the cluster is like.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The cluster's directory: its certificates, logs and audit log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A kubeconfig file of a cluster admin.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The process ids of the servers, by program name.
    #[must_use]
    pub fn pids(&self) -> Vec<(String, u32)> {
        self.servers.pids()
    }

    /// Creates a namespace `PREFIX-xxxxx` and waits until pods can be made in it.
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        access::create_namespace(&self.client()?, prefix).await
    }

    /// A kubeconfig file of a service account, with a token that is valid for a day.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<PathBuf, Error> {
        let text = kubeconfig::service_account_kubeconfig(
            self.client()?,
            &self.kubeconfig_path(),
            namespace,
            name,
        )
        .await?;
        let path = self.dir.join(format!("kubeconfig-{namespace}-{name}"));
        pki::write_private(&path, &text)?;
        Ok(path)
    }

    /// The client configuration of a service account.
    pub async fn config_for_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Config, Error> {
        kubeconfig::read_config(&self.service_account_kubeconfig(namespace, name).await?).await
    }

    /// Runs `kubectl` as a cluster admin and returns what it prints.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String, Error> {
        let output = tokio::process::Command::new(&self.tools.kubectl)
            .arg("--kubeconfig")
            .arg(self.kubeconfig_path())
            .args(args)
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .map_err(Error::io("running kubectl"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Error::Kubectl {
                args: args.join(" "),
                stderr,
            })
        }
    }

    /// Installs an API of the stand-in, e.g. the Gateway API on plain Kubernetes.
    pub async fn install(&self, api: StandIn) -> Result<(), Error> {
        access::apply_yaml(&self.client()?, "default", api.crd())
            .await
            .map(drop)
    }

    /// Removes an API that [`Self::install`] brought, with its objects.
    pub async fn uninstall(&self, api: StandIn) -> Result<(), Error> {
        self.kubectl(&["delete", "crd", api.name(), "--ignore-not-found"])
            .await
            .map(drop)
    }

    /// Every request so far, of everybody but the cluster's own programs.
    pub async fn audit(&self) -> Result<AuditLog, Error> {
        self.audit_since(0).await
    }

    /// The requests since a mark.
    pub async fn audit_since(&self, mark: u64) -> Result<AuditLog, Error> {
        self.audit_mark().await?;
        AuditLog::read(&self.audit, mark)
    }

    /// What a service account (namespace, name) asks for within this time from now on. A watch ends
    /// and begins anew now and then; that is no work, and left out.
    pub async fn asked_within(
        &self,
        (namespace, name): (&str, &str),
        time: Duration,
    ) -> Result<Vec<Record>, Error> {
        let mark = self.audit_mark().await?;
        tokio::time::sleep(time).await;
        let log = self.audit_since(mark).await?;
        let asked = log.by_service_account(namespace, name).into_iter();
        Ok(asked
            .filter(|record| record.verb != "watch")
            .cloned()
            .collect())
    }

    /// A place in the audit log: every request that was answered before this call is before it.
    pub async fn audit_mark(&self) -> Result<u64, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let marker = format!(
            "{MARKER}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        // The record is written a moment after the answer, so the log is read until a request that
        // was made last is in it: from where it ended before, because others go on asking.
        let before = std::fs::metadata(&self.audit).map_or(0, |file| file.len());
        let client = self.client()?;
        Api::<Namespace>::all(client)
            .get_opt(&marker)
            .await
            .map_err(Error::api("marking the audit log"))?;
        access::eventually(
            "the audit log's newest line",
            Duration::from_secs(20),
            || async {
                AuditLog::end_of_line_with(&self.audit, before, &marker)
                    .map_err(|error| error.to_string())?
                    .ok_or_else(String::new)
            },
        )
        .await
    }

    /// A test of this cluster gives an operator less than it asks for: whoever reads the collected
    /// audit logs expects the API server to refuse these, each as [`crate::Record::right`] says it. [`crate::ANY_RIGHT`] is for a test that takes them all.
    pub fn expect_refusals(&self, rights: &[&str]) -> Result<(), Error> {
        if std::env::var_os(COLLECTED_AUDIT).is_none() {
            return Ok(());
        }
        let path = crate::audit::refusals_path(&self.audit);
        std::fs::write(&path, rights.join("\n")).map_err(Error::io(path.display().to_string()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.background.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}
