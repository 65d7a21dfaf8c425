//! A registry as the Go operator leaves it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use cluster::{Platform, api_of, conditions, eventually};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use resources::{Kind, Scope, kind};
use serde_json::{Value, json};

use operator_harness::recorded;

use crate::harness::{MODEL_REGISTRY, World};

/// Field manager of the Go operator.
pub(crate) const GO: &str = "manager";
/// The Go operator's own annotation: what it wrote last.
pub(crate) const LAST_APPLIED: &str = "banzaicloud.com/last-applied";
/// An annotation and a group member of somebody else.
pub(crate) const THEIRS: (&str, &str) = ("example.test/theirs", "kept");
/// Transition time of every condition that the Go operator wrote.
pub(crate) const LONG_AGO: &str = "2025-01-01T00:00:00Z";

const KINDS: &[Kind] = &[
    kind::SECRET,
    kind::CONFIG_MAP,
    kind::SERVICE_ACCOUNT,
    kind::PERSISTENT_VOLUME_CLAIM,
    kind::SERVICE,
    kind::ROLE,
    kind::ROLE_BINDING,
    kind::CLUSTER_ROLE_BINDING,
    kind::NETWORK_POLICY,
    kind::DEPLOYMENT,
    kind::ROUTE,
    kind::GROUP,
    kind::HTTP_ROUTE,
    kind::REFERENCE_GRANT,
];

/// A case: what the user applied, what the Go operator said, and what it made.
pub(crate) struct Case {
    pub(crate) name: String,
    needed: Vec<Value>,
    registry: Value,
    pub(crate) made: Vec<Value>,
}

impl Case {
    /// The cases of a platform, but those that were refused or are of something else.
    pub(crate) fn read_all(root: &Path, platform: Platform) -> Vec<Self> {
        let folder = match platform {
            Platform::Kubernetes => "plain",
            Platform::OpenShift => "openshift",
        };
        let other = |name: &str| {
            ["wh-", "catalog-", "v1alpha1"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        recorded::cases(&root.join(folder))
            .iter()
            .filter(|folder| folder.join("objects.yaml").exists())
            .filter(|folder| !other(recorded::name(folder)))
            .map(|folder| Self::read(folder))
            .collect()
    }

    fn read(folder: &Path) -> Self {
        let read = |file: &str| recorded::read(&folder.join(file));
        let (_, needed) = recorded::resource(folder);
        Self {
            name: recorded::name(folder).to_owned(),
            needed,
            registry: read("status.yaml").remove(0),
            made: read("objects.yaml"),
        }
    }

    /// Whether what it refers to is missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.name == "missing-secret"
    }

    pub(crate) fn namespace(&self) -> &str {
        self.registry["metadata"]["namespace"]
            .as_str()
            .expect("a namespace")
    }

    /// Whether the resource cannot run, so that nothing of it is taken over: see differences.yaml.
    pub(crate) fn is_refused(&self) -> bool {
        ["2024", "image-with-newline", "no-database"].contains(&self.name.as_str())
            || self.name.len() > 60
    }
}

/// A case in a cluster.
pub(crate) struct Placed {
    pub(crate) case: Case,
    /// The objects as they were made, with their kinds.
    pub(crate) before: Vec<(Kind, DynamicObject)>,
    /// The bodies that the Go operator sent.
    pub(crate) sent: Vec<Value>,
    pub(crate) registry: DynamicObject,
}

impl Placed {
    /// Does what user and Go operator did.
    pub(crate) async fn place(world: &World, case: Case) -> Self {
        for namespace in namespaces(&case) {
            ensure(&world.client, &namespace).await;
        }
        for object in &case.needed {
            cluster::apply_yaml(&world.client, case.namespace(), &object.to_string())
                .await
                .expect("applied");
        }
        if !case.is_refused() && !case.is_incomplete() {
            supply(&world.client, &case).await;
        }
        let registry = registry(&world.client, &case).await;
        let owner = registry.uid().expect("a uid");
        let sent: Vec<Value> = case
            .made
            .iter()
            .map(|object| body(object, &owner))
            .collect();
        for body in &sent {
            create(&world.client, body).await;
        }
        Self {
            case,
            before: Vec::new(),
            sent,
            registry,
        }
    }

