#![allow(clippy::needless_pass_by_value, reason = "json! makes values")]

mod of_proxy;
mod of_told;
mod of_ways;
mod of_workload;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use operator_harness::environment;
use resources::kind::{CLUSTER_ROLE_BINDING, DEPLOYMENT, INGRESS_CONFIG, NETWORK_POLICY, SERVICE};
use resources::{Kind, Plan};
use runtime::component::Component;
use runtime::offline::{OfflineInputs, Platform};
use runtime::outcome::{Failed, Outcome, Target};
use serde_json::{Value, json};

use super::super::config::Config;
use super::*;

const NAME: &str = "r";
const NAMESPACE: &str = "ns";

/// A resource and the cluster that it is in.
struct World {
    registry: Registry,
    resource: ModelRegistry,
    documents: Vec<Value>,
    platform: Platform,
    outcome: Outcome,
    missing_rules: Vec<String>,
    paused: bool,
    now: Timestamp,
}

impl World {
    fn new(mut spec: Value) -> Self {
        spec["rest"] = json!({});
        let lookup = |_: &str| None;
        Self {
            registry: Registry {
                config: Config::from_lookup(lookup).unwrap(),
            },
            resource: serde_json::from_value(json!({
                "apiVersion": "modelregistry.opendatahub.io/v1beta1",
                "kind": "ModelRegistry",
                "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "u", "generation": 4},
                "spec": spec,
            }))
            .unwrap(),
            documents: vec![json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": NAMESPACE},
                "stringData": {"password": "secret"},
            })],
            platform: Platform::Kubernetes,
            outcome: Outcome::default(),
            missing_rules: Vec::new(),
            paused: false,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.registry.config = Config::from_lookup(environment(variables)).unwrap();
        self
    }

    fn on_openshift(mut self) -> Self {
        self.platform = Platform::OpenShift;
        self.with(json!({
            "apiVersion": "config.openshift.io/v1", "kind": "Ingress", "metadata": {"name": "cluster"},
            "spec": {"domain": "apps.example.test"},
        }))
    }

    fn with(mut self, document: Value) -> Self {
        self.documents.push(document);
        self
    }

    fn with_all(mut self, documents: impl IntoIterator<Item = Value>) -> Self {
        self.documents.extend(documents);
        self
    }

    /// One pass. What it says is what the next one starts from.
    fn pass(&mut self) -> ModelRegistryStatus {
        let capabilities = self
            .platform
            .capabilities(&self.registry, &[INGRESS_CONFIG]);
        let inputs = OfflineInputs::new(
            &self.registry,
            &self.resource,
            &self.documents,
            capabilities,
            self.now,
        );
        let observed = futures::executor::block_on(self.registry.observe(&self.resource, &inputs));
        let planned = observed
            .as_ref()
            .ok()
            .map(|seen| self.registry.plan(&self.resource, seen));
        let planned = planned.unwrap_or_else(|| Ok(Plan::default()));
        let attempt = Attempt {
            observation: observed.as_ref().ok(),
            plan: planned.as_ref().ok(),
            failure: observed.as_ref().err().or(planned.as_ref().err()),
            outcome: &self.outcome,
            paused: self.paused,
            missing_rules: &self.missing_rules,
            now: self.now,
        };
        let status = status(&self.registry, &self.resource, &attempt, &inputs);
        self.resource.status = Some(status.clone());
        status
    }
}

fn mysql() -> Value {
    json!({"mysql": {"host": "h", "database": "d", "username": "u", "passwordSecret": {"name": "db", "key": "password"}}})
}

fn proxied() -> Value {
    let mut spec = mysql();
    spec["kubeRBACProxy"] = json!({});
    spec
}

fn labels(name: &str) -> Value {
    json!({"app": NAME, "component": "model-registry", "app.kubernetes.io/name": name})
}

