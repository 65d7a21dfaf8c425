//! From what the user wrote to what objects are made of. What is wrong is said field by field.

mod claim;
mod selector;

use std::collections::BTreeSet;

use api::mlflow::v1::{MLflow, MLflowSpec};
use kube::{Resource, ResourceExt};
use resources::content::short;
use resources::meta::owner;
use resources::names::ObjectName;
use sha2::{Digest, Sha256};

use super::Installation;
use super::error::Error;
use super::observe::Observation;
use super::validated::{Memory, Validated};
use crate::names::{ACCOUNT, APP, COMPONENT, INSTANCE, Names};

/// Variables that no entry of `env` may set.
const LOCKED: [&str; 6] = [
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_READ_REPLICA_BACKEND_STORE_URI",
    "MLFLOW_REGISTRY_STORE_URI",
];

/// What the objects are made of, or everything that is wrong.
pub fn validate(
    resource: &MLflow,
    seen: &Observation,
    installation: &Installation,
) -> Result<Validated, Error> {
    let name = resource.name_any();
    let mut spec = resource.spec.clone();
    let mut problems = Vec::new();
    let mut warnings = Vec::new();

    let names = Names::of(&name).map_err(|error| problems.push(format!("metadata.name: {error}")));
    environment(&spec, &mut problems);
    artifacts(&spec, &mut problems);
    account(&spec, &mut problems);
    let workspaces = spec.workspace_label_selector.as_ref();
    let workspaces = workspaces.map(selector::text).transpose();
    let workspaces = workspaces.map_err(|error| {
        problems.push(format!("spec.workspaceLabelSelector: {error}"));
    });
    let (Ok(names), Ok(workspaces), Some(certificate), Some(migration), true) = (
        names,
        workspaces,
        seen.certificate.clone(),
        seen.migration.clone(),
        problems.is_empty(),
    ) else {
        return Err(Error::Invalid(problems));
    };
    labels(&mut spec, &mut warnings);
    let claim = claim::claim(&spec, seen.claim.as_ref(), &mut warnings);
    let image = spec.image.as_ref().and_then(|image| image.image.clone());
    // The default of the schema is one name for all.
    let account = match spec.service_account_name.as_str() {
        "" | ACCOUNT => format!("{ACCOUNT}{}", names.suffix),
        other => other.to_owned(),
    };
    Ok(Validated {
        instance: name,
        namespace: installation.namespace.clone(),
        owner: owner(resource),
        platform: seen.platform,
        settings: seen.settings.clone(),
        image: image
            .filter(|image| !image.is_empty())
            .unwrap_or_else(|| installation.config.image.clone()),
        account,
        workspaces: workspaces.unwrap_or_default(),
        memory: memory(seen, resource.meta().uid.as_deref().unwrap_or_default()),
        certificate,
        has_platform_ca: seen.platform_ca.is_some(),
        claim,
        migration,
        names,
        spec,
        warnings,
    })
}

fn environment(spec: &MLflowSpec, problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for (index, variable) in spec.env.iter().enumerate() {
        let name = variable.name.as_str();
        if LOCKED.contains(&name) {
            problems.push(format!(
                "spec.env[{index}]: {name} is set by the operator alone, and URIs of stores by \
                 fields of their own; remove the entry"
            ));
        } else if !names.insert(name) {
            problems.push(format!(
                "spec.env[{index}]: {name} is there twice; remove one of the entries"
            ));
        }
    }
}

/// Without a volume the server would write to a file system that is read-only.
fn artifacts(spec: &MLflowSpec, problems: &mut Vec<String>) {
    let destination = spec.artifacts_destination.as_deref().unwrap_or_default();
    if spec.serve_artifacts && destination.is_empty() && spec.storage.is_none() {
        problems.push(
            "spec.artifactsDestination: absent means file:///mlflow/artifacts, which needs \
             spec.storage; set storage, or name a remote store, as s3://bucket/path"
                .to_owned(),
        );
    }
}

fn account(spec: &MLflowSpec, problems: &mut Vec<String>) {
    let name = spec.service_account_name.as_str();
    if !name.is_empty()
        && let Err(error) = ObjectName::parse(name)
    {
        problems.push(format!("spec.serviceAccountName: {error}"));
    }
}

/// Takes out labels by which pods are found.
fn labels(spec: &mut MLflowSpec, warnings: &mut Vec<String>) {
    for key in [APP, INSTANCE, COMPONENT.0] {
        if let Some(value) = spec.pod_labels.remove(key) {
            warnings.push(format!(
                "spec.podLabels: {key}={value} has no effect, pods are found by this label; \
                 remove it"
            ));
        }
    }
}

/// What Deployment and pods remember. While something that pods wait for is not there, it stays as it
/// is: they do not run, and what comes later is the first that they read.
fn memory(seen: &Observation, salt: &str) -> Memory {
    let live = seen.deployment.clone().unwrap_or_default();
    let Some(current) = inputs_hash(seen, salt) else {
        return Memory {
            baseline: live.baseline,
            hash: live.hash,
        };
    };
    let baseline = live.baseline.unwrap_or_else(|| current.clone());
    Memory {
        hash: (baseline != current).then_some(current),
        baseline: Some(baseline),
    }
}

/// Hash of what pods read once, when they start; `None` while some of it is not there.
///
/// Whoever sees pods sees the hash: `salt`, which no other server has, keeps equal passwords from
/// showing as such, and tables of passwords from being of use.
fn inputs_hash(seen: &Observation, salt: &str) -> Option<String> {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    let mut add = |what: &str, digest: &str| hasher.update(format!("{what}={digest}\n"));
    add("certificate", &seen.certificate.as_ref()?.digest()?);
    for (what, digest) in [("platform", &seen.platform_ca), ("user", &seen.user_ca)] {
        add(what, digest.as_deref().unwrap_or_default());
    }
    for reference in &seen.references {
        if reference.is_missing() {
            return None;
        }
        let digest = reference.digest.as_deref().unwrap_or_default();
        add(&reference.name, digest);
    }
    Some(short(&hasher.finalize()))
}
