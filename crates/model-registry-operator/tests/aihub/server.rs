//! On real API servers, plain Kubernetes and the stand-in for OpenShift.

use std::time::{Duration, Instant};

use cluster::{Platform, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use model_registry_operator::aihub::{CATALOG, TEMPLATE};
use operator_harness::{at_rest, has_read};
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEFINITION, DEPLOYMENT, MUTATING_WEBHOOKS,
    NAMESPACE, NETWORK_POLICY, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT, VALIDATING_WEBHOOKS,
};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, APPLICATION, COLLECTED, HUB, INSTANCES, World};

const DEPLOYED: &[Kind] = &[
    SERVICE_ACCOUNT,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    SERVICE,
    DEPLOYMENT,
    NETWORK_POLICY,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
];
/// What a hub that starts reads, of what it made: the Deployments it has applied.
const READ_ANEW: &[Kind] = &[
    SERVICE_ACCOUNT,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    SERVICE,
    NETWORK_POLICY,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    DEFINITION,
    CATALOG,
];
const REGISTRY_OPERATOR: &str = "model-registry-operator-controller-manager";
const REGISTRIES: &str = "modelregistries.modelregistry.opendatahub.io";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_lives_on_kubernetes() {
    let mut world = World::start(Platform::Kubernetes).await;
    world.sample().await;
    let catalog_operator = world.catalog_operator().await;
    is_ready(&world).await;
    every_child_returns(&world).await;
    drift_is_repaired_and_what_people_adjust_stays(&world).await;
    edits_reach_the_operators(&world).await;
    at_rest(&world.cluster, ACCOUNT).await;
    world.stop();
    let versions = versions(&world).await;
    let mark = world.cluster.audit_mark().await.unwrap();
    world.run();
    has_read(&world.cluster, mark, ACCOUNT, READ_ANEW).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        self::versions(&world).await,
        versions,
        "a restart writes nothing"
    );
    leaves_nothing_in_the_way(&world).await;
    catalog_operator.stop();
    world.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_lives_on_openshift() {
    let mut world = World::start(Platform::OpenShift).await;
    a_template_of_somebody_else(&world).await;
    world.sample().await;
    let catalog_operator = world.catalog_operator().await;
    it_is_left_alone_until_it_is_handed_over(&world).await;
    is_ready(&world).await;
    templates_are_kept(&world).await;
    leaves_nothing_in_the_way(&world).await;
    catalog_operator.stop();
    world.stop();
}

const UPLOADS: &str = "jobs-async-upload-s3-to-oci-template";

async fn a_template_of_somebody_else(world: &World) {
    let client = world.cluster.client().unwrap();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}});
    let template = json!({"apiVersion": TEMPLATE.api_version(), "kind": "Template",
        "metadata": {"name": UPLOADS}, "objects": [], "parameters": []});
    for object in [namespace, template] {
        cluster::apply_yaml(&client, APPLICATION, &object.to_string())
            .await
            .unwrap();
    }
}

/// The condition names it, and an event does.
async fn it_is_left_alone_until_it_is_handed_over(world: &World) {
    world
        .until(HUB, None, "default-aihub", |hub| {
            let conditions = hub.and_then(|hub| hub.data["status"]["conditions"].as_array());
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "ProvisioningSucceeded"
                    && condition["status"] == "False"
                    && condition["message"]
                        .as_str()
                        .is_some_and(|message| message.contains(UPLOADS))
            })
        })
        .await;
    world.event(UPLOADS).await;
    let templates = world.api(TEMPLATE, Some(APPLICATION));
    let foreign = templates.get(UPLOADS).await.unwrap();
    assert_eq!(foreign.data["objects"], json!([]));
    let label = json!({"metadata": {"labels": {"platform.opendatahub.io/part-of": "aihub"}}});
    templates
        .patch(UPLOADS, &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    world.condition("ProvisioningSucceeded", "True").await;
}

