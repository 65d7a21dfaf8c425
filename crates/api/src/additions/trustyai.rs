//! Differences of TrustyAIService.

use super::{Addition, Differences, Loosening, RuleDifference};
use crate::trustyai::rules;

/// TrustyAIService. Both versions have one schema, so that one becomes the other by its label.
pub const TRUSTYAI: Differences = Differences {
    additions: ADDITIONS,
    added_rules: ADDED_RULES,
    changed_rules: &[],
    loosened: LOOSENED,
};

const ADDITIONS: &[Addition] = &[
    Addition {
        path: "v1.spec.deletionPolicy",
        reason: "data outlives its resource only where the resource says so",
    },
    Addition {
        path: "v1.spec.expose",
        reason: "on plain Kubernetes, gateways and Ingresses are the way in",
    },
    Addition {
        path: "v1.spec.kserve",
        reason: "a logger that somebody else set is replaced only where the resource says so",
    },
    Addition {
        path: "v1.spec.modelMesh",
        reason: "ModelMesh is told in one of two ways, or not at all",
    },
    Addition {
        path: "v1.spec.operand",
        reason: "scheduling, pull secrets, labels and environment of the pods",
    },
    Addition {
        path: "v1.spec.resources",
        reason: "quotas and limit ranges of a namespace may ask for amounts",
    },
    Addition {
        path: "v1.spec.serviceMonitoring",
        reason: "interval, timeout, metrics and the whole ServiceMonitor can be set",
    },
    Addition {
        path: "v1.spec.serviceRoute",
        reason: "whoever wants no way in from outside says so",
    },
    Addition {
        path: "v1.spec.storage.accessModes",
        reason: "several pods need a volume that many nodes may write",
    },
    Addition {
        path: "v1.spec.storage.existingClaim",
        reason: "data may already be in a claim",
    },
    Addition {
        path: "v1.spec.storage.pv",
        reason: "data may already be in a volume",
    },
    Addition {
        path: "v1.spec.storage.storageClassName",
        reason: "the cluster's default class is not for everybody",
    },
    Addition {
        path: "v1.spec.trustyaiMetrics",
        reason: "another name of metrics, from the operator's first design",
    },
    Addition {
        path: "v1.status.certificate",
        reason: "a first certificate starts pods once, another one replaces them",
    },
    Addition {
        path: "v1.status.conditions[].lastUpdateTime",
        reason: "part of conditions in the operator's first design",
    },
    Addition {
        path: "v1.status.readyReplicas",
        reason: "how many pods answer",
    },
    Addition {
        path: "v1.status.url",
        reason: "users need an address",
    },
    Addition {
        path: "v1 column Age",
        reason: "without columns of its own a kind shows it",
    },
    Addition {
        path: "v1 column Phase",
        reason: "what people look for first",
    },
    Addition {
        path: "v1 column Ready",
        reason: "what people look for first",
    },
    Addition {
        path: "v1 column Replicas",
        reason: "what people look for first",
    },
    Addition {
        path: "v1 column Storage",
        reason: "what people look for first",
    },
    Addition {
        path: "v1alpha1.spec.deletionPolicy",
        reason: "data outlives its resource only where the resource says so",
    },
    Addition {
        path: "v1alpha1.spec.expose",
        reason: "on plain Kubernetes, gateways and Ingresses are the way in",
    },
    Addition {
        path: "v1alpha1.spec.kserve",
        reason: "a logger that somebody else set is replaced only where the resource says so",
    },
    Addition {
        path: "v1alpha1.spec.modelMesh",
        reason: "ModelMesh is told in one of two ways, or not at all",
    },
    Addition {
        path: "v1alpha1.spec.operand",
        reason: "scheduling, pull secrets, labels and environment of the pods",
    },
    Addition {
        path: "v1alpha1.spec.resources",
        reason: "quotas and limit ranges of a namespace may ask for amounts",
    },
    Addition {
        path: "v1alpha1.spec.serviceMonitoring",
        reason: "interval, timeout, metrics and the whole ServiceMonitor can be set",
    },
    Addition {
        path: "v1alpha1.spec.serviceRoute",
        reason: "whoever wants no way in from outside says so",
    },
    Addition {
        path: "v1alpha1.spec.storage.accessModes",
        reason: "several pods need a volume that many nodes may write",
    },
    Addition {
        path: "v1alpha1.spec.storage.existingClaim",
        reason: "data may already be in a claim",
    },
    Addition {
        path: "v1alpha1.spec.storage.pv",
        reason: "data may already be in a volume",
    },
    Addition {
        path: "v1alpha1.spec.storage.storageClassName",
        reason: "the cluster's default class is not for everybody",
    },
    Addition {
        path: "v1alpha1.spec.trustyaiMetrics",
        reason: "another name of metrics, from the operator's first design",
    },
    Addition {
        path: "v1alpha1.status.certificate",
        reason: "a first certificate starts pods once, another one replaces them",
    },
    Addition {
        path: "v1alpha1.status.conditions[].lastUpdateTime",
        reason: "part of conditions in the operator's first design",
    },
    Addition {
        path: "v1alpha1.status.readyReplicas",
        reason: "how many pods answer",
    },
    Addition {
        path: "v1alpha1.status.url",
        reason: "users need an address",
    },
    Addition {
        path: "v1alpha1.status.observedGeneration",
        reason: "v1 has it",
    },
    Addition {
        path: "v1alpha1.status.conditions[].observedGeneration",
        reason: "v1 has it",
    },
    Addition {
        path: "v1alpha1 column Age",
        reason: "without columns of its own a kind shows it",
    },
    Addition {
        path: "v1alpha1 column Phase",
        reason: "what people look for first",
    },
    Addition {
        path: "v1alpha1 column Ready",
        reason: "what people look for first",
    },
    Addition {
        path: "v1alpha1 column Replicas",
        reason: "what people look for first",
    },
    Addition {
        path: "v1alpha1 column Storage",
        reason: "what people look for first",
    },
];

