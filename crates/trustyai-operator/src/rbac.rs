//! What the operator's service account may do. The manifests are generated from here.

use resources::Scope;
use runtime::rbac::{
    Account, FOLLOW, OWN, PROCESS, READ, REVIEWS, RbacRule, Rights, RoleFile, SERVES_NOTHING,
    Unused, cluster, finalizers, itself, lease, rule, webhooks,
};

use crate::service::webhook::{CONFIGURATION, DEFINITION_NAME, SECRET};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "b7e9931f.trustyai.opendatahub.io";
/// Who the operator is, as `config/trustyai-operator` installs it.
pub const ACCOUNT: Account = (
    "trustyai-service-operator-system",
    "trustyai-service-operator-controller-manager",
);
/// ClusterRole and Role for webhooks. An overlay adds them after names got their prefix.
const WEBHOOK_ROLE: &str = "trustyai-service-operator-webhook-role";

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
const WEBHOOK_RULES: &[RbacRule] = &[
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
const WEBHOOK_NAMESPACE_RULES: &[RbacRule] = &[RbacRule {
    names: &[SECRET],
    ..rule(
        CORE,
        &["secrets"],
        &["update"],
        "The certificate is shared by all replicas, and renewed.",
    )
}];

/// What the operator needs in every namespace that services are in.
fn rules() -> Vec<RbacRule> {
    [&ITSELF, KIND, PROCESS].concat()
}

/// All that the operator may be given.
#[must_use]
pub fn rights() -> Rights {
    Rights {
        account: ACCOUNT,
        roles: vec![
            RoleFile::for_cluster(
                "config/trustyai-operator/rbac/role.yaml",
                "manager-role",
                rules(),
            ),
            RoleFile::for_namespace(
                "config/trustyai-operator/rbac/leader_election_role.yaml",
                "leader-election-role",
                lease(&[LEASE]).to_vec(),
            ),
            RoleFile::for_cluster(
                "config/trustyai-operator/webhook/cluster_role.yaml",
                WEBHOOK_ROLE,
                WEBHOOK_RULES.to_vec(),
            ),
            RoleFile::for_namespace(
                "config/trustyai-operator/webhook/role.yaml",
                WEBHOOK_ROLE,
                WEBHOOK_NAMESPACE_RULES.to_vec(),
            ),
        ],
        unused: UNUSED,
        races: &[],
    }
}

/// Rights that no request of the tests uses, and why the operator has them.
const UNUSED: &[Unused] = &[
    REVIEWS,
    finalizers(&["update trustyaiservices.trustyai.opendatahub.io/finalizers"]),
    SERVES_NOTHING,
    Unused {
        rights: &[
            "delete validatingwebhookconfigurations.admissionregistration.k8s.io",
            "get customresourcedefinitions.apiextensions.k8s.io",
            "get validatingwebhookconfigurations.admissionregistration.k8s.io",
            "update secrets",
        ],
        reason: "Certificates of admission and conversion are kept by the runtime, in one way for \
                 all kinds: the tests of ModelRegistry show it.",
    },
    Unused {
        rights: &[
            "delete deployments.apps",
            "delete secrets",
            "delete serviceaccounts",
            "delete services",
        ],
        reason: "Children are repaired, pruned and told from those of others by the loop, in one \
                 way for all kinds: the tests of ModelRegistry show it with these.",
    },
];

#[cfg(test)]
mod tests {
    use api::codegen::HEADER;
    use operator_harness::{kinds_have_their_verbs, rights_are_sound};
    use resources::kind::{PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM};

    use super::*;
    use crate::service::TrustyAi;
    use crate::service::config::Config;
    use crate::wiring::logger::INFERENCE_SERVICE;

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let service = TrustyAi::new(Config::from_lookup(|_| None));
        let special: &[(_, &[&'static str])] = &[
            (
                PERSISTENT_VOLUME_CLAIM,
                &["get", "list", "watch", "create", "patch"],
            ),
            (PERSISTENT_VOLUME, READ),
            (INFERENCE_SERVICE, &["get", "list", "watch", "patch"]),
        ];
        kinds_have_their_verbs(&service, &rules(), special);
    }

    #[test]
    fn rights_have_their_reasons_and_manifests() {
        rights_are_sound(&rights(), HEADER);
    }
}
