//! Differences of MLflow.

use super::{Addition, Differences, RuleDifference};
use crate::mlflow::rules;

/// MLflow.
pub const MLFLOW: Differences = Differences {
    additions: ADDITIONS,
    added_rules: ADDED_RULES,
    changed_rules: &[],
    loosened: &[],
};

const ADDITIONS: &[Addition] = &[
    Addition {
        path: "v1.spec.deletionPolicy",
        reason: "data outlives its resource only where the resource says so",
    },
    Addition {
        path: "v1.spec.imagePullSecrets",
        reason: "an image of one's own may be in a registry that asks who pulls",
    },
    Addition {
        path: "v1.spec.migration.activeDeadlineSeconds",
        reason: "a migration that never ends holds the server down, and nobody is told",
    },
    Addition {
        path: "v1.spec.networkPolicy",
        reason: "who may call the server, and a server that may call everything, can be said",
    },
    Addition {
        path: "v1.spec.podDisruptionBudget",
        reason: "several pods are of use only where a node drain leaves some of them",
    },
    Addition {
        path: "v1.spec.storage.accessMode",
        reason: "the short shape of a volume, which an earlier schema had",
    },
    Addition {
        path: "v1.spec.storage.size",
        reason: "the short shape of a volume, which an earlier schema had",
    },
    Addition {
        path: "v1.spec.tls",
        reason: "on plain Kubernetes, certificates come from somewhere else",
    },
    Addition {
        path: "v1.status.observedGeneration",
        reason: "clients that wait see which edit the status speaks of",
    },
];

const ADDED_RULES: &[RuleDifference] = &[
    RuleDifference {
        path: "v1.spec",
        message: rules::EGRESS_ALL,
        reason: "refuses only what sets the new field networkPolicy",
    },
    RuleDifference {
        path: "v1.spec.storage",
        message: rules::MIXED_STORAGE,
        reason: "refuses only what sets the new fields size and accessMode",
    },
];
