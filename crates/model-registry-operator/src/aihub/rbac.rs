//! What the service account of subcommand `aihub` may do. The manifests are generated from here.
//!
//! Who gives a right must have it: the API server refuses a role with a rule that its writer lacks,
//! unless the writer may `escalate`, which is as much as everything. So the hub holds what the
//! operators hold that it deploys, and no more.

use resources::Scope;
use runtime::rbac::{
    Account, FOLLOW, OWN, PROCESS, REVIEWS, RbacRule, Rights, RoleFile, SERVES_NOTHING, Unused,
    cluster, finalizers, itself, lease, rule,
};

use crate::{catalog, rbac};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "aihub-controller-manager";

/// Who the operator is, as `overlays/aihub` installs it.
pub const ACCOUNT: Account = ("aihub-operator-system", "aihub-controller-manager");

const HUBS: &[&str] = &["components.platform.opendatahub.io"];
const CATALOGS: &[&str] = &["aihub.opendatahub.io"];
const REGISTRIES: &[&str] = &["modelregistry.opendatahub.io"];

const ITSELF: [RbacRule; 3] = itself(
    Scope::Cluster,
    HUBS,
    [&["aihubs"], &["aihubs/status"], &["aihubs/finalizers"]],
);

/// What hubs need.
const KIND: &[RbacRule] = &[
    cluster(
        &[""],
        &["namespaces"],
        &["get", "list", "watch", "create"],
        "The namespaces that the hub names, where they are missing.",
    ),
    cluster(
        &["apiextensions.k8s.io"],
        &["customresourcedefinitions"],
        &["get", "create", "patch"],
        "ModelRegistry and Catalog. They are never deleted.",
    ),
    cluster(
        &["rbac.authorization.k8s.io"],
        &["clusterroles"],
        &["get", "list", "watch", "create", "patch"],
        "What the operators may do, and ClusterRoles for people. The garbage collector deletes them.",
    ),
    cluster(
        &["admissionregistration.k8s.io"],
        &[
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ],
        OWN,
        "Admission of registries and the catalog.",
    ),
    rule(
        CATALOGS,
        &["catalogs"],
        OWN,
        "The hub's catalog. Its deletion is waited for.",
    ),
    rule(
        &["template.openshift.io"],
        &["templates"],
        OWN,
        "Templates of upload jobs, on OpenShift.",
    ),
    cluster(
        &[""],
        &["configmaps"],
        FOLLOW,
        "The platform's version, in ConfigMap odh-modelregistry-config.",
    ),
    rule(
        REGISTRIES,
        &["modelregistries"],
        &[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ],
        "Never done, but handed out by ClusterRoles for people.",
    ),
    rule(
        REGISTRIES,
        &["modelregistries/status"],
        &["get"],
        "The same.",
    ),
];

/// What the operator needs for itself.
fn rules() -> Vec<RbacRule> {
    [&ITSELF, KIND, PROCESS].concat()
}

/// What the deployed operators may do, beside [`rules`], each rule once.
fn handed_out() -> Vec<RbacRule> {
    let (own, mut rules) = (rules(), Vec::<RbacRule>::new());
    for rule in (rbac::rights().rules().into_iter()).chain(catalog::rbac::rights().rules()) {
        let same = |other: &RbacRule| {
            let reason = rule.reason;
            RbacRule { reason, ..*other } == rule
        };
        if !own.iter().chain(&rules).any(same) {
            rules.push(rule);
        }
    }
    rules
}

/// All that the operator is given.
#[must_use]
pub fn rights() -> Rights {
    let role = RoleFile::for_cluster(
        "config/model-registry-operator/overlays/aihub/role.yaml",
        "aihub-manager-role",
        rules(),
    );
    Rights {
        account: ACCOUNT,
        roles: vec![
            RoleFile {
                handed_out: handed_out(),
                ..role
            },
            RoleFile::for_namespace(
                "config/model-registry-operator/overlays/aihub/leader_election_role.yaml",
                "aihub-leader-election-role",
                lease(&[LEASE]).to_vec(),
            ),
        ],
        unused: UNUSED,
        races: &[],
    }
}

