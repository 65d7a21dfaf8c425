//! What is told of a server whose Deployment is in this state.

use api::mlflow::v1::{MLflow, MLflowStatus};
use operator_harness::Pass;
use runtime::offline::{OfflineInputs, Platform};
use serde_json::{Value, json};

use crate::plan::body;
use crate::world::{UID, migrated, mlflow, operator, work};

/// The status of generation 2, where the Deployment says this of its rollout.
fn told(rollout: Value) -> MLflowStatus {
    let operator = operator(&[]);
    let document = mlflow(&json!({}));
    let worked = work(&operator, Platform::Kubernetes, &[], &document, &[]).unwrap();
    let mut deployment = body(&worked.plan.unwrap(), resources::kind::DEPLOYMENT, "mlflow");
    deployment["metadata"]["generation"] = 2.into();
    deployment["status"] = rollout;
    let mut resource = document;
    resource["metadata"]["uid"] = UID.into();
    resource["metadata"]["generation"] = 2.into();
    resource["status"] = migrated();
    let resource: MLflow = serde_json::from_value(resource).unwrap();
    let capabilities = Platform::Kubernetes.capabilities(&operator, &[]);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let inputs = OfflineInputs::new(&operator, &resource, &[deployment], capabilities, now);
    let pass = Pass::over(&operator, &resource, inputs).unwrap();
    assert!(pass.plan.is_ok(), "{:?}", pass.plan);
    pass.status(&operator, &resource)
}

fn condition<'a>(status: &'a MLflowStatus, type_: &str) -> (&'a str, &'a str, &'a str) {
    let mut all = status.conditions.iter();
    let found = all.find(|condition| condition.type_ == type_).unwrap();
    (&found.status, &found.reason, &found.message)
}

fn rollout(observed: i64, updated: i64, ready: i64) -> Value {
    json!({"observedGeneration": observed, "replicas": 1, "updatedReplicas": updated,
        "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": 1 - ready,
        "conditions": [{"type": "Available", "status": if ready == 1 { "True" } else { "False" },
            "message": "m", "reason": "r"}]})
}

/// Pods of before an edit make a server available, and never the edit complete.
#[test]
fn old_pods_are_no_proof_of_a_new_server() {
    let unseen = told(rollout(1, 1, 1));
    assert_eq!(
        condition(&unseen, "Available").0,
        "False",
        "nobody has looked at the edit"
    );
    assert_eq!(condition(&unseen, "Ready").0, "False");
    let old = told(rollout(2, 0, 1));
    assert_eq!(condition(&old, "Ready").0, "False");
    let (status, reason, _) = condition(&old, "Progressing");
    assert_eq!((status, reason), ("True", "DeploymentProgressing"));
    let new = told(rollout(2, 1, 1));
    assert_eq!(
        condition(&new, "Available"),
        (
            "True",
            "DeploymentReady",
            "MLflow deployment is ready and available"
        )
    );
    assert_eq!(
        condition(&new, "Progressing"),
        (
            "False",
            "ReconcileComplete",
            "MLflow reconciliation completed successfully"
        )
    );
    assert_eq!(new.observed_generation, Some(2));
    let address = new.address.and_then(|address| address.url);
    assert_eq!(
        address.as_deref(),
        Some("https://mlflow.opendatahub.svc:8443/mlflow")
    );
}

#[test]
fn a_server_that_is_not_ready_says_how_many_pods_are() {
    let none = told(rollout(2, 1, 0));
    for type_ in ["Available", "Progressing"] {
        let message = condition(&none, type_).2;
        let words = "MLflow deployment not ready: 0/1 replicas ready";
        assert!(message.starts_with(words), "{message}");
    }
    assert_eq!(condition(&none, "Available").1, "DeploymentNotReady");
    assert_eq!(condition(&none, "StorageReady").1, "VolumePending");
    assert_eq!(condition(&none, "TLSReady").0, "True");
}

/// The write that would only put `Migration` elsewhere in the list is none.
#[test]
fn a_migration_that_is_over_stays_in_its_place() {
    let status = told(rollout(2, 1, 1));
    let place = |type_: &str| status.conditions.iter().position(|one| one.type_ == type_);
    let (before, migration) = (place("Degraded"), place("Migration"));
    assert!(before.is_some() && before < migration, "{status:?}");
    assert!(migration < place("StorageReady"), "{status:?}");
}
