//! Who must know our authority: webhook configurations and the conversion of definitions.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::core::ObjectMeta;
use resources::Kind;
use resources::kind::DEFINITION;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::any_kind::any_kind;

/// Whoever asks for a caBundle by these annotations gets it from somebody else.
const INJECTED: &[&str] = &[
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
];

/// The part of a configuration or a definition in which client configurations are. The schemas of
/// a definition, a hundred times as much, are passed over.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Clients {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Spec>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion: Option<Value>,
}

any_kind!(Clients, false);

/// One object with client configurations that lead to our Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) name: String,
    version: String,
    clients: Vec<ClientConfig>,
    /// Place of the entry that says which fields are ours, among the managed fields.
    owned: Option<usize>,
}

/// One client configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClientConfig {
    /// JSON pointer.
    path: String,
    bundle: Option<String>,
}

impl Target {
    /// What is ours in `object`, as `manager`; `None` when nothing is.
    pub(super) fn of(
        kind: Kind,
        object: &Value,
        service: &str,
        namespace: &str,
        manager: &str,
    ) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let annotations = object.pointer("/metadata/annotations");
        let injected = |key: &&str| annotations.is_some_and(|all| all.get(key).is_some());
        if INJECTED.iter().any(injected) {
            return None;
        }
        let clients: Vec<ClientConfig> = clients(kind, object, service, namespace)
            .into_iter()
            .map(|path| ClientConfig {
                bundle: text(&format!("{path}/caBundle")).map(str::to_owned),
                path,
            })
            .collect();
        if clients.is_empty() {
            return None;
        }
        Some(Self {
            kind,
            name: text("/metadata/name")?.to_owned(),
            version: text("/metadata/resourceVersion")?.to_owned(),
            clients,
            owned: owned_by(object, manager),
        })
    }

    /// What makes every client trust `bundle` (PEM), if the object is still as it was seen; `None`
    /// when they do.
    ///
    /// The second patch gives the ownership of the caBundle away. It would keep a stump of a
    /// webhook alive when whoever installed the object takes the webhook out by a server-side
    /// apply, and the API server refuses stumps: there would be no way back.
    pub(super) fn patch(&self, bundle: &str) -> Option<Value> {
        let wanted = BASE64_STANDARD.encode(bundle);
        let mut patch: Vec<Value> = self
            .clients
            .iter()
            .filter(|client| client.bundle.as_ref() != Some(&wanted))
            // "add" replaces what is there.
            .map(|client| json!({"op": "add", "path": format!("{}/caBundle", client.path), "value": wanted}))
            .collect();
        if patch.is_empty() {
            let place = format!("/metadata/managedFields/{}", self.owned?);
            patch.push(json!({"op": "remove", "path": place}));
        }
        let seen =
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": self.version});
        patch.insert(0, seen);
        Some(patch.into())
    }
}

/// JSON pointers of the client configurations in `object` that lead to the Service.
pub(super) fn clients(kind: Kind, object: &Value, service: &str, namespace: &str) -> Vec<String> {
    let text = |pointer: String| object.pointer(&pointer).and_then(Value::as_str);
    let mut paths: Vec<String> = if kind == DEFINITION {
        vec!["/spec/conversion/webhook/clientConfig".to_owned()]
    } else {
        let webhooks = object.get("webhooks").and_then(Value::as_array);
        (0..webhooks.map_or(0, Vec::len))
            .map(|index| format!("/webhooks/{index}/clientConfig"))
            .collect()
    };
    paths.retain(|path| {
        text(format!("{path}/service/name")) == Some(service)
            && text(format!("{path}/service/namespace")) == Some(namespace)
    });
    paths
}

/// The entry of plain writes by `manager`.
fn owned_by(object: &Value, manager: &str) -> Option<usize> {
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    entries.iter().position(|entry| {
        entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Update")
            && entry.get("subresource").is_none()
    })
}

#[cfg(test)]
mod tests {
    use resources::kind::{MUTATING_WEBHOOKS as MUTATING, VALIDATING_WEBHOOKS as VALIDATING};

