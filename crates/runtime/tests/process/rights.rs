use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::{Api, api::PostParams};
use resources::{Scope, kind::GROUP};
use runtime::permissions::{Permissions, Rule};
use serde_json::json;

use crate::{Account, cluster, numbers};

const VERBS: [&str; 7] = [
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// What the API server itself says about a rule.
async fn allowed(client: &kube::Client, rule: &Rule, namespace: Option<&str>) -> bool {
    let (resource, subresource) = match rule.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (rule.resource, None),
    };
    let review = serde_json::from_value(json!({"spec": {"resourceAttributes": {
        "verb": rule.verb, "group": rule.group, "resource": resource,
        "subresource": subresource, "namespace": namespace,
    }}}))
    .expect("a review");
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api
        .create(&PostParams::default(), &review)
        .await
        .expect("an answer");
    answer.status.is_some_and(|status| status.allowed)
}

#[tokio::test]
async fn the_review_agrees_with_the_authorizer() {
    // A part of the Go operator's role, and the kinds of stars that roles have.
    let account = Account::new("rights", json!([
        {"apiGroups": ["user.openshift.io"], "resources": ["groups"],
         "verbs": ["create", "delete", "get", "list", "update", "watch"]},
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["modelregistry.opendatahub.io"], "resources": ["modelregistries/status"],
         "verbs": ["get", "patch", "update"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]},
    ]))
    .await;
    // Rights in its own namespace are not rights in the cluster.
    let admin = cluster().client().expect("a client");
    for object in [
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "leader"},
               "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
                         {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterrolebindings"], "verbs": ["*"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "leader"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "leader"},
               "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": account.namespace}]}),
    ] {
        cluster::apply_yaml(&admin, &account.namespace, &object.to_string())
            .await
            .expect("rights");
    }
    let client = account.client(&numbers());
    let permissions = Permissions::load(&client, &[]).await.expect("a review");
    let own = [account.namespace.clone()];
    let at_home = Permissions::load(&client, &own).await.expect("a review");
    for (scope, group, resource) in [
        (Scope::Cluster, "user.openshift.io", "groups"),
        // The Role's rule for it is listed and not heeded.
        (
            Scope::Cluster,
            "rbac.authorization.k8s.io",
            "clusterrolebindings",
        ),
        (Scope::Namespaced, "", "pods"),
        (Scope::Namespaced, "", "pods/log"),
        (Scope::Namespaced, "", "pods/exec"),
        (Scope::Namespaced, "", "secrets"),
        (Scope::Namespaced, "", "configmaps"),
        (
            Scope::Namespaced,
            "modelregistry.opendatahub.io",
            "modelregistries",
        ),
        (
            Scope::Namespaced,
            "modelregistry.opendatahub.io",
            "modelregistries/status",
        ),
        (Scope::Namespaced, "apps", "deployments"),
        (Scope::Namespaced, "apps", "deployments/scale"),
        (Scope::Namespaced, "batch", "jobs/status"),
    ] {
        for verb in VERBS {
            let rule = Rule {
                verb,
                group,
                resource,
                scope,
                name: "",
            };
            assert_eq!(
                permissions.allows(&rule),
                allowed(&client, &rule, None).await,
                "{rule}"
            );
            let namespace = match scope {
                Scope::Namespaced => Some(account.namespace.as_str()),
                Scope::Cluster => None,
            };
            let here = allowed(&client, &rule, namespace).await;
            assert_eq!(at_home.allows(&rule), here, "{rule} in its namespace");
        }
    }
    let needed = [Rule::on("update", GROUP), Rule::on("patch", GROUP)];
    assert_eq!(
        permissions.missing(&needed, &[]),
        ["patch groups.user.openshift.io"]
    );
}
