//! The way back: to an installation without webhooks, and to the Go operator. Nothing that stays
//! keeps anybody from writing registries.

use cluster::{Platform, eventually};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DynamicObject;
use model_registry_operator::registry::webhook;
use serde_json::{Value, json};

use crate::bench::{Bench, NEW, OLD, SOON, mysql};

async fn definition(bench: &Bench) -> Value {
    let api: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let found = api.get(webhook::DEFINITION_NAME).await;
    serde_json::to_value(found.expect("the definition")).expect("JSON")
}

/// Webhook configurations that are there.
async fn configurations(bench: &Bench) -> Vec<DynamicObject> {
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(bench.client.clone());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(bench.client.clone());
    let mutating = mutating.get_opt(webhook::MUTATING_CONFIGURATION).await;
    let validating = validating.get_opt(webhook::VALIDATING_CONFIGURATION).await;
    let all = [
        mutating.expect("an answer").map(serde_json::to_value),
        validating.expect("an answer").map(serde_json::to_value),
    ];
    let all = all.into_iter().flatten();
    all.map(|found| serde_json::from_value(found.expect("JSON")).expect("an object"))
        .collect()
}

/// Served with webhooks, with a registry that was written in each version.
async fn with_webhooks() -> (Bench, String) {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let operator = bench.operator(&[], &[]);
    bench.answering().await;
    let namespace = bench.cluster.namespace("back").await.expect("a namespace");
    let mut old = mysql();
    old["grpc"] = json!({});
    for (version, name, spec) in [(NEW, "new", &mysql()), (OLD, "old", &old)] {
        bench
            .create(version, &namespace, name, spec)
            .await
            .expect("created");
    }
    // The operator keeps the caBundles and owns nothing of the objects that it keeps them in.
    eventually(
        "objects that are nobody's but the installer's",
        SOON,
        || async {
            let mut all = configurations(&bench).await;
            let definition = serde_json::from_value(definition(&bench).await);
            all.push(definition.expect("an object"));
            let managers = all
                .iter()
                .flat_map(|object| object.metadata.managed_fields.iter().flatten());
            let ours: Vec<_> = managers
                .filter(|entry| entry.manager.as_deref() == Some("model-registry-operator"))
                .collect();
            if ours.is_empty() {
                Ok(())
            } else {
                Err(format!("{ours:?}"))
            }
        },
    )
    .await
    .expect("given away");
    operator.stop();
    (bench, namespace)
}

