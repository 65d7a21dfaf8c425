//! An API that is served by another server and registered by an `APIService`, as OpenShift serves
//! Route and Group, instead of by a `CustomResourceDefinition`. One namespaced kind, in memory, for
//! tests of what differs: discovery, watches, an API that comes and goes.
//!
//! Apply is a merge that also creates; field ownership is not tracked. The API server in front
//! authenticates, authorizes and records; this one trusts it.

mod answer;
mod store;
mod view;

use std::sync::Arc;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use self::answer::{Shared, answer};
use self::store::Store;
use crate::https::{Background, Door};
use crate::pki::Authority;
use crate::{Cluster, Error, access};

/// Which API is served.
#[derive(Debug, Clone, Copy)]
pub struct AggregatedApi {
    /// Its group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The kind in it.
    pub kind: &'static str,
    /// The kind's resource name.
    pub plural: &'static str,
}

impl AggregatedApi {
    /// Routes, as OpenShift has them.
    pub const ROUTE: Self = Self {
        group: "route.openshift.io",
        version: "v1",
        kind: "Route",
        plural: "routes",
    };

    fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }
}

/// A served API. It stops answering when this is dropped, and stays registered: from then on the
/// cluster has an API that is unavailable.
pub struct Aggregated {
    api: AggregatedApi,
    _server: Background,
}

impl Cluster {
    /// Serves an API from this process and registers it; returns when the cluster answers for it.
    pub async fn serve_aggregated(&self, api: AggregatedApi) -> Result<Aggregated, Error> {
        let name = format!("{}-{}", api.plural, api.group.replace('.', "-"));
        let authority = Authority::new("aggregated API")?;
        let identity = authority.server(&[format!("{name}.default.svc")])?;
        let shared = Arc::new(Shared {
            api,
            store: Store::new(),
        });
        let router = Router::new().fallback(answer).with_state(shared);
        let door = Door::open(&identity)?;
        let port = door.port;
        let aggregated = Aggregated {
            api,
            _server: Background::start("aggregated API", move || door.serve(router))?,
        };
        let objects = json!([
            {
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": aggregated.name()},
                "spec": {
                    "group": api.group, "version": api.version,
                    "groupPriorityMinimum": 1000, "versionPriority": 15,
                    "service": {"name": name, "namespace": "default", "port": port},
                    "caBundle": STANDARD.encode(authority.pem()),
                },
            },
        ]);
        for object in objects.as_array().into_iter().flatten() {
            let object = serde_json::from_value(object.clone())
                .map_err(|error| Error::Yaml(error.to_string()))?;
            access::apply(&self.client()?, "default", &object).await?;
        }
        let resource = format!("apiservice/{}", aggregated.name());
        self.kubectl(&[
            "wait",
            "--for=condition=Available",
            "--timeout=30s",
            &resource,
        ])
        .await?;
        Ok(aggregated)
    }
}

impl Aggregated {
    /// The name of its `APIService`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.api.version, self.api.group)
    }

    /// Takes the API away: the cluster does not know it any more.
    pub async fn withdraw(self, cluster: &Cluster) -> Result<(), Error> {
        cluster
            .kubectl(&["delete", "apiservice", &self.name()])
            .await
            .map(drop)
    }
}
