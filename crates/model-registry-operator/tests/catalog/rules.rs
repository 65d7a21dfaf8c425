//! What a Catalog may be, and what follows from what is around it.

use resources::kind::{CONFIG_MAP, DEPLOYMENT, ROLE, ROLE_BINDING, SECRET};
use resources::{Plan, Precondition};
use runtime::offline::Platform;
use serde_json::{Value, json};

use crate::offline::{component, plan, read, resource};

fn planned(documents: &str) -> Plan {
    let catalog = resource("catalog", &json!({}));
    let documents = read(documents);
    plan(&component(&[]), &catalog, &documents, Platform::OpenShift).unwrap()
}

fn refused(name: &str, env: &[(&str, &str)]) -> String {
    let catalog = resource(name, &json!({}));
    let planned = plan(&component(env), &catalog, &[], Platform::Kubernetes);
    planned.unwrap_err().to_string()
}

#[test]
fn the_name_and_the_namespace_are_those_that_admission_allows() {
    let name = "metadata.name: Invalid value: \"other\": catalog resource name must be 'catalog'";
    let namespace = "metadata.namespace: Invalid value: \"ns\": namespace must be there";
    let only = [("REGISTRIES_NAMESPACE", "there")];
    for (resource, env, message) in [
        ("other", &[][..], name.to_owned()),
        ("catalog", &only, namespace.to_owned()),
        ("other", &only, format!("[{name}, {namespace}]")),
    ] {
        assert_eq!(
            refused(resource, env),
            format!("Catalog.aihub.opendatahub.io {resource:?} is invalid: {message}")
        );
    }
}

#[test]
fn the_older_of_two_catalogs_keeps_the_cluster() {
    let other = read(
        "{apiVersion: aihub.opendatahub.io/v1alpha1, kind: Catalog, metadata: {name: catalog, namespace: first}}",
    );
    let catalog = resource("catalog", &json!({}));
    let planned = plan(&component(&[]), &catalog, &other, Platform::Kubernetes);
    let message = planned.unwrap_err().to_string();
    assert!(message.contains("namespace first"), "{message}");
}

#[test]
fn labelled_sources_are_read_in_order_and_others_are_not() {
    let map = |name: &str, key: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{opendatahub.io/catalog-source: 'true'}}}}, data: {{{key}: 'catalogs: []'}}}}\n"
        )
    };
    let long = "n".repeat(56);
    let documents = [
        map("b", "sources.yaml"),
        map("a", "sources.yaml"),
        map("no-key", "other.yaml"),
        map("dotted.name", "sources.yaml"),
        map(&long, "sources.yaml"),
    ];
    let plan = planned(&documents.concat());
    let deployment = &plan.get(DEPLOYMENT, "model-catalog").unwrap().body;
    let args = deployment
        .pointer("/spec/template/spec/containers/0/args")
        .unwrap();
    let labelled: Vec<_> = args
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .filter(|argument| argument.contains("labeled"))
        .collect();
    assert_eq!(
        labelled,
        [
            "--catalogs-path=/data/labeled-sources/a/sources.yaml",
            "--catalogs-path=/data/labeled-sources/b/sources.yaml"
        ]
    );
}

#[test]
fn the_users_sources_are_made_once_and_lose_only_the_old_entry() {
    let name = "model-catalog-sources";
    let made = planned("");
    let made = made.get(CONFIG_MAP, name).unwrap();
    assert_eq!(made.precondition, Precondition::Absent);
    assert!(made.body.pointer("/metadata/ownerReferences").is_none());
    let map = |file: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"sources.yaml": file, "mine.yaml": "m"},
            "metadata": {"name": name, "resourceVersion": "7"}})
        .to_string()
    };
    let kept = planned(&map("catalogs: [{id: mine}]"));
    assert!(kept.get(CONFIG_MAP, name).is_none());
    assert!(kept.has(CONFIG_MAP, Some("ns"), name));
    let stripped = planned(&map("catalogs: [{id: default_catalog}, {id: mine}]"));
    let stripped = stripped.get(CONFIG_MAP, name).unwrap();
    assert_eq!(stripped.precondition, Precondition::Version("7".into()));
    assert_eq!(stripped.body["data"]["mine.yaml"], "m");
    let file = stripped.body["data"]["sources.yaml"].as_str().unwrap();
    assert!(!file.contains("default_catalog") && file.contains("mine"));
}

