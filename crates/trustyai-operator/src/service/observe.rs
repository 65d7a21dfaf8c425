//! What the plan depends on that is not in the resource.
//!
//! Everything that is not a pure function of the resource happens here. What is kept of a Secret
//! are digests and the verdict about its keys; a value is only kept where an object of the plan
//! holds it.

mod certificate;
mod claim;
mod database;

use std::collections::BTreeMap;

use api::trustyai::v1::{StorageFormat, TrustyAIService};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use resources::Kind;
use resources::content::{data, short};
use resources::exposure::backend_tls_policy_kind;
use resources::kind::{CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, ROUTE, SERVICE_MONITOR};
use runtime::Capabilities;
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::config::{Config, Settings};
use super::error::Error;
use super::names::{AUTHORITIES, CERTIFICATE_HASH, INTERNAL, TLS, TRUSTED_CA, TRUSTED_CA_LABEL};
use crate::wiring;

pub use certificate::{Certificate, SERVICE_CA, Trust};
pub use claim::{LiveClaim, LiveVolume};
pub use database::{Database, DatabaseProblem};

/// What the plan depends on that is not in the resource.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the cluster offers.
    pub platform: Platform,
    /// What the installation sets.
    pub settings: Settings,
    /// Where the certificate of the proxy comes from.
    pub proxy_certificate: Certificate,
    /// Where the certificate of the service itself comes from.
    pub certificate: Certificate,
    /// How clients learn which authority to trust.
    pub trust: Trust,
    /// Digest of the authorities that the cluster trusts, where the namespace has them.
    pub trusted_ca: Option<String>,
    /// The database's Secrets, where the data is in a database.
    pub database: Option<Database>,
    /// The claim as it is: `NAME-pvc`, or the one that the resource names.
    pub claim: Option<LiveClaim>,
    /// The volume that the resource names; `None` inside when there is no such volume.
    pub volume: Option<Option<LiveVolume>>,
    /// The Deployment as it is.
    pub deployment: Option<LiveDeployment>,
    /// The models of the namespace.
    pub models: wiring::Seen,
}

/// What the cluster offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// The Route API: this is OpenShift.
    pub openshift: bool,
    /// Gateway API's HTTPRoute.
    pub http_routes: bool,
    /// The version of Gateway API's BackendTLSPolicy to use.
    pub backend_tls_policies: Option<Kind>,
    /// The ServiceMonitor of the Prometheus operator.
    pub service_monitors: bool,
}

impl Platform {
    /// What these capabilities mean for a service.
    #[must_use]
    pub fn of(capabilities: &Capabilities) -> Self {
        Self {
            openshift: capabilities.has(ROUTE),
            http_routes: capabilities.has(HTTP_ROUTE),
            backend_tls_policies: backend_tls_policy_kind(|kind| capabilities.has(kind)),
            service_monitors: capabilities.has(SERVICE_MONITOR),
        }
    }
}

/// The Deployment as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDeployment {
    /// Labels that it selects its pods by, which cannot change.
    pub selector: BTreeMap<String, String>,
    /// Hash of the certificate that its template names.
    pub certificate: Option<String>,
}

impl LiveDeployment {
    fn of(deployment: &Value) -> Self {
        let selector = deployment.pointer("/spec/selector/matchLabels").cloned();
        let annotations = deployment.pointer("/spec/template/metadata/annotations");
        let certificate = annotations.and_then(|all| all.get(CERTIFICATE_HASH)?.as_str());
        Self {
            selector: selector
                .and_then(|labels| serde_json::from_value(labels).ok())
                .unwrap_or_default(),
            certificate: certificate.map(str::to_owned),
        }
    }
}

impl Observation {
    /// When the plan changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        [&self.proxy_certificate, &self.certificate]
            .into_iter()
            .filter_map(Certificate::due)
            .min()
    }
}

/// Reads what the plan of `resource` depends on.
pub async fn observe<I: Inputs>(
    resource: &TrustyAIService,
    config: &Config,
    inputs: &I,
) -> Result<Observation, Error> {
    let capabilities = inputs.capabilities();
    if capabilities.is_unsure(ROUTE) {
        return Err(Error::PlatformUnknown);
    }
    let platform = Platform::of(&capabilities);
    let (name, namespace) = (
        resource.name_any(),
        resource.namespace().unwrap_or_default(),
    );
    let proxy_certificate = certificate::certificate(resource, TLS, platform, inputs).await?;
    // Models and Prometheus call the service by its own name.
    let own = certificate::certificate(resource, INTERNAL, platform, inputs).await?;
    let storage = &resource.spec.storage;
    let database = match storage.format {
        StorageFormat::Database => Some(database::database(&name, storage, inputs).await?),
        StorageFormat::Pvc => None,
    };
    let deployment = inputs.child(DEPLOYMENT, Some(&namespace), &name);
    Ok(Observation {
        platform,
        settings: settings(config, inputs),
        trust: certificate::trust(resource, AUTHORITIES, &proxy_certificate, inputs).await?,
        proxy_certificate,
        certificate: own,
        trusted_ca: trusted_ca(inputs).await?,
        database,
        claim: claim::claim(&name, &namespace, storage, inputs).await?,
        volume: match &storage.pv {
            Some(volume) => Some(claim::volume(volume, inputs).await?),
            None => None,
        },
        models: wiring::observe(resource, deployment.as_ref(), inputs).await?,
        deployment: deployment.as_ref().map(LiveDeployment::of),
    })
}

/// What the installation sets, by its environment and its ConfigMap as it is now.
fn settings<I: Inputs>(config: &Config, inputs: &I) -> Settings {
    let namespace = config.namespace.as_deref().unwrap_or_default();
    let map = inputs.landmark(CONFIG_MAP, namespace, config.config_map);
    let content = map.and_then(|map| serde_json::from_value(map.get("data")?.clone()).ok());
    config.settings(&content.unwrap_or_default())
}

/// Digest of the cluster's authorities in the namespace, where somebody asked for them.
async fn trusted_ca<I: Inputs>(inputs: &I) -> Result<Option<String>, InputError> {
    let (name, key) = TRUSTED_CA;
    let Some(map) = inputs.get(CONFIG_MAP, name).await? else {
        return Ok(None);
    };
    let labels = map.pointer("/metadata/labels");
    let asked = labels.and_then(|labels| labels.get(TRUSTED_CA_LABEL)?.as_str());
    let content = data(CONFIG_MAP, &map).remove(key);
    Ok(content
        .filter(|_| asked == Some("true"))
        .map(|content| digest(&content.0)))
}

/// Enough of a digest to see a change.
fn digest(value: &[u8]) -> String {
    short(&Sha256::digest(value))
}

fn uid(resource: &TrustyAIService) -> Option<&str> {
    resource.meta().uid.as_deref()
}
