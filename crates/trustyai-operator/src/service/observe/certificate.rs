//! Where serving certificates come from, and how clients learn whom to trust.

use api::trustyai::v1::TrustyAIService;
use jiff::Timestamp;
use kube::ResourceExt;
use resources::Precondition;
use resources::certificates::{self, CERTIFICATE, Serving};
use resources::content::{certificates_in, data, is_controlled_by};
use resources::kind::{CONFIG_MAP, SECRET};
use runtime::inputs::{InputError, Inputs};

use super::super::error::Error;
use super::super::names::{INTERNAL, TLS};
use super::{Platform, digest, uid};

/// ConfigMap with the authority of OpenShift's service CA, in every namespace, and its key.
pub const SERVICE_CA: (&str, &str) = ("openshift-service-ca.crt", "service-ca.crt");

/// Where a serving certificate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Somebody made the Secret. This is the digest of the certificate in it.
    Given(Option<String>),
    /// OpenShift makes the Secret. The digest is there once it has.
    ServiceCa(Option<String>),
    /// The operator makes it.
    Own {
        /// What serves and what clients trust.
        serving: Serving,
        /// What must hold for the Secret to be written.
        precondition: Precondition,
    },
}

impl Certificate {
    /// Digest of the certificate in use, once there is one.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        match self {
            Self::Given(digest) | Self::ServiceCa(digest) => digest.clone(),
            Self::Own { serving, .. } => serving.secret.get(CERTIFICATE).map(|c| digest(&c.0)),
        }
    }

    /// When it changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Own { serving, .. } => Some(serving.due),
            Self::Given(_) | Self::ServiceCa(_) => None,
        }
    }

    /// Authorities that clients must trust, where the operator makes the certificate.
    #[must_use]
    pub fn bundle(&self) -> Option<&str> {
        match self {
            Self::Own { serving, .. } => Some(&serving.bundle),
            Self::Given(_) | Self::ServiceCa(_) => None,
        }
    }
}

/// How clients learn which authority to trust, where the operator does not make the certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// They know, or the operator tells them in `NAME-ca`.
    #[default]
    Unasked,
    /// From ConfigMap `NAME-ca`, which the operator makes of these certificates, PEM.
    Known(String),
    /// From ConfigMap `NAME-ca`, which somebody made.
    Given,
    /// Nobody knows, and a gateway asks.
    Missing,
}

/// Where the certificate in Secret `NAME` + `end` comes from.
pub(super) async fn certificate<I: Inputs>(
    resource: &TrustyAIService,
    end: &str,
    platform: Platform,
    inputs: &I,
) -> Result<Certificate, Error> {
    let (name, namespace) = (
        resource.name_any(),
        resource.namespace().unwrap_or_default(),
    );
    let live = inputs.get(SECRET, &format!("{name}{end}")).await?;
    let is_ours = live
        .as_ref()
        .is_some_and(|secret| is_controlled_by(secret, uid(resource)));
    // What was made before the cluster had Routes goes on: whether it has a service CA too, nobody
    // can tell.
    if !is_ours && (platform.openshift || live.is_some()) {
        let found = live.map(|secret| data(SECRET, &secret));
        let certificate = found.as_ref().and_then(|data| data.get(CERTIFICATE));
        let digest = certificate.map(|certificate| digest(&certificate.0));
        return Ok(if platform.openshift {
            Certificate::ServiceCa(digest)
        } else {
            Certificate::Given(digest)
        });
    }
    // The Service of the certificate `-internal` is called like the resource.
    let service = name + if end == INTERNAL { "" } else { end };
    let (serving, precondition) =
        certificates::renew(live.as_deref(), &service, &namespace, inputs.now())
            .map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Certificate::Own {
        serving,
        precondition,
    })
}

/// How gateways learn which authority has signed `certificate`, that of the proxy.
pub(super) async fn trust<I: Inputs>(
    resource: &TrustyAIService,
    own: &str,
    certificate: &Certificate,
    inputs: &I,
) -> Result<Trust, InputError> {
    let expose = resource.spec.expose.as_ref();
    let by_gateway = expose.is_some_and(|expose| !expose.gateways.is_empty());
    if certificate.bundle().is_some() || !by_gateway {
        return Ok(Trust::Unasked);
    }
    let name = resource.name_any();
    let of = |kind, map: &_, key| certificates_in(&data(kind, map), key);
    if let Some(map) = inputs.get(CONFIG_MAP, &format!("{name}{own}")).await?
        && !is_controlled_by(&map, uid(resource))
    {
        let found = of(CONFIG_MAP, &map, certificates::AUTHORITIES);
        return Ok(found.map_or(Trust::Missing, |_| Trust::Given));
    }
    let (kind, holder, key) = match certificate {
        Certificate::ServiceCa(_) => (CONFIG_MAP, SERVICE_CA.0.to_owned(), SERVICE_CA.1),
        Certificate::Given(_) | Certificate::Own { .. } => {
            (SECRET, format!("{name}{TLS}"), certificates::AUTHORITIES)
        }
    };
    let holder = inputs.get(kind, &holder).await?;
    let found = holder.and_then(|holder| of(kind, &holder, key));
    Ok(found.map_or(Trust::Missing, Trust::Known))
}
