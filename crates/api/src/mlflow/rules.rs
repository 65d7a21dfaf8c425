//! The CEL rules of MLflow. Those of the Go operator are here word for word.

use crate::rules::Rule;

/// The name of the only MLflow. A definition without this rule allows several.
pub const ONLY_NAME: Rule = Rule {
    rule: "self.metadata.name == 'mlflow'",
    message: "MLflow resource name must be 'mlflow'",
};

/// The whole MLflow, beside [`ONLY_NAME`].
pub const ROOT: &[Rule] = &[Rule {
    rule: "self.metadata.name.size() <= 40",
    message: "MLflow resource name must be at most 40 characters to ensure generated resource names stay within Kubernetes 63-character limit",
}];

/// `spec`: those of the Go operator, then those of fields that it does not know.
pub const SPEC: &[Rule] = &[
    Rule {
        rule: "has(self.defaultArtifactRoot) || (has(self.serveArtifacts) && self.serveArtifacts)",
        message: "defaultArtifactRoot must be set when serveArtifacts is not true",
    },
    Rule {
        rule: "!has(self.defaultArtifactRoot) || !self.defaultArtifactRoot.startsWith('file://') || (has(self.serveArtifacts) && self.serveArtifacts)",
        message: "serveArtifacts must be enabled when defaultArtifactRoot uses file-based storage (file:// prefix)",
    },
    Rule {
        rule: "(has(self.backendStoreUri) && size(self.backendStoreUri) > 0) || (has(self.backendStoreUriFrom) && size(self.backendStoreUriFrom.name) > 0 && size(self.backendStoreUriFrom.key) > 0)",
        message: "backendStoreUri or backendStoreUriFrom must be set",
    },
    Rule {
        rule: "!(has(self.backendStoreUri) && has(self.backendStoreUriFrom))",
        message: "backendStoreUri and backendStoreUriFrom are mutually exclusive",
    },
    Rule {
        rule: "!(has(self.readReplicaBackendStoreUri) && has(self.readReplicaBackendStoreUriFrom))",
        message: "readReplicaBackendStoreUri and readReplicaBackendStoreUriFrom are mutually exclusive",
    },
    Rule {
        rule: "!has(self.readReplicaBackendStoreUriFrom) || (size(self.readReplicaBackendStoreUriFrom.name) > 0 && size(self.readReplicaBackendStoreUriFrom.key) > 0)",
        message: "readReplicaBackendStoreUriFrom.name and readReplicaBackendStoreUriFrom.key must be non-empty when readReplicaBackendStoreUriFrom is set",
    },
    Rule {
        rule: "!(has(self.registryStoreUri) && has(self.registryStoreUriFrom))",
        message: "registryStoreUri and registryStoreUriFrom are mutually exclusive",
    },
    Rule {
        rule: "!has(self.registryStoreUriFrom) || (size(self.registryStoreUriFrom.name) > 0 && size(self.registryStoreUriFrom.key) > 0)",
        message: "registryStoreUriFrom.name and registryStoreUriFrom.key must be non-empty when registryStoreUriFrom is set",
    },
    Rule {
        rule: "!has(self.backendStoreUri) || self.backendStoreUri.startsWith('sqlite://') || self.backendStoreUri.startsWith('sqlite+') || self.backendStoreUri.startsWith('postgresql://') || self.backendStoreUri.startsWith('postgresql+') || self.backendStoreUri.startsWith('mysql://') || self.backendStoreUri.startsWith('mysql+')",
        message: "backendStoreUri must use a supported SQL metadata store URI scheme",
    },
    Rule {
        rule: "!has(self.readReplicaBackendStoreUri) || self.readReplicaBackendStoreUri.startsWith('sqlite://') || self.readReplicaBackendStoreUri.startsWith('sqlite+') || self.readReplicaBackendStoreUri.startsWith('postgresql://') || self.readReplicaBackendStoreUri.startsWith('postgresql+') || self.readReplicaBackendStoreUri.startsWith('mysql://') || self.readReplicaBackendStoreUri.startsWith('mysql+')",
        message: "readReplicaBackendStoreUri must use a supported SQL metadata store URI scheme",
    },
    Rule {
        rule: "!has(self.registryStoreUri) || self.registryStoreUri.startsWith('sqlite://') || self.registryStoreUri.startsWith('sqlite+') || self.registryStoreUri.startsWith('postgresql://') || self.registryStoreUri.startsWith('postgresql+') || self.registryStoreUri.startsWith('mysql://') || self.registryStoreUri.startsWith('mysql+')",
        message: "registryStoreUri must use a supported SQL metadata store URI scheme",
    },
    Rule {
        rule: "!has(self.backendStoreUri) || (!self.backendStoreUri.startsWith('sqlite://') && !self.backendStoreUri.startsWith('file://')) || has(self.storage)",
        message: "storage must be configured when using file-based backend store (sqlite:// or file:// prefix)",
    },
    Rule {
        rule: "!has(self.readReplicaBackendStoreUri) || !self.readReplicaBackendStoreUri.startsWith('sqlite://') || has(self.storage)",
        message: "storage must be configured when using a file-based read-replica backend store (sqlite:// prefix)",
    },
    Rule {
        rule: "!has(self.registryStoreUri) || (!self.registryStoreUri.startsWith('sqlite://') && !self.registryStoreUri.startsWith('file://')) || has(self.storage)",
        message: "storage must be configured when using file-based registry store (sqlite:// or file:// prefix)",
    },
    Rule {
        rule: "!has(self.artifactsDestination) || !self.artifactsDestination.startsWith('file://') || has(self.storage)",
        message: "storage must be configured when artifactsDestination uses file-based storage (file:// prefix)",
    },
    Rule {
        rule: "!has(self.artifactsDestination) || !self.artifactsDestination.startsWith('file://') || (has(self.serveArtifacts) && self.serveArtifacts)",
        message: "serveArtifacts must be enabled when artifactsDestination uses file-based storage (file:// prefix)",
    },
    Rule {
        rule: "!has(self.env) || self.env.all(e, e.name != 'MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE')",
        message: "setting the MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE environment variable is not allowed",
    },
    Rule {
        rule: "!has(self.env) || self.env.all(e, e.name != 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION')",
        message: "setting the MLFLOW_SERVER_ENABLE_JOB_EXECUTION environment variable is not allowed; the operator manages job execution lifecycle",
    },
    Rule {
        rule: "!has(self.networkPolicyEgressRules) || self.networkPolicyEgressRules.all(r, (has(r.ports) && size(r.ports) > 0) || (has(r.to) && size(r.to) > 0))",
        message: "each networkPolicyEgressRules entry must specify at least one port or one destination",
    },
    Rule {
        rule: "!has(self.networkPolicyAdditionalEgressRules) || self.networkPolicyAdditionalEgressRules.all(r, (has(r.ports) && size(r.ports) > 0) || (has(r.to) && size(r.to) > 0))",
        message: "each networkPolicyAdditionalEgressRules entry must specify at least one port or one destination",
    },
    Rule {
        rule: "!has(self.resourceClaims) || self.resourceClaims.all(c, ((has(c.resourceClaimName) && size(c.resourceClaimName) > 0) != (has(c.resourceClaimTemplateName) && size(c.resourceClaimTemplateName) > 0)))",
        message: "each resourceClaims entry must set exactly one non-empty value: resourceClaimName or resourceClaimTemplateName",
    },
    Rule {
        rule: "!has(self.traceArchival) || !has(self.traceArchival.location) || !self.traceArchival.location.startsWith('file://') || has(self.storage)",
        message: "storage must be configured when traceArchival.location uses file-based storage (file:// prefix)",
    },
    Rule {
        rule: "!has(self.traceArchival) || !has(self.traceArchival.enabled) || self.traceArchival.enabled == false || (has(self.traceArchival.schedule) && size(self.traceArchival.schedule) > 0)",
        message: "traceArchival.schedule is required when traceArchival.enabled is true",
    },
    Rule {
        rule: "!has(self.traceArchival) || !has(self.traceArchival.enabled) || self.traceArchival.enabled == false || (has(self.traceArchival.location) && size(self.traceArchival.location) > 0)",
        message: "traceArchival.location is required when traceArchival.enabled is true",
    },
    Rule {
        rule: "!has(self.traceArchival) || !has(self.traceArchival.enabled) || self.traceArchival.enabled == false || (has(self.traceArchival.retention) && size(self.traceArchival.retention) > 0)",
        message: "traceArchival.retention is required when traceArchival.enabled is true",
    },
    Rule {
        rule: "!(has(self.networkPolicy) && has(self.networkPolicy.egress) && self.networkPolicy.egress == 'All' && (has(self.networkPolicyEgressRules) || has(self.networkPolicyAdditionalEgressRules)))",
        message: EGRESS_ALL,
    },
];

