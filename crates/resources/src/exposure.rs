//! Ways in from outside the cluster that every Kubernetes may have: HTTPRoute with
//! BackendTLSPolicy, and Ingress.

use api::exposure as asked;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use crate::kind::{BACKEND_TLS_POLICIES, HTTP_ROUTE, INGRESS, Kind};
use crate::meta::{Pairs, annotated, with_spec};
use crate::names::{HostLabel, Name, NameError, ObjectName, Rule, ServiceName, label_key};
use crate::plan::{PlanError, Planned};

/// Ways in, with names that objects can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Host names, the first of which is told.
    pub hosts: Vec<ObjectName>,
    /// Gateways that lead in.
    pub gateways: Vec<Gateway>,
    /// The Ingress, where one is asked for.
    pub ingress: Option<IngressOptions>,
}

/// A Gateway, or one listener of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Name.
    pub name: ObjectName,
    /// Namespace; `None` for that of the resource.
    pub namespace: Option<HostLabel>,
    /// Listener; `None` for every one that takes the hosts.
    pub section: Option<ObjectName>,
}

/// What an Ingress is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressOptions {
    /// Class; `None` for the cluster's default.
    pub class: Option<ObjectName>,
    /// Annotations for its controller.
    pub annotations: Pairs,
    /// Secret with the certificate for the hosts.
    pub secret: Option<ObjectName>,
}

/// Where the ways lead to: one port of a Service in the same namespace.
#[derive(Clone, Copy, Debug)]
pub struct Backend<'a> {
    /// The Service.
    pub service: &'a ServiceName,
    /// Number of its port.
    pub port: i32,
    /// Name of its port.
    pub port_name: &'a str,
}

/// What a gateway must know to speak TLS to a [`Backend`].
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Host name that the certificate must have.
    pub host: &'a str,
    /// ConfigMap with the authorities, in the key that Gateway API reads and that
    /// [`crate::certificates::AUTHORITIES`] names.
    pub authorities: &'a ObjectName,
}

/// Reads the field at `path`, and gives every problem with its path.
pub fn read(
    asked: &asked::Exposure,
    path: &str,
    problems: &mut Vec<(String, NameError)>,
) -> Option<Exposure> {
    let before = problems.len();
    let mut keep = |field: String, error| problems.push((format!("{path}.{field}"), error));
    let hosts = asked.hosts.iter().enumerate().filter_map(|(index, host)| {
        ObjectName::parse(host)
            .map_err(|error| keep(format!("hosts[{index}]"), error))
            .ok()
    });
    let hosts = hosts.collect();
    let mut gateways = Vec::new();
    for (index, gateway) in asked.gateways.iter().enumerate() {
        let field = |name| format!("gateways[{index}].{name}");
        let name = ObjectName::parse(&gateway.name).map_err(|error| keep(field("name"), error));
        let namespace =
            optional(gateway.namespace.as_ref()).map_err(|error| keep(field("namespace"), error));
        let section = optional(gateway.section_name.as_ref())
            .map_err(|error| keep(field("sectionName"), error));
        if let (Ok(name), Ok(namespace), Ok(section)) = (name, namespace, section) {
            gateways.push(Gateway {
                name,
                namespace,
                section,
            });
        }
    }
    let ingress = asked.ingress.as_ref().and_then(|ingress| {
        for key in ingress.annotations.keys() {
            if let Err(error) = label_key(key) {
                keep(format!("ingress.annotations[{key}]"), error);
            }
        }
        let class = optional(ingress.class_name.as_ref())
            .map_err(|error| keep("ingress.className".to_owned(), error));
        let secret = optional(ingress.tls_secret_name.as_ref())
            .map_err(|error| keep("ingress.tlsSecretName".to_owned(), error));
        Some(IngressOptions {
            class: class.ok()?,
            annotations: ingress.annotations.clone(),
            secret: secret.ok()?,
        })
    });
    (problems.len() == before).then_some(Exposure {
        hosts,
        gateways,
        ingress,
    })
}

fn optional<R: Rule>(text: Option<&String>) -> Result<Option<Name<R>>, NameError> {
    text.map(|text| Name::parse(text)).transpose()
}

impl Exposure {
    /// Whether any of the ways can be made where `http_routes` are served, or are not.
    #[must_use]
    pub fn is_open(&self, http_routes: bool) -> bool {
        self.ingress.is_some() || (http_routes && !self.gateways.is_empty())
    }

