//! The server: probes, paths, TLS, metrics, data in and out, and the job that deletes for good.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bucket::Bucket;
use crate::chart;
use crate::postgres::Postgres;
use crate::process::said;
use crate::site::{Site, Trust};

/// What the operator makes of an MLflow with these fields, which collects garbage, too.
fn operators(site: &Site, mut fields: Value) -> Vec<Value> {
    fields["garbageCollection"] = json!({"schedule": "0 2 * * 0"});
    let trusted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trusted"},
        "data": {"company.pem": "# none"}});
    chart::operators(&fields, &[site.machine.secret("mlflow-tls"), trusted])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI, on SQLite; `cargo xtask test --full` has it"]
async fn it_works_on_sqlite() {
    let mut site = Site::new();
    site.machine.put("trusted", &[("company.pem", "# none")]);
    let objects = operators(&site, json!({"caBundleConfigMap": {"name": "trusted"}}));
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    works(&site, &objects, &store, &volume.join("artifacts")).await;
    assert!(volume.join("mlflow.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow and PostgreSQL from PyPI; `cargo xtask test --full` has it"]
async fn it_works_on_postgres() {
    let postgres = Postgres::start(&["runs", "models"]);
    let (runs, models) = (postgres.uri("runs"), postgres.uri("models"));
    let mut site = Site::new();
    let uris = [
        ("backend-store-uri", &*runs),
        ("registry-store-uri", &models),
    ];
    site.machine.put("mlflow-db-credentials", &uris);
    let from = |key| json!({"name": "mlflow-db-credentials", "key": key});
    let stores = json!({
        "backendStoreUri": null,
        "backendStoreUriFrom": from("backend-store-uri"),
        "registryStoreUriFrom": from("registry-store-uri"),
        "workers": 2,
    });
    let objects = operators(&site, stores);
    let artifacts = site.machine.volume("mlflow-storage").join("artifacts");
    works(&site, &objects, &runs, &artifacts).await;
    let count =
        |database, table| postgres.query(database, &format!("SELECT count(*) FROM {table}"));
    assert_eq!(count("models", "registered_models"), "1\n");
    assert_eq!(count("runs", "registered_models"), "0\n");
    assert_eq!(count("runs", "runs"), "0\n", "the run was deleted for good");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI, with an S3 server; `cargo xtask test --full` has it"]
async fn it_keeps_artifacts_in_s3() {
    let mut site = Site::new();
    let bucket = Bucket::start(&mut site.machine);
    let objects = operators(&site, remote(&bucket));
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    works(&site, &objects, &store, &bucket.objects().join("artifacts")).await;
    assert!(!volume.join("artifacts").exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI, with an S3 server; `cargo xtask test --full` has it"]
async fn old_traces_move_to_s3() {
    let mut site = Site::new();
    let bucket = Bucket::start(&mut site.machine);
    let mut fields = remote(&bucket);
    fields["traceArchival"] =
        json!({"enabled": true, "location": "s3://mlflow/traces", "retention": "30d"});
    let objects = operators(&site, fields);
    let map = chart::object(&objects, "ConfigMap", "mlflow-trace-archival-config");
    let key = "trace-archival.yaml";
    let settings = map["data"][key].as_str().expect("a text");
    site.machine
        .put("mlflow-trace-archival-config", &[(key, settings)]);
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    let server = site
        .serve(&site.pod(&objects, "Deployment", "mlflow", &store))
        .await;
    let trace = site.client_of(&store, &["old-trace"]);
    let trace = trace.as_str().expect("a trace");

    // What does not work fails, and changes nothing.
    let elsewhere = settings.replace("s3://mlflow/", "s3://nowhere/");
    site.machine
        .put("mlflow-trace-archival-config", &[(key, &elsewhere)]);
    let job = site.pod(&objects, "CronJob", "mlflow-trace-archival", &store);
    let archive = |site: &Site| site.machine.command(&job, "mlflow-trace-archival");
    let failed = archive(&site).output().expect("a process");
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{text}");

    site.machine
        .put("mlflow-trace-archival-config", &[(key, settings)]);
    let words = said(&mut archive(&site));
    assert!(words.contains("1 traces are archived"), "{words}");
    assert!(bucket.objects().join("traces").exists());
    let read = site.client(&["read-trace", trace]);
    assert_eq!(read, json!({"question": "why"}));
    let words = said(&mut archive(&site));
    assert!(words.contains("0 traces are archived"), "{words}");
    server.end();
}

/// Fields with artifacts in a bucket.
fn remote(bucket: &Bucket) -> Value {
    json!({
        "artifactsDestination": "s3://mlflow/artifacts",
        "env": [
            {"name": "MLFLOW_S3_ENDPOINT_URL", "value": bucket.endpoint},
            {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
        ],
        "envFrom": [{"secretRef": {"name": "aws-credentials"}}],
    })
}

/// A server's life, from its first probe to its last signal; `artifacts` is where it keeps them.
async fn works(site: &Site, objects: &[Value], store: &str, artifacts: &Path) {
    let pod = site.pod(objects, "Deployment", "mlflow", store);
    let mut server = site.serve(&pod).await;

    // `basic-auth` leaves no path but health without a name; the plugin's leaves server-info, too.
    let readiness = site.probe(&pod, "readinessProbe").await.expect("an answer");
    assert_eq!(readiness, StatusCode::UNAUTHORIZED);
    for (path, status) in [
        ("/mlflow/health", StatusCode::OK),
        ("/mlflow/api/3.0/mlflow/server-info", StatusCode::OK),
        ("/mlflow/", StatusCode::OK),
        ("/metrics", StatusCode::OK),
        // Nothing but these is without the prefix, and nothing is twice.
        ("/health", StatusCode::NOT_FOUND),
        ("/api/3.0/mlflow/server-info", StatusCode::NOT_FOUND),
        ("/mlflow/metrics", StatusCode::NOT_FOUND),
    ] {
        let (answer, text) = site.get(path).await;
        assert_eq!(answer, status, "{path}: {text}");
    }
    let (_, info) = site.get("/mlflow/api/3.0/mlflow/server-info").await;
    let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info["workspaces_enabled"], true, "{info}");

    let written = site.client(&["write"]);
    let run = written["run"].as_str().expect("a run");
    let expected = json!({"loss": 0.5, "artifact": "bytes of an artifact", "models": ["model"]});
    assert_eq!(site.client(&["read", run]), expected);
    let (_, metrics) = site.get("/metrics").await;
    assert!(metrics.contains("mlflow_http_request_total{"), "{metrics}");

    let place = written["artifacts"].as_str().expect("a URI");
    let place = place
        .strip_prefix("mlflow-artifacts:/")
        .expect("a served artifact");
    let artifact = artifacts.join(place).join("notes.txt");
    assert!(artifact.exists(), "{}", artifact.display());

    // What is not deleted stays; what is deleted goes for good.
    let job = site.pod(objects, "CronJob", "mlflow-gc", store);
    let collect = || said(&mut site.machine.command(&job, "mlflow-gc"));
    collect();
    assert!(artifact.exists());
    site.client(&["delete", run]);
    assert!(artifact.exists());
    let words = collect();
    assert!(words.contains(run), "{words}");
    assert!(!artifact.exists(), "{}\n{words}", artifact.display());

    server.check();
    server.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI; `cargo xtask test --full` has it"]
async fn the_sample_for_stock_mlflow_works_as_it_is() {
    let site = Site::new();
    let objects = chart::sample("stock-mlflow.yaml");
    let pod = site.pod(&objects, "Deployment", "mlflow", "none");
    // It makes its own certificate, which nobody can check, and knows its own names.
    let server = site.serve(&pod).await;
    let readiness = site.probe(&pod, "readinessProbe").await.expect("an answer");
    assert_eq!(readiness, StatusCode::OK);
    for (host, status) in [
        ("mlflow.opendatahub.svc:8443", StatusCode::OK),
        ("10.1.2.3:8443", StatusCode::OK),
        ("evil.example", StatusCode::FORBIDDEN),
    ] {
        let answer = site
            .call(Trust::Anything, "/api/3.0/mlflow/server-info", Some(host))
            .await;
        assert_eq!(answer.0, status, "{host}: {}", answer.1);
    }
    server.end();
}
