//! Istio in front of a registry, with Authorino to decide who may call it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::ServiceRoute;
use crate::schema;

/// Istio in front of a registry.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Istio {
    /// Name of the authorization provider in the mesh configuration. Absent means the one that the
    /// operator is configured with, `opendatahub-auth-provider` unless somebody chose another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_provider: Option<String>,
    /// Labels by which Authorino finds the AuthConfig. Absent means those that the operator is
    /// configured with, `security.opendatahub.io/authorization-group: default` unless somebody
    /// chose others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_config_labels: BTreeMap<String, String>,
    /// Audiences that a token may be for. Absent means those that the operator is configured with,
    /// `https://kubernetes.default.svc` unless somebody chose others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// TLS mode of the DestinationRule: DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL.
    pub tls_mode: String,
    /// Gateway that leads into the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

impl Default for Istio {
    fn default() -> Self {
        Self {
            auth_provider: None,
            auth_config_labels: BTreeMap::new(),
            audiences: Vec::new(),
            tls_mode: "ISTIO_MUTUAL".into(),
            gateway: None,
        }
    }
}

/// The Istio gateway of a registry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Domain of the external host names. Absent means the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DOMAIN))]
    pub domain: Option<String>,
    /// Value of the label `istio` of the ingress gateway's pods and Service. Absent means the one
    /// that the operator is configured with, `ingressgateway` unless somebody chose another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio_ingress: Option<String>,
    /// Value of the label `istio.io/rev` of the ingress gateway's pods and Service: the mesh's
    /// control plane, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<String>,
    /// The gateway's server for REST.
    pub rest: GatewayServer,
    /// The gateway's server for gRPC.
    pub grpc: GatewayServer,
}

/// One server of a gateway.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayServer {
    /// Port of the server. Absent means 443 with TLS, and 80 without.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub port: Option<i32>,
    /// Whether an OpenShift Route leads to the server. Absent means that it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_route: Option<ServiceRoute>,
    /// TLS of the server. Absent means plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
}

/// TLS of one server of a gateway.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GatewayTls {
    /// Whose certificates are checked.
    pub mode: GatewayTlsMode,
    /// Name of the Secret with the certificate, in the namespace of the ingress gateway. Needed
    /// unless Istio makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_name: Option<String>,
}

/// Whose certificates a gateway checks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(transform = schema::described_by_field)]
pub enum GatewayTlsMode {
    /// Only the server has one.
    #[default]
    Simple,
    /// Client and server have one.
    Mutual,
    /// Client and server have one, both made by Istio.
    IstioMutual,
    /// The server has one, the client may have one.
    OptionalMutual,
}
