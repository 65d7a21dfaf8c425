//! Kinds of objects, by value: what an operator plans, watches and prunes is one list of these.

use std::fmt;

use kube::core::ApiResource;
use serde::{Deserialize, Serialize};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// One for the whole cluster.
    Cluster,
}

/// A kind of Kubernetes object: the group, version and names that its URL is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// API group, empty for core.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// CamelCase name of the kind.
    pub kind: &'static str,
    /// Lower-case plural, as in the URL.
    pub plural: &'static str,
    /// Namespaced or cluster-scoped.
    pub scope: Scope,
}

impl Kind {
    /// A namespaced kind.
    #[must_use]
    pub const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
            scope: Scope::Namespaced,
        }
    }

    /// A cluster-scoped kind.
    #[must_use]
    pub const fn cluster(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
            scope: Scope::Cluster,
        }
    }

    /// `apiVersion` of its objects: `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether the API server itself serves it: without a definition, a conversion or a server
    /// that could be missing or fail.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        let dotted = [
            "admissionregistration.k8s.io",
            "apiextensions.k8s.io",
            "discovery.k8s.io",
            "networking.k8s.io",
            "rbac.authorization.k8s.io",
        ];
        !self.group.contains('.') || dotted.contains(&self.group)
    }

    /// Whether an object that says this `apiVersion` and `kind` is of this kind.
    #[must_use]
    pub fn matches(&self, api_version: &str, kind: &str) -> bool {
        self.kind == kind && self.api_version() == api_version
    }

    /// Whether both are versions of one kind: an object of the one is an object of the other.
    #[must_use]
    pub fn is_version_of(&self, other: &Self) -> bool {
        self.group == other.group && self.plural == other.plural
    }

    /// Plural with its group, as RBAC and `kubectl` write it: `deployments.apps`.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// What an `Api` of objects without a Rust type asks for.
impl From<Kind> for ApiResource {
    fn from(kind: Kind) -> Self {
        Self {
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            api_version: kind.api_version(),
            kind: kind.kind.to_owned(),
            plural: kind.plural.to_owned(),
        }
    }
}

/// `ServiceAccount`.
pub const SERVICE_ACCOUNT: Kind = Kind::namespaced("", "v1", "ServiceAccount", "serviceaccounts");
/// `Secret`.
pub const SECRET: Kind = Kind::namespaced("", "v1", "Secret", "secrets");
/// `ConfigMap`.
pub const CONFIG_MAP: Kind = Kind::namespaced("", "v1", "ConfigMap", "configmaps");
/// `Service`.
pub const SERVICE: Kind = Kind::namespaced("", "v1", "Service", "services");
/// `PersistentVolumeClaim`.
pub const PERSISTENT_VOLUME_CLAIM: Kind =
    Kind::namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
/// `PersistentVolume`.
pub const PERSISTENT_VOLUME: Kind =
    Kind::cluster("", "v1", "PersistentVolume", "persistentvolumes");
/// `Pod`.
pub const POD: Kind = Kind::namespaced("", "v1", "Pod", "pods");
/// `Namespace`.
pub const NAMESPACE: Kind = Kind::cluster("", "v1", "Namespace", "namespaces");
/// `Deployment`.
pub const DEPLOYMENT: Kind = Kind::namespaced("apps", "v1", "Deployment", "deployments");
/// `Job`.
pub const JOB: Kind = Kind::namespaced("batch", "v1", "Job", "jobs");
/// `CronJob`.
pub const CRON_JOB: Kind = Kind::namespaced("batch", "v1", "CronJob", "cronjobs");
/// `PodDisruptionBudget`.
pub const POD_DISRUPTION_BUDGET: Kind = Kind::namespaced(
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
);
/// `EndpointSlice`.
pub const ENDPOINT_SLICE: Kind =
    Kind::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
