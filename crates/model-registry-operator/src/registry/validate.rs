//! From a resource to what builders may use.
//!
//! [`Validated`] is the only input of builders. Every text in it has been read into a type that
//! says what it may hold, so no builder can write an object that an API server would refuse for
//! its form, and no text can reach a place that it was not meant for.

mod database;
mod generated;
mod istio;
mod metadata_store;
mod problem;
mod proxy;

use api::common::{DeletionPolicy, Operand};
use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, ServiceRoute};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{Resource, ResourceExt};
use resources::names::{DataKey, HostLabel, LabelValue, NameError, ObjectName, label_key};

use super::config::Config;
use super::defaults;
use super::names::{self, RegistryName};
use super::observe::Observation;
use super::trouble;
pub use super::validated::{
    Bundle, ByMethod, Database, Derived, FileSource, GatewayRoute, Generated, LeftData,
    MetadataStore, OAuth, Proxy, ProxyRoute, Rest, SecretKey, Tls, Validated,
};
use super::values::{EnvName, Image, Port, ValueError};
use super::{access, warning, ways};
use generated::{deletion_policy, left_data};
use problem::tightest;
pub use problem::{Problem, ValidateError};

/// Reads `resource`.
pub fn validate(
    resource: &ModelRegistry,
    observation: &Observation,
    config: &Config,
) -> Result<Validated, ValidateError> {
    if let Some(namesake) = &observation.namesake {
        return Err(ValidateError::NameConflict {
            name: resource.name_any(),
            namespace: namesake.namespace.clone(),
        });
    }
    let spec = defaults::effective(&resource.spec, &resource.name_any(), observation, config);
    let mut reader = Reader {
        problems: Vec::new(),
    };
    let validated = reader.registry(resource, &spec, observation, config);
    match validated {
        Some(validated) if reader.problems.is_empty() => Ok(validated),
        _ => Err(ValidateError::Invalid(tightest(reader.problems))),
    }
}

/// What no other resource has. A resource that is in no cluster has none.
fn salt(resource: &ModelRegistry) -> &str {
    resource.meta().uid.as_deref().unwrap_or_default()
}

