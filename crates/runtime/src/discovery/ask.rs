//! Asking what is served: all groups at the start, one group version after a change.

use std::collections::BTreeSet;

use http::{Request, header::ACCEPT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{
    Client, client::APIGroupDiscoveryList, core::discovery::v2::ACCEPT_AGGREGATED_DISCOVERY_V2,
};

use super::interest::{GroupVersion, Interest};
use crate::capabilities::Capabilities;

/// What is served now, and the group versions that could not be asked.
pub(super) async fn discover(
    client: &Client,
    interest: &Interest,
) -> (Capabilities, BTreeSet<GroupVersion>) {
    match all_groups(client).await {
        Ok(document) => read_document(&document, interest),
        Err(error) => {
            tracing::info!(%error, "no document of all groups; asking each group of interest");
            let mut found = Capabilities::default();
            let mut pending = BTreeSet::new();
            let asked = interest
                .versions
                .keys()
                .map(|version| async move { (version, ask(client, version).await) });
            for (version, answer) in futures::future::join_all(asked).await {
                match answer {
                    Ok(served) => {
                        let plurals = interest.relevant(version, served.into_iter());
                        found.set_version(&version.0, &version.1, plurals);
                    }
                    Err(error) => {
                        tell_unanswered(version, &error);
                        found.doubt(&version.0, &version.1);
                        pending.insert(version.clone());
                    }
                }
            }
            (found, pending)
        }
    }
}

/// The document of all groups. Kubernetes has it since 1.27 by default.
async fn all_groups(client: &Client) -> kube::Result<APIGroupDiscoveryList> {
    let request = Request::get("/apis")
        .header(ACCEPT, ACCEPT_AGGREGATED_DISCOVERY_V2)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// A version that the server could not refresh is `Stale`: its API did not answer.
pub(super) fn read_document(
    document: &APIGroupDiscoveryList,
    interest: &Interest,
) -> (Capabilities, BTreeSet<GroupVersion>) {
    let mut found = Capabilities::default();
    let mut pending = BTreeSet::new();
    for group in &document.items {
        let name = group
            .metadata
            .as_ref()
            .and_then(|meta| meta.name.clone())
            .unwrap_or_default();
        for version in &group.versions {
            let key = (name.clone(), version.version.clone().unwrap_or_default());
            if !interest.versions.contains_key(&key) {
                continue;
            }
            let served = version
                .resources
                .iter()
                .filter_map(|served| served.resource.clone());
            found.set_version(&key.0, &key.1, interest.relevant(&key, served));
            if version.freshness.as_deref() == Some("Stale") {
                found.doubt(&key.0, &key.1);
                pending.insert(key);
            }
        }
    }
    (found, pending)
}

/// The plurals that a group version serves, asked of the server that serves it. A version that
/// does not exist serves nothing.
pub(super) async fn ask(
    client: &Client,
    (group, version): &GroupVersion,
) -> kube::Result<Vec<String>> {
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    match client.request::<APIResourceList>(request).await {
        Ok(list) => Ok(list
            .resources
            .into_iter()
            .map(|served| served.name)
            .collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub(super) fn tell_unanswered((group, version): &GroupVersion, error: &kube::Error) {
    tracing::warn!(
        group, version, %error,
        "an API did not say what it serves; what was known of it stays"
    );
}
