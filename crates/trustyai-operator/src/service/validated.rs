//! What the objects are made of: names and values that were checked, and nothing else.

use std::collections::BTreeMap;

use api::common::Operand;
use api::trustyai::v1::{Data, ServiceMonitoring};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::exposure::Exposure;
use resources::names::{HostLabel, ObjectName};
use serde::{Deserialize, Serialize};

use crate::wiring::Wiring;

use super::config::Settings;
use super::names::Names;
use super::observe::{Certificate, Database, Platform, Trust};

/// A service whose objects can be made.
#[derive(Clone, Debug)]
pub struct Validated {
    /// All of its names.
    pub names: Names,
    /// Its namespace.
    pub namespace: HostLabel,
    /// The resource as the owner of its objects; `None` where it has no uid, as in `render`.
    pub owner: Option<OwnerReference>,
    /// What the cluster offers.
    pub platform: Platform,
    /// What the installation sets.
    pub settings: Settings,
    /// ClusterRole of the proxy.
    pub proxy_role: String,
    /// The operator's namespace, where the Go operator left a monitor for all services.
    pub central: Option<String>,
    /// Number of pods.
    pub replicas: i32,
    /// `PVC` or `DATABASE`.
    pub format: &'static str,
    /// Where the data is, or comes from, in files.
    pub folder: Option<Folder>,
    /// The claim that is made, whether pods mount it or not.
    pub claim: Option<Claim>,
    /// The database, where data is kept in one.
    pub database: Option<Database>,
    /// How files are called and what is in them.
    pub data: Data,
    /// When metrics are calculated.
    pub schedule: String,
    /// How many inferences a calculation looks at.
    pub batch_size: i64,
    /// Where the certificate of the proxy comes from.
    pub proxy_certificate: Certificate,
    /// Where the certificate of the service itself comes from.
    pub certificate: Certificate,
    /// How clients learn which authority to trust.
    pub trust: Trust,
    /// Hash of what pods read once; `None` when that is nothing.
    pub inputs_hash: Option<String>,
    /// The namespace has the authorities that the cluster trusts.
    pub has_trusted_ca: bool,
    /// Labels that the Deployment selects its pods by.
    pub selector: BTreeMap<String, String>,
    /// Hash of the certificate that the first pods started with.
    pub baseline: Option<String>,
    /// How Prometheus reads the metrics; `None` when it does not.
    pub monitoring: Option<ServiceMonitoring>,
    /// A Route leads in, where there are Routes.
    pub route: bool,
    /// Ways in from outside.
    pub expose: Option<Exposure>,
    /// Compute resources of the service's container.
    pub resources: Option<ResourceRequirements>,
    /// How the pods run.
    pub operand: Operand,
    /// What becomes of the models of the namespace.
    pub wiring: Wiring,
    /// What is written in the resource and means nothing, or means something else.
    pub warnings: Vec<String>,
}

/// A directory in the service's container that a volume is mounted at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is mounted, as written.
    pub path: String,
    /// The claim of the volume.
    pub claim: ObjectName,
}

/// The claim that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its size.
    pub size: String,
    /// What cannot change.
    pub fixed: Fixed,
    /// It outlives the resource.
    pub retain: bool,
}

/// What a claim is asked for with, and cannot change once it is there. What the cluster put in
/// beside it is the cluster's, and nothing that we would have to repeat.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fixed {
    /// How nodes may use it.
    pub access_modes: Vec<String>,
    /// Storage class, where it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// The volume, where it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// `Filesystem` or `Block`, where it is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<String>,
}

impl Validated {
    /// The data moves from files to the database.
    #[must_use]
    pub fn migrates(&self) -> bool {
        self.folder.is_some() && self.database.is_some()
    }

    /// The Deployment's pods can start: with a wrong Secret of the database they could not.
    #[must_use]
    pub fn can_start(&self) -> bool {
        let problem = self.database.as_ref().and_then(|d| d.problem.as_ref());
        problem.is_none()
    }
}
