//! Taking over from the Go operator: what it was recorded to make is there first. Where the
//! recordings are missing, one line says so.

use cluster::{Platform, api_of};
use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};
use operator_harness::recorded::{self, read};
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, ROUTE, SERVICE,
    SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use resources::{Kind, Scope};
use serde_json::{Value, json};

use crate::harness::{SOON, TRUSTYAI, World, world};

/// Field manager of the Go operator.
const GO: &str = "manager";
const PAUSE: &str = "trustyai.opendatahub.io/reconcile";
const REVISION: &str = "deployment.kubernetes.io/revision";

const KINDS: &[Kind] = &[
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    ROUTE,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
];

/// What the Go operator sent, with the names of this run.
fn sent(world: &World, case: &str, object: &Value, owner: &str) -> Value {
    let text = recorded::sent(object, owner).to_string();
    let text = text.replace(&format!("tas-{case}"), &world.namespace);
    serde_json::from_str(&text).expect("JSON")
}

async fn create(world: &World, kind: Kind, object: &Value) -> DynamicObject {
    let namespace = (kind.scope == Scope::Namespaced).then_some(world.namespace.as_str());
    let by_go = PostParams {
        field_manager: Some(GO.to_owned()),
        ..PostParams::default()
    };
    let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let api = api_of(&world.client, namespace, kind);
    api.create(&by_go, &object).await.expect("created")
}

#[tokio::test]
async fn objects_of_the_go_operator_are_taken_over_with_one_rolling_update() {
    let Some(root) = recorded::folder("trustyai") else {
        return;
    };
    for case in ["pvc", "db-mariadb", "migration"] {
        let folder = root.join("openshift").join(case);
        let world = world(Platform::OpenShift, "takeover").await;
        let (mut resource, mut documents) = recorded::resource(&folder);
        for document in &mut documents {
            document["metadata"]
                .as_object_mut()
                .expect("metadata")
                .remove("namespace");
            world.apply(document).await;
        }
        // It stands still until everything is there.
        resource["metadata"] = json!({"name": "trustyai-service", "annotations": {PAUSE: "paused"},
            "finalizers": ["trustyai.opendatahub.io/finalizer"]});
        world.apply(&resource).await;
        let services = world.api(TRUSTYAI);
        let owner = services
            .get("trustyai-service")
            .await
            .expect("it")
            .uid()
            .expect("a uid");
        let mut made = Vec::new();
        for object in read(&folder.join("objects.yaml")) {
            let kind = KINDS.iter().find(|kind| object["kind"] == kind.kind);
            let kind = *kind.expect("a kind that is known");
            let object = sent(&world, case, &object, &owner);
            made.push((kind, create(&world, kind, &object).await));
        }
        let ready = cluster::available(&world.client, &world.namespace, "trustyai-service", SOON);
        ready.await.expect("the Go operator's pods run");
        world
            .edit(
                TRUSTYAI,
                "trustyai-service",
                json!({"metadata": {"annotations": {PAUSE: null}}}),
            )
            .await;
        world
            .until(DEPLOYMENT, "trustyai-service", |now| {
                now.annotations()
                    .get(REVISION)
                    .is_some_and(|revision| revision != "1")
            })
            .await;
        world.ready("trustyai-service").await;
        for (kind, before) in made {
            let namespace = (kind.scope == Scope::Namespaced).then_some(world.namespace.as_str());
            let api = api_of(&world.client, namespace, kind);
            let name = before.name_any();
            let now = api.get(&name).await.expect("it is there");
            assert_eq!(
                now.uid(),
                before.uid(),
                "{case}: {kind} {name} is another object"
            );
            let theirs = now
                .managed_fields()
                .iter()
                .any(|entry| entry.manager.as_deref() == Some(GO) && entry.subresource.is_none());
            assert!(
                !theirs,
                "{case}: {kind} {name} has fields of the Go operator"
            );
            match kind {
                DEPLOYMENT => {
                    assert_eq!(
                        now.data["spec"]["selector"],
                        before.data["spec"]["selector"]
                    );
                    let revision = now.annotations().get(REVISION).map(String::as_str);
                    assert_eq!(revision, Some("2"), "{case}: one rolling update");
                }
                CLUSTER_ROLE_BINDING => assert!(now.owner_references().is_empty(), "{case}"),
                _ => {}
            }
        }
    }
}
