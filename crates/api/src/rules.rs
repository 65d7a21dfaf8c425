//! The CEL rules of the schemas, in one place.
//!
//! The messages are interface: clients show them and tests of users compare them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;
use serde_json::{Value, json};

/// One rule that the API server evaluates on the object that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The CEL expression; `self` is the object.
    pub rule: &'static str,
    /// What the user reads when the expression is false.
    pub message: &'static str,
}

/// `spec` of v1beta1.
pub const SPEC: &[Rule] = &[
    Rule {
        rule: "!(has(self.oauthProxy) && has(self.kubeRBACProxy))",
        message: "Cannot use both oauthProxy and kubeRBACProxy",
    },
    Rule {
        rule: "!(has(self.authentication) && self.authentication == 'None' && (has(self.kubeRBACProxy) || has(self.oauthProxy)))",
        message: "authentication None contradicts kubeRBACProxy and oauthProxy; remove authentication to keep the proxy, or remove the proxy",
    },
    Rule {
        rule: "!has(self.access) || self.access.all(entry, entry.role != 'viewer') || (has(self.kubeRBACProxy) && has(self.kubeRBACProxy.authorization) && self.kubeRBACProxy.authorization == 'ByMethod')",
        message: VIEWER_BY_METHOD,
    },
];

/// Why somebody cannot be let in to read only.
pub const VIEWER_BY_METHOD: &str = "access for role viewer needs kubeRBACProxy.authorization ByMethod, because with Get whoever may read may also write; set it, or remove the viewers";

/// Name of a namespace.
pub const NAMESPACE: &[Rule] = &[Rule {
    rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    message: "the name of a namespace is made of lower case letters, digits and '-', and begins and ends with a letter or digit",
}];

/// Name of a service account.
pub const SERVICE_ACCOUNT: &[Rule] = &[Rule {
    rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
    message: "the name of a service account is made of lower case letters, digits, '-' and '.', and begins and ends with a letter or digit",
}];

/// `spec` of v1alpha1.
pub const SPEC_V1ALPHA1: &[Rule] = &[Rule {
    rule: "!(has(self.istio) && has(self.oauthProxy))",
    message: "Cannot use both istio and oauthProxy",
}];

/// `spec.oauthProxy` and `spec.kubeRBACProxy`.
pub const PROXY: &[Rule] = &[Rule {
    rule: "has(self.tlsCertificateSecret) == has(self.tlsKeySecret)",
    message: "tlsCertificateSecret and tlsKeySecret MUST be set together",
}];

/// `spec.kubeRBACProxy`, beside [`PROXY`].
pub const CERT_MANAGER: Rule = Rule {
    rule: "!(has(self.certManager) && (has(self.tlsCertificateSecret) || has(self.tlsKeySecret)))",
    message: "certManager makes the certificate that tlsCertificateSecret and tlsKeySecret name; remove it or them",
};

/// Ways in from outside the cluster.
pub const EXPOSURE: &[Rule] = &[Rule {
    rule: "has(self.ingress) || (has(self.gateways) && size(self.gateways) > 0)",
    message: "set gateways, ingress, or both",
}];

/// `spec.postgres` of v1beta1.
///
/// Where a value may be absent the rule asks `has()` first. A rule without it is an
/// evaluation error when the key is absent, and the user reads "no such key" instead of
/// the message.
pub const POSTGRES: &[Rule] = &[
    Rule {
        rule: "has(self.generateDeployment) && self.generateDeployment ? true : ((has(self.host) && size(self.host) > 0) || (has(self.hostAddress) && size(self.hostAddress) > 0))",
        message: "GenerateDeployment must be set to true if host/hostAddress are not provided",
    },
    Rule {
        rule: "has(self.database) && size(self.database) > 0 ? has(self.username) && size(self.username) > 0 : true",
        message: "Username must be set if database is specified",
    },
    Rule {
        rule: "!(has(self.generateDeployment) && self.generateDeployment) || ((!has(self.host) || size(self.host) == 0) && (!has(self.hostAddress) || size(self.hostAddress) == 0))",
        message: "host and hostAddress must not be set when generateDeployment is true",
    },
];

/// A PodDisruptionBudget says one of two things, never both.
pub const DISRUPTION_BUDGET: &[Rule] = &[Rule {
    rule: "has(self.minAvailable) != has(self.maxUnavailable)",
    message: "set exactly one of minAvailable and maxUnavailable",
}];

/// A size of a volume.
pub const POSITIVE_QUANTITY: &[Rule] = &[Rule {
    rule: "quantity(string(self)).isGreaterThan(quantity('0'))",
    message: "size must be greater than zero",
}];

/// `sizeLimit` of a Catalog's database. It may be a plain number, which `quantity` does not take.
pub const POSITIVE_SIZE_LIMIT: &[Rule] = &[Rule {
    rule: "quantity(string(self)).isGreaterThan(quantity('0'))",
    message: "sizeLimit must be greater than zero",
}];

/// The whole AIHub: a rule about the name has its place at the root.
pub const ONLY_HUB: &[Rule] = &[Rule {
    rule: "self.metadata.name == 'default-aihub'",
    message: "Only the name 'default-aihub' is allowed",
}];

/// Rules as the type of a definition has them.
#[must_use]
pub fn validations(rules: &[Rule]) -> Vec<ValidationRule> {
    let typed = |rule: &Rule| ValidationRule {
        rule: rule.rule.to_owned(),
        message: Some(rule.message.to_owned()),
        ..ValidationRule::default()
    };
    rules.iter().map(typed).collect()
}

/// The form that `x-kubernetes-validations` has in a schema.
#[must_use]
pub fn extension(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|Rule { rule, message }| json!({"rule": rule, "message": message}))
        .collect()
}