    /// Waits until the cluster has done its part, and remembers what is there. Whether the pods
    /// ran: on plain Kubernetes nobody made the certificate of the Go operator's proxy.
    pub(crate) async fn settle(&mut self, world: &World, ends: Instant) -> bool {
        let mut ran = true;
        for body in &self.sent {
            let (kind, api, name) = place_of(&world.client, body);
            let what = format!("{kind} {name}");
            let object = eventually(&what, Duration::from_secs(30), || async {
                let object = api.get(&name).await.map_err(|error| error.to_string())?;
                let seen = kind != kind::DEPLOYMENT
                    || object
                        .annotations()
                        .contains_key("deployment.kubernetes.io/revision");
                if seen {
                    Ok(object)
                } else {
                    Err("not rolled out".to_owned())
                }
            })
            .await
            .expect("it settles");
            if kind == kind::DEPLOYMENT {
                let left = ends.saturating_duration_since(Instant::now());
                let namespace = object.namespace().unwrap_or_default();
                ran &= cluster::available(&world.client, &namespace, &name, left)
                    .await
                    .is_ok();
            }
            self.before.push((kind, object));
        }
        self.before
            .sort_by_key(|(kind, object)| (kind.kind, object.name_any()));
        ran
    }

    /// Whether our operator is done with it: Available, or refused and told.
    pub(crate) async fn at_rest(&self, world: &World) -> Result<(), String> {
        let now = self.now(world).await;
        let done = conditions(&now.data).any(|condition| {
            condition["type"] == "Available"
                && condition["observedGeneration"] == json!(now.metadata.generation)
                && (condition["status"] == "True"
                    || self.case.is_refused()
                    || self.case.is_incomplete())
        });
        if done {
            Ok(())
        } else {
            Err(now.data["status"]["conditions"].to_string())
        }
    }

    /// The registry as it is.
    pub(crate) async fn now(&self, world: &World) -> DynamicObject {
        let name = self.registry.name_any();
        api_of(&world.client, Some(self.case.namespace()), MODEL_REGISTRY)
            .get(&name)
            .await
            .expect("the registry")
    }
}

/// The kind of a body, and where it is.
pub(crate) fn place_of(client: &Client, body: &Value) -> (Kind, Api<DynamicObject>, String) {
    let kind = *KINDS
        .iter()
        .find(|kind| kind.kind == body["kind"])
        .expect("a known kind");
    let namespace = (kind.scope == Scope::Namespaced)
        .then(|| body["metadata"]["namespace"].as_str())
        .flatten();
    (
        kind,
        api_of(client, namespace, kind),
        body["metadata"]["name"]
            .as_str()
            .expect("a name")
            .to_owned(),
    )
}

fn namespaces(case: &Case) -> std::collections::BTreeSet<String> {
    let made = case
        .made
        .iter()
        .filter_map(|object| object["metadata"]["namespace"].as_str());
    made.chain([case.namespace()])
        .map(ToOwned::to_owned)
        .collect()
}

async fn ensure(client: &Client, name: &str) {
    let yaml =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string();
    cluster::apply_yaml(client, name, &yaml)
        .await
        .expect("a namespace");
    let accounts =
        Api::<k8s_openapi::api::core::v1::ServiceAccount>::namespaced(client.clone(), name);
    eventually(
        "the default service account",
        Duration::from_secs(30),
        || async {
            accounts
                .get("default")
                .await
                .map_err(|error| error.to_string())
        },
    )
    .await
    .expect("an account");
}

/// Makes the keys that the registry refers to. The Go operator did not look for all of them.
async fn supply(client: &Client, case: &Case) {
    let pem = rcgen::generate_simple_self_signed(vec!["db".to_owned()])
        .expect("a certificate")
        .cert
        .pem();
    for database in ["mysql", "postgres"] {
        for (field, reference) in case.registry["spec"][database]
            .as_object()
            .into_iter()
            .flatten()
        {
            let (Some(name), Some(key)) = (reference["name"].as_str(), reference["key"].as_str())
            else {
                continue;
            };
            let (kind, data) = if field.ends_with("ConfigMap") {
                ("ConfigMap", "data")
            } else {
                ("Secret", "stringData")
            };
            if case
                .needed
                .iter()
                .chain(&case.made)
                .any(|object| object["kind"] == kind && object["metadata"]["name"] == name)
            {
                continue;
            }
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, data: {key: pem}});
            // Several fields may name one object, so each key has a manager of its own.
            let object: DynamicObject = serde_json::from_value(object).expect("an object");
            let kind = if kind == "ConfigMap" {
                kind::CONFIG_MAP
            } else {
                kind::SECRET
            };
            let params = PatchParams::apply(&format!("user-{key}")).force();
            api_of(client, Some(case.namespace()), kind)
                .patch(name, &params, &Patch::Apply(&object))
                .await
                .expect("applied");
        }
    }
}

