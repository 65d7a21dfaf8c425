//! What the installation sets, in environment variables, and what the platform's MLflowOperator makes
//! of it.

use api::mlflow::operator::MLflowOperatorSpec;

/// Version of MLflow that this operator runs and migrates to.
pub const MLFLOW_VERSION: &str = "3.14.0";

/// What the names of ClusterRoles for people begin with, as the manifests have it.
pub const ROLE_PREFIX: &str = "mlflow-operator-";

/// Variables of the Go operator that have no effect: it waited so long for an API at its start, and
/// ended where it did not come. Here nothing waits at the start, so there is nothing to limit.
const WITHOUT_EFFECT: [&str; 2] = [
    "AUTH_CRD_WAIT_TIMEOUT",
    "MLFLOW_OPERATOR_MODULE_CONTROLLER_CRD_WAIT_TIMEOUT",
];

/// What stands for an address in manifests that nobody edited. It is no address.
const PLACEHOLDERS: [&str; 2] = [
    "https://mlflow.example.com",
    "https://www.gateway-hostname-placeholder-with-mlflow-path.com",
];

/// What the installation sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Image of MLflows that name none.
    pub image: String,
    /// Gateway that HTTPRoutes are attached to.
    pub gateway_name: String,
    /// Its namespace.
    pub gateway_namespace: String,
    /// Address under which browsers find the gateway, without a slash at its end; `None` where
    /// nobody said one.
    pub url: Option<String>,
    /// Section of the console's menu.
    pub section_title: String,
    /// Namespace of MLflows where the platform has an MLflowOperator; `None` for that of the
    /// operator.
    pub applications_namespace: Option<String>,
    /// Whether the platform's MLflowOperator says if MLflows are looked after.
    pub module: bool,
    /// Whether the platform's groups get access to labelled Namespaces.
    pub namespace_rbac: bool,
    /// What the names of ClusterRoles for people begin with.
    pub role_prefix: String,
}

/// A variable that is missing, or that cannot mean anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no image.
    #[error(
        "neither RELATED_IMAGE_ODH_MLFLOW_IMAGE nor MLFLOW_IMAGE is set; set MLFLOW_IMAGE to the \
         image that MLflows run"
    )]
    Image,
    /// A switch is neither on nor off.
    #[error("{name} is {value:?}; write true or false")]
    Switch {
        /// Name of the variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// The variables that are set and have no effect, whatever their value.
pub fn without_effect(is_set: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    WITHOUT_EFFECT.into_iter().filter(move |name| is_set(name))
}

/// What counts for MLflows: the installation's settings, with what the platform says in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Gateway that HTTPRoutes are attached to.
    pub gateway_name: String,
    /// Its namespace.
    pub gateway_namespace: String,
    /// Address under which browsers find the gateway, without a slash at its end; `None` where
    /// nobody said one.
    pub url: Option<String>,
    /// Section of the console's menu.
    pub section_title: String,
}

impl Config {
    /// From the environment of the process.
    ///
    /// # Errors
    /// A variable is missing or cannot mean anything.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// From variables, empty ones counting as unset.
    ///
    /// # Errors
    /// A variable is missing or cannot mean anything.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let said = |name: &str| filled(lookup(name).as_deref());
        let or = |name: &str, default: &str| said(name).unwrap_or_else(|| default.to_owned());
        let switch = |name: &'static str| match said(name) {
            None => Ok(false),
            Some(value) => go_bool(&value).ok_or(ConfigError::Switch { name, value }),
        };
        let image = said("RELATED_IMAGE_ODH_MLFLOW_IMAGE").or_else(|| said("MLFLOW_IMAGE"));
        Ok(Self {
            image: image.ok_or(ConfigError::Image)?,
            gateway_name: or("GATEWAY_NAME", "data-science-gateway"),
            gateway_namespace: or("GATEWAY_NAMESPACE", "openshift-ingress"),
            url: said("MLFLOW_URL").as_deref().and_then(address),
            section_title: or("SECTION_TITLE", "MLflow"),
            applications_namespace: said("APPLICATIONS_NAMESPACE"),
            module: switch("ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER")?,
            namespace_rbac: switch("ENABLE_NAMESPACE_RBAC")?,
            // Roles without a prefix are somebody's choice.
            role_prefix: lookup("RESOURCE_NAME_PREFIX").unwrap_or_else(|| ROLE_PREFIX.to_owned()),
        })
    }

    /// Namespace of MLflows, where that of the operator is `own`.
    #[must_use]
    pub fn target_namespace(&self, own: &str) -> String {
        let platforms = self.applications_namespace.as_deref();
        platforms.filter(|_| self.module).unwrap_or(own).to_owned()
    }

    /// What counts, where the platform's MLflowOperator says this. Without one that is asked, it is
    /// what the installation sets.
    #[must_use]
    pub fn effective(&self, module: Option<&MLflowOperatorSpec>) -> Effective {
        let module = module.filter(|_| self.module).cloned().unwrap_or_default();
        let or = |value: Option<String>, default: &String| {
            filled(value.as_deref()).unwrap_or_else(|| default.clone())
        };
        let domain = module.gateway.and_then(|gateway| gateway.domain);
        Effective {
            gateway_name: or(module.gateway_name, &self.gateway_name),
            gateway_namespace: self.gateway_namespace.clone(),
            url: domain.as_deref().and_then(address).or(self.url.clone()),
            section_title: or(module.section_title, &self.section_title),
        }
    }
}

