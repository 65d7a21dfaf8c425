//! What the operator made of a registry, in a form that can be compared.

use std::collections::BTreeMap;

use cluster::Platform;
use kube::{ResourceExt as _, api::ListParams};
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, INGRESS, NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM, POD_DISRUPTION_BUDGET, ROLE, ROLE_BINDING, ROUTE, SECRET, SERVICE,
    SERVICE_ACCOUNT,
};
use serde_json::{Map, Value, json};

use crate::harness::World;

/// Everything that the operator made for a registry: `KIND NAME`, with `N` for the registry's
/// name, and what of it is not the server's. Lists of named things are maps by name, argument
/// lists maps by flag, and YAML in a ConfigMap is read.
pub(super) async fn children(world: &World, name: &str) -> BTreeMap<String, Value> {
    let mut kinds = vec![
        CLUSTER_ROLE_BINDING,
        CONFIG_MAP,
        DEPLOYMENT,
        INGRESS,
        NETWORK_POLICY,
        PERSISTENT_VOLUME_CLAIM,
        POD_DISRUPTION_BUDGET,
        ROLE,
        ROLE_BINDING,
        SECRET,
        SERVICE,
        SERVICE_ACCOUNT,
    ];
    if world.cluster.platform() == Platform::OpenShift {
        kinds.extend([HTTP_ROUTE, ROUTE]);
    }
    let ours = ListParams::default().labels("app.kubernetes.io/created-by=model-registry-operator");
    let lists = kinds.into_iter().map(|kind| {
        let (api, ours) = (world.api(kind), ours.clone());
        async move { (kind, api.list(&ours).await.expect("a list")) }
    });
    let mut found = BTreeMap::new();
    for (kind, list) in futures::future::join_all(lists).await {
        for object in list {
            let app = object
                .labels()
                .get("app")
                .map(String::as_str)
                .unwrap_or_default();
            if app != name && app != format!("{name}-postgres") {
                continue;
            }
            let mut annotations = object.annotations().clone();
            annotations.retain(|key, _| {
                key != "deployment.kubernetes.io/revision"
                    && key != "service.beta.openshift.io/serving-cert-signed-by"
                    && !key.contains("kubernetes.io/storage-provisioner")
                    && !key.starts_with("pv.kubernetes.io/")
            });
            let mut body = object.data.clone();
            body.as_object_mut().expect("an object").remove("status");
            body["metadata"] = json!({"labels": object.labels(), "annotations": annotations});
            body["owned"] = json!(!object.owner_references().is_empty());
            // A certificate that is not needed goes, and is another one when it comes back.
            for (key, value) in body["data"].as_object_mut().into_iter().flatten() {
                if [".crt", ".key", ".pem"]
                    .iter()
                    .any(|end| key.ends_with(end))
                {
                    *value = json!("");
                }
            }
            let text = normalised(body).to_string().replace(name, "N");
            let key = format!("{} {}", kind.kind, object.name_any().replace(name, "N"));
            found.insert(key, serde_json::from_str(&text).expect("JSON"));
        }
    }
    found
}

fn normalised(value: Value) -> Value {
    match value {
        Value::Array(list) if !list.is_empty() => match by_name(&list).or_else(|| by_flag(&list)) {
            Some(map) => Value::Object(map),
            None => Value::Array(list.into_iter().map(normalised).collect()),
        },
        Value::Object(map) => {
            let read = |(key, value): (String, Value)| {
                let value = match value.as_str().filter(|_| key == "config-file.yaml") {
                    Some(text) => serde_saphyr::from_str(text).expect("YAML"),
                    None => normalised(value),
                };
                (key, value)
            };
            Value::Object(map.into_iter().map(read).collect())
        }
        other => other,
    }
}

fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    list.iter()
        .map(|item| Some((item["name"].as_str()?.to_owned(), normalised(item.clone()))))
        .collect()
}

fn by_flag(list: &[Value]) -> Option<Map<String, Value>> {
    list.iter()
        .map(|item| {
            let (flag, value) = item.as_str()?.strip_prefix("--")?.split_once('=')?;
            Some((format!("--{flag}"), json!(value)))
        })
        .collect()
}
