//! `deploy-kind`, `undeploy-kind` and `deploy-to-platform`: the MLflow operator in a cluster of
//! containers on this machine, with what MLflow needs beside it, and on a platform that is there.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use crate::operator::{kind, kustomize};
use crate::steps::{root, run};

/// The folder of the operator's manifests.
const CONFIG: &str = "config/mlflow-operator";
/// An image that only this machine has is loaded into the cluster's node.
const LOCAL: &str = "localhost/";
const LOCAL_IMAGE: &str = "localhost/mlflow-operator:latest";

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

/// What every deployment is told. Each option is a variable of `make`, too.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Image of the operator
    #[arg(long, env = "IMG")]
    img: Option<String>,
    /// The kubectl of this machine
    #[arg(long, env = "KUBECTL", default_value = "kubectl")]
    kubectl: String,
}

#[derive(Args, Debug)]
pub(crate) struct DeployKind {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    what: What,
    /// Name of the cluster of kind, which is made if it is not there
    #[arg(long, env = "KIND_CLUSTER", default_value = "mlflow")]
    cluster: String,
    /// Docker, or what stands for it
    #[arg(long, env = "CONTAINER_TOOL", default_value = "docker")]
    container_tool: String,
    /// Use the cluster of the current context: no cluster is made, no image built or loaded
    #[arg(long)]
    existing: bool,
}

/// What is deployed.
#[derive(Args, Clone, Debug)]
struct What {
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
    mlflow_image: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct UndeployKind {
    /// Name of the cluster of kind
    #[arg(long, env = "KIND_CLUSTER", default_value = "mlflow")]
    cluster: String,
}

/// Which platform is there.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlatformName {
    /// Open Data Hub
    Odh,
    /// Red Hat OpenShift AI
    Rhoai,
}

#[derive(Args, Debug)]
pub(crate) struct DeployToPlatform {
    #[command(flatten)]
    common: Common,
    /// Which platform
    #[arg(long, env = "PLATFORM", value_enum, default_value = "odh")]
    platform: PlatformName,
    /// The Gateway whose address users call
    #[arg(long, env = "ODH_GATEWAY_NAME", default_value = "data-science-gateway")]
    gateway_name: String,
    /// Its namespace
    #[arg(
        long,
        env = "ODH_GATEWAY_NAMESPACE",
        default_value = "openshift-ingress"
    )]
    gateway_namespace: String,
}

/// From nothing to an MLflow that is available, in a cluster of kind.
pub(crate) fn deploy_kind(options: &DeployKind) -> Result<()> {
    options.what.check()?;
    let common = &options.common;
    if !options.existing {
        cluster(options)?;
    }
    eprintln!("installing the operator …");
    let objects = common.manifests("default", Some(options.img()), &[])?;
    let namespace = namespace(&objects)?;
    common.apply(None, &objects)?;
    let rollout = ["rollout", "status", "--timeout=5m", "-n", &namespace];
    run(common
        .kubectl(&rollout)
        .arg(format!("deployment/{DEPLOYMENT}")))?;
    for folder in options.what.servers() {
        eprintln!("installing {folder} …");
        let mut objects = common.kustomize(&format!("kind/{folder}"))?;
        if let Some(image) = &options.what.mlflow_image {
            jobs_use(&mut objects, image);
        }
        // A Job's image cannot be changed, and a Job that has run runs again only when made again.
        let gone = [
            "delete",
            "job/make-bucket",
            "--ignore-not-found",
            "-n",
            &namespace,
        ];
        run(&mut common.kubectl(&gone))?;
        common.apply(Some(&namespace), &objects)?;
        let wait = [
            "wait",
            "--for=condition=Available",
            "--timeout=5m",
            "-n",
            &namespace,
        ];
        for object in objects.iter().filter(|object| kind(object) == "Deployment") {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            run(common.kubectl(&wait).arg(format!("deployment/{name}")))?;
        }
    }
    eprintln!("applying the MLflow …");
    let resource: DynamicObject = serde_json::from_value(options.what.resource())?;
    common.apply(None, &[resource])?;
    let wait = [
        "wait",
        "mlflow/mlflow",
        "--for=condition=Available",
        "--timeout=10m",
    ];
    run(&mut common.kubectl(&wait))?;
    eprintln!(
        "MLflow is available. To reach it: kubectl port-forward -n {namespace} service/mlflow 8443, \
         then https://localhost:8443/mlflow"
    );
    Ok(())
}

/// Removes the cluster, and all that is in it.
pub(crate) fn undeploy_kind(options: &UndeployKind) -> Result<()> {
    run(Command::new("kind").args(["delete", "cluster", "--name", &options.cluster]))
}

