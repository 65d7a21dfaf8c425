//! What leads to a server that is not there is taken away: an operator that serves no webhooks, and
//! did before, would be in the way of everybody who writes its resources.

use std::time::Duration;

use futures::FutureExt;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use resources::{Kind, kind::DEFINITION};
use serde_json::{Value, json};

use super::{Keeping, targets::clients};
use crate::operator::Chore;

/// Distance of tries.
const RETRY: Duration = Duration::from_secs(10);

/// Work for whoever holds the Lease, once: webhook configurations that lead to the Service of
/// `keeping` in `namespace` are deleted, and a definition that leads to it converts nothing and
/// serves only what it stores. Where the rights for that are missing, webhooks were never installed
/// and nothing is done.
#[must_use]
pub fn take_back(keeping: Keeping, namespace: String) -> Chore {
    Box::new(move |client| {
        async move {
            for (kind, name) in keeping.targets {
                while let Err(error) = one(&client, *kind, name, keeping, &namespace).await {
                    tracing::warn!(%kind, name, %error, "it leads to a server that is not there, and is taken away later");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        .boxed()
    })
}

async fn one(
    client: &Client,
    kind: Kind,
    name: &str,
    keeping: Keeping,
    namespace: &str,
) -> kube::Result<()> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.into());
    let object = match api.get_opt(name).await {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
        Err(error) => return Err(error),
    };
    let live = serde_json::to_value(&object).map_err(kube::Error::SerdeError)?;
    if clients(kind, &live, keeping.service, namespace).is_empty() {
        return Ok(());
    }
    let done = if kind == DEFINITION {
        let patch: json_patch::Patch =
            serde_json::from_value(unconverted(&live)).map_err(kube::Error::SerdeError)?;
        let how = PatchParams {
            field_manager: Some(keeping.field_manager.to_owned()),
            ..PatchParams::default()
        };
        let patched = api.patch(name, &how, &Patch::<()>::Json(patch)).await;
        patched.map(drop)
    } else {
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.metadata.uid,
                resource_version: object.metadata.resource_version,
            }),
            ..DeleteParams::default()
        };
        api.delete(name, &how).await.map(drop)
    };
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::info!(%kind, name, "it led to webhooks, which are not served any more, and is taken away");
            Ok(())
        }
    }
}

/// Without a converter, a version that is not stored is only relabelled, and what it cannot say is
/// lost: it is not served then.
fn unconverted(definition: &Value) -> Value {
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion",
            "value": definition.pointer("/metadata/resourceVersion")}),
        json!({"op": "replace", "path": "/spec/conversion", "value": {"strategy": "None"}}),
    ];
    let versions = definition
        .pointer("/spec/versions")
        .and_then(Value::as_array);
    for (index, version) in versions.into_iter().flatten().enumerate() {
        if version.get("storage") != Some(&Value::Bool(true)) {
            let served = format!("/spec/versions/{index}/served");
            patch.push(json!({"op": "replace", "path": served, "value": false}));
        }
    }
    patch.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_stored_is_served_without_a_converter() {
        let definition = json!({"metadata": {"resourceVersion": "7"}, "spec": {"versions": [
            {"name": "v2", "storage": true}, {"name": "v1", "storage": false}]}});
        assert_eq!(
            unconverted(&definition),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "replace", "path": "/spec/conversion", "value": {"strategy": "None"}},
                {"op": "replace", "path": "/spec/versions/1/served", "value": false},
            ])
        );
    }
}