/// Without white space around it, if anything is left.
fn filled(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A domain or an address as an address without a slash at its end; `None` for a placeholder.
fn address(text: &str) -> Option<String> {
    let bare = text.trim().trim_end_matches('/');
    if bare.is_empty() {
        return None;
    }
    let address = if bare.contains("://") {
        bare.to_owned()
    } else {
        format!("https://{bare}")
    };
    (!PLACEHOLDERS.contains(&address.as_str())).then_some(address)
}

/// Booleans as Go reads them.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use api::mlflow::operator::Gateway;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn with(variables: &[(&str, &str)]) -> Config {
        config(&[variables, &[("MLFLOW_IMAGE", "i")]].concat()).unwrap()
    }

    fn platform(domain: Option<&str>) -> MLflowOperatorSpec {
        MLflowOperatorSpec {
            gateway: domain.map(|domain| Gateway {
                domain: Some(domain.to_owned()),
            }),
            gateway_name: Some("platforms-gateway".to_owned()),
            section_title: Some("Platform".to_owned()),
        }
    }

    #[test]
    fn an_image_must_be_named() {
        assert_eq!(config(&[]), Err(ConfigError::Image));
        assert_eq!(config(&[("MLFLOW_IMAGE", " ")]), Err(ConfigError::Image));
        let both = [
            ("RELATED_IMAGE_ODH_MLFLOW_IMAGE", "r"),
            ("MLFLOW_IMAGE", "i"),
        ];
        assert_eq!(config(&both).unwrap().image, "r");
        assert_eq!(with(&[]).image, "i");
    }

    #[test]
    fn what_is_not_said_is_as_in_the_go_operator() {
        let config = with(&[]);
        assert_eq!(config.gateway_name, "data-science-gateway");
        assert_eq!(config.section_title, "MLflow");
        assert_eq!(config.role_prefix, "mlflow-operator-");
        assert!(!config.module && !config.namespace_rbac);
        assert_eq!(config.url, None);
        assert_eq!(with(&[("RESOURCE_NAME_PREFIX", "")]).role_prefix, "");
    }

    #[test]
    fn a_wait_that_there_is_not_has_no_limit() {
        let set = |name: &str| name == "AUTH_CRD_WAIT_TIMEOUT";
        assert!(without_effect(set).eq(["AUTH_CRD_WAIT_TIMEOUT"]));
        assert_eq!(without_effect(|_| false).count(), 0);
        // What is no duration ends nothing either: it is not read.
        assert_eq!(with(&[("AUTH_CRD_WAIT_TIMEOUT", "soon")]), with(&[]));
    }

    #[test]
    fn a_switch_is_on_or_off() {
        for name in [
            "ENABLE_NAMESPACE_RBAC",
            "ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER",
        ] {
            for (value, on) in [("true", true), ("1", true), ("False", false), ("", false)] {
                let config = with(&[(name, value)]);
                assert_eq!(config.namespace_rbac || config.module, on, "{name}={value}");
            }
            let error = config(&[("MLFLOW_IMAGE", "i"), (name, "yes")]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{name} is \"yes\"; write true or false")
            );
        }
    }

    #[test]
    fn mlflows_are_where_the_platform_says_only_where_it_is_asked() {
        let applications = ("APPLICATIONS_NAMESPACE", "apps");
        let module = ("ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER", "true");
        assert_eq!(with(&[applications]).target_namespace("own"), "own");
        assert_eq!(with(&[module]).target_namespace("own"), "own");
        assert_eq!(
            with(&[module, applications]).target_namespace("own"),
            "apps"
        );
        let empty = ("APPLICATIONS_NAMESPACE", "");
        assert_eq!(with(&[module, empty]).target_namespace("own"), "own");
    }

    #[test]
    fn the_platform_overrides_what_the_installation_sets_only_where_it_is_asked() {
        let url = ("MLFLOW_URL", "https://installed.example.test/base/");
        let deaf = with(&[url]).effective(Some(&platform(Some("gw.example.test"))));
        assert_eq!(
            deaf.url.as_deref(),
            Some("https://installed.example.test/base")
        );
        assert_eq!(deaf.gateway_name, "data-science-gateway");

        let module = ("ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER", "true");
        let config = with(&[url, module]);
        for (domain, expected) in [
            (Some(" gw.example.test/ "), "https://gw.example.test"),
            (
                Some("http://gw.example.test:8080/x/"),
                "http://gw.example.test:8080/x",
            ),
            (Some(""), "https://installed.example.test/base"),
            (None, "https://installed.example.test/base"),
        ] {
            let effective = config.effective(Some(&platform(domain)));
            assert_eq!(effective.url.as_deref(), Some(expected), "{domain:?}");
            assert_eq!(effective.gateway_name, "platforms-gateway");
            assert_eq!(effective.section_title, "Platform");
        }
        assert_eq!(config.effective(None).section_title, "MLflow");
        let blank = MLflowOperatorSpec {
            gateway_name: Some(" ".to_owned()),
            ..MLflowOperatorSpec::default()
        };
        assert_eq!(
            config.effective(Some(&blank)).gateway_name,
            "data-science-gateway"
        );
    }

    #[test]
    fn a_placeholder_is_no_address() {
        for placeholder in PLACEHOLDERS {
            assert_eq!(with(&[("MLFLOW_URL", placeholder)]).url, None);
            assert_eq!(
                with(&[("MLFLOW_URL", &format!("{placeholder}/"))]).url,
                None
            );
        }
        assert_eq!(with(&[("MLFLOW_URL", "  ")]).url, None);
    }
}
