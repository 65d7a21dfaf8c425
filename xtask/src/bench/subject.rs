//! What is created in crowds, and whose operator is measured with it.

use api::modelregistry::v1beta1::ModelRegistry;
use api::trustyai::v1::TrustyAIService;
use cluster::StandIn;
use kube::api::ApiResource;
use serde::Serialize;
use serde_json::{Value, json};

use crate::operator::Operator;

/// Resources of one kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// Model registries with a given Postgres and a proxy, all in one namespace.
    Registries,
    /// TrustyAI services with their data in a volume, each in a namespace of its own: of two in one
    /// namespace, the older one has the models.
    Services,
}

impl Subject {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Registries, Self::Services];

    /// So many of them, in words.
    pub(crate) fn counted(self, count: usize) -> String {
        let noun = match (self, count) {
            (Self::Registries, 1) => "registry",
            (Self::Registries, _) => "registries",
            (Self::Services, 1) => "service",
            (Self::Services, _) => "services",
        };
        format!("{count} {noun}")
    }

    /// The kind.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Registries => ApiResource::erase::<ModelRegistry>(&()),
            Self::Services => ApiResource::erase::<TrustyAIService>(&()),
        }
    }

    /// The operator, as `variant` of its manifests installs it.
    pub(crate) fn operator(self, variant: &'static str) -> Operator {
        Operator {
            name: match self {
                Self::Registries => "model-registry-operator",
                Self::Services => "trustyai-operator",
            },
            variant,
            flags: &[
                "--metrics-bind-address=127.0.0.1:0",
                "--health-probe-bind-address=127.0.0.1:0",
                "--max-concurrent-reconciles=16",
            ],
        }
    }

    /// APIs that a cluster has for them, beside those of its platform.
    pub(crate) fn apis(self) -> &'static [StandIn] {
        match self {
            Self::Registries => &[],
            Self::Services => &[StandIn::InferenceService],
        }
    }

    /// Where the one of this name is, in a crowd whose names begin with `prefix`.
    pub(crate) fn namespace(self, prefix: &str, name: &str) -> String {
        match self {
            Self::Registries => format!("{prefix}registries"),
            Self::Services => name.to_owned(),
        }
    }

    /// What must be there before the one of this name.
    pub(crate) fn input(self, name: &str) -> Option<Value> {
        match self {
            Self::Registries => Some(json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": format!("{name}-database")},
                "stringData": {"database-password": "bench"},
            })),
            Self::Services => None,
        }
    }

    /// What the one of this name is to be.
    pub(crate) fn spec(self, name: &str) -> Value {
        match self {
            Self::Registries => json!({
                "rest": {},
                "kubeRBACProxy": {},
                "postgres": {
                    "host": "db.example.test", "port": 5432,
                    "username": "registry", "database": "registry",
                    "passwordSecret": {
                        "name": format!("{name}-database"), "key": "database-password",
                    },
                },
            }),
            Self::Services => json!({
                "storage": {"format": "PVC", "folder": "/inputs", "size": "1Gi"},
                "data": {"filename": "data.csv", "format": "CSV"},
                "metrics": {"schedule": "5s"},
            }),
        }
    }
}
