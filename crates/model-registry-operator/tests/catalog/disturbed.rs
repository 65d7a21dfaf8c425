//! Edits, and an API server that answers with errors: what is told meanwhile, and how it ends.

use std::time::Duration;

use cluster::{Platform, eventually, read_config};
use http::Method;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use operator_harness::wire::Wire;
use resources::kind::{CONFIG_MAP, DEPLOYMENT};
use serde_json::{Value, json};

use crate::server::{CATALOG, EVERYWHERE, SOON, World};

/// What a condition says, of whatever generation.
async fn says(world: &World, type_: &str, status: &str, text: &str) -> Value {
    let what = format!("{type_}={status}: {text}");
    eventually(&what, Duration::from_mins(1), || async {
        let catalog = world.api(CATALOG).get("catalog").await;
        let told = catalog.map_err(|error| error.to_string())?.data["status"].clone();
        let all = told["conditions"].as_array();
        let found = all.into_iter().flatten().any(|one| {
            one["type"] == type_
                && one["status"] == status
                && one["message"].as_str().unwrap_or_default().contains(text)
        });
        found.then(|| told.clone()).ok_or(told.to_string())
    })
    .await
    .unwrap()
}

async fn edit(world: &World, spec: Value) {
    world
        .api(CATALOG)
        .patch(
            "catalog",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": spec})),
        )
        .await
        .unwrap();
}

/// A catalog whose operator speaks to the server through a wire.
async fn disturbed() -> (World, Wire) {
    let mut world = World::start(Platform::Kubernetes, &[]).await;
    let config = read_config(&world.kubeconfig).await.unwrap();
    let wire = Wire::open(Client::try_from(config).unwrap()).await;
    world.stop();
    world.kubeconfig = wire.kubeconfig().to_owned();
    world.run();
    (world, wire)
}

/// One cluster for all of it: each costs a control plane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_outlives_edits_and_errors() {
    let (world, wire) = disturbed().await;
    errors_of_the_server_are_told_and_outlived(&world, &wire).await;
    edits_reach_the_pods_while_old_ones_serve(&world).await;
    errors_now_and_then_keep_nothing_from_its_end(&world, &wire).await;
}

async fn errors_of_the_server_are_told_and_outlived(world: &World, wire: &Wire) {
    // What cannot be made is named, with the server's sentence.
    wire.refuse(Some(|_, method, path| {
        *method == Method::POST && path.ends_with("/deployments")
    }));
    world.sample().await;
    says(world, "Available", "False", "the disk is full").await;
    wire.refuse(None);
    world.available("True").await;

    // What cannot be read is named, and nothing is made by guess.
    let refusals = wire.refusals();
    wire.refuse(Some(|_, method, path| {
        *method == Method::GET && path.ends_with("/configmaps/model-catalog-sources")
    }));
    let mine = json!({"data": {"sources.yaml": "catalogs: [{id: default_catalog}, {id: mine}]"}});
    world
        .api(CONFIG_MAP)
        .patch(
            "model-catalog-sources",
            &PatchParams::default(),
            &Patch::Merge(mine),
        )
        .await
        .unwrap();
    says(world, "Available", "False", "reading ConfigMap").await;
    assert!(wire.refusals() > refusals);
    wire.refuse(None);
    world.available("True").await;
    world
        .until(CONFIG_MAP, "model-catalog-sources", |map| {
            map.is_some_and(|map| {
                map.data["data"]["sources.yaml"]
                    .as_str()
                    .is_some_and(|file| file.contains("mine") && !file.contains("default_catalog"))
            })
        })
        .await;
}

/// One request of seven, all the time.
async fn errors_now_and_then_keep_nothing_from_its_end(world: &World, wire: &Wire) {
    let refusals = wire.refusals();
    wire.refuse(Some(|number, _, _| number % 7 == 3));
    for kind in EVERYWHERE {
        let api = world.api(*kind);
        let ours = ListParams::default().labels("app=model-catalog");
        for child in api.list(&ours).await.unwrap() {
            let name = child.name_any();
            api.delete(&name, &DeleteParams::background())
                .await
                .unwrap();
            eventually(&name, SOON * 4, || async {
                let back = api
                    .get_opt(&name)
                    .await
                    .map_err(|error| error.to_string())?;
                let back = back.is_some_and(|back| back.uid() != child.uid());
                back.then_some(()).ok_or("it is not back".to_owned())
            })
            .await
            .unwrap();
        }
    }
    world.available("True").await;
    assert!(wire.refusals() > refusals, "{refusals}");

    // Where nothing is to be done, errors make nothing to do.
    eventually("rest", Duration::from_mins(1), || async {
        let writes = wire.writes();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = wire.writes();
        (writes == after)
            .then_some(())
            .ok_or(format!("{writes} writes, then {after}"))
    })
    .await
    .unwrap();
    wire.refuse(Some(|_, method, _| *method != Method::GET));
    let (before, writes, refusals) = (
        world.versions(EVERYWHERE).await,
        wire.writes(),
        wire.refusals(),
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((wire.writes(), wire.refusals()), (writes, refusals));
    assert_eq!(world.versions(EVERYWHERE).await, before);
}

/// Resources and the volume's size reach the pods; while new ones cannot run, old ones serve.
async fn edits_reach_the_pods_while_old_ones_serve(world: &World) {
    let containers = "/spec/template/spec/containers/0";
    let limit = "/spec/template/spec/volumes/0/emptyDir/sizeLimit";
    let told = |name: &'static str, pointer: String, value: &'static str| {
        world.until(DEPLOYMENT, name, move |live| {
            live.is_some_and(|live| live.data.pointer(&pointer) == Some(&json!(value)))
        })
    };
    told("model-catalog-postgres", limit.to_owned(), "10Gi").await;

    // No node has this much.
    edit(
        world,
        json!({"resources": {"catalog": {"requests": {"cpu": "100k"}, "limits": null}}}),
    )
    .await;
    let held_up = says(world, "Ready", "False", "Unschedulable").await;
    let available = &held_up["conditions"][1];
    assert_eq!(
        (&available["type"], &available["status"]),
        (&json!("Available"), &json!("True")),
        "{held_up}"
    );
    edit(
        world,
        json!({
            "resources": {"catalog": {"requests": {"cpu": "50m"}}, "postgres": {"requests": {"memory": "300Mi"}}},
            "database": {"volume": {"sizeLimit": "7Gi"}},
        }),
    )
    .await;
    let requests = |name: &str| format!("{containers}/resources/requests/{name}");
    told("model-catalog", requests("cpu"), "50m").await;
    told("model-catalog-postgres", requests("memory"), "300Mi").await;
    told("model-catalog-postgres", limit.to_owned(), "7Gi").await;
    says(world, "Ready", "True", "").await;
    world.available("True").await;
}
