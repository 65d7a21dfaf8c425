//! Requests for objects of any kind. Only what the loop needs comes back.

use std::{sync::Arc, time::Duration};

use http::Request;
use kube::{
    Client,
    core::params::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ObjectMeta, request::Request as Build},
};
use resources::{
    Kind, Planned, Scope,
    kind::{CONFIG_MAP, SECRET},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{ownership::creator, shown::Partial};
use crate::outcome::Target;

/// Longest that one request may take, all attempts included.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// Requests of one component at the same time: more make the API server no faster, and every
/// one needs a connection.
const IN_FLIGHT: usize = 16;

/// Requests for objects of any kind, with one field manager.
pub(super) struct Objects {
    client: Client,
    in_flight: Semaphore,
    manager: &'static str,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The server refused, or its answer was no Kubernetes answer.
    #[error("{0}")]
    Kube(#[from] kube::Error),
    /// The request could not be written.
    #[error("the request could not be built: {0}")]
    Build(#[from] kube::core::request::Error),
    /// The body could not be written.
    #[error("the body could not be written: {0}")]
    Body(#[from] serde_json::Error),
    /// No answer in time.
    #[error("no answer within {} s", REQUEST_LIMIT.as_secs())]
    Timeout,
}

impl RequestError {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Kube(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    pub(super) fn is_already_exists(&self) -> bool {
        self.status()
            .is_some_and(kube::core::Status::is_already_exists)
    }

    pub(super) fn is_conflict(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether the server refuses what the object would be then.
    pub(super) fn is_invalid(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_invalid)
    }

    /// Whether somebody else has set a value that was to be applied without force.
    pub(super) fn is_contested(&self) -> bool {
        self.is_conflict()
            && self
                .status()
                .and_then(|status| status.details.as_ref())
                .is_some_and(|details| {
                    let mut causes = details.causes.iter();
                    causes.any(|cause| cause.reason == "FieldManagerConflict")
                })
    }

    /// Whether the operator's role lacks the rule. Quotas, pod security and a namespace that is
    /// being deleted forbid as well, and no role helps against them.
    pub(super) fn is_missing_right(&self) -> bool {
        self.status().is_some_and(is_missing_right)
    }

    /// The server's sentence, without its status code and details.
    pub(super) fn sentence(&self) -> String {
        self.status()
            .map_or_else(|| self.to_string(), |status| status.message.clone())
    }
}

/// What the server answered to a write.
pub(super) struct Written {
    pub(super) meta: ObjectMeta,
    /// The object, for kinds that resources read as inputs: what we wrote is not read again.
    pub(super) whole: Option<Arc<Value>>,
}

type Answer<T> = Result<T, RequestError>;

impl Objects {
    pub(super) fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            in_flight: Semaphore::new(IN_FLIGHT),
            manager,
        }
    }

    /// Creates the object; fails with `AlreadyExists` when the name is taken. `wanted` is the
    /// fingerprint of the body.
    pub(super) async fn create(&self, object: &Planned, wanted: u64) -> Answer<Written> {
        let params = PostParams {
            field_manager: Some(creator(self.manager, wanted)),
            dry_run: false,
        };
        let request = Build::new(collection(object.kind, object.namespace.as_deref()))
            .create(&params, serde_json::to_vec(&object.body)?)?;
        self.write(request, object.kind).await
    }

    /// The whole object, or `None`.
    pub(super) async fn get(&self, target: &Target) -> Answer<Option<Value>> {
        let request = Build::new(collection(target.kind, target.namespace.as_deref()))
            .get(&target.name, &GetParams::default())?;
        match self.send(request).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Applies `body` with force. `version` guards content that was read before.
    pub(super) async fn apply(&self, object: &Planned, version: Option<&str>) -> Answer<Written> {
        let mut body = object.body.clone();
        if let (Some(version), Some(meta)) = (
            version,
            body.get_mut("metadata").and_then(Value::as_object_mut),
        ) {
            meta.insert("resourceVersion".into(), version.into());
        }
        let request = Build::new(collection(object.kind, object.namespace.as_deref())).patch(
            &object.name,
            &PatchParams::apply(self.manager).force(),
            &Patch::Apply(&body),
        )?;
        self.write(request, object.kind).await
    }

    /// Applies fields of somebody else's object for `manager`: what it applied before and is not
    /// in `body` goes.
    pub(super) async fn share(
        &self,
        target: &Target,
        body: &Value,
        manager: &str,
        force: bool,
    ) -> Answer<ObjectMeta> {
        let params = PatchParams {
            force,
            ..PatchParams::apply(manager)
        };
        let request = Build::new(collection(target.kind, target.namespace.as_deref())).patch(
            &target.name,
            &params,
            &Patch::Apply(body),
        )?;
        self.send_for_meta(request).await
    }

    /// Replaces the managed fields of the object, if it still is at `version`.
    pub(super) async fn set_managed_fields(
        &self,
        target: &Target,
        version: &str,
        fields: &Value,
    ) -> Answer<ObjectMeta> {
        let patch: json_patch::Patch = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/metadata/managedFields", "value": fields},
        ]))?;
        let request = Build::new(collection(target.kind, target.namespace.as_deref())).patch(
            &target.name,
            &PatchParams::default(),
            &Patch::Json::<()>(patch),
        )?;
        self.send_for_meta(request).await
    }

    /// Merges `body` into the object, or into its status, and returns the object.
    pub(super) async fn merge<K: DeserializeOwned>(
        &self,
        target: &Target,
        subresource: Option<&str>,
        body: &Value,
    ) -> Answer<K> {
        let params = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let build = Build::new(collection(target.kind, target.namespace.as_deref()));
        let request = match subresource {
            Some(name) => {
                build.patch_subresource(name, &target.name, &params, &Patch::Merge(body))?
            }
            None => build.patch(&target.name, &params, &Patch::Merge(body))?,
        };
        self.send(request).await
    }

    /// Deletes the object with this uid in the background. Gone already, or another one of the
    /// same name by now, counts as done.
    pub(super) async fn delete(&self, target: &Target, uid: &str) -> Answer<()> {
        match self.delete_if(target, uid, None).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            answer => answer,
        }
    }

    /// Deletes the object if it still is at `version`; a conflict otherwise.
    pub(super) async fn delete_at(&self, target: &Target, uid: &str, version: &str) -> Answer<()> {
        self.delete_if(target, uid, Some(version)).await
    }

    async fn delete_if(&self, target: &Target, uid: &str, version: Option<&str>) -> Answer<()> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: version.map(ToOwned::to_owned),
            }),
            ..DeleteParams::background()
        };
        let request = Build::new(collection(target.kind, target.namespace.as_deref()))
            .delete(&target.name, &params)?;
        self.send::<Value>(request).await.map(|_| ())
    }

    async fn write(&self, request: Request<Vec<u8>>, kind: Kind) -> Answer<Written> {
        if kind == SECRET || kind == CONFIG_MAP {
            let mut whole: Value = self.send(request).await?;
            let meta = serde_json::from_value(whole.get("metadata").cloned().unwrap_or_default())?;
            if let Some(meta) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
                meta.remove("managedFields");
            }
            return Ok(Written {
                meta,
                whole: Some(Arc::new(whole)),
            });
        }
        Ok(Written {
            meta: self.send_for_meta(request).await?,
            whole: None,
        })
    }

    async fn send_for_meta(&self, request: Request<Vec<u8>>) -> Answer<ObjectMeta> {
        self.send::<Partial>(request)
            .await
            .map(|answer| answer.metadata)
    }

    async fn send<K: DeserializeOwned>(&self, request: Request<Vec<u8>>) -> Answer<K> {
        // The semaphore is never closed; without a permit the request would only be early.
        let _permit = self.in_flight.acquire().await.ok();
        tokio::time::timeout(REQUEST_LIMIT, self.client.request(request))
            .await
            .map_err(|_| RequestError::Timeout)?
            .map_err(RequestError::from)
    }
}

