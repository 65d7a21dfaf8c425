//! Where the server's certificate comes from, and how clients learn whom to trust.

use api::mlflow::v1::MLflow;
use jiff::Timestamp;
use kube::Resource;
use resources::Precondition;
use resources::certificates::{self, AUTHORITIES, CERTIFICATE, Serving};
use resources::content::{certificates_in, data, is_controlled_by, made_by_service_ca};
use resources::kind::SECRET;
use runtime::inputs::Inputs;

use super::super::error::Error;
use super::digest;
use crate::names::{Names, SERVICE_CA};
use crate::platform::Platform;

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Somebody made the Secret, or has to.
    Given {
        /// Its name.
        secret: String,
        /// Digest of the certificate in it.
        digest: Option<String>,
        /// The authority is in it, too.
        has_authority: bool,
    },
    /// OpenShift makes the Secret. The digest is there once it has.
    ServiceCa(Option<String>),
    /// cert-manager makes the Secret. The digest is there once it has.
    CertManager(Option<String>),
    /// The operator makes it.
    Own {
        /// What serves and what clients trust.
        serving: Serving,
        /// What must hold for the Secret to be written.
        precondition: Precondition,
    },
}

/// Where clients find the authority that signed the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Under this key of a ConfigMap.
    ConfigMap(String, &'static str),
    /// Under this key of a Secret.
    Secret(String, &'static str),
    /// Nobody says.
    Unknown,
}

impl Certificate {
    /// Digest of the certificate in use, once there is one.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        match self {
            Self::Given { digest, .. } | Self::ServiceCa(digest) | Self::CertManager(digest) => {
                digest.clone()
            }
            Self::Own { serving, .. } => serving.secret.get(CERTIFICATE).map(|c| digest(&c.0)),
        }
    }

    /// When it changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Own { serving, .. } => Some(serving.due),
            _ => None,
        }
    }

    /// Where clients find whom to trust.
    #[must_use]
    pub fn trust(&self, names: &Names) -> Trust {
        match self {
            Self::Own { .. } => Trust::ConfigMap(names.authorities.to_string(), AUTHORITIES),
            Self::ServiceCa(_) => Trust::ConfigMap(SERVICE_CA.0.to_owned(), SERVICE_CA.1),
            Self::CertManager(_) => Trust::Secret(names.tls.to_string(), AUTHORITIES),
            Self::Given {
                secret,
                has_authority: true,
                ..
            } => Trust::Secret(secret.clone(), AUTHORITIES),
            Self::Given { .. } => Trust::Unknown,
        }
    }
}

/// Where the certificate of `resource` comes from.
pub(super) async fn certificate<I: Inputs>(
    resource: &MLflow,
    names: &Names,
    namespace: &str,
    platform: Platform,
    inputs: &I,
) -> Result<Certificate, Error> {
    let tls = resource.spec.tls.clone().unwrap_or_default();
    let secret = tls.secret_name.as_deref().unwrap_or(names.tls.as_str());
    let live = inputs.get(SECRET, secret).await?;
    let existing = live.as_ref().map(|live| data(SECRET, live));
    let found = existing.as_ref().and_then(|data| data.get(CERTIFICATE));
    let found = found.map(|certificate| digest(&certificate.0));
    let given = || Certificate::Given {
        secret: secret.to_owned(),
        digest: found.clone(),
        has_authority: existing
            .as_ref()
            .is_some_and(|data| certificates_in(data, AUTHORITIES).is_some()),
    };
    if tls.secret_name.is_some() {
        return Ok(given());
    }
    if tls.cert_manager.is_some() {
        return Ok(Certificate::CertManager(found));
    }
    let uid = resource.meta().uid.as_deref();
    let is_ours = live
        .as_ref()
        .is_some_and(|live| is_controlled_by(live, uid));
    // What was made before the cluster had a console goes on.
    if !is_ours {
        let by_service_ca = live.as_ref().is_some_and(|live| made_by_service_ca(live));
        if by_service_ca || (platform.openshift && live.is_none()) {
            return Ok(Certificate::ServiceCa(found));
        }
        if live.is_some() {
            return Ok(given());
        }
    }
    let (serving, precondition) =
        certificates::renew(live.as_deref(), names.own.as_str(), namespace, inputs.now())
            .map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Certificate::Own {
        serving,
        precondition,
    })
}
