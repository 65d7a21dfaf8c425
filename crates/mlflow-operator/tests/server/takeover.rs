//! Taking over from the Go operator: what it was recorded to make is there first. Where the
//! recordings are missing, one line says so.

use cluster::Platform;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use mlflow_operator::kinds::{CONSOLE_LINK, MLFLOW};
use operator_harness::recorded::{self, read};
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEPLOYMENT, HTTP_ROUTE, NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM, SERVICE, SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use serde_json::json;

use crate::harness::world;

/// What the Go operator makes of a server with files, which are all taken over.
const KINDS: [Kind; 10] = [
    SERVICE_ACCOUNT,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    SERVICE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    DEPLOYMENT,
    SERVICE_MONITOR,
    HTTP_ROUTE,
    CONSOLE_LINK,
];

#[tokio::test]
async fn what_the_go_operator_made_is_kept_with_one_rollout_at_most() {
    let Some(root) = recorded::folder("mlflow") else {
        return;
    };
    let world = world(Platform::OpenShift).await;
    let folder = root.join("openshift/sqlite");
    // Nobody works until everything is there.
    let (mut resource, _) = recorded::resource(&folder);
    resource["metadata"]["annotations"] = json!({"mlflow.opendatahub.io/reconcile": "paused"});
    world.apply(&resource).await;
    let owner = world.api(MLFLOW).get("mlflow").await.expect("the resource");
    let uid = owner.metadata.uid.expect("a uid");
    let recorded = read(&folder.join("objects.yaml"));
    let mut taken = Vec::new();
    for object in &recorded {
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        let kind = KINDS
            .into_iter()
            .find(|k| k.matches(text("apiVersion"), text("kind")));
        let name = object["metadata"]["name"].as_str().expect("a name");
        let Some(kind) = kind.filter(|_| name != "mlflow-migration") else {
            continue;
        };
        let params = PatchParams::apply("mlflow-operator").force();
        let patch = Patch::Apply(recorded::sent(object, &uid));
        let made = world.api(kind).patch(name, &params, &patch).await;
        let made: DynamicObject = made.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
        taken.push((kind, name, made.metadata.uid));
    }
    assert_eq!(taken.len(), KINDS.len(), "{taken:?}");
    let before = world.until(DEPLOYMENT, "mlflow", |d| {
        d.data["status"]["readyReplicas"] == 1
    });
    let before = before.await.metadata.generation.unwrap_or_default();
    // As the Go operator leaves it once the database is migrated.
    let migrated = Patch::Merge(json!({"status": {"version": "3.14.0"}}));
    world
        .api(MLFLOW)
        .patch_status("mlflow", &PatchParams::default(), &migrated)
        .await
        .expect("a status");
    let go = json!({"metadata": {"annotations": null}});
    world.edit(MLFLOW, "mlflow", go).await;
    world.ready("mlflow").await;
    for (kind, name, uid) in taken {
        let now = world.api(kind).get(name).await.expect("it is there");
        assert_eq!(now.metadata.uid, uid, "{kind} {name} is another one");
    }
    let after = world
        .api(DEPLOYMENT)
        .get("mlflow")
        .await
        .expect("a Deployment");
    let rollouts = after.metadata.generation.unwrap_or_default() - before;
    assert!(rollouts <= 1, "{rollouts} rollouts");
    world.delete("mlflow").await;
}

/// What the Go operator's definition refuses, ours refuses in the same words.
#[tokio::test]
async fn what_was_refused_is_refused_in_the_same_words() {
    let Some(root) = recorded::folder("mlflow") else {
        return;
    };
    let world = world(Platform::Kubernetes).await;
    let unkept = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut compared = 0;
    for folder in recorded::cases(&root.join("plain")) {
        let case = recorded::name(&folder);
        let Ok(rejected) = std::fs::read_to_string(folder.join("rejected.txt")) else {
            continue;
        };
        // The definition of these tests has no rule about the name.
        if case == "bad-name" {
            continue;
        }
        let text = std::fs::read_to_string(folder.join("cr.yaml")).expect("a file");
        // Who wrote it took `y` for a word, which it is not for kubectl.
        let words = serde_saphyr::options! { strict_booleans: true };
        let all = serde_saphyr::from_multiple_with_options::<DynamicObject>(&text, words);
        let resource = all.expect("YAML").pop().expect("the resource");
        let answer = world.api(MLFLOW).create(&unkept, &resource).await;
        let Err(kube::Error::Api(refused)) = answer else {
            panic!("{case}: {answer:?}");
        };
        let ours = format!("HTTP {}\n{}", refused.code, refused.message);
        assert_eq!(ours, rejected.trim_end(), "{case}");
        compared += 1;
    }
    assert!(compared >= 12, "only {compared} cases were found");
}
