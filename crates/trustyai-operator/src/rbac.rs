//! What the operator's service account may do. The manifests are generated from here.

use api::codegen::HEADER;
use resources::Scope;
use runtime::rbac::{
    FOLLOW, OWN, OnlyWhen, PROCESS, READ, REVIEWS, RbacRule, Unused, cluster, itself, lease,
    manifest, rule, webhooks,
};

use crate::service::webhook::{CONFIGURATION, DEFINITION_NAME, SECRET};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "b7e9931f.trustyai.opendatahub.io";
/// Name of the ClusterRole, before the prefix of the installation.
pub const CLUSTER_ROLE: &str = "manager-role";
/// Name of the Role for the Lease, before the prefix of the installation.
pub const LEADER_ROLE: &str = "leader-election-role";
/// Name of ClusterRole and Role for webhooks. An overlay adds them after names got their prefix.
pub const WEBHOOK_ROLE: &str = "trustyai-service-operator-webhook-role";

const CORE: &[&str] = &[""];
const SERVICES: &[&str] = &["trustyai.opendatahub.io"];

/// What the resource itself needs.
const ITSELF: [RbacRule; 3] = itself(
    Scope::Namespaced,
    SERVICES,
    [
        &["trustyaiservices"],
        &["trustyaiservices/status"],
        &["trustyaiservices/finalizers"],
    ],
);

/// What services need in every namespace that they are in.
const KIND: &[RbacRule] = &[
    rule(
        CORE,
        &["configmaps", "secrets", "serviceaccounts", "services"],
        OWN,
        "Children of a service, the Secrets and ConfigMaps that it refers to, and the installation's \
         own ConfigMap.",
    ),
    rule(
        CORE,
        &["persistentvolumeclaims"],
        &["get", "list", "watch", "create", "patch"],
        "The volume with the data. It goes by its owner reference, or stays.",
    ),
    cluster(
        CORE,
        &["persistentvolumes"],
        READ,
        "A volume that a service names: its claim must have the same class and mode.",
    ),
    rule(&["apps"], &["deployments"], OWN, "The service's pods."),
    rule(
        &["policy"],
        &["poddisruptionbudgets"],
        OWN,
        "Replicas of a service stay through drains.",
    ),
    cluster(
        &["rbac.authorization.k8s.io"],
        &["clusterrolebindings"],
        OWN,
        "The proxy's right to ask who calls and what they may do, which the operator has for \
         /metrics.",
    ),
    rule(
        &["route.openshift.io"],
        &["routes"],
        OWN,
        "The way in on OpenShift.",
    ),
    rule(
        &["gateway.networking.k8s.io"],
        &["backendtlspolicies", "httproutes"],
        OWN,
        "The way in through a gateway, and whom it trusts.",
    ),
    rule(
        &["networking.k8s.io"],
        &["ingresses"],
        OWN,
        "The way in that every Kubernetes has.",
    ),
    rule(
        &["monitoring.coreos.com"],
        &["servicemonitors"],
        OWN,
        "How Prometheus finds the service's metrics.",
    ),
    rule(
        &["serving.kserve.io"],
        &["inferenceservices"],
        &["get", "list", "watch", "patch"],
        "Loggers of models send to the service. Models are never made and never deleted.",
    ),
    rule(
        &["networking.istio.io"],
        &["destinationrules", "virtualservices"],
        OWN,
        "Models in a mesh are led to the service with TLS.",
    ),
    rule(
        CORE,
        &["pods"],
        FOLLOW,
        "The status says which container does not run, and why.",
    ),
    rule(
        &["discovery.k8s.io"],
        &["endpointslices"],
        FOLLOW,
        "The status says when the service answers.",
    ),
];

/// What the operator needs beside [`rules`] where it serves webhooks.
pub const WEBHOOK_RULES: &[RbacRule] = &[
    webhooks(&["validatingwebhookconfigurations"], &[CONFIGURATION]),
    RbacRule {
        names: &[DEFINITION_NAME],
        ..cluster(
            &["apiextensions.k8s.io"],
            &["customresourcedefinitions"],
            &["get", "patch"],
            "The API server trusts the certificate for conversion, too.",
        )
    },
];

/// What the operator needs in its own namespace where it serves webhooks, beside [`rules`].
pub const WEBHOOK_NAMESPACE_RULES: &[RbacRule] = &[RbacRule {
    names: &[SECRET],
    ..rule(
        CORE,
        &["secrets"],
        &["update"],
        "The certificate is shared by all replicas, and renewed.",
    )
}];

/// What the operator needs in every namespace that services are in.
#[must_use]
pub fn rules() -> Vec<RbacRule> {
    [&ITSELF, KIND, PROCESS].concat()
}

/// The rules of every role that the operator may be given.
#[must_use]
pub fn roles() -> Vec<RbacRule> {
    let lease = lease(&[LEASE]);
    [
        &rules(),
        lease.as_slice(),
        WEBHOOK_RULES,
        WEBHOOK_NAMESPACE_RULES,
    ]
    .concat()
}

