//! What tests and tasks do to a cluster, whichever it is.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Api, Client, Resource, ResourceExt as _};

use crate::Error;

/// The field manager of what tests apply.
const MANAGER: &str = "tests";
/// A new kind is served within this time, on a busy machine too.
const SERVED: Duration = Duration::from_mins(1);

/// Asks `probe` every 50 ms until it answers `Ok`, for at most `limit`. What it answered last is in
/// the error.
pub async fn eventually<T, F>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return Ok(value),
            Err(last) if started.elapsed() >= limit => {
                let last = if last.is_empty() {
                    last
                } else {
                    format!("; last: {last}")
                };
                return Err(Error::Timeout {
                    what: what.to_owned(),
                    seconds: limit.as_secs(),
                    last,
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits until a Deployment is rolled out: seen in its newest generation, every replica new and
/// available, none of an old one left.
pub async fn available(
    client: &Client,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> Result<Deployment, Error> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    eventually(
        &format!("Deployment {namespace}/{name} available"),
        limit,
        || async {
            let deployment = api.get(name).await.map_err(|error| error.to_string())?;
            let wanted = deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1);
            let status = deployment.status.clone().unwrap_or_default();
            let done = status.observed_generation == deployment.metadata.generation
                && status.replicas.unwrap_or(0) == wanted
                && status.updated_replicas.unwrap_or(0) == wanted
                && status.available_replicas.unwrap_or(0) == wanted;
            if done {
                Ok(deployment)
            } else {
                Err(format!("{status:?}"))
            }
        },
    )
    .await
}

/// Waits until an object does not exist.
pub async fn gone<K>(api: &Api<K>, name: &str, limit: Duration) -> Result<(), Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    eventually(&format!("deletion of {name}"), limit, || async {
        match api.get_opt(name).await {
            Ok(None) => Ok(()),
            Ok(Some(object)) => Err(format!("finalizers {:?}", object.meta().finalizers)),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Creates a namespace `PREFIX-xxxxx` and waits until pods can be made in it.
pub async fn create_namespace(client: &Client, prefix: &str) -> Result<String, Error> {
    let namespace = Namespace {
        metadata: ObjectMeta {
            generate_name: Some(format!("{prefix}-")),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let created = Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .map_err(Error::api(format!("creating a namespace {prefix}-…")))?;
    let name = created.name_any();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &name);
    eventually(
        &format!("service account {name}/default"),
        Duration::from_secs(20),
        || async {
            accounts
                .get("default")
                .await
                .map_err(|error| error.to_string())
        },
    )
    .await?;
    Ok(name)
}

/// The objects of a YAML text of several documents; empty documents are left out.
pub fn objects(yaml: &str) -> Result<Vec<DynamicObject>, Error> {
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(yaml).map_err(|error| Error::Yaml(error.to_string()))?;
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .map(|document| {
            serde_json::from_value(document).map_err(|error| Error::Yaml(error.to_string()))
        })
        .collect()
}

/// Applies every document of a YAML text, server-side and by force. `namespace` is for those that
/// name none. A `CustomResourceDefinition` is waited for until it is served.
pub async fn apply_yaml(
    client: &Client,
    namespace: &str,
    yaml: &str,
) -> Result<Vec<DynamicObject>, Error> {
    let mut applied = Vec::new();
    for object in objects(yaml)? {
        applied.push(apply(client, namespace, &object).await?);
    }
    Ok(applied)
}

/// Asks again while the answer is `too_early` for a kind that is new.
async fn once_served<T, F>(
    too_early: impl Fn(&kube::Error) -> bool,
    mut request: impl FnMut() -> F,
) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    let started = Instant::now();
    loop {
        match request().await {
            Err(error) if too_early(&error) && started.elapsed() < SERVED => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}

/// Whether no handler answered: there is no such path, yet.
fn is_unhandled(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 404 && status.message.contains("page not found"))
}

/// Applies one object, server-side and by force; see [`apply_yaml`].
pub async fn apply(
    client: &Client,
    namespace: &str,
    object: &DynamicObject,
) -> Result<DynamicObject, Error> {
    let name = object.name_any();
    let types = object.types.clone().unwrap_or_default();
    let what = format!("applying {} {name}", types.kind);
    let gvk = GroupVersionKind::try_from(&types).map_err(|error| Error::Yaml(error.to_string()))?;
    // A group that has two new kinds lists the second a moment after the first, and a group that is
    // new itself is not there for a moment.
    let unlisted =
        |error: &kube::Error| matches!(error, kube::Error::Discovery(_)) || is_unhandled(error);
    let (resource, capabilities) = once_served(unlisted, || discovery::pinned_kind(client, &gvk))
        .await
        .map_err(Error::api(what.clone()))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    let params = PatchParams::apply(MANAGER).force();
    // Discovery lists a new kind a moment before its handler answers.
    let patch = Patch::Apply(object);
    let applied = once_served(is_unhandled, || api.patch(&name, &params, &patch))
        .await
        .map_err(Error::api(what))?;
    if types.kind == "CustomResourceDefinition" {
        eventually(
            &format!("CustomResourceDefinition {name} served"),
            SERVED,
            || async {
                let crd = api.get(&name).await.map_err(|error| error.to_string())?;
                let conditions = crd
                    .data
                    .pointer("/status/conditions")
                    .and_then(|list| list.as_array());
                let established = conditions.into_iter().flatten().any(|condition| {
                    condition["type"] == "Established" && condition["status"] == "True"
                });
                if established {
                    Ok(())
                } else {
                    Err(format!("{:?}", crd.data.get("status")))
                }
            },
        )
        .await?;
    }
    Ok(applied)
}
