//! The OAuth proxy of v0.2, for those who name its image.
//!
//! It lets in whom OpenShift knows and who may `get` the registry's Service, people with a browser
//! too.

use k8s_openapi::api::core::v1::{Container, ContainerPort, Secret, Volume};
use resources::kind::SECRET;
use resources::proxy::{health, usual_resources};
use resources::workload::{mount, restricted_container, secret_volume};
use resources::{Plan, PlanError, Planned};
use serde_json::json;

use super::metadata::called;
use crate::registry::names::COOKIE_SECRET;
use crate::registry::validated::{OAuth, Proxy, Validated};

/// Name of its container.
pub(crate) const CONTAINER: &str = "oauth-proxy";
const PORT: &str = "oauth2-proxy";

const CERTIFICATE: (&str, &str) = ("oauth-proxy-cert", "/etc/tls/private-cert");
const KEY: (&str, &str) = ("oauth-proxy-key", "/etc/tls/private-key");
const COOKIE: (&str, &str) = ("oauth-proxy-cookie", "/etc/oauth-proxy");

/// The Secret that its cookies are signed with.
pub(super) fn cookie(
    registry: &Validated,
    oauth: &OAuth,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    if let Some(cookie) = &oauth.cookie {
        let secret = Secret {
            metadata: called(registry, oauth.cookie_secret.as_str()),
            data: Some(cookie.data.clone()),
            ..Secret::default()
        };
        plan.push(Planned::new(SECRET, &secret)?.only_if(cookie.precondition.clone()));
    }
    Ok(())
}

/// The proxy's container.
pub(super) fn container(registry: &Validated, proxy: &Proxy) -> Container {
    let name = registry.name.as_str();
    let urls = json!({"/": {
        "group": "", "resource": "services", "verb": "get",
        "name": name, "namespace": registry.namespace.as_str(),
    }});
    Container {
        name: CONTAINER.into(),
        image: Some(proxy.image.to_string()),
        args: Some(vec![
            format!("--https-address=:{}", proxy.port),
            "--provider=openshift".into(),
            format!("--openshift-service-account={name}"),
            format!("--upstream=http://localhost:{}", registry.rest.port),
            format!("--tls-cert={}/{}", CERTIFICATE.1, proxy.certificate.key),
            format!("--tls-key={}/{}", KEY.1, proxy.key.key),
            format!("--cookie-secret-file={}/{COOKIE_SECRET}", COOKIE.1),
            format!("--cookie-name=_{name}_oauth_proxy"),
            format!("--openshift-delegate-urls={urls}"),
            "--skip-auth-regex=(^/metrics|^/oauth/healthz)".into(),
        ]),
        ports: Some(vec![ContainerPort {
            container_port: proxy.port.number(),
            name: Some(PORT.into()),
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(health("/oauth/healthz", PORT, 30)),
        readiness_probe: Some(health("/oauth/healthz", PORT, 5)),
        resources: Some(proxy.resources.clone().unwrap_or_else(usual_resources)),
        security_context: Some(restricted_container()),
        volume_mounts: Some(
            [CERTIFICATE, KEY, COOKIE]
                .map(|(volume, path)| mount(volume, path, false))
                .into(),
        ),
        ..Container::default()
    }
}

/// The volumes that the container mounts.
pub(super) fn volumes(proxy: &Proxy, oauth: &OAuth) -> Vec<Volume> {
    vec![
        secret_volume(CERTIFICATE.0, proxy.certificate.name.as_str()),
        secret_volume(KEY.0, proxy.key.name.as_str()),
        secret_volume(COOKIE.0, oauth.cookie_secret.as_str()),
    ]
}
