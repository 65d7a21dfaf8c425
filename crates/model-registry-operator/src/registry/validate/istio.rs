//! `spec.istio`.

use api::modelregistry::v1beta1::{
    Gateway as GatewaySpec, GatewayServer, GatewayTlsMode, Istio as IstioSpec, ServiceRoute,
};
use resources::meta::Pairs;
use resources::names::{HostLabel, LabelValue, ObjectName, label_key};

use super::{Problem, Reader};
use crate::registry::config::Config;
use crate::registry::names::RegistryName;
use crate::registry::observe::Observation;
use crate::registry::references::filled;
use crate::registry::validated::istio::{
    Entrance, EntranceTls, Gateway, Guard, IngressService, Istio, IstioGateway, TlsMode,
};
use crate::registry::values::{Audience, AuthProvider, Domain, Port};

/// Where one server of the gateway is written, and what its names begin and end with.
struct Side {
    field: &'static str,
    what: &'static str,
    end: &'static str,
}

const REST: Side = Side {
    field: "spec.istio.gateway.rest",
    what: "first label of the gateway's host name",
    end: "-rest",
};
const GRPC: Side = Side {
    field: "spec.istio.gateway.grpc",
    end: "-grpc",
    ..REST
};

impl Reader {
    /// `istio` has its defaults.
    pub(super) fn istio(
        &mut self,
        name: &RegistryName,
        namespace: &str,
        istio: &IstioSpec,
        observation: &Observation,
        config: &Config,
    ) -> Option<Istio> {
        let tls = self.tls_mode(&istio.tls_mode);
        let guard = if config.mesh.guarded {
            Some(self.guard(name, istio)?)
        } else {
            None
        };
        let gateway = match &istio.gateway {
            None => Gateway::Closed,
            Some(gateway) if filled(gateway.domain.as_ref()).is_none() => Gateway::NoDomain,
            Some(gateway) => Gateway::Open(Box::new(self.gateway(
                name,
                namespace,
                gateway,
                observation,
            )?)),
        };
        Some(Istio {
            tls: tls?,
            guard,
            gateway,
        })
    }

    fn tls_mode(&mut self, text: &str) -> Option<TlsMode> {
        let mut all = TlsMode::ALL.into_iter();
        let found = all.find(|(name, _)| *name == text).map(|(_, mode)| mode);
        if found.is_none() {
            self.problems.push(Problem::TlsMode {
                value: text.to_owned(),
            });
        }
        found
    }

    fn guard(&mut self, name: &RegistryName, istio: &IstioSpec) -> Option<Guard> {
        let provider = istio.auth_provider.as_deref().unwrap_or_default();
        let provider = self.value("spec.istio.authProvider", AuthProvider::parse(provider));
        let audiences: Vec<_> = istio
            .audiences
            .iter()
            .filter_map(|text| self.value("spec.istio.audiences", Audience::parse(text)))
            .collect();
        Some(Guard {
            policy: self.derived(name, "label of the AuthorizationPolicy", "", "-authorino")?,
            provider: provider?,
            labels: self.labels("spec.istio.authConfigLabels", &istio.auth_config_labels),
            audiences,
        })
    }

    /// Checks labels that end up on an object. Wrong ones are a problem and left out.
    fn labels(&mut self, field: &str, labels: &Pairs) -> Pairs {
        let mut checked = Pairs::new();
        for (key, value) in labels {
            let of = |source| Problem::Reference {
                field: format!("{field}[{key}]"),
                source,
            };
            let value_is_right =
                value.is_empty() || self.keep(LabelValue::parse(value).map_err(of)).is_some();
            if self.keep(label_key(key).map_err(of)).is_some() && value_is_right {
                checked.insert(key.clone(), value.clone());
            }
        }
        checked
    }

