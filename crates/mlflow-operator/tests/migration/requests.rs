//! Migrations that somebody asked for, by the annotation or by the mode.

use kube::ResourceExt;
use kube::api::DynamicObject;
use mlflow_operator::kinds::MLFLOW;
use resources::kind::JOB;
use serde_json::json;

use crate::world::{FORCE, Mlflow, mlflow, running};

async fn request_is_gone(mlflow: &Mlflow) {
    let gone = |found: Option<&DynamicObject>| {
        found.is_some_and(|found| !found.annotations().contains_key(FORCE))
    };
    mlflow.until(MLFLOW, &mlflow.name, gone).await;
}

#[tokio::test]
async fn a_request_goes_when_the_server_runs_again() {
    let mlflow = running("asked", json!({})).await;
    mlflow.force(Some("yes")).await;
    mlflow
        .told("Migration", "Unknown", "MigrationPreCheck")
        .await;
    mlflow.end(&mlflow.job("pc", 1), 0, "").await;
    mlflow.scaled(0).await;
    let job = mlflow.job("mg", 1);
    mlflow.end(&job, 0, "").await;
    mlflow
        .told("Migration", "Unknown", "ForceMigrationApplied")
        .await;
    let found = mlflow.api(MLFLOW).get("asked").await.expect("the resource");
    assert!(found.annotations().contains_key(FORCE), "gone too early");
    mlflow.serve().await;
    request_is_gone(&mlflow).await;
    mlflow.succeeded(1).await;
}

/// The Job of before counts for nothing when somebody asks late.
#[tokio::test]
async fn a_request_during_the_rollout_migrates_once_more() {
    let mlflow = mlflow("late", json!({})).await;
    let job = mlflow.job("mg", 1);
    mlflow.end(&job, 0, "").await;
    mlflow.scaled(1).await;
    let first = mlflow.api(JOB).get(&job).await.expect("a Job").metadata.uid;
    mlflow.force(Some("yes")).await;
    // The server was asked to run, so it is looked at first.
    mlflow.end(&mlflow.job("pc", 1), 0, "").await;
    let other =
        |found: Option<&DynamicObject>| found.is_some_and(|found| found.metadata.uid != first);
    mlflow.until(JOB, &job, other).await;
    assert_eq!(mlflow.replicas().await, Some(0));
    mlflow.end(&job, 0, "").await;
    mlflow.scaled(1).await;
    mlflow.serve().await;
    request_is_gone(&mlflow).await;
    mlflow.succeeded(1).await;
}

#[tokio::test]
async fn with_always_every_generation_is_migrated() {
    let mlflow = running("always", json!({"migration": {"mode": "Always"}})).await;
    mlflow.edit(json!({"workers": 3})).await;
    mlflow.end(&mlflow.job("pc", 2), 0, "").await;
    mlflow.scaled(0).await;
    mlflow.end(&mlflow.job("mg", 2), 0, "").await;
    mlflow.scaled(1).await;
    mlflow.serve().await;
    mlflow.succeeded(2).await;
}
