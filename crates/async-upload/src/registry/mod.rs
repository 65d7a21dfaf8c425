//! What a run registers, and when.
//!
//! Nothing is created before the model is in its destination, so a failed copy leaves nothing
//! behind. What is created carries a mark. A pod that comes after one that was killed finds the mark
//! and goes on; what has another mark, or none, is somebody else's and an error.

mod client;
pub(crate) mod properties;

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use self::client::{Client, Created, Entity};
use self::properties::Properties;
use crate::config::{Intent, ModelRegistry, New};
use crate::failure::{Failure, Patience};

/// The custom property that holds the mark.
pub const MARK: &str = "async_upload_job";

/// The custom property that holds the digest of the image.
pub const DIGEST: &str = "image_digest";

/// The states that a run sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Live,
    Abandoned,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Live => "LIVE",
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// What was registered, by id. What is not known is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The registered model.
    pub model: Option<String>,
    /// The version.
    pub version: Option<String>,
    /// The artifact.
    pub artifact: Option<String>,
}

/// Registers one model.
#[derive(Debug)]
pub struct Registrar {
    client: Client,
    intent: Intent,
    mark: String,
    patience: Patience,
    /// A change of the artifact was asked for.
    touched: AtomicBool,
}

impl Registrar {
    /// Asks nothing yet.
    pub fn new(registry: &ModelRegistry, intent: Intent, retries: u32) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(registry)?,
            intent,
            mark: registry.mark.clone(),
            patience: Patience { retries },
            touched: AtomicBool::new(false),
        })
    }

    /// Learns whether the registry can be asked and the intent be carried out. Changes nothing.
    pub async fn look(&self) -> Result<(), Failure> {
        self.probe().await?;
        match &self.intent {
            Intent::CreateModel { model, .. } => {
                let found = self.model_by_name(&model.name).await?;
                found.map_or(Ok(()), |found| self.own_model(&model.name, &found))
            }
            Intent::CreateVersion {
                model_id, version, ..
            } => {
                let model = self.model(model_id).await?;
                let found = self.version_by_name(&version.name, model_id).await?;
                found.map_or(Ok(()), |found| {
                    self.own_version(&version.name, &model, &found)
                })
            }
            // Whether it is there shows when its state is set.
            Intent::UpdateArtifact { .. } => Ok(()),
        }
    }

    /// An artifact that is to be updated becomes PENDING.
    pub async fn begin(&self) -> Result<(), Failure> {
        let Intent::UpdateArtifact { artifact_id, .. } = &self.intent else {
            return Ok(());
        };
        let (fields, properties) = (Entity::new(), Properties::new());
        self.set(artifact_id, State::Pending, fields, properties)
            .await
            .map(drop)
    }

    /// Registers what arrived at `uri`. Doing it twice registers it once.
    pub async fn finish(&self, uri: &str, digest: Option<&str>) -> Result<Ids, Failure> {
        let known = digest
            .map(|digest| (DIGEST.to_owned(), properties::string(digest)))
            .into_iter()
            .collect::<Properties>();
        match &self.intent {
            Intent::CreateModel {
                model,
                version,
                artifact,
            } => {
                let body = self.body(model, &[("owner", "owner")], json!({"state": "LIVE"}));
                let found = self.ensure_model(&model.name, &body).await?;
                self.finish_version(&found, version, artifact, uri, &known)
                    .await
            }
            Intent::CreateVersion {
                model_id,
                version,
                artifact,
            } => {
                let model = self.model(model_id).await?;
                self.finish_version(&model, version, artifact, uri, &known)
                    .await
            }
            Intent::UpdateArtifact {
                artifact_id,
                version_id,
                model_id,
            } => {
                let fields = object(json!({"uri": uri}));
                self.set(artifact_id, State::Live, fields, known).await?;
                Ok(Ids {
                    model: model_id.clone(),
                    version: version_id.clone(),
                    artifact: Some(artifact_id.clone()),
                })
            }
        }
    }

    /// Says that the run has failed or was stopped. Only an artifact that was PENDING can be
    /// waiting for it; anything else is created when nothing is left that could fail. What this run
    /// has not touched stays as it is.
    pub async fn abandon(&self) -> Result<(), Failure> {
        let Intent::UpdateArtifact { artifact_id, .. } = &self.intent else {
            return Ok(());
        };
        if !self.touched.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.set(
            artifact_id,
            State::Abandoned,
            Entity::new(),
            Properties::new(),
        )
        .await
        .map(drop)
    }

    async fn finish_version(
        &self,
        model: &Entity,
        version: &New,
        artifact: &New,
        uri: &str,
        known: &Properties,
    ) -> Result<Ids, Failure> {
        let model_id = id(model)?;
        let body = self.body(
            version,
            &[("author", "author")],
            json!({"state": "LIVE", "registeredModelId": model_id}),
        );
        let version = self.ensure_version(&version.name, model, &body).await?;
        let version_id = id(&version)?;
        let mut named = artifact.clone();
        if named.name.is_empty() {
            named.name = text(model, "name").to_owned();
        }
        let fixed = json!({
            "artifactType": "model-artifact",
            "state": State::Live.as_str(),
            "uri": uri,
        });
        let mut body = self.body(&named, ARTIFACT_FIELDS, fixed);
        if let Some(Value::Object(properties)) = body.get_mut("customProperties") {
            properties.extend(known.clone());
        }
        let artifact_id = self
            .ensure_artifact(&named.name, &version_id, &body, known)
            .await?;
        Ok(Ids {
            model: Some(model_id),
            version: Some(version_id),
            artifact: Some(artifact_id),
        })
    }

    async fn ensure_model(&self, name: &str, body: &Entity) -> Result<Entity, Failure> {
        self.retry("registering the model", || async {
            if let Some(found) = self
                .client
                .find("registered_model", &[("name", name)])
                .await?
            {
                return self.own_model(name, &found).map(|()| found);
            }
            created(self.client.create("registered_models", body).await?)
        })
        .await
    }

    async fn ensure_version(
        &self,
        name: &str,
        model: &Entity,
        body: &Entity,
    ) -> Result<Entity, Failure> {
        let model_id = id(model)?;
        let query = [("name", name), ("parentResourceId", model_id.as_str())];
        self.retry("registering the version", || async {
            if let Some(found) = self.client.find("model_version", &query).await? {
                return self.own_version(name, model, &found).map(|()| found);
            }
            created(self.client.create("model_versions", body).await?)
        })
        .await
    }

    /// An artifact that is there already may tell of an earlier content: it is brought up to date.
    async fn ensure_artifact(
        &self,
        name: &str,
        version_id: &str,
        body: &Entity,
        known: &Properties,
    ) -> Result<String, Failure> {
        let query = [("name", name), ("parentResourceId", version_id)];
        let path = format!("model_versions/{version_id}/artifacts");
        let (found, is_new) = self
            .retry("registering the artifact", || async {
                if let Some(found) = self.client.find("model_artifact", &query).await? {
                    if !self.is_ours(&found) {
                        return Err(Failure::lasting(
                            format!(
                                "the version has an artifact '{name}' that this Job did not make"
                            ),
                            "Use the 'update_artifact' intent, or another ModelArtifact.name",
                        ));
                    }
                    return Ok((found, false));
                }
                created(self.client.create(&path, body).await?).map(|made| (made, true))
            })
            .await?;
        let artifact_id = id(&found)?;
        if !is_new {
            let fields = object(json!({"uri": body.get("uri")}));
            self.set(&artifact_id, State::Live, fields, known.clone())
                .await?;
        }
        Ok(artifact_id)
    }

    /// Sets the state and some fields of an artifact. The state is always sent, because a PATCH
    /// without it resets it. Properties are sent only where there are new ones or where the server
    /// could not keep the old ones; then all of them, because they replace the old.
    async fn set(
        &self,
        artifact_id: &str,
        state: State,
        fields: Entity,
        new: Properties,
    ) -> Result<Entity, Failure> {
        let path = format!("model_artifacts/{artifact_id}");
        let what = format!("setting artifact {artifact_id} to {}", state.as_str());
        self.retry(&what, || async {
            let Some(stored) = self.client.find(&path, &[]).await? else {
                return Err(Failure::lasting(
                    format!("Artifact {artifact_id} not found"),
                    "Correct --model-artifact-id",
                ));
            };
            let none = Properties::new();
            let stored = match stored.get("customProperties") {
                Some(Value::Object(properties)) => properties,
                _ => &none,
            };
            let mut body = fields.clone();
            body.insert("state".to_owned(), json!(state.as_str()));
            if !new.is_empty() || properties::must_be_sent_again(stored) {
                let mut all = properties::to_send(stored);
                all.extend(new.clone());
                body.insert("customProperties".to_owned(), Value::Object(all));
            }
            // It may have another state from here on, even if no answer comes.
            let before = self.touched.swap(true, Ordering::Relaxed);
            let changed = self.client.change(&path, &body).await;
            if changed.as_ref().is_err_and(|failure| !failure.retriable) {
                self.touched.store(before, Ordering::Relaxed);
            }
            changed
        })
        .await
    }

    async fn probe(&self) -> Result<(), Failure> {
        let query = [("pageSize", "1"), ("sortOrder", "ASC")];
        self.retry("asking the model registry", || async {
            let found = self.client.find("registered_models", &query).await?;
            found.map(drop).ok_or_else(|| {
                Failure::lasting(
                    format!("{} is no model registry: 404", self.client.address()),
                    "Correct --registry-server-address, its path included",
                )
            })
        })
        .await
    }

    async fn model(&self, model_id: &str) -> Result<Entity, Failure> {
        let path = format!("registered_models/{model_id}");
        let found = self
            .retry("asking for the model", || self.client.find(&path, &[]))
            .await?;
        found.ok_or_else(|| {
            Failure::lasting(
                format!(
                    "Cannot create version: RegisteredModel with ID '{model_id}' not found. Use \
                     'create_model' to make one"
                ),
                "Correct --model-id or change --model-upload-intent",
            )
        })
    }

    async fn model_by_name(&self, name: &str) -> Result<Option<Entity>, Failure> {
        let query = [("name", name)];
        self.retry("asking for the model", || {
            self.client.find("registered_model", &query)
        })
        .await
    }

    async fn version_by_name(&self, name: &str, model_id: &str) -> Result<Option<Entity>, Failure> {
        let query = [("name", name), ("parentResourceId", model_id)];
        self.retry("asking for the version", || {
            self.client.find("model_version", &query)
        })
        .await
    }

    fn own_model(&self, name: &str, found: &Entity) -> Result<(), Failure> {
        if self.is_ours(found) {
            return Ok(());
        }
        Err(Failure::lasting(
            format!(
                "Cannot create model: RegisteredModel with name '{name}' already exists. Use \
                 'create_version' intent to add a version to it"
            ),
            "Change --model-upload-intent or RegisteredModel.name",
        ))
    }

    fn own_version(&self, name: &str, model: &Entity, found: &Entity) -> Result<(), Failure> {
        if self.is_ours(found) {
            return Ok(());
        }
        Err(Failure::lasting(
            format!(
                "Cannot create version: ModelVersion with name '{name}' already exists under \
                 RegisteredModel '{}' (ID: {}). Use 'update_artifact' intent to change its artifact",
                text(model, "name"),
                text(model, "id"),
            ),
            "Change --model-upload-intent or ModelVersion.name",
        ))
    }

    fn is_ours(&self, found: &Entity) -> bool {
        found
            .get("customProperties")
            .and_then(|properties| properties.get(MARK))
            .and_then(properties::text)
            == Some(&self.mark)
    }

    /// The body of a creation: what is always said, what the metadata says, and the mark.
    fn body(&self, new: &New, fields: &[(&str, &str)], always: Value) -> Entity {
        let mut body = object(always);
        body.insert("name".to_owned(), json!(new.name));
        for (key, field) in fields.iter().chain(&[("description", "description")]) {
            if let Some(value) = new.rest.get(key) {
                body.insert((*field).to_owned(), json!(value));
            }
        }
        let mut properties = new.rest.properties.clone();
        properties.insert(MARK.to_owned(), properties::string(&self.mark));
        body.insert("customProperties".to_owned(), Value::Object(properties));
        body
    }

    async fn retry<T, F, Fut>(&self, what: &str, attempt: F) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.patience.retry(what, attempt).await
    }
}

