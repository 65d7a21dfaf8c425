//! The CEL rules of TrustyAIService.
//!
//! Those on fields that the Go operator knows refuse only what can never run. They are on the
//! innermost object, so that a stored resource stays editable elsewhere: a server of 1.30 or newer
//! does not ask again about what an edit leaves unchanged.

use crate::rules::Rule;

/// `spec`.
pub const SPEC: &[Rule] = &[
    Rule {
        rule: "has(self.metrics) != has(self.trustyaiMetrics)",
        message: ONE_METRICS,
    },
    Rule {
        rule: "!(has(self.replicas) && has(self.operand) && has(self.operand.replicas))",
        message: ONE_REPLICAS,
    },
];

/// Both names of a field, or neither.
pub const ONE_METRICS: &str =
    "set exactly one of metrics and trustyaiMetrics, with the schedule in it";

/// Both names of a number.
pub const ONE_REPLICAS: &str = "replicas and operand.replicas say the same; remove one of them";

/// `spec.storage`.
pub const STORAGE: &[Rule] = &[
    Rule {
        rule: "self.format != 'PVC' || (has(self.folder) && size(self.folder) > 0)",
        message: NO_FOLDER,
    },
    Rule {
        rule: "self.format != 'PVC' || !has(self.folder) || (!self.folder.contains(':') && !self.folder.matches('^/+$') && self.folder != '/etc/tls/internal')",
        message: BAD_FOLDER,
    },
    Rule {
        rule: "self.format != 'PVC' || !has(self.size) || size(self.size) == 0 || (isQuantity(self.size) && quantity(self.size).isGreaterThan(quantity('0')))",
        message: BAD_SIZE,
    },
    Rule {
        rule: "!has(self.existingClaim) || !(has(self.pv) || has(self.storageClassName) || has(self.accessModes))",
        message: EXISTING_CLAIM,
    },
];

/// A volume without a place.
pub const NO_FOLDER: &str =
    "format PVC needs folder, the directory that the volume is mounted at; set it, as /inputs";

/// A place where nothing can be mounted.
pub const BAD_FOLDER: &str = "folder cannot be /, nor /etc/tls/internal, which holds certificates, nor have a ':'; name another directory, as /inputs";

/// No size.
pub const BAD_SIZE: &str = "size must be a quantity greater than zero, as 1Gi";

/// A claim that is used as it is, and what a new one is made with.
pub const EXISTING_CLAIM: &str = "existingClaim is used as it is; remove pv, storageClassName and accessModes, or remove existingClaim";

/// `spec.serviceMonitoring`.
pub const MONITORING: &[Rule] = &[Rule {
    rule: "!(has(self.enabled) && !self.enabled && (has(self.interval) || has(self.scrapeTimeout) || has(self.metrics) || has(self.ref)))",
    message: "enabled is false, so nothing else in serviceMonitoring has an effect; remove the rest, or remove enabled",
}];
