//! What the resources of the platform's modules have in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A condition in the form of the platform's modules.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModuleCondition {
    /// Name of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Info` for what is no error; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// When the status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Of an earlier time; never set, and kept where the platform set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<Time>,
    /// Generation of the resource that the condition speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What [`ModuleCondition::severity`] says of a condition that is no error.
const INFO: &str = "Info";

impl ModuleCondition {
    /// As the platform's modules write a condition that is an error, or is `harmless`.
    #[must_use]
    pub fn told(condition: Condition, harmless: bool) -> Self {
        Self {
            type_: condition.type_,
            status: condition.status,
            reason: Some(condition.reason),
            message: Some(condition.message).filter(|message| !message.is_empty()),
            severity: harmless.then(|| INFO.to_owned()),
            last_transition_time: Some(condition.last_transition_time),
            last_heartbeat_time: None,
            observed_generation: condition.observed_generation,
        }
    }

    /// As Kubernetes writes a condition; where nobody said since when, it is since `now`.
    #[must_use]
    pub fn to_condition(&self, now: Time) -> Condition {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Condition {
            type_: self.type_.clone(),
            status: self.status.clone(),
            reason: text(&self.reason),
            message: text(&self.message),
            observed_generation: self.observed_generation,
            last_transition_time: self.last_transition_time.clone().unwrap_or(now),
        }
    }
}

/// Name of the platform's own release.
const PLATFORM: &str = "platform";

/// What runs, in which version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Release {
    /// Which program.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
}

impl Release {
    /// Program `name` in `version`.
    #[must_use]
    pub fn of(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            repo_url: None,
        }
    }

    /// The platform itself.
    #[must_use]
    pub fn platform(version: &str) -> Self {
        Self::of(PLATFORM, version)
    }

    /// Whether it is the platform itself.
    #[must_use]
    pub fn is_platform(&self) -> bool {
        self.name == PLATFORM
    }
}

/// The platform's own form: there are more fields than in Kubernetes' type, and fewer are required.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "One aspect of the state of the resource.",
            "type": "object",
            "required": ["status", "type"],
            "properties": {
                "lastHeartbeatTime": {
                    "description": "Of an earlier time; never set.",
                    "type": "string",
                    "format": "date-time",
                },
                "lastTransitionTime": {
                    "description": "When the status changed last.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "Why, for people.",
                    "type": "string",
                },
                "observedGeneration": {
                    "description": "Generation of the resource that the condition speaks of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "Why, for programs.",
                    "type": "string",
                },
                "severity": {
                    "description": "`Info` for what is no error; empty otherwise.",
                    "type": "string",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "Name of the condition.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}

/// One release of each name.
pub(crate) fn releases(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "description": "What runs, in which version.",
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"description": "Which program.", "type": "string"},
                "repoUrl": {"description": "Where its source is.", "type": "string"},
                "version": {"description": "Its version.", "type": "string"},
            },
        },
    })
}
