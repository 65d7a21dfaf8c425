//! Who is let in to a registry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rules, schema};

/// Who is let in, and to what.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Access {
    /// What the subjects may do: `user` to read and write, `viewer` to read only, which needs
    /// `kubeRBACProxy.authorization: ByMethod`. Each role has one entry.
    pub role: AccessRole,
    /// Users, as the API server calls them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::subjects")]
    pub users: Vec<String>,
    /// Groups, as the API server calls them. `system:authenticated` is everybody who signed in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::subjects")]
    pub groups: Vec<String>,
    /// Service accounts of any namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::service_accounts")]
    pub service_accounts: Vec<ServiceAccountReference>,
    /// Namespaces, each for all of its service accounts, and so for all of its pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: Vec<String>,
}

/// What somebody who is let in may do.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::described_by_field)]
pub enum AccessRole {
    /// Read and write.
    #[default]
    User,
    /// Read.
    Viewer,
}

/// A service account.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct ServiceAccountReference {
    /// Namespace of the service account.
    #[schemars(length(max = 63), extend("x-kubernetes-validations" = rules::extension(rules::NAMESPACE)))]
    pub namespace: String,
    /// Name of the service account.
    #[schemars(length(max = 253), extend("x-kubernetes-validations" = rules::extension(rules::SERVICE_ACCOUNT)))]
    pub name: String,
}