/// Rights that no request of the tests uses, and why the operator has them.
const UNUSED: &[Unused] = &[
    REVIEWS,
    finalizers(&["update aihubs.components.platform.opendatahub.io/finalizers"]),
    Unused {
        rights: &[
            "create modelregistries.modelregistry.opendatahub.io",
            "delete modelregistries.modelregistry.opendatahub.io",
            "deletecollection modelregistries.modelregistry.opendatahub.io",
            "get modelregistries.modelregistry.opendatahub.io",
            "get modelregistries.modelregistry.opendatahub.io/status",
            "update modelregistries.modelregistry.opendatahub.io",
        ],
        reason: "Handed out by ClusterRoles for people: who gives a right must have it.",
    },
    SERVES_NOTHING,
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
    use runtime::component::Component;
    use runtime::permissions::Rule;
    use runtime::rbac::rules_of;

    use super::*;
    use crate::aihub::{Hub, config::Config, deployed};

    fn strings(list: Option<&Vec<String>>) -> Vec<String> {
        list.cloned().unwrap_or_default()
    }

    /// Whether one of `held` gives this much, as the API server's check of escalation decides it.
    fn gives(
        held: &[PolicyRule],
        group: &str,
        resource: &str,
        verb: &str,
        name: Option<&str>,
    ) -> bool {
        held.iter().any(|rule| {
            let names = strings(rule.resource_names.as_ref());
            strings(rule.api_groups.as_ref())
                .iter()
                .any(|one| one == group)
                && strings(rule.resources.as_ref())
                    .iter()
                    .any(|one| one == resource)
                && rule.verbs.iter().any(|one| one == verb)
                && (names.is_empty()
                    || name.is_some_and(|name| names.iter().any(|one| one == name)))
        })
    }

    fn cluster_role(file: &str) -> Vec<PolicyRule> {
        let folder = "../../config/model-registry-operator/overlays/aihub";
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join(file);
        let role: ClusterRole =
            serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        role.rules.unwrap()
    }

    #[test]
    fn the_hub_holds_every_right_that_it_gives() {
        let mut held = cluster_role("role.yaml");
        held.extend(cluster_role("metrics_reader_role.yaml"));
        assert!(held.iter().all(|rule| !format!("{rule:?}").contains('*')));
        let mut given = 0;
        for document in deployed::documents().unwrap() {
            if !deployed::text(document, "/kind").ends_with("Role") {
                continue;
            }
            let rules: Vec<PolicyRule> = serde_json::from_value(document["rules"].clone()).unwrap();
            for rule in rules {
                let names = strings(rule.resource_names.as_ref());
                let names: Vec<Option<&str>> = if names.is_empty() {
                    vec![None]
                } else {
                    names.iter().map(|name| Some(name.as_str())).collect()
                };
                for url in strings(rule.non_resource_urls.as_ref()) {
                    assert!(
                        held.iter()
                            .any(|rule| strings(rule.non_resource_urls.as_ref()).contains(&url))
                    );
                }
                for group in strings(rule.api_groups.as_ref()) {
                    for resource in strings(rule.resources.as_ref()) {
                        for verb in &rule.verbs {
                            for name in &names {
                                given += 1;
                                assert!(
                                    gives(&held, &group, &resource, verb, *name),
                                    "{verb} {resource}.{group} {name:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
        assert!(given > 100, "{given}");
    }

    #[test]
    fn rights_have_their_reasons_and_manifests() {
        operator_harness::rights_are_sound(&rights(), api::codegen::HEADER);
    }

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let hub = Hub {
            config: Config::default(),
        };
        let mut held = rules_of(&rules());
        held.extend(rules_of(&handed_out()));
        for watched in hub.kinds() {
            let verbs = match watched.kind {
                kind if hub.undeleted().contains(&kind) => &["get", "list", "watch", "create"],
                _ if watched.owned => OWN,
                _ => FOLLOW,
            };
            for verb in verbs {
                let needed = Rule::on(verb, watched.kind);
                let found = held
                    .iter()
                    .any(|rule| rule.to_string() == needed.to_string());
                assert!(found, "{needed} is missing");
            }
        }
    }
}
