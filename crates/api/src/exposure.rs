//! Ways in from outside the cluster, and certificates, by what every Kubernetes may have. Resources
//! share these fields, so that what is learnt of one is known of all.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rules, schema};

/// Ways in from outside the cluster: through gateways of Gateway API, through an Ingress, or both.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::EXPOSURE)))]
pub struct Exposure {
    /// Host names from outside the cluster. The status tells the first as the address.
    #[schemars(schema_with = "schema::hosts")]
    pub hosts: Vec<String>,
    /// Gateways that lead to the Service, by an HTTPRoute. Where an authenticating proxy serves
    /// with TLS, a BackendTLSPolicy tells them which authority to trust. Both need Gateway API in
    /// the cluster; they are made as soon as it is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub gateways: Vec<GatewayReference>,
    /// An Ingress that leads to the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressOptions>,
}

/// A Gateway, or one listener of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReference {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub name: String,
    /// Its namespace. Absent means that of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL))]
    pub namespace: Option<String>,
    /// Name of the listener. Absent means every listener that takes the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub section_name: Option<String>,
}

/// What an Ingress is made with.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IngressOptions {
    /// Class of the Ingress. Absent means the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub class_name: Option<String>,
    /// Annotations of the Ingress, for its controller. An authenticating proxy serves with TLS:
    /// most controllers need to be told so by one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Secret with the certificate for the hosts, in the namespace of the resource. Absent means
    /// that the Ingress asks for no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub tls_secret_name: Option<String>,
}

/// A certificate that cert-manager makes and renews.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertManager {
    /// Who signs the certificate.
    pub issuer_ref: IssuerReference,
}

/// An issuer of cert-manager.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct IssuerReference {
    /// Name of the issuer.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub name: String,
    /// Kind of the issuer. Absent means `Issuer`, which is in the namespace of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z][A-Za-z0-9]*$"))]
    pub kind: Option<String>,
    /// API group of the issuer. Absent means `cert-manager.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub group: Option<String>,
}
