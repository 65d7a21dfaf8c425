//! Which MLflow is deployed, and what is needed beside it.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::LOCAL;

/// Where rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Database {
    /// On the volume
    Sqlite,
    /// In a PostgreSQL beside it
    Postgres,
}

/// Where artifacts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Artifacts {
    /// On the volume
    File,
    /// In a SeaweedFS beside it
    S3,
}

/// What is deployed.
#[derive(Args, Clone, Debug)]
pub(super) struct What {
    /// Where runs and experiments are kept
    #[arg(long, env = "BACKEND_STORE", value_enum, default_value = "sqlite")]
    backend_store: Database,
    /// Where registered models are kept
    #[arg(long, env = "REGISTRY_STORE", value_enum, default_value = "sqlite")]
    registry_store: Database,
    /// Where artifacts are kept
    #[arg(long, env = "ARTIFACT_STORAGE", value_enum, default_value = "file")]
    artifact_storage: Artifacts,
    /// Whether artifacts pass through the server
    #[arg(
        long,
        env = "SERVE_ARTIFACTS",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    serve_artifacts: bool,
    /// Image of MLflow; the operator's own choice if unset
    #[arg(long, env = "MLFLOW_IMAGE")]
    pub(super) mlflow_image: Option<String>,
}

impl What {
    /// What can only fail.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.serve_artifacts || self.artifact_storage == Artifacts::S3,
            "SERVE_ARTIFACTS=false needs ARTIFACT_STORAGE=s3: nobody but the server reaches its volume"
        );
        Ok(())
    }

    /// Folders of `config/mlflow-operator/kind` that are needed.
    pub(super) fn servers(&self) -> Vec<&'static str> {
        let postgres = [self.backend_store, self.registry_store].contains(&Database::Postgres);
        let s3 = self.artifact_storage == Artifacts::S3;
        let all = [(postgres, "postgres"), (s3, "s3")];
        all.into_iter()
            .filter(|(needed, _)| *needed)
            .map(|(_, folder)| folder)
            .collect()
    }

    /// The MLflow. It has a volume if anything is on one.
    pub(super) fn resource(&self) -> Value {
        let mut spec = Map::new();
        let mut set = |field: &str, value| spec.insert(field.to_owned(), value);
        set("serveArtifacts", self.serve_artifacts.into());
        for (database, field, key) in [
            (self.backend_store, "backendStoreUri", "backend-store-uri"),
            (
                self.registry_store,
                "registryStoreUri",
                "registry-store-uri",
            ),
        ] {
            match database {
                Database::Sqlite => set(field, "sqlite:////mlflow/mlflow.db".into()),
                Database::Postgres => set(
                    &format!("{field}From"),
                    json!({"name": "mlflow-db-credentials", "key": key}),
                ),
            };
        }
        let local = [self.backend_store, self.registry_store].contains(&Database::Sqlite);
        if local || self.artifact_storage == Artifacts::File {
            let size = json!({"resources": {"requests": {"storage": "10Gi"}}});
            set("storage", size);
        }
        match self.artifact_storage {
            Artifacts::File => {
                set("artifactsDestination", "file:///mlflow/artifacts".into());
            }
            Artifacts::S3 => {
                let place = if self.serve_artifacts {
                    "artifactsDestination"
                } else {
                    "defaultArtifactRoot"
                };
                set(place, "s3://mlflow/artifacts".into());
                let endpoint = json!([
                    {"name": "MLFLOW_S3_ENDPOINT_URL", "value": "http://seaweedfs:9000"},
                    {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
                ]);
                set("env", endpoint);
                set(
                    "envFrom",
                    json!([{"secretRef": {"name": "aws-credentials"}}]),
                );
            }
        }
        if let Some(image) = &self.mlflow_image {
            let local = image.starts_with(LOCAL);
            let policy = if local { "IfNotPresent" } else { "Always" };
            set("image", json!({"image": image, "imagePullPolicy": policy}));
        }
        json!({
            "apiVersion": "mlflow.opendatahub.io/v1",
            "kind": "MLflow",
            "metadata": {"name": "mlflow"},
            "spec": spec,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use clap::Parser as _;

    use super::super::CONFIG;
    use super::*;
    use crate::steps::root;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        what: What,
    }

    fn what(words: &str) -> What {
        let words = ["deploy-kind"].into_iter().chain(words.split_whitespace());
        Line::try_parse_from(words).unwrap().what
    }

    /// Every combination of stores, as options, in an order that stays.
    fn all() -> Vec<String> {
        let mut all = Vec::new();
        for backend in ["sqlite", "postgres"] {
            for registry in ["sqlite", "postgres"] {
                for artifacts in ["file", "s3", "s3 --serve-artifacts false"] {
                    all.push(format!(
                        "--backend-store {backend} --registry-store {registry} --artifact-storage {artifacts}"
                    ));
                }
            }
        }
        all
    }

    #[test]
    fn without_options_everything_is_on_a_volume() {
        assert_eq!(what("").servers(), [""; 0]);
        assert_eq!(
            what("").resource()["spec"],
            json!({
                "serveArtifacts": true,
                "storage": {"resources": {"requests": {"storage": "10Gi"}}},
                "backendStoreUri": "sqlite:////mlflow/mlflow.db",
                "registryStoreUri": "sqlite:////mlflow/mlflow.db",
                "artifactsDestination": "file:///mlflow/artifacts",
            })
        );
    }

    #[test]
    fn what_is_asked_for_is_beside_it_and_nothing_is_on_a_volume() {
        let what = what(
            "--backend-store postgres --registry-store postgres --artifact-storage s3 \
             --mlflow-image localhost/mlflow:dev",
        );
        assert_eq!(what.servers(), ["postgres", "s3"]);
        let resource = what.resource();
        assert_eq!(resource["spec"]["storage"], Value::Null);
        assert_eq!(resource["spec"]["image"]["imagePullPolicy"], "IfNotPresent");
        let from = json!({"name": "mlflow-db-credentials", "key": "registry-store-uri"});
        assert_eq!(resource["spec"]["registryStoreUriFrom"], from);
    }

    #[test]
    fn nobody_reaches_the_volume_but_the_server() {
        let refused = what("--serve-artifacts false").check().unwrap_err();
        assert!(
            refused.to_string().contains("ARTIFACT_STORAGE=s3"),
            "{refused}"
        );
        for words in all() {
            what(&words).check().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_choice_is_accepted() {
        let cluster = cluster::shared(cluster::Platform::Kubernetes).unwrap();
        let definition = root()
            .join(CONFIG)
            .join("crd/mlflow.opendatahub.io_mlflows.yaml");
        let install = ["apply", "--server-side", "-f", definition.to_str().unwrap()];
        cluster.kubectl(&install).await.unwrap();
        let established = ["wait", "--for=condition=Established", "crd", "--all"];
        cluster.kubectl(&established).await.unwrap();
        let file = cluster.dir().join("choice.json");
        for words in all() {
            std::fs::write(&file, what(&words).resource().to_string()).unwrap();
            let create = ["create", "--dry-run=server", "--validate=strict", "-f"];
            let created = [&create[..], &[file.to_str().unwrap()]].concat();
            let created = cluster.kubectl(&created).await;
            assert!(created.is_ok(), "{words}: {created:?}");
        }
    }
}
