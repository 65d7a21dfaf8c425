//! From a resource to a server that answers, and what is left of it.

use cluster::Platform;
use mlflow_operator::kinds::CONSOLE_LINK;
use operator_harness::at_rest;
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE, SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use serde_json::json;

use crate::harness::{OPERATOR, template, world};

/// The operator makes fewer requests from a new resource to rest.
const FEW: usize = 60;

#[tokio::test]
async fn a_server_becomes_ready_with_few_requests_and_rests_on_kubernetes() {
    let world = world(Platform::Kubernetes).await;
    let mark = world.cluster.audit_mark().await.expect("a mark");
    world.mlflow("mlflow", &json!({})).await;
    let ready = world.ready("mlflow").await;
    let status = &ready.data["status"];
    assert_eq!(
        status["address"]["url"],
        "https://mlflow.opendatahub.svc:8443/mlflow"
    );
    assert!(status["url"].is_null(), "there is no way in: {status}");
    assert_eq!(
        status["observedGeneration"],
        ready.metadata.generation.unwrap_or_default()
    );
    for (condition, expected) in [
        ("Available", "True"),
        ("Progressing", "False"),
        ("Degraded", "False"),
        ("StorageReady", "True"),
        ("TLSReady", "True"),
    ] {
        world.condition("mlflow", condition, expected).await;
    }
    at_rest(world.cluster, OPERATOR).await;
    let log = world.cluster.audit_since(mark).await.expect("the log");
    let (namespace, name) = OPERATOR;
    let asked = log.by_service_account(namespace, name);
    let counted = asked.iter().filter(|record| record.resource != "leases");
    let asked: Vec<_> = counted
        .map(|record| format!("{} {} {}", record.verb, record.resource, record.name))
        .collect();
    println!("{} requests", asked.len());
    assert!(asked.len() < FEW, "{}: {asked:#?}", asked.len());
    // What never was is not deleted.
    let mut deletes = asked.iter().filter(|request| request.starts_with("delete"));
    assert_eq!(deletes.next(), None, "{asked:#?}");
}

/// What is made comes back when it is deleted, whichever it is.
#[tokio::test]
async fn what_is_deleted_or_drifts_is_repaired() {
    let world = world(Platform::Kubernetes).await;
    world.mlflow("mlflow", &json!({})).await;
    world.ready("mlflow").await;
    for (kind, name) in [
        (DEPLOYMENT, "mlflow"),
        (SERVICE, "mlflow"),
        (SERVICE_ACCOUNT, "mlflow-sa"),
        (NETWORK_POLICY, "mlflow"),
        (CLUSTER_ROLE, "mlflow"),
        (CLUSTER_ROLE_BINDING, "mlflow"),
        (SECRET, "mlflow-tls"),
        (CONFIG_MAP, "mlflow-ca"),
    ] {
        let api = world.api(kind);
        let before = api.get(name).await.expect("it is there").metadata.uid;
        api.delete(name, &kube::api::DeleteParams::background())
            .await
            .expect("deleted");
        world
            .until(kind, name, |object| object.metadata.uid != before)
            .await;
    }
    world
        .edit(NETWORK_POLICY, "mlflow", json!({"spec": {"egress": [{}]}}))
        .await;
    world
        .until(NETWORK_POLICY, "mlflow", |policy| {
            policy.data["spec"]["egress"]
                .as_array()
                .is_some_and(|rules| rules.len() > 1)
        })
        .await;
    world.ready("mlflow").await;
}

#[tokio::test]
async fn openshift_gives_certificate_ways_in_and_monitor() {
    let world = world(Platform::OpenShift).await;
    world.mlflow("mlflow", &json!({})).await;
    let ready = world.ready("mlflow").await;
    assert_eq!(
        ready.data["status"]["url"],
        "https://gw.example.test/mlflow"
    );
    let secret = world.api(SECRET).get("mlflow-tls").await.expect("a Secret");
    assert!(
        secret
            .metadata
            .owner_references
            .iter()
            .flatten()
            .all(|owner| owner.kind != "MLflow")
    );
    let link = world.until(CONSOLE_LINK, "mlflow", |_| true).await;
    assert_eq!(link.data["spec"]["href"], "https://gw.example.test/mlflow");
    world.until(HTTP_ROUTE, "mlflow", |_| true).await;
    world
        .until(SERVICE_MONITOR, "mlflow-metrics-monitor", |_| true)
        .await;
    world
        .edit(
            HTTP_ROUTE,
            "mlflow",
            json!({"spec": {"parentRefs": [{"name": "other"}]}}),
        )
        .await;
    world
        .until(HTTP_ROUTE, "mlflow", |route| {
            route.data["spec"]["parentRefs"][0]["name"] == "data-science-gateway"
        })
        .await;
    world.delete("mlflow").await;
    world.gone(CONSOLE_LINK, "mlflow").await;
    world.gone(CLUSTER_ROLE, "mlflow").await;
}