/// A Deployment as the loop keeps it: without `apiVersion`, `kind` and most of the metadata in a
/// cluster, with them here.
fn deployment(generation: i64, observed: i64, counts: [i32; 3], conditions: Value) -> Value {
    let [replicas, updated, unavailable] = counts;
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": generation, "labels": labels(NAME)},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
            "unavailableReplicas": unavailable, "availableReplicas": replicas - unavailable,
            "conditions": conditions,
        },
    })
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message})
}

fn minimum(status: &str) -> Value {
    let message = if status == "True" {
        "has"
    } else {
        "does not have"
    };
    condition(
        "Available",
        status,
        "MinimumReplicas",
        &format!("Deployment {message} minimum availability."),
    )
}

fn rolling() -> Value {
    condition("Progressing", "True", "ReplicaSetUpdated", "is progressing")
}

fn rolled_out() -> Value {
    condition(
        "Progressing",
        "True",
        "NewReplicaSetAvailable",
        "has successfully progressed",
    )
}

fn up() -> Value {
    deployment(1, 1, [1, 1, 0], json!([minimum("True"), rolled_out()]))
}

fn broken() -> Value {
    deployment(1, 1, [1, 1, 1], json!([minimum("False"), rolling()]))
}

fn slice(ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "r-x", "namespace": NAMESPACE, "labels": {
            "app": NAME, "component": "model-registry", "kubernetes.io/service-name": NAME}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
    })
}

fn pod(name: &str, of: &str, containers: &[&str], statuses: Value) -> Value {
    let containers: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels(of)},
        "spec": {"containers": containers},
        "status": {"containerStatuses": statuses},
    })
}

fn container(name: &str, ready: bool, state: Value) -> Value {
    json!({"name": name, "ready": ready, "restartCount": 0, "image": "", "imageID": "", "state": state})
}

fn running(name: &str, ready: bool) -> Value {
    container(name, ready, json!({"running": {}}))
}

fn waiting(name: &str, reason: &str, message: &str) -> Value {
    container(
        name,
        false,
        json!({"waiting": {"reason": reason, "message": message}}),
    )
}

const BOTH: &[&str] = &["rest-container", "kube-rbac-proxy"];

fn good_pod(name: &str) -> Value {
    pod(
        name,
        NAME,
        BOTH,
        json!([
            running("rest-container", true),
            running("kube-rbac-proxy", true)
        ]),
    )
}

/// A ready pod of the server that listens on this port.
fn serving(port: i32) -> Value {
    let mut pod = pod(
        "p",
        NAME,
        &["rest-container"],
        json!([running("rest-container", true)]),
    );
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": port}]);
    pod
}

/// A definition that serves this kind.
fn definition(kind: Kind) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}-{}", kind.resource(), kind.version)},
        "spec": {"group": kind.group, "names": {"plural": kind.plural}, "versions": [{"name": kind.version, "served": true}]}})
}

fn get<'a>(status: &'a ModelRegistryStatus, type_: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|c| c.type_ == type_)
        .unwrap_or_else(|| panic!("no {type_}: {status:?}"))
}

fn has(status: &ModelRegistryStatus, type_: &str) -> bool {
    status.conditions.iter().any(|c| c.type_ == type_)
}

fn brief(status: &ModelRegistryStatus, type_: &str) -> (String, String, String) {
    let condition = get(status, type_);
    (
        condition.status.clone(),
        condition.reason.clone(),
        condition.message.clone(),
    )
}

fn expect(status: &str, reason: &str, message: &str) -> (String, String, String) {
    (status.to_owned(), reason.to_owned(), message.to_owned())
}

fn down(documents: impl IntoIterator<Item = Value>) -> String {
    let status = World::new(mysql()).with_all(documents).pass();
    let (available, reason, message) = brief(&status, "Available");
    assert_eq!(
        (available.as_str(), reason.as_str()),
        ("False", "DeploymentUnavailable")
    );
    message
}
