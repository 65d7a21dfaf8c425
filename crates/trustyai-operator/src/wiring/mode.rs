//! How KServe runs a model, and what KServe's own configuration says.

use serde::Deserialize;
use serde_json::Value;

/// Annotation that chooses.
pub const ANNOTATION: &str = "serving.kserve.io/deploymentMode";
/// KServe's ConfigMap, in whatever namespace KServe runs.
pub const CONFIG: &str = "inferenceservice-config";

/// How a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As a Deployment: `Standard`, or `RawDeployment` before KServe 0.17.
    Standard,
    /// With Knative: `Knative`, or `Serverless` before KServe 0.17.
    Knative,
    /// In a server of ModelMesh.
    ModelMesh,
}

impl Mode {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "Standard" | "RawDeployment" => Some(Self::Standard),
            "Knative" | "Serverless" => Some(Self::Knative),
            "ModelMesh" => Some(Self::ModelMesh),
            _ => None,
        }
    }

    /// The mode of an InferenceService, found as KServe finds it: what its status says, then its
    /// annotation, then KServe's default. `None` where none of them says one.
    #[must_use]
    pub fn of(inference_service: &Value, config: &Config) -> Option<Self> {
        let word = |pointer: &str| inference_service.pointer(pointer).and_then(Value::as_str);
        let status = word("/status/deploymentMode").filter(|word| !word.is_empty());
        if let Some(word) = status {
            return Self::parse(word);
        }
        let annotation = word("/metadata/annotations/serving.kserve.io~1deploymentMode");
        annotation
            .and_then(Self::parse)
            .or_else(|| Self::parse(config.default_mode.as_deref()?))
    }
}

/// What KServe's ConfigMap says. Everything is absent where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Mode of an InferenceService that chooses none.
    pub default_mode: Option<String>,
    /// How loggers verify whom they send to.
    pub logger: Trust,
}

/// How KServe's loggers verify whom they send to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
pub struct Trust {
    /// ConfigMap in the model's namespace that is mounted into the logger.
    pub ca_bundle: String,
    /// Key in it.
    pub ca_cert_file: String,
    /// Nothing is verified.
    pub tls_skip_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Deploy {
    default_deployment_mode: String,
}

impl Config {
    /// Reads the ConfigMap. What is no JSON says nothing: KServe does not start with it.
    #[must_use]
    pub fn of(config_map: &Value) -> Self {
        let text = |pointer: &str| config_map.pointer(pointer).and_then(Value::as_str);
        let deploy: Deploy = parse(text("/data/deploy"));
        let mode = Some(deploy.default_deployment_mode).filter(|mode| !mode.is_empty());
        Self {
            // KServe runs with Knative what nothing says otherwise of.
            default_mode: mode.or_else(|| Some("Knative".to_owned())),
            logger: parse(text("/data/logger")),
        }
    }
}

fn parse<T: Default + serde::de::DeserializeOwned>(text: Option<&str>) -> T {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_says_before_the_annotation_and_that_before_the_default() {
        let config = Config::of(
            &json!({"data": {"deploy": "{\"defaultDeploymentMode\": \"RawDeployment\"}"}}),
        );
        let of = |status: &str, annotation: &str, config: &Config| {
            let object = json!({
                "metadata": {"annotations": {ANNOTATION: annotation}},
                "status": {"deploymentMode": status},
            });
            Mode::of(&object, config)
        };
        let none = Config::default();
        assert_eq!(
            of("ModelMesh", "Serverless", &config),
            Some(Mode::ModelMesh)
        );
        assert_eq!(of("", "Serverless", &config), Some(Mode::Knative));
        assert_eq!(of("", "Knative", &none), Some(Mode::Knative));
        assert_eq!(of("", "odd", &config), Some(Mode::Standard));
        assert_eq!(of("", "odd", &none), None);
        assert_eq!(
            of("new", "Standard", &config),
            None,
            "a mode of a later KServe"
        );
        assert_eq!(
            Mode::of(&json!({}), &Config::of(&json!({}))),
            Some(Mode::Knative)
        );
        assert_eq!(Mode::of(&json!({}), &none), None);
    }

    #[test]
    fn the_loggers_trust_is_read() {
        let logger = r#"{"image": "x", "caBundle": "b", "caCertFile": "f.crt"}"#;
        let config = Config::of(&json!({"data": {"logger": logger}}));
        assert_eq!(
            (
                config.logger.ca_bundle.as_str(),
                config.logger.ca_cert_file.as_str()
            ),
            ("b", "f.crt")
        );
        assert_eq!(
            Config::of(&json!({"data": {"logger": "{"}})).logger,
            Trust::default()
        );
    }
}
