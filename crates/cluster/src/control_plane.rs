//! Starting the servers, and what a running cluster offers.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, Node, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::sync::oneshot;

use crate::audit::MARKER;
use crate::pki::Authority;
use crate::process::Guardian;
use crate::tools::Tools;
use crate::{AuditLog, Error, StandIn, access, kubeconfig, pki, sim, standin, tools};

const AUDIT_POLICY: &str = include_str!("../assets/audit-policy.yaml");
const STAGES: &str = include_str!("../assets/stages.yaml");
const BASE: &str = include_str!("../assets/base.yaml");

/// How long a start may take; on an idle machine it takes 3 s.
const START_LIMIT: Duration = Duration::from_secs(90);

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
        AuditLog::read(&self.audit_path(), mark)
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
        let before = std::fs::metadata(self.audit_path()).map_or(0, |file| file.len());
        let client = self.client()?;
        Api::<Namespace>::all(client)
            .get_opt(&marker)
            .await
            .map_err(Error::api("marking the audit log"))?;
        access::eventually(
            "the audit log's newest line",
            Duration::from_secs(20),
            || async {
                AuditLog::end_of_line_with(&self.audit_path(), before, &marker)
                    .map_err(|error| error.to_string())?
                    .ok_or_else(String::new)
            },
        )
        .await
    }

    fn audit_path(&self) -> PathBuf {
        self.dir.join("audit.log")
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

/// The files of a cluster and the ports that its servers listen on.
struct Layout {
    dir: PathBuf,
    etcd: u16,
    etcd_peer: u16,
    apiserver: u16,
    authority: Authority,
    kubeconfig: String,
}

impl Layout {
    fn write(dir: &Path, platform: Platform) -> Result<Self, Error> {
        let [etcd, etcd_peer, apiserver] = free_ports()?;
        let authority = Authority::new("local cluster")?;
        pki::write(dir, &authority)?;
        let server = format!("https://127.0.0.1:{apiserver}");
        let masters = Some("system:masters");
        let mut admin = String::new();
        for (file, user, group) in [
            ("kubeconfig", "admin", masters),
            // All of its controllers act as this one user, so it may do everything.
            (
                "controller-manager.kubeconfig",
                "system:kube-controller-manager",
                masters,
            ),
            ("scheduler.kubeconfig", "system:kube-scheduler", None),
            ("kwok.kubeconfig", "kwok", masters),
            ("simulation.kubeconfig", "simulation", masters),
        ] {
            let text = kubeconfig::by_certificate(
                &server,
                &authority.pem(),
                &authority.client(user, group)?,
            )?;
            pki::write_private(&dir.join(file), &text)?;
            if file == "kubeconfig" {
                admin = text;
            }
        }
        for (file, text) in [
            ("audit-policy.yaml", AUDIT_POLICY),
            ("stages.yaml", STAGES),
            ("platform", platform.to_string().as_str()),
        ] {
            std::fs::write(dir.join(file), text).map_err(Error::io(file))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            etcd,
            etcd_peer,
            apiserver,
            authority,
            kubeconfig: admin,
        })
    }

    fn etcd(&self) -> Vec<String> {
        let (client, peer) = (
            format!("http://127.0.0.1:{}", self.etcd),
            format!("http://127.0.0.1:{}", self.etcd_peer),
        );
        [
            "--name=local".to_owned(),
            "--data-dir=etcd".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=local={peer}"),
            "--unsafe-no-fsync".to_owned(),
            "--quota-backend-bytes=4294967296".to_owned(),
            "--log-level=warn".to_owned(),
        ]
        .into()
    }

    fn apiserver(&self, platform: Platform) -> Vec<String> {
        let mut args: Vec<String> = [
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            // No endpoint of `kubernetes` is published: a loopback address is refused there.
            "--endpoint-reconciler-type=none",
            "--authorization-mode=RBAC",
            "--client-ca-file=ca.crt",
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=sa.pub",
            "--service-account-signing-key-file=sa.key",
            "--service-cluster-ip-range=10.96.0.0/12",
            "--allow-privileged=true",
            "--audit-policy-file=audit-policy.yaml",
            "--audit-log-path=audit.log",
            "--audit-log-format=json",
            // Places in the log are offsets, so it must stay one file.
            "--audit-log-maxsize=65536",
            "--requestheader-client-ca-file=ca.crt",
            "--requestheader-allowed-names=aggregator",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--proxy-client-cert-file=proxy.crt",
            "--proxy-client-key-file=proxy.key",
            "--profiling=false",
        ]
        .map(str::to_owned)
        .into();
        args.push(format!("--secure-port={}", self.apiserver));
        args.push(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd));
        if platform == Platform::OpenShift {
            args.push("--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned());
        }
        args
    }

    async fn config(&self) -> Result<Config, Error> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig)?;
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    }
}

