//! What the service account of subcommand `catalog` may do. The manifests are generated from here.

use resources::Scope;
use runtime::rbac::{
    Account, CUSTOM_HOSTS, FOLLOW, OWN, OnlyWhen, PROCESS, READ, REVIEWS, RbacRule, Rights,
    RoleFile, Unused, cluster, finalizers, itself, lease, rule, webhooks,
};

use super::webhook::CONFIGURATION;

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "catalog.opendatahub.io";

/// Who the operator is, as `overlays/catalog` installs it.
pub const ACCOUNT: Account = (
    "model-catalog-operator-system",
    "catalog-controller-manager",
);

const CORE: &[&str] = &[""];
const CATALOGS: &[&str] = &["aihub.opendatahub.io"];
const GATEWAY: &[&str] = &["gateway.networking.k8s.io"];
const ROUTE: &[&str] = &["route.openshift.io"];

const ITSELF: [RbacRule; 3] = itself(
    Scope::Namespaced,
    CATALOGS,
    [
        &["catalogs"],
        &["catalogs/status"],
        &["catalogs/finalizers"],
    ],
);

/// What catalogs need in the namespace that they are in.
const KIND: &[RbacRule] = &[
    rule(
        CORE,
        &["configmaps", "secrets", "serviceaccounts", "services"],
        OWN,
        "Children of a catalog, and the sources that it reads.",
    ),
    rule(
        CORE,
        &["configmaps", "secrets"],
        &["update"],
        "Never done, but handed out by Role model-catalog-admin: who gives a right must have it.",
    ),
    rule(
        CORE,
        &["persistentvolumeclaims"],
        &["get", "list", "watch", "delete"],
        "The volume of an earlier time goes.",
    ),
    rule(
        &["apps"],
        &["deployments"],
        OWN,
        "The catalog's server and its database.",
    ),
    rule(
        &["networking.k8s.io"],
        &["networkpolicies"],
        OWN,
        "The way around the proxy is closed, and the way to the database.",
    ),
    rule(
        &["rbac.authorization.k8s.io"],
        &["rolebindings", "roles"],
        OWN,
        "Who may use the catalog.",
    ),
    cluster(
        &["rbac.authorization.k8s.io"],
        &["clusterrolebindings"],
        OWN,
        "The proxy's right to ask who may use the catalog: ClusterRole system:auth-delegator, whose \
         rights the operator has for /metrics.",
    ),
    rule(ROUTE, &["routes"], OWN, "The way in on OpenShift."),
    rule(
        ROUTE,
        &["routes/custom-host"],
        &["create", "update"],
        "The host of a Route: OpenShift asks for this right when it is given, and when it changes.",
    ),
    rule(
        GATEWAY,
        &["httproutes", "referencegrants"],
        OWN,
        "The way in through a gateway, and the gateway's right to it.",
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
        "The status says when the catalog answers.",
    ),
    rule(
        CORE,
        &["endpoints"],
        &["get"],
        "Never read, but handed out by Role model-catalog: who gives a right must have it.",
    ),
    cluster(
        &["config.openshift.io"],
        &["ingresses"],
        READ,
        "The domain of OpenShift's applications, for host names.",
    ),
    cluster(
        &["services.platform.opendatahub.io"],
        &["auths"],
        READ,
        "Which groups administer the platform, and so the catalog's sources.",
    ),
    webhooks(&["validatingwebhookconfigurations"], &[CONFIGURATION]),
];

/// What the operator needs in the namespace that the Catalog is in.
fn rules() -> Vec<RbacRule> {
    [&ITSELF, KIND, PROCESS].concat()
}

