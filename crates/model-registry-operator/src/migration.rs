//! What is stored in an old version is stored in the new one, once, by whoever holds the Lease.
//!
//! An object is rewritten by a patch that changes nothing: the API server stores what it reads in
//! another version in today's. When all are rewritten the old version leaves `storedVersions`, so
//! that a definition without it is accepted one day. Whatever interrupts it, the next run passes
//! over what is done already, and writes nothing for it.
//!
//! How far it is says condition `StorageMigrated` of the definition: it is the definition that
//! stores versions, everybody can read it, and the operator may write its status anyway.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, ObjectMeta, PartialObjectMeta, Request};
use kube::{Api, Client, Resource, ResourceExt};
use runtime::operator::Chore;
use serde::Deserialize;
use serde_json::json;

use crate::registry::webhook::DEFINITION_NAME;

/// Objects that are listed at once.
const PAGE: u32 = 100;
/// Condition of the definition.
pub const CONDITION: &str = "StorageMigrated";
/// Field manager of the condition.
const MANAGER: &str = "model-registry-operator-storage-migration";
/// First distance of tries; it doubles up to [`SLOWEST`].
const RETRY: Duration = Duration::from_secs(5);
/// Longest distance of tries.
const SLOWEST: Duration = Duration::from_mins(10);

/// From one version to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// `STORAGE_MIGRATION_SOURCE_VERSION`: the version that should not be stored any more.
    pub source: String,
    /// `STORAGE_MIGRATION_TARGET_VERSION`: the version that is stored.
    pub target: String,
}

/// Why it is not finished.
#[derive(Debug, thiserror::Error)]
enum MigrationError {
    #[error(
        "the definition stores {stored:?}, not {target}; set its storage version, or STORAGE_MIGRATION_TARGET_VERSION"
    )]
    OtherVersion { stored: String, target: String },
    #[error("{count} of {all} resources could not be rewritten, first {first}: {source}")]
    Resources {
        count: usize,
        all: usize,
        first: String,
        source: Box<kube::Error>,
    },
    #[error(
        "the definition changed while resources were rewritten, so they are rewritten once more"
    )]
    Changed,
    #[error(transparent)]
    Api(Box<kube::Error>),
}

impl From<kube::Error> for MigrationError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// A definition without its schemas, which would be most of the process's memory.
#[derive(Deserialize)]
struct Definition {
    metadata: ObjectMeta,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Spec {
    group: String,
    names: Names,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
    plural: String,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    storage: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    stored_versions: Vec<String>,
    conditions: Vec<Told>,
}

/// A condition, as far as it is of interest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    last_transition_time: Option<Time>,
}

impl Definition {
    async fn read(client: &Client) -> kube::Result<Self> {
        let request = Request::new(CustomResourceDefinition::url_path(&(), None))
            .get(DEFINITION_NAME, &GetParams::default())
            .map_err(kube::Error::BuildRequest)?;
        client.request(request).await
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// The version is not stored.
    Nothing,
    /// So many resources were looked at.
    Rewritten(usize),
}

impl Migration {
    /// Reads the variables through `lookup`. `None`, nothing is migrated, when they are equal, as
    /// in the Go operator, or one of them is empty.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let read = |end: &str| {
            let value = lookup(&format!("STORAGE_MIGRATION_{end}_VERSION"))?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let (source, target) = (read("SOURCE")?, read("TARGET")?);
        (source != target).then_some(Self { source, target })
    }

    /// Runs until it is finished.
    #[must_use]
    pub fn chore(self) -> Chore {
        Box::new(move |client| async move { self.finish(client).await }.boxed())
    }

