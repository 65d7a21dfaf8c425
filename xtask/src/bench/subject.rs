//! What is created in crowds, and whose operator is measured with it.

use api::mlflow::v1::MLflow;
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
    /// MLflows with SQLite on a volume, all in the operator's namespace. Their rule that there is one
    /// is switched off.
    Mlflows,
}

/// What is aimed at with resources of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aims {
    /// How many of them race with the bare client.
    pub(crate) crowd: usize,
    /// The most requests from the start of the operator until the first resource rests; `None`
    /// where each object is counted instead.
    pub(crate) requests: Option<usize>,
    /// The most seconds on processors for the crowd.
    pub(crate) cpu_seconds: Option<f64>,
}

impl Subject {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Registries, Self::Services, Self::Mlflows];

    /// So many of them, in words.
    pub(crate) fn counted(self, count: usize) -> String {
        let noun = match (self, count) {
            (Self::Registries, 1) => "registry",
            (Self::Registries, _) => "registries",
            (Self::Services, 1) => "service",
            (Self::Services, _) => "services",
            (Self::Mlflows, 1) => "MLflow",
            (Self::Mlflows, _) => "MLflows",
        };
        format!("{count} {noun}")
    }

    /// The kind.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Registries => ApiResource::erase::<ModelRegistry>(&()),
            Self::Services => ApiResource::erase::<TrustyAIService>(&()),
            Self::Mlflows => ApiResource::erase::<MLflow>(&()),
        }
    }

    /// What is aimed at.
    pub(crate) fn aims(self) -> Aims {
        match self {
            Self::Registries | Self::Services => Aims {
                crowd: 100,
                requests: None,
                cpu_seconds: Some(2.0),
            },
            Self::Mlflows => Aims {
                crowd: 50,
                requests: Some(59),
                cpu_seconds: None,
            },
        }
    }

    /// What is installed of its operator: the least that it can be measured with.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::Registries | Self::Services => "default",
            Self::Mlflows => "overlays/several",
        }
    }

    /// The same with everything switched on. MLflow has no webhooks.
    pub(crate) fn complete_variant(self) -> &'static str {
        match self {
            Self::Registries | Self::Services => "overlays/webhook",
            Self::Mlflows => self.variant(),
        }
    }

    /// What is switched on then, and what else there is at rest.
    pub(crate) fn complete(self) -> (&'static str, &'static str) {
        match self {
            Self::Registries => ("with webhooks", "a catalog"),
            Self::Services => ("with webhooks", "a model wired to each"),
            Self::Mlflows => ("without webhooks", "nothing else"),
        }
    }

    /// What the name of a Deployment has before that of its resource.
    pub(crate) fn deployment_prefix(self) -> &'static str {
        match self {
            Self::Registries | Self::Services => "",
            Self::Mlflows => "mlflow-",
        }
    }

    /// The operator, as `variant` of its manifests installs it.
    pub(crate) fn operator(self, variant: &'static str) -> Operator {
        Operator {
            name: match self {
                Self::Registries => "model-registry-operator",
                Self::Services => "trustyai-operator",
                Self::Mlflows => "mlflow-operator",
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
            Self::Registries | Self::Mlflows => &[],
            Self::Services => &[StandIn::InferenceService],
        }
    }

    /// Where the one of this name is, in a crowd whose names begin with `prefix`; `None` for a kind
    /// that is in no namespace.
    pub(crate) fn namespace(self, prefix: &str, name: &str) -> Option<String> {
        match self {
            Self::Registries => Some(format!("{prefix}registries")),
            Self::Services => Some(name.to_owned()),
            Self::Mlflows => None,
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
            Self::Services | Self::Mlflows => None,
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
            Self::Mlflows => json!({
                "storage": {"size": "5Gi"},
                "backendStoreUri": "sqlite:////mlflow/mlflow.db",
                "serveArtifacts": true,
            }),
        }
    }
}
