//! A stand-in for Istio and Authorino: their own definitions, a webhook that puts a container
//! `istio-proxy` into the pods that ask for it, and AuthConfigs that are ready at once. Nothing
//! routes and nobody is asked for a token.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::https::{Background, Door};
use crate::pki::Authority;
use crate::{Cluster, Error, Foreign, access};

/// Label of a pod that wants the container.
const INJECT: &str = "sidecar.istio.io/inject";
/// Field manager of what Authorino says.
const MANAGER: &str = "authorino";

/// A stand-in for Istio and Authorino, which plays as long as this lives. Its definitions and the
/// webhook's registration stay.
pub struct Mesh {
    _webhook: Background,
    _authorino: Background,
}

impl Cluster {
    /// Installs the definitions of Istio and Authorino and plays both.
    pub async fn play_mesh(&self) -> Result<Mesh, Error> {
        let client = self.client()?;
        let authority = Authority::new("mesh")?;
        let door = Door::open(&authority.server(&["localhost".to_owned()])?)?;
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "istio-sidecar-injector"},
            "webhooks": [{
                "name": "injection.example.test",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "objectSelector": {"matchLabels": {INJECT: "true"}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "clientConfig": {
                    "url": format!("https://localhost:{}/inject", door.port),
                    "caBundle": STANDARD.encode(authority.pem()),
                },
            }],
        });
        let router = Router::new().route("/inject", post(inject));
        let injector = Background::start("istio", move || door.serve(router))?;
        access::apply_yaml(&client, "default", &webhook.to_string()).await?;
        for foreign in [Foreign::Istio, Foreign::Authorino] {
            for crd in foreign.crds()? {
                access::apply_yaml(&client, "default", &crd).await?;
            }
        }
        // A connection belongs to the runtime that it was made in.
        let config = self.config();
        let authorino = Background::start("authorino", move || async move {
            if let Ok(client) = Client::try_from(config) {
                answer(client).await;
            }
        })?;
        Ok(Mesh {
            _webhook: injector,
            _authorino: authorino,
        })
    }
}

async fn inject(body: Bytes) -> impl IntoResponse {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let container = json!({"name": "istio-proxy", "image": "istio-proxy", "resources": {}});
    let patch = json!([{"op": "add", "path": "/spec/containers/-", "value": container}]);
    let answer = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": review.pointer("/request/uid"),
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": STANDARD.encode(patch.to_string()),
        },
    });
    ([(CONTENT_TYPE, "application/json")], answer.to_string())
}

/// Says of every AuthConfig that it is ready.
async fn answer(client: Client) {
    let resource = ApiResource {
        group: "authorino.kuadrant.io".into(),
        version: "v1beta3".into(),
        api_version: "authorino.kuadrant.io/v1beta3".into(),
        kind: "AuthConfig".into(),
        plural: "authconfigs".into(),
    };
    let all = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let mut seen = watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    loop {
        let config = match seen.try_next().await {
            Ok(Some(config)) => config,
            Ok(None) => return,
            Err(_) => continue,
        };
        if config.data.pointer("/status/conditions").is_some() {
            continue;
        }
        let namespace = config.namespace().unwrap_or_default();
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
        let conditions = [
            json!({"type": "Available", "status": "True", "reason": "HostsLinked"}),
            json!({"type": "Ready", "status": "True", "reason": "Reconciled"}),
        ];
        let status = json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {"name": config.name_any(), "namespace": namespace},
            "status": {"conditions": conditions, "summary": {
                "ready": true, "hostsReady": [], "numHostsReady": "1/1", "numIdentitySources": 1,
                "numMetadataSources": 0, "numAuthorizationPolicies": 1, "numResponseItems": 0,
                "festivalWristbandEnabled": false,
            }},
        });
        // One that went meanwhile needs no answer; any other failure shows as one that is not ready.
        let _ = api
            .patch_status(
                &config.name_any(),
                &PatchParams::apply(MANAGER).force(),
                &Patch::Apply(&status),
            )
            .await;
    }
}
