//! The manifests and the program, as the Go operator's tests from outside look at them.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use cluster::Platform;
use mlflow_operator::rbac::LEASE;
use operator_harness::{accepted, free_ports, root};
use serde_json::{Value, json};

use crate::harness::{OPERATOR, world};

/// More than any start takes.
const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_manifests_have_the_names_of_the_go_operator() {
    let world = world(Platform::Kubernetes).await;
    let folder = root().join("config/mlflow-operator");
    for overlay in ["default", "overlays/openshift", "overlays/several"] {
        let printed = accepted(world.cluster, &folder.join(overlay)).await;
        for expected in [
            "deployment.apps/mlflow-operator-controller-manager",
            "serviceaccount/mlflow-operator-controller-manager",
            "service/mlflow-operator-controller-manager-metrics-service",
            "clusterrole.rbac.authorization.k8s.io/mlflow-operator-metrics-reader",
            "customresourcedefinition.apiextensions.k8s.io/mlflows.mlflow.opendatahub.io",
            "customresourcedefinition.apiextensions.k8s.io/mlflowconfigs.mlflow.kubeflow.org",
            "networkpolicy.networking.k8s.io/",
        ] {
            assert!(
                printed.contains(expected),
                "{overlay}: {expected} in {printed}"
            );
        }
    }
    let get = ["get", "deployment,service", "-n", OPERATOR.0, "-o", "json"];
    let printed = world.cluster.kubectl(&get).await.expect("objects");
    let all: Value = serde_json::from_str(&printed).expect("JSON");
    let named = |kind: &str, name: &str| {
        let mut all = all["items"].as_array().expect("items").iter();
        let is = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
        all.find(is).cloned().expect("the object")
    };
    let template = named("Deployment", OPERATOR.1)["spec"]["template"].clone();
    assert_eq!(
        template["metadata"]["labels"]["control-plane"],
        "controller-manager"
    );
    assert_eq!(template["spec"]["containers"][0]["name"], "manager");
    let service = "mlflow-operator-controller-manager-metrics-service";
    assert_eq!(named("Service", service)["spec"]["ports"][0]["port"], 8443);
}

/// Its own pods and those of an MLflow with everything are admitted under the strictest profile.
#[tokio::test]
async fn all_pods_meet_the_restricted_profile() {
    let world = world(Platform::Kubernetes).await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let kubectl = async |args: &[&str]| world.cluster.kubectl(args).await.expect("kubectl");
    kubectl(&["label", "namespace", OPERATOR.0, label]).await;
    kubectl(&[
        "rollout",
        "restart",
        "deployment",
        OPERATOR.1,
        "-n",
        OPERATOR.0,
    ])
    .await;
    kubectl(&[
        "rollout",
        "status",
        "deployment",
        OPERATOR.1,
        "-n",
        OPERATOR.0,
        "--timeout=90s",
    ])
    .await;
    let authorities = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "restricted"}, "data": {"ca.crt": "x"}});
    world.apply(authorities).await;
    let fields = json!({
        "caBundleConfigMap": {"name": "restricted"},
        "garbageCollection": {"schedule": "0 2 * * 0"},
        "traceArchival": {"enabled": true, "location": "s3://b", "retention": "1d"},
    });
    // Its migration's Job comes first.
    world.mlflow("mlflow", &fields).await;
    world.ready("mlflow").await;
    for job in ["mlflow-gc", "mlflow-trace-archival"] {
        let from = format!("--from=cronjob/{job}");
        kubectl(&["create", "job", job, &from, "-n", OPERATOR.0]).await;
        let name = format!("job/{job}");
        kubectl(&[
            "wait",
            "--for=condition=complete",
            &name,
            "--timeout=90s",
            "-n",
            OPERATOR.0,
        ])
        .await;
        kubectl(&["delete", &name, "-n", OPERATOR.0]).await;
    }
    kubectl(&["delete", "configmap", "restricted", "-n", OPERATOR.0]).await;
    kubectl(&[
        "label",
        "namespace",
        OPERATOR.0,
        "pod-security.kubernetes.io/enforce-",
    ])
    .await;
}

/// While another replica leads, metrics are served all the same, and the log says so in the words of
/// the Go operator.
#[tokio::test]
async fn the_program_says_that_it_serves_metrics() {
    let world = world(Platform::Kubernetes).await;
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string();
    world
        .apply(
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": LEASE},
            "spec": {"holderIdentity": "another", "leaseDurationSeconds": 3600,
                "acquireTime": now, "renewTime": now}}),
        )
        .await;
    let kubeconfig = world
        .cluster
        .service_account_kubeconfig(OPERATOR.0, OPERATOR.1)
        .await
        .expect("a kubeconfig");
    let [metrics, health] = free_ports();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mlflow-operator"))
        .arg("-leader-elect")
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
        .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
        .env("MLFLOW_IMAGE", "quay.io/opendatahub/mlflow:odh-stable")
        .env("POD_NAMESPACE", OPERATOR.0)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    let log = BufReader::new(program.stderr.take().expect("a log"));
    let said = tokio::task::spawn_blocking(move || {
        let mut lines = log.lines().map_while(Result::ok);
        lines.find(|line| line.contains("Serving metrics server"))
    });
    let said = tokio::time::timeout(LIMIT, said).await;
    program.kill().expect("it runs");
    program.wait().expect("its end");
    let delete = ["delete", "lease", LEASE, "-n", OPERATOR.0];
    world.cluster.kubectl(&delete).await.expect("deleted");
    assert!(said.expect("in time").expect("no panic").is_some());
}
