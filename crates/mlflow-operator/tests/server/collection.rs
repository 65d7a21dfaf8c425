//! Garbage collection that works: the operator may give its rights, which are those that it needs, and
//! its job finds the server, trusts it, and has the user's environment.

use cluster::Platform;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use resources::kind::{CRON_JOB, SERVICE_ACCOUNT};
use serde_json::{Value, json};

use crate::harness::{World, world};

/// Whether the job's account may do this, in any namespace.
async fn may(world: &World, verb: &str, group: &str, resource: &str) -> bool {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    };
    let account = format!("system:serviceaccount:{}:mlflow-gc-sa", world.namespace);
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            user: Some(account),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(world.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.expect("an answer").status.expect("a status").allowed
}

#[tokio::test]
async fn garbage_collection_may_do_its_work_and_nothing_else() {
    let world = world(Platform::Kubernetes).await;
    let fields = json!({
        "garbageCollection": {"schedule": "0 2 * * 0", "olderThan": "30d"},
        "env": [{"name": "MLFLOW_S3_ENDPOINT_URL", "value": "https://s3.example.test"}],
    });
    world.mlflow("mlflow", &fields).await;
    // With the rights of the shipped roles: whoever gives a right must have it.
    world.ready("mlflow").await;
    world.until(SERVICE_ACCOUNT, "mlflow-gc-sa", |_| true).await;
    let mlflow = "mlflow.kubeflow.org";
    for (verb, group, resource) in [
        ("list", "", "namespaces"),
        ("get", mlflow, "experiments"),
        ("list", mlflow, "experiments"),
        ("update", mlflow, "experiments"),
    ] {
        let allowed = may(&world, verb, group, resource).await;
        assert!(allowed, "{verb} {resource}");
    }
    for (verb, group, resource) in [
        ("delete", mlflow, "experiments"),
        ("list", "", "secrets"),
        ("list", mlflow, "mlflowconfigs"),
        ("create", "", "pods"),
    ] {
        let allowed = may(&world, verb, group, resource).await;
        assert!(!allowed, "{verb} {resource}");
    }
    let job = world.until(CRON_JOB, "mlflow-gc", |_| true).await;
    let pod = &job.data["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let env = container["env"].as_array().expect("variables");
    for (name, value) in [
        // With the prefix, without which the server answers 404.
        (
            "MLFLOW_TRACKING_URI",
            "https://mlflow.opendatahub.svc:8443/mlflow",
        ),
        ("MLFLOW_S3_ENDPOINT_URL", "https://s3.example.test"),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/etc/mlflow-ca/ca.crt"),
        ("MLFLOW_BACKEND_STORE_URI", "sqlite:////mlflow/mlflow.db"),
    ] {
        let found = env.iter().find(|variable| variable["name"] == name);
        assert_eq!(
            found.map(|found| &found["value"]),
            Some(&json!(value)),
            "{env:?}"
        );
    }
    let data = container["volumeMounts"].as_array().expect("mounts");
    let data = data.iter().any(|mount| mount["mountPath"] == "/mlflow");
    assert!(data, "the database is a file: {container}");
    let trusted = |volume: &&Value| volume["configMap"]["name"] == "mlflow-ca";
    let volumes = pod["volumes"].as_array().expect("volumes");
    let volume = volumes.iter().find(trusted).expect("the authority");
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]);
    assert_eq!(
        mount.map(|mount| &mount["mountPath"]),
        Some(&json!("/etc/mlflow-ca"))
    );
    let words = json!([container["command"], container["args"]]).to_string();
    assert!(words.contains("--older-than=30d"), "{words}");
    assert!(
        !words.contains("sqlite:"),
        "a URI holds a password: {words}"
    );
}