#[test]
fn administrators_reach_the_catalogs_own_objects_only() {
    let documents = r#"
{apiVersion: services.platform.opendatahub.io/v1alpha1, kind: Auth, metadata: {name: auth}, spec: {adminGroups: [b, a, ""]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: catalog-hf-apikey, labels: {app.kubernetes.io/component: model-catalog}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: registry-password}}
"#;
    let plan = planned(documents);
    let role = plan.get(ROLE, "model-catalog-admin").unwrap();
    let rules = role.body["rules"].as_array().unwrap();
    let named: Vec<_> = rules.iter().map(|rule| &rule["resourceNames"]).collect();
    assert_eq!(
        named,
        [
            &json!([
                "model-catalog-sources",
                "mcp-catalog-sources",
                "agent-catalog-sources"
            ]),
            &json!(["default-catalog-sources"]),
            &json!(["catalog-hf-apikey"]),
        ]
    );
    let binding = plan
        .get(ROLE_BINDING, "model-catalog-admin-binding")
        .unwrap();
    let groups: Vec<_> = binding.body["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(groups, ["a", "b"]);
    let without = planned("");
    assert!(
        without
            .get(ROLE_BINDING, "model-catalog-admin-binding")
            .is_none()
    );
    let rules = &without.get(ROLE, "model-catalog-admin").unwrap().body["rules"];
    assert!(rules.as_array().unwrap().iter().all(|rule| {
        rule["resourceNames"]
            .as_array()
            .is_some_and(|names| !names.is_empty())
    }));
}

#[test]
fn a_prepared_secret_is_completed_and_its_password_kept() {
    let plan = planned(
        "{apiVersion: v1, kind: Secret, metadata: {name: model-catalog-postgres, resourceVersion: '3'}, data: {database-password: c2VjcmV0}}",
    );
    let secret = plan.get(SECRET, "model-catalog-postgres").unwrap();
    assert_eq!(secret.precondition, Precondition::Version("3".into()));
    assert_eq!(
        secret.body["data"],
        json!({"database-password": "c2VjcmV0", "database-name": "bW9kZWxfY2F0YWxvZw==", "database-user": "Y2F0YWxvZ191c2Vy"})
    );
    let catalog = resource("catalog", &json!({}));
    let skipped = component(&[("SKIP_MODEL_CATALOG_DB_CREATION", "true")]);
    let plan = crate::offline::plan(&skipped, &catalog, &[], Platform::Kubernetes).unwrap();
    assert!(plan.get(SECRET, "model-catalog-postgres").is_none());
    assert!(plan.get(DEPLOYMENT, "model-catalog-postgres").is_none());
}

#[test]
fn an_edit_to_latest_pulls_it() {
    let latest = component(&[
        (
            "RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE",
            "r.test/server:latest",
        ),
        (
            "RELATED_IMAGE_ODH_MODEL_METADATA_COLLECTION_IMAGE",
            "r.test/data:1",
        ),
    ]);
    let catalog = resource("catalog", &json!({}));
    let plan = crate::offline::plan(&latest, &catalog, &[], Platform::Kubernetes).unwrap();
    let pod = &plan.get(DEPLOYMENT, "model-catalog").unwrap().body["spec"]["template"]["spec"];
    let containers = ["initContainers", "containers"].map(|list| pod[list].as_array().unwrap());
    let policies: Vec<_> = containers
        .into_iter()
        .flatten()
        .map(|container| {
            let text = |key: &str| container[key].as_str().unwrap().to_owned();
            (text("image"), text("imagePullPolicy"))
        })
        .collect();
    for (image, policy) in [
        ("r.test/server:latest", "Always"),
        ("r.test/data:1", "IfNotPresent"),
    ] {
        assert!(
            policies.contains(&(image.into(), policy.into())),
            "{policies:?}"
        );
    }
}

#[test]
fn equal_passwords_of_two_catalogs_do_not_show_as_equal() {
    let hash = |uid: &str| {
        let mut catalog = resource("catalog", &json!({}));
        catalog.metadata.uid = Some(uid.to_owned());
        let secret = read(
            "{apiVersion: v1, kind: Secret, metadata: {name: model-catalog-postgres}, data: {database-password: c2VjcmV0}}",
        );
        let plan = plan(&component(&[]), &catalog, &secret, Platform::Kubernetes).unwrap();
        plan.get(DEPLOYMENT, "model-catalog-postgres").unwrap().body["metadata"]["annotations"]
            ["aihub.opendatahub.io/credentials-baseline"]
            .clone()
    };
    assert!(hash("a").is_string());
    assert_eq!(hash("a"), hash("a"));
    assert_ne!(hash("a"), hash("b"));
}
