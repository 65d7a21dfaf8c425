//! The files of a cluster, and the arguments of its servers.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::{COLLECTED_AUDIT, Platform};
use crate::pki::Authority;
use crate::{Error, kubeconfig, pki};

const AUDIT_POLICY: &str = include_str!("../../assets/audit-policy.yaml");

const STAGES: &str = include_str!("../../assets/stages.yaml");

/// The files of a cluster and the ports that its servers listen on.
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    /// The audit log of the API server.
    pub(super) audit: PathBuf,
    etcd: u16,
    etcd_peer: u16,
    apiserver: u16,
    pub(super) authority: Authority,
    kubeconfig: String,
}

impl Layout {
    pub(super) fn write(dir: &Path, platform: Platform) -> Result<Self, Error> {
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
            audit: audit_path(dir)?,
            etcd,
            etcd_peer,
            apiserver,
            authority,
            kubeconfig: admin,
        })
    }

    pub(super) fn etcd(&self) -> Vec<String> {
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

    pub(super) fn apiserver(&self, platform: Platform) -> Vec<String> {
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
        args.push(format!("--audit-log-path={}", self.audit.display()));
        args.push(format!("--secure-port={}", self.apiserver));
        args.push(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd));
        if platform == Platform::OpenShift {
            args.push("--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned());
        }
        args
    }

    pub(super) async fn config(&self) -> Result<Config, Error> {
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig)?;
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    }
}

pub(super) fn controller_manager() -> Vec<String> {
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

pub(super) fn scheduler() -> Vec<String> {
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

pub(super) fn kwok() -> Vec<String> {
    [
        "--kubeconfig=kwok.kubeconfig",
        "--config=stages.yaml",
        "--manage-all-nodes=true",
    ]
    .map(str::to_owned)
    .into()
}

/// In the cluster's own directory, which goes with it, unless the logs are collected.
fn audit_path(dir: &Path) -> Result<PathBuf, Error> {
    let Some(collected) = std::env::var_os(COLLECTED_AUDIT) else {
        return Ok(dir.join("audit.log"));
    };
    let name = dir.file_name().unwrap_or_default();
    let path = Path::new(&collected).join(name).with_extension("log");
    std::path::absolute(&path).map_err(Error::io(path.display().to_string()))
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
