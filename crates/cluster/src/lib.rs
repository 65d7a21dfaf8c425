//! A real Kubernetes control plane on a machine that has Rust and Go and nothing else, with
//! simulated nodes. For tests, demos and measurements; never a dependency of an operator.
//!
//! ```no_run
//! # async fn example() -> Result<(), cluster::Error> {
//! let cluster = cluster::shared(cluster::Platform::Kubernetes)?; // one per test binary
//! let namespace = cluster.namespace("demo").await?;              // one per test
//! let client = cluster.client()?;                                // as a cluster admin
//! cluster::apply_yaml(&client, &namespace, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}").await?;
//! # Ok(()) }
//! ```
//!
//! What is real: etcd, API server with RBAC and default admission, controller manager, scheduler.
//! What is played: nodes, volumes and the end of Jobs by kwok, the start of pods by [`sim`], and on
//! [`Platform::OpenShift`] a stand-in for what OpenShift adds ([`standin`]).

mod access;
mod aggregated;
mod audit;
mod control_plane;
mod dynamic;
mod error;
mod foreign;
mod https;
mod kubeconfig;
mod pki;
mod process;
pub mod sim;
pub mod standin;
pub mod tools;

use std::sync::OnceLock;

pub use access::{apply, apply_yaml, available, create_namespace, eventually, gone, objects};
pub use aggregated::{Aggregated, AggregatedApi};
pub use audit::{ANY_RIGHT, AuditLog, Collected, Record};
pub use control_plane::{COLLECTED_AUDIT, Cluster, Options, Platform};
pub use dynamic::{api_of, conditions, remove, told, until, versions};
pub use error::Error;
pub use foreign::Foreign;
pub use kubeconfig::{read_config, service_account_kubeconfig};
pub use standin::{Mesh, StandIn};

/// The one cluster of this process and platform, started by whoever asks first. It ends with the
/// process. Blocks the thread while it starts, which takes about 3 s.
pub fn shared(platform: Platform) -> Result<&'static Cluster, Error> {
    shared_with(platform, String::new)
}

/// As [`shared`], with manifests for [`Options::manifests`]. Only those of whoever asks first count,
/// so all tests of a binary ask in the same way.
pub fn shared_with(
    platform: Platform,
    manifests: impl FnOnce() -> String,
) -> Result<&'static Cluster, Error> {
    static KUBERNETES: OnceLock<Result<Cluster, String>> = OnceLock::new();
    static OPENSHIFT: OnceLock<Result<Cluster, String>> = OnceLock::new();
    let cell = match platform {
        Platform::Kubernetes => &KUBERNETES,
        Platform::OpenShift => &OPENSHIFT,
    };
    let start = || {
        let manifests = manifests();
        Cluster::start(&Options {
            platform,
            manifests,
            ..Options::default()
        })
    };
    cell.get_or_init(|| start().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|message| Error::Shared(message.clone()))
}