#[tokio::test]
async fn without_webhooks_what_led_to_them_goes() {
    let (mut bench, namespace) = with_webhooks().await;
    bench.install("default").await;
    let refused = bench.create(NEW, &namespace, "early", &mysql()).await;
    assert!(refused.is_err(), "the configurations lead nowhere yet");
    let operator = bench.operator(&["--leader-elect"], &[("ENABLE_WEBHOOKS", "false")]);
    eventually("a registry is created", SOON, || async {
        let created = bench.create(NEW, &namespace, "later", &mysql()).await;
        created.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("created");
    assert!(configurations(&bench).await.is_empty());
    let spec = &definition(&bench).await["spec"];
    assert_eq!(spec["conversion"], json!({"strategy": "None"}));
    for name in ["new", "old"] {
        let edit = json!({"spec": {"rest": {"port": 8082}}});
        bench
            .edit(NEW, &namespace, name, edit)
            .await
            .expect("edited");
    }
    operator.stop();

    // From here to the Go operator without webhooks: it serves both versions, unconverted.
    let mut theirs = serde_json::to_value(api::model_registry()).expect("JSON");
    theirs["spec"]["versions"][1]["served"] = true.into();
    apply(&bench, "theirs", &theirs).await;
    for (version, name) in [(NEW, "go-new"), (OLD, "go-old")] {
        let mut spec = mysql();
        spec["grpc"] = json!({});
        // The server needs a moment to serve a version again.
        eventually("written as the Go operator's users do", SOON, || async {
            let created = bench.create(version, &namespace, name, &spec).await;
            created.map(drop).map_err(|error| error.to_string())
        })
        .await
        .expect("created");
    }
}

/// A conversion that lost its server and that kubectl could not take out is taken out.
#[tokio::test]
async fn a_conversion_that_leads_nowhere_is_taken_out() {
    let (bench, namespace) = with_webhooks().await;
    assert_eq!(
        definition(&bench).await["spec"]["conversion"]["strategy"],
        "Webhook"
    );
    let operator = bench.operator(&[], &[("ENABLE_WEBHOOKS", "false")]);
    eventually("no conversion", SOON, || async {
        let spec = definition(&bench).await["spec"].clone();
        if spec["conversion"] == json!({"strategy": "None"}) {
            Ok(())
        } else {
            Err(spec["conversion"].to_string())
        }
    })
    .await
    .expect("taken out");
    let versions = definition(&bench).await["spec"]["versions"].clone();
    assert_eq!(versions[1]["served"], false, "nobody converts it");
    let edit = json!({"spec": {"rest": {"port": 8082}}});
    bench
        .edit(NEW, &namespace, "old", edit)
        .await
        .expect("edited");
    operator.stop();
}

/// The Go operator's overlay with webhooks has the same names, another Service for conversion, and
/// asks OpenShift for its caBundles. It is accepted over ours as it is.
#[tokio::test]
async fn the_webhooks_of_the_go_operator_are_accepted_over_ours() {
    let (bench, _) = with_webhooks().await;
    let annotations = json!({"service.beta.openshift.io/inject-cabundle": "true"});
    let service = |name: &str, path: &str| json!({"service": {"name": name, "namespace": "opendatahub", "path": path}});
    let rules = json!([{"apiGroups": ["modelregistry.opendatahub.io"], "apiVersions": ["v1beta1", "v1alpha1"],
        "operations": ["CREATE", "UPDATE"], "resources": ["modelregistries"]}]);
    for (kind, object, name, path) in [
        (
            "MutatingWebhookConfiguration",
            webhook::MUTATING_CONFIGURATION,
            "mmodelregistry.opendatahub.io",
            "/mutate-modelregistry-opendatahub-io-modelregistry",
        ),
        (
            "ValidatingWebhookConfiguration",
            webhook::VALIDATING_CONFIGURATION,
            "vmodelregistry.opendatahub.io",
            "/validate-modelregistry-opendatahub-io-modelregistry",
        ),
    ] {
        let theirs = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": object, "annotations": annotations},
            "webhooks": [{"name": name, "clientConfig": service(webhook::SERVICE, path), "rules": rules,
                "admissionReviewVersions": ["v1beta1", "v1alpha1", "v1"], "failurePolicy": "Fail", "sideEffects": "None"}]});
        apply(&bench, kind, &theirs).await;
    }
    let mut theirs = serde_json::to_value(api::model_registry()).expect("JSON");
    theirs["metadata"]["annotations"] = annotations;
    theirs["spec"]["versions"][1]["served"] = true.into();
    theirs["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1beta1", "v1alpha1"], "clientConfig": service("webhook-service", "/convert")}});
    apply(&bench, "definition", &theirs).await;
    let spec = &definition(&bench).await["spec"];
    let client = &spec["conversion"]["webhook"]["clientConfig"];
    assert_eq!(client["service"]["name"], "webhook-service");
    for configuration in configurations(&bench).await {
        let client = &configuration.data["webhooks"][0]["clientConfig"]["service"];
        assert_eq!(client["namespace"], "opendatahub");
    }
}

/// As `kubectl apply --server-side` by somebody who installs something else.
async fn apply(bench: &Bench, name: &str, object: &Value) {
    let file = bench.cluster.dir().join(format!("{name}.json"));
    std::fs::write(&file, object.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    bench
        .cluster
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file])
        .await
        .expect("applied");
}
