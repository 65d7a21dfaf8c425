//! What the operator's service account may do. The manifests are generated from here.

use resources::Scope;
use runtime::rbac::{
    Account, CUSTOM_HOSTS, FOLLOW, OWN, PROCESS, READ, REVIEWS, RbacRule, Rights, RoleFile, Unused,
    cluster, finalizers, itself, lease, rule, webhooks,
};

use crate::registry::webhook::{
    DEFINITION_NAME, MUTATING_CONFIGURATION, SECRET, VALIDATING_CONFIGURATION,
};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "85f368d1.opendatahub.io";

/// Who the operator is, as `config/model-registry-operator` installs it.
pub const ACCOUNT: Account = (
    "model-registry-operator-system",
    "model-registry-operator-controller-manager",
);
/// ClusterRole and Role for webhooks. An overlay adds them after names got their prefix.
const WEBHOOK_ROLE: &str = "model-registry-operator-webhook-role";

const REGISTRIES: &[&str] = &["modelregistry.opendatahub.io"];
const CORE: &[&str] = &[""];
const RBAC: &[&str] = &["rbac.authorization.k8s.io"];
const GATEWAY: &[&str] = &["gateway.networking.k8s.io"];
const ROUTE: &[&str] = &["route.openshift.io"];

const ITSELF: [RbacRule; 3] = itself(
    Scope::Namespaced,
    REGISTRIES,
    [
        &["modelregistries"],
        &["modelregistries/status"],
        &["modelregistries/finalizers"],
    ],
);

/// What registries need in every namespace that they are in.
const KIND: &[RbacRule] = &[
    rule(
        CORE,
        &[
            "configmaps",
            "persistentvolumeclaims",
            "secrets",
            "serviceaccounts",
            "services",
        ],
        OWN,
        "Children of a registry, and the Secrets and ConfigMaps that it refers to.",
    ),
    rule(
        &["apps"],
        &["deployments"],
        OWN,
        "The registry's server and its generated Postgres.",
    ),
    rule(
        &["networking.k8s.io"],
        &["networkpolicies"],
        OWN,
        "The way around the proxy is closed, and the way to the generated Postgres.",
    ),
    rule(
        &["policy"],
        &["poddisruptionbudgets"],
        OWN,
        "Replicas of a registry stay through drains.",
    ),
    rule(
        RBAC,
        &["rolebindings", "roles"],
        OWN,
        "Who may use a registry.",
    ),
    cluster(
        RBAC,
        &["clusterrolebindings"],
        OWN,
        "The proxy's right to ask who may use a registry: ClusterRole system:auth-delegator, whose \
         rights the operator has for /metrics.",
    ),
    rule(ROUTE, &["routes"], OWN, "The way in on OpenShift."),
    rule(
        ROUTE,
        &["routes/custom-host"],
        &["create", "update"],
        "The host of a Route: OpenShift asks for this right when it is given, and when it changes.",
    ),
    cluster(
        &["user.openshift.io"],
        &["groups"],
        OWN,
        "The group of a registry's users on OpenShift.",
    ),
    rule(
        GATEWAY,
        &["backendtlspolicies", "httproutes", "referencegrants"],
        OWN,
        "The way in through a gateway, the gateway's right to it, and whom it trusts.",
    ),
    rule(
        &["networking.k8s.io"],
        &["ingresses"],
        OWN,
        "The way in that every Kubernetes has.",
    ),
    rule(
        &["cert-manager.io"],
        &["certificates"],
        OWN,
        "The proxy's certificate, where cert-manager makes it.",
    ),
    rule(
        &["networking.istio.io"],
        &["destinationrules", "gateways", "virtualservices"],
        OWN,
        "The way in through the mesh, with spec.istio.",
    ),
    rule(
        &["security.istio.io"],
        &["authorizationpolicies"],
        OWN,
        "The mesh asks Authorino who may call, with spec.istio.",
    ),
    rule(
        &["authorino.kuadrant.io"],
        &["authconfigs"],
        OWN,
        "What Authorino is told, with spec.istio.",
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
        "The status says when the registry answers.",
    ),
    rule(
        CORE,
        &["endpoints"],
        &["get"],
        "Never read, but handed out by Role registry-user-NAME: who gives a right must have it.",
    ),
    rule(
        CORE,
        &["services/api"],
        &["create", "delete", "get", "patch", "update"],
        "No such API exists. Handed out by Roles registry-api-NAME and registry-viewer-NAME, \
         which the proxy asks about with authorization ByMethod.",
    ),
    cluster(
        &["config.openshift.io"],
        &["ingresses"],
        READ,
        "The domain of OpenShift's applications, for host names.",
    ),
];

const CRDS: &[&str] = &["apiextensions.k8s.io"];

