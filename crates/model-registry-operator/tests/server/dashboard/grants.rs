//! Who may use a registry: the dashboard binds people to Role `registry-user-NAME`.

use cluster::{Platform, api_of, eventually};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
};
use operator_harness::COLLECTED;
use resources::kind::{ROLE, ROLE_BINDING};
use serde_json::{Value, json};

use super::Settings;
use crate::harness::MODEL_REGISTRY;

const DEFAULT: &str = "{\"postgres\": {\"generateDeployment\": true}, \"mysql\": null}";

/// One binding per subject, as the permissions page makes it.
fn binding(registry: &str, uid: &str, role: &str, subject: &Value, project: bool) -> Value {
    let mut labels = json!({
        "opendatahub.io/dashboard": "true", "app": registry, "app.kubernetes.io/name": registry,
        "app.kubernetes.io/component": "model-registry", "app.kubernetes.io/part-of": "model-registry",
        "component": "model-registry",
    });
    if project {
        labels["opendatahub.io/rb-project-subject"] = json!("true");
    }
    json!({
        "metadata": {"generateName": "dashboard-permissions-", "labels": labels, "ownerReferences": [{
            "apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry", "name": registry,
            "uid": uid, "blockOwnerDeletion": false}]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [subject],
    })
}

fn subject(kind: &str, name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
}

/// What a person's own token lets them do to the registry's Service: the proxy asks the same.
async fn may_get(settings: &Settings, registry: &str, user: &str, groups: &[&str]) -> bool {
    use k8s_openapi::api::authorization::v1::SubjectAccessReview;
    let review = json!({"spec": {"user": user, "groups": groups, "resourceAttributes": {"verb": "get", "version": "v1",
        "resource": "services", "namespace": settings.world.namespace, "name": registry}}});
    let review: SubjectAccessReview = serde_json::from_value(review).expect("a review");
    let api: Api<SubjectAccessReview> = Api::all(settings.world.client.clone());
    api.create(&PostParams::default(), &review)
        .await
        .expect("an answer")
        .status
        .is_some_and(|s| s.allowed)
}

async fn page(platform: Platform, name: &str) {
    let settings = Settings::new(platform).await;
    settings
        .registry(name, serde_json::from_str(DEFAULT).expect("JSON"))
        .await;
    let registry = settings.world.available(name).await;
    let uid = registry.uid().unwrap_or_default();
    let role = format!("registry-user-{name}");

    // The page opens when a binding carries the registry's labels: the operator's own does.
    let list = ListParams::default().labels("component=model-registry");
    let found = settings
        .api(ROLE_BINDING)
        .list(&list)
        .await
        .expect("a list");
    let of_registry: Vec<_> = found
        .iter()
        .filter(|b| {
            b.labels()
                .get("app.kubernetes.io/name")
                .is_some_and(|n| n == name)
        })
        .collect();
    let names: Vec<_> = of_registry.iter().map(|b| b.name_any()).collect();
    assert_eq!(names, [format!("{name}-users")]);
    assert_eq!(
        of_registry[0].data["subjects"][0],
        subject("Group", &format!("{name}-users"))
    );
    assert_eq!(of_registry[0].data["roleRef"]["name"], json!(role));

    // Exactly two rules, with names: one more and the dashboard may not hand them out.
    let live = settings.api(ROLE).get(&role).await.expect("the Role");
    assert_eq!(
        live.data["rules"],
        json!([
            {"apiGroups": [""], "resources": ["services"], "resourceNames": [name], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["endpoints"], "resourceNames": [name], "verbs": ["get"]},
        ])
    );
    let shown = live
        .annotations()
        .get("openshift.io/display-name")
        .map(String::as_str);
    assert_eq!(shown, Some(format!("Registry User {name}").as_str()));

    // The server checks for escalation: a Role with more cannot be handed out.
    settings
        .world
        .apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "more"},
            "rules": [{"apiGroups": [""], "resources": ["services"], "resourceNames": [name], "verbs": ["get", "update"]}]}).to_string())
        .await;
    let mut refused = binding(name, &uid, "more", &subject("User", "eve"), false);
    refused["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    refused["kind"] = json!("RoleBinding");
    let refused = serde_json::from_value(refused).expect("a binding");
    let error = settings
        .api(ROLE_BINDING)
        .create(&PostParams::default(), &refused)
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 403),
        "{error}"
    );

    // A user, a group, a project.
    let ann = settings
        .create(
            ROLE_BINDING,
            binding(name, &uid, &role, &subject("User", "ann"), false),
        )
        .await;
    settings
        .create(
            ROLE_BINDING,
            binding(name, &uid, &role, &subject("Group", "data"), false),
        )
        .await;
    settings
        .create(
            ROLE_BINDING,
            binding(
                name,
                &uid,
                &role,
                &subject("Group", "system:serviceaccounts:ds1"),
                true,
            ),
        )
        .await;
    assert!(may_get(&settings, name, "ann", &[]).await);
    assert!(may_get(&settings, name, "bob", &["data"]).await);
    assert!(
        may_get(
            &settings,
            name,
            "system:serviceaccount:ds1:default",
            &["system:serviceaccounts:ds1"]
        )
        .await
    );
    assert!(!may_get(&settings, name, "bob", &[]).await);

    // An edit is a JSON patch of the subjects, with the rights of the signed-in administrator.
    let change = json!([{"op": "replace", "path": "/subjects", "value": [subject("User", "bob")]}])
        .to_string();
    for dry_run in ["server", "none"] {
        let dry_run = format!("--dry-run={dry_run}");
        let words = [
            "patch",
            "rolebinding",
            &ann.name_any(),
            "-n",
            &settings.world.namespace,
            "--type=json",
            "-p",
            &change,
            &dry_run,
        ];
        settings
            .world
            .cluster
            .kubectl(&words)
            .await
            .expect("patched");
    }
    assert!(may_get(&settings, name, "bob", &[]).await);
    eventually("ann is out", operator_harness::SOON, || async {
        if may_get(&settings, name, "ann", &[]).await {
            Err("not yet".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .expect("out");

    // The operator leaves the dashboard's bindings alone, and they go with the registry.
    settings
        .world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"operand": {"annotations": {"example.test/a": "b"}}}}),
        )
        .await;
    settings.world.available(name).await;
    let all = settings
        .api(ROLE_BINDING)
        .list(&list)
        .await
        .expect("a list");
    assert_eq!(all.items.len(), 4, "{all:?}");
    settings
        .api(MODEL_REGISTRY)
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the bindings are gone", COLLECTED, || async {
        let left = settings
            .api(ROLE_BINDING)
            .list(&list)
            .await
            .map_err(|e| e.to_string())?;
        if left.items.is_empty() {
            Ok(())
        } else {
            Err(format!("{} left", left.items.len()))
        }
    })
    .await
    .expect("gone");
}

