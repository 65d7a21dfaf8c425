//! Every child comes back, every field's edit reaches it, and nothing is left in the end.

use std::time::{Duration, Instant};

use cluster::{Platform, api_of, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use operator_harness::SOON;
use resources::{Kind, kind};
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, behind_proxy, postgres, world};

async fn deletion(platform: Platform, name: &str, spec: Value, params: DeleteParams) {
    let world = world(platform, "deletion").await;
    world.registry(name, spec).await;
    world.available(name).await;
    assert!(
        world.traces(name).await.len() > 8,
        "the search finds what is there"
    );
    world
        .api(MODEL_REGISTRY)
        .delete(name, &params)
        .await
        .expect("deleted");
    world.nothing_left(name).await;
}

#[tokio::test]
async fn nothing_is_left_on_kubernetes_in_the_background() {
    let mut spec =
        json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"generateDeployment": true}});
    spec["rest"]["serviceRoute"] = json!("enabled");
    deletion(
        Platform::Kubernetes,
        "left-background",
        spec,
        DeleteParams::background(),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_left_on_kubernetes_in_the_foreground() {
    deletion(
        Platform::Kubernetes,
        "left-foreground",
        behind_proxy(),
        DeleteParams::foreground(),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_left_on_openshift() {
    deletion(
        Platform::OpenShift,
        "left-openshift-back",
        postgres(),
        DeleteParams::background(),
    )
    .await;
    deletion(
        Platform::OpenShift,
        "left-openshift-fore",
        postgres(),
        DeleteParams::foreground(),
    )
    .await;
}

/// A deleted child is back within this time.
const PROMISED: Duration = Duration::from_secs(2);

/// Deletes a child, and says how long it was away and who came back.
async fn time_to_return(
    api: &kube::Api<DynamicObject>,
    kind: Kind,
    child: &str,
    uid: Option<String>,
) -> (Duration, Option<String>) {
    api.delete(child, &DeleteParams::background())
        .await
        .expect("deleted");
    let started = Instant::now();
    let back = eventually(&format!("{kind} {child} is back"), SOON, || async {
        let back = api.get(child).await.map_err(|error| error.to_string())?;
        if back.uid() == uid {
            Err("still the old one".to_owned())
        } else {
            Ok(back.uid())
        }
    })
    .await
    .expect("back");
    (started.elapsed(), back)
}

/// Deletes every object that the operator made, one after the other.
async fn returns(platform: Platform, name: &str, spec: Value, kinds: &[Kind]) {
    let world = world(platform, "children").await;
    world.registry(name, spec).await;
    world.available(name).await;
    let mut deleted = 0;
    for &kind in kinds {
        let api = world.api(kind);
        let list = api.list(&ListParams::default()).await.expect("a list");
        let ours = list.into_iter().filter(|object| {
            let labelled = object
                .labels()
                .get("app")
                .is_some_and(|app| app.starts_with(name));
            let owned = object
                .owner_references()
                .iter()
                .any(|r| r.kind == "ModelRegistry" && r.name == name);
            labelled && object.labels().contains_key("app.kubernetes.io/created-by") || owned
        });
        for object in ours {
            let child = object.name_any();
            let mut gone = object.uid();
            // A busy machine may stumble. Three times in a row it is the operator.
            let mut times = Vec::new();
            while times.iter().all(|took| *took >= PROMISED) && times.len() < 3 {
                let (took, uid) = time_to_return(&api, kind, &child, gone).await;
                times.push(took);
                gone = uid;
            }
            assert!(
                times.iter().any(|took| *took < PROMISED),
                "{kind} {child} took {times:?}"
            );
            deleted += 1;
        }
    }
    assert!(
        deleted >= kinds.len(),
        "every kind had an object: {deleted}"
    );
    world.available(name).await;
}

#[tokio::test]
async fn every_child_comes_back_on_kubernetes() {
    let spec = json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"generateDeployment": true}});
    returns(
        Platform::Kubernetes,
        "returns",
        spec,
        &[
            kind::SERVICE_ACCOUNT,
            kind::SERVICE,
            kind::CONFIG_MAP,
            kind::SECRET,
            kind::ROLE,
            kind::ROLE_BINDING,
            kind::CLUSTER_ROLE_BINDING,
            kind::NETWORK_POLICY,
            kind::DEPLOYMENT,
        ],
    )
    .await;
}

#[tokio::test]
async fn every_child_comes_back_on_openshift() {
    returns(
        Platform::OpenShift,
        "returns-openshift",
        postgres(),
        &[
            kind::SERVICE_ACCOUNT,
            kind::SERVICE,
            kind::CONFIG_MAP,
            kind::ROLE,
            kind::ROLE_BINDING,
            kind::CLUSTER_ROLE_BINDING,
            kind::NETWORK_POLICY,
            kind::DEPLOYMENT,
            kind::ROUTE,
            kind::GROUP,
        ],
    )
    .await;
}

/// Who may use a registry, and what its proxy may ask, is what the operator says.
#[tokio::test]
async fn what_somebody_changes_is_put_back() {
    let world = world(Platform::Kubernetes, "drift").await;
    world.registry("drift", behind_proxy()).await;
    world.available("drift").await;
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/component": "theirs"}}});
    for (kind, name, theirs) in [
        (kind::SERVICE_ACCOUNT, "drift", label),
        (kind::ROLE, "registry-user-drift", json!({"rules": []})),
        (
            kind::ROLE_BINDING,
            "drift-users",
            json!({"subjects": [{"kind": "User", "name": "eve"}]}),
        ),
        (
            kind::CLUSTER_ROLE_BINDING,
            "drift-auth-delegator",
            json!({"subjects": []}),
        ),
    ] {
        let before = world.until(kind, name, |_| true).await;
        world
            .api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(theirs))
            .await
            .expect("patched");
        world
            .until(kind, name, |now| {
                now.metadata.labels == before.metadata.labels && now.data == before.data
            })
            .await;
    }
}

