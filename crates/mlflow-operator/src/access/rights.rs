//! What the operator needs for the access of people.

use runtime::rbac::{FOLLOW, READ, RbacRule, Unused, cluster, rule};

use super::{EDIT, PLATFORM_AUTH, VIEW};

const RBAC: &[&str] = &["rbac.authorization.k8s.io"];

/// What the operator needs for the access of people, wherever they are.
pub const RULES: &[RbacRule] = &[
    cluster(
        &[""],
        &["namespaces"],
        FOLLOW,
        "Namespaces say by a label which MLflow the platform's groups use in them.",
    ),
    RbacRule {
        names: &[PLATFORM_AUTH],
        ..cluster(
            &["services.platform.opendatahub.io"],
            &["auths"],
            READ,
            "The platform's groups.",
        )
    },
    rule(
        RBAC,
        &["rolebindings"],
        &["create"],
        "The groups' access to a namespace. A name cannot be asked for in a rule for create.",
    ),
    RbacRule {
        names: &[VIEW, EDIT],
        ..rule(
            RBAC,
            &["rolebindings"],
            &["get", "list", "watch", "patch", "delete"],
            "The groups' access is kept as it should be, and taken away.",
        )
    },
    RbacRule {
        names: &["mlflow-operator-mlflow-view", "mlflow-operator-mlflow-edit"],
        ..cluster(
            RBAC,
            &["clusterroles"],
            &["bind"],
            "The groups get these roles, which the operator does not hold itself.",
        )
    },
];

/// Of these, what no request uses.
pub const UNUSED: Unused = Unused {
    rights: &["bind clusterroles.rbac.authorization.k8s.io"],
    reason: "Asked for while a RoleBinding to these roles is written; no request is made for it.",
};