/// The operator on a platform, told where the platform's gateway is.
pub(crate) fn deploy_to_platform(options: &DeployToPlatform) -> Result<()> {
    let (common, name) = (&options.common, &options.gateway_name);
    let place = [
        "get",
        "gateway",
        name,
        "-n",
        &options.gateway_namespace,
        "-o",
        "json",
    ];
    let output = common.kubectl(&place).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {}", common.kubectl))?;
    let missing = || {
        format!(
            "Gateway {}/{name} has no address: ODH_GATEWAY_NAME and ODH_GATEWAY_NAMESPACE name the \
             platform's Gateway, which has to be there first",
            options.gateway_namespace
        )
    };
    ensure!(output.status.success(), missing());
    let gateway: Value = serde_json::from_slice(&output.stdout)?;
    let host = address(&gateway).with_context(missing)?;
    let overlay = match options.platform {
        PlatformName::Odh => "overlays/odh",
        PlatformName::Rhoai => "overlays/rhoai",
    };
    let url = format!("https://{host}");
    let environment = [
        ("MLFLOW_URL", url.as_str()),
        ("GATEWAY_NAME", name),
        ("GATEWAY_NAMESPACE", &options.gateway_namespace),
    ];
    let objects = common.manifests(overlay, common.img.as_deref(), &environment)?;
    common.apply(None, &objects)?;
    println!(
        "the operator is in namespace {}, and MLflow will be at {url}/mlflow",
        namespace(&objects)?
    );
    Ok(())
}

/// The operator's Deployment.
const DEPLOYMENT: &str = "mlflow-operator-controller-manager";

impl Common {
    fn kubectl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(words);
        command
    }

    fn kustomize(&self, folder: &str) -> Result<Vec<DynamicObject>> {
        kustomize(self.kubectl.as_ref(), &root().join(CONFIG).join(folder))
    }

    /// The operator's manifests with variables of its container, and with an image or their own.
    fn manifests(
        &self,
        folder: &str,
        image: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<Vec<DynamicObject>> {
        let mut objects = self.kustomize(folder)?;
        let mut deployments = objects
            .iter_mut()
            .filter(|object| kind(object) == "Deployment");
        let (Some(deployment), None) = (deployments.next(), deployments.next()) else {
            bail!("{CONFIG}/{folder} has not one Deployment");
        };
        edit(deployment, image, environment)
            .with_context(|| format!("the Deployment of {CONFIG}/{folder}"))?;
        Ok(objects)
    }

    /// Applies objects, to a namespace if they name none.
    fn apply(&self, namespace: Option<&str>, objects: &[DynamicObject]) -> Result<()> {
        let mut text = String::new();
        for object in objects {
            writeln!(text, "---\n{}", serde_json::to_string(object)?)?;
        }
        let mut command = self.kubectl(&["apply", "--server-side", "-f", "-"]);
        command.args(namespace.map(|namespace| format!("--namespace={namespace}")));
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("running {}", self.kubectl))?;
        if let Some(mut input) = child.stdin.take() {
            std::io::Write::write_all(&mut input, text.as_bytes())?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "`kubectl apply` ended with {status}");
        Ok(())
    }
}

/// Makes the cluster, and the image if it is this machine's.
fn cluster(options: &DeployKind) -> Result<()> {
    let (name, img) = (&options.cluster, options.img());
    let listed = Command::new("kind").args(["get", "clusters"]).output();
    let listed = listed.context("running kind, which docs/kind-deployment.md says how to get")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    if !listed.lines().any(|line| line == name) {
        run(Command::new("kind").args(["create", "cluster", "--name", name]))?;
    }
    let context = format!("kind-{name}");
    run(&mut options.common.kubectl(&["config", "use-context", &context]))?;
    if !img.starts_with(LOCAL) {
        return Ok(());
    }
    let program = "PROGRAM=mlflow-operator";
    let build = ["build", "--build-arg", program, "-t", img, "."];
    run(Command::new(&options.container_tool)
        .args(build)
        .current_dir(root()))?;
    run(Command::new("kind").args(["load", "docker-image", img, "--name", name]))
}

impl DeployKind {
    fn img(&self) -> &str {
        self.common.img.as_deref().unwrap_or(LOCAL_IMAGE)
    }
}

impl What {
    /// What can only fail.
    fn check(&self) -> Result<()> {
        ensure!(
            self.serve_artifacts || self.artifact_storage == Artifacts::S3,
            "SERVE_ARTIFACTS=false needs ARTIFACT_STORAGE=s3: nobody but the server reaches its volume"
        );
        Ok(())
    }

