//! A registry, a cluster made of documents, and the plan that follows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test ends at the first surprise, and no test uses all of this"
)]

use api::modelregistry::v1beta1::ModelRegistry;
use jiff::Timestamp;
use model_registry_operator::registry::Registry;
use model_registry_operator::registry::config::Config;
use model_registry_operator::registry::error::Error;
use model_registry_operator::registry::observe::{MESH, Observation};
use model_registry_operator::registry::validate::{ValidateError, Validated, validate};
use operator_harness::{Pass, environment};
use resources::Plan;
use resources::kind::INGRESS_CONFIG;
use runtime::component::Component;
use runtime::offline::{OfflineInputs, Platform};
use serde_json::{Value, json};

/// uid of every registry that is made here.
pub(crate) const UID: &str = "00000000-0000-4000-8000-000000000001";

/// A registry in a cluster.
pub(crate) struct Case {
    pub(crate) platform: Platform,
    /// The cluster has Istio and Authorino.
    pub(crate) mesh: bool,
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
    pub(crate) annotations: Value,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    pub(crate) documents: Vec<Value>,
}

impl Case {
    /// On plain Kubernetes.
    pub(crate) fn kubernetes(spec: Value) -> Self {
        Self {
            platform: Platform::Kubernetes,
            mesh: false,
            name: "sample",
            spec,
            annotations: json!({}),
            environment: Vec::new(),
            documents: Vec::new(),
        }
    }

    /// On OpenShift with domain `apps.example.test`.
    pub(crate) fn openshift(spec: Value) -> Self {
        let ingress = json!({
            "apiVersion": INGRESS_CONFIG.api_version(), "kind": "Ingress", "metadata": {"name": "cluster"},
            "spec": {"domain": "apps.example.test"},
        });
        Self {
            platform: Platform::OpenShift,
            ..Self::kubernetes(spec)
        }
        .with(ingress)
    }

    /// In a cluster that has Istio and Authorino too.
    pub(crate) fn in_mesh(self) -> Self {
        Self { mesh: true, ..self }
    }

    pub(crate) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn with(mut self, document: Value) -> Self {
        self.documents.push(document);
        self
    }

    /// With these APIs too.
    pub(crate) fn serving(self, kinds: &[resources::Kind]) -> Self {
        kinds.iter().fold(self, |case, kind| {
            case.with(
                json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{}-{}", kind.resource(), kind.version)},
                "spec": {"group": kind.group, "names": {"plural": kind.plural},
                    "versions": [{"name": kind.version, "served": true}]}}),
            )
        })
    }

    pub(crate) fn environment(self, environment: &[(&'static str, &'static str)]) -> Self {
        Self {
            environment: environment.to_vec(),
            ..self
        }
    }

    pub(crate) fn resource(&self) -> ModelRegistry {
        serde_json::from_value(json!({
            "apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": self.name, "namespace": "ns", "uid": UID, "annotations": self.annotations,
                         "creationTimestamp": "2026-01-02T00:00:00Z"},
            "spec": self.spec,
        }))
        .unwrap()
    }

    pub(crate) fn registry(&self) -> Registry {
        Registry {
            config: Config::from_lookup(environment(&self.environment)).unwrap(),
        }
    }

    pub(crate) fn observe(&self) -> Observation {
        let registry = self.registry();
        let resource = self.resource();
        let mesh = MESH.into_iter().filter(|_| self.mesh);
        let capabilities = self.platform.capabilities(&registry, &[INGRESS_CONFIG]);
        let capabilities = capabilities.with(mesh);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let inputs = OfflineInputs::new(&registry, &resource, &self.documents, capabilities, now);
        Pass::over(&registry, &resource, inputs).unwrap().seen
    }

    pub(crate) fn try_plan(&self) -> Result<Plan, Error> {
        self.registry().plan(&self.resource(), &self.observe())
    }

    pub(crate) fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    pub(crate) fn validate(&self) -> Result<Validated, ValidateError> {
        validate(&self.resource(), &self.observe(), &self.registry().config)
    }

    /// The sentence that the resource is refused with.
    pub(crate) fn refusal(&self) -> String {
        self.validate().map(drop).unwrap_err().to_string()
    }

    /// The planned object `kind/name`; null when there is none.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Value {
        find(&self.plan(), kind, name)
    }

    /// The pods' specification.
    pub(crate) fn pod(&self) -> Value {
        self.object("Deployment", self.name)["spec"]["template"]["spec"].take()
    }
}

/// The planned object `kind/name`; null when there is none.
pub(crate) fn find(plan: &Plan, kind: &str, name: &str) -> Value {
    let found = plan
        .objects()
        .iter()
        .find(|object| object.kind.kind == kind && object.name == name);
    found.map(|object| object.body.clone()).unwrap_or_default()
}

/// A Secret in the registry's namespace.
pub(crate) fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ns"},
           "stringData": data})
}

/// A MySQL database with its password in a Secret.
pub(crate) fn mysql() -> Value {
    json!({"rest": {}, "mysql": {"host": "db", "database": "registry", "username": "user",
           "passwordSecret": {"name": "db", "key": "password"}}})
}

/// `base` with `more` merged into it.
pub(crate) fn merged(mut base: Value, more: &Value) -> Value {
    fn merge(into: &mut Value, from: &Value) {
        if let (Value::Object(into), Value::Object(from)) = (&mut *into, from) {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        } else {
            *into = from.clone();
        }
    }
    merge(&mut base, more);
    base
}

/// Arguments of a container.
pub(crate) fn args(pod: &Value, container: usize) -> Vec<String> {
    let args = pod["containers"][container]["args"].as_array().unwrap();
    args.iter()
        .map(|arg| arg.as_str().unwrap().to_owned())
        .collect()
}

/// Value of an environment variable of the server.
pub(crate) fn env(pod: &Value, name: &str) -> Value {
    let env = pod["containers"][0]["env"].as_array().unwrap();
    env.iter()
        .find(|variable| variable["name"] == name)
        .cloned()
        .unwrap_or_default()
}
