//! What a user wants of the ServiceMonitor.

use api::trustyai::v1::ServiceMonitoring;
use resources::kind::SERVICE_MONITOR;
use serde_json::{Map, Value};

/// Time between two reads, where nobody says.
pub const INTERVAL: &str = "4s";
/// Longest that one read may take, where nobody says.
pub const TIMEOUT: &str = "3s";

/// What is asked for; `None` when nobody is to read the metrics.
pub(super) fn read(
    asked: Option<&ServiceMonitoring>,
    warnings: &mut Vec<String>,
) -> Result<Option<ServiceMonitoring>, String> {
    let mut asked = asked.cloned().unwrap_or_default();
    if asked.enabled == Some(false) {
        return Ok(None);
    }
    if let Some(embedded) = &mut asked.reference {
        check(embedded)?;
        if without_token_files(embedded) {
            warnings.push(
                "spec.serviceMonitoring.ref: bearerTokenFile is left out: the metrics need none, \
                 and OpenShift's Prometheus takes no monitor with one"
                    .to_owned(),
            );
        }
    }
    let interval = asked.interval.as_deref().unwrap_or(INTERVAL);
    let timeout = asked.scrape_timeout.as_deref().unwrap_or(TIMEOUT);
    if milliseconds(timeout) > milliseconds(interval) {
        if asked.scrape_timeout.is_some() {
            warnings.push(format!(
                "spec.serviceMonitoring.scrapeTimeout {timeout} is longer than interval {interval}, \
                 which is used for both; shorten it"
            ));
        }
        asked.scrape_timeout = Some(interval.to_owned());
    }
    Ok(Some(asked))
}

/// It is a ServiceMonitor, as far as it says what it is.
fn check(embedded: &Map<String, Value>) -> Result<(), String> {
    for (field, expected) in [
        ("apiVersion", SERVICE_MONITOR.api_version()),
        ("kind", SERVICE_MONITOR.kind.to_owned()),
    ] {
        let found = embedded.get(field);
        if found.is_some_and(|found| found.as_str() != Some(&expected)) {
            return Err(format!(
                "{field} must be {expected}; correct it or remove it"
            ));
        }
    }
    for field in ["metadata", "spec"] {
        if embedded.get(field).is_some_and(|value| !value.is_object()) {
            return Err(format!("{field} is no object; correct it or remove it"));
        }
    }
    let endpoints = embedded.get("spec").and_then(|spec| spec.get("endpoints"));
    let Some(endpoints) = endpoints else {
        return Ok(());
    };
    let are_objects = endpoints
        .as_array()
        .is_some_and(|all| all.iter().all(Value::is_object));
    if are_objects {
        Ok(())
    } else {
        Err("spec.endpoints is no list of objects; correct it or remove it".to_owned())
    }
}

/// Takes out what names a file with a token. Whether there was one.
fn without_token_files(embedded: &mut Map<String, Value>) -> bool {
    let endpoints = embedded
        .get_mut("spec")
        .and_then(|s| s.get_mut("endpoints"));
    let endpoints = endpoints
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    let mut found = false;
    for endpoint in endpoints.filter_map(Value::as_object_mut) {
        found |= endpoint.remove("bearerTokenFile").is_some();
    }
    found
}

/// A time as Prometheus writes it, in milliseconds: `1m30s`.
fn milliseconds(text: &str) -> u64 {
    let mut total: u64 = 0;
    let mut rest = text;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
        let (number, unit) = rest.split_at(end);
        let length = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        let (unit, next) = unit.split_at(length);
        let factor: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => 365 * 86_400_000,
        };
        let number: u64 = number.parse().unwrap_or(u64::MAX);
        total = total.saturating_add(number.saturating_mul(factor));
        rest = next;
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_from(asked: Value) -> (Result<Option<ServiceMonitoring>, String>, Vec<String>) {
        let mut warnings = Vec::new();
        let asked: ServiceMonitoring = serde_json::from_value(asked).unwrap();
        (read(Some(&asked), &mut warnings), warnings)
    }

    #[test]
    fn times() {
        for (text, expected) in [("0", 0), ("4s", 4000), ("1m30s", 90_000), ("500ms", 500)] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn no_read_takes_longer_than_the_time_to_the_next() {
        let (monitoring, warnings) = read_from(json!({"interval": "1s"}));
        let monitoring = monitoring.unwrap().unwrap();
        assert_eq!(monitoring.scrape_timeout.as_deref(), Some("1s"));
        assert!(warnings.is_empty(), "nobody asked for the timeout");
        let (_, warnings) = read_from(json!({"interval": "1s", "scrapeTimeout": "2s"}));
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn something_else_is_no_monitor() {
        for (wrong, word) in [
            (json!({"kind": "PodMonitor"}), "kind"),
            (json!({"apiVersion": "v1"}), "apiVersion"),
            (json!({"spec": []}), "spec"),
            (json!({"spec": {"endpoints": {}}}), "spec.endpoints"),
        ] {
            let (monitoring, _) = read_from(json!({ "ref": wrong }));
            assert!(monitoring.unwrap_err().contains(word));
        }
    }

    #[test]
    fn a_token_file_is_left_out() {
        let endpoint = json!({"interval": "9s", "bearerTokenFile": "/var/run/token"});
        let asked = json!({"ref": {"spec": {"endpoints": [endpoint]}}});
        let (monitoring, warnings) = read_from(asked);
        let embedded = monitoring.unwrap().unwrap().reference.unwrap();
        assert_eq!(embedded["spec"], json!({"endpoints": [{"interval": "9s"}]}));
        assert_eq!(warnings.len(), 1);
    }
}
