//! The definitions of Catalog and AIHub beside the recorded ones of the Go operator.
#![cfg(test)]

use std::path::PathBuf;

use api::catalog::v1alpha1::{Catalog, CatalogSpec};
use serde_json::{Value, json};

/// `sizeLimit: 5368709120` is a number, for which the recorded expression ends in an error.
const RULE: (&str, &str) = (
    "quantity(self).isGreaterThan(quantity('0'))",
    "quantity(string(self)).isGreaterThan(quantity('0'))",
);

/// Without descriptions, and with the numbers of bounds as they are written.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, value)| !(*key == "description" && value.is_string()))
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(plain).collect();
            // Names of required fields have no order.
            if items.iter().all(Value::is_string) {
                items.sort_by_key(Value::to_string);
            }
            items.into()
        }
        Value::Number(number) => json!(number.as_f64()),
        Value::String(text) if text == RULE.0 => RULE.1.into(),
        other => other.clone(),
    }
}

#[test]
fn the_schemas_are_the_recorded_ones() {
    let folder = std::env::var_os("COMPAT_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat"),
        PathBuf::from,
    );
    for (file, ours) in [
        ("aihub.opendatahub.io_catalogs.yaml", api::catalog()),
        (
            "components.platform.opendatahub.io_aihubs.yaml",
            api::aihub(),
        ),
    ] {
        let Ok(text) = std::fs::read_to_string(folder.join("crds").join(file)) else {
            eprintln!("compat: folder not there, schema comparison not run");
            return;
        };
        let recorded: Value =
            serde_saphyr::from_str(&text).expect("the recorded definition is YAML");
        let ours = serde_json::to_value(ours).expect("a definition is JSON");
        assert_eq!(plain(&ours["spec"]), plain(&recorded["spec"]));
        assert_eq!(ours["metadata"]["name"], recorded["metadata"]["name"]);
    }
}

#[test]
fn a_catalog_without_a_spec_is_read() {
    for spec in [json!({}), json!({"spec": null}), json!({"spec": {}})] {
        let mut catalog = json!({"apiVersion": "aihub.opendatahub.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "catalog"}});
        if let Some(spec) = spec.get("spec") {
            catalog["spec"] = spec.clone();
        }
        let read: Catalog = serde_json::from_value(catalog).expect("a catalog");
        assert_eq!(read.spec, CatalogSpec::default());
    }
}
