//! `modelregistry.opendatahub.io/v1beta1`, the version that is stored.

#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns repeat a type and a priority"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::access::{Access, AccessRole, ServiceAccountReference};
pub use super::database::{MySql, Postgres, SslMode};
pub use super::endpoint::{Grpc, Rest, ServiceRoute};
pub use super::istio::{Gateway, GatewayServer, GatewayTls, GatewayTlsMode, Istio};
pub use super::proxy::{Authentication, Authorization, KubeRbacProxy, OAuthProxy};
use crate::common::Operand;
use crate::exposure::Exposure;
use crate::{rules, schema};

/// What a registry is asked to be.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "modelregistry.opendatahub.io",
    version = "v1beta1",
    kind = "ModelRegistry",
    plural = "modelregistries",
    shortname = "mr",
    namespaced,
    status = "ModelRegistryStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A registry of machine learning models, with its database and the proxy in front of it.",
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Available")].status"#
    ),
    printcolumn(
        name = "KubeRBACProxy",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="KubeRBACProxyAvailable")].status"#,
        priority = 2
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Hosts",
        type_ = "string",
        json_path = ".status.hostsStr",
        priority = 2
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Available")].message"#,
        priority = 2
    ),
    printcolumn(
        name = "Display Name",
        type_ = "string",
        json_path = r".metadata.annotations.openshift\.io/display-name",
        priority = 2
    ),
    printcolumn(
        name = "Description",
        type_ = "string",
        json_path = r".metadata.annotations.openshift\.io/description",
        priority = 2
    )
)]
#[serde(remote = "Self")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::SPEC)))]
pub struct ModelRegistrySpec {
    /// The REST endpoint.
    pub rest: Rest,
    /// The gRPC endpoint of a time when the registry had one. Has no effect without `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Grpc>,
    /// A Postgres database. A registry needs this or `mysql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// A MySQL or MariaDB database. A registry needs this or `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mysql: Option<MySql>,
    /// Accepted for compatibility. Has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_database_upgrade: Option<bool>,
    /// Accepted for compatibility. Has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade_db_schema_version: Option<i64>,
    /// The OAuth proxy of a time before kube-rbac-proxy. It becomes `kubeRBACProxy`, unless `image`
    /// is that of an OAuth proxy.
    #[serde(rename = "oauthProxy", skip_serializing_if = "Option::is_none")]
    pub oauth_proxy: Option<OAuthProxy>,
    /// The authenticating proxy in front of the registry.
    #[serde(rename = "kubeRBACProxy", skip_serializing_if = "Option::is_none")]
    pub kube_rbac_proxy: Option<KubeRbacProxy>,
    /// Istio in front of the registry, with Authorino to decide who may call it. Where the cluster
    /// does not serve their APIs the authenticating proxy takes its place, with the gateway's domain
    /// and port. `kubeRBACProxy` wins over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio: Option<Istio>,
    /// How the registry decides who may call it. `KubeRBACProxy`: by the proxy in front of
    /// it. `None`: it does not, and whoever reaches its Service may read and write. Absent
    /// means the proxy on OpenShift, and elsewhere the proxy if `kubeRBACProxy` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Who is let in, besides those whom RoleBindings of people let in. The operator makes a
    /// RoleBinding for each subject and takes it away with the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::access")]
    pub access: Vec<Access>,
    /// How the registry's pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operand: Option<Operand>,
    /// Ways in from outside the cluster, on any Kubernetes. OpenShift's Routes and the
    /// installation's gateway are apart from these, and stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<Exposure>,
}

absent_is_default!(ModelRegistrySpec);

/// What a registry is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelRegistryStatus {
    /// Host names that the registry answers to, external ones first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The host names in one string, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts_str: Option<String>,
    /// What the operator put in place of absent fields, as a JSON merge patch of the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_defaults: Option<String>,
    /// Aspects of the registry's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Address of the registry: the external one where there is one, else the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
