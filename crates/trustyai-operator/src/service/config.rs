//! What an installation sets: the operator's environment variables and its ConfigMap.

use std::collections::BTreeMap;

/// Image of the service where nobody names one.
pub const SERVICE_IMAGE: &str = "quay.io/trustyai/trustyai-service:latest";
/// Image of the proxy where nobody names one.
pub const PROXY_IMAGE: &str = "quay.io/opendatahub/odh-kube-rbac-proxy:odh-stable";
/// ClusterRole that lets the proxy ask the API server who calls, and what they may do.
pub const PROXY_ROLE: &str = "trustyai-service-operator-proxy-role";
/// ConfigMap in the operator's namespace, where no flag names another one.
pub const CONFIG_MAP: &str = "trustyai-service-operator-config";

/// What an installation sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `RELATED_IMAGE_ODH_TRUSTYAI_SERVICE_PY_IMAGE`. It wins over the ConfigMap.
    pub service_image: Option<String>,
    /// `RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE`. It wins over the ConfigMap.
    pub proxy_image: Option<String>,
    /// `PROXY_CLUSTER_ROLE`.
    pub proxy_role: String,
    /// The operator's namespace: `APPLICATIONS_NAMESPACE`, else `POD_NAMESPACE`.
    pub namespace: Option<String>,
    /// Name of the ConfigMap with [`Settings`] in the operator's namespace: flag `--configmap`.
    pub config_map: &'static str,
}

impl Config {
    /// Reads the variables through `lookup`. Values are trimmed, empty ones count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            let value = lookup(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        Self {
            service_image: read("RELATED_IMAGE_ODH_TRUSTYAI_SERVICE_PY_IMAGE"),
            proxy_image: read("RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE"),
            proxy_role: read("PROXY_CLUSTER_ROLE").unwrap_or_else(|| PROXY_ROLE.to_owned()),
            namespace: read("APPLICATIONS_NAMESPACE").or_else(|| read("POD_NAMESPACE")),
            config_map: CONFIG_MAP,
        }
    }

    /// Reads the process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// What holds now, with this content of the ConfigMap.
    #[must_use]
    pub fn settings(&self, config_map: &BTreeMap<String, String>) -> Settings {
        let read = |key: &str| {
            let value = config_map.get(key).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let image = |variable: &Option<String>, key: &str, default: &str| {
            let named = variable.clone().or_else(|| read(key));
            named.unwrap_or_else(|| default.to_owned())
        };
        Settings {
            service_image: image(&self.service_image, "trustyaiServiceImage", SERVICE_IMAGE),
            proxy_image: image(&self.proxy_image, "kube-rbac-proxy", PROXY_IMAGE),
            serverless: read("kServeServerless").as_deref() == Some("enabled"),
        }
    }
}

/// What the installation's ConfigMap sets, with what the environment and the defaults say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Image of the service: key `trustyaiServiceImage`.
    pub service_image: String,
    /// Image of the proxy: key `kube-rbac-proxy`.
    pub proxy_image: String,
    /// Models that KServe serves with Knative are wired too: key `kServeServerless` is `enabled`.
    pub serverless: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_lookup(|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        owned.collect()
    }

    #[test]
    fn the_environment_wins_over_the_config_map_and_that_over_the_default() {
        let file = map(&[("trustyaiServiceImage", "of-map"), ("kube-rbac-proxy", " ")]);
        let none = config(&[]);
        assert_eq!(none.settings(&map(&[])).service_image, SERVICE_IMAGE);
        assert_eq!(none.settings(&file).service_image, "of-map");
        assert_eq!(none.settings(&file).proxy_image, PROXY_IMAGE);
        let variable = "RELATED_IMAGE_ODH_TRUSTYAI_SERVICE_PY_IMAGE";
        let named = config(&[(variable, "of-environment")]);
        assert_eq!(named.settings(&file).service_image, "of-environment");
        assert_eq!(config(&[(variable, " ")]), none, "blank is unset");
    }

    #[test]
    fn serverless_models_are_wired_by_one_word_only() {
        for (value, wired) in [("enabled", true), ("Enabled", false), ("true", false)] {
            let file = map(&[("kServeServerless", value)]);
            assert_eq!(config(&[]).settings(&file).serverless, wired, "{value}");
        }
        assert!(!config(&[]).settings(&map(&[])).serverless);
    }

    #[test]
    fn the_namespace_of_the_platform_comes_first() {
        let both = config(&[("POD_NAMESPACE", "a"), ("APPLICATIONS_NAMESPACE", "b")]);
        assert_eq!(both.namespace.as_deref(), Some("b"));
        let one = config(&[("POD_NAMESPACE", "a")]);
        assert_eq!(one.namespace.as_deref(), Some("a"));
    }
}
