//! From a resource to what builders may use.
//!
//! [`Validated`] is the only input of builders. Every text in it has been read into a type that
//! says what it may hold, so no builder can write an object that an API server would refuse for
//! its form, and no text can reach a place that it was not meant for.

use api::common::{DeletionPolicy, Operand};
use api::modelregistry::v1beta1::{
    Authorization, KubeRbacProxy, ModelRegistry, ModelRegistrySpec, MySql, Postgres, ServiceRoute,
};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use resources::names::{DataKey, HostLabel, LabelValue, NameError, ObjectName, ServiceName};
use resources::proxy::HEALTH_PORT;

use super::config::Config;
use super::defaults;
use super::names::{self, RegistryName};
use super::observe::{LiveVolume, Observation};
use super::references::{Holder, filled};
use super::trouble;
pub use super::validated::{
    Bundle, ByMethod, Database, Derived, FileSource, GatewayRoute, Generated, LeftData, Proxy,
    ProxyRoute, Rest, SecretKey, Tls, Validated,
};
use super::values::{
    Ciphers, Domain, EnvName, Host, Image, MySqlDatabase, MySqlUser, Port, PostgresName, ValueError,
};
use super::{values, warning};

/// A resource that no objects can be built from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// An older registry has the name, which is shared by the whole cluster.
    #[error(
        "registry named {name} already exists in namespace {namespace}; the older one keeps the name"
    )]
    NameConflict {
        /// The name.
        name: String,
        /// Namespace of the other.
        namespace: String,
    },
    /// Fields that cannot be as they are.
    #[error("{}", trouble::join(.0))]
    Invalid(Vec<Problem>),
}

impl ValidateError {
    /// Reason of the condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameConflict { .. } => "NameConflict",
            Self::Invalid(_) => "InvalidSpec",
        }
    }
}

/// A field that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The registry is in a namespace that the installation does not allow.
    #[error("metadata.namespace: Invalid value: {namespace:?}: namespace must be {allowed}")]
    Namespace {
        /// Where it is.
        namespace: String,
        /// Where it may be.
        allowed: String,
    },
    /// No database.
    #[error("spec.{field}: Required value: required one of `postgres` or `mysql` database")]
    NoDatabase {
        /// `postgres` or `mysql`.
        field: &'static str,
    },
    /// A generated Postgres beside an address.
    #[error(
        "spec.postgres.host: Invalid value: {host:?}: host should not be set when auto-provisioning is enabled"
    )]
    GeneratedWithHost {
        /// The address.
        host: String,
    },
    /// The name of the registry, or one that is derived from it.
    #[error("metadata.name: {0}")]
    Name(NameError),
    /// A name in the spec.
    #[error("{field}: {source}")]
    Reference {
        /// Path of the field.
        field: String,
        /// What is wrong.
        source: NameError,
    },
    /// A value in the spec.
    #[error("{field}: {source}")]
    Value {
        /// Path of the field.
        field: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("spec.kubeRBACProxy: tlsCertificateSecret and tlsKeySecret MUST be set together")]
    HalfCertificate,
    /// Two listeners of one pod on one port.
    #[error("{field}: {port} is also the port of {other}; choose another one")]
    PortTaken {
        /// Path of the field.
        field: &'static str,
        /// The port.
        port: i32,
        /// Who has it.
        other: &'static str,
    },
}

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