/// The user's resource with the Go operator's finalizer and status.
async fn registry(client: &Client, case: &Case) -> DynamicObject {
    let api = api_of(client, Some(case.namespace()), MODEL_REGISTRY);
    let sent = recorded::sent(&case.registry, "");
    let mut object: DynamicObject = serde_json::from_value(sent).expect("an object");
    let meta = &object.metadata;
    object.metadata = ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        finalizers: meta.finalizers.clone(),
        annotations: meta.annotations.clone(),
        labels: meta.labels.clone(),
        ..ObjectMeta::default()
    };
    let by = |manager: &str| PostParams {
        field_manager: Some(manager.to_owned()),
        dry_run: false,
    };
    let mut created = api
        .create(&by("kubectl"), &object)
        .await
        .expect("the registry");
    created.data["status"] = case.registry["status"].clone();
    for condition in created.data["status"]["conditions"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        condition["lastTransitionTime"] = LONG_AGO.into();
    }
    let name = created.name_any();
    api.replace_status(&name, &by(GO), &created)
        .await
        .expect("the status")
}

/// What the Go operator sent.
fn body(made: &Value, owner: &str) -> Value {
    let mut body = recorded::sent(made, owner);
    body["metadata"]["annotations"][LAST_APPLIED] = "UEsDBBQACAAIAAAAAAAAAA==".into();
    if let Some(meta) = body["metadata"].as_object_mut() {
        meta.remove("finalizers");
    }
    if body["kind"] == "Secret" {
        body["data"]["password"] = "cGFzc3dvcmQ=".into();
    }
    body
}

async fn create(client: &Client, body: &Value) {
    let (kind, api, name) = place_of(client, body);
    let mut object: DynamicObject = serde_json::from_value(body.clone()).expect("an object");
    object.types = Some(kube::core::TypeMeta {
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
    });
    let by_go = PostParams {
        field_manager: Some(GO.to_owned()),
        dry_run: false,
    };
    match api.create(&by_go, &object).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => panic!("{kind} {name}: {error}"),
    }
    let mut theirs = json!({"metadata": {"annotations": {THEIRS.0: THEIRS.1}}});
    if kind == kind::GROUP {
        theirs["users"] = json!(["alice"]);
    }
    api.patch(
        &name,
        &PatchParams {
            field_manager: Some("kubectl-edit".into()),
            ..PatchParams::default()
        },
        &Patch::Merge(theirs),
    )
    .await
    .expect("a foreign annotation");
}

/// ReplicaSets of a namespace.
pub(crate) async fn replica_sets(world: &World, namespace: &str) -> Vec<DynamicObject> {
    let kind = Kind::namespaced("apps", "v1", "ReplicaSet", "replicasets");
    api_of(&world.client, Some(namespace), kind)
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items
}
