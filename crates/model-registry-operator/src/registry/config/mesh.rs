//! What an installation sets for registries behind Istio, in the words of the Go operator of v0.2.

use resources::meta::Pairs;
use resources::names::{LabelValue, ObjectName, label_key};

use super::{ConfigError, checked};
use crate::registry::values::{Audience, AuthProvider};

/// Name that Open Data Hub gives to Authorino in the mesh configuration.
const AUTH_PROVIDER: &str = "opendatahub-auth-provider";
/// Label by which Open Data Hub's Authorino finds its AuthConfigs.
const AUTH_CONFIG_LABELS: &str = "security.opendatahub.io/authorization-group=default";
/// Value of label `istio` of the ingress gateway that Istio installs by default.
const INGRESS: &str = "ingressgateway";
/// Whom tokens of service accounts are for where nobody said otherwise.
const AUDIENCE: &str = "https://kubernetes.default.svc";

/// What `spec.istio` leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// `DEFAULT_AUTH_PROVIDER`: name of Authorino in the mesh configuration.
    pub auth_provider: String,
    /// `DEFAULT_AUTH_CONFIG_LABELS`, as `key=value,key=value`.
    pub auth_config_labels: Pairs,
    /// `DEFAULT_AUDIENCES`, separated by commas: whom tokens are for.
    pub audiences: Vec<String>,
    /// `DEFAULT_ISTIO_INGRESS`: value of label `istio` of the ingress gateway.
    pub ingress: String,
    /// `DEFAULT_CONTROL_PLANE`: value of label `istio.io/rev` of the ingress gateway.
    pub control_plane: Option<String>,
    /// `DEFAULT_CERT`: Secret with the gateway's certificate, in the namespace of the gateway.
    pub credential: Option<String>,
    /// `CREATE_AUTH_RESOURCES` is not `false`: the operator makes the AuthorizationPolicy and the
    /// AuthConfig. Else somebody else decides who may call.
    pub guarded: bool,
}

impl Mesh {
    /// Reads the variables through `read`, which gives none that is empty.
    pub(super) fn from_lookup(read: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let or = |name: &str, default: &str| read(name).unwrap_or_else(|| default.to_owned());
        let label = |variable: &'static str, value: String| {
            checked(variable, LabelValue::parse(&value)).map(|()| value)
        };
        let auth_provider = or("DEFAULT_AUTH_PROVIDER", AUTH_PROVIDER);
        checked("DEFAULT_AUTH_PROVIDER", AuthProvider::parse(&auth_provider))?;
        let credential = read("DEFAULT_CERT");
        if let Some(name) = &credential {
            checked("DEFAULT_CERT", ObjectName::parse(name))?;
        }
        let audiences: Vec<String> = or("DEFAULT_AUDIENCES", AUDIENCE)
            .split(',')
            .map(|audience| audience.trim().to_owned())
            .collect();
        for audience in &audiences {
            checked("DEFAULT_AUDIENCES", Audience::parse(audience))?;
        }
        Ok(Self {
            auth_provider,
            auth_config_labels: labels(&or("DEFAULT_AUTH_CONFIG_LABELS", AUTH_CONFIG_LABELS))?,
            audiences,
            ingress: label(
                "DEFAULT_ISTIO_INGRESS",
                or("DEFAULT_ISTIO_INGRESS", INGRESS),
            )?,
            control_plane: read("DEFAULT_CONTROL_PLANE")
                .map(|value| label("DEFAULT_CONTROL_PLANE", value))
                .transpose()?,
            credential,
            guarded: read("CREATE_AUTH_RESOURCES").as_deref() != Some("false"),
        })
    }
}

/// `key=value,key=value`.
fn labels(text: &str) -> Result<Pairs, ConfigError> {
    const VARIABLE: &str = "DEFAULT_AUTH_CONFIG_LABELS";
    let wrong = |reason: String| ConfigError::Value {
        variable: VARIABLE,
        reason,
    };
    text.split(',')
        .map(|pair| {
            let (key, value) = pair
                .trim()
                .split_once('=')
                .ok_or_else(|| wrong(format!("{pair:?} is no label: write KEY=VALUE,KEY=VALUE")))?;
            checked(VARIABLE, label_key(key))?;
            checked(VARIABLE, LabelValue::parse(value))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(pairs: &[(&str, &str)]) -> Result<Mesh, ConfigError> {
        Mesh::from_lookup(&|name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_it_is_open_data_hubs_mesh() {
        let mesh = mesh(&[]).unwrap();
        assert_eq!(mesh.auth_provider, "opendatahub-auth-provider");
        assert_eq!(mesh.ingress, "ingressgateway");
        assert_eq!(mesh.audiences, ["https://kubernetes.default.svc"]);
        assert_eq!(
            mesh.auth_config_labels["security.opendatahub.io/authorization-group"],
            "default"
        );
        assert!(mesh.guarded);
    }

    #[test]
    fn every_variable_is_read_and_checked() {
        let mesh_ = mesh(&[
            ("DEFAULT_AUTH_PROVIDER", "authorino"),
            ("DEFAULT_AUTH_CONFIG_LABELS", "a=b, example.test/c=d"),
            ("DEFAULT_AUDIENCES", "https://a.test, b"),
            ("DEFAULT_ISTIO_INGRESS", "ingress"),
            ("DEFAULT_CONTROL_PLANE", "canary"),
            ("DEFAULT_CERT", "gateway"),
            ("CREATE_AUTH_RESOURCES", "false"),
        ])
        .unwrap();
        assert_eq!(mesh_.auth_config_labels.len(), 2);
        assert_eq!(mesh_.audiences, ["https://a.test", "b"]);
        assert_eq!(mesh_.control_plane.as_deref(), Some("canary"));
        assert_eq!(mesh_.credential.as_deref(), Some("gateway"));
        assert!(!mesh_.guarded);
        for (name, wrong) in [
            ("DEFAULT_AUTH_PROVIDER", "a b"),
            ("DEFAULT_AUTH_CONFIG_LABELS", "a"),
            ("DEFAULT_AUTH_CONFIG_LABELS", "a=b c"),
            ("DEFAULT_AUDIENCES", "a,,b"),
            ("DEFAULT_ISTIO_INGRESS", "-"),
            ("DEFAULT_CONTROL_PLANE", "a b"),
            ("DEFAULT_CERT", "A"),
        ] {
            let error = mesh(&[(name, wrong)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