/// Every destination, and some.
pub const EGRESS_ALL: &str = "networkPolicy.egress All allows every destination; remove it, or remove networkPolicyEgressRules and networkPolicyAdditionalEgressRules";

/// Labels of pods and of nodes.
pub const LABELS: &[Rule] = &[Rule {
    rule: "self.all(key, size(self[key]) <= 63)",
    message: "label values must be 63 characters or less",
}];

/// `spec.storage`.
pub const STORAGE: &[Rule] = &[Rule {
    rule: "!(has(self.size) || has(self.accessMode)) || !(has(self.accessModes) || has(self.resources) || has(self.selector) || has(self.volumeName) || has(self.volumeMode) || has(self.dataSource) || has(self.dataSourceRef) || has(self.volumeAttributesClassName))",
    message: MIXED_STORAGE,
}];

/// Both shapes of a claim in one.
pub const MIXED_STORAGE: &str = "storage has a short shape (size, accessMode, storageClassName) and that of a PersistentVolumeClaim (resources.requests.storage, accessModes and more); use one of them";

/// `spec.tls`.
pub const TLS: &[Rule] = &[Rule {
    rule: "!(has(self.secretName) && has(self.certManager))",
    message: TWO_CERTIFICATES,
}];

/// A certificate that is there, and one that is made.
pub const TWO_CERTIFICATES: &str =
    "tls.certManager makes the certificate that tls.secretName names; remove one of them";

/// The whole MLflowConfig.
pub const ONLY_CONFIG: &[Rule] = &[Rule {
    rule: "self.metadata.name == 'mlflow'",
    message: "MLflowConfig resource name must be 'mlflow'",
}];

/// `spec.artifactRootSecret`. Servers may read a Secret of this name only.
pub const ARTIFACT_SECRET: &[Rule] = &[Rule {
    rule: "self == 'mlflow-artifact-connection'",
    message: "artifactRootSecret must be 'mlflow-artifact-connection'",
}];

/// `spec.artifactRootPath`.
pub const ARTIFACT_PATH: &[Rule] = &[
    Rule {
        rule: "self == '' || !self.startsWith('/')",
        message: "artifactRootPath must be relative",
    },
    Rule {
        rule: r"self == '' || !self.matches(r'(^|.*/)\.\.(|/.*)$')",
        message: "artifactRootPath must not contain '..' path segments",
    },
];

/// The whole MLflowOperator.
pub const ONLY_OPERATOR: &[Rule] = &[Rule {
    rule: "self.metadata.name == 'default-mlflowoperator'",
    message: "MLflowOperator name must be default-mlflowoperator",
}];
