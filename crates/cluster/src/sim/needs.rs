//! What a pod needs before it can start, and what of that is missing. Pure.

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, PodSpec, Probe, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Where data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl Source {
    /// As in a kubelet's messages about an object, and about a key.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => ("secret", "Secret"),
            Self::ConfigMap => ("configmap", "ConfigMap"),
        }
    }
}

/// One required Secret or ConfigMap, perhaps with a key. Optional ones are no needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Secret or ConfigMap.
    pub source: Source,
    /// Its name.
    pub name: String,
    /// The key that must be in it, if one is named.
    pub key: Option<String>,
    /// What waits for it.
    pub step: Step,
}

/// What a kubelet cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Mount a volume, so that no container of the pod starts.
    Mount {
        /// The volume.
        volume: String,
    },
    /// Make a container's environment.
    Environment {
        /// The container.
        container: String,
    },
    /// Probe a container that runs.
    Probe {
        /// The container.
        container: String,
    },
}

/// Something missing, in a kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What cannot be done.
    pub step: Step,
    /// Why.
    pub message: String,
}

/// Everything that keeps a pod from being ready. `keys` gives the keys of a Secret or ConfigMap in
/// the pod's namespace, `None` if it does not exist.
pub fn missing<'a>(pod: &Pod, keys: impl Fn(Source, &str) -> Option<&'a [String]>) -> Vec<Problem> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut problems: Vec<Problem> = needs(spec)
        .into_iter()
        .filter_map(|need| {
            let name = &need.name;
            let message = match (keys(need.source, name), &need.key) {
                (None, _) => format!("{} \"{name}\" not found", need.source.words().0),
                (Some(keys), Some(key)) if !keys.contains(key) => {
                    let (word, kind) = need.source.words();
                    if matches!(need.step, Step::Mount { .. }) {
                        format!("references non-existent {word} key: {key}")
                    } else {
                        format!("couldn't find key {key} in {kind} {namespace}/{name}")
                    }
                }
                (Some(_), _) => return None,
            };
            Some(Problem {
                step: need.step,
                message,
            })
        })
        .collect();
    problems.extend(spec.containers.iter().flat_map(probe_problems));
    problems
}

fn needs(spec: &PodSpec) -> Vec<Need> {
    let containers = spec
        .init_containers
        .iter()
        .flatten()
        .chain(&spec.containers);
    spec.volumes
        .iter()
        .flatten()
        .flat_map(volume_needs)
        .chain(containers.flat_map(environment_needs))
        .collect()
}

fn volume_needs(volume: &Volume) -> Vec<Need> {
    let step = Step::Mount {
        volume: volume.name.clone(),
    };
    let mut needs = Needs {
        step,
        found: Vec::new(),
    };
    if let Some(secret) = &volume.secret {
        needs.files(
            Source::Secret,
            secret.secret_name.as_deref(),
            secret.items.as_deref(),
            secret.optional,
        );
    }
    if let Some(config) = &volume.config_map {
        needs.files(
            Source::ConfigMap,
            Some(&config.name),
            config.items.as_deref(),
            config.optional,
        );
    }
    for part in volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten())
    {
        if let Some(secret) = &part.secret {
            needs.files(
                Source::Secret,
                Some(&secret.name),
                secret.items.as_deref(),
                secret.optional,
            );
        }
        if let Some(config) = &part.config_map {
            needs.files(
                Source::ConfigMap,
                Some(&config.name),
                config.items.as_deref(),
                config.optional,
            );
        }
    }
    needs.found
}

fn environment_needs(container: &Container) -> Vec<Need> {
    let step = Step::Environment {
        container: container.name.clone(),
    };
    let mut needs = Needs {
        step,
        found: Vec::new(),
    };
    for from in container.env_from.iter().flatten() {
        if let Some(secret) = &from.secret_ref {
            needs.add(Source::Secret, &secret.name, None, secret.optional);
        }
        if let Some(config) = &from.config_map_ref {
            needs.add(Source::ConfigMap, &config.name, None, config.optional);
        }
    }
    for from in container
        .env
        .iter()
        .flatten()
        .filter_map(|variable| variable.value_from.as_ref())
    {
        if let Some(secret) = &from.secret_key_ref {
            needs.add(
                Source::Secret,
                &secret.name,
                Some(&secret.key),
                secret.optional,
            );
        }
        if let Some(config) = &from.config_map_key_ref {
            needs.add(
                Source::ConfigMap,
                &config.name,
                Some(&config.key),
                config.optional,
            );
        }
    }
    needs.found
}

/// Collects the needs of one step.
struct Needs {
    step: Step,
    found: Vec<Need>,
}

impl Needs {
    fn add(&mut self, source: Source, name: &str, key: Option<&str>, optional: Option<bool>) {
        if optional != Some(true) {
            let key = key.map(str::to_owned);
            self.found.push(Need {
                source,
                name: name.to_owned(),
                key,
                step: self.step.clone(),
            });
        }
    }

    fn files(
        &mut self,
        source: Source,
        name: Option<&str>,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) {
        let name = name.unwrap_or_default();
        self.add(source, name, None, optional);
        for item in items.unwrap_or_default() {
            self.add(source, name, Some(&item.key), optional);
        }
    }
}