/// What the operator needs beside [`rules`] where it serves webhooks and migrates what is stored.
const WEBHOOK_RULES: &[RbacRule] = &[
    webhooks(
        &["mutatingwebhookconfigurations"],
        &[MUTATING_CONFIGURATION],
    ),
    webhooks(
        &["validatingwebhookconfigurations"],
        &[VALIDATING_CONFIGURATION],
    ),
    RbacRule {
        names: &[DEFINITION_NAME],
        ..cluster(
            CRDS,
            &["customresourcedefinitions"],
            &["get", "patch"],
            "The same for conversion; and which versions are stored.",
        )
    },
    RbacRule {
        names: &[DEFINITION_NAME],
        ..cluster(
            CRDS,
            &["customresourcedefinitions/status"],
            &["patch"],
            "The old version is taken out of the stored ones when all resources are rewritten.",
        )
    },
];

/// What the operator needs in its own namespace where it serves webhooks. With [`rules`] it has
/// these already; without, as where it may only work in some namespaces, it needs them.
const WEBHOOK_NAMESPACE_RULES: &[RbacRule] = &[
    rule(
        CORE,
        &["secrets"],
        &["create"],
        "The certificate. A name cannot be asked for in a rule for create.",
    ),
    RbacRule {
        names: &[SECRET],
        ..rule(
            CORE,
            &["secrets"],
            &["list", "watch", "update"],
            "The certificate is shared by all replicas, and renewed.",
        )
    },
];

/// What the operator needs in every namespace that registries are in.
fn rules() -> Vec<RbacRule> {
    [&ITSELF, KIND, PROCESS].concat()
}

/// What a Role can give of [`rules`].
fn namespace_rules() -> Vec<RbacRule> {
    let mut rules = rules();
    rules.retain(|rule| rule.scope == Scope::Namespaced);
    rules
}

/// All that the operator may be given.
#[must_use]
pub fn rights() -> Rights {
    Rights {
        account: ACCOUNT,
        roles: vec![
            RoleFile::for_cluster(
                "config/model-registry-operator/rbac/role.yaml",
                "manager-role",
                rules(),
            ),
            RoleFile::for_namespace(
                "config/model-registry-operator/rbac/leader_election_role.yaml",
                "leader-election-role",
                lease(&[LEASE]).to_vec(),
            ),
            // Where the operator works in some namespaces only. The overlay adds it after names got
            // their prefix.
            RoleFile::for_namespace(
                "config/model-registry-operator/overlays/namespaced/namespace/role.yaml",
                "model-registry-operator-manager-role",
                namespace_rules(),
            ),
            RoleFile::for_cluster(
                "config/model-registry-operator/webhook/cluster_role.yaml",
                WEBHOOK_ROLE,
                WEBHOOK_RULES.to_vec(),
            ),
            RoleFile::for_namespace(
                "config/model-registry-operator/webhook/role.yaml",
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
    CUSTOM_HOSTS,
    finalizers(&["update modelregistries.modelregistry.opendatahub.io/finalizers"]),
    Unused {
        rights: &["get endpoints"],
        reason: "Handed out by Role registry-user-NAME: who gives a right must have it.",
    },
    Unused {
        rights: &[
            "create services/api",
            "delete services/api",
            "get services/api",
            "patch services/api",
            "update services/api",
        ],
        reason: "Handed out by Roles registry-api-NAME and registry-viewer-NAME.",
    },
    Unused {
        rights: &[
            "delete referencegrants.gateway.networking.k8s.io",
            "delete serviceaccounts",
        ],
        reason: "Every plan has its service account, and a grant leaves by its owner references: \
                 only what another version of the operator made is pruned.",
    },
];

#[cfg(test)]
mod tests {
    use api::codegen::HEADER;
    use operator_harness::{kinds_have_their_verbs, rights_are_sound};
    use resources::kind::INGRESS_CONFIG;
    use runtime::component::Component;
    use runtime::permissions::Rule;
    use runtime::rbac::rules_of;

    use super::*;
    use crate::registry::Registry;
    use crate::registry::config::Config;

    fn registry() -> Registry {
        Registry {
            config: Config::from_lookup(|_| None).unwrap(),
        }
    }

    #[test]
    fn every_declared_kind_has_its_verbs_and_no_more() {
        kinds_have_their_verbs(&registry(), &rules(), &[(INGRESS_CONFIG, READ)]);
    }

    #[test]
    fn a_role_has_the_rules_for_what_is_in_namespaces() {
        let given = rules_of(&namespace_rules());
        for watched in registry().kinds() {
            let namespaced = watched.kind.scope == Scope::Namespaced;
            let listed = given.contains(&Rule::on("list", watched.kind));
            assert_eq!(listed, namespaced, "{}", watched.kind);
        }
    }

    #[test]
    fn rights_have_their_reasons_and_manifests() {
        rights_are_sound(&rights(), HEADER);
    }
}
