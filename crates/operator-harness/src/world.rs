//! What a test sees and does: one namespace of a cluster on which an operator runs.

use std::fmt::Display;
use std::time::Duration;

use cluster::{Cluster, api_of, conditions, eventually, told, until};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, Discovery, ResourceExt as _};
use resources::{Kind, Scope};
use serde_json::{Value, json};

/// What happens by an event happens within this time, on a busy machine too.
pub const SOON: Duration = Duration::from_mins(1);
/// The garbage collector notices a new CustomResourceDefinition within 30 s.
pub const COLLECTED: Duration = Duration::from_mins(2);

/// A test's view of a cluster.
pub struct World {
    /// The cluster.
    pub cluster: &'static Cluster,
    /// Of an admin.
    pub client: Client,
    /// The test's own.
    pub namespace: String,
    /// Whose resources the test makes.
    pub kind: Kind,
}

impl World {
    /// An `Api` in the test's namespace, or of the whole cluster where the kind has none.
    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let namespace = (kind.scope == Scope::Namespaced).then_some(self.namespace.as_str());
        api_of(&self.client, namespace, kind)
    }

    /// Applies documents, YAML or JSON, into the test's namespace.
    pub async fn apply(&self, documents: impl Display) {
        cluster::apply_yaml(&self.client, &self.namespace, &documents.to_string())
            .await
            .expect("applied");
    }

    /// Applies a resource with this spec.
    pub async fn resource(&self, name: &str, spec: &Value) {
        let api_version = self.kind.api_version();
        self.apply(
            json!({"apiVersion": api_version, "kind": self.kind.kind, "metadata": {"name": name},
            "spec": spec}),
        )
        .await;
    }

    /// Merges a patch into an object.
    pub async fn edit(&self, kind: Kind, name: &str, patch: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("edited");
    }

    /// Waits until a condition of the resource has this status in its newest generation, and returns
    /// the condition.
    pub async fn condition(&self, name: &str, condition: &str, status: &str) -> Value {
        let resource = self.told(name, condition, status).await;
        conditions(&resource.data)
            .find(|one| one["type"] == condition)
            .cloned()
            .expect("the condition")
    }

    /// Waits until the resource is Available.
    pub async fn available(&self, name: &str) -> DynamicObject {
        self.told(name, "Available", "True").await
    }

    /// Waits until the resource is Ready.
    pub async fn ready(&self, name: &str) -> DynamicObject {
        self.told(name, "Ready", "True").await
    }

    async fn told(&self, name: &str, condition: &str, status: &str) -> DynamicObject {
        let api = self.api(self.kind);
        told(&api, name, COLLECTED, (condition, status))
            .await
            .expect("the condition")
    }

    /// Waits until an object of the test's namespace fulfils `holds`.
    pub async fn until(
        &self,
        kind: Kind,
        name: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let api = self.api(kind);
        let found = until(&api, name, SOON, |object| object.is_some_and(&holds)).await;
        found.expect("the object as expected").expect("an object")
    }

    /// Every object in the cluster that speaks of the resource, by its owner, its label `app` or its
    /// name, except Events. Every listable resource type is looked at.
    pub async fn traces(&self, name: &str) -> Vec<String> {
        let discovery = Discovery::new(self.client.clone());
        let discovery = discovery.run_aggregated().await.expect("discovery");
        let mut found = Vec::new();
        for group in discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                if !capabilities.supports_operation("list") || resource.kind == "Event" {
                    continue;
                }
                let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
                let list = match api.list(&ListParams::default()).await {
                    Ok(list) => list,
                    // The API went meanwhile, or has no list though it says so.
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => continue,
                    Err(error) => {
                        found.push(format!("{} could not be listed: {error}", resource.kind));
                        continue;
                    }
                };
                let of_it = list.iter().filter(|object| self.speaks_of(object, name));
                found.extend(of_it.map(|object| {
                    let namespace = object.namespace().unwrap_or_default();
                    format!("{} {namespace}/{}", resource.kind, object.name_any())
                }));
            }
        }
        found.sort();
        found
    }

    fn speaks_of(&self, object: &DynamicObject, name: &str) -> bool {
        let mut owners = object.owner_references().iter();
        owners.any(|owner| owner.kind == self.kind.kind && owner.name == name)
            || object.labels().get("app").is_some_and(|app| app == name)
            || object.name_any().contains(name)
    }

    /// Waits until no trace of the resource is left.
    pub async fn nothing_left(&self, name: &str) {
        eventually(&format!("nothing left of {name}"), COLLECTED, || async {
            let left = self.traces(name).await;
            if left.is_empty() {
                Ok(())
            } else {
                Err(left.join(", "))
            }
        })
        .await
        .expect("nothing left");
    }
}
