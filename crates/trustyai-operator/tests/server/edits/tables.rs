//! What each field becomes.

use operator_harness::edits::{self, Row, Want, at, container, row};
use serde_json::{Value, json};

/// The service's container.
fn server(pointer: &str, value: impl Into<Value>) -> Want {
    container("trustyai-service", pointer, value)
}

/// A variable of the service.
fn variable(name: &str, value: &str) -> Want {
    server(&format!("/env/{name}/value"), value)
}

fn monitor(pointer: &str, value: impl Into<Value>) -> Want {
    at("ServiceMonitor N", &format!("/spec{pointer}"), value)
}

fn endpoint(pointer: &str, value: impl Into<Value>) -> Want {
    monitor(&format!("/endpoints/0{pointer}"), value)
}

/// Base: files.
pub(super) fn files() -> Vec<Row> {
    vec![
        row(
            &["metrics.schedule"],
            json!({"metrics": {"schedule": "9s"}}),
            vec![variable("SERVICE_METRICS_SCHEDULE", "9s")],
        ),
        row(
            &["metrics.batchSize"],
            json!({"metrics": {"batchSize": 7}}),
            vec![variable("SERVICE_BATCH_SIZE", "7")],
        ),
        row(
            &[],
            json!({"metrics": null, "trustyaiMetrics": {"schedule": "8s"}}),
            vec![variable("SERVICE_METRICS_SCHEDULE", "8s")],
        ),
        row(
            &["data.filename"],
            json!({"data": {"filename": "other.csv"}}),
            vec![variable("STORAGE_DATA_FILENAME", "other.csv")],
        ),
        row(
            &["data.format"],
            json!({"data": {"format": "BEAN"}}),
            vec![variable("SERVICE_DATA_FORMAT", "BEAN")],
        ),
        row(
            &["storage.folder"],
            json!({"storage": {"folder": "/other"}}),
            vec![
                variable("STORAGE_DATA_FOLDER", "/other"),
                server("/volumeMounts/volume/mountPath", "/other"),
            ],
        ),
        row(
            &["deletionPolicy"],
            json!({"deletionPolicy": "Retain"}),
            vec![at("PersistentVolumeClaim N-pvc", "/owned", false)],
        ),
        row(
            &["replicas"],
            json!({"replicas": 0}),
            vec![at("Deployment N", "/spec/replicas", 0)],
        ),
        row(
            &["resources"],
            json!({"resources": {"requests": {"cpu": "7m"}, "limits": {"memory": "777Mi"}}}),
            vec![
                server("/resources/requests/cpu", "7m"),
                server("/resources/limits/memory", "777Mi"),
            ],
        ),
    ]
}

/// Base: files.
pub(super) fn operand() -> Vec<Row> {
    let locked = ("SERVICE_BATCH_SIZE", "5000".into());
    let mut rows = edits::operand("trustyai-service", locked);
    rows.push(row(
        &["operand.replicas"],
        json!({"operand": {"replicas": 0}}),
        vec![at("Deployment N", "/spec/replicas", 0)],
    ));
    rows
}

/// Base: files, where there are Routes and gateways.
pub(super) fn ways() -> Vec<Row> {
    let mut rows = edits::ingress("N-tls", "https", |_| Vec::new());
    rows.extend([
        edits::gateways(Vec::new()),
        row(
            &["serviceRoute"],
            json!({"serviceRoute": "disabled"}),
            vec![at("Route N", "/spec", Value::Null)],
        ),
    ]);
    rows
}

/// Base: files, where there are monitors.
pub(super) fn monitoring() -> Vec<Row> {
    let monitoring = |set: Value| json!({"serviceMonitoring": set});
    vec![
        row(
            &["serviceMonitoring.enabled"],
            monitoring(json!({"enabled": false})),
            vec![monitor("", Value::Null)],
        ),
        row(
            &["serviceMonitoring.interval"],
            monitoring(json!({"interval": "30s"})),
            vec![endpoint("/interval", "30s")],
        ),
        row(
            &["serviceMonitoring.scrapeTimeout"],
            monitoring(json!({"scrapeTimeout": "2s"})),
            vec![endpoint("/scrapeTimeout", "2s")],
        ),
        row(
            &["serviceMonitoring.metrics"],
            monitoring(json!({"metrics": ["trustyai_dir"]})),
            vec![
                endpoint("/metricRelabelings/0/regex", "trustyai_dir"),
                endpoint(
                    "/params",
                    json!({"match[]": ["{__name__= \"trustyai_dir\"}"]}),
                ),
            ],
        ),
        row(
            &["serviceMonitoring.ref"],
            monitoring(json!({"ref": {
                "metadata": {"labels": {"team": "t"}, "annotations": {"example.test/a": "b"}},
                "spec": {"jobLabel": "j", "endpoints": [{"path": "/other"}]},
            }})),
            vec![
                endpoint("/path", "/other"),
                endpoint("/interval", "4s"),
                monitor("/jobLabel", "j"),
                at("ServiceMonitor N", "/metadata/labels/team", "t"),
                at(
                    "ServiceMonitor N",
                    "/metadata/annotations/example.test~1a",
                    "b",
                ),
            ],
        ),
    ]
}

/// Base: a database.
pub(super) fn database() -> Vec<Row> {
    vec![
        row(
            &["storage.databaseConfigurations"],
            json!({"storage": {"databaseConfigurations": "second"}}),
            vec![server(
                "/env/DATABASE_SERVICE/valueFrom/secretKeyRef/name",
                "second",
            )],
        ),
        row(
            &["replicas"],
            json!({"replicas": 3}),
            vec![at("Deployment N", "/spec/replicas", 3)],
        ),
        row(
            &["operand.replicas"],
            json!({"operand": {"replicas": 2}}),
            vec![at("Deployment N", "/spec/replicas", 2)],
        ),
    ]
}

/// Base: a database, and the other name of the metrics.
pub(super) fn other_name() -> Vec<Row> {
    vec![
        row(
            &["trustyaiMetrics.schedule"],
            json!({"trustyaiMetrics": {"schedule": "9s"}}),
            vec![variable("SERVICE_METRICS_SCHEDULE", "9s")],
        ),
        row(
            &["trustyaiMetrics.batchSize"],
            json!({"trustyaiMetrics": {"batchSize": 7}}),
            vec![variable("SERVICE_BATCH_SIZE", "7")],
        ),
    ]
}
