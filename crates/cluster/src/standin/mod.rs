//! A stand-in for OpenShift, and always called one: the APIs that operators look for, as minimal
//! CRDs of our own, and small controllers for the two things that operators wait for. A Route is
//! admitted, and a Service that asks for a serving certificate gets one. Nothing routes, nothing
//! checks a user of a Group, and Route and Group are CRDs here, not aggregated APIs.

mod mesh;
mod routes;
mod serving;

pub use mesh::Mesh;

use kube::Client;

use crate::pki::Authority;
use crate::{Error, access};

/// The domain of generated hosts, as in `ingresses.config.openshift.io/cluster`.
pub const DOMAIN: &str = "apps.example.test";

const OBJECTS: &str = include_str!("../../assets/openshift.yaml");

/// One API of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    /// `routes.route.openshift.io`, v1.
    Route,
    /// `groups.user.openshift.io`, v1.
    Group,
    /// `ingresses.config.openshift.io`, v1.
    Ingress,
    /// `apiservers.config.openshift.io`, v1.
    ApiServer,
    /// `consolelinks.console.openshift.io`, v1.
    ConsoleLink,
    /// `httproutes.gateway.networking.k8s.io`, v1.
    HttpRoute,
    /// `gateways.gateway.networking.k8s.io`, v1.
    Gateway,
    /// `referencegrants.gateway.networking.k8s.io`, v1beta1.
    ReferenceGrant,
    /// `backendtlspolicies.gateway.networking.k8s.io`, v1 and v1alpha3.
    BackendTlsPolicy,
    /// The same in v1alpha3 alone, as Gateway API had it before 1.4.
    BackendTlsPolicyAlpha,
    /// `certificates.cert-manager.io`, v1. Nothing makes certificates.
    Certificate,
    /// `servicemonitors.monitoring.coreos.com`, v1.
    ServiceMonitor,
    /// `auths.services.platform.opendatahub.io`, v1alpha1.
    Auth,
    /// `templates.template.openshift.io`, v1. Nothing processes them.
    Template,
    /// `inferenceservices.serving.kserve.io`, v1beta1. Nothing serves models.
    InferenceService,
}

impl StandIn {
    /// What [`crate::Platform::OpenShift`] begins with; the others come by
    /// [`crate::Cluster::install`].
    pub const OPENSHIFT: [Self; 11] = [
        Self::Route,
        Self::Group,
        Self::Ingress,
        Self::ApiServer,
        Self::ConsoleLink,
        Self::HttpRoute,
        Self::Gateway,
        Self::ReferenceGrant,
        Self::ServiceMonitor,
        Self::Auth,
        Self::Template,
    ];

    /// The `CustomResourceDefinition` as YAML.
    #[must_use]
    pub fn crd(self) -> &'static str {
        match self {
            Self::Route => include_str!("../../assets/crds/routes.yaml"),
            Self::Group => include_str!("../../assets/crds/groups.yaml"),
            Self::Ingress => include_str!("../../assets/crds/ingresses.yaml"),
            Self::ApiServer => include_str!("../../assets/crds/apiservers.yaml"),
            Self::ConsoleLink => include_str!("../../assets/crds/consolelinks.yaml"),
            Self::HttpRoute => include_str!("../../assets/crds/httproutes.yaml"),
            Self::Gateway => include_str!("../../assets/crds/gateways.yaml"),
            Self::ReferenceGrant => include_str!("../../assets/crds/referencegrants.yaml"),
            Self::BackendTlsPolicy => include_str!("../../assets/crds/backendtlspolicies.yaml"),
            Self::BackendTlsPolicyAlpha => {
                include_str!("../../assets/crds/backendtlspolicies-v1alpha3.yaml")
            }
            Self::Certificate => include_str!("../../assets/crds/certificates.yaml"),
            Self::ServiceMonitor => include_str!("../../assets/crds/servicemonitors.yaml"),
            Self::Auth => include_str!("../../assets/crds/auths.yaml"),
            Self::Template => include_str!("../../assets/crds/templates.yaml"),
            Self::InferenceService => include_str!("../../assets/crds/inferenceservices.yaml"),
        }
    }

    /// The name of the `CustomResourceDefinition`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Route => "routes.route.openshift.io",
            Self::Group => "groups.user.openshift.io",
            Self::Ingress => "ingresses.config.openshift.io",
            Self::ApiServer => "apiservers.config.openshift.io",
            Self::ConsoleLink => "consolelinks.console.openshift.io",
            Self::HttpRoute => "httproutes.gateway.networking.k8s.io",
            Self::Gateway => "gateways.gateway.networking.k8s.io",
            Self::ReferenceGrant => "referencegrants.gateway.networking.k8s.io",
            Self::Certificate => "certificates.cert-manager.io",
            Self::BackendTlsPolicy | Self::BackendTlsPolicyAlpha => {
                "backendtlspolicies.gateway.networking.k8s.io"
            }
            Self::ServiceMonitor => "servicemonitors.monitoring.coreos.com",
            Self::Auth => "auths.services.platform.opendatahub.io",
            Self::Template => "templates.template.openshift.io",
            Self::InferenceService => "inferenceservices.serving.kserve.io",
        }
    }
}

/// Installs the APIs side by side, then the objects that every OpenShift cluster has.
pub(crate) async fn install(client: &Client) -> Result<(), Error> {
    let crds = StandIn::OPENSHIFT.map(|api| access::apply_yaml(client, "default", api.crd()));
    futures::future::try_join_all(crds).await?;
    access::apply_yaml(client, "default", OBJECTS)
        .await
        .map(drop)
}

/// Runs the controllers until dropped.
pub(crate) async fn run(client: Client, authority: &Authority) {
    tokio::join!(
        routes::run(client.clone()),
        serving::certificates(client.clone(), authority),
        serving::bundles(client.clone(), authority),
        serving::namespaces(client, authority),
    );
}