/// Named probe ports that the container does not declare. A kubelet ignores a liveness probe of
/// that kind; here it counts as well, because it is always a mistake.
fn probe_problems(container: &Container) -> Vec<Problem> {
    [
        ("Readiness", &container.readiness_probe),
        ("Liveness", &container.liveness_probe),
        ("Startup", &container.startup_probe),
    ]
    .into_iter()
    .filter_map(|(word, probe)| {
        let port = named_port(probe.as_ref()?)?;
        let declared = container
            .ports
            .iter()
            .flatten()
            .any(|declared| declared.name.as_deref() == Some(port));
        (!declared).then(|| Problem {
            step: Step::Probe {
                container: container.name.clone(),
            },
            message: format!(
                "{word} probe errored: couldn't find port \"{port}\" in container {}",
                container.name
            ),
        })
    })
    .collect()
}

fn named_port(probe: &Probe) -> Option<&str> {
    let http = probe.http_get.as_ref().map(|action| &action.port);
    let tcp = probe.tcp_socket.as_ref().map(|action| &action.port);
    match http.or(tcp)? {
        IntOrString::String(name) if name.parse::<u16>().is_err() => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The messages about a pod spec in a namespace with Secret `s` (key `a`) and ConfigMap `c`
    /// (key `b`).
    fn messages(spec: &Value) -> Vec<String> {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"namespace": "n"}, "spec": spec})).unwrap();
        let (a, b) = (["a".to_owned()], ["b".to_owned()]);
        missing(&pod, |source, name| match (source, name) {
            (Source::Secret, "s") => Some(a.as_slice()),
            (Source::ConfigMap, "c") => Some(b.as_slice()),
            _ => None,
        })
        .into_iter()
        .map(|problem| problem.message)
        .collect()
    }

    fn container(fields: &Value) -> Value {
        let mut container = json!({"name": "main", "image": "i"});
        container
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        json!({"containers": [container]})
    }

    #[test]
    fn what_exists_is_no_problem() {
        let spec = json!({
            "containers": [{"name": "main", "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "b"}}},
                {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]}],
            "volumes": [
                {"name": "s", "secret": {"secretName": "s", "items": [{"key": "a", "path": "x"}]}},
                {"name": "e", "emptyDir": {}},
            ],
        });
        assert_eq!(messages(&spec), Vec::<String>::new());
    }

    #[test]
    fn volumes_need_objects_and_listed_keys() {
        let spec = json!({"containers": [], "volumes": [
            {"name": "1", "secret": {"secretName": "no"}},
            {"name": "2", "configMap": {"name": "c", "items": [{"key": "no", "path": "x"}]}},
            {"name": "3", "projected": {"sources": [
                {"secret": {"name": "s", "items": [{"key": "z", "path": "x"}]}},
                {"configMap": {"name": "none"}},
                {"serviceAccountToken": {"path": "token"}},
            ]}},
        ]});
        assert_eq!(
            messages(&spec),
            [
                "secret \"no\" not found",
                "references non-existent configmap key: no",
                "references non-existent secret key: z",
                "configmap \"none\" not found",
            ]
        );
    }

    #[test]
    fn environment_needs_objects_and_keys() {
        let spec = container(&json!({
            "envFrom": [{"configMapRef": {"name": "none"}}, {"secretRef": {"name": "s"}}],
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "z"}}}],
        }));
        assert_eq!(
            messages(&spec),
            [
                "configmap \"none\" not found",
                "couldn't find key z in Secret n/s"
            ]
        );
    }

    #[test]
    fn optional_is_not_needed() {
        let spec = json!({
            "containers": [{"name": "main",
                "envFrom": [{"secretRef": {"name": "no", "optional": true}}],
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "no", "optional": true}}}],
            }],
            "volumes": [
                {"name": "1", "secret": {"secretName": "no", "optional": true}},
                {"name": "2", "projected": {"sources": [{"configMap": {"name": "no", "optional": true}}]}},
                {"name": "3", "configMap": {"name": "c", "optional": true, "items": [{"key": "no", "path": "x"}]}},
            ],
        });
        assert_eq!(messages(&spec), Vec::<String>::new());
    }

    #[test]
    fn probes_need_declared_ports() {
        let probe = json!({"httpGet": {"port": "https"}});
        assert_eq!(
            messages(&container(
                &json!({"readinessProbe": probe, "ports": [{"name": "http", "containerPort": 80}]})
            )),
            ["Readiness probe errored: couldn't find port \"https\" in container main"]
        );
        assert_eq!(
            messages(&container(
                &json!({"livenessProbe": {"tcpSocket": {"port": "grpc"}}})
            )),
            ["Liveness probe errored: couldn't find port \"grpc\" in container main"]
        );
        let declared =
            json!({"readinessProbe": probe, "ports": [{"name": "https", "containerPort": 80}]});
        assert_eq!(messages(&container(&declared)), Vec::<String>::new());
        assert_eq!(
            messages(&container(
                &json!({"readinessProbe": {"tcpSocket": {"port": 80}}})
            )),
            Vec::<String>::new()
        );
    }
}