/// `NetworkPolicy`.
pub const NETWORK_POLICY: Kind = Kind::namespaced(
    "networking.k8s.io",
    "v1",
    "NetworkPolicy",
    "networkpolicies",
);
/// `Role`.
pub const ROLE: Kind = Kind::namespaced("rbac.authorization.k8s.io", "v1", "Role", "roles");
/// `RoleBinding`.
pub const ROLE_BINDING: Kind = Kind::namespaced(
    "rbac.authorization.k8s.io",
    "v1",
    "RoleBinding",
    "rolebindings",
);
/// `ClusterRole`.
pub const CLUSTER_ROLE: Kind = Kind::cluster(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRole",
    "clusterroles",
);
/// `ClusterRoleBinding`.
pub const CLUSTER_ROLE_BINDING: Kind = Kind::cluster(
    "rbac.authorization.k8s.io",
    "v1",
    "ClusterRoleBinding",
    "clusterrolebindings",
);
/// OpenShift's `Route`.
pub const ROUTE: Kind = Kind::namespaced("route.openshift.io", "v1", "Route", "routes");
/// OpenShift's `Group` of users.
pub const GROUP: Kind = Kind::cluster("user.openshift.io", "v1", "Group", "groups");
/// OpenShift's `Ingress` configuration.
pub const INGRESS_CONFIG: Kind = Kind::cluster("config.openshift.io", "v1", "Ingress", "ingresses");
/// Open Data Hub's `Auth`: who administers the platform, and who may use it.
pub const AUTH: Kind = Kind::cluster(
    "services.platform.opendatahub.io",
    "v1alpha1",
    "Auth",
    "auths",
);
/// `MutatingWebhookConfiguration`.
pub const MUTATING_WEBHOOKS: Kind = Kind::cluster(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
);
/// `ValidatingWebhookConfiguration`.
pub const VALIDATING_WEBHOOKS: Kind = Kind::cluster(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
);
/// `CustomResourceDefinition`.
pub const DEFINITION: Kind = Kind::cluster(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);
/// OpenShift's configuration of its API server.
pub const API_SERVER: Kind = Kind::cluster("config.openshift.io", "v1", "APIServer", "apiservers");
/// Gateway API's `HTTPRoute`.
pub const HTTP_ROUTE: Kind =
    Kind::namespaced("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
/// Gateway API's `ReferenceGrant`.
pub const REFERENCE_GRANT: Kind = Kind::namespaced(
    "gateway.networking.k8s.io",
    "v1beta1",
    "ReferenceGrant",
    "referencegrants",
);
/// `BackendTLSPolicy` of Gateway API 1.4.
pub const BACKEND_TLS_POLICY: Kind = Kind::namespaced(
    "gateway.networking.k8s.io",
    "v1",
    "BackendTLSPolicy",
    "backendtlspolicies",
);
/// `BackendTLSPolicy` of Gateway API 1.1 to 1.3, in its experimental channel.
pub const BACKEND_TLS_POLICY_ALPHA: Kind = Kind::namespaced(
    "gateway.networking.k8s.io",
    "v1alpha3",
    "BackendTLSPolicy",
    "backendtlspolicies",
);
/// Versions of `BackendTLSPolicy` that can be used, the best first.
pub const BACKEND_TLS_POLICIES: [Kind; 2] = [BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA];
/// Kubernetes' own `Ingress`.
pub const INGRESS: Kind = Kind::namespaced("networking.k8s.io", "v1", "Ingress", "ingresses");
/// cert-manager's `Certificate`.
pub const CERTIFICATE: Kind =
    Kind::namespaced("cert-manager.io", "v1", "Certificate", "certificates");
/// `ServiceMonitor` of the Prometheus operator.
pub const SERVICE_MONITOR: Kind = Kind::namespaced(
    "monitoring.coreos.com",
    "v1",
    "ServiceMonitor",
    "servicemonitors",
);
/// Istio's `VirtualService`.
pub const VIRTUAL_SERVICE: Kind = Kind::namespaced(
    "networking.istio.io",
    "v1beta1",
    "VirtualService",
    "virtualservices",
);
/// Istio's `DestinationRule`.
pub const DESTINATION_RULE: Kind = Kind::namespaced(
    "networking.istio.io",
    "v1beta1",
    "DestinationRule",
    "destinationrules",
);
/// Istio's `Gateway`, which has nothing to do with that of Gateway API.
pub const ISTIO_GATEWAY: Kind =
    Kind::namespaced("networking.istio.io", "v1beta1", "Gateway", "gateways");
/// Istio's `AuthorizationPolicy`.
pub const AUTHORIZATION_POLICY: Kind = Kind::namespaced(
    "security.istio.io",
    "v1beta1",
    "AuthorizationPolicy",
    "authorizationpolicies",
);
/// Authorino's `AuthConfig`: who may call a host.
pub const AUTH_CONFIG: Kind = Kind::namespaced(
    "authorino.kuadrant.io",
    "v1beta3",
    "AuthConfig",
    "authconfigs",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_grouped_kinds_write_their_version_and_resource() {
        assert_eq!(SECRET.api_version(), "v1");
        assert_eq!(DEPLOYMENT.api_version(), "apps/v1");
        assert_eq!(SECRET.resource(), "secrets");
        assert_eq!(DEPLOYMENT.resource(), "deployments.apps");
        assert!(DEPLOYMENT.matches("apps/v1", "Deployment"));
        assert!(!DEPLOYMENT.matches("v1", "Deployment"));
    }

    #[test]
    fn kinds_of_the_api_server_are_told_from_those_of_definitions() {
        assert!(
            [
                SECRET,
                DEPLOYMENT,
                ROLE,
                INGRESS,
                ENDPOINT_SLICE,
                DEFINITION
            ]
            .iter()
            .all(Kind::is_built_in)
        );
        assert!(
            ![ROUTE, HTTP_ROUTE, SERVICE_MONITOR, INGRESS_CONFIG]
                .iter()
                .any(Kind::is_built_in)
        );
    }

    #[test]
    fn versions_of_a_kind_are_told_from_kinds_of_one_name() {
        assert!(BACKEND_TLS_POLICY.is_version_of(&BACKEND_TLS_POLICY_ALPHA));
        assert!(!INGRESS.is_version_of(&INGRESS_CONFIG));
    }
}
