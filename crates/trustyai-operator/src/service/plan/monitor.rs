//! The ServiceMonitor: one, on the port that serves metrics.

use api::trustyai::v1::ServiceMonitoring;
use kube::core::DynamicObject;
use resources::certificates::AUTHORITIES;
use resources::kind::SERVICE_MONITOR;
use resources::meta::{Pairs, annotated, with_spec};
use resources::names::service_host;
use resources::{Plan, PlanError, Planned};
use serde_json::{Map, Value, json};

use super::metadata::{labelled, labels};
use super::services::HTTPS;
use crate::service::monitoring::{INTERVAL, TIMEOUT};
use crate::service::names::SERVICE_LABEL;
use crate::service::observe::{Certificate, SERVICE_CA};
use crate::service::validated::Validated;

/// Label by which the platform's Prometheus finds monitors.
const LABEL: (&str, &str) = ("modelmesh-service", "modelmesh-serving");
/// Monitor that the Go operator made beside those of services, for all of them once more.
const CENTRAL: &str = "trustyai-metrics";
/// Metrics that are asked for by name.
const NAMES: [&str; 2] = ["trustyai_spd", "trustyai_dir"];

pub(super) fn monitor(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if !service.platform.service_monitors {
        return Ok(());
    }
    if let Some(namespace) = &service.central {
        plan.retire(SERVICE_MONITOR, namespace, CENTRAL, [LABEL]);
    }
    if let Some(monitoring) = &service.monitoring {
        plan.push(Planned::new(SERVICE_MONITOR, &object(service, monitoring))?);
    }
    Ok(())
}

fn object(service: &Validated, monitoring: &ServiceMonitoring) -> DynamicObject {
    let mut metadata = labelled(service, service.names.as_str(), [LABEL]);
    let mut spec = json!({
        "endpoints": [endpoint(service, monitoring)],
        "namespaceSelector": {"matchNames": [service.namespace.as_str()]},
        "selector": {
            "matchLabels": labels(service),
            // The Service of the proxy has the same labels, and one more.
            "matchExpressions": [{"key": SERVICE_LABEL, "operator": "DoesNotExist"}],
        },
    });
    if let Some(embedded) = &monitoring.reference {
        let theirs = |field: &str| -> Pairs {
            let map = embedded.get("metadata").and_then(|meta| meta.get(field));
            map.and_then(|map| serde_json::from_value(map.clone()).ok())
                .unwrap_or_default()
        };
        metadata = annotated(metadata, theirs("annotations"));
        // What tells whose the object is stays.
        let mut merged = theirs("labels");
        merged.extend(metadata.labels.take().unwrap_or_default());
        metadata.labels = Some(merged);
        if let Some(theirs) = embedded.get("spec") {
            merge(&mut spec, theirs);
        }
    }
    with_spec(metadata, &spec)
}

fn endpoint(service: &Validated, monitoring: &ServiceMonitoring) -> Value {
    let (namespace, name) = (service.namespace.as_str(), service.names.as_str());
    let asked = &monitoring.metrics;
    let selectors: Vec<String> = if asked.is_empty() {
        NAMES.map(selector).into()
    } else {
        asked.iter().map(|name| selector(name)).collect()
    };
    let kept = if asked.is_empty() {
        "trustyai_.*".to_owned()
    } else {
        asked.join("|")
    };
    json!({
        "interval": monitoring.interval.as_deref().unwrap_or(INTERVAL),
        "scrapeTimeout": monitoring.scrape_timeout.as_deref().unwrap_or(TIMEOUT),
        "path": "/q/metrics",
        "port": HTTPS,
        "scheme": "https",
        "tlsConfig": {
            "ca": authority(service),
            "serverName": service_host(name, namespace),
        },
        "honorLabels": true,
        "honorTimestamps": true,
        "params": {"match[]": selectors},
        "metricRelabelings": [{"action": "keep", "regex": kept, "sourceLabels": ["__name__"]}],
    })
}

fn selector(name: &str) -> String {
    format!("{{__name__= {name:?}}}")
}

/// Where Prometheus finds whom to trust.
fn authority(service: &Validated) -> Value {
    let (map, key) = match &service.certificate {
        Certificate::ServiceCa(_) => SERVICE_CA,
        Certificate::Own { .. } => (service.names.authorities.as_str(), AUTHORITIES),
        Certificate::Given(_) => {
            let secret = service.names.internal.as_str();
            return json!({"secret": {"name": secret, "key": AUTHORITIES}});
        }
    };
    json!({"configMap": {"name": map, "key": key}})
}

/// Puts `theirs` over `ours`: members of objects one by one, endpoints place by place, and
/// everything else as a whole.
fn merge(ours: &mut Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => merge_members(ours, theirs),
        (ours, theirs) => *ours = theirs.clone(),
    }
}

fn merge_members(ours: &mut Map<String, Value>, theirs: &Map<String, Value>) {
    for (name, theirs) in theirs {
        match (name.as_str(), ours.get_mut(name), theirs) {
            ("endpoints", Some(Value::Array(ours)), Value::Array(theirs)) => {
                for (place, theirs) in theirs.iter().enumerate() {
                    match ours.get_mut(place) {
                        Some(ours) => merge(ours, theirs),
                        None => ours.push(theirs.clone()),
                    }
                }
            }
            (_, Some(ours), theirs) => merge(ours, theirs),
            (_, None, theirs) => drop(ours.insert(name.clone(), theirs.clone())),
        }
    }
}