/// Of several limits of the name only the tightest: whoever keeps it keeps the others.
fn tightest(problems: Vec<Problem>) -> Vec<Problem> {
    let limit = |problem: &Problem| match problem {
        Problem::Name(NameError::Long { limit, .. }) => Some(*limit),
        _ => None,
    };
    let tightest = problems.iter().filter_map(limit).min();
    let mut said = false;
    problems
        .into_iter()
        .filter(|problem| match limit(problem) {
            None => true,
            found => found == tightest && !std::mem::replace(&mut said, true),
        })
        .collect()
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
        let name = name?;
        let user_role = self.derived(&name, "label of the Role", names::USER_ROLE, "");
        let users = self.derived(&name, "label of the group of users", "", "-users");
        let postgres = self.generated(&name, resource, spec, observation);
        let proxy = match &spec.kube_rbac_proxy {
            Some(proxy) => Some(self.proxy(&name, proxy, spec, observation)?),
            None => None,
        };
        let route = (proxy.is_none()
            && observation.platform.openshift
            && spec.rest.service_route == ServiceRoute::Enabled)
            .then(|| self.derived(&name, "label of the Route", "", "-http"));
        let gateway = match &config.gateway {
            Some(gateway) if observation.platform.openshift && observation.platform.http_routes => {
                Some(GatewayRoute {
                    name: self.derived(&name, "label of the HTTPRoute", "model-registry-", "")?,
                    namespace: config.http_route_namespace.clone(),
                    gateway: gateway.clone(),
                    grant: observation
                        .platform
                        .reference_grants
                        .then(|| observation.grant.clone()),
                })
            }
            _ => None,
        };
        let bundle_name = self.named(name.object("name of the ConfigMap", "", "-database-ca"));
        let mut database = database?;
        database.set_bundle(spec, observation, bundle_name?);
        let annotation = |key: &str| resource.annotations().get(key).cloned();
        Some(Validated {
            owner: resource
                .controller_owner_ref(&())
                .map(|owner| OwnerReference {
                    block_owner_deletion: Some(true),
                    ..owner
                }),
            platform: observation.platform,
            user_role: user_role?,
            users: users?,
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
            external_address: external_address(&name, spec, gateway.as_ref()),
            proxy,
            gateway,
            operand: spec.operand.clone().unwrap_or_default(),
            inputs_hash: trouble::inputs_hash(spec, observation),
            troubles: trouble::troubles(spec, observation),
            warnings: warning::warnings(&resource.spec, spec, observation),
            name,
            namespace: namespace?,
        })
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
                self.keep(names::label_key(key).map_err(of));
                if !value.is_empty() {
                    self.keep(LabelValue::parse(value).map_err(of));
                }
            }
        }
        for key in operand.annotations.keys() {
            self.keep(names::label_key(key).map_err(|source| Problem::Reference {
                field: format!("spec.operand.annotations[{key}]"),
                source,
            }));
        }
        for variable in &operand.env {
            self.value("spec.operand.env", EnvName::parse(&variable.name));
        }
    }

    fn database(&mut self, resource: &ModelRegistry, spec: &ModelRegistrySpec) -> Option<Database> {
        if let Some(asked) = resource
            .spec
            .postgres
            .as_ref()
            .filter(|asked| asked.is_generated())
        {
            let host = filled(asked.host.as_ref()).or(filled(asked.host_address.as_ref()));
            if let Some(host) = host {
                self.problems
                    .push(Problem::GeneratedWithHost { host: host.clone() });
            }
        }
        match (&spec.postgres, &spec.mysql) {
            (Some(postgres), _) => self.postgres(postgres),
            (None, Some(mysql)) => self.mysql(mysql),
            (None, None) => {
                for field in ["postgres", "mysql"] {
                    self.problems.push(Problem::NoDatabase { field });
                }
                None
            }
        }
    }

    fn postgres(&mut self, postgres: &Postgres) -> Option<Database> {
        let host = filled(postgres.host.as_ref()).or(filled(postgres.host_address.as_ref()));
        let field = match filled(postgres.host.as_ref()) {
            Some(_) => "spec.postgres.host",
            None => "spec.postgres.hostAddress",
        };
        let host = self.value(field, Host::parse(host.map_or("", String::as_str)));
        let port = self.value("spec.postgres.port", Port::parse(postgres.port));
        let user = match filled(postgres.username.as_ref()) {
            Some(user) => Some(self.value("spec.postgres.username", PostgresName::parse(user))?),
            None => None,
        };
        let database = match filled(postgres.database.as_ref()) {
            Some(database) => {
                Some(self.value("spec.postgres.database", PostgresName::parse(database))?)
            }
            None => None,
        };
        let tls = Tls {
            certificate: self.secret_key(
                "spec.postgres.sslCertificateSecret",
                postgres.ssl_certificate_secret.as_ref(),
            ),
            key: self.secret_key(
                "spec.postgres.sslKeySecret",
                postgres.ssl_key_secret.as_ref(),
            ),
            root: self.root(
                "spec.postgres",
                postgres.ssl_root_certificate_config_map.as_ref(),
                postgres.ssl_root_certificate_secret.as_ref(),
            ),
            ..Tls::default()
        };
        Some(Database::Postgres {
            host: host?,
            port: port?,
            user,
            password: self.secret_key(
                "spec.postgres.passwordSecret",
                postgres.password_secret.as_ref(),
            ),
            database,
            ssl_mode: (!postgres.is_generated()).then_some(postgres.ssl_mode),
            passphrase: self.secret_key(
                "spec.postgres.sslPasswordSecret",
                postgres.ssl_password_secret.as_ref(),
            ),
            tls,
        })
    }

    fn mysql(&mut self, mysql: &MySql) -> Option<Database> {
        let host = self.value("spec.mysql.host", Host::parse(&mysql.host));
        let port = self.value("spec.mysql.port", Port::parse(mysql.port));
        let user = self.value("spec.mysql.username", MySqlUser::parse(&mysql.username));
        let database = self.value("spec.mysql.database", MySqlDatabase::parse(&mysql.database));
        let ciphers = match filled(mysql.ssl_cipher.as_ref()) {
            Some(ciphers) => Some(self.value("spec.mysql.sslCipher", Ciphers::parse(ciphers))?),
            None => None,
        };
        let tls = Tls {
            certificate: self.secret_key(
                "spec.mysql.sslCertificateSecret",
                mysql.ssl_certificate_secret.as_ref(),
            ),
            key: self.secret_key("spec.mysql.sslKeySecret", mysql.ssl_key_secret.as_ref()),
            root: self.root(
                "spec.mysql",
                mysql.ssl_root_certificate_config_map.as_ref(),
                mysql.ssl_root_certificate_secret.as_ref(),
            ),
            bundle: None,
            ciphers,
            verify: mysql.verify_server_cert,
        };
        for (field, name) in [
            (
                "spec.mysql.sslRootCertificatesConfigMapName",
                &mysql.ssl_root_certificates_config_map_name,
            ),
            (
                "spec.mysql.sslRootCertificatesSecretName",
                &mysql.ssl_root_certificates_secret_name,
            ),
        ] {
            if let Some(name) = filled(name.as_ref()) {
                self.keep(
                    ObjectName::parse(name).map_err(|source| Problem::Reference {
                        field: field.to_owned(),
                        source,
                    }),
                );
            }
        }
        Some(Database::MySql {
            host: host?,
            port: port?,
            user: user?,
            password: self.secret_key("spec.mysql.passwordSecret", mysql.password_secret.as_ref()),
            database: database?,
            tls,
        })
    }

    /// The ConfigMap wins over the Secret.
    fn root(
        &mut self,
        block: &str,
        map: Option<&api::common::ConfigMapKeyValue>,
        secret: Option<&api::common::SecretKeyValue>,
    ) -> Option<FileSource> {
        if let Some(map) = map {
            let field = format!("{block}.sslRootCertificateConfigMap");
            let (name, key) = self.reference(&field, &map.name, &map.key)?;
            return Some(FileSource::ConfigMap { name, key });
        }
        self.secret_key(&format!("{block}.sslRootCertificateSecret"), secret)
            .map(FileSource::Secret)
    }

    /// `None` in the outer option when something is wrong.
    #[allow(clippy::option_option)]
    fn generated(
        &mut self,
        name: &RegistryName,
        resource: &ModelRegistry,
        spec: &ModelRegistrySpec,
        observation: &Observation,
    ) -> Option<Option<Generated>> {
        let asked = resource.spec.postgres.as_ref();
        let running = spec.postgres.as_ref().is_some_and(Postgres::is_generated);
        let retain = deletion_policy(resource) == Some(DeletionPolicy::Retain);
        if !running
            && !(retain && (observation.volume.is_some() || observation.credentials.is_some()))
        {
            return Some(None);
        }
        let storage = asked.and_then(|postgres| postgres.storage.as_ref());
        let live = observation.volume.as_ref();
        // It is fixed once the volume exists, and an apply without it would ask to remove it.
        let storage_class = match live {
            Some(live) => live.storage_class.as_ref().filter(|_| live.class_is_ours),
            None => storage.and_then(|storage| filled(storage.storage_class_name.as_ref())),
        };
        let storage_class =
            match storage_class {
                Some(class) => Some(self.keep(ObjectName::parse(class).map_err(|source| {
                    Problem::Reference {
                        field: "spec.postgres.storage.storageClassName".to_owned(),
                        source,
                    }
                }))?),
                None => None,
            };
        let image = asked.and_then(|postgres| filled(postgres.image.as_ref()));
        let image = image.or(spec
            .postgres
            .as_ref()
            .and_then(|postgres| postgres.image.as_ref()));
        let image = self.value(
            "spec.postgres.image",
            Image::parse(image.map_or("", String::as_str)),
        );
        let end = names::POSTGRES;
        let service = self.named(ServiceName::derive(
            "name of the database's Service",
            "",
            name.as_str(),
            end,
        ));
        let label = self.named(name.label("label of the database", "", end));
        let secret = self.named(name.object("name of the Secret", "", names::POSTGRES_CREDENTIALS));
        let volume = self.named(name.object("name of the volume", "", names::POSTGRES_STORAGE));
        Some(Some(Generated {
            name: service?,
            label: label?,
            secret: secret?,
            volume: volume?,
            image: image?,
            credentials_hash: observation
                .credentials
                .as_ref()
                .map(trouble::credentials_hash),
            credentials: observation.credentials.clone(),
            has_volume: live.is_some(),
            size: volume_size(storage.and_then(|s| s.size.as_ref()), live),
            storage_class,
            retain,
            running,
            live: observation.postgres.clone(),
        }))
    }

    fn proxy(
        &mut self,
        name: &RegistryName,
        proxy: &KubeRbacProxy,
        spec: &ModelRegistrySpec,
        observation: &Observation,
    ) -> Option<Proxy> {
        let port = self.value("spec.kubeRBACProxy.port", Port::parse(proxy.port));
        if proxy.tls_certificate_secret.is_some() != proxy.tls_key_secret.is_some() {
            self.problems.push(Problem::HalfCertificate);
        }
        for (taken, field, number, other) in [
            (
                proxy.port == spec.rest.port,
                "spec.kubeRBACProxy.port",
                proxy.port,
                "spec.rest.port",
            ),
            (
                proxy.port == HEALTH_PORT,
                "spec.kubeRBACProxy.port",
                proxy.port,
                "the proxy's health endpoint",
            ),
            (
                spec.rest.port == HEALTH_PORT,
                "spec.rest.port",
                spec.rest.port,
                "the proxy's health endpoint",
            ),
        ] {
            if taken {
                self.problems.push(Problem::PortTaken {
                    field,
                    port: number,
                    other,
                });
            }
        }
        let image = proxy.image.as_deref().unwrap_or_default();
        let image = self.value("spec.kubeRBACProxy.image", Image::parse(image));
        let certificate = self.secret_key(
            "spec.kubeRBACProxy.tlsCertificateSecret",
            proxy.tls_certificate_secret.as_ref(),
        );
        let key = self.secret_key(
            "spec.kubeRBACProxy.tlsKeySecret",
            proxy.tls_key_secret.as_ref(),
        );
        let config =
            self.named(name.object("name of the ConfigMap", "", "-kube-rbac-proxy-config"));
        let authorities = self.named(name.object("name of the ConfigMap", "", "-ca"));
        let delegator = self.derived(
            name,
            "label of the ClusterRoleBinding",
            "",
            "-auth-delegator",
        );
        let policy = self.derived(name, "label of the NetworkPolicy", "", "-proxy");
        let wants_route = proxy.service_route == ServiceRoute::Enabled;
        let host = match filled(proxy.domain.as_ref()) {
            Some(domain) if wants_route => {
                self.value("spec.kubeRBACProxy.domain", Domain::parse(domain));
                let label = self.named(name.host())?;
                Some(self.keep(
                    ObjectName::parse(&format!("{label}.{}", domain.to_ascii_lowercase())).map_err(
                        |source| Problem::Reference {
                            field: "spec.kubeRBACProxy.domain".to_owned(),
                            source,
                        },
                    ),
                )?)
            }
            _ => None,
        };
        let route = if wants_route && observation.platform.openshift {
            Some(ProxyRoute {
                name: self.derived(name, "label of the Route", "", "-https")?,
                policy: self.derived(name, "label of the NetworkPolicy", "", "-https-route")?,
                host,
            })
        } else {
            None
        };
        let by_method = match proxy.authorization() {
            Authorization::Get => None,
            Authorization::ByMethod => Some(ByMethod {
                api: self.derived(name, "label of the Role", "registry-api-", "")?,
                viewer: self.derived(name, "label of the Role", "registry-viewer-", "")?,
                users: observation.users.clone(),
            }),
        };
        Some(Proxy {
            port: port?,
            image: image?,
            resources: proxy.resources.clone(),
            certificate: certificate?,
            key: key?,
            source: observation.certificate.clone(),
            authorities: authorities?,
            config: config?,
            delegator: delegator?,
            policy: policy?,
            route,
            by_method,
        })
    }
}

