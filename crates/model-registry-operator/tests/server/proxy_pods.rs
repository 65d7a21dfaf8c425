//! Pods as a kubelet tells of them, and what `KubeRBACProxyAvailable` makes of it.

use cluster::{Platform, conditions, eventually};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use operator_harness::SOON;
use resources::kind::POD;
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, World, behind_proxy, world};

/// A container's status.
fn container(name: &str, ready: bool, state: &Value) -> Value {
    json!({"name": name, "ready": ready, "image": "image", "imageID": "", "restartCount": 0, "state": state})
}

fn running(name: &str) -> Value {
    container(name, true, &json!({"running": {}}))
}

fn waiting(name: &str, reason: &str) -> Value {
    container(name, false, &json!({"waiting": {"reason": reason}}))
}

const REST: &str = "rest-container";
const PROXY: &str = "kube-rbac-proxy";

/// Says what a kubelet would say of a pod's containers.
async fn tell(world: &World, pod: &str, statuses: &[Value]) {
    let ready = !statuses.is_empty() && statuses.iter().all(|status| status["ready"] == true);
    let told = json!({"status": {"phase": "Running", "containerStatuses": statuses,
        "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}});
    world
        .api(POD)
        .patch_status(pod, &PatchParams::default(), &Patch::Merge(told))
        .await
        .expect("told");
}

/// A pod beside those of the Deployment, which no scheduler takes.
async fn stray(world: &World, registry: &str, name: &str, containers: &[&str], statuses: &[Value]) {
    let listed: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name, "image": "image"}))
        .collect();
    world
        .apply(
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name,
                "labels": {"app": registry, "component": "model-registry", "app.kubernetes.io/name": registry}},
                "spec": {"schedulerName": "nobody", "containers": listed}})
            .to_string(),
        )
        .await;
    tell(world, name, statuses).await;
}

/// The pod that the Deployment has: ready, and not on its way out.
async fn own(world: &World, registry: &str) -> DynamicObject {
    let list = ListParams::default().labels(&format!("app={registry},pod-template-hash"));
    eventually("a pod", SOON, || async {
        let found = world.api(POD).list(&list).await;
        let found = found.map_err(|error| error.to_string())?;
        let is_ready = |pod: &DynamicObject| {
            conditions(&pod.data).any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        let mut there = found
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_ready(pod));
        there.next().ok_or_else(|| "none".to_owned())
    })
    .await
    .expect("a pod")
}

/// What the condition says, as soon as it says it.
async fn says(world: &World, registry: &str, status: &str, text: &str) {
    let what = format!("KubeRBACProxyAvailable={status} with {text:?}");
    eventually(&what, SOON, || async {
        let found = world
            .api(crate::harness::MODEL_REGISTRY)
            .get(registry)
            .await
            .map_err(|error| error.to_string())?;
        let told = conditions(&found.data)
            .find(|c| c["type"] == "KubeRBACProxyAvailable")
            .cloned()
            .unwrap_or_default();
        let message = told["message"].as_str().unwrap_or_default();
        if told["status"] == status && message.contains(text) {
            Ok(())
        } else {
            Err(found.data["status"]["conditions"].to_string())
        }
    })
    .await
    .expect("the condition");
}

#[tokio::test]
async fn the_proxy_is_available_while_one_pod_has_both_containers_ready() {
    let name = "proxy-pods";
    let world = world(Platform::Kubernetes, name).await;
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    says(
        &world,
        name,
        "True",
        "kube-rbac-proxy was successfully created",
    )
    .await;
    let pod = own(&world, name).await.name_any();
    let ready = [running(REST), running(PROXY)];

    // Each of these takes it away, and with the containers it comes back: nothing stale stays.
    for (statuses, text) in [
        (
            vec![running(REST), waiting(PROXY, "ContainerCreating")],
            "ContainerCreating",
        ),
        (
            vec![running(REST), waiting(PROXY, "CrashLoopBackOff")],
            "kube-rbac-proxy: {waiting: {reason: CrashLoopBackOff",
        ),
        (
            vec![waiting(REST, "ErrImagePull"), running(PROXY)],
            "rest-container: {waiting: {reason: ErrImagePull",
        ),
        (Vec::new(), "ContainerCreating"),
    ] {
        tell(&world, &pod, &statuses).await;
        says(&world, name, "False", text).await;
        world.condition(name, "Available", "False").await;
        tell(&world, &pod, &ready).await;
        says(&world, name, "True", "").await;
    }

    // Others that do not serve the proxy take nothing from the one that does.
    let crashing = [running(REST), waiting(PROXY, "CrashLoopBackOff")];
    stray(&world, name, "stray-1", &[REST, PROXY], &crashing).await;
    stray(&world, name, "stray-2", &[REST], &[running(REST)]).await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"metadata": {"labels": {"seen": "yes"}}, "spec": {"operand": {"labels": {}}}}),
        )
        .await;
    world.condition(name, "Available", "True").await;
    says(&world, name, "True", "").await;
    // Without it, none is left.
    tell(&world, &pod, &crashing).await;
    says(&world, name, "False", "CrashLoopBackOff").await;
    tell(&world, &pod, &ready).await;
    says(&world, name, "True", "").await;
}

/// As in a rolling update: the old pod still runs and does not count, the new one does.
#[tokio::test]
async fn a_pod_on_its_way_out_does_not_count() {
    let name = "proxy-leaving";
    let world = world(Platform::Kubernetes, name).await;
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let leaving = own(&world, name).await.name_any();
    let pods = world.api(POD);
    let keep = json!({"metadata": {"finalizers": ["example.test/kept"]}});
    pods.patch(&leaving, &PatchParams::default(), &Patch::Merge(keep))
        .await
        .expect("kept");
    let later = DeleteParams::default().grace_period(300);
    pods.delete(&leaving, &later).await.expect("on its way out");
    let next = own(&world, name).await.name_any();
    assert_ne!(next, leaving);
    says(&world, name, "True", "").await;

    // The old one's containers are still ready; the new one's are not.
    let starting = [running(REST), waiting(PROXY, "CrashLoopBackOff")];
    tell(&world, &next, &starting).await;
    says(&world, name, "False", "CrashLoopBackOff").await;
    tell(&world, &next, &[running(REST), running(PROXY)]).await;
    says(&world, name, "True", "").await;
    let free = json!({"metadata": {"finalizers": null}});
    pods.patch(&leaving, &PatchParams::default(), &Patch::Merge(free))
        .await
        .expect("freed");
}
