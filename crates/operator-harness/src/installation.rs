//! Where an operator is installed: one cluster per platform that all tests of a binary share, or
//! one of its own for a test that changes what a cluster offers.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cluster::{Cluster, Options, Platform};
use resources::Kind;
use tokio::sync::OnceCell;

use crate::{Account, Operator, World, install, root};

/// What a test installs. Paths are from the root of the workspace.
pub struct Installation {
    /// Folder of manifests, for `kubectl apply -k`.
    pub folder: &'static str,
    /// File with the definition of the operator's kind. It is in the cluster before the controllers
    /// start, so that the garbage collector knows the kind from the first second.
    pub definition: &'static str,
    /// The operator's service account.
    pub account: Account,
    /// Whose resources the tests make.
    pub kind: Kind,
}

/// A cluster with an operator installed and not running.
pub struct Site {
    /// It ends with the process.
    pub cluster: &'static Cluster,
    /// Of the operator's service account.
    pub kubeconfig: PathBuf,
    kind: Kind,
}

impl Installation {
    fn definition(&self) -> String {
        let path = root().join(self.definition);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The cluster that this process has for a platform. All tests of a binary have one
    /// installation.
    pub async fn shared(&self, platform: Platform) -> Site {
        static KUBERNETES: OnceCell<PathBuf> = OnceCell::const_new();
        static OPENSHIFT: OnceCell<PathBuf> = OnceCell::const_new();
        let cluster = cluster::shared_with(platform, || self.definition()).expect("a cluster");
        let kubeconfig = match platform {
            Platform::Kubernetes => &KUBERNETES,
            Platform::OpenShift => &OPENSHIFT,
        };
        let kubeconfig = kubeconfig.get_or_init(|| self.install(cluster)).await;
        Site {
            cluster,
            kubeconfig: kubeconfig.clone(),
            kind: self.kind,
        }
    }

    /// A fresh namespace on the cluster of [`Installation::shared`], on which the operator runs that
    /// whoever came first has started.
    pub async fn world(
        &self,
        platform: Platform,
        prefix: &str,
        start: impl FnOnce(&Path) -> Operator,
    ) -> World {
        static KUBERNETES: OnceLock<Operator> = OnceLock::new();
        static OPENSHIFT: OnceLock<Operator> = OnceLock::new();
        let site = self.shared(platform).await;
        let operator = match platform {
            Platform::Kubernetes => &KUBERNETES,
            Platform::OpenShift => &OPENSHIFT,
        };
        operator.get_or_init(|| start(&site.kubeconfig));
        site.world(prefix).await
    }

    /// A cluster of its own for a test that changes what it offers.
    pub async fn alone(&self, platform: Platform) -> Site {
        self.on(Box::leak(Box::new(self.start(platform).await)))
            .await
    }

    /// Installs on a cluster that ends with the process.
    pub async fn on(&self, cluster: &'static Cluster) -> Site {
        Site {
            cluster,
            kubeconfig: self.install(cluster).await,
            kind: self.kind,
        }
    }

    /// A cluster of its own that knows the definition, with nothing else installed. It ends when it
    /// is dropped.
    pub async fn start(&self, platform: Platform) -> Cluster {
        let options = Options {
            platform,
            manifests: self.definition(),
            ..Options::default()
        };
        // It blocks until the cluster is ready.
        tokio::task::spawn_blocking(move || Cluster::start(&options))
            .await
            .expect("no panic")
            .expect("a cluster")
    }

    /// Applies the manifests, and returns the kubeconfig of the operator's account.
    pub async fn install(&self, cluster: &Cluster) -> PathBuf {
        install(cluster, &root().join(self.folder), self.account).await
    }
}

impl Site {
    /// A fresh namespace.
    pub async fn world(&self, prefix: &str) -> World {
        let namespace = self.cluster.namespace(prefix).await.expect("a namespace");
        self.namespace(namespace)
    }

    /// A namespace that exists or is made by the test.
    pub fn namespace(&self, name: impl Into<String>) -> World {
        World {
            cluster: self.cluster,
            client: self.cluster.client().expect("a client"),
            namespace: name.into(),
            kind: self.kind,
        }
    }
}
