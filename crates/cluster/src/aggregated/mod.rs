//! An API that is served by another server and registered by an `APIService`, as OpenShift serves
//! Route and Group, instead of by a `CustomResourceDefinition`. One namespaced kind, in memory, for
//! tests of what differs: discovery, watches, an API that comes and goes.
//!
//! Apply is a merge that also creates; field ownership is not tracked. The API server in front
//! authenticates, authorizes and records; this one trusts it.

mod answer;
mod store;
mod tls;
mod view;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use self::answer::{Shared, answer};
use self::store::Store;
use self::tls::{Tls, acceptor};
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
    stop: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Cluster {
    /// Serves an API from this process and registers it; returns when the cluster answers for it.
    pub async fn serve_aggregated(&self, api: AggregatedApi) -> Result<Aggregated, Error> {
        let name = format!("{}-{}", api.plural, api.group.replace('.', "-"));
        let authority = Authority::new("aggregated API")?;
        let identity = authority.server(&[format!("{name}.default.svc")])?;
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").map_err(Error::io("finding a free port"))?;
        let port = listener
            .local_addr()
            .map_err(Error::io("finding a free port"))?
            .port();
        listener
            .set_nonblocking(true)
            .map_err(Error::io("listening"))?;
        let tls = acceptor(&identity.certificate, &identity.key)
            .map_err(|error| Error::io("TLS of the aggregated API")(io::Error::other(error)))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("aggregated API".to_owned())
            .spawn(move || serve(api, listener, tls, stopped))
            .map_err(Error::io("starting a thread"))?;
        let aggregated = Aggregated {
            api,
            stop: Some((stop, thread)),
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

impl Drop for Aggregated {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn serve(
    api: AggregatedApi,
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    stopped: oneshot::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        let shared = Arc::new(Shared {
            api,
            store: Store::new(),
        });
        let router = Router::new().fallback(answer).with_state(shared);
        tokio::select! {
            _ = axum::serve(Tls { listener, acceptor }, router) => {}
            _ = stopped => {}
        }
    });
}