/// What they hold comes from the program; one that is not among them any more goes.
async fn templates_are_kept(world: &World) {
    let has_the_image = |template: Option<&DynamicObject>| {
        template.is_some_and(|template| {
            template.owner_references().len() == 1
                && template.data["parameters"][0]
                    == json!({"name": "JOB_IMAGE", "description": "Image of the upload job",
                        "required": true, "value": "example.test/upload:1"})
        })
    };
    let kept = async || {
        world
            .until(TEMPLATE, Some(APPLICATION), UPLOADS, has_the_image)
            .await;
    };
    kept().await;
    let templates = world.api(TEMPLATE, Some(APPLICATION));
    let drift = json!({"parameters": []});
    templates
        .patch(UPLOADS, &PatchParams::default(), &Patch::Merge(drift))
        .await
        .unwrap();
    kept().await;
    templates
        .delete(UPLOADS, &DeleteParams::background())
        .await
        .unwrap();
    kept().await;
    let old = json!({"apiVersion": TEMPLATE.api_version(), "kind": "Template", "objects": [],
        "metadata": {"name": "of-old", "labels": {"platform.opendatahub.io/part-of": "aihub"}}});
    let client = world.cluster.client().unwrap();
    cluster::apply_yaml(&client, APPLICATION, &old.to_string())
        .await
        .unwrap();
    world
        .until(TEMPLATE, Some(APPLICATION), "of-old", |old| old.is_none())
        .await;
}

/// The operators run, and the catalog is Available by the rights that the hub gave its operator.
async fn is_ready(world: &World) {
    let told = world.condition("Ready", "True").await;
    assert_eq!(told["phase"], "Ready");
    let degraded = told["conditions"].as_array().unwrap();
    let degraded = degraded.iter().find(|c| c["type"] == "Degraded").unwrap();
    assert_eq!(degraded["reason"], "GatewayDomainUnavailable");
    assert_eq!(
        degraded["severity"], "Info",
        "no error, and Ready all the same"
    );
    assert_eq!(told["conditions"].as_array().unwrap().len(), 5, "{told}");
    for name in [REGISTRY_OPERATOR, "catalog-controller-manager"] {
        let live = world
            .api(DEPLOYMENT, Some(APPLICATION))
            .get(name)
            .await
            .unwrap();
        let manager = &live.data["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(manager["image"], "example.test/operator:1");
        let env = manager["env"].as_array().unwrap();
        let namespace = env
            .iter()
            .find(|v| v["name"] == "REGISTRIES_NAMESPACE")
            .unwrap();
        assert_eq!(namespace["value"], INSTANCES);
    }
    world
        .until(CATALOG, Some(INSTANCES), "catalog", |catalog| {
            let conditions = catalog.and_then(|c| c.data["status"]["conditions"].as_array());
            conditions
                .into_iter()
                .flatten()
                .any(|condition| condition["type"] == "Available" && condition["status"] == "True")
        })
        .await;
    // The deployed admission is asked, and answers.
    let other = json!({"apiVersion": "aihub.opendatahub.io/v1alpha1", "kind": "Catalog", "metadata": {"name": "other"}});
    let other = serde_json::from_value(other).unwrap();
    let refused = world
        .api(CATALOG, Some(INSTANCES))
        .create(&kube::api::PostParams::default(), &other)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("catalog resource name must be 'catalog'"),
        "{refused}"
    );
}

async fn every_child_returns(world: &World) {
    for (kind, object) in world.deployed(DEPLOYED).await {
        let (name, namespace) = (object.name_any(), object.namespace());
        // A token dies with its account, and a test has no kubelet that fetches another.
        let has_token = kind == SERVICE_ACCOUNT && name == "catalog-controller-manager";
        // These are led elsewhere, and left alone.
        if has_token || object.annotations().contains_key("opendatahub.io/managed") {
            continue;
        }
        let api = world.api(kind, namespace.as_deref());
        api.delete(&name, &DeleteParams::background())
            .await
            .unwrap();
        let started = Instant::now();
        world
            .until(kind, namespace.as_deref(), &name, |back| {
                back.is_some_and(|back| back.uid() != object.uid())
            })
            .await;
        let took = started.elapsed();
        assert!(took < Duration::from_secs(10), "{kind} {name}: {took:?}");
    }
    world.condition("Ready", "True").await;
}

