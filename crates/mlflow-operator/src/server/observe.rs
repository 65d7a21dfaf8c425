//! What the plan depends on that is not in the resource.
//!
//! Everything that is not a pure function of the resource happens here. Of a Secret only digests are
//! kept, unless the operator makes it.

mod certificate;
mod claim;
mod references;

use api::mlflow::v1::{FORCE_MIGRATE, MLflow, MigrationMode};
use jiff::Timestamp;
use kube::ResourceExt;
use resources::content::{data, short};
use resources::kind::{CONFIG_MAP, DEPLOYMENT, JOB, POD};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Installation;
use super::error::Error;
use crate::config::{Effective, MLFLOW_VERSION};
use crate::migration::observe::{Live, Subject, observed};
use crate::migration::state::Observed;
use crate::module;
use crate::module::gate::{Gate, gate};
use crate::names::{INPUTS_BASELINE, INPUTS_HASH, Names, PLATFORM_CA};
use crate::platform::Platform;

pub use certificate::{Certificate, Trust};
pub use claim::LiveClaim;
pub use references::{Reference, references};

/// What the plan depends on that is not in the resource.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the cluster offers.
    pub platform: Platform,
    /// What the installation sets, or the platform in its place.
    pub settings: Effective,
    /// What the platform's MLflowOperator says, where it is asked.
    pub gate: Option<Gate>,
    /// Where the server's certificate comes from; `None` where the names do not allow one.
    pub certificate: Option<Certificate>,
    /// Digest of the authorities that the platform trusts, where the namespace has them.
    pub platform_ca: Option<String>,
    /// Digest of the authorities that the resource names.
    pub user_ca: Option<String>,
    /// What the resource refers to, and pods read once.
    pub references: Vec<Reference>,
    /// The claim as it is.
    pub claim: Option<LiveClaim>,
    /// What the Deployment remembers of its pods.
    pub deployment: Option<LiveDeployment>,
    /// How far the database is; `None` where the names do not allow a server.
    pub migration: Option<Observed>,
}

/// What the Deployment remembers of what its pods read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDeployment {
    /// Hash of it when they were first made.
    pub baseline: Option<String>,
    /// Hash of it in their template.
    pub hash: Option<String>,
}

impl LiveDeployment {
    fn of(deployment: &Value) -> Self {
        let annotation = |pointer: &str, key: &str| {
            let found = deployment.pointer(pointer)?.get(key)?.as_str();
            found.map(str::to_owned)
        };
        Self {
            baseline: annotation("/metadata/annotations", INPUTS_BASELINE),
            hash: annotation("/spec/template/metadata/annotations", INPUTS_HASH),
        }
    }
}

impl Observation {
    /// When the plan changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let renewal = self.certificate.as_ref().and_then(Certificate::due);
        let retry = self.migration.as_ref().and_then(|seen| seen.decide().due);
        renewal.into_iter().chain(retry).min()
    }
}

/// Reads what the plan of `resource` depends on.
pub(super) async fn observe<I: Inputs>(
    resource: &MLflow,
    installation: &Installation,
    inputs: &I,
) -> Result<Observation, Error> {
    let config = &installation.config;
    let module = if config.module {
        Some(module::read(inputs).await?)
    } else {
        None
    };
    let gate = module.as_ref().map(|module| gate(module.as_ref()));
    if let Some(closed) = gate.clone().filter(|gate| !gate.is_open()) {
        return Err(Error::Closed(Box::new(closed)));
    }
    let capabilities = inputs.capabilities();
    let platform = Platform::from(&*capabilities);
    let namespace = &installation.namespace;
    let names = Names::of(&resource.name_any()).ok();
    let certificate = match &names {
        Some(names) => {
            Some(certificate::certificate(resource, names, namespace, platform, inputs).await?)
        }
        None => None,
    };
    let claim = match &names {
        Some(names) => claim::claim(names, namespace, inputs).await?,
        None => None,
    };
    let user_ca = match &resource.spec.ca_bundle_config_map {
        None => None,
        Some(bundle) => {
            let found = authorities(&bundle.name, inputs).await?;
            Some(found.ok_or_else(|| Error::CaBundle {
                name: bundle.name.clone(),
                namespace: namespace.clone(),
            })?)
        }
    };
    let deployment = names.as_ref().and_then(|names| {
        let live = inputs.child(DEPLOYMENT, Some(namespace), names.own.as_str())?;
        Some(LiveDeployment::of(&live))
    });
    Ok(Observation {
        platform,
        settings: config.effective(module.flatten().as_ref().map(|module| &module.spec)),
        gate,
        certificate,
        platform_ca: authorities(PLATFORM_CA, inputs).await?,
        user_ca,
        references: references::read(&resource.spec, inputs).await?,
        claim,
        deployment,
        migration: names.map(|names| migration(resource, &names, namespace, inputs)),
    })
}

fn migration<I: Inputs>(resource: &MLflow, names: &Names, namespace: &str, inputs: &I) -> Observed {
    let status = resource.status.clone().unwrap_or_default();
    let force = resource.annotations().get(FORCE_MIGRATE);
    let subject = Subject {
        instance: &resource.name_any(),
        deployment: names.own.as_str(),
        generation: resource.metadata.generation.unwrap_or_default(),
        supported: MLFLOW_VERSION,
        recorded: status.version.as_deref(),
        always: resource.spec.migration.mode == MigrationMode::Always,
        force: force.map(String::as_str),
        conditions: &status.conditions,
        replicas: resource.spec.replicas,
    };
    let live = Live {
        deployment: inputs.child_as(DEPLOYMENT, Some(namespace), names.own.as_str()),
        jobs: inputs.children_as(JOB),
        pods: inputs.children_as(POD),
    };
    observed(&subject, &live, inputs.now())
}

/// Digest of a ConfigMap with authorities; `None` where there is none of this name.
async fn authorities<I: Inputs>(name: &str, inputs: &I) -> Result<Option<String>, InputError> {
    let map = inputs.get(CONFIG_MAP, name).await?;
    Ok(map.map(|map| {
        let all = data(CONFIG_MAP, &map);
        // As the script of the chart finds them: `*.crt` and `*.pem`.
        let counts = |key: &&String| {
            let end = key.rsplit_once('.').map(|(_, end)| end);
            matches!(end, Some("crt" | "pem"))
        };
        let keys = all.keys().filter(counts);
        let mut hasher = Sha256::new();
        for key in keys {
            hasher.update(digest(key.as_bytes()));
            hasher.update(digest(all.get(key).map_or(&[], |value| value.0.as_slice())));
        }
        short(&hasher.finalize())
    }))
}

/// Enough of a digest to see a change.
fn digest(value: &[u8]) -> String {
    short(&Sha256::digest(value))
}
