//! What our schemas have that the schemas of the Go operator have not, and where a rule
//! reads differently.
//!
//! A test compares both. What it finds and is not listed here is a defect, and so is an
//! entry here that it does not find.

mod mlflow;
mod trustyai;

use crate::rules;

pub use mlflow::MLFLOW;
pub use trustyai::TRUSTYAI;

/// A field of ours, with everything beneath it, or a column that `kubectl get` prints.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// Version and path of the field, as `v1beta1.spec.field`; or `v1beta1 column Name`.
    pub path: &'static str,
    /// Why it is there.
    pub reason: &'static str,
}

/// A CEL rule of ours that is new, or that has the message of a rule of the Go operator
/// and another expression.
#[derive(Clone, Copy, Debug)]
pub struct RuleDifference {
    /// Version and path of the object that carries the rule.
    pub path: &'static str,
    /// Message of the rule.
    pub message: &'static str,
    /// Why it is there, or why its expression is another.
    pub reason: &'static str,
}

/// A demand of the Go operator's schema that ours does not make, or makes otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Loosening {
    /// Version and path of the object, and the word of its schema: `v1.status: required`.
    pub path: &'static str,
    /// Why nobody misses it.
    pub reason: &'static str,
}

/// Everything in which our schemas of one definition differ from those of the Go operator.
#[derive(Clone, Copy, Debug)]
pub struct Differences {
    /// Fields and columns that the Go operator does not know. All are optional and have no default.
    pub additions: &'static [Addition],
    /// Rules that it does not have, on fields that it has. Rules beneath an addition need no entry.
    pub added_rules: &'static [RuleDifference],
    /// Rules whose expression differs, with the message unchanged.
    pub changed_rules: &'static [RuleDifference],
    /// What its schemas demand and ours do not.
    pub loosened: &'static [Loosening],
}

/// ModelRegistry.
pub const MODEL_REGISTRY: Differences = Differences {
    additions: ADDITIONS,
    added_rules: ADDED_RULES,
    changed_rules: CHANGED_RULES,
    loosened: &[],
};

const ADDITIONS: &[Addition] = &[
    Addition {
        path: "v1alpha1.status.observedGeneration",
        reason: "clients that wait see which edit the status speaks of",
    },
    Addition {
        path: "v1alpha1.status.url",
        reason: "users need an address, not a list of host names",
    },
    Addition {
        path: "v1beta1.status.observedGeneration",
        reason: "clients that wait see which edit the status speaks of",
    },
    Addition {
        path: "v1beta1.status.url",
        reason: "users need an address, not a list of host names",
    },
    Addition {
        path: "v1beta1 column Description",
        reason: "people tell registries apart by what they are for",
    },
    Addition {
        path: "v1beta1 column Display Name",
        reason: "the name that dashboards show",
    },
    Addition {
        path: "v1beta1.spec.access",
        reason: "who is let in can be said in the resource",
    },
    Addition {
        path: "v1beta1.spec.authentication",
        reason: "on OpenShift the proxy cannot be left out otherwise",
    },
    Addition {
        path: "v1beta1.spec.istio",
        reason: "a resource of v1alpha1 keeps it, whichever version is stored",
    },
    Addition {
        path: "v1beta1.spec.kubeRBACProxy.authorization",
        reason: "the public builds of kube-rbac-proxy need another rule, and so does read-only access",
    },
    Addition {
        path: "v1beta1.spec.kubeRBACProxy.certManager",
        reason: "on plain Kubernetes, cert-manager is where certificates come from",
    },
    Addition {
        path: "v1beta1.spec.expose",
        reason: "on plain Kubernetes, gateways and Ingresses are the way in",
    },
    Addition {
        path: "v1beta1.spec.kubeRBACProxy.resources",
        reason: "quotas and limit ranges of a namespace may ask for other amounts",
    },
    Addition {
        path: "v1beta1.spec.operand",
        reason: "replicas, scheduling, pull secrets, labels and environment of the pods",
    },
    Addition {
        path: "v1beta1.spec.postgres.deletionPolicy",
        reason: "data outlives its resource only where the resource says so",
    },
    Addition {
        path: "v1beta1.spec.postgres.storage",
        reason: "size and class of the generated database's volume",
    },
];

const ADDED_RULES: &[RuleDifference] = &[
    RuleDifference {
        path: "v1beta1.spec",
        message: "authentication None contradicts kubeRBACProxy and oauthProxy; remove authentication to keep the proxy, or remove the proxy",
        reason: "refuses only what sets the new field authentication",
    },
    RuleDifference {
        path: "v1beta1.spec",
        message: rules::VIEWER_BY_METHOD,
        reason: "refuses only what sets the new field access",
    },
    RuleDifference {
        path: "v1beta1.spec.kubeRBACProxy",
        message: "certManager makes the certificate that tlsCertificateSecret and tlsKeySecret name; remove it or them",
        reason: "refuses only what sets the new field certManager",
    },
];

const CHANGED_RULES: &[RuleDifference] = &[RuleDifference {
    path: "v1beta1.spec.postgres",
    message: "GenerateDeployment must be set to true if host/hostAddress are not provided",
    reason: "with neither host nor hostAddress the Go operator's expression ends in the error `no such key`, which refuses the same resources but does not say why",
}];