    use super::*;

    fn client(service: &str, bundle: Option<&str>) -> Value {
        let mut client = json!({"service": {"name": service, "namespace": "ns"}});
        if let Some(bundle) = bundle {
            client["caBundle"] = BASE64_STANDARD.encode(bundle).into();
        }
        json!({"name": "w", "clientConfig": client})
    }

    fn configuration(webhooks: &[Value]) -> Value {
        json!({"metadata": {"name": "c", "resourceVersion": "7"}, "webhooks": webhooks})
    }

    #[test]
    fn only_what_leads_to_our_service_is_changed() {
        let object = configuration(&[
            client("other", None),
            client("ours", Some("old")),
            client("ours", Some("new")),
        ]);
        let target = Target::of(MUTATING, &object, "ours", "ns", "us").unwrap();
        assert_eq!(
            target.patch("new").unwrap(),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "bmV3"},
            ])
        );
        let same = configuration(&[client("ours", Some("new"))]);
        let target = Target::of(MUTATING, &same, "ours", "ns", "us").unwrap();
        assert_eq!(target.patch("new"), None);
        for (service, namespace) in [("ours", "elsewhere"), ("theirs", "ns")] {
            assert_eq!(Target::of(MUTATING, &same, service, namespace, "us"), None);
        }
    }

    #[test]
    fn a_definition_has_one_client_where_it_has_a_webhook() {
        let mut definition = json!({"metadata": {"name": "c", "resourceVersion": "7"}, "spec": {"conversion": {"strategy": "None"}}});
        assert_eq!(
            Target::of(DEFINITION, &definition, "ours", "ns", "us"),
            None
        );
        definition["spec"]["conversion"] =
            json!({"strategy": "Webhook", "webhook": client("ours", None)});
        let target = Target::of(DEFINITION, &definition, "ours", "ns", "us").unwrap();
        let path = "/spec/conversion/webhook/clientConfig/caBundle";
        assert_eq!(target.patch("x").unwrap()[1]["path"], path);
    }

    #[test]
    fn what_was_written_belongs_to_nobody_in_the_end() {
        let mut object = configuration(&[client("ours", Some("new"))]);
        let entry =
            |manager: &str, operation: &str| json!({"manager": manager, "operation": operation});
        let mut status = entry("us", "Update");
        status["subresource"] = "status".into();
        let others = [entry("kubectl", "Update"), entry("us", "Apply"), status];
        object["metadata"]["managedFields"] = others.clone().into();
        let target = Target::of(MUTATING, &object, "ours", "ns", "us").unwrap();
        assert_eq!(target.patch("new"), None);
        object["metadata"]["managedFields"] =
            others.into_iter().chain([entry("us", "Update")]).collect();
        let target = Target::of(MUTATING, &object, "ours", "ns", "us").unwrap();
        assert_eq!(
            target.patch("new").unwrap()[1],
            json!({"op": "remove", "path": "/metadata/managedFields/3"})
        );
        assert_eq!(
            target.patch("newer").unwrap()[1]["op"],
            "add",
            "first things first"
        );
    }

    #[test]
    fn schemas_are_passed_over() {
        let mut definition = json!({
            "metadata": {"name": "c", "resourceVersion": "7", "annotations": {"a": "b"}},
            "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "x"}}}},
        });
        let kept = definition.clone();
        definition["spec"]["versions"] = json!([{"schema": {"openAPIV3Schema": {}}}]);
        definition["status"] = json!({"storedVersions": ["v1"]});
        let read: Clients = serde_json::from_value(definition).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), kept);
        let webhooks = configuration(&[client("ours", None)]);
        let read: Clients = serde_json::from_value(webhooks.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), webhooks);
    }

    #[test]
    fn what_others_inject_is_left_to_them() {
        for annotation in INJECTED {
            let mut object = configuration(&[client("ours", None)]);
            object["metadata"]["annotations"] = json!({*annotation: "true"});
            assert_eq!(Target::of(VALIDATING, &object, "ours", "ns", "us"), None);
        }
    }
}
