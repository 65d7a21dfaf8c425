//! What becomes of a Job, and what people are told of it.

use futures::future::join_all;
use mlflow_operator::kinds::MLFLOW;
use resources::kind::JOB;
use serde_json::{Value, json};

use crate::world::{FORCE, Mlflow, mlflow};

/// Words of every code after which the same run fails again.
const TERMINAL: [(i32, &str); 5] = [
    (
        10,
        "migration image reports an unexpected MLflow version; expected 3.14.0",
    ),
    (
        11,
        "operator-managed migration only supports SQL backend store URIs",
    ),
    (
        12,
        "operator-managed migration only supports SQL registry store URIs",
    ),
    (
        13,
        "migration completed but the resulting schema revision does not match the image's Alembic head",
    ),
    (
        14,
        "migration failed because Alembic could not resolve the schema revision graph",
    ),
];

async fn uid(mlflow: &Mlflow, job: &str) -> Option<String> {
    let found = mlflow.api(JOB).get_opt(job).await.expect("an answer")?;
    found.metadata.uid
}

/// Waits for a Job of this name that is another one.
async fn another(mlflow: &Mlflow, job: &str, before: Option<&String>) {
    mlflow
        .until(JOB, job, |job| {
            job.is_some_and(|job| job.metadata.uid.as_ref() != before)
        })
        .await;
}

async fn served(mlflow: &Mlflow, job: &str, generation: i64) {
    mlflow.end(job, 0, "").await;
    mlflow.scaled(1).await;
    mlflow.serve().await;
    mlflow.succeeded(generation).await;
    assert_eq!(mlflow.version().await.as_deref(), Some("3.14.0"));
}

async fn fails_for_good(code: i32, words: &str) {
    let name = format!("fails-{code}");
    let mlflow = mlflow(&name, json!({})).await;
    let first = mlflow.job("mg", 1);
    mlflow
        .end(&first, code, "for postgresql://u:secret@db/x")
        .await;
    // One pod is enough, though the Job may try three times more.
    let told = mlflow.told("Migration", "False", "MigrationFailed").await;
    let message = told["message"].as_str().expect("a message");
    assert!(message.contains(words), "{message}");
    assert!(
        message.contains(FORCE) && !message.contains("secret"),
        "{message}"
    );
    mlflow.told("Available", "False", "MigrationFailed").await;
    mlflow.told("Progressing", "False", "MigrationFailed").await;
    mlflow.told("Degraded", "True", "MigrationFailed").await;
    assert_eq!(mlflow.replicas().await, Some(0));

    // Another generation does not try again by itself.
    mlflow.edit(json!({"workers": 2})).await;
    let is_told = |found: &kube::api::DynamicObject| {
        cluster::conditions(&found.data)
            .any(|one| one["type"] == "Migration" && one["observedGeneration"] == 2)
    };
    let again = mlflow
        .until(MLFLOW, &name, |found| found.is_some_and(is_told))
        .await;
    let again = again.expect("the resource");
    let again: Vec<&Value> = cluster::conditions(&again.data)
        .filter(|one| one["type"] == "Migration")
        .collect();
    assert_eq!(again[0]["message"], message);
    assert_eq!(again[0]["reason"], "MigrationFailed");
    assert_eq!(
        mlflow
            .api(JOB)
            .get_opt(&mlflow.job("mg", 2))
            .await
            .expect("an answer"),
        None
    );

    // Until somebody asks.
    mlflow.force(Some("now")).await;
    served(&mlflow, &mlflow.job("mg", 2), 2).await;
    mlflow
        .events(&[
            ("Normal", "MigrationRunning"),
            ("Warning", "MigrationFailed"),
            ("Normal", "ForceMigrationRunning"),
            ("Normal", "ForceMigrationApplied"),
            ("Normal", "MigrationSucceeded"),
        ])
        .await;
}

