//! What a chart may know of the cluster and of the release it is rendered for.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

/// Versions of APIs that every cluster has that the project works with. Helm starts from the
/// versions that its own library knows; those that came later than Kubernetes 1.29 are not here.
const EVERYWHERE: [&str; 19] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "apps/v1",
    "authentication.k8s.io/v1",
    "authorization.k8s.io/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "certificates.k8s.io/v1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "events.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1",
    "networking.k8s.io/v1",
    "node.k8s.io/v1",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "storage.k8s.io/v1",
];

/// What the cluster offers: `.Capabilities` of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    kubernetes: String,
    api_versions: Vec<String>,
}

impl Capabilities {
    /// A cluster of this version (`v1.35.4`) with what every cluster has.
    #[must_use]
    pub fn new(kubernetes: &str) -> Self {
        Self {
            kubernetes: format!("v{}", kubernetes.trim_start_matches('v')),
            api_versions: EVERYWHERE.map(String::from).to_vec(),
        }
    }

    /// Adds what else it offers: `monitoring.coreos.com/v1`, or with the kind,
    /// `monitoring.coreos.com/v1/ServiceMonitor`. As `helm template --api-versions`.
    #[must_use]
    pub fn with(mut self, api_versions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.api_versions
            .extend(api_versions.into_iter().map(Into::into));
        self
    }

    pub(crate) fn value(&self) -> Value {
        let mut parts = self.kubernetes.trim_start_matches('v').split('.');
        let (major, minor) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let version = map([
            ("Version", self.kubernetes.as_str().into()),
            ("GitVersion", self.kubernetes.as_str().into()),
            ("Major", major.into()),
            ("Minor", minor.into()),
        ]);
        let api_versions = self
            .api_versions
            .iter()
            .map(|version| version.as_str().into());
        map([
            ("KubeVersion", version),
            ("APIVersions", Value::List(api_versions.collect())),
        ])
    }
}

/// What is being installed: `.Release` of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The namespace of its objects.
    pub namespace: String,
    /// Whether it is there already. A chart should not care.
    pub upgrade: bool,
}

impl Release {
    /// A release that is installed.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            upgrade: false,
        }
    }

    pub(crate) fn value(&self) -> Value {
        map([
            ("Name", self.name.as_str().into()),
            ("Namespace", self.namespace.as_str().into()),
            ("IsInstall", Value::Bool(!self.upgrade)),
            ("IsUpgrade", Value::Bool(self.upgrade)),
            ("Revision", Value::Int(1 + i64::from(self.upgrade))),
            ("Service", "Helm".into()),
        ])
    }
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
    Value::Map(Arc::new(entries.collect::<BTreeMap<_, _>>()))
}
