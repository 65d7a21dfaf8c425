//! Names and keys that live in people's clusters. Each is interface and must not change.

/// The one name that an AIHub may have.
pub const RESOURCE: &str = "default-aihub";
/// Label of what is deployed.
pub const PART_OF: &str = "platform.opendatahub.io/part-of";
/// Its value.
pub const HUB: &str = "aihub";
/// Its value on definitions, which outlive the hub.
pub const PLATFORM: &str = "platform";
/// Annotation that names the hub.
pub const INSTANCE_NAME: &str = "platform.opendatahub.io/instance.name";
/// Annotation with the hub's uid.
pub const INSTANCE_UID: &str = "platform.opendatahub.io/instance.uid";
/// Annotation by which somebody keeps an object to themselves, with the value `false`.
pub const MANAGED: &str = "opendatahub.io/managed";
/// Deployment of the operator of registries.
pub const REGISTRY_OPERATOR: &str = "model-registry-operator-controller-manager";
/// Deployment of the operator of the catalog.
pub const CATALOG_OPERATOR: &str = "catalog-controller-manager";
/// Container of an operator, in either.
pub const MANAGER: &str = "manager";
/// Parameter of a Template with the image of its Job.
pub const UPLOAD_IMAGE: &str = "JOB_IMAGE";
/// ConfigMap in which the platform says its version.
pub const PLATFORM_CONFIG: &str = "odh-modelregistry-config";
/// Key of the version.
pub const PLATFORM_VERSION: &str = "platformVersion";