/// All that the operator is given.
#[must_use]
pub fn rights() -> Rights {
    Rights {
        account: ACCOUNT,
        roles: vec![
            RoleFile::for_cluster(
                "config/model-registry-operator/overlays/catalog/role.yaml",
                "catalog-manager-role",
                rules(),
            ),
            RoleFile::for_namespace(
                "config/model-registry-operator/overlays/catalog/leader_election_role.yaml",
                "catalog-leader-election-role",
                lease(&[LEASE]).to_vec(),
            ),
        ],
        unused: UNUSED,
        races: RACES,
    }
}

/// Rights that no request of the tests uses, and why the operator has them.
const UNUSED: &[Unused] = &[
    REVIEWS,
    CUSTOM_HOSTS,
    finalizers(&["update catalogs.aihub.opendatahub.io/finalizers"]),
    Unused {
        rights: &["get endpoints"],
        reason: "Handed out by Role model-catalog: who gives a right must have it.",
    },
    Unused {
        rights: &[
            "delete validatingwebhookconfigurations.admissionregistration.k8s.io",
            "get validatingwebhookconfigurations.admissionregistration.k8s.io",
        ],
        reason: "Admission that is not served any more is taken away by the runtime, in one way \
                 for all kinds: the tests of ModelRegistry show it.",
    },
    Unused {
        rights: &["update configmaps", "update secrets"],
        reason: "Handed out by Role model-catalog-admin: who gives a right must have it.",
    },
    Unused {
        rights: &[
            "create leases.coordination.k8s.io",
            "get leases.coordination.k8s.io",
            "update leases.coordination.k8s.io",
        ],
        reason: "Of the process, which is the same for all kinds: the tests of ModelRegistry use \
                 them, those of Catalog run it without Lease and metrics.",
    },
    Unused {
        rights: &[
            "delete persistentvolumeclaims",
            "get persistentvolumeclaims",
        ],
        reason: "For the volume that an earlier operator has left, which no test makes.",
    },
    Unused {
        rights: &[
            "delete deployments.apps",
            "delete networkpolicies.networking.k8s.io",
            "delete referencegrants.gateway.networking.k8s.io",
            "delete roles.rbac.authorization.k8s.io",
            "delete routes.route.openshift.io",
            "delete secrets",
            "delete serviceaccounts",
            "delete services",
        ],
        reason: "Children are pruned by the loop, in one way for all kinds: the tests of \
                 ModelRegistry show it with these.",
    },
];

/// Rights that only a race uses.
const RACES: &[OnlyWhen] = &[OnlyWhen {
    rights: &[
        "get httproutes.gateway.networking.k8s.io",
        "get routes.route.openshift.io",
        "patch clusterrolebindings.rbac.authorization.k8s.io",
        "patch httproutes.gateway.networking.k8s.io",
        "patch networkpolicies.networking.k8s.io",
        "patch referencegrants.gateway.networking.k8s.io",
        "patch rolebindings.rbac.authorization.k8s.io",
        "patch roles.rbac.authorization.k8s.io",
        "patch routes.route.openshift.io",
        "patch services",
    ],
    race: "Only when the answer to a create was lost: what is there is read, and applied. Repairs \
           are the loop's, in one way for all kinds: the tests of ModelRegistry show them.",
}];

#[cfg(test)]
mod tests {
    use api::codegen::HEADER;
    use operator_harness::{kinds_have_their_verbs, rights_are_sound};
    use resources::kind::{AUTH, INGRESS_CONFIG, PERSISTENT_VOLUME_CLAIM};

    use super::*;
    use crate::catalog::{Catalog, config::Config};

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let catalog = Catalog {
            config: Config::from_lookup(|_| None).unwrap(),
        };
        let special: &[(_, &[&'static str])] = &[
            (PERSISTENT_VOLUME_CLAIM, &["get", "list", "watch", "delete"]),
            (INGRESS_CONFIG, READ),
            (AUTH, READ),
        ];
        kinds_have_their_verbs(&catalog, &rules(), special);
    }

    #[test]
    fn rights_have_their_reasons_and_manifests() {
        rights_are_sound(&rights(), HEADER);
    }
}