/// Reads field by field and collects what is wrong, so that a user sees all of it at once.
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn value<T>(&mut self, field: &str, result: Result<T, ValueError>) -> Option<T> {
        self.keep(result.map_err(|source| Problem::Value {
            field: field.to_owned(),
            source,
        }))
    }

    fn named<T>(&mut self, result: Result<T, NameError>) -> Option<T> {
        self.keep(result.map_err(Problem::Name))
    }

    fn derived(
        &mut self,
        name: &RegistryName,
        what: &'static str,
        prefix: &'static str,
        suffix: &'static str,
    ) -> Option<Derived> {
        let object = self.named(name.object(what, prefix, suffix))?;
        let label = self.named(name.label(what, prefix, suffix))?;
        Some(Derived { object, label })
    }

    fn secret_key(
        &mut self,
        field: &str,
        reference: Option<&api::common::SecretKeyValue>,
    ) -> Option<SecretKey> {
        let reference = reference?;
        let (name, key) = self.reference(field, &reference.name, &reference.key)?;
        Some(SecretKey { name, key })
    }

    fn reference(&mut self, field: &str, name: &str, key: &str) -> Option<(ObjectName, DataKey)> {
        let problem = |part: &str, source| Problem::Reference {
            field: format!("{field}.{part}"),
            source,
        };
        let name = self.keep(ObjectName::parse(name).map_err(|e| problem("name", e)));
        let key = self.keep(DataKey::parse(key).map_err(|e| problem("key", e)));
        name.zip(key)
    }

    fn registry(
        &mut self,
        resource: &ModelRegistry,
        spec: &ModelRegistrySpec,
        observation: &Observation,
        config: &Config,
    ) -> Option<Validated> {
        let namespace_text = resource.namespace().unwrap_or_default();
        if let Some(allowed) = config
            .registries_namespace
            .as_ref()
            .filter(|a| a.as_str() != namespace_text)
        {
            self.problems.push(Problem::Namespace {
                namespace: namespace_text.clone(),
                allowed: allowed.to_string(),
            });
        }
        let name = self.named(RegistryName::parse(&resource.name_any()));
        let namespace = self.named(HostLabel::parse(&namespace_text));
        let rest_port = self.value("spec.rest.port", Port::parse(spec.rest.port));
        let rest_image = self.value(
            "spec.rest.image",
            Image::parse(spec.rest.image.as_deref().unwrap_or_default()),
        );
        let database = self.database(resource, spec);
        // Everything below derives names; without one there is nothing to derive from.
        self.operand(&spec.operand.clone().unwrap_or_default());
        let (expose, problems) = ways::read(spec);
        self.problems.extend(problems);
        let name = name?;
        let user_role = self.derived(&name, "label of the Role", names::USER_ROLE, "");
        let users = self.derived(&name, "label of the group of users", "", "-users");
        let access = access::grantees(&name, spec).map_err(|found| self.problems.extend(found));
        let postgres = self.generated(&name, resource, spec, observation);
        let proxy = match &spec.kube_rbac_proxy {
            Some(proxy) => Some(self.proxy(&name, proxy, spec, observation)?),
            None => None,
        };
        let istio = match &spec.istio {
            Some(istio) => Some(self.istio(&name, &namespace_text, istio, observation, config)?),
            None => None,
        };
        let metadata_store = self.metadata_store(spec)?;
        let route = (proxy.is_none()
            && istio.is_none()
            && observation.platform.openshift
            && spec.rest.service_route == ServiceRoute::Enabled)
            .then(|| self.derived(&name, "label of the Route", "", "-http"));
        let gateway = self.http_route(&name, observation, config)?;
        let bundle_name = self.named(name.object("name of the ConfigMap", "", "-database-ca"));
        let mut database = database?;
        database.set_bundle(spec, observation, bundle_name?);
        let annotation = |key: &str| resource.annotations().get(key).cloned();
        Some(Validated {
            owner: resources::meta::owner(resource),
            platform: observation.platform,
            user_role: user_role?,
            users: users?,
            access: access.ok()?,
            display_name: annotation("openshift.io/display-name"),
            description: annotation("openshift.io/description"),
            rest: Rest {
                port: rest_port?,
                image: rest_image?,
                resources: ResourceRequirements {
                    // Claims name devices of a pod that this one does not have.
                    claims: None,
                    ..spec.rest.resources.clone().unwrap_or_default()
                },
                route: match route {
                    Some(route) => Some(route?),
                    None => None,
                },
            },
            database,
            drops_data: deletion_policy(resource) == Some(DeletionPolicy::Delete),
            left_data: left_data(resource, spec, observation),
            postgres: postgres?,
            external_address: istio.as_ref().and_then(istio::address).or_else(|| {
                ways::external_address(
                    &name,
                    spec,
                    gateway.as_ref(),
                    expose
                        .as_ref()
                        .filter(|ways| ways.is_open(observation.platform.http_routes)),
                )
            }),
            expose,
            proxy,
            gateway,
            istio,
            metadata_store,
            operand: spec.operand.clone().unwrap_or_default(),
            inputs_hash: trouble::inputs_hash(spec, observation, salt(resource)),
            troubles: trouble::troubles(spec, observation),
            warnings: warning::warnings(&resource.spec, spec, observation),
            name,
            namespace: namespace?,
        })
    }

    /// The way in through the platform's gateway. `None` in the outer option when something is wrong.
    #[allow(
        clippy::option_option,
        reason = "there may be none, and it may be wrong"
    )]
    fn http_route(
        &mut self,
        name: &RegistryName,
        observation: &Observation,
        config: &Config,
    ) -> Option<Option<GatewayRoute>> {
        let platform = observation.platform;
        let Some(gateway) = config
            .gateway
            .as_ref()
            .filter(|_| platform.openshift && platform.http_routes)
        else {
            return Some(None);
        };
        Some(Some(GatewayRoute {
            name: self.derived(name, "label of the HTTPRoute", "model-registry-", "")?,
            namespace: config.http_route_namespace.clone(),
            gateway: gateway.clone(),
            grant: platform.reference_grants.then(|| observation.grant.clone()),
        }))
    }

    /// Labels and variables that an API server would refuse, with the whole Deployment.
    fn operand(&mut self, operand: &Operand) {
        for (field, map) in [
            ("spec.operand.labels", &operand.labels),
            ("spec.operand.nodeSelector", &operand.node_selector),
        ] {
            for (key, value) in map {
                let of = |source| Problem::Reference {
                    field: format!("{field}[{key}]"),
                    source,
                };
                self.keep(label_key(key).map_err(of));
                if !value.is_empty() {
                    self.keep(LabelValue::parse(value).map_err(of));
                }
            }
        }
        for key in operand.annotations.keys() {
            self.keep(label_key(key).map_err(|source| Problem::Reference {
                field: format!("spec.operand.annotations[{key}]"),
                source,
            }));
        }
        for variable in &operand.env {
            self.value("spec.operand.env", EnvName::parse(&variable.name));
        }
    }
}