const ADDED_RULES: &[RuleDifference] = &[
    RuleDifference {
        path: "v1.spec",
        message: rules::ONE_METRICS,
        reason: "metrics was required and has two names now",
    },
    RuleDifference {
        path: "v1.spec",
        message: rules::ONE_REPLICAS,
        reason: "refuses only what sets the new field operand.replicas",
    },
    RuleDifference {
        path: "v1.spec.storage",
        message: rules::NO_FOLDER,
        reason: "the Deployment was refused for ever",
    },
    RuleDifference {
        path: "v1.spec.storage",
        message: rules::BAD_FOLDER,
        reason: "the Deployment was refused, or its pod did not start",
    },
    RuleDifference {
        path: "v1.spec.storage",
        message: rules::BAD_SIZE,
        reason: "the reconcile ended in a panic for ever",
    },
    RuleDifference {
        path: "v1.spec.storage",
        message: rules::EXISTING_CLAIM,
        reason: "refuses only what sets the new field existingClaim",
    },
    RuleDifference {
        path: "v1alpha1.spec",
        message: rules::ONE_METRICS,
        reason: "metrics was required and has two names now",
    },
    RuleDifference {
        path: "v1alpha1.spec",
        message: rules::ONE_REPLICAS,
        reason: "refuses only what sets the new field operand.replicas",
    },
    RuleDifference {
        path: "v1alpha1.spec.storage",
        message: rules::NO_FOLDER,
        reason: "the Deployment was refused for ever",
    },
    RuleDifference {
        path: "v1alpha1.spec.storage",
        message: rules::BAD_FOLDER,
        reason: "the Deployment was refused, or its pod did not start",
    },
    RuleDifference {
        path: "v1alpha1.spec.storage",
        message: rules::BAD_SIZE,
        reason: "the reconcile ended in a panic for ever",
    },
    RuleDifference {
        path: "v1alpha1.spec.storage",
        message: rules::EXISTING_CLAIM,
        reason: "refuses only what sets the new field existingClaim",
    },
];

const LOOSENED: &[Loosening] = &[
    Loosening {
        path: "v1.spec: required",
        reason: "metrics may have its other name; a rule asks for one of both",
    },
    Loosening {
        path: "v1alpha1.spec: required",
        reason: "metrics may have its other name; a rule asks for one of both",
    },
    Loosening {
        path: "v1alpha1.status: required",
        reason: "v1 has no such demand, and what is stored as v1 is read as v1alpha1",
    },
    Loosening {
        path: "v1alpha1.status.conditions[]: required",
        reason: "v1 has no such demand, and what is stored as v1 is read as v1alpha1",
    },
    Loosening {
        path: "v1alpha1.status.conditions[].status: enum",
        reason: "v1 has it, and conditions have no other status",
    },
    Loosening {
        path: "v1alpha1.status.conditions: x-kubernetes-list-type",
        reason: "v1 has it, and conditions are one of each type",
    },
    Loosening {
        path: "v1alpha1.status.conditions: x-kubernetes-list-map-keys",
        reason: "v1 has it, and conditions are one of each type",
    },
];