    fn gateway(
        &mut self,
        name: &RegistryName,
        namespace: &str,
        gateway: &GatewaySpec,
        observation: &Observation,
    ) -> Option<IstioGateway> {
        let domain = gateway.domain.as_deref().unwrap_or_default();
        self.value("spec.istio.gateway.domain", Domain::parse(domain))?;
        let ingress = self.label(
            "spec.istio.gateway.istioIngress",
            gateway.istio_ingress.as_deref().unwrap_or_default(),
        );
        let control_plane = match filled(gateway.control_plane.as_ref()) {
            Some(text) => Some(self.label("spec.istio.gateway.controlPlane", text)?),
            None => None,
        };
        let openshift = observation.platform.openshift;
        let domain = domain.to_ascii_lowercase();
        let rest = self.entrance(&REST, name, namespace, &domain, &gateway.rest, openshift);
        let grpc = self.entrance(&GRPC, name, namespace, &domain, &gateway.grpc, openshift);
        let (ingress, rest, grpc) = (ingress?, rest?, grpc?);
        let service = if rest.route.is_some() || grpc.route.is_some() {
            ingress_service(&ingress, control_plane.as_ref(), observation)
        } else {
            IngressService::Unasked
        };
        Some(IstioGateway {
            ingress,
            control_plane,
            rest,
            grpc,
            service,
        })
    }

    fn label(&mut self, field: &str, text: &str) -> Option<LabelValue> {
        self.keep(
            LabelValue::parse(text).map_err(|source| Problem::Reference {
                field: field.to_owned(),
                source,
            }),
        )
    }

    fn entrance(
        &mut self,
        side: &Side,
        name: &RegistryName,
        namespace: &str,
        domain: &str,
        server: &GatewayServer,
        openshift: bool,
    ) -> Option<Entrance> {
        let first = self.named(HostLabel::derive(side.what, "", name.as_str(), side.end))?;
        let host = self.keep(
            ObjectName::parse(&format!("{first}.{domain}")).map_err(|source| Problem::Reference {
                field: "spec.istio.gateway.domain".to_owned(),
                source,
            }),
        );
        let port = self.value(
            &format!("{}.port", side.field),
            Port::parse(server.port.unwrap_or_default()),
        );
        let tls = match &server.tls {
            None => None,
            Some(tls) => {
                let field = format!("{}.tls.credentialName", side.field);
                let credential = match filled(tls.credential_name.as_ref()) {
                    Some(text) => Some(self.keep(ObjectName::parse(text).map_err(|source| {
                        Problem::Reference {
                            field: field.clone(),
                            source,
                        }
                    }))?),
                    None if tls.mode == GatewayTlsMode::IstioMutual => None,
                    None => {
                        self.problems.push(Problem::NoCredential { field });
                        return None;
                    }
                };
                Some(EntranceTls {
                    mode: tls.mode,
                    credential,
                })
            }
        };
        let route = if openshift && server.gateway_route == Some(ServiceRoute::Enabled) {
            let text = format!("{namespace}-{}{}", name.as_str(), side.end);
            Some(self.named(ObjectName::parse(&text))?)
        } else {
            None
        };
        Some(Entrance {
            host: host?,
            port: port?,
            tls,
            route,
        })
    }
}

/// The address from outside of the mesh.
pub(super) fn address(istio: &Istio) -> Option<String> {
    istio.gateway.open().map(|gateway| gateway.rest.address())
}

/// The one Service with the labels of the ingress gateway.
fn ingress_service(
    ingress: &LabelValue,
    control_plane: Option<&LabelValue>,
    observation: &Observation,
) -> IngressService {
    let mut found: Vec<_> = observation
        .ingress_services
        .iter()
        .filter(|service| {
            let has = |key: &str, value: &LabelValue| {
                let labels = service.labels.as_ref();
                labels
                    .and_then(|labels| labels.get(key))
                    .map(String::as_str)
                    == Some(value.as_str())
            };
            has("istio", ingress)
                && control_plane.is_none_or(|revision| has("istio.io/rev", revision))
        })
        .collect();
    let count = found.len();
    let only = found.pop().filter(|_| count == 1);
    let parts = only.and_then(|service| {
        let namespace = HostLabel::parse(service.namespace.as_deref()?).ok()?;
        let name = ObjectName::parse(service.name.as_deref()?).ok()?;
        Some((namespace, name))
    });
    match parts {
        Some((namespace, name)) => IngressService::Found { namespace, name },
        None => IngressService::Ambiguous { count },
    }
}