    /// Folders of `config/mlflow-operator/kind` that are needed.
    fn servers(&self) -> Vec<&'static str> {
        let postgres = [self.backend_store, self.registry_store].contains(&Database::Postgres);
        let s3 = self.artifact_storage == Artifacts::S3;
        let all = [(postgres, "postgres"), (s3, "s3")];
        all.into_iter()
            .filter(|(needed, _)| *needed)
            .map(|(_, folder)| folder)
            .collect()
    }

    /// The MLflow. It has a volume if anything is on one.
    fn resource(&self) -> Value {
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

/// Image and environment of a Deployment's first container. An image of this machine is in no
/// registry.
fn edit(
    deployment: &mut DynamicObject,
    image: Option<&str>,
    environment: &[(&str, &str)],
) -> Result<()> {
    let container = container(deployment).context("it has no container")?;
    if let Some(image) = image {
        container.insert("image".to_owned(), image.into());
        if image.starts_with(LOCAL) {
            container.insert("imagePullPolicy".to_owned(), "IfNotPresent".into());
        }
    }
    let entries = container.get_mut("env").and_then(Value::as_array_mut);
    let entries = entries.context("it has no environment")?;
    entries.retain(|entry| {
        let set = entry.get("name").and_then(Value::as_str);
        environment.iter().all(|(name, _)| set != Some(name))
    });
    let added = environment
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    entries.extend(added);
    Ok(())
}

/// The first container of a Deployment's or a Job's pod.
fn container(object: &mut DynamicObject) -> Option<&mut Map<String, Value>> {
    let path = "/spec/template/spec/containers/0";
    object.data.pointer_mut(path)?.as_object_mut()
}

/// The image of the Jobs among the objects.
fn jobs_use(objects: &mut [DynamicObject], image: &str) {
    for object in objects.iter_mut().filter(|object| kind(object) == "Job") {
        if let Some(container) = container(object) {
            container.insert("image".to_owned(), image.into());
        }
    }
}

/// Where the operator is deployed, and MLflow with it.
fn namespace(objects: &[DynamicObject]) -> Result<String> {
    let deployment = objects.iter().find(|object| kind(object) == "Deployment");
    deployment
        .and_then(|deployment| deployment.metadata.namespace.clone())
        .context("the operator's Deployment has no namespace")
}

/// The first address of a Gateway.
fn address(gateway: &Value) -> Option<&str> {
    let address = gateway.pointer("/status/addresses/0/value")?.as_str()?;
    Some(address).filter(|address| !address.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: DeployKind,
    }

    fn what(words: &str) -> What {
        let words = ["deploy-kind"].into_iter().chain(words.split_whitespace());
        Line::try_parse_from(words).unwrap().options.what
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

    #[test]
    fn an_address_of_a_gateway_is_one() {
        let gateway = |value: &str| json!({"status": {"addresses": [{"value": value}]}});
        assert_eq!(
            address(&gateway("gateway.example")),
            Some("gateway.example")
        );
        assert_eq!(address(&gateway("")), None);
        assert_eq!(address(&json!({})), None);
    }

    #[test]
    fn a_deployment_gets_image_and_variables() {
        let mut deployment: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": [{
                "image": "old",
                "env": [{"name": "A", "value": "a"}, {"name": "MLFLOW_URL", "value": "old"}],
            }]}}},
        }))
        .unwrap();
        edit(
            &mut deployment,
            Some("localhost/a:b"),
            &[("MLFLOW_URL", "https://new")],
        )
        .unwrap();
        let expected = json!({
            "image": "localhost/a:b",
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "A", "value": "a"}, {"name": "MLFLOW_URL", "value": "https://new"}],
        });
        let container = deployment.data.pointer("/spec/template/spec/containers/0");
        assert_eq!(container, Some(&expected));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_beside_it_starts() {
        let cluster = cluster::shared(cluster::Platform::Kubernetes).unwrap();
        let namespace = cluster.namespace("kind").await.unwrap();
        for folder in ["postgres", "s3"] {
            let folder = root().join(CONFIG).join("kind").join(folder);
            let folder = folder.to_str().unwrap();
            let apply = ["apply", "--server-side", "-n", &namespace, "-k", folder];
            cluster.kubectl(&apply).await.unwrap();
        }
        for (name, condition) in [
            ("deployment/postgres", "Available"),
            ("deployment/seaweedfs", "Available"),
            ("job/make-bucket", "Complete"),
        ] {
            let condition = format!("--for=condition={condition}");
            let wait = ["wait", "-n", &namespace, name, &condition, "--timeout=180s"];
            cluster.kubectl(&wait).await.unwrap();
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
