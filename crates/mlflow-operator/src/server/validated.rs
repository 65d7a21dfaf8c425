//! What the objects are made of: names and values that were checked.

use api::mlflow::v1::MLflowSpec;
use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::observe::Certificate;
use crate::config::Effective;
use crate::migration::state::Observed;
use crate::names::Names;
use crate::platform::Platform;

/// A server whose objects can be made.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Name of the resource.
    pub instance: String,
    /// All of its names.
    pub names: Names,
    /// Where its objects are.
    pub namespace: String,
    /// The resource as the owner of its objects; `None` where it has no uid, as in `render`.
    pub owner: Option<OwnerReference>,
    /// What the cluster offers.
    pub platform: Platform,
    /// What the installation sets.
    pub settings: Effective,
    /// Image of server and jobs.
    pub image: String,
    /// Its service account.
    pub account: String,
    /// What is handed to the chart as it is: every field of it was checked.
    pub spec: MLflowSpec,
    /// Which namespaces are workspaces, as a selector; empty for all.
    pub workspaces: String,
    /// Where the certificate comes from.
    pub certificate: Certificate,
    /// The namespace has the platform's authorities.
    pub has_platform_ca: bool,
    /// The claim that is made, if any.
    pub claim: Option<Claim>,
    /// What the Deployment and its pods remember of what pods read once.
    pub memory: Memory,
    /// How far the database is.
    pub migration: Observed,
    /// What is written in the resource and means nothing, or means something else.
    pub warnings: Vec<String>,
}

/// The claim that is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What it asks for.
    pub spec: PersistentVolumeClaimSpec,
    /// It outlives the resource.
    pub retain: bool,
}

/// What is remembered of what pods read once, as annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Of the Deployment: hash of it when pods were first made.
    pub baseline: Option<String>,
    /// Of the pods: its hash, once it is another one.
    pub hash: Option<String>,
}

impl Validated {
    /// Address inside the cluster.
    #[must_use]
    pub fn address(&self) -> String {
        self.names.address(&self.namespace)
    }

    /// Address from outside, where there is a way in and somebody said what it is called.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let base = self.settings.url.as_ref();
        let base = base.filter(|_| self.platform.http_routes)?;
        Some(format!("{base}{}", self.names.prefix()))
    }
}
