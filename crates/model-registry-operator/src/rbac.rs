//! What the operator's service account may do. The manifests are generated from here.

use api::codegen::HEADER;
use resources::Scope;
use runtime::rbac::{
    CUSTOM_HOSTS, FOLLOW, OWN, OnlyWhen, PROCESS, READ, REVIEWS, RbacRule, Unused, cluster, itself,
    lease, manifest, rule, webhooks,
};

use crate::registry::webhook::{
    DEFINITION_NAME, MUTATING_CONFIGURATION, SECRET, VALIDATING_CONFIGURATION,
};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "85f368d1.opendatahub.io";

/// Name of the ClusterRole, before the prefix of the installation.
pub const CLUSTER_ROLE: &str = "manager-role";
/// Name of the Role in each namespace, where the operator works in some only. An overlay adds it
/// after names got their prefix.
pub const NAMESPACE_ROLE: &str = "model-registry-operator-manager-role";
/// Name of the Role for the Lease, before the prefix of the installation.
pub const LEADER_ROLE: &str = "leader-election-role";

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

/// Name of ClusterRole and Role for webhooks. An overlay adds them after names got their prefix.
pub const WEBHOOK_ROLE: &str = "model-registry-operator-webhook-role";

const CRDS: &[&str] = &["apiextensions.k8s.io"];

/// What the operator needs beside [`rules`] where it serves webhooks and migrates what is stored.
pub const WEBHOOK_RULES: &[RbacRule] = &[
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
pub const WEBHOOK_NAMESPACE_RULES: &[RbacRule] = &[
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
    CUSTOM_HOSTS,
    Unused {
        rights: &["update modelregistries.modelregistry.opendatahub.io/finalizers"],
        reason: "Admission asks for it, on OpenShift, when an owner reference blocks deletion.",
    },
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

/// Rights that only a race uses.
pub const RACES: &[OnlyWhen] = &[];

/// The generated manifests: path from the root of the workspace, and content.
pub fn manifests() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let path = |file: &str| format!("config/model-registry-operator/rbac/{file}");
    let mut files = vec![
        (path("role.yaml"), cluster_role_yaml()?),
        (path("leader_election_role.yaml"), leader_role_yaml()?),
        (
            "config/model-registry-operator/overlays/namespaced/namespace/role.yaml".to_owned(),
            namespace_role_yaml()?,
        ),
        (
            "config/model-registry-operator/webhook/cluster_role.yaml".to_owned(),
            manifest(HEADER, "ClusterRole", WEBHOOK_ROLE, WEBHOOK_RULES)?,
        ),
        (
            "config/model-registry-operator/webhook/role.yaml".to_owned(),
            manifest(HEADER, "Role", WEBHOOK_ROLE, WEBHOOK_NAMESPACE_RULES)?,
        ),
    ];
    files.extend(crate::catalog::rbac::manifests()?);
    files.extend(crate::aihub::rbac::manifests()?);
    Ok(files)
}

/// The ClusterRole, with the reason above each rule.
pub fn cluster_role_yaml() -> Result<String, serde_saphyr::ser::Error> {
    manifest(HEADER, "ClusterRole", CLUSTER_ROLE, &rules())
}

/// The Role for one namespace: what a Role can give of the ClusterRole.
pub fn namespace_role_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut rules = rules();
    rules.retain(|rule| rule.scope == Scope::Namespaced);
    manifest(HEADER, "Role", NAMESPACE_ROLE, &rules)
}

/// The Role for the Lease, with the reason above each rule.
pub fn leader_role_yaml() -> Result<String, serde_saphyr::ser::Error> {
    manifest(HEADER, "Role", LEADER_ROLE, &lease(&[LEASE]))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
    use resources::kind::INGRESS_CONFIG;
    use runtime::component::Component;
    use runtime::permissions::Rule;
    use runtime::rbac::{rules_of, to_cluster_role};

    use super::*;
    use crate::registry::Registry;
    use crate::registry::config::Config;

    #[test]
    fn the_manifest_says_what_the_declaration_says() {
        let role: ClusterRole = serde_saphyr::from_str(&cluster_role_yaml().unwrap()).unwrap();
        assert_eq!(role, to_cluster_role(CLUSTER_ROLE, &rules()));
        let leader: Role = serde_saphyr::from_str(&leader_role_yaml().unwrap()).unwrap();
        assert_eq!(
            leader.rules.unwrap(),
            to_cluster_role("", &lease(&[LEASE])).rules.unwrap()
        );
    }

    #[test]
    fn the_manifests_are_generated() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (path, content) in manifests().unwrap() {
            let stored = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert_eq!(stored, content, "{path} is old: run `cargo xtask codegen`");
        }
    }

    #[test]
    fn every_declared_kind_has_its_verbs_and_no_more() {
        let registry = Registry {
            config: Config::from_lookup(|_| None).unwrap(),
        };
        let held = rules_of(&rules());
        for watched in registry.kinds() {
            let verbs = match watched.kind {
                _ if watched.owned => OWN,
                // The one kind that is read and not owned.
                INGRESS_CONFIG => READ,
                _ => FOLLOW,
            };
            for verb in verbs {
                let needed = Rule::on(verb, watched.kind);
                assert!(held.contains(&needed), "{needed} is missing");
            }
            if !watched.owned {
                let given: Vec<&str> = held
                    .iter()
                    .filter(|r| r.group == watched.kind.group && r.resource == watched.kind.plural)
                    .map(|r| r.verb)
                    .collect();
                assert_eq!(given, verbs, "{}", watched.kind);
            }
        }
    }

    #[test]
    fn a_role_has_the_rules_for_what_is_in_namespaces() {
        let role: Role = serde_saphyr::from_str(&namespace_role_yaml().unwrap()).unwrap();
        let resources: Vec<String> = role
            .rules
            .unwrap()
            .into_iter()
            .flat_map(|rule| {
                let groups = rule.api_groups.unwrap();
                let all = rule.resources.unwrap();
                all.into_iter()
                    .map(move |plural| format!("{plural}.{}", groups[0]))
            })
            .collect();
        for given in [
            "modelregistries.modelregistry.opendatahub.io",
            "secrets.",
            "rolebindings.rbac.authorization.k8s.io",
            "routes.route.openshift.io",
            "pods.",
        ] {
            assert!(resources.contains(&given.to_owned()), "{given}");
        }
        let registry = Registry {
            config: Config::from_lookup(|_| None).unwrap(),
        };
        for watched in registry.kinds() {
            assert_eq!(
                resources.contains(&format!("{}.{}", watched.kind.plural, watched.kind.group)),
                watched.kind.scope == Scope::Namespaced,
                "{}",
                watched.kind
            );
        }
    }

    #[test]
    fn no_rule_is_for_everything_or_said_twice() {
        operator_harness::rules_are_sound(&rules(), &roles(), UNUSED, RACES);
    }
}