    /// The address that is told: the first host. A gateway is taken to have a certificate for it.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let scheme = if self.has_tls() { "https" } else { "http" };
        let host = self.hosts.first()?;
        Some(format!("{scheme}://{host}"))
    }

    /// The same as `host:port`.
    #[must_use]
    pub fn address(&self) -> Option<String> {
        let port = if self.has_tls() { 443 } else { 80 };
        Some(format!("{}:{port}", self.hosts.first()?))
    }

    fn has_tls(&self) -> bool {
        let certified = |ingress: &IngressOptions| ingress.secret.is_some();
        !self.gateways.is_empty() || self.ingress.as_ref().is_some_and(certified)
    }

    /// HTTPRoute from the gateways, as `metadata` calls it.
    pub fn http_route(
        &self,
        metadata: ObjectMeta,
        backend: Backend<'_>,
    ) -> Result<Planned, PlanError> {
        let parents: Vec<Value> = self
            .gateways
            .iter()
            .map(|gateway| {
                json!({
                    "group": HTTP_ROUTE.group,
                    "kind": "Gateway",
                    "name": gateway.name.as_str(),
                    "namespace": gateway.namespace.as_ref().map(HostLabel::as_str),
                    "sectionName": gateway.section.as_ref().map(ObjectName::as_str),
                })
            })
            .collect();
        let hosts: Vec<&str> = self.hosts.iter().map(ObjectName::as_str).collect();
        let spec = json!({
            "hostnames": hosts,
            "parentRefs": parents,
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{
                    "group": "",
                    "kind": "Service",
                    "name": backend.service.as_str(),
                    "port": backend.port,
                    "weight": 1,
                }],
            }],
        });
        Planned::new(HTTP_ROUTE, &with_spec(metadata, &spec))
    }

    /// The Ingress, as `metadata` calls it; `None` when nobody asks for one.
    pub fn ingress(
        &self,
        metadata: ObjectMeta,
        backend: Backend<'_>,
    ) -> Result<Option<Planned>, PlanError> {
        let Some(options) = &self.ingress else {
            return Ok(None);
        };
        let hosts = || self.hosts.iter().map(ToString::to_string);
        let rule = |host| IngressRule {
            host: Some(host),
            http: Some(HTTPIngressRuleValue {
                paths: vec![HTTPIngressPath {
                    backend: IngressBackend {
                        service: Some(IngressServiceBackend {
                            name: backend.service.to_string(),
                            port: Some(ServiceBackendPort {
                                name: Some(backend.port_name.to_owned()),
                                number: None,
                            }),
                        }),
                        resource: None,
                    },
                    path: Some("/".into()),
                    path_type: "Prefix".into(),
                }],
            }),
        };
        let tls = options.secret.as_ref().map(|secret| {
            vec![IngressTLS {
                hosts: Some(hosts().collect()),
                secret_name: Some(secret.to_string()),
            }]
        });
        let ingress = Ingress {
            metadata: annotated(metadata, options.annotations.clone()),
            spec: Some(IngressSpec {
                ingress_class_name: options.class.as_ref().map(ToString::to_string),
                rules: Some(hosts().map(rule).collect()),
                tls,
                ..IngressSpec::default()
            }),
            status: None,
        };
        Planned::new(INGRESS, &ingress).map(Some)
    }
}

/// The newest version of BackendTLSPolicy that `is_served`.
#[must_use]
pub fn backend_tls_policy_kind(is_served: impl Fn(Kind) -> bool) -> Option<Kind> {
    BACKEND_TLS_POLICIES
        .into_iter()
        .find(|kind| is_served(*kind))
}

/// BackendTLSPolicy: gateways speak TLS to the Service, and whose certificates they take. `kind` is
/// one of [`BACKEND_TLS_POLICIES`], whose versions agree in all of this.
pub fn backend_tls_policy(
    kind: Kind,
    metadata: ObjectMeta,
    service: &ServiceName,
    trust: Trust<'_>,
) -> Result<Planned, PlanError> {
    let spec = json!({
        "targetRefs": [{"group": "", "kind": "Service", "name": service.as_str()}],
        "validation": {
            "caCertificateRefs": [
                {"group": "", "kind": "ConfigMap", "name": trust.authorities.as_str()},
            ],
            "hostname": trust.host,
        },
    });
    Planned::new(kind, &with_spec(metadata, &spec))
}

/// Spec of an HTTPRoute from a gateway (namespace and name) by a path that the server does not see, to
/// a port of a Service (namespace and name).
#[must_use]
pub fn path_route(
    gateway: (&str, &str),
    path: &str,
    (namespace, service): (&str, &str),
    port: i32,
) -> Value {
    json!({
        "parentRefs": [{
            "group": HTTP_ROUTE.group,
            "kind": "Gateway",
            "name": gateway.1,
            "namespace": gateway.0,
        }],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": {
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
            }}],
            "backendRefs": [{
                "group": "",
                "kind": "Service",
                "name": service,
                "namespace": namespace,
                "port": port,
                "weight": 1,
            }],
        }],
    })
}
