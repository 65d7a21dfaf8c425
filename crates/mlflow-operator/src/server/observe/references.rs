//! Secrets and ConfigMaps that the resource refers to, and pods read once: databases and environment.

use api::mlflow::v1::MLflowSpec;
use resources::Kind;
use resources::content::data;
use resources::kind::{CONFIG_MAP, SECRET};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use super::digest;

/// A Secret or ConfigMap, or one key of it, that the resource refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The field that refers to it.
    pub field: String,
    /// `Secret` or `ConfigMap`.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The key; `None` for all.
    pub key: Option<String>,
    /// Pods start without it.
    pub optional: bool,
    /// Digest of what pods read; `None` where it is not there.
    pub digest: Option<String>,
}

impl Reference {
    /// Pods wait for it.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.digest.is_none() && !self.optional
    }

    /// The same in words.
    #[must_use]
    pub fn trouble(&self) -> String {
        let Self {
            field, kind, name, ..
        } = self;
        match &self.key {
            Some(key) => format!("{field}: {kind} {name} with key {key} is not there; create it"),
            None => format!("{field}: {kind} {name} is not there; create it"),
        }
    }
}

/// What the resource refers to, before anybody has looked.
#[must_use]
pub fn references(spec: &MLflowSpec) -> Vec<Reference> {
    let stores = [
        ("spec.backendStoreUriFrom", &spec.backend_store_uri_from),
        (
            "spec.readReplicaBackendStoreUriFrom",
            &spec.read_replica_backend_store_uri_from,
        ),
        ("spec.registryStoreUriFrom", &spec.registry_store_uri_from),
    ];
    let stores = stores.into_iter().filter_map(|(field, from)| {
        let from = from.as_ref()?;
        let optional = from.optional.unwrap_or_default();
        Some(reference(
            field.to_owned(),
            SECRET,
            &from.name,
            Some(&from.key),
            optional,
        ))
    });
    let env = spec.env.iter().enumerate().filter_map(|(index, variable)| {
        let from = variable.source.get("valueFrom")?;
        let keys = [("secretKeyRef", SECRET), ("configMapKeyRef", CONFIG_MAP)];
        keys.into_iter().find_map(|(key, kind)| {
            let from = from.get(key)?;
            let text = |name: &str| from.get(name).and_then(Value::as_str);
            let optional = from.get("optional").and_then(Value::as_bool);
            let field = format!("spec.env[{index}]");
            let optional = optional.unwrap_or_default();
            Some(reference(field, kind, text("name")?, text("key"), optional))
        })
    });
    let env_from = spec
        .env_from
        .iter()
        .enumerate()
        .filter_map(|(index, from)| {
            let field = format!("spec.envFrom[{index}]");
            if let Some(secret) = &from.secret_ref {
                let optional = secret.optional.unwrap_or_default();
                return Some(reference(field, SECRET, &secret.name, None, optional));
            }
            let map = from.config_map_ref.as_ref()?;
            let optional = map.optional.unwrap_or_default();
            Some(reference(field, CONFIG_MAP, &map.name, None, optional))
        });
    stores.chain(env).chain(env_from).collect()
}

fn reference(
    field: String,
    kind: Kind,
    name: &str,
    key: Option<&str>,
    optional: bool,
) -> Reference {
    Reference {
        field,
        kind,
        name: name.to_owned(),
        key: key.map(str::to_owned),
        optional,
        digest: None,
    }
}

/// What the resource refers to, as it is.
pub(super) async fn read<I: Inputs>(
    spec: &MLflowSpec,
    inputs: &I,
) -> Result<Vec<Reference>, InputError> {
    let mut all = references(spec);
    for one in &mut all {
        let Some(live) = inputs.get(one.kind, &one.name).await? else {
            continue;
        };
        let content = data(one.kind, &live);
        one.digest = if let Some(key) = &one.key {
            content.get(key).map(|value| digest(&value.0))
        } else {
            let pairs = content
                .iter()
                .map(|(key, value)| format!("{key}={}\n", digest(&value.0)));
            Some(digest(pairs.collect::<String>().as_bytes()))
        };
    }
    Ok(all)
}