/// Keys of the metadata and the fields of an artifact that they become.
const ARTIFACT_FIELDS: &[(&str, &str)] = &[
    ("model_format_name", "modelFormatName"),
    ("model_format_version", "modelFormatVersion"),
    ("storage_key", "storageKey"),
    ("storage_path", "storagePath"),
    ("service_account_name", "serviceAccountName"),
    ("model_source_kind", "modelSourceKind"),
    ("model_source_class", "modelSourceClass"),
    ("model_source_group", "modelSourceGroup"),
    ("model_source_id", "modelSourceId"),
    ("model_source_name", "modelSourceName"),
];

/// A conflict means that something has come to be since the look before it. Another attempt looks
/// again and sees whose it is.
fn created(outcome: Created) -> Result<Entity, Failure> {
    match outcome {
        Created::New(entity) => Ok(entity),
        Created::Conflict(cause) => Err(Failure::passing(cause)),
    }
}

fn object(value: Value) -> Entity {
    match value {
        Value::Object(map) => map,
        _ => Entity::new(),
    }
}

fn text<'a>(entity: &'a Entity, field: &str) -> &'a str {
    entity
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn id(entity: &Entity) -> Result<String, Failure> {
    match text(entity, "id") {
        "" => Err(Failure::lasting(
            "the model registry answered without an id",
            "Check --registry-server-address",
        )),
        id => Ok(id.to_owned()),
    }
}
