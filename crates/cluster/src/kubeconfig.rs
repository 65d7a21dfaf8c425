//! Kubeconfig files: of the admin, of the cluster's own programs, of service accounts.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::Error;
use crate::pki::Identity;

/// The text of a kubeconfig that signs in by certificate.
pub(crate) fn by_certificate(server: &str, ca: &str, identity: &Identity) -> Result<String, Error> {
    yaml(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "local", "user": {
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
    }))
}

/// The client configuration of a kubeconfig file's current context.
pub async fn read_config(path: &Path) -> Result<Config, Error> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// The text of a kubeconfig that signs in as a service account, for the cluster that `base` (a
/// kubeconfig file) points to. The token is valid for a day.
pub async fn service_account_kubeconfig(
    client: Client,
    base: &Path,
    namespace: &str,
    name: &str,
) -> Result<String, Error> {
    let mut kubeconfig = Kubeconfig::read_from(base)?;
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(86_400),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let token = Api::<ServiceAccount>::namespaced(client, namespace)
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .map_err(Error::api(format!("asking for a token of {user}")))?
        .status
        .map(|status| status.token)
        .unwrap_or_default();
    let current = kubeconfig.current_context.clone();
    kubeconfig
        .contexts
        .retain(|context| Some(&context.name) == current.as_ref());
    for context in &mut kubeconfig.contexts {
        if let Some(context) = &mut context.context {
            context.user = Some(user.clone());
            context.namespace = Some(namespace.to_owned());
        }
    }
    kubeconfig.auth_infos =
        serde_json::from_value(json!([{"name": user, "user": {"token": token}}]))
            .map_err(|error| Error::Yaml(error.to_string()))?;
    yaml(&kubeconfig)
}

fn yaml(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|error| Error::Yaml(error.to_string()))
}
