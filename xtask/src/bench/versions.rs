//! The resource versions of everything in a cluster, to see what a restart touches.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kube::api::{DynamicObject, ListParams, ResourceExt as _};
use kube::discovery::{Discovery, verbs};
use kube::{Api, Client};

/// Kinds that change by themselves: the Lease and events count apart, nodes report, and volumes are
/// bound when their controller comes to it.
const RESTLESS: [&str; 5] = ["Event", "Lease", "Node", "CSINode", "PersistentVolume"];

/// Resource version by `Kind namespace/name`.
pub(crate) type Versions = BTreeMap<String, String>;

/// Lists every kind of the cluster that can be listed.
pub(crate) async fn versions(client: &Client) -> Result<Versions> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut versions = Versions::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let kind = resource.kind.as_str();
            if RESTLESS.contains(&kind) || !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let list = Api::<DynamicObject>::all_with(client.clone(), &resource)
                .list_metadata(&ListParams::default())
                .await
                .with_context(|| format!("listing {}", resource.plural))?;
            versions.extend(list.items.iter().map(|object| {
                let namespace = object.namespace().unwrap_or_default();
                let name = format!(
                    "{kind}.{} {namespace}/{}",
                    resource.group,
                    object.name_any()
                );
                (name, object.resource_version().unwrap_or_default())
            }));
        }
    }
    Ok(versions)
}

/// What was changed, made or removed between two looks.
pub(crate) fn changed(before: &Versions, after: &Versions) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let other = after
        .iter()
        .filter(|(name, version)| before.get(*name) != Some(version))
        .map(|(name, _)| name);
    gone.chain(other).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_an_arrival_and_a_departure_are_seen() {
        let versions = |entries: &[(&str, &str)]| {
            entries
                .iter()
                .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
                .collect::<Versions>()
        };
        let before = versions(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after = versions(&[("a", "1"), ("b", "5"), ("d", "6")]);
        assert_eq!(changed(&before, &after), ["c", "b", "d"]);
        assert!(changed(&before, &before).is_empty());
    }
}
