//! The server: probes, paths, TLS, metrics, data in and out, and the job that deletes for good.

use std::path::Path;

use helm_render::Rendered;
use reqwest::StatusCode;
use serde_json::json;

use crate::bucket::Bucket;
use crate::chart;
use crate::postgres::Postgres;
use crate::process::said;
use crate::site::{Site, Trust};

/// Metrics, garbage collection that trusts the server's authority, and an authority that everything
/// else trusts, as the operator renders them.
const MORE: &str = r"
metrics: {enabled: true}
garbageCollection: {enabled: true}
tls: {ca: {configMap: mlflow-ca}}
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI, on SQLite; `cargo xtask test --full` has it"]
async fn it_works_on_sqlite() {
    let mut site = Site::new();
    site.machine.put("trusted", &[("company.pem", "# none")]);
    let bundle = "caBundle: {configMaps: [{name: trusted, mountPath: /etc/pki/tls/certs/custom}]}";
    let rendered = chart::operators(&format!("{MORE}{bundle}"));
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    works(&site, &rendered, &store, &volume.join("artifacts")).await;
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
    let stores = "
mlflow:
  backendStoreUriFrom: {secretKeyRef: {name: mlflow-db-credentials, key: backend-store-uri}}
  registryStoreUriFrom: {secretKeyRef: {name: mlflow-db-credentials, key: registry-store-uri}}
  workers: 2
";
    let rendered = chart::operators(&format!("{MORE}{stores}"));
    let artifacts = site.machine.volume("mlflow-storage").join("artifacts");
    works(&site, &rendered, &runs, &artifacts).await;
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
    let remote = remote(&bucket);
    let rendered = chart::operators(&format!("{MORE}{remote}"));
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    works(
        &site,
        &rendered,
        &store,
        &bucket.objects().join("artifacts"),
    )
    .await;
    assert!(!volume.join("artifacts").exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs MLflow from PyPI, with an S3 server; `cargo xtask test --full` has it"]
async fn old_traces_move_to_s3() {
    let mut site = Site::new();
    let bucket = Bucket::start(&mut site.machine);
    let archival = "traceArchival: {enabled: true, location: 's3://mlflow/traces', retention: 30d}";
    let rendered = chart::operators(&format!("{}{archival}", remote(&bucket)));
    let map = chart::object(&rendered, "ConfigMap", "mlflow-trace-archival-config");
    let key = "trace-archival.yaml";
    let settings = map.value["data"][key].as_str().expect("a text");
    site.machine
        .put("mlflow-trace-archival-config", &[(key, settings)]);
    let volume = site.machine.volume("mlflow-storage");
    let store = format!("sqlite:///{}/mlflow.db", volume.display());
    let server = site
        .serve(&site.pod(&rendered, "Deployment", "mlflow", &store))
        .await;
    let trace = site.client_of(&store, &["old-trace"]);
    let trace = trace.as_str().expect("a trace");

    // What does not work fails, and changes nothing.
    let elsewhere = settings.replace("s3://mlflow/", "s3://nowhere/");
    site.machine
        .put("mlflow-trace-archival-config", &[(key, &elsewhere)]);
    let job = site.pod(&rendered, "CronJob", "mlflow-trace-archival", &store);
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

/// Values with artifacts in a bucket.
fn remote(bucket: &Bucket) -> String {
    format!(
        "
mlflow: {{artifactsDestination: s3://mlflow/artifacts}}
env:
  - {{name: MLFLOW_S3_ENDPOINT_URL, value: '{}'}}
  - {{name: AWS_DEFAULT_REGION, value: us-east-1}}
envFrom: [{{secretRef: {{name: aws-credentials}}}}]
",
        bucket.endpoint
    )
}

/// A server's life, from its first probe to its last signal; `artifacts` is where it keeps them.
async fn works(site: &Site, rendered: &Rendered, store: &str, artifacts: &Path) {
    let pod = site.pod(rendered, "Deployment", "mlflow", store);
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
    let job = site.pod(rendered, "CronJob", "mlflow-gc", store);
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
    let rendered = chart::sample("stock-mlflow.yaml");
    let pod = site.pod(&rendered, "Deployment", "mlflow", "none");
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
