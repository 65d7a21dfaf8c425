//! The registry's own endpoints.

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Whether a Route leads from outside the cluster to a port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::described_by_field)]
pub enum ServiceRoute {
    /// No Route.
    Disabled,
    /// A Route, where the cluster has them.
    Enabled,
}

/// The REST endpoint of the registry.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rest {
    /// Port that the server listens on.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Whether an OpenShift Route without authentication leads to the REST port. Has no
    /// effect beside a proxy, which has a Route of its own.
    pub service_route: ServiceRoute,
    /// Compute resources of the server's container. Absent means 100m CPU and 256Mi memory
    /// requested, and a limit of 256Mi memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Image of the server. Absent means the one that the operator is configured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            port: 8080,
            service_route: ServiceRoute::Disabled,
            resources: None,
            image: None,
        }
    }
}

/// The gRPC endpoint of a time when the registry had one. Today's server has none: without
/// `image` nothing here has an effect.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Grpc {
    /// Port of the gRPC server.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
    /// Compute resources of the gRPC server's container. Absent means 100m CPU and 256Mi memory
    /// requested, and a limit of 256Mi memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Image of a metadata store, which serves gRPC and stands between REST server and database:
    /// `quay.io/opendatahub/mlmd-grpc-server:latest`. It needs a REST server of its time in
    /// `spec.rest.image`, a release before v0.2.20. Absent means that there is no gRPC server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            port: 9090,
            resources: None,
            image: None,
        }
    }
}
