//! Serving certificates and their CA, as OpenShift's service CA operator gives them: a Service that
//! is annotated gets a Secret, an annotated ConfigMap gets the CA, every namespace has it as
//! `openshift-service-ca.crt`.

use std::collections::HashMap;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;

use crate::Error;
use crate::pki::Authority;

/// On a Service: the Secret that its certificate goes to.
const SECRET_NAME: &str = "service.beta.openshift.io/serving-cert-secret-name";
/// On a Service: who signed.
const SIGNED_BY: &str = "service.beta.openshift.io/serving-cert-signed-by";
/// On a ConfigMap: `"true"` asks for the CA.
const INJECT: &str = "service.beta.openshift.io/inject-cabundle";
/// The key of the CA in a ConfigMap.
const BUNDLE: &str = "service-ca.crt";
/// The field manager of all of this.
const MANAGER: &str = "service-ca";

/// Keeps a Secret with a certificate for every Service that asks for one.
pub(super) async fn certificates(client: Client, authority: &Authority) {
    enum Change {
        Asked(Box<Service>),
        Lost(String, String),
    }
    let services = watcher(
        Api::<Service>::all(client.clone()),
        watcher::Config::default(),
    )
    .default_backoff()
    .applied_objects()
    .filter_map(|event| {
        std::future::ready(event.ok().map(|service| Change::Asked(Box::new(service))))
    });
    let secrets = watcher(
        Api::<PartialObjectMeta<Secret>>::all(client.clone()),
        watcher::Config::default(),
    )
    .default_backoff()
    .filter_map(|event| {
        std::future::ready(match event {
            Ok(watcher::Event::Delete(secret)) => Some(Change::Lost(
                secret.namespace().unwrap_or_default(),
                secret.name_any(),
            )),
            _ => None,
        })
    });
    let mut changes = futures::stream::select(services.boxed(), secrets.boxed());
    let mut asked: HashMap<(String, String), Box<Service>> = HashMap::new();
    while let Some(change) = changes.next().await {
        let service = match change {
            Change::Asked(service) => {
                let Some(secret) = service.annotations().get(SECRET_NAME) else {
                    continue;
                };
                let key = (service.namespace().unwrap_or_default(), secret.clone());
                asked.insert(key, service.clone());
                service
            }
            Change::Lost(namespace, name) => match asked.get(&(namespace, name)) {
                Some(service) => service.clone(),
                None => continue,
            },
        };
        if let Err(error) = certify(&client, authority, &service).await {
            tracing::debug!(%error, service = service.name_any(), "no serving certificate was made");
        }
    }
}

async fn certify(client: &Client, authority: &Authority, service: &Service) -> Result<(), Error> {
    let Some(secret_name) = service.annotations().get(SECRET_NAME) else {
        return Ok(());
    };
    let (name, namespace) = (service.name_any(), service.namespace().unwrap_or_default());
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let services = Api::<Service>::namespaced(client.clone(), &namespace);
    let what = || Error::api(format!("serving certificate of {namespace}/{name}"));
    // A Service that is going, or gone, must not get its Secret back.
    let current = services.get_opt(&name).await.map_err(what())?;
    let current = current.filter(|current| current.metadata.deletion_timestamp.is_none());
    if current.is_none()
        || secrets
            .get_metadata_opt(secret_name)
            .await
            .map_err(what())?
            .is_some()
    {
        return Ok(());
    }
    let host = format!("{name}.{namespace}.svc");
    let identity = authority.server(&[host.clone(), format!("{host}.cluster.local")])?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": secret_name,
            "annotations": {
                "service.beta.openshift.io/originating-service-name": name,
                "service.beta.openshift.io/originating-service-uid": service.uid(),
            },
            "ownerReferences": service.owner_ref(&()).into_iter().collect::<Vec<_>>(),
        },
        "stringData": {"tls.crt": identity.certificate, "tls.key": identity.key},
    });
    let params = PatchParams::apply(MANAGER).force();
    secrets
        .patch(secret_name, &params, &Patch::Apply(secret))
        .await
        .map_err(what())?;
    let signed = json!({"metadata": {"uid": service.uid(), "annotations": {SIGNED_BY: "openshift-service-serving-signer"}}});
    services
        .patch(&name, &PatchParams::default(), &Patch::Merge(signed))
        .await
        .map_err(what())?;
    Ok(())
}

/// Fills every ConfigMap that asks for the CA.
pub(super) async fn bundles(client: Client, authority: &Authority) {
    let all = Api::<ConfigMap>::all(client.clone());
    let mut configs = watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let ca = authority.pem();
    while let Some(event) = configs.next().await {
        let Ok(config) = event else { continue };
        let has = config.data.as_ref().and_then(|data| data.get(BUNDLE));
        if config.annotations().get(INJECT).map(String::as_str) == Some("true") && has != Some(&ca)
        {
            let namespace = config.namespace().unwrap_or_default();
            let body = json!({"metadata": {"uid": config.uid()}, "data": {BUNDLE: ca}});
            let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
            let patched = api
                .patch(
                    &config.name_any(),
                    &PatchParams::default(),
                    &Patch::Merge(body),
                )
                .await;
            if let Err(error) = patched {
                tracing::debug!(%error, config = config.name_any(), "the CA was not written");
            }
        }
    }
}

/// Gives every namespace the CA.
pub(super) async fn namespaces(client: Client, authority: &Authority) {
    let all = Api::<Namespace>::all(client.clone());
    let mut namespaces = watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    while let Some(event) = namespaces.next().await {
        let Ok(namespace) = event else { continue };
        if namespace.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let name = "openshift-service-ca.crt";
        let config = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "annotations": {INJECT: "true"}},
            "data": {BUNDLE: authority.pem()},
        });
        let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace.name_any());
        let params = PatchParams::apply(MANAGER).force();
        if let Err(error) = api.patch(name, &params, &Patch::Apply(config)).await {
            tracing::debug!(%error, namespace = namespace.name_any(), "the CA was not written");
        }
    }
}
