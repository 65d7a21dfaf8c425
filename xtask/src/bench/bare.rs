//! The floor: a client that knows what to send, and sends it. It creates the resources and then
//! the objects that the operator made of them, as recorded, under other names.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use cluster::Record;
use kube::Client;
use serde_json::Value;

use super::count::is_creation;
use super::crowd::{self, Crowd, OPERATED, PLAIN};

/// Creations to send again, by resource, in their first order.
pub(crate) struct Recording(BTreeMap<String, Vec<Creation>>);

#[derive(Debug, PartialEq)]
struct Creation {
    path: String,
    body: Value,
}

impl Recording {
    /// The creations of these requests, for resources of [`PLAIN`] in place of [`OPERATED`].
    pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut creations = BTreeMap::<String, Vec<Creation>>::new();
        for record in records.into_iter().filter(|record| is_creation(record)) {
            let Some((resource, creation)) = creation(record) else {
                continue;
            };
            creations.entry(resource).or_default().push(creation);
        }
        Self(creations)
    }

    /// How many objects there are.
    pub(crate) fn objects(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Creates one resource and then what belongs to it. `user` creates the resource: the operator,
    /// as which `client` asks, may not.
    pub(crate) async fn replay(
        &self,
        user: &Client,
        client: &Client,
        crowd: &Crowd,
        number: usize,
    ) -> Result<()> {
        let uid = crowd.create(user, number).await?;
        let kind = crowd.subject.resource().kind;
        for creation in self.0.get(&crowd.name(number)).into_iter().flatten() {
            let mut body = creation.body.clone();
            own(&mut body, &kind, &uid);
            let request = http::Request::post(&creation.path)
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(serde_json::to_vec(&body)?)?;
            client
                .request_text(request)
                .await
                .with_context(|| format!("POST {}", creation.path))?;
        }
        Ok(())
    }
}

/// A creation with the names of the other crowd, and the resource that it is for.
fn creation(record: &Record) -> Option<(String, Creation)> {
    let rename = |text: &str| text.replace(OPERATED, PLAIN);
    let path = record.uri.split('?').next()?;
    let path = match record.verb.as_str() {
        // An apply names the object, a POST its collection.
        "patch" => path.rsplit_once('/')?.0,
        _ => path,
    };
    let body = rename(&record.body.as_ref()?.to_string());
    let resource = crowd::numbered(&rename(&record.name), PLAIN)
        .or_else(|| crowd::numbered(&body, PLAIN))?
        .to_owned();
    let creation = Creation {
        path: rename(path),
        body: serde_json::from_str(&body).ok()?,
    };
    Some((resource, creation))
}

/// Points owner references to the resource that exists, else the objects are collected at once.
fn own(body: &mut Value, kind: &str, uid: &str) {
    let owners = body
        .pointer_mut("/metadata/ownerReferences")
        .and_then(Value::as_array_mut);
    for owner in owners.into_iter().flatten() {
        if let Some(owner) = owner.as_object_mut()
            && owner.get("kind").is_some_and(|of| of == kind)
        {
            owner.insert("uid".to_owned(), uid.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::count::tests::records;

    #[test]
    fn creations_are_renamed_and_kept_in_order_by_resource() {
        let mut log = records(
            "create /services bench-002 201
             create /secrets bench-002-kube-rbac-proxy 409
             patch apps/deployments bench-002 201
             create rbac.authorization.k8s.io/clusterrolebindings proxies 201",
        );
        let uris = [
            "/api/v1/namespaces/bench-registries/services?fieldManager=a",
            "/api/v1/namespaces/bench-registries/secrets",
            "/apis/apps/v1/namespaces/bench-registries/deployments/bench-002?force=true",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        ];
        for (record, uri) in log.iter_mut().zip(uris) {
            record.uri = uri.to_owned();
            record.body = Some(json!({"metadata": {"labels": {"app": "bench-002"}}}));
        }
        let recording = Recording::of(&log);
        assert_eq!(recording.objects(), 3);
        let made = &recording.0["plain-002"];
        let paths: Vec<&str> = made.iter().map(|creation| creation.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/plain-registries/services",
                "/apis/apps/v1/namespaces/plain-registries/deployments",
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            ]
        );
        assert_eq!(
            made[2].body,
            json!({"metadata": {"labels": {"app": "plain-002"}}})
        );
    }

    #[test]
    fn only_the_resource_is_replaced_as_an_owner() {
        let mut body = json!({"metadata": {"ownerReferences": [
            {"kind": "ModelRegistry", "uid": "old"}, {"kind": "Deployment", "uid": "other"},
        ]}});
        own(&mut body, "ModelRegistry", "new");
        let owners = &body["metadata"]["ownerReferences"];
        assert_eq!(
            (&owners[0]["uid"], &owners[1]["uid"]),
            (&json!("new"), &json!("other"))
        );
    }
}
