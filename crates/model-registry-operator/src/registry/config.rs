//! What an installation sets: the operator's environment variables.

mod mesh;

use resources::names::{HostLabel, ObjectName};

pub use self::mesh::Mesh;

use super::values::{Domain, Image};

/// Image of the registry's server where the environment names none.
pub const REGISTRY_IMAGE: &str = "quay.io/opendatahub/model-registry:latest";
/// Image of the proxy where the environment names none: the build that reads the verb from its
/// configuration. The public builds drop it, and would then ask for `create` on a POST.
pub const PROXY_IMAGE: &str = "quay.io/opendatahub/odh-kube-rbac-proxy:odh-stable";
/// Image of the generated Postgres where the environment names none.
pub const POSTGRES_IMAGE: &str = "quay.io/sclorg/postgresql-16-c10s:latest";

/// What an installation sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE`.
    pub registry_image: String,
    /// `RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE`.
    pub proxy_image: String,
    /// `RELATED_IMAGE_POSTGRESQL_16_IMAGE`.
    pub postgres_image: String,
    /// `DEFAULT_DOMAIN`: domain of external host names. Absent means the cluster's.
    pub default_domain: Option<String>,
    /// The gateway that external traffic comes through, when `GATEWAY_DOMAIN` is set.
    pub gateway: Option<Gateway>,
    /// `HTTPROUTE_NAMESPACE`: where HTTPRoutes are made.
    pub http_route_namespace: HostLabel,
    /// What `spec.istio` leaves out.
    pub mesh: Mesh,
    /// `REGISTRIES_NAMESPACE`: the one namespace that registries may live in.
    pub registries_namespace: Option<HostLabel>,
    /// What is odd about the environment, for the log.
    pub warnings: Vec<String>,
}

/// A Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// `GATEWAY_DOMAIN`.
    pub domain: String,
    /// `GATEWAY_NAME`.
    pub name: String,
    /// `GATEWAY_NAMESPACE`.
    pub namespace: String,
}

/// An environment that no operator should start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that no object can hold.
    #[error("{variable}: {reason}")]
    Value {
        /// Environment variable.
        variable: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A namespace that cannot exist.
    #[error("{variable}={value:?} is not the name of a namespace; correct it or unset it")]
    Namespace {
        /// Environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
}

impl Config {
    /// Reads the variables through `lookup`. Values are trimmed, empty ones count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |name: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let or = |name: &str, default: &str| read(name).unwrap_or_else(|| default.to_owned());
        let image = |variable: &'static str, default: &str| {
            let value = or(variable, default);
            checked(variable, Image::parse(&value)).map(|()| value)
        };
        let domain = |variable: &'static str| {
            let value = read(variable);
            value
                .as_deref()
                .map_or(Ok(()), |text| checked(variable, Domain::parse(text)))?;
            Ok(value)
        };
        let object = |variable: &'static str, default: &str| {
            let value = or(variable, default);
            checked(variable, ObjectName::parse(&value)).map(|()| value)
        };
        let namespace = |variable: &'static str, value: String| {
            HostLabel::parse(&value).map_err(|_| ConfigError::Namespace { variable, value })
        };
        let gateway = match domain("GATEWAY_DOMAIN")? {
            Some(domain) => Some(Gateway {
                domain,
                name: object("GATEWAY_NAME", "data-science-gateway")?,
                namespace: object("GATEWAY_NAMESPACE", "openshift-ingress")?,
            }),
            None => None,
        };
        let warnings = ["GATEWAY_NAME", "GATEWAY_NAMESPACE", "HTTPROUTE_NAMESPACE"]
            .into_iter()
            .filter(|name| gateway.is_none() && read(name).is_some())
            .map(|name| format!("{name} has no effect without GATEWAY_DOMAIN"))
            .collect();
        Ok(Self {
            registry_image: image("RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE", REGISTRY_IMAGE)?,
            proxy_image: image("RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE", PROXY_IMAGE)?,
            postgres_image: image("RELATED_IMAGE_POSTGRESQL_16_IMAGE", POSTGRES_IMAGE)?,
            default_domain: domain("DEFAULT_DOMAIN")?,
            gateway,
            http_route_namespace: namespace(
                "HTTPROUTE_NAMESPACE",
                or("HTTPROUTE_NAMESPACE", "redhat-ods-applications"),
            )?,
            mesh: Mesh::from_lookup(&read)?,
            registries_namespace: read("REGISTRIES_NAMESPACE")
                .map(|value| namespace("REGISTRIES_NAMESPACE", value))
                .transpose()?,
            warnings,
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

fn checked<T, E: ToString>(
    variable: &'static str,
    result: Result<T, E>,
) -> Result<(), ConfigError> {
    let wrong = |error: E| ConfigError::Value {
        variable,
        reason: error.to_string(),
    };
    result.map(drop).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults() {
        let config = config(&[("REGISTRIES_NAMESPACE", " ")]).unwrap();
        assert_eq!(config.proxy_image, PROXY_IMAGE);
        assert_eq!(
            config.http_route_namespace.as_str(),
            "redhat-ods-applications"
        );
        assert_eq!(
            (config.gateway, config.registries_namespace, config.warnings),
            (None, None, vec![])
        );
    }

    #[test]
    fn gateway_settings_without_a_domain_are_reported() {
        let without = config(&[("GATEWAY_NAME", "g")]).unwrap();
        assert_eq!(
            without.warnings,
            ["GATEWAY_NAME has no effect without GATEWAY_DOMAIN"]
        );
        let with = config(&[("GATEWAY_NAME", "g"), ("GATEWAY_DOMAIN", "gw.example.test")]).unwrap();
        assert_eq!(
            with.gateway,
            Some(Gateway {
                domain: "gw.example.test".into(),
                name: "g".into(),
                namespace: "openshift-ingress".into()
            })
        );
    }

    #[test]
    fn a_namespace_that_cannot_exist_is_an_error() {
        assert_eq!(
            config(&[("REGISTRIES_NAMESPACE", "A b")])
                .unwrap_err()
                .to_string(),
            "REGISTRIES_NAMESPACE=\"A b\" is not the name of a namespace; correct it or unset it"
        );
    }

    #[test]
    fn a_value_that_no_object_can_hold_is_an_error() {
        assert_eq!(
            config(&[("DEFAULT_DOMAIN", "apps example")])
                .unwrap_err()
                .to_string(),
            "DEFAULT_DOMAIN: \"apps example\" has the character ' ': a domain is made of letters, digits, '-' and '.'"
        );
        assert!(config(&[("RELATED_IMAGE_POSTGRESQL_16_IMAGE", "a\nb")]).is_err());
        assert!(config(&[("GATEWAY_DOMAIN", "gw.example.test"), ("GATEWAY_NAME", "A")]).is_err());
    }
}