/// Whether this is the refusal of the RBAC authorizer: `User "x" cannot create resource "y" …`.
pub(super) fn is_missing_right(status: &kube::core::Status) -> bool {
    status.is_forbidden()
        && status.message.contains(" cannot ")
        && status.message.contains(" resource \"")
}

/// URL of the collection that the object is in.
fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let root = if kind.group.is_empty() {
        format!("/api/{}", kind.version)
    } else {
        format!("/apis/{}/{}", kind.group, kind.version)
    };
    match (kind.scope, namespace) {
        (Scope::Namespaced, Some(namespace)) => {
            format!("{root}/namespaces/{namespace}/{}", kind.plural)
        }
        _ => format!("{root}/{}", kind.plural),
    }
}

#[cfg(test)]
mod tests {
    use resources::kind::{CLUSTER_ROLE_BINDING, DEPLOYMENT, SECRET};

    use super::*;

    #[test]
    fn only_the_authorizer_speaks_of_missing_rights() {
        let refused = |message: &str| {
            is_missing_right(&kube::core::Status::failure(message, "Forbidden").with_code(403))
        };
        assert!(refused(
            "secrets \"a\" is forbidden: User \"system:serviceaccount:n:o\" cannot create resource \"secrets\" in API group \"\" in the namespace \"n\""
        ));
        assert!(!refused(
            "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        ));
        assert!(!refused(
            "secrets \"a\" is forbidden: unable to create new content in namespace n because it is being terminated"
        ));
    }

    #[test]
    fn collections_have_the_urls_of_the_api() {
        assert_eq!(
            collection(SECRET, Some("a")),
            "/api/v1/namespaces/a/secrets"
        );
        assert_eq!(
            collection(DEPLOYMENT, Some("a")),
            "/apis/apps/v1/namespaces/a/deployments"
        );
        assert_eq!(
            collection(CLUSTER_ROLE_BINDING, None),
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        );
    }
}
