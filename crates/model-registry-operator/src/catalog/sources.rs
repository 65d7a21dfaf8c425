//! Files with sources: those that come with the catalog, and the user's own.

use serde_json::Value;

/// The sources that come with the catalog. Names and files are those of the data image.
pub const DEFAULT: &str = include_str!("default_sources.yaml");

/// An entry that an operator of an earlier time put into the user's file. The sources that come
/// with the catalog took its place.
const OLD_DEFAULT: &str = "default_catalog";

/// A file of the user's without any source in `list`.
#[must_use]
pub fn empty(list: &str) -> String {
    format!("{list}: []")
}

/// The file without the entry of an earlier time; `None` when there is none, or when nobody can
/// read the file: it is the user's.
#[must_use]
pub fn without_old_default(file: &str) -> Option<String> {
    let mut content: Value = serde_saphyr::from_str(file).ok()?;
    let mut found = false;
    for list in ["catalogs", "model_catalogs"] {
        if let Some(entries) = content.get_mut(list).and_then(Value::as_array_mut) {
            let before = entries.len();
            entries.retain(|entry| entry.get("id").and_then(Value::as_str) != Some(OLD_DEFAULT));
            found |= entries.len() != before;
        }
    }
    found.then(|| serde_saphyr::to_string(&content).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_old_entry_goes_and_everything_else_stays() {
        let file = "catalogs:\n- id: default_catalog\n  name: Default\n- id: mine\n  name: Mine\nlabels: []\n";
        let stripped: Value = serde_saphyr::from_str(&without_old_default(file).unwrap()).unwrap();
        assert_eq!(
            stripped,
            json!({"catalogs": [{"id": "mine", "name": "Mine"}], "labels": []})
        );
    }

    #[test]
    fn a_file_without_it_is_not_touched() {
        for file in [
            "catalogs: []",
            "catalogs: [{id: mine}]",
            "",
            "a: [",
            "text",
            "catalogs: default_catalog",
        ] {
            assert_eq!(without_old_default(file), None, "{file}");
        }
    }

    #[test]
    fn every_default_source_has_an_id_and_a_file() {
        let content: Value = serde_saphyr::from_str(DEFAULT).unwrap();
        let mut ids = Vec::new();
        for list in ["catalogs", "mcp_catalogs", "agent_catalogs"] {
            for entry in content[list].as_array().unwrap() {
                let file = entry["properties"]["yamlCatalogPath"].as_str().unwrap();
                assert!(file.starts_with("/shared-data/"), "{file}");
                ids.push(entry["id"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(ids.len(), 7);
        ids.dedup();
        assert_eq!(ids.len(), 7);
    }
}
