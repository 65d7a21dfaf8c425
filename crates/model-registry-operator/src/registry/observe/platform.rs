//! What the cluster offers to registries.

use api::modelregistry::v1beta1::ModelRegistrySpec;
use resources::Kind;
use resources::exposure::backend_tls_policy_kind;
use resources::kind::{
    AUTH_CONFIG, AUTHORIZATION_POLICY, CERTIFICATE, DESTINATION_RULE, GROUP, HTTP_ROUTE,
    INGRESS_CONFIG, ISTIO_GATEWAY, REFERENCE_GRANT, ROUTE, VIRTUAL_SERVICE,
};
use runtime::Capabilities;
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use super::super::config::Config;
use super::super::references::filled;

/// What a registry in the mesh is made of.
pub const MESH: [Kind; 5] = [
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    ISTIO_GATEWAY,
    AUTHORIZATION_POLICY,
    AUTH_CONFIG,
];

/// What the cluster offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one API that is there or not"
)]
pub struct Platform {
    /// The Route API: this is OpenShift.
    pub openshift: bool,
    /// OpenShift's Group API. It is missing where identities come from elsewhere.
    pub groups: bool,
    /// Gateway API's HTTPRoute.
    pub http_routes: bool,
    /// Gateway API's ReferenceGrant.
    pub reference_grants: bool,
    /// The version of Gateway API's BackendTLSPolicy to use.
    pub backend_tls_policies: Option<Kind>,
    /// cert-manager's Certificate.
    pub certificates: bool,
    /// All of [`MESH`].
    pub mesh: bool,
}

impl Platform {
    /// What these capabilities mean for a registry.
    #[must_use]
    pub fn of(capabilities: &Capabilities) -> Self {
        Self {
            openshift: capabilities.has(ROUTE),
            groups: capabilities.has(GROUP),
            http_routes: capabilities.has(HTTP_ROUTE),
            reference_grants: capabilities.has(REFERENCE_GRANT),
            backend_tls_policies: backend_tls_policy_kind(|kind| capabilities.has(kind)),
            certificates: capabilities.has(CERTIFICATE),
            mesh: MESH.iter().all(|kind| capabilities.has(*kind)),
        }
    }
}

/// Domain of external host names, where the spec leaves it out.
pub(super) async fn domain<I: Inputs>(
    spec: &ModelRegistrySpec,
    config: &Config,
    inputs: &I,
) -> Result<Option<String>, InputError> {
    let proxy = spec.kube_rbac_proxy.as_ref().map(|proxy| &proxy.domain);
    let istio = spec.istio.as_ref().and_then(|istio| istio.gateway.as_ref());
    let asked = [proxy, istio.map(|gateway| &gateway.domain)];
    let is_asked = asked
        .into_iter()
        .flatten()
        .any(|domain| filled(domain.as_ref()).is_none());
    let domain = match &config.default_domain {
        Some(domain) => Some(domain.clone()),
        None if is_asked => cluster_domain(inputs).await?,
        None => None,
    };
    Ok(domain.filter(|domain| !domain.is_empty()))
}

/// OpenShift's domain for applications: the administrator's, else the installer's.
pub(crate) async fn cluster_domain<I: Inputs>(inputs: &I) -> Result<Option<String>, InputError> {
    if !inputs.capabilities().has(INGRESS_CONFIG) {
        return Ok(None);
    }
    let ingress = match inputs.get(INGRESS_CONFIG, "cluster").await {
        Ok(ingress) => ingress,
        // Not a right that registries stand or fall with: there is just no external host name.
        Err(InputError::Forbidden { .. }) => None,
        Err(error) => return Err(error),
    };
    let field = |pointer: &str| {
        ingress
            .as_ref()
            .and_then(|i| i.pointer(pointer))
            .and_then(Value::as_str)
            .filter(|d| !d.is_empty())
    };
    Ok(field("/spec/appsDomain")
        .or_else(|| field("/spec/domain"))
        .map(str::to_owned))
}
