//! What the service account of subcommand `catalog` may do. The manifests are generated from here.

use runtime::permissions::RbacRule;

use crate::rbac::{FOLLOW, OWN, READ, cluster, manifest, rule};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "catalog.opendatahub.io";

/// Name of the ClusterRole.
pub const CLUSTER_ROLE: &str = "catalog-manager-role";
/// Name of the Role for the Lease.
pub const LEADER_ROLE: &str = "catalog-leader-election-role";

const CORE: &[&str] = &[""];
const CATALOGS: &[&str] = &["aihub.opendatahub.io"];
const GATEWAY: &[&str] = &["gateway.networking.k8s.io"];
const ROUTE: &[&str] = &["route.openshift.io"];
const COORDINATION: &[&str] = &["coordination.k8s.io"];

/// What the operator needs in the namespace that the Catalog is in.
pub const RULES: &[RbacRule] = &[
    rule(
        CATALOGS,
        &["catalogs"],
        &["list", "watch", "patch"],
        "The resource itself: it is followed, and gets a finalizer.",
    ),
    rule(CATALOGS, &["catalogs/status"], &["patch"], "Its status."),
    rule(
        CATALOGS,
        &["catalogs/finalizers"],
        &["update"],
        "Children block its deletion, and OwnerReferencesPermissionEnforcement asks for this right.",
    ),
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
        "The proxy's right to ask who may use the catalog.",
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
        &["authentication.k8s.io"],
        &["tokenreviews"],
        &["create"],
        "Who asks for /metrics; and handed out by ClusterRole system:auth-delegator to the proxy.",
    ),
    cluster(
        &["authorization.k8s.io"],
        &["subjectaccessreviews"],
        &["create"],
        "Whether that one may; and handed out by ClusterRole system:auth-delegator to the proxy.",
    ),
    cluster(
        &["apiextensions.k8s.io"],
        &["customresourcedefinitions"],
        FOLLOW,
        "Optional APIs are used when they appear.",
    ),
    cluster(
        &["apiregistration.k8s.io"],
        &["apiservices"],
        FOLLOW,
        "OpenShift serves Route through these.",
    ),
    cluster(
        &["config.openshift.io"],
        &["ingresses"],
        READ,
        "The domain of OpenShift's applications, for host names.",
    ),
    cluster(
        &["config.openshift.io"],
        &["apiservers"],
        READ,
        "The TLS profile of OpenShift's API server: metrics are served by it too.",
    ),
    cluster(
        &["services.platform.opendatahub.io"],
        &["auths"],
        READ,
        "Which groups administer the platform, and so the catalog's sources.",
    ),
    rule(
        &["events.k8s.io"],
        &["events"],
        &["create"],
        "Events for people.",
    ),
];

/// What the operator needs in its own namespace.
pub const LEADER_RULES: &[RbacRule] = &[
    rule(
        COORDINATION,
        &["leases"],
        &["create"],
        "The Lease. A name cannot be asked for in a rule for create.",
    ),
    RbacRule {
        names: &[LEASE],
        ..rule(
            COORDINATION,
            &["leases"],
            &["get", "update"],
            "The Lease is renewed, and released on shutdown.",
        )
    },
];

/// The generated manifests: path from the root of the workspace, and content.
pub fn manifests() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let path = |file: &str| format!("config/model-registry-operator/overlays/catalog/{file}");
    Ok(vec![
        (
            path("role.yaml"),
            manifest("ClusterRole", CLUSTER_ROLE, RULES)?,
        ),
        (
            path("leader_election_role.yaml"),
            manifest("Role", LEADER_ROLE, LEADER_RULES)?,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use resources::kind::{AUTH, INGRESS_CONFIG, PERSISTENT_VOLUME_CLAIM};
    use runtime::component::Component;
    use runtime::permissions::{Rule, rules_of};

    use super::*;
    use crate::catalog::{Catalog, config::Config};

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let catalog = Catalog {
            config: Config::from_lookup(|_| None).unwrap(),
        };
        let held = rules_of(RULES);
        for watched in catalog.kinds() {
            let verbs = match watched.kind {
                PERSISTENT_VOLUME_CLAIM => &["get", "list", "watch", "delete"],
                _ if watched.owned => OWN,
                INGRESS_CONFIG | AUTH => READ,
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
        let mut all: Vec<String> = rules_of(RULES).iter().map(ToString::to_string).collect();
        assert!(all.iter().all(|rule| !rule.contains('*')));
        let length = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), length);
        let mut rules = RULES.iter().chain(LEADER_RULES);
        assert!(rules.all(|rule| rule.reason.ends_with('.')));
    }
}