    async fn finish(self, client: Client) {
        let mut wait = RETRY;
        loop {
            match self.run(&client).await {
                Ok(Done::Nothing) => {
                    tracing::debug!(version = self.source, "nothing is stored in this version");
                    return;
                }
                Ok(Done::Rewritten(resources)) => {
                    tracing::info!(
                        resources,
                        from = self.source,
                        to = self.target,
                        "the storage migration is finished"
                    );
                    return;
                }
                Err(error) => {
                    tracing::warn!(
                        %error, again_in_s = wait.as_secs(),
                        "the storage migration is not finished and goes on later"
                    );
                    tell(&client, "False", "Failed", &error.to_string()).await;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(SLOWEST);
        }
    }

    async fn run(&self, client: &Client) -> Result<Done, MigrationError> {
        let definition = Definition::read(client).await?;
        let Status {
            stored_versions,
            conditions,
        } = &definition.status;
        if !stored_versions.contains(&self.source) {
            let told = conditions.iter().find(|told| told.type_ == CONDITION);
            // The last run ended between the two writes, or somebody else did its work.
            if told.is_some_and(|told| told.status != "True") {
                self.tell_done(client).await;
            }
            return Ok(Done::Nothing);
        }
        let versions = &definition.spec.versions;
        let stored = versions.iter().find(|version| version.storage);
        let stored = stored.map_or("", |version| version.name.as_str());
        if stored != self.target {
            return Err(MigrationError::OtherVersion {
                stored: stored.to_owned(),
                target: self.target.clone(),
            });
        }
        tracing::info!(
            from = self.source,
            to = self.target,
            "the storage migration begins"
        );
        let resource = ApiResource {
            group: definition.spec.group.clone(),
            version: self.target.clone(),
            api_version: format!("{}/{}", definition.spec.group, self.target),
            kind: definition.spec.names.kind.clone(),
            plural: definition.spec.names.plural.clone(),
        };
        let all = self.rewrite(client, &resource).await?;
        // Only if the definition is as it was when the rewriting began: another storage version
        // since would make a lie of it.
        let patch = json!([
            {"op": "test", "path": "/metadata/generation", "value": definition.metadata.generation},
            {"op": "test", "path": "/status/storedVersions", "value": stored_versions},
            {"op": "replace", "path": "/status/storedVersions", "value": [self.target]},
        ]);
        let patch: json_patch::Patch =
            serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
        let how = PatchParams::default();
        let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> =
            Api::all(client.clone());
        let patched = definitions
            .patch_status(DEFINITION_NAME, &how, &Patch::<()>::Json(patch))
            .await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 422 => {
                return Err(MigrationError::Changed);
            }
            patched => patched.map(drop)?,
        }
        self.tell_done(client).await;
        Ok(Done::Rewritten(all))
    }

    async fn tell_done(&self, client: &Client) {
        let Self { source, target } = self;
        let message = format!("all resources are stored in {target}, and none in {source}");
        tell(client, "True", "Finished", &message).await;
    }

    /// Rewrites every resource, page by page. One that is gone needs nothing.
    async fn rewrite(
        &self,
        client: &Client,
        resource: &ApiResource,
    ) -> Result<usize, MigrationError> {
        let everywhere = Api::<kube::api::DynamicObject>::all_with(client.clone(), resource);
        let mut page = ListParams::default().limit(PAGE);
        let mut all = 0;
        let mut failed: Vec<(String, kube::Error)> = Vec::new();
        loop {
            let list = everywhere.list_metadata(&page).await?;
            for object in &list.items {
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                let api = Api::<kube::api::DynamicObject>::namespaced_with(
                    client.clone(),
                    &namespace,
                    resource,
                );
                let written = api
                    .patch_metadata(&name, &PatchParams::default(), &Patch::Merge(json!({})))
                    .await;
                all += 1;
                match written {
                    Ok(_) => {}
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    Err(error) => {
                        tracing::warn!(namespace, name, %error, "this resource is not rewritten");
                        failed.push((format!("{namespace}/{name}"), error));
                    }
                }
            }
            let count = failed.len();
            tracing::info!(resources = all, failed = count, "storage migration");
            let left = list.metadata.remaining_item_count.unwrap_or_default();
            let message = format!(
                "{} of about {} resources are rewritten in {}, {count} could not be",
                all - count,
                i64::try_from(all).unwrap_or(i64::MAX).saturating_add(left),
                self.target
            );
            tell(client, "False", "Migrating", &message).await;
            match list.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => page.continue_token = Some(more),
                None => break,
            }
        }
        let count = failed.len();
        match failed.into_iter().next() {
            None => Ok(all),
            Some((first, source)) => Err(MigrationError::Resources {
                count,
                all,
                first,
                source: Box::new(source),
            }),
        }
    }
}

/// Writes the condition. Nothing depends on it: what fails is only logged.
async fn tell(client: &Client, status: &str, reason: &str, message: &str) {
    let now = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
    let before = Definition::read(client).await.ok();
    let since = before
        .into_iter()
        .flat_map(|definition| definition.status.conditions)
        .find(|told| told.type_ == CONDITION && told.status == status)
        .and_then(|told| told.last_transition_time)
        .unwrap_or(now);
    let condition = json!({"type": CONDITION, "status": status, "reason": reason,
        "message": message, "lastTransitionTime": since});
    let body = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": DEFINITION_NAME}, "status": {"conditions": [condition]}});
    let how = PatchParams::apply(MANAGER).force();
    let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
    let patch = Patch::Apply(body);
    if let Err(error) = definitions
        .patch_status(DEFINITION_NAME, &how, &patch)
        .await
    {
        tracing::warn!(%error, condition = CONDITION, "the progress of the storage migration is not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_decide_as_in_the_go_operator() {
        let migration = |source: Option<&str>, target: Option<&str>| {
            Migration::from_lookup(|name| {
                let value = if name == "STORAGE_MIGRATION_SOURCE_VERSION" {
                    source
                } else {
                    target
                };
                value.map(str::to_owned)
            })
        };
        let wanted = Migration {
            source: "v1alpha1".into(),
            target: "v1beta1".into(),
        };
        assert_eq!(migration(Some("v1alpha1"), Some("v1beta1")), Some(wanted));
        assert_eq!(migration(None, None), None);
        assert_eq!(migration(Some(""), Some("")), None);
        assert_eq!(migration(Some("v1beta1"), Some("v1beta1")), None);
        assert_eq!(migration(Some("v1alpha1"), Some("")), None);
    }
}
