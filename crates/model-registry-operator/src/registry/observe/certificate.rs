//! Where the certificate of the proxy comes from, and how clients learn whom to trust.

use api::modelregistry::v1beta1::{KubeRbacProxy, ModelRegistry, ModelRegistrySpec};
use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};
use resources::certificates::{self, AUTHORITIES, Serving};
use resources::content::{certificates_in, data, is_controlled_by, made_by_service_ca};
use resources::kind::{CONFIG_MAP, SECRET};
use resources::{Kind, Precondition};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use super::super::error::Error;
use super::super::names;
use super::super::status::{OAUTH_AVAILABLE, PROXY_AVAILABLE};
use super::Platform;

/// Where the proxy's certificate comes from, when the resource names none.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Nobody needs one, or the resource names it.
    Named,
    /// Somebody made Secret `NAME-kube-rbac-proxy`.
    Given,
    /// Secret `NAME-oauth-proxy`, of the time of the OAuth proxy.
    OldProxy,
    /// OpenShift makes the Secret: `NAME-kube-rbac-proxy`, for an OAuth proxy `NAME-oauth-proxy`.
    ServiceCa,
    /// cert-manager makes Secret `NAME-kube-rbac-proxy-cert`.
    CertManager,
    /// The operator makes it: `NAME-kube-rbac-proxy`, for an OAuth proxy `NAME-oauth-proxy`.
    Own {
        /// What serves and what clients trust.
        serving: Serving,
        /// What must hold for the Secret to be written.
        precondition: Precondition,
    },
}

/// How long somebody else may still take to make the certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Awaited {
    /// Nobody waits for it.
    #[default]
    No,
    /// It is not there, and is missed from this time on.
    Until(Timestamp),
    /// It should be there by now.
    Overdue,
}

/// How clients learn which authority to trust, where the operator does not make the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody asks.
    #[default]
    Unasked,
    /// From ConfigMap `NAME-ca`, which the operator makes of these certificates, PEM.
    Known(String),
    /// From ConfigMap `NAME-ca`, which somebody made.
    Given,
    /// Nobody knows, and a gateway asks.
    Missing,
}

/// How long OpenShift's service CA may take before the status says that there seems to be none. It
/// takes a second.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// ConfigMap with the authority of OpenShift's service CA, in every namespace, and its key.
const SERVICE_CA: (&str, &str) = ("openshift-service-ca.crt", "service-ca.crt");

/// Where the certificate of `proxy` comes from, and how long it may still take.
pub(super) async fn certificate<I: Inputs>(
    resource: &ModelRegistry,
    proxy: Option<&KubeRbacProxy>,
    platform: Platform,
    is_oauth: bool,
    inputs: &I,
) -> Result<(Certificate, Awaited), Error> {
    let unnamed = |proxy: &&KubeRbacProxy| {
        proxy.tls_certificate_secret.is_none() && proxy.tls_key_secret.is_none()
    };
    let Some(proxy) = proxy.filter(unnamed) else {
        return Ok((Certificate::Named, Awaited::No));
    };
    if proxy.cert_manager.is_some() {
        return Ok((Certificate::CertManager, Awaited::No));
    }
    let (name, uid) = (resource.name_any(), resource.meta().uid.as_deref());
    let end = if is_oauth {
        names::OLD_PROXY
    } else {
        names::PROXY
    };
    let live = inputs.get(SECRET, &format!("{name}{end}")).await?;
    // Made by neither the platform nor the operator.
    let is_given = |secret: &Value| !made_by_service_ca(secret) && !is_controlled_by(secret, uid);
    if is_oauth && live.as_ref().is_some_and(|secret| is_given(secret)) {
        return Ok((Certificate::OldProxy, Awaited::No));
    }
    if live.is_none() {
        let old = inputs
            .get(SECRET, &format!("{name}{}", names::OLD_PROXY))
            .await?;
        if old.is_some_and(|secret| is_given(&secret)) {
            return Ok((Certificate::OldProxy, Awaited::No));
        }
    }
    let is_ours = live
        .as_ref()
        .is_some_and(|secret| is_controlled_by(secret, uid));
    // What was made before the cluster had Routes goes on: whether it has a service CA too, nobody
    // can tell.
    if platform.openshift && !is_ours {
        let awaited = match live {
            Some(_) => Awaited::No,
            None => awaited(resource, inputs.now()),
        };
        return Ok((Certificate::ServiceCa, awaited));
    }
    if live.is_some() && !is_ours {
        return Ok((Certificate::Given, Awaited::No));
    }
    let namespace = resource.namespace().unwrap_or_default();
    let (serving, precondition) =
        certificates::renew(live.as_deref(), &name, &namespace, inputs.now())
            .map_err(|error| Error::Certificate(error.to_string()))?;
    let own = Certificate::Own {
        serving,
        precondition,
    };
    Ok((own, Awaited::No))
}

/// Conditions that tell of a proxy.
const PROXIES: [&str; 2] = [PROXY_AVAILABLE.as_str(), OAUTH_AVAILABLE.as_str()];

/// Counted from when the status first told that the proxy cannot be reached.
fn awaited(resource: &ModelRegistry, now: Timestamp) -> Awaited {
    let told = resource
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|told| PROXIES.contains(&told.type_.as_str()) && told.status == "False");
    let since = told.map_or(now, |told| told.last_transition_time.0);
    match since.saturating_add(PATIENCE) {
        Ok(due) if now < due => Awaited::Until(due),
        _ => Awaited::Overdue,
    }
}

/// How clients learn which authority has signed `certificate`. `spec` has no defaults.
pub(super) async fn trust<I: Inputs>(
    resource: &ModelRegistry,
    spec: &ModelRegistrySpec,
    certificate: &Certificate,
    inputs: &I,
) -> Result<Trust, InputError> {
    let Some(proxy) = &spec.kube_rbac_proxy else {
        return Ok(Trust::Unasked);
    };
    let by_gateway = spec
        .expose
        .as_ref()
        .is_some_and(|expose| !expose.gateways.is_empty());
    let is_published = *certificate == Certificate::CertManager;
    if matches!(certificate, Certificate::Own { .. }) || !(by_gateway || is_published) {
        return Ok(Trust::Unasked);
    }
    let name = resource.name_any();
    let own = format!("{name}{}", names::AUTHORITIES);
    if let Some(map) = inputs.get(CONFIG_MAP, &own).await?
        && !is_controlled_by(&map, resource.meta().uid.as_deref())
    {
        let found = certificates_in(&data(CONFIG_MAP, &map), AUTHORITIES);
        return Ok(found.map_or(Trust::Missing, |_| Trust::Given));
    }
    let secret = |end: &str| (SECRET, format!("{name}{end}"), AUTHORITIES);
    let (kind, holder, key): (Kind, _, _) = match certificate {
        Certificate::ServiceCa => (CONFIG_MAP, SERVICE_CA.0.to_owned(), SERVICE_CA.1),
        Certificate::CertManager => secret(names::CERT_MANAGER),
        Certificate::OldProxy => secret(names::OLD_PROXY),
        Certificate::Given | Certificate::Own { .. } => secret(names::PROXY),
        Certificate::Named => {
            let named = proxy.tls_certificate_secret.as_ref();
            let named = named.map(|key| key.name.clone()).unwrap_or_default();
            (SECRET, named, AUTHORITIES)
        }
    };
    let holder = inputs.get(kind, &holder).await?;
    let found = holder.and_then(|holder| certificates_in(&data(kind, &holder), key));
    Ok(match found {
        Some(found) => Trust::Known(found),
        None if by_gateway => Trust::Missing,
        None => Trust::Unasked,
    })
}