#[tokio::test]
async fn the_permissions_page_on_kubernetes() {
    page(Platform::Kubernetes, "dash-grants").await;
}

#[tokio::test]
async fn the_permissions_page_on_openshift() {
    page(Platform::OpenShift, "dash-grants-os").await;
}

/// A user of the registry, with their own rights alone.
pub(super) async fn user_of(settings: &Settings, registry: &str, user: &str) -> Client {
    let uid = settings
        .api(MODEL_REGISTRY)
        .get(registry)
        .await
        .expect("the registry")
        .uid()
        .unwrap_or_default();
    let role = format!("registry-user-{registry}");
    settings
        .create(
            ROLE_BINDING,
            binding(registry, &uid, &role, &subject("User", user), false),
        )
        .await;
    let mut config = settings.world.cluster.config();
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).expect("a client")
}

/// Access by method does not change what is handed out.
#[tokio::test]
async fn the_role_is_the_same_with_access_by_method() {
    let settings = Settings::new(Platform::Kubernetes).await;
    let name = "dash-method";
    settings
        .registry(name, serde_json::from_str(DEFAULT).expect("JSON"))
        .await;
    settings
        .world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"kubeRBACProxy": {"authorization": "ByMethod"}}}),
        )
        .await;
    settings.world.available(name).await;
    let client = user_of(&settings, name, "mia").await;
    let service = api_of(
        &client,
        Some(&settings.world.namespace),
        resources::kind::SERVICE,
    )
    .get(name)
    .await;
    assert!(service.is_ok(), "{service:?}");
}
