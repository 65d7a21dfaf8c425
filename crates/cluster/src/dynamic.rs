//! Objects without a Rust type: how to reach them, and to wait for what they say.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use crate::{Error, eventually, gone};

/// An `Api` for any kind: in a namespace, or without one for the whole cluster.
pub fn api_of(
    client: &Client,
    namespace: Option<&str>,
    kind: impl Into<ApiResource>,
) -> Api<DynamicObject> {
    let resource = kind.into();
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Waits until an object is as `holds` says; `None` is one that does not exist.
pub async fn until(
    api: &Api<DynamicObject>,
    name: &str,
    limit: Duration,
    holds: impl Fn(Option<&DynamicObject>) -> bool,
) -> Result<Option<DynamicObject>, Error> {
    let what = format!("{}/{name}", api.resource_url());
    eventually(&what, limit, || async {
        let object = api.get_opt(name).await.map_err(|error| error.to_string())?;
        if holds(object.as_ref()) {
            Ok(object)
        } else {
            Err(format!("{object:?}"))
        }
    })
    .await
}

/// Waits until a condition has this status, said of the newest generation, and returns the object.
pub async fn told(
    api: &Api<DynamicObject>,
    name: &str,
    limit: Duration,
    (condition, status): (&str, &str),
) -> Result<DynamicObject, Error> {
    let what = format!("{}/{name} {condition}={status}", api.resource_url());
    eventually(&what, limit, || async {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let generation = object.metadata.generation;
        let is_told = conditions(&object.data).any(|one| {
            one["type"] == condition
                && one["status"] == status
                && one["observedGeneration"].as_i64() == generation
        });
        if is_told {
            Ok(object)
        } else {
            Err(format!("{:?}", object.data.get("status")))
        }
    })
    .await
}

/// Deletes an object and waits until it does not exist.
pub async fn remove(
    api: &Api<DynamicObject>,
    name: &str,
    how: &DeleteParams,
    limit: Duration,
) -> Result<(), Error> {
    api.delete(name, how)
        .await
        .map_err(Error::api(format!("deleting {name}")))?;
    gone(api, name, limit).await
}

/// Name and version of each object, by which a write shows.
pub async fn versions(api: &Api<DynamicObject>) -> Result<Vec<String>, Error> {
    let what = || format!("listing {}", api.resource_url());
    let all = api
        .list(&ListParams::default())
        .await
        .map_err(Error::api(what()))?;
    let version = |object: &DynamicObject| object.resource_version().unwrap_or_default();
    Ok(all
        .iter()
        .map(|object| format!("{} {}", object.name_any(), version(object)))
        .collect())
}

/// The conditions in the status of a resource.
pub fn conditions(resource: &Value) -> impl Iterator<Item = &Value> {
    resource
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