impl Database {
    fn set_bundle(
        &mut self,
        spec: &ModelRegistrySpec,
        observation: &Observation,
        config_map: ObjectName,
    ) {
        let Self::MySql { tls, .. } = self else {
            return;
        };
        let Some(mysql) = &spec.mysql else { return };
        let directory = filled(mysql.ssl_root_certificates_config_map_name.as_ref())
            .map(|name| Holder::ConfigMap(name.clone()))
            .or_else(|| {
                filled(mysql.ssl_root_certificates_secret_name.as_ref())
                    .map(|name| Holder::Secret(name.clone()))
            });
        if let Some(directory) = directory {
            let there = observation
                .referenced
                .get(&directory)
                .is_some_and(Option::is_some);
            let content = observation.authorities.clone().filter(|_| there);
            tls.bundle = Some(Bundle {
                config_map,
                content,
            });
        }
    }
}

/// The size asked for, never smaller than the volume that is there: it cannot shrink.
fn volume_size(
    asked: Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    live: Option<&LiveVolume>,
) -> String {
    const DEFAULT: &str = "5Gi";
    let live = live.and_then(|live| live.size.as_deref());
    match (asked.map(|size| size.0.as_str()), live) {
        (Some(asked), Some(live)) if values::is_smaller(asked, live) => live.to_owned(),
        (Some(asked), _) => asked.to_owned(),
        (None, Some(live)) => live.to_owned(),
        (None, None) => DEFAULT.to_owned(),
    }
}

