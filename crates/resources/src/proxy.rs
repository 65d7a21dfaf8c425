//! The kube-rbac-proxy beside a server, and its configuration.
//!
//! The proxy asks the API server who calls, and whether the caller may do something to an object:
//! its `resourceAttributes`. Only Open Data Hub's build reads the verb from there; the public
//! builds take it from the HTTP method.

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, ContainerPort, Probe, ResourceRequirements, Volume,
};
use kube::core::ObjectMeta;
use serde::Serialize;

use crate::kind::CONFIG_MAP;
use crate::meta::pairs;
use crate::names::{DataKey, ObjectName};
use crate::plan::PlanError;
use crate::workload::{
    Timing, config_map_volume, http_probe, mount, pull_policy, resources, restricted_container,
    secret_volume,
};

/// Name of the container.
pub const CONTAINER: &str = "kube-rbac-proxy";
/// Key of the ConfigMap with the configuration.
pub const CONFIG_KEY: &str = "config-file.yaml";
/// Port of the proxy's own health endpoint.
pub const HEALTH_PORT: i32 = 8888;

const CERTIFICATE: (&str, &str) = ("kube-rbac-proxy-cert", "/etc/tls/private-cert");
const KEY: (&str, &str) = ("kube-rbac-proxy-key", "/etc/tls/private-key");
const CONFIG: (&str, &str) = ("kube-rbac-proxy-config", "/etc/kube-rbac-proxy");

/// A kube-rbac-proxy beside a server.
#[derive(Clone, Copy, Debug)]
pub struct Sidecar<'a> {
    /// Image.
    pub image: &'a str,
    /// Port that it listens on, with TLS.
    pub port: i32,
    /// Port of the server, on the loopback address.
    pub upstream: i32,
    /// Compute resources, where they are chosen.
    pub resources: Option<&'a ResourceRequirements>,
    /// Secret and key of the serving certificate.
    pub certificate: (&'a ObjectName, &'a DataKey),
    /// Secret and key of its private key.
    pub key: (&'a ObjectName, &'a DataKey),
    /// ConfigMap with the configuration.
    pub config: &'a ObjectName,
}

impl Sidecar<'_> {
    /// The container.
    #[must_use]
    pub fn container(&self) -> Container {
        let port = |number: i32, name: &str| ContainerPort {
            container_port: number,
            name: Some(name.to_owned()),
            ..ContainerPort::default()
        };
        Container {
            name: CONTAINER.into(),
            image: Some(self.image.to_owned()),
            image_pull_policy: Some(pull_policy(self.image)),
            args: Some(vec![
                format!("--secure-listen-address=0.0.0.0:{}", self.port),
                format!("--upstream=http://127.0.0.1:{}/", self.upstream),
                format!("--proxy-endpoints-port={HEALTH_PORT}"),
                "--logtostderr=true".into(),
                "--v=0".into(),
                format!("--config-file={}/{CONFIG_KEY}", CONFIG.1),
                format!("--tls-cert-file={}/{}", CERTIFICATE.1, self.certificate.1),
                format!("--tls-private-key-file={}/{}", KEY.1, self.key.1),
            ]),
            ports: Some(vec![
                port(self.port, "https-proxy"),
                port(HEALTH_PORT, "proxy-healthz"),
            ]),
            liveness_probe: Some(health("/healthz", "proxy-healthz", 30)),
            readiness_probe: Some(health("/healthz", "proxy-healthz", 5)),
            resources: Some(self.resources.cloned().unwrap_or_else(usual_resources)),
            security_context: Some(restricted_container()),
            volume_mounts: Some(
                [CERTIFICATE, KEY, CONFIG]
                    .map(|(volume, path)| mount(volume, path, false))
                    .into(),
            ),
            ..Container::default()
        }
    }

    /// The volumes that the container mounts.
    #[must_use]
    pub fn volumes(&self) -> Vec<Volume> {
        vec![
            secret_volume(CERTIFICATE.0, self.certificate.0.as_str()),
            secret_volume(KEY.0, self.key.0.as_str()),
            config_map_volume(CONFIG.0, self.config.as_str(), None),
        ]
    }
}

/// The object that a caller must be allowed to do something to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAttributes<'a> {
    /// API version of the object.
    pub api_version: &'a str,
    /// Plural of its kind.
    pub resource: &'a str,
    /// Subresource, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subresource: Option<&'a str>,
    /// What the caller must be allowed to do; `None` takes the verb of the HTTP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<&'a str>,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
}

#[derive(Serialize)]
struct ConfigFile<'a> {
    authorization: Authorization<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Authorization<'a> {
    resource_attributes: ResourceAttributes<'a>,
}

/// The ConfigMap with the configuration file.
pub fn config_map(
    metadata: ObjectMeta,
    attributes: ResourceAttributes<'_>,
) -> Result<ConfigMap, PlanError> {
    let file = config_file(attributes).map_err(|error| PlanError::Content {
        kind: CONFIG_MAP.kind,
        name: metadata.name.clone().unwrap_or_default(),
        message: error.to_string(),
    })?;
    Ok(ConfigMap {
        metadata,
        data: Some(pairs([(CONFIG_KEY, file.as_str())])),
        ..ConfigMap::default()
    })
}

/// The configuration file, YAML.
pub fn config_file(attributes: ResourceAttributes<'_>) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&ConfigFile {
        authorization: Authorization {
            resource_attributes: attributes,
        },
    })
}

/// Asks a proxy whether it works, after `delay` seconds for the first time.
#[must_use]
pub fn health(path: &str, port: &str, delay: i32) -> Probe {
    let timing = Timing {
        delay,
        period: 5,
        timeout: 1,
        failures: 3,
    };
    http_probe("HTTPS", path, port, timing)
}

/// What a proxy or a small server needs, where nobody chose.
#[must_use]
pub fn usual_resources() -> ResourceRequirements {
    resources(
        &[("cpu", "100m"), ("memory", "256Mi")],
        &[("memory", "256Mi")],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes<'a>(name: &'a str, verb: Option<&'a str>) -> ResourceAttributes<'a> {
        ResourceAttributes {
            api_version: "v1",
            resource: "services",
            subresource: verb.is_none().then_some("api"),
            verb,
            namespace: "ns",
            name,
        }
    }

    #[test]
    fn the_file_has_the_layout_that_the_go_operator_writes() {
        assert_eq!(
            config_file(attributes("sample", Some("get"))).unwrap(),
            "authorization:\n  resourceAttributes:\n    apiVersion: v1\n    resource: services\n    \
             verb: get\n    namespace: ns\n    name: sample\n"
        );
    }

    #[test]
    fn by_method_asks_for_the_virtual_subresource_and_no_verb() {
        assert_eq!(
            config_file(attributes("sample", None)).unwrap(),
            "authorization:\n  resourceAttributes:\n    apiVersion: v1\n    resource: services\n    \
             subresource: api\n    namespace: ns\n    name: sample\n"
        );
    }

    #[test]
    fn names_that_look_like_something_else_stay_text() {
        for name in ["true", "y", "null", "2024", "1e3", "no", "off"] {
            let file = config_file(attributes(name, Some("get"))).unwrap();
            let read: serde_json::Value = serde_saphyr::from_str(&file).unwrap();
            assert_eq!(
                read["authorization"]["resourceAttributes"]["name"], name,
                "{file}"
            );
            // Parsers of YAML 1.1 read more words as something else than a text.
            assert!(
                file.contains(&format!("name: \"{name}\""))
                    || file.contains(&format!("name: '{name}'")),
                "{file}"
            );
        }
    }
}
