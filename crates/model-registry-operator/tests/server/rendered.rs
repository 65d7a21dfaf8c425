//! What `render` prints is what the API server is sent.

use std::{collections::BTreeMap, fs};

use cluster::{Platform, api_of};
use kube::api::{DynamicObject, PostParams};
use model_registry_operator::{
    offline::Kinds,
    registry::{Registry, config::Config},
};
use resources::kind;
use runtime::offline::{
    Files, PlatformArg,
    render::{self, Output, PLACEHOLDER, RenderArgs},
};
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, OPERATOR, World, behind_proxy, world};

/// Objects by kind and name.
type Objects = BTreeMap<(String, String), Value>;

fn by_address(objects: impl IntoIterator<Item = Value>) -> Objects {
    let text = |object: &Value, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    objects
        .into_iter()
        .map(|object| {
            (
                (text(&object, "/kind"), text(&object, "/metadata/name")),
                object,
            )
        })
        .collect()
}

/// Bodies of the operator's creates for this registry, as the audit log has them: with what the
/// server adds when it reads them.
async fn sent(world: &World, name: &str, mark: u64) -> Objects {
    let log = world
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    let bodies = log
        .by_service_account(OPERATOR.0, OPERATOR.1)
        .into_iter()
        .filter(|record| {
            record.verb == "create" && record.resource != "events" && record.code == 201
        })
        .filter_map(|record| record.body.clone())
        .filter(|body| {
            let label = body.pointer("/metadata/labels/app").and_then(Value::as_str);
            label.is_some_and(|app| app == name || app == format!("{name}-postgres"))
        });
    by_address(bodies)
}

/// The rendered objects as the audit log has them when somebody sends them.
async fn resent(world: &World, rendered: &Objects) -> Objects {
    let mark = world.cluster.audit_mark().await.expect("a mark");
    let known = Registry {
        config: Config::from_lookup(|_| None).expect("an environment"),
    };
    for body in rendered.values() {
        let kind = runtime::Component::kinds(&known)
            .iter()
            .map(|w| w.kind)
            .find(|k| body["kind"] == k.kind)
            .expect("a kind");
        let mut body = body.clone();
        for value in body
            .get_mut("data")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|m| m.values_mut())
        {
            // Data of Secrets is base64, which the placeholder is not.
            if kind == kind::SECRET && *value == PLACEHOLDER {
                *value = json!("");
            }
        }
        let object: DynamicObject = serde_json::from_value(body).expect("an object");
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        // They exist: the answer is a conflict, and the log has the body all the same.
        let _ = api_of(&world.client, object.metadata.namespace.as_deref(), kind)
            .create(&dry, &object)
            .await;
    }
    let log = world
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    by_address(
        log.by("admin")
            .filter(|record| record.verb == "create")
            .filter_map(|record| record.body.clone()),
    )
}

/// Puts the placeholder where `rendered` has it.
fn mask(sent: &mut Value, rendered: &Value) {
    match (sent, rendered) {
        (sent, Value::String(text)) if text == PLACEHOLDER => *sent = PLACEHOLDER.into(),
        (Value::Object(sent), Value::Object(rendered)) => {
            for (key, value) in sent {
                if let Some(rendered) = rendered.get(key) {
                    mask(value, rendered);
                }
            }
        }
        (Value::Array(sent), Value::Array(rendered)) => {
            sent.iter_mut()
                .zip(rendered)
                .for_each(|(sent, rendered)| mask(sent, rendered));
        }
        _ => {}
    }
}

fn document(object: DynamicObject, api_version: &str, kind: &str) -> Value {
    let mut value = serde_json::to_value(object).expect("JSON");
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value
}

async fn same(platform: Platform, name: &str, spec: Value) {
    let world = world(platform, "rendered").await;
    let mark = world.cluster.audit_mark().await.expect("a mark");
    world.registry(name, spec).await;
    world.available(name).await;
    let sent = sent(&world, name, mark).await;
    assert!(sent.len() >= 7, "{:?}", sent.keys());

    let mut documents = vec![
        document(
            world
                .api(MODEL_REGISTRY)
                .get(name)
                .await
                .expect("the registry"),
            "modelregistry.opendatahub.io/v1beta1",
            "ModelRegistry",
        ),
        document(
            world.api(kind::SECRET).get("db").await.expect("the Secret"),
            "v1",
            "Secret",
        ),
    ];
    if platform == Platform::OpenShift {
        let config = world
            .api(kind::INGRESS_CONFIG)
            .get("cluster")
            .await
            .expect("the configuration");
        documents.push(document(config, "config.openshift.io/v1", "Ingress"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("documents.yaml");
    let text: Vec<String> = documents.iter().map(Value::to_string).collect();
    fs::write(&file, text.join("\n---\n")).expect("written");
    let platform = match platform {
        Platform::Kubernetes => PlatformArg::Kubernetes,
        Platform::OpenShift => PlatformArg::Openshift,
    };
    let args = RenderArgs {
        files: Files {
            files: vec![file],
            platform,
        },
        output: Output::Json,
    };
    let (kinds, _) = Kinds::from_lookup(|_| None).expect("an environment");
    let mut printed = Vec::new();
    render::run(&kinds, &args, &[], &mut printed).expect("rendered");
    let printed: Value = serde_json::from_slice(&printed).expect("JSON");
    let rendered = by_address(printed["items"].as_array().expect("a list").clone());

    assert_eq!(
        sent.keys().collect::<Vec<_>>(),
        rendered.keys().collect::<Vec<_>>()
    );
    let mut resent = resent(&world, &rendered).await;
    for (address, mut body) in sent {
        let rendered = &rendered[&address];
        let mut again = resent.remove(&address).expect("it was sent");
        mask(&mut body, rendered);
        mask(&mut again, rendered);
        assert_eq!(body, again, "{address:?}");
    }
}

#[tokio::test]
async fn what_is_rendered_is_what_is_sent_on_kubernetes() {
    same(Platform::Kubernetes, "rendered-proxy", behind_proxy()).await;
    let spec =
        json!({"rest": {}, "authentication": "None", "postgres": {"generateDeployment": true}});
    same(Platform::Kubernetes, "rendered-generated", spec).await;
}

#[tokio::test]
async fn what_is_rendered_is_what_is_sent_on_openshift() {
    same(Platform::OpenShift, "rendered-openshift", behind_proxy()).await;
}