#[tokio::test]
async fn what_fails_for_good_stays_failed_until_somebody_asks() {
    join_all(TERMINAL.map(|(code, words)| fails_for_good(code, words))).await;
}

/// Fails in a way that may pass, and is tried again when its time has come.
async fn is_retried(name: &str, code: i32, words: &str) {
    let mlflow = mlflow(name, json!({})).await;
    let job = mlflow.job("mg", 1);
    mlflow.impatient(&job).await;
    mlflow.end(&job, code, "").await;
    let told = mlflow
        .told("Migration", "Unknown", "MigrationRetrying")
        .await;
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains(words) && message.contains("Retrying at "),
        "{message}"
    );
    mlflow.told("Available", "False", "MigrationRetrying").await;
    mlflow
        .told("Progressing", "True", "MigrationRetrying")
        .await;
    assert_eq!(mlflow.replicas().await, Some(0));
    let before = uid(&mlflow, &job).await;

    // Two minutes go by.
    let found = mlflow.api(JOB).get(&job).await.expect("a Job");
    let mut conditions = found.data["status"]["conditions"].clone();
    for condition in conditions.as_array_mut().expect("conditions") {
        let earlier = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(121);
        let earlier = earlier.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        condition["lastTransitionTime"] = json!(earlier);
    }
    mlflow
        .patch_status(JOB, &job, json!({"conditions": conditions}))
        .await;
    another(&mlflow, &job, before.as_ref()).await;
    served(&mlflow, &job, 1).await;
    mlflow
        .events(&[
            ("Normal", "MigrationRunning"),
            ("Warning", "MigrationRetrying"),
            ("Normal", "MigrationRunning"),
            ("Normal", "MigrationApplied"),
            ("Normal", "MigrationSucceeded"),
        ])
        .await;
}

/// A migration that never ends is ended by the Job's controller, and begun anew by nobody but a person.
#[tokio::test]
async fn what_never_ends_is_ended_and_told() {
    let mlflow = mlflow(
        "endless",
        json!({"migration": {"activeDeadlineSeconds": 7200}}),
    )
    .await;
    let job = mlflow.job("mg", 1);
    let made = mlflow.until(JOB, &job, |job| job.is_some()).await;
    let made = made.expect("a Job");
    assert_eq!(made.data["spec"]["activeDeadlineSeconds"], 7200);
    // Two hours go by.
    let over = json!({"spec": {"activeDeadlineSeconds": 1}});
    mlflow.patch(JOB, &job, over).await;
    let told = mlflow.told("Migration", "False", "MigrationFailed").await;
    let message = told["message"].as_str().expect("a message");
    assert!(
        message.contains("spec.migration.activeDeadlineSeconds") && message.contains(FORCE),
        "{message}"
    );
    mlflow.told("Available", "False", "MigrationFailed").await;
    assert_eq!(mlflow.replicas().await, Some(0));
    let before = uid(&mlflow, &job).await;
    mlflow.force(Some("once more")).await;
    another(&mlflow, &job, before.as_ref()).await;
    served(&mlflow, &job, 1).await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    tokio::join!(
        is_retried("database-away", 15, "retryable database or migration error"),
        is_retried("killed", 137, "container exited with code 137: OOMKilled"),
        is_retried("strange", 3, "container exited with code 3"),
    );
}

#[tokio::test]
async fn what_failed_is_tried_at_once_when_somebody_asks() {
    let mlflow = mlflow("impatient", json!({})).await;
    let job = mlflow.job("mg", 1);
    mlflow.impatient(&job).await;
    mlflow.end(&job, 15, "").await;
    mlflow
        .told("Migration", "Unknown", "MigrationRetrying")
        .await;
    let before = uid(&mlflow, &job).await;
    mlflow.force(Some("")).await;
    another(&mlflow, &job, before.as_ref()).await;
    mlflow
        .told("Migration", "Unknown", "ForceMigrationRunning")
        .await;
    served(&mlflow, &job, 1).await;
}