/// What became of the data of a Postgres that is switched off.
fn left_data(
    resource: &ModelRegistry,
    spec: &ModelRegistrySpec,
    observation: &Observation,
) -> Option<LeftData> {
    observation.volume.as_ref()?;
    if spec.postgres.as_ref().is_some_and(Postgres::is_generated) {
        return None;
    }
    Some(match deletion_policy(resource) {
        None => LeftData::Kept,
        Some(DeletionPolicy::Retain) => LeftData::Retained,
        Some(DeletionPolicy::Delete) => LeftData::Deleted,
    })
}

fn deletion_policy(resource: &ModelRegistry) -> Option<DeletionPolicy> {
    resource
        .spec
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.deletion_policy)
}

/// Only where somebody can get to it: through the gateway, or by a host name that is known.
fn external_address(
    name: &RegistryName,
    spec: &ModelRegistrySpec,
    gateway: Option<&GatewayRoute>,
) -> Option<String> {
    let proxy = spec.kube_rbac_proxy.as_ref()?;
    if let Some(route) = gateway {
        return Some(format!(
            "{}/model-registry/{}",
            route.gateway.domain,
            name.as_str()
        ));
    }
    let domain = filled(proxy.domain.as_ref())?;
    (proxy.service_route == ServiceRoute::Enabled)
        .then(|| format!("{}-rest.{domain}:{}", name.as_str(), proxy.route_port))
}
