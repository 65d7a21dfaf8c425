//! A label selector as one text, as `kubectl` takes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The requirements by key, with commas; empty for a selector that takes all.
pub(super) fn text(selector: &LabelSelector) -> Result<String, String> {
    let labels = selector.match_labels.iter().flatten();
    let mut all: Vec<(&str, String)> = labels
        .map(|(key, value)| (key.as_str(), format!("{key}={value}")))
        .collect();
    for requirement in selector.match_expressions.iter().flatten() {
        let key = requirement.key.as_str();
        let mut values = requirement.values.clone().unwrap_or_default();
        values.sort();
        let operator = requirement.operator.as_str();
        let list = || {
            let values = values.join(",");
            if values.is_empty() {
                Err(format!("{operator} needs values for key {key}; add them"))
            } else {
                Ok(values)
            }
        };
        let text = match operator {
            "In" => format!("{key} in ({})", list()?),
            "NotIn" => format!("{key} notin ({})", list()?),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            other => {
                return Err(format!(
                    "{other:?} is no operator; use In, NotIn, Exists or DoesNotExist"
                ));
            }
        };
        all.push((key, text));
    }
    all.sort_by_key(|(key, _)| *key);
    let texts: Vec<String> = all.into_iter().map(|(_, text)| text).collect();
    Ok(texts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(selector: &Value) -> Result<String, String> {
        text(&serde_json::from_value(selector.clone()).unwrap())
    }

    #[test]
    fn requirements_are_in_the_order_of_their_keys() {
        let selector = json!({"matchLabels": {"team": "a"}, "matchExpressions": [
            {"key": "b", "operator": "NotIn", "values": ["y", "x"]},
            {"key": "z", "operator": "Exists"},
            {"key": "a", "operator": "In", "values": ["q"]},
            {"key": "c", "operator": "DoesNotExist"},
        ]});
        assert_eq!(of(&selector).unwrap(), "a in (q),b notin (x,y),!c,team=a,z");
        assert_eq!(of(&json!({})).unwrap(), "");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for operator in ["In", "Equals"] {
            let selector = json!({"matchExpressions": [{"key": "a", "operator": operator}]});
            assert!(of(&selector).is_err(), "{operator}");
        }
    }
}
