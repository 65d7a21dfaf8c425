//! A small component: enough of everything that the loop promises.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret},
        rbac::v1::{ClusterRoleBinding, RoleRef},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{CustomResource, Resource, ResourceExt, core::ObjectMeta};
use resources::{
    Change, Edit, Kind, Plan, Planned, Share,
    kind::{CLUSTER_ROLE_BINDING, CONFIG_MAP, SECRET},
};
use runtime::{Attempt, Component, Failure, Identity, Inputs, Next, Owner, Watched};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(CustomResource, Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[kube(
    group = "test.example.org",
    version = "v1",
    kind = "Gadget",
    plural = "gadgets",
    namespaced,
    status = "GadgetStatus"
)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each asks for one more thing to be tested"
)]
pub(crate) struct GadgetSpec {
    pub(crate) value: String,
    pub(crate) second: bool,
    pub(crate) binding: bool,
    pub(crate) input: Option<String>,
    pub(crate) refuse: bool,
    /// A key of somebody else's ConfigMap.
    pub(crate) share: Option<GadgetShare>,
    /// An item of a list in somebody else's ConfigMap.
    pub(crate) item: Option<GadgetItem>,
    /// Says who of its namespace is older.
    pub(crate) only_one: bool,
    /// Stays while there are others in its namespace.
    pub(crate) stays: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GadgetItem {
    pub(crate) name: String,
    pub(crate) item: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GadgetShare {
    pub(crate) name: String,
    /// Of the ConfigMap that is there when empty.
    pub(crate) uid: String,
    pub(crate) value: String,
    pub(crate) overwrite: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GadgetStatus {
    pub(crate) observed_generation: Option<i64>,
    pub(crate) input: Option<String>,
    #[serde(default)]
    pub(crate) foreign: Vec<String>,
    #[serde(default)]
    pub(crate) failed: Vec<String>,
    #[serde(default)]
    pub(crate) contested: Vec<String>,
    pub(crate) failure: Option<String>,
    pub(crate) older: Option<String>,
    #[serde(default)]
    pub(crate) paused: bool,
    #[serde(default)]
    pub(crate) staying: bool,
}

pub(crate) struct Gadgets;

#[derive(Debug, thiserror::Error)]
pub(crate) enum GadgetError {
    #[error("spec.refuse is set")]
    Refused,
    #[error(transparent)]
    Input(#[from] runtime::InputError),
    #[error(transparent)]
    Plan(#[from] resources::PlanError),
}

impl Failure for GadgetError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Refused => "Refused",
            Self::Input(_) => "InputUnavailable",
            Self::Plan(_) => "PlanInvalid",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Input(_) => Next::Retry,
            Self::Refused | Self::Plan(_) => Next::Wait,
        }
    }
}

pub(crate) struct GadgetObservation {
    input: Option<String>,
    share_uid: Option<String>,
    listed: Option<Arc<Value>>,
    older: Option<String>,
}

const LIST: &str = "/data/list";

fn items(config: &Value) -> Vec<&str> {
    let list = config.pointer(LIST).and_then(Value::as_str);
    list.map_or_else(Vec::new, |list| list.split_whitespace().collect())
}

fn add(live: &Value, wanted: &Value) -> Change {
    let item = wanted.as_str().unwrap_or_default();
    let mut all = items(live);
    if all.contains(&item) {
        return Change::Nothing;
    }
    all.push(item);
    Change::Merge(json!({"data": {"list": all.join(" ")}}))
}

fn remove(live: &Value, wanted: &Value) -> Change {
    let mut all = items(live);
    if !all.contains(&wanted.as_str().unwrap_or_default()) {
        return Change::Nothing;
    }
    all.retain(|item| Some(*item) != wanted.as_str());
    if all.is_empty() {
        return Change::Delete;
    }
    Change::Merge(json!({"data": {"list": all.join(" ")}}))
}

fn edit_of(gadget: &Gadget, config: &Value, change: fn(&Value, &Value) -> Change) -> Option<Edit> {
    let item = gadget.spec.item.as_ref()?;
    let wanted = Value::from(item.item.as_str());
    if change(config, &wanted) == Change::Nothing {
        return None;
    }
    Some(Edit {
        kind: CONFIG_MAP,
        namespace: gadget.namespace(),
        name: item.name.clone(),
        uid: config.pointer("/metadata/uid")?.as_str()?.to_owned(),
        wanted,
        change,
    })
}

const OURS: &str = "app.kubernetes.io/created-by=gadget-operator";

const KINDS: &[Watched] = &[
    Watched::owned(CONFIG_MAP, ""),
    Watched::owned(SECRET, OURS),
    Watched::owned(CLUSTER_ROLE_BINDING, OURS),
];

impl Component for Gadgets {
    type Resource = Gadget;
    type Observation = GadgetObservation;
    type Status = GadgetStatus;
    type Error = GadgetError;

    const IDENTITY: Identity = Identity {
        name: "gadget",
        reporter: "gadget-controller",
        field_manager: "gadget-operator",
        predecessors: &["manager"],
        finalizer: "test.example.org/finalizer",
        pause_annotation: "test.example.org/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn shared(&self) -> &[Kind] {
        &[CONFIG_MAP]
    }

    fn owner(&self, _: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        let labels = meta.labels.as_ref()?;
        Some(Owner {
            namespace: labels.get("gadget-namespace").cloned(),
            name: labels.get("gadget")?.clone(),
        })
    }

    async fn observe<I: Inputs>(
        &self,
        gadget: &Gadget,
        inputs: &I,
    ) -> Result<GadgetObservation, GadgetError> {
        let input = match &gadget.spec.input {
            Some(name) => inputs.get(CONFIG_MAP, name).await?,
            None => None,
        };
        let input = input
            .as_ref()
            .and_then(|v| v.pointer("/data/value")?.as_str().map(ToOwned::to_owned));
        let share_uid = match &gadget.spec.share {
            Some(share) if share.uid.is_empty() => {
                let theirs = inputs.get(CONFIG_MAP, &share.name).await?;
                theirs.and_then(|v| v.pointer("/metadata/uid")?.as_str().map(ToOwned::to_owned))
            }
            share => share.as_ref().map(|share| share.uid.clone()),
        };
        let listed = match &gadget.spec.item {
            Some(item) => inputs.get(CONFIG_MAP, &item.name).await?,
            None => None,
        };
        let mut older = Vec::new();
        if gadget.spec.only_one {
            let age = |meta: &ObjectMeta| (meta.creation_timestamp.clone(), meta.uid.clone());
            older = inputs.neighbours();
            older.retain(|other| age(other) < age(&gadget.metadata));
            older.sort_by_key(age);
        }
        Ok(GadgetObservation {
            input,
            share_uid,
            listed,
            older: older.into_iter().next().and_then(|meta| meta.name),
        })
    }

    fn plan(&self, gadget: &Gadget, observation: &GadgetObservation) -> Result<Plan, GadgetError> {
        if gadget.spec.refuse {
            return Err(GadgetError::Refused);
        }
        let mut plan = Plan::default();
        let data = [
            Some(("value".to_owned(), gadget.spec.value.clone())),
            observation
                .input
                .clone()
                .map(|input| ("input".to_owned(), input)),
        ];
        let config = ConfigMap {
            metadata: meta(gadget, &gadget.name_any()),
            data: Some(data.into_iter().flatten().collect()),
            ..ConfigMap::default()
        };
        plan.push(
            Planned::new(CONFIG_MAP, &config)?
                .identified_by([("gadget", gadget.name_any().as_str())]),
        );
        if let (Some(share), Some(uid)) = (&gadget.spec.share, &observation.share_uid) {
            plan.share(Share {
                subject: "value",
                kind: CONFIG_MAP,
                namespace: gadget.namespace(),
                name: share.name.clone(),
                uid: uid.clone(),
                body: json!({"data": {"shared": share.value}}),
                overwrite: share.overwrite,
            });
        }
        let edit = observation.listed.as_ref();
        if let Some(edit) = edit.and_then(|config| edit_of(gadget, config, add)) {
            plan.edit(edit);
        }
        if gadget.spec.second {
            let secret = Secret {
                metadata: meta(gadget, &format!("{}-second", gadget.name_any())),
                ..Secret::default()
            };
            plan.push(Planned::new(SECRET, &secret)?);
        }
        if gadget.spec.binding {
            let mut metadata = meta(gadget, &binding_name(gadget));
            metadata.namespace = None;
            metadata.owner_references = None;
            let binding = ClusterRoleBinding {
                metadata,
                role_ref: RoleRef {
                    api_group: "rbac.authorization.k8s.io".into(),
                    kind: "ClusterRole".into(),
                    name: "view".into(),
                },
                subjects: None,
            };
            let namespace = gadget.namespace().unwrap_or_default();
            plan.push(
                Planned::new(CLUSTER_ROLE_BINDING, &binding)?.identified_by([
                    ("gadget", gadget.name_any().as_str()),
                    ("gadget-namespace", &namespace),
                ]),
            );
        }
        Ok(plan)
    }

    fn stays<I: Inputs>(&self, gadget: &Gadget, inputs: &I) -> bool {
        gadget.spec.stays && !inputs.neighbours().is_empty()
    }

    async fn undo<I: Inputs>(&self, gadget: &Gadget, inputs: &I) -> Result<Vec<Edit>, GadgetError> {
        let Some(item) = &gadget.spec.item else {
            return Ok(Vec::new());
        };
        let config = inputs.get(CONFIG_MAP, &item.name).await?;
        let edit = config.and_then(|config| edit_of(gadget, &config, remove));
        Ok(edit.into_iter().collect())
    }

    fn status<I: Inputs>(
        &self,
        gadget: &Gadget,
        attempt: &Attempt<'_, Self>,
        _: &I,
    ) -> GadgetStatus {
        GadgetStatus {
            observed_generation: gadget.metadata.generation,
            input: attempt.observation.and_then(|o| o.input.clone()),
            foreign: attempt
                .outcome
                .foreign
                .iter()
                .map(ToString::to_string)
                .collect(),
            failed: attempt
                .outcome
                .failed
                .iter()
                .map(|f| f.message.clone())
                .collect(),
            contested: attempt
                .outcome
                .contested
                .iter()
                .map(ToString::to_string)
                .collect(),
            failure: attempt.failure.map(ToString::to_string),
            older: attempt.observation.and_then(|o| o.older.clone()),
            paused: attempt.paused,
            staying: gadget.metadata.deletion_timestamp.is_some(),
        }
    }
}

pub(crate) fn binding_name(gadget: &Gadget) -> String {
    format!(
        "{}-{}",
        gadget.namespace().unwrap_or_default(),
        gadget.name_any()
    )
}

pub(crate) fn meta(gadget: &Gadget, name: &str) -> ObjectMeta {
    let labels = BTreeMap::from([
        (
            "app.kubernetes.io/created-by".to_owned(),
            "gadget-operator".to_owned(),
        ),
        ("gadget".to_owned(), gadget.name_any()),
        (
            "gadget-namespace".to_owned(),
            gadget.namespace().unwrap_or_default(),
        ),
    ]);
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: gadget.namespace(),
        labels: Some(labels),
        owner_references: Some(vec![OwnerReference {
            controller: Some(true),
            block_owner_deletion: Some(true),
            ..gadget.owner_ref(&()).unwrap_or_default()
        }]),
        ..ObjectMeta::default()
    }
}
