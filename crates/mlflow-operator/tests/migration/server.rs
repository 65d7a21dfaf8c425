//! The server is stopped for a migration, and for nothing else.

use mlflow_operator::kinds::MLFLOW;
use resources::kind::{CRON_JOB, DEPLOYMENT, JOB, NETWORK_POLICY, POD};
use serde_json::json;

use crate::world::{FORCE, mlflow, running};

#[tokio::test]
async fn the_first_server_starts_on_a_migrated_database() {
    let mlflow = mlflow(
        "first",
        json!({"migration": {"ttlSecondsAfterFinished": 3600}}),
    )
    .await;
    let job = mlflow.job("mg", 1);
    let made = mlflow.until(JOB, &job, |job| job.is_some()).await;
    let made = made.expect("a Job");
    assert_eq!(mlflow.replicas().await, Some(0));
    assert_eq!(made.data["spec"]["ttlSecondsAfterFinished"], 3600);
    assert_eq!(made.data["spec"]["backoffLimit"], 3);
    let template = &made.data["spec"]["template"];
    assert_eq!(
        template["spec"]["containers"][0]["image"],
        "registry.test/mlflow:1"
    );
    // What the server's wide policy selects by is not there.
    let labels = &template["metadata"]["labels"];
    assert!(labels["app.kubernetes.io/instance"].is_null() && labels["app"].is_null());
    let policy = mlflow
        .until(NETWORK_POLICY, "mlflow-first-migration", |policy| {
            policy.is_some()
        })
        .await;
    let policy = policy.expect("a policy");
    let selector = policy.data["spec"]["podSelector"]["matchLabels"].as_object();
    for (key, value) in selector.expect("labels") {
        assert_eq!(&labels[key], value);
    }

    let told = mlflow
        .told("Migration", "Unknown", "MigrationRunning")
        .await;
    assert!(
        told["message"]
            .as_str()
            .is_some_and(|text| text.contains(&job))
    );
    mlflow.told("Available", "False", "MigrationRunning").await;
    mlflow.told("Progressing", "True", "MigrationRunning").await;
    assert_eq!(mlflow.version().await, None);

    mlflow.end(&job, 0, "").await;
    mlflow.scaled(1).await;
    mlflow
        .told("Migration", "Unknown", "MigrationApplied")
        .await;
    mlflow
        .told("Available", "False", "DeploymentNotReady")
        .await;
    // Nobody has seen the server run yet.
    assert_eq!(mlflow.version().await, None);
    mlflow.serve().await;
    mlflow.succeeded(1).await;
    assert_eq!(mlflow.version().await.as_deref(), Some("3.14.0"));

    let whole = [
        ("Normal", "MigrationRunning"),
        ("Normal", "MigrationApplied"),
        ("Normal", "MigrationSucceeded"),
    ];
    mlflow.events(&whole).await;

    // A change that needs no migration stops nothing.
    mlflow.edit(json!({"workers": 2})).await;
    mlflow
        .until(DEPLOYMENT, "mlflow-first", |found| {
            found.is_some_and(|found| {
                found.data["spec"]["template"]
                    .to_string()
                    .contains("--workers=2")
            })
        })
        .await;
    assert_eq!(mlflow.replicas().await, Some(1));
    assert_eq!(
        mlflow
            .api(JOB)
            .get_opt(&mlflow.job("mg", 2))
            .await
            .expect("an answer"),
        None
    );
    mlflow.events(&whole).await;
}

#[tokio::test]
async fn another_version_is_looked_at_before_the_server_stops() {
    let collected = json!({"schedule": "0 2 * * 0"});
    let mlflow = running("upgrade", json!({"garbageCollection": collected})).await;
    mlflow
        .api(JOB)
        .delete(&mlflow.job("mg", 1), &kube::api::DeleteParams::background())
        .await
        .expect("deleted");
    mlflow
        .until(JOB, &mlflow.job("mg", 1), |job| job.is_none())
        .await;
    // As an operator for an older version left it.
    mlflow
        .patch_status(MLFLOW, "upgrade", json!({"version": "3.10.1"}))
        .await;
    let check = mlflow.job("pc", 1);
    let made = mlflow
        .until(JOB, &check, |job| job.is_some())
        .await
        .expect("a Job");
    assert_eq!(
        made.data["spec"]["template"]["spec"]["containers"][0]["args"][4],
        "check"
    );
    mlflow
        .told("Migration", "Unknown", "MigrationPreCheck")
        .await;
    mlflow.told("Available", "True", "DeploymentReady").await;
    assert_eq!(mlflow.replicas().await, Some(1));
    // An edit waits for the migration, too.
    mlflow.end(&check, 0, "").await;
    mlflow.scaled(0).await;
    let suspended = |cron: Option<&kube::api::DynamicObject>| {
        cron.is_some_and(|cron| cron.data["spec"]["suspend"] == true)
    };
    mlflow.until(CRON_JOB, "mlflow-gc-upgrade", suspended).await;
    let job = mlflow.job("mg", 1);
    mlflow.until(JOB, &job, |job| job.is_some()).await;
    mlflow.end(&job, 0, "").await;
    mlflow.scaled(1).await;
    mlflow.serve().await;
    mlflow.succeeded(1).await;
    mlflow
        .until(CRON_JOB, "mlflow-gc-upgrade", |cron| !suspended(cron))
        .await;
    assert_eq!(mlflow.version().await.as_deref(), Some("3.14.0"));
}