/// A budget is changed in its place, by an edit and after somebody else's.
#[tokio::test]
async fn a_budget_follows_the_spec() {
    let world = world(Platform::Kubernetes, "budget").await;
    let budget =
        |least: i32| json!({"replicas": 3, "podDisruptionBudget": {"minAvailable": least}});
    let mut spec = postgres();
    spec["operand"] = budget(1);
    world.registry("budget", spec).await;
    let says = |least: i32| {
        world.until(kind::POD_DISRUPTION_BUDGET, "budget", move |budget| {
            budget.data["spec"]["minAvailable"] == least
        })
    };
    let made = says(1).await;
    world
        .edit(
            MODEL_REGISTRY,
            "budget",
            json!({"spec": {"operand": budget(2)}}),
        )
        .await;
    let edited = says(2).await;
    assert_eq!(edited.uid(), made.uid());
    let drift = Patch::Merge(json!({"spec": {"minAvailable": 0}}));
    world
        .api(kind::POD_DISRUPTION_BUDGET)
        .patch("budget", &PatchParams::default(), &drift)
        .await
        .expect("patched");
    says(2).await;
}

#[tokio::test]
async fn a_rotated_password_rolls_the_pods_and_an_annotation_does_not() {
    let world = world(Platform::Kubernetes, "rotation").await;
    world.registry("rotation", postgres()).await;
    world.available("rotation").await;
    let before = world.until(kind::DEPLOYMENT, "rotation", |_| true).await;
    world
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": {"a": "b"}}}).to_string())
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let same = world.until(kind::DEPLOYMENT, "rotation", |_| true).await;
    assert_eq!(same.metadata.generation, before.metadata.generation);
    world
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "other-value"}}).to_string())
        .await;
    world
        .until(kind::DEPLOYMENT, "rotation", |d| {
            d.metadata.generation > before.metadata.generation
        })
        .await;
    world.available("rotation").await;
}

#[tokio::test]
async fn a_rotated_generated_password_rolls_the_database_and_the_registry_once() {
    let world = world(Platform::Kubernetes, "generated").await;
    let spec =
        json!({"rest": {}, "authentication": "None", "postgres": {"generateDeployment": true}});
    world.registry("generated", spec).await;
    world.available("generated").await;
    let template = |object: &kube::api::DynamicObject| object.data["spec"]["template"].clone();
    let database = world
        .until(kind::DEPLOYMENT, "generated-postgres", |_| true)
        .await;
    assert!(template(&database)["metadata"].get("annotations").is_none());
    let rotated = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "generated-postgres-credentials"},
        "stringData": {"password": "chosen-by-a-person"}});
    world.apply(&rotated.to_string()).await;
    world
        .until(kind::DEPLOYMENT, "generated-postgres", |d| {
            template(d)["metadata"].get("annotations").is_some()
        })
        .await;
    world.available("generated").await;
    let secret = world
        .until(kind::SECRET, "generated-postgres-credentials", |_| true)
        .await;
    assert_eq!(
        secret.data["data"]["password"], "Y2hvc2VuLWJ5LWEtcGVyc29u",
        "the person's choice stays"
    );
}

#[tokio::test]
async fn a_foreign_object_in_the_way_is_reported_and_untouched() {
    let world = world(Platform::Kubernetes, "in-the-way").await;
    world
        .apply(
            &json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "in-the-way"},
        "spec": {"ports": [{"port": 80}], "selector": {"theirs": "x"}}})
            .to_string(),
        )
        .await;
    world.registry("in-the-way", postgres()).await;
    let condition = world.condition("in-the-way", "Available", "False").await;
    let message = condition["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("Service") && message.contains("in-the-way"),
        "{message}"
    );
    let service = world.until(kind::SERVICE, "in-the-way", |_| true).await;
    assert_eq!(service.data["spec"]["selector"], json!({"theirs": "x"}));
    assert!(service.owner_references().is_empty());
}

#[tokio::test]
async fn the_older_of_two_registries_of_one_name_keeps_it() {
    let first = world(Platform::Kubernetes, "name-a").await;
    let second = world(Platform::Kubernetes, "name-b").await;
    first.registry("same-name", behind_proxy()).await;
    first.available("same-name").await;
    // Creation times have seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    second.registry("same-name", behind_proxy()).await;
    let condition = second.condition("same-name", "Available", "False").await;
    assert_eq!(condition["reason"], "NameConflict");
    assert!(
        second
            .api(kind::DEPLOYMENT)
            .get_opt("same-name")
            .await
            .expect("an answer")
            .is_none()
    );
    let binding = api_of(&first.client, None, kind::CLUSTER_ROLE_BINDING)
        .get("same-name-auth-delegator")
        .await
        .expect("the binding");
    assert_eq!(
        binding.data["subjects"][0]["namespace"],
        json!(first.namespace)
    );
    first
        .api(MODEL_REGISTRY)
        .delete("same-name", &DeleteParams::default())
        .await
        .expect("deleted");
    second.available("same-name").await;
}