#[tokio::test]
async fn data_outlives_its_resource_only_where_that_is_asked() {
    let world = world(Platform::Kubernetes).await;
    world
        .mlflow("mlflow", &json!({"deletionPolicy": "Retain"}))
        .await;
    world.ready("mlflow").await;
    let claim = || async { world.api(PERSISTENT_VOLUME_CLAIM).get("mlflow-pvc").await };
    let kept = claim().await.expect("a claim").metadata.uid;
    world.delete("mlflow").await;
    world.gone(DEPLOYMENT, "mlflow").await;
    assert_eq!(claim().await.expect("it stays").metadata.uid, kept);
    // The next one of the name takes it up, and grows it.
    world
        .mlflow("mlflow", &json!({"storage": {"size": "5Gi"}}))
        .await;
    world.ready("mlflow").await;
    let grown = world
        .until(PERSISTENT_VOLUME_CLAIM, "mlflow-pvc", |claim| {
            claim.data["spec"]["resources"]["requests"]["storage"] == "5Gi"
        })
        .await;
    assert_eq!(grown.metadata.uid, kept);
    world.delete("mlflow").await;
    world.gone(PERSISTENT_VOLUME_CLAIM, "mlflow-pvc").await;
}

/// Two beside each other: what one does changes nothing of the other, and what one leaves is its own.
#[tokio::test]
async fn two_servers_do_not_touch_each_other() {
    let world = world(Platform::Kubernetes).await;
    let retention =
        json!({"traceArchival": {"enabled": true, "location": "s3://b", "retention": "1d"}});
    world.mlflow("mlflow", &retention).await;
    world.mlflow("production", &retention).await;
    world.ready("mlflow").await;
    world.ready("production").await;
    let version = || async {
        let deployment = world
            .api(DEPLOYMENT)
            .get("mlflow")
            .await
            .expect("a Deployment");
        deployment.metadata.generation
    };
    let before = version().await;
    world
        .edit_spec("production", json!({"workers": 3, "traceArchival": null}))
        .await;
    world
        .until(DEPLOYMENT, "mlflow-production", |deployment| {
            template(deployment, "/spec/containers/0/args")
                .to_string()
                .contains("--workers=3")
        })
        .await;
    world.ready("production").await;
    world.delete("production").await;
    world.gone(DEPLOYMENT, "mlflow-production").await;
    world.gone(CLUSTER_ROLE, "mlflow-production").await;
    world.ready("mlflow").await;
    assert_eq!(version().await, before);
    for (kind, name) in [
        (CLUSTER_ROLE, "mlflow"),
        (SERVICE_ACCOUNT, "mlflow-trace-archival-sa"),
        (CONFIG_MAP, "mlflow-trace-archival-config"),
    ] {
        world.api(kind).get(name).await.expect("it stays");
    }
}

/// The manifests render, and one overlay takes the rule away that there is one MLflow.
#[tokio::test]
async fn overlays_render() {
    let world = world(Platform::Kubernetes).await;
    let rendered = async |folder: &str| {
        let path = operator_harness::root()
            .join("config/mlflow-operator")
            .join(folder);
        let path = path.to_str().expect("a path").to_owned();
        world
            .cluster
            .kubectl(&["kustomize", &path])
            .await
            .expect("it renders")
    };
    let rule = "self.metadata.name == 'mlflow'";
    let name = "MLflow resource name must be 'mlflow'";
    let all = rendered("default").await;
    assert!(all.contains(rule) && all.contains(name));
    let several = rendered("overlays/several").await;
    assert!(!several.contains(name));
    let openshift = rendered("overlays/openshift").await;
    assert!(openshift.contains("--metrics-cert-path=/etc/metrics-certs"));
}