async fn drift_is_repaired_and_what_people_adjust_stays(world: &World) {
    let merge = async |kind: Kind, namespace: Option<&str>, name: &str, patch: Value| {
        let api = world.api(kind, namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    };
    merge(
        CLUSTER_ROLE,
        None,
        "catalog-manager-role",
        json!({"rules": []}),
    )
    .await;
    world
        .until(CLUSTER_ROLE, None, "catalog-manager-role", |role| {
            role.is_some_and(|role| role.data["rules"].as_array().is_some_and(|r| r.len() > 10))
        })
        .await;
    merge(
        DEPLOYMENT,
        Some(APPLICATION),
        REGISTRY_OPERATOR,
        json!({"spec": {"replicas": 2}}),
    )
    .await;
    let api = world.api(DEPLOYMENT, Some(APPLICATION));
    let memory = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "777Mi"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.test/wrong:1"}]);
    let memory: json_patch::Patch = serde_json::from_value(memory).unwrap();
    api.patch(
        REGISTRY_OPERATOR,
        &PatchParams::default(),
        &Patch::<()>::Json(memory),
    )
    .await
    .unwrap();
    let manager = |live: &Value| live["spec"]["template"]["spec"]["containers"][0].clone();
    let live = world
        .until(DEPLOYMENT, Some(APPLICATION), REGISTRY_OPERATOR, |live| {
            live.is_some_and(|live| manager(&live.data)["image"] == "example.test/operator:1")
        })
        .await
        .unwrap();
    assert_eq!(
        manager(&live.data)["resources"]["limits"]["memory"],
        "777Mi"
    );
    assert_eq!(live.data["spec"]["replicas"], 2);
    world.condition("Ready", "True").await;
}

async fn edits_reach_the_operators(world: &World) {
    let edit = json!({"spec": {"gateway": {"domain": "gw.example.test"}}});
    world
        .api(HUB, None)
        .patch(
            "default-aihub",
            &PatchParams::default(),
            &Patch::Merge(edit),
        )
        .await
        .unwrap();
    world.condition("Degraded", "False").await;
    let live = world
        .api(DEPLOYMENT, Some(APPLICATION))
        .get(REGISTRY_OPERATOR)
        .await
        .unwrap();
    assert!(live.data["spec"].to_string().contains("gw.example.test"));
    let version = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odh-modelregistry-config"},
        "data": {"platformVersion": "9.9.9"}});
    let version = serde_json::from_value(version).unwrap();
    let maps = world.api(CONFIG_MAP, Some(APPLICATION));
    maps.create(&kube::api::PostParams::default(), &version)
        .await
        .unwrap();
    eventually("the platform's version", COLLECTED, || async {
        let hub = world.api(HUB, None).get("default-aihub").await.unwrap();
        let releases = &hub.data["status"]["releases"];
        if releases[1] == json!({"name": "platform", "version": "9.9.9"}) {
            Ok(())
        } else {
            Err(releases.to_string())
        }
    })
    .await
    .unwrap();
    world.condition("Ready", "True").await;
}

async fn versions(world: &World) -> Vec<(String, Option<String>)> {
    let mut kinds = DEPLOYED.to_vec();
    kinds.push(CATALOG);
    let deployed = world.deployed(&kinds).await.into_iter();
    let mut all: Vec<_> = deployed
        .map(|(kind, o)| (format!("{kind} {}", o.name_any()), o.resource_version()))
        .collect();
    let definition = world.api(DEFINITION, None).get(REGISTRIES).await.unwrap();
    all.push((REGISTRIES.to_owned(), definition.resource_version()));
    all
}

/// The catalog goes first, while its operator runs; what stays is what holds data, and nothing
/// that keeps people from writing registries.
async fn leaves_nothing_in_the_way(world: &World) {
    world
        .api(HUB, None)
        .delete("default-aihub", &DeleteParams::background())
        .await
        .unwrap();
    world
        .until(HUB, None, "default-aihub", |hub| hub.is_none())
        .await;
    assert!(
        world
            .api(CATALOG, Some(INSTANCES))
            .get_opt("catalog")
            .await
            .unwrap()
            .is_none()
    );
    let delegator = world.api(CLUSTER_ROLE_BINDING, None);
    let delegator = delegator
        .get_opt("model-catalog-auth-delegator")
        .await
        .unwrap();
    assert!(delegator.is_none(), "its operator was there to the end");
    eventually("nothing is left", COLLECTED, || async {
        let left = world.deployed(DEPLOYED).await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "{:?}",
                left.iter().map(|(_, o)| o.name_any()).collect::<Vec<_>>()
            ))
        }
    })
    .await
    .unwrap();
    for name in [APPLICATION, INSTANCES] {
        let namespace = world.api(NAMESPACE, None).get(name).await.unwrap();
        assert_eq!(namespace.metadata.deletion_timestamp, None, "{name}");
    }
    let definition = world.api(DEFINITION, None).get(REGISTRIES).await.unwrap();
    assert_eq!(
        definition.data["spec"]["conversion"],
        json!({"strategy": "None"})
    );
    let registry = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
        "metadata": {"name": "after"}, "spec": {"rest": {}, "postgres": {"generateDeployment": true}}});
    cluster::apply_yaml(
        &world.cluster.client().unwrap(),
        INSTANCES,
        &registry.to_string(),
    )
    .await
    .unwrap();
}