/// Rights that no request of the tests uses, and why the operator has them.
pub const UNUSED: &[Unused] = &[
    REVIEWS,
    Unused {
        rights: &["update trustyaiservices.trustyai.opendatahub.io/finalizers"],
        reason: "Admission asks for it, on OpenShift, when an owner reference blocks deletion.",
    },
    Unused {
        rights: &[
            "list apiservers.config.openshift.io",
            "watch apiservers.config.openshift.io",
        ],
        reason: "Of what is served with TLS, which is the same for all kinds: the tests of \
                 ModelRegistry use them, those of TrustyAIService serve nothing.",
    },
    Unused {
        rights: &[
            "delete validatingwebhookconfigurations.admissionregistration.k8s.io",
            "get customresourcedefinitions.apiextensions.k8s.io",
            "get validatingwebhookconfigurations.admissionregistration.k8s.io",
            "list validatingwebhookconfigurations.admissionregistration.k8s.io",
            "patch customresourcedefinitions.apiextensions.k8s.io",
            "patch validatingwebhookconfigurations.admissionregistration.k8s.io",
            "update secrets",
            "watch validatingwebhookconfigurations.admissionregistration.k8s.io",
        ],
        reason: "Certificates of admission and conversion are kept by the runtime, in one way for \
                 all kinds: the tests of ModelRegistry show it.",
    },
    Unused {
        rights: &[
            "create backendtlspolicies.gateway.networking.k8s.io",
            "create httproutes.gateway.networking.k8s.io",
            "delete backendtlspolicies.gateway.networking.k8s.io",
            "delete httproutes.gateway.networking.k8s.io",
            "get backendtlspolicies.gateway.networking.k8s.io",
            "get httproutes.gateway.networking.k8s.io",
            "list backendtlspolicies.gateway.networking.k8s.io",
            "patch backendtlspolicies.gateway.networking.k8s.io",
            "patch httproutes.gateway.networking.k8s.io",
            "watch backendtlspolicies.gateway.networking.k8s.io",
        ],
        reason: "Ways through a gateway are built by what all kinds share: the tests of \
                 ModelRegistry show them.",
    },
    Unused {
        rights: &[
            "delete deployments.apps",
            "delete secrets",
            "delete serviceaccounts",
            "delete services",
            "patch secrets",
        ],
        reason: "Children are repaired, pruned and told from those of others by the loop, in one \
                 way for all kinds: the tests of ModelRegistry show it with these.",
    },
];

/// Rights that are used or not, and both are right.
pub const RACES: &[OnlyWhen] = &[OnlyWhen {
    rights: &[
        "get clusterrolebindings.rbac.authorization.k8s.io",
        "get routes.route.openshift.io",
        "get serviceaccounts",
        "patch clusterrolebindings.rbac.authorization.k8s.io",
        "patch routes.route.openshift.io",
        "patch serviceaccounts",
    ],
    race: "Only when what the Go operator made is taken over, which a test does where there are \
           recordings of it.",
}];

/// The generated manifests: path from the root of the workspace, and content.
pub fn manifests() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let path = |file: &str| format!("config/trustyai-operator/{file}");
    Ok(vec![
        (
            path("rbac/role.yaml"),
            manifest(HEADER, "ClusterRole", CLUSTER_ROLE, &rules())?,
        ),
        (
            path("rbac/leader_election_role.yaml"),
            manifest(HEADER, "Role", LEADER_ROLE, &lease(&[LEASE]))?,
        ),
        (
            path("webhook/cluster_role.yaml"),
            manifest(HEADER, "ClusterRole", WEBHOOK_ROLE, WEBHOOK_RULES)?,
        ),
        (
            path("webhook/role.yaml"),
            manifest(HEADER, "Role", WEBHOOK_ROLE, WEBHOOK_NAMESPACE_RULES)?,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use operator_harness::rules_are_sound;
    use resources::kind::{PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM};
    use runtime::component::Component;
    use runtime::permissions::Rule;
    use runtime::rbac::rules_of;

    use super::*;
    use crate::service::TrustyAi;
    use crate::service::config::Config;

    #[test]
    fn the_manifests_are_generated() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (path, content) in manifests().unwrap() {
            let stored = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert_eq!(stored, content, "{path} is old: run `cargo xtask codegen`");
        }
    }

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let service = TrustyAi::new(Config::from_lookup(|_| None));
        let held = rules_of(&rules());
        for watched in service.kinds() {
            let verbs = match watched.kind {
                PERSISTENT_VOLUME_CLAIM => &["get", "list", "watch", "create", "patch"],
                PERSISTENT_VOLUME => READ,
                _ if watched.owned => OWN,
                _ => FOLLOW,
            };
            for verb in verbs {
                let needed = Rule::on(verb, watched.kind);
                assert!(held.contains(&needed), "{needed} is missing");
            }
        }
    }

    #[test]
    fn no_rule_is_for_everything_or_said_twice() {
        rules_are_sound(&rules(), &roles(), UNUSED, RACES);
    }
}
