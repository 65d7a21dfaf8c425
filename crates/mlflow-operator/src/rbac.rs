//! What the operator's service account may do. The manifests are generated from here.

use resources::Scope;
use runtime::rbac::{
    Account, FOLLOW, OWN, OnlyWhen, PROCESS, READ, REVIEWS, RbacRule, Rights, RoleFile,
    SERVES_NOTHING, Unused, cluster, finalizers, itself, lease, rule,
};

use crate::{access, module};

/// Name of the Lease: that of the Go operator, so that both never work at once.
pub const LEASE: &str = "a5eb1b3b.opendatahub.io";
/// The operator, as the manifests have it.
pub const ACCOUNT: Account = ("opendatahub", "mlflow-operator-controller-manager");

const CORE: &[&str] = &[""];
const RBAC: &[&str] = &["rbac.authorization.k8s.io"];
const WORKSPACES: &[&str] = &["mlflow.kubeflow.org"];

const JOBS: &[&str] = &["get", "list", "watch", "create", "delete"];

/// What the resource itself needs.
const ITSELF: [RbacRule; 3] = itself(
    Scope::Cluster,
    &["mlflow.opendatahub.io"],
    [&["mlflows"], &["mlflows/status"], &["mlflows/finalizers"]],
);

/// What a server needs that is in no namespace.
const CLUSTER: &[RbacRule] = &[
    cluster(
        &["mlflow.opendatahub.io"],
        &["mlflows"],
        &["get"],
        "A request for a migration is taken back once it is served.",
    ),
    cluster(
        RBAC,
        &["clusterrolebindings", "clusterroles"],
        OWN,
        "What a server, and its garbage collection, may read and do.",
    ),
    cluster(
        &["console.openshift.io"],
        &["consolelinks"],
        OWN,
        "The entry in the menu of OpenShift's console.",
    ),
];

/// What servers may do. Who gives a right must have it.
const HANDED_OUT: &[RbacRule] = &[
    cluster(CORE, &["namespaces"], READ, "Namespaces are workspaces."),
    RbacRule {
        names: &["mlflow-artifact-connection"],
        ..cluster(
            CORE,
            &["secrets"],
            READ,
            "Where a workspace keeps its artifacts.",
        )
    },
    cluster(
        WORKSPACES,
        &["mlflowconfigs"],
        READ,
        "Which Secret that is.",
    ),
    cluster(
        WORKSPACES,
        &["experiments"],
        &["get", "list", "update"],
        "Garbage collection asks the server to delete for good what belongs to experiments.",
    ),
];

/// What servers need in the namespace that they are in.
const NAMESPACE: &[RbacRule] = &[
    rule(
        CORE,
        &["configmaps", "secrets", "serviceaccounts", "services"],
        OWN,
        "Children of a server, and the Secrets and ConfigMaps that it refers to.",
    ),
    rule(
        CORE,
        &["persistentvolumeclaims"],
        &["get", "list", "watch", "create", "patch"],
        "The volume with the data. It goes by its owner reference, or stays.",
    ),
    rule(
        CORE,
        &["pods"],
        FOLLOW,
        "The status says why pods do not run.",
    ),
    rule(&["apps"], &["deployments"], OWN, "The server's pods."),
    rule(
        &["batch"],
        &["cronjobs"],
        OWN,
        "Garbage collection, and archival of traces.",
    ),
    rule(
        &["batch"],
        &["jobs"],
        JOBS,
        "Migrations. A Job is made and deleted, and never changed.",
    ),
    rule(
        &["networking.k8s.io"],
        &["networkpolicies"],
        OWN,
        "Who may call a server, and what it may call.",
    ),
    rule(
        &["policy"],
        &["poddisruptionbudgets"],
        OWN,
        "Replicas of a server stay through drains.",
    ),
    rule(
        &["gateway.networking.k8s.io"],
        &["httproutes"],
        OWN,
        "The way in through the platform's gateway.",
    ),
    rule(
        &["monitoring.coreos.com"],
        &["servicemonitors"],
        OWN,
        "How Prometheus finds a server's metrics.",
    ),
    rule(
        &["cert-manager.io"],
        &["certificates"],
        OWN,
        "Certificates, where a server asks cert-manager for one.",
    ),
];

/// What the operator needs in the whole cluster.
#[must_use]
pub fn cluster_rules() -> Vec<RbacRule> {
    [
        &ITSELF,
        CLUSTER,
        module::rights::RULES,
        access::rights::RULES,
        PROCESS,
    ]
    .concat()
}

/// What the operator needs in the namespace that MLflows are in.
#[must_use]
pub fn namespace_rules() -> Vec<RbacRule> {
    NAMESPACE.to_vec()
}

/// All that the operator may be given.
#[must_use]
pub fn rights() -> Rights {
    Rights {
        account: ACCOUNT,
        roles: vec![
            RoleFile {
                handed_out: HANDED_OUT.to_vec(),
                ..RoleFile::for_cluster(
                    "config/mlflow-operator/rbac/role.yaml",
                    "manager-role",
                    cluster_rules(),
                )
            },
            RoleFile::for_namespace(
                "config/mlflow-operator/rbac/namespace_role.yaml",
                "manager-role",
                namespace_rules(),
            ),
            RoleFile::for_namespace(
                "config/mlflow-operator/rbac/leader_election_role.yaml",
                "leader-election-role",
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
    access::rights::UNUSED,
    finalizers(&["update mlflows.mlflow.opendatahub.io/finalizers"]),
    SERVES_NOTHING,
];

/// Rights that are used or not, and both are right.
const RACES: &[OnlyWhen] = &[];

#[cfg(test)]
mod tests {
    use api::codegen::HEADER;
    use operator_harness::{environment, kinds_have_their_verbs, rights_are_sound};
    use resources::kind::{JOB, PERSISTENT_VOLUME_CLAIM};

    use super::*;
    use crate::config::Config;
    use crate::module::MLFLOW_OPERATOR;
    use crate::server::{Installation, Server};

    #[test]
    fn every_declared_kind_has_its_verbs() {
        let config = Config::from_lookup(environment(&[("MLFLOW_IMAGE", "i")]));
        let server = Server {
            installation: Installation {
                config: config.unwrap(),
                namespace: "n".to_owned(),
            },
        };
        let special: &[(_, &[&'static str])] = &[
            (
                PERSISTENT_VOLUME_CLAIM,
                &["get", "list", "watch", "create", "patch"],
            ),
            (MLFLOW_OPERATOR, &["get", "list", "watch", "patch"]),
            (JOB, JOBS),
        ];
        let rules = [cluster_rules(), namespace_rules()].concat();
        kinds_have_their_verbs(&server, &rules, special);
    }

    #[test]
    fn rights_have_their_reasons_and_manifests() {
        rights_are_sound(&rights(), HEADER);
    }
}
