//! From what the user wrote to what objects are made of. What is wrong is said field by field.

mod storage;

use std::collections::BTreeMap;

use api::modelregistry::v1beta1::ServiceRoute;
use api::trustyai::v1::{StorageFormat, TrustyAIService, TrustyAIServiceSpec};
use kube::{Resource, ResourceExt};
use resources::content::short;
use resources::exposure;
use resources::meta::{owner, pairs};
use resources::names::HostLabel;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::monitoring;
use super::names::{INSTANCE_LABEL, MIGRATION, Names, PART_OF};
use super::observe::{Certificate, Observation};
use super::validated::Validated;
use crate::wiring::sink::Sink;
use crate::wiring::{Asked, Authority, Wiring};

/// Number of the newest inferences that a calculation looks at, where nobody says.
const BATCH_SIZE: i64 = 5000;

/// What the objects are made of, or everything that is wrong: one message for each thing.
pub fn validate(
    resource: &TrustyAIService,
    seen: &Observation,
    config: &Config,
) -> Result<Validated, Vec<String>> {
    let (name, namespace) = (
        resource.name_any(),
        resource.namespace().unwrap_or_default(),
    );
    let spec = &resource.spec;
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut keep = |field: &str, error: String| problems.push(format!("{field}: {error}"));

    let names = Names::of(&name, &namespace);
    let names = names.map_err(|error| keep("metadata.name", error.to_string()));
    let place = HostLabel::parse(&namespace);
    let place = place.map_err(|error| keep("metadata.namespace", error.to_string()));
    let metrics = spec.metrics().cloned().unwrap_or_else(|| {
        let absent = "absent; set it, with the schedule in it".to_owned();
        keep("spec.metrics", absent);
        api::trustyai::v1::Metrics::default()
    });
    let mut wrong = Vec::new();
    let expose = spec
        .expose
        .as_ref()
        .and_then(|asked| exposure::read(asked, "spec.expose", &mut wrong));
    for (field, error) in wrong {
        keep(&field, error.to_string());
    }
    let storage = storage::storage(resource, seen, &mut warnings);
    let storage = storage.map_err(|(field, error)| keep(field, error));
    let monitoring = monitoring::read(spec.service_monitoring.as_ref(), &mut warnings);
    let monitoring = monitoring.map_err(|error| keep("spec.serviceMonitoring.ref", error));

    let (Ok(names), Ok(place), Ok(storage), Ok(monitoring)) = (names, place, storage, monitoring)
    else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    warnings.extend(metrics_warnings(spec));
    annotation_warning(resource, &mut warnings);
    let replicas = storage.replicas(spec, &mut warnings);
    let inputs_hash = inputs_hash(seen, resource.meta().uid.as_deref().unwrap_or_default());
    let selector = match &seen.deployment {
        Some(live) if !live.selector.is_empty() => live.selector.clone(),
        _ => selector(&name),
    };
    Ok(Validated {
        names,
        namespace: place,
        owner: owner(resource),
        platform: seen.platform,
        settings: seen.settings.clone(),
        proxy_role: config.proxy_role.clone(),
        central: config.namespace.clone(),
        replicas,
        format: match spec.storage.format {
            StorageFormat::Pvc => "PVC",
            StorageFormat::Database => "DATABASE",
        },
        folder: storage.folder,
        claim: storage.claim,
        database: seen.database.clone(),
        data: spec.data.clone().unwrap_or_default(),
        schedule: metrics.schedule,
        batch_size: metrics.batch_size.unwrap_or(BATCH_SIZE),
        proxy_certificate: seen.proxy_certificate.clone(),
        certificate: seen.certificate.clone(),
        trust: seen.trust.clone(),
        inputs_hash,
        has_trusted_ca: seen.trusted_ca.is_some(),
        selector,
        baseline: baseline(resource, seen),
        monitoring,
        route: spec.service_route != Some(ServiceRoute::Disabled),
        expose,
        resources: spec.resources.clone(),
        operand: spec.operand.clone().unwrap_or_default(),
        wiring: Wiring::of(asked(resource, seen), &seen.models),
        warnings,
    })
}

