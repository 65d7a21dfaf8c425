//! What an absent field means. Nothing here is stored: the spec stays as the user wrote it.

mod istio;

use std::collections::BTreeMap;

use api::common::SecretKeyValue;
use api::modelregistry::conversion::proxy_of_istio;
use api::modelregistry::v1beta1::{
    Authentication, Grpc, KubeRbacProxy, ModelRegistrySpec, OAuthProxy, Postgres,
};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::config::Config;
use super::names;
use super::observe::{Certificate, Observation, Platform};
use super::references::filled;

/// The spec with old fields in their new place and what nobody wrote left out.
///
/// `oauthProxy` becomes `kubeRBACProxy`; where it names an image of an OAuth proxy it is still there
/// beside it. `istio` stays where neither is given and the cluster has a mesh, and else becomes
/// `kubeRBACProxy` too. On OpenShift the proxy is the default. A Postgres without any address and a MySQL without a host are what
/// clients send when they mean the other.
#[must_use]
pub fn migrated(spec: &ModelRegistrySpec, platform: Platform) -> ModelRegistrySpec {
    let mut spec = spec.clone();
    spec.postgres = spec.postgres.filter(|postgres| {
        postgres.is_generated()
            || filled(postgres.host.as_ref())
                .or(filled(postgres.host_address.as_ref()))
                .is_some()
    });
    spec.mysql = spec.mysql.filter(|mysql| !mysql.host.is_empty());
    let istio = spec.istio.take();
    let old = spec.oauth_proxy.take();
    match (&spec.kube_rbac_proxy, old, istio) {
        (Some(_), _, _) | (None, None, None) => {}
        (None, Some(old), _) => {
            spec.oauth_proxy = Some(old.clone()).filter(is_oauth_proxy);
            spec.kube_rbac_proxy = Some(from_oauth(old));
        }
        (None, None, Some(istio)) if platform.mesh => spec.istio = Some(istio),
        (None, None, Some(istio)) => {
            spec.kube_rbac_proxy = Some(from_oauth(proxy_of_istio(&istio)));
        }
    }
    if spec.kube_rbac_proxy.is_none() && spec.istio.is_none() {
        let asked = match spec.authentication {
            Some(Authentication::None) => false,
            Some(Authentication::KubeRBACProxy) => true,
            None => platform.openshift,
        };
        spec.kube_rbac_proxy = asked.then(KubeRbacProxy::default);
    }
    spec
}

/// Whether the image is one of an OAuth proxy, by its name: `origin-oauth-proxy`,
/// `ose-oauth-proxy-rhel9`. Any other one is left over from a time when nobody looked at it.
#[must_use]
pub fn is_oauth_proxy(proxy: &OAuthProxy) -> bool {
    let image = filled(proxy.image.as_ref()).map_or("", String::as_str);
    let repository = image.split('@').next().unwrap_or_default();
    let last = repository.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    name.contains("oauth-proxy") || name.contains("oauth2-proxy")
}

/// The spec as it is told to users: an OAuth proxy under its own name.
#[must_use]
pub fn told(mut spec: ModelRegistrySpec) -> ModelRegistrySpec {
    if let Some(old) = &mut spec.oauth_proxy
        && let Some(proxy) = spec.kube_rbac_proxy.take()
    {
        *old = OAuthProxy {
            port: proxy.port,
            tls_certificate_secret: proxy.tls_certificate_secret,
            tls_key_secret: proxy.tls_key_secret,
            service_route: proxy.service_route,
            domain: proxy.domain,
            route_port: proxy.route_port,
            image: proxy.image,
        };
    }
    spec
}

/// The image is left behind where it is that of another program.
fn from_oauth(old: OAuthProxy) -> KubeRbacProxy {
    KubeRbacProxy {
        image: old.image.clone().filter(|_| is_oauth_proxy(&old)),
        port: old.port,
        tls_certificate_secret: old.tls_certificate_secret,
        tls_key_secret: old.tls_key_secret,
        service_route: old.service_route,
        domain: old.domain,
        route_port: old.route_port,
        ..KubeRbacProxy::default()
    }
}

/// The spec with everything filled in that the operator decides.
#[must_use]
pub fn effective(
    spec: &ModelRegistrySpec,
    name: &str,
    observation: &Observation,
    config: &Config,
) -> ModelRegistrySpec {
    let mut spec = migrated(spec, observation.platform);
    spec.rest.image = Some(image(spec.rest.image.as_ref(), &config.registry_image));
    spec.rest.resources.get_or_insert_with(server_resources);
    if let Some(postgres) = &mut spec.postgres {
        postgres.image = Some(image(postgres.image.as_ref(), &config.postgres_image));
        if postgres.is_generated() {
            *postgres = generated(name, postgres);
        }
    }
    if let Some(proxy) = &mut spec.kube_rbac_proxy {
        proxy.image = Some(image(proxy.image.as_ref(), &config.proxy_image));
        if proxy.tls_certificate_secret.is_none() && proxy.tls_key_secret.is_none() {
            let end = match observation.certificate {
                _ if spec.oauth_proxy.is_some() => names::OLD_PROXY,
                Certificate::OldProxy => names::OLD_PROXY,
                Certificate::CertManager => names::CERT_MANAGER,
                _ => names::PROXY,
            };
            let key = |key: &str| SecretKeyValue {
                name: format!("{name}{end}"),
                key: key.to_owned(),
            };
            proxy.tls_certificate_secret = Some(key("tls.crt"));
            proxy.tls_key_secret = Some(key("tls.key"));
        }
        if filled(proxy.domain.as_ref()).is_none() {
            proxy.domain.clone_from(&observation.domain);
        }
    }
    if let Some(istio) = &mut spec.istio {
        istio::fill(istio, observation.domain.as_ref(), &config.mesh);
    }
    if let Some(grpc) = spec.grpc.as_mut().filter(|grpc| runs_metadata_store(grpc)) {
        grpc.resources.get_or_insert_with(server_resources);
    }
    spec
}

/// Whether the registry has a gRPC server: whoever names its image wants it.
#[must_use]
pub fn runs_metadata_store(grpc: &Grpc) -> bool {
    filled(grpc.image.as_ref()).is_some()
}

/// How the registry reaches the Postgres that the operator runs for it.
fn generated(name: &str, asked: &Postgres) -> Postgres {
    Postgres {
        host: Some(format!("{name}{}", names::POSTGRES)),
        username: Some(names::GENERATED_USER.to_owned()),
        database: Some(names::GENERATED_DATABASE.to_owned()),
        password_secret: Some(SecretKeyValue {
            name: format!("{name}{}", names::POSTGRES_CREDENTIALS),
            key: names::PASSWORD.to_owned(),
        }),
        image: asked.image.clone(),
        storage: asked.storage.clone(),
        deletion_policy: asked.deletion_policy,
        generate_deployment: asked.generate_deployment,
        ..Postgres::default()
    }
}

fn image(asked: Option<&String>, default: &str) -> String {
    filled(asked).map_or_else(|| default.to_owned(), Clone::clone)
}

fn server_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned())));
        Some(pairs.collect::<BTreeMap<_, _>>())
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "100m"), ("memory", "256Mi")]),
        limits: quantities(&[("memory", "256Mi")]),
        ..ResourceRequirements::default()
    }
}