fn controller_manager() -> Vec<String> {
    [
        "--kubeconfig=controller-manager.kubeconfig",
        "--service-account-private-key-file=sa.key",
        "--root-ca-file=ca.crt",
        "--use-service-account-credentials=false",
        // Nodes do not report again, and a machine that slept must not find them lost.
        "--node-monitor-grace-period=87600h",
        "--leader-elect=false",
        "--secure-port=0",
        // Not the bottleneck when hundreds of workloads are made at once.
        "--kube-api-qps=2000",
        "--kube-api-burst=4000",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
    ]
    .map(str::to_owned)
    .into()
}

fn scheduler() -> Vec<String> {
    [
        "--kubeconfig=scheduler.kubeconfig",
        "--authentication-kubeconfig=scheduler.kubeconfig",
        "--authorization-kubeconfig=scheduler.kubeconfig",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=2000",
        "--kube-api-burst=4000",
    ]
    .map(str::to_owned)
    .into()
}

fn kwok() -> Vec<String> {
    [
        "--kubeconfig=kwok.kubeconfig",
        "--config=stages.yaml",
        "--manage-all-nodes=true",
    ]
    .map(str::to_owned)
    .into()
}

/// Ports that were free together a moment ago.
fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener =
            TcpListener::bind("127.0.0.1:0").map_err(Error::io("finding a free port"))?;
        *port = listener
            .local_addr()
            .map_err(Error::io("finding a free port"))?
            .port();
        listeners.push(listener);
    }
    Ok(ports)
}

type Started = Result<(Guardian, Config), Error>;

/// The life of the cluster's thread: start everything, say so, play the missing parts until told to
/// stop.
fn background(
    layout: &Layout,
    tools: &Tools,
    options: &Options,
    ready: &std::sync::mpsc::Sender<Started>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(Error::io("starting a runtime")(error)));
            return;
        }
    };
    runtime.block_on(async {
        let outcome = bring_up(layout, tools, options).await;
        let failed = outcome.is_err();
        let _ = ready.send(outcome);
        if failed {
            return;
        }
        match kubeconfig::read_config(&layout.dir.join("simulation.kubeconfig"))
            .await
            .map(Client::try_from)
        {
            Ok(Ok(client)) => {
                let stand_in = match options.platform {
                    Platform::Kubernetes => futures::future::pending().boxed_local(),
                    Platform::OpenShift => {
                        standin::run(client.clone(), &layout.authority).boxed_local()
                    }
                };
                tokio::select! {
                    () = sim::run(client) => {}
                    () = stand_in => {}
                    _ = stopped => {}
                }
            }
            other => tracing::error!(error = ?other.err(), "the simulation has no client"),
        }
    });
}

async fn bring_up(layout: &Layout, tools: &Tools, options: &Options) -> Started {
    let dir = layout.dir.as_path();
    let mut servers = Guardian::start(dir)?;
    servers.spawn(&tools.etcd, dir, &layout.etcd())?;
    servers.spawn(&tools.apiserver, dir, &layout.apiserver(options.platform))?;
    let config = layout.config().await?;
    let client = Client::try_from(config.clone()).map_err(Error::api("making a client"))?;
    until_ready(&mut servers, &client, START_LIMIT).await?;
    // Before the controllers, so that the garbage collector finds these kinds when it starts.
    if options.platform == Platform::OpenShift {
        standin::install(&client).await?;
    }
    access::apply_yaml(&client, "default", &options.manifests).await?;
    servers.spawn(&tools.controller_manager, dir, &controller_manager())?;
    servers.spawn(&tools.scheduler, dir, &scheduler())?;
    servers.spawn(&tools.kwok, dir, &kwok())?;
    access::apply_yaml(&client, "default", BASE).await?;
    access::eventually(
        "a ready node and the default service account",
        START_LIMIT,
        || async {
            let nodes = Api::<Node>::all(client.clone());
            let node = nodes
                .get("simulated-0")
                .await
                .map_err(|error| error.to_string())?;
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            if !conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            {
                return Err("the node is not ready".to_owned());
            }
            if let Some(taints) = node.spec.and_then(|spec| spec.taints) {
                return Err(format!("the node has taints: {taints:?}"));
            }
            let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
            accounts
                .get("default")
                .await
                .map_err(|error| error.to_string())
        },
    )
    .await?;
    servers.check()?;
    Ok((servers, config))
}

/// Waits for the API server's own word that it is ready.
async fn until_ready(
    servers: &mut Guardian,
    client: &Client,
    limit: Duration,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        servers.check()?;
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .unwrap_or_default();
        match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > limit => {
                let problem = format!("was not ready within {} s ({error})", limit.as_secs());
                return Err(servers
                    .blame("kube-apiserver", &problem)
                    .unwrap_or(Error::Timeout {
                        what: "the API server".to_owned(),
                        seconds: limit.as_secs(),
                        last: String::new(),
                    }));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