/// What the service asks of models, and what it can give.
fn asked(resource: &TrustyAIService, seen: &Observation) -> Asked {
    let spec = &resource.spec;
    let model_mesh = spec.model_mesh.as_ref().and_then(|asked| asked.method);
    let loggers = spec
        .kserve
        .as_ref()
        .and_then(|asked| asked.existing_loggers);
    Asked {
        sink: Sink::of(resource),
        method: model_mesh.unwrap_or_default(),
        loggers: loggers.unwrap_or_default(),
        knative: seen.settings.serverless,
        authority: match &seen.certificate {
            Certificate::ServiceCa(_) => Authority::ServiceCa,
            Certificate::Own { serving, .. } => Authority::Own(serving.bundle.clone()),
            Certificate::Given(_) => Authority::Unknown,
        },
    }
}

/// Labels by which the pods of a new Deployment are selected. Those of the Go operator, but for
/// the operator's version: it cannot change, and would have to.
#[must_use]
pub fn selector(name: &str) -> BTreeMap<String, String> {
    pairs([
        ("app", name),
        (INSTANCE_LABEL, name),
        ("app.kubernetes.io/name", name),
        PART_OF,
    ])
}

/// Hash of the certificate that the first pods started with. The status remembers it: in the
/// Deployment it would cost three requests, as the certificate often comes after the Deployment.
/// Where the status was lost, that is the certificate of now, unless pods were replaced for it.
fn baseline(resource: &TrustyAIService, seen: &Observation) -> Option<String> {
    let known = resource.status.as_ref();
    let known = known.and_then(|status| status.certificate.clone());
    let replaced = seen.deployment.as_ref();
    let replaced = replaced.and_then(|live| live.certificate.as_ref());
    let now = || seen.certificate.digest();
    known.or_else(|| now().filter(|now| replaced != Some(now)))
}

/// Hash of the values that the pods read once, when they start. `None` when there are none.
///
/// Whoever sees pods sees the hash: `salt`, which no other service has, keeps equal passwords from
/// showing as such, and tables of passwords from being of use.
fn inputs_hash(seen: &Observation, salt: &str) -> Option<String> {
    let database = seen.database.as_ref();
    let parts = [
        ("trusted-ca", seen.trusted_ca.as_ref()),
        ("database", database.and_then(|d| d.digest.as_ref())),
        ("authority", database.and_then(|d| d.authority.as_ref())),
    ];
    let mut hash = Sha256::new();
    hash.update(salt);
    let mut any = false;
    for (part, digest) in parts {
        if let Some(digest) = digest {
            any = true;
            for text in [part, "\0", digest, "\0"] {
                hash.update(text);
            }
        }
    }
    any.then(|| short(&hash.finalize()))
}

/// What the service would take for something else.
#[must_use]
pub fn metrics_warnings(spec: &TrustyAIServiceSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(metrics) = spec.metrics() else {
        return warnings;
    };
    let field = if spec.metrics.is_some() {
        "spec.metrics"
    } else {
        "spec.trustyaiMetrics"
    };
    let schedule = &metrics.schedule;
    if !is_schedule(schedule) {
        warnings.push(format!(
            "{field}.schedule {schedule:?} is no time that the service knows, and it uses 30 s; \
             write a number with s, m, h or d, or an ISO 8601 duration"
        ));
    }
    if let Some(size) = metrics.batch_size
        && size < 1
    {
        warnings.push(format!(
            "{field}.batchSize {size} leaves nothing to calculate with; write 1 or more"
        ));
    }
    warnings
}

/// Whether the service takes it for a time: `15s`, or an ISO 8601 duration.
fn is_schedule(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let short = text
        .strip_suffix(['s', 'm', 'h', 'd'])
        .is_some_and(|number| digits(number.trim_end()));
    short || (text.starts_with('P') && text.parse::<jiff::Span>().is_ok())
}

/// The annotation asks for what the spec does not say.
fn annotation_warning(resource: &TrustyAIService, warnings: &mut Vec<String>) {
    let asked = resource.annotations().contains_key(MIGRATION);
    let storage = &resource.spec.storage;
    let filled = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
    let data = resource.spec.data.as_ref();
    let says = storage.format == StorageFormat::Database
        && filled(storage.folder.as_ref())
        && filled(data.and_then(|data| data.filename.as_ref()));
    if asked && !says {
        warnings.push(format!(
            "annotation {MIGRATION} has no effect: data moves to the database with \
             spec.storage.format DATABASE, spec.storage.folder and spec.data.filename"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_the_service_knows() {
        for text in ["5s", "15m", "1h", "2d", "PT15S", "P1DT2H"] {
            assert!(is_schedule(text), "{text}");
        }
        for text in ["", "s", "5", "often", "5s\n", "5 seconds", "@hourly", "P"] {
            assert!(!is_schedule(text), "{text}");
        }
    }
}
