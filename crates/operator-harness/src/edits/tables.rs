//! Edits of what several resources have in common.

use serde_json::{Value, json};

use super::{Row, Want, at, row};

/// The pods of Deployment `N`.
pub fn pod(pointer: &str, value: impl Into<Value>) -> Want {
    at("Deployment N", &format!("/spec/template{pointer}"), value)
}

/// A container in [`pod`].
pub fn container(name: &str, pointer: &str, value: impl Into<Value>) -> Want {
    pod(&format!("/spec/containers/{name}{pointer}"), value)
}

/// Edits of `spec.operand`, but of its replicas. `server` is the container that gets variables;
/// `locked` is one that the user cannot set, with what it has.
pub fn operand(server: &str, locked: (&str, Value)) -> Vec<Row> {
    let tolerations = json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}}]}});
    let variable = |name: &str, value: Value| container(server, &format!("/env/{name}"), value);
    let (locked, kept) = locked;
    let set = |field: &str, value: Value| json!({"operand": {field: value}});
    vec![
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
                json!([{"name": "A", "value": "b"}, {"name": locked, "value": "never"}]),
            ),
            vec![
                variable("A/value", "b".into()),
                variable(&format!("{locked}/value"), kept),
            ],
        ),
        row(
            &["operand.podDisruptionBudget.minAvailable"],
            set("podDisruptionBudget", json!({"minAvailable": 1})),
            vec![
                at("PodDisruptionBudget N", "/spec/minAvailable", 1),
                at("PodDisruptionBudget N", "/spec/maxUnavailable", Value::Null),
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

/// Edits of `spec.expose` that make Ingress `N` to a `port` of `service`. `told` is what else says
/// that the first host answers at a port.
pub fn ingress(service: &str, port: &str, told: impl Fn(u16) -> Vec<Want>) -> Vec<Row> {
    let hosts = json!(["a.example.test", "b.example.test"]);
    let set = |ingress: Value| json!({"expose": {"hosts": hosts, "ingress": ingress}});
    let says = |pointer: &str, value: Value| at("Ingress N", pointer, value);
    let and_told = |mut want: Vec<Want>, port| {
        want.extend(told(port));
        want
    };
    let service = json!({"name": service, "port": {"name": port}});
    let tls = json!({"hosts": hosts, "secretName": "other"});
    vec![
        row(
            &["expose.hosts"],
            set(json!({})),
            and_told(
                vec![
                    says("/spec/rules/0/host", "a.example.test".into()),
                    says("/spec/rules/1/host", "b.example.test".into()),
                    says("/spec/rules/1/http/paths/0/backend/service", service),
                    says("/spec/tls", Value::Null),
                    says("/owned", true.into()),
                ],
                80,
            ),
        ),
        row(
            &["expose.ingress.className"],
            set(json!({"className": "nginx"})),
            vec![says("/spec/ingressClassName", "nginx".into())],
        ),
        row(
            &["expose.ingress.annotations"],
            set(json!({"annotations": {"example.test/a": "b"}})),
            vec![says("/metadata/annotations/example.test~1a", "b".into())],
        ),
        row(
            &["expose.ingress.tlsSecretName"],
            set(json!({"tlsSecretName": "other"})),
            and_told(vec![says("/spec/tls/0", tls)], 443),
        ),
    ]
}

/// The edit of `spec.expose` that makes HTTPRoute `N`, and what `more` it does.
pub fn gateways(more: Vec<Want>) -> Row {
    let hosts = json!(["a.example.test", "b.example.test"]);
    let gateway = json!({"name": "public", "namespace": "gateways", "sectionName": "https"});
    let says = |pointer: &str, value: Value| at("HTTPRoute N", pointer, value);
    let mut want = vec![
        says("/spec/hostnames", hosts.clone()),
        says("/spec/parentRefs/public/namespace", "gateways".into()),
        says("/spec/parentRefs/public/sectionName", "https".into()),
    ];
    want.extend(more);
    let set = json!({"expose": {"hosts": hosts, "gateways": [gateway]}});
    row(&["expose.gateways"], set, want)
}
