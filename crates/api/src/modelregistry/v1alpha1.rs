//! `modelregistry.opendatahub.io/v1alpha1`, the version of the Istio era. Deprecated.

#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns repeat a type and a priority"
)]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::database::MySql;
use super::database::SslMode;
pub use super::endpoint::{Grpc, Rest, ServiceRoute};
pub use super::istio::{Gateway, GatewayServer, GatewayTls, GatewayTlsMode, Istio};
pub use super::proxy::OAuthProxy;
pub use super::v1beta1::ModelRegistryStatus;
use crate::common::{ConfigMapKeyValue, SecretKeyValue};
use crate::rules;

/// What a registry is asked to be, in the words of the Istio era.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "modelregistry.opendatahub.io",
    version = "v1alpha1",
    kind = "ModelRegistry",
    plural = "modelregistries",
    shortname = "mr",
    namespaced,
    storage = false,
    deprecated = "Version v1alpha1 of the ModelRegistry API is deprecated and will be removed in a future release. Please use v1beta1 instead.",
    status = "ModelRegistryStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A registry of machine learning models. Deprecated: use v1beta1.",
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Available")].status"#
    ),
    printcolumn(
        name = "Istio",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="IstioAvailable")].status"#,
        priority = 2
    ),
    printcolumn(
        name = "Gateway",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="GatewayAvailable")].status"#,
        priority = 2
    ),
    printcolumn(
        name = "OAuthProxy",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="OAuthProxyAvailable")].status"#,
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
    )
)]
#[serde(remote = "Self")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::SPEC_V1ALPHA1)))]
pub struct ModelRegistrySpec {
    /// The REST endpoint.
    pub rest: Rest,
    /// The gRPC endpoint.
    pub grpc: Grpc,
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
    /// Istio in front of the registry, with Authorino to decide who may call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio: Option<Istio>,
    /// The OAuth proxy in front of the registry.
    #[serde(rename = "oauthProxy", skip_serializing_if = "Option::is_none")]
    pub oauth_proxy: Option<OAuthProxy>,
}

absent_is_default!(ModelRegistrySpec);

/// A Postgres database.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// Host name of the database server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// IP address of the database server, used where `host` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_address: Option<String>,
    /// Port of the database server.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// User that the registry connects as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Secret key with the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKeyValue>,
    /// Name of the database.
    pub database: String,
    /// Accepted for compatibility. Has no effect.
    #[serde(default, rename = "skipDBCreation")]
    pub skip_db_creation: bool,
    /// How much the connection insists on TLS.
    #[serde(default = "ssl_mode")]
    pub ssl_mode: SslMode,
    /// Secret key with the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_secret: Option<SecretKeyValue>,
    /// Secret key with the private key of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_secret: Option<SecretKeyValue>,
    /// Secret key with the passphrase of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_password_secret: Option<SecretKeyValue>,
    /// Secret key with the certificates of the authorities that the server's certificate
    /// is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_secret: Option<SecretKeyValue>,
    /// ConfigMap key with the certificates of the authorities that the server's
    /// certificate is checked against. Wins over `sslRootCertificateSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_config_map: Option<ConfigMapKeyValue>,
}

const fn postgres_port() -> i32 {
    5432
}

const fn ssl_mode() -> SslMode {
    SslMode::Disable
}
