//! What the operator needs for the platform's MLflowOperator, beside the right to follow MLflows and
//! ConfigMaps of its namespace.

use runtime::rbac::{RbacRule, cluster};

const GROUP: &[&str] = &["components.platform.opendatahub.io"];

/// What the operator needs for the platform's MLflowOperator.
pub const RULES: &[RbacRule] = &[
    cluster(
        GROUP,
        &["mlflowoperators"],
        &["get", "list", "watch", "patch"],
        "The platform's switch: it is followed and read for each MLflow, and gets a finalizer.",
    ),
    cluster(
        GROUP,
        &["mlflowoperators/status"],
        &["patch"],
        "The answer to the platform.",
    ),
];