/// Its time to live may end before the server runs: the migration is not done again.
#[tokio::test]
async fn a_job_that_is_gone_before_its_server_ran_is_not_made_again() {
    let mlflow = mlflow("gone", json!({})).await;
    let job = mlflow.job("mg", 1);
    mlflow.end(&job, 0, "").await;
    mlflow
        .told("Migration", "Unknown", "MigrationApplied")
        .await;
    mlflow
        .api(JOB)
        .delete(&job, &kube::api::DeleteParams::background())
        .await
        .expect("deleted");
    mlflow.until(JOB, &job, |job| job.is_none()).await;
    mlflow.scaled(1).await;
    mlflow.serve().await;
    mlflow.succeeded(1).await;
    let again = mlflow.api(JOB).get_opt(&job).await.expect("an answer");
    assert_eq!(again, None);
    mlflow
        .events(&[
            ("Normal", "MigrationRunning"),
            ("Normal", "MigrationApplied"),
            ("Normal", "MigrationSucceeded"),
        ])
        .await;
}

#[tokio::test]
async fn the_job_waits_until_the_last_pod_has_gone() {
    let mlflow = running("waits", json!({})).await;
    // A pod that takes its time to end.
    let list = kube::api::ListParams::default().labels("app=mlflow-waits");
    let pods = mlflow.api(POD).list(&list).await.expect("pods");
    let pod = pods.items[0].metadata.name.clone().expect("a name");
    let slow = json!({"metadata": {"finalizers": ["test.example/slow"]}});
    mlflow.patch(POD, &pod, slow).await;
    mlflow.force(Some("1")).await;
    mlflow.end(&mlflow.job("pc", 1), 0, "").await;
    mlflow.scaled(0).await;
    let told = mlflow
        .told("Migration", "Unknown", "ForceMigrationScalingDown")
        .await;
    let message = told["message"].as_str().expect("a message");
    assert!(message.contains("1 replicas remain"), "{message}");
    let old = mlflow
        .api(JOB)
        .get(&mlflow.job("mg", 1))
        .await
        .map(|job| job.metadata.uid);
    mlflow
        .patch(POD, &pod, json!({"metadata": {"finalizers": null}}))
        .await;
    let job = mlflow.job("mg", 1);
    mlflow
        .until(JOB, &job, |job| {
            job.is_some_and(|job| Some(&job.metadata.uid) != old.as_ref().ok())
        })
        .await;
    mlflow.end(&job, 0, "").await;
    mlflow.serve().await;
    let is_asked = |found: Option<&kube::api::DynamicObject>| {
        found.is_some_and(|found| kube::ResourceExt::annotations(found).contains_key(FORCE))
    };
    mlflow
        .until(MLFLOW, "waits", |found| !is_asked(found))
        .await;
    mlflow.succeeded(1).await;
}

#[tokio::test]
async fn an_image_that_cannot_migrate_costs_nobody_the_server() {
    let mlflow = running("wrong-image", json!({})).await;
    mlflow.force(Some("1")).await;
    let check = mlflow.job("pc", 1);
    mlflow.end(&check, 10, "the image has MLflow 3.10.1").await;
    let told = mlflow
        .told("Migration", "False", "MigrationPreCheckFailed")
        .await;
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains("unexpected MLflow version; expected 3.14.0"),
        "{message}"
    );
    assert!(message.contains("the image has MLflow 3.10.1"), "{message}");
    mlflow.told("Available", "True", "DeploymentReady").await;
    mlflow
        .told("Degraded", "True", "MigrationPreCheckFailed")
        .await;
    mlflow
        .told("Ready", "False", "MigrationPreCheckFailed")
        .await;
    assert_eq!(mlflow.replicas().await, Some(1));
    // A new request after the image was mended.
    mlflow.force(Some("2")).await;
    mlflow.end(&check, 0, "").await;
    mlflow.scaled(0).await;
    let job = mlflow.job("mg", 1);
    mlflow.end(&job, 0, "").await;
    mlflow.serve().await;
    mlflow.told("Degraded", "False", "AsExpected").await;
    mlflow.succeeded(1).await;
    mlflow
        .events(&[
            ("Normal", "MigrationRunning"),
            ("Normal", "MigrationApplied"),
            ("Normal", "MigrationSucceeded"),
            ("Normal", "ForceMigrationRestartRequested"),
            ("Normal", "MigrationPreCheck"),
            ("Warning", "MigrationPreCheckFailed"),
            ("Normal", "ForceMigrationRestartRequested"),
            ("Normal", "MigrationPreCheck"),
            ("Normal", "ForceMigrationScalingDown"),
            ("Normal", "ForceMigrationRunning"),
            ("Normal", "ForceMigrationApplied"),
            ("Normal", "MigrationSucceeded"),
        ])
        .await;
}
