//! What each field becomes.

use operator_harness::edits::{Row, Want, at, row};
use serde_json::{Value, json};

/// The pods.
fn pod(pointer: &str, value: impl Into<Value>) -> Want {
    at("Deployment N", &format!("/spec/template{pointer}"), value)
}

/// The service's container.
fn server(pointer: &str, value: impl Into<Value>) -> Want {
    pod(
        &format!("/spec/containers/trustyai-service{pointer}"),
        value,
    )
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
    let tolerations = json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}});
    let set = |field: &str, value: Value| json!({"operand": {field: value}});
    vec![
        row(
            &["operand.replicas"],
            set("replicas", json!(0)),
            vec![at("Deployment N", "/spec/replicas", 0)],
        ),
        row(
            &["operand.nodeSelector"],
            set("nodeSelector", json!({"type": "kwok"})),
            vec![pod("/spec/nodeSelector", json!({"type": "kwok"}))],
        ),
        row(
            &["operand.tolerations"],
            set("tolerations", tolerations.clone()),
            vec![pod("/spec/tolerations", tolerations)],
        ),
        row(
            &["operand.affinity"],
            set("affinity", affinity.clone()),
            vec![pod("/spec/affinity", affinity)],
        ),
        row(
            &["operand.imagePullSecrets"],
            set("imagePullSecrets", json!([{"name": "pull"}])),
            vec![pod("/spec/imagePullSecrets/pull/name", "pull")],
        ),
        row(
            &["operand.labels"],
            set("labels", json!({"team": "t", "app": "never"})),
            vec![
                pod("/metadata/labels/team", "t"),
                pod("/metadata/labels/app", "N"),
            ],
        ),
        row(
            &["operand.annotations"],
            set("annotations", json!({"example.test/a": "b"})),
            vec![pod("/metadata/annotations/example.test~1a", "b")],
        ),
        row(
            &["operand.env"],
            set(
                "env",
                json!([{"name": "A", "value": "b"}, {"name": "SERVICE_BATCH_SIZE", "value": "never"}]),
            ),
            vec![variable("A", "b"), variable("SERVICE_BATCH_SIZE", "5000")],
        ),
        row(
            &["operand.podDisruptionBudget.minAvailable"],
            set("podDisruptionBudget", json!({"minAvailable": 1})),
            vec![
                at("PodDisruptionBudget N", "/spec/minAvailable", 1),
                at(
                    "PodDisruptionBudget N",
                    "/spec/selector/matchLabels/app",
                    "N",
                ),
            ],
        ),
        row(
            &["operand.podDisruptionBudget.maxUnavailable"],
            set("podDisruptionBudget", json!({"maxUnavailable": "50%"})),
            vec![at("PodDisruptionBudget N", "/spec/maxUnavailable", "50%")],
        ),
    ]
}

/// Base: files, where there are Routes and gateways.
pub(super) fn ways() -> Vec<Row> {
    let hosts = json!(["a.example.test", "b.example.test"]);
    let ingress = |ingress: Value| json!({"expose": {"hosts": hosts, "ingress": ingress}});
    let gateway = json!([{"name": "public", "namespace": "gateways", "sectionName": "https"}]);
    vec![
        row(
            &["serviceRoute"],
            json!({"serviceRoute": "disabled"}),
            vec![at("Route N", "/spec", Value::Null)],
        ),
        row(
            &["expose.hosts"],
            ingress(json!({})),
            vec![
                at("Ingress N", "/spec/rules/0/host", "a.example.test"),
                at("Ingress N", "/spec/rules/1/host", "b.example.test"),
                at(
                    "Ingress N",
                    "/spec/rules/1/http/paths/0/backend/service",
                    json!({"name": "N-tls", "port": {"name": "https"}}),
                ),
                at("Ingress N", "/spec/tls", Value::Null),
            ],
        ),
        row(
            &["expose.ingress.className"],
            ingress(json!({"className": "nginx"})),
            vec![at("Ingress N", "/spec/ingressClassName", "nginx")],
        ),
        row(
            &["expose.ingress.annotations"],
            ingress(json!({"annotations": {"example.test/a": "b"}})),
            vec![at(
                "Ingress N",
                "/metadata/annotations/example.test~1a",
                "b",
            )],
        ),
        row(
            &["expose.ingress.tlsSecretName"],
            ingress(json!({"tlsSecretName": "other"})),
            vec![at("Ingress N", "/spec/tls/0/secretName", "other")],
        ),
        row(
            &["expose.gateways"],
            json!({"expose": {"hosts": hosts, "gateways": gateway}}),
            vec![
                at("HTTPRoute N", "/spec/hostnames", hosts.clone()),
                at(
                    "HTTPRoute N",
                    "/spec/parentRefs/public/namespace",
                    "gateways",
                ),
                at(
                    "HTTPRoute N",
                    "/spec/parentRefs/public/sectionName",
                    "https",
                ),
            ],
        ),
    ]
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
