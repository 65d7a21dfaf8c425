//! Where the certificate of the proxy comes from.

use std::collections::BTreeSet;

use api::modelregistry::v1beta1::ModelRegistry;
use kube::{Resource, ResourceExt};
use resources::Precondition;
use resources::certificates::{self, Fresh, Serving};
use resources::kind::SECRET;
use runtime::inputs::Inputs;
use serde_json::Value;

use super::super::error::Error;
use super::super::names;
use super::{Platform, data, precondition};

/// Where the proxy's certificate comes from, when the resource names none.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Nobody needs one, or the resource names it.
    Named,
    /// Somebody made Secret `NAME-kube-rbac-proxy`.
    Given,
    /// Secret `NAME-oauth-proxy`, of the time of the OAuth proxy.
    OldProxy,
    /// OpenShift makes Secret `NAME-kube-rbac-proxy`.
    ServiceCa,
    /// The operator makes Secret `NAME-kube-rbac-proxy`.
    Own {
        /// What serves and what clients trust.
        serving: Serving,
        /// What must hold for the Secret to be written.
        precondition: Precondition,
    },
}

/// Where the certificate comes from, when the resource names none.
pub(super) async fn certificate<I: Inputs>(
    resource: &ModelRegistry,
    platform: Platform,
    inputs: &I,
) -> Result<Certificate, Error> {
    let name = resource.name_any();
    let live = inputs
        .get(SECRET, &format!("{name}{}", names::PROXY))
        .await?;
    if live.is_none() {
        let old = inputs
            .get(SECRET, &format!("{name}{}", names::OLD_PROXY))
            .await?;
        if old.is_some_and(|secret| !made_by_service_ca(&secret)) {
            return Ok(Certificate::OldProxy);
        }
    }
    if platform.openshift {
        return Ok(Certificate::ServiceCa);
    }
    if live
        .as_ref()
        .is_some_and(|secret| !owned_by(resource, secret))
    {
        return Ok(Certificate::Given);
    }
    let existing = live.as_ref().map(|secret| data(SECRET, secret));
    let namespace = resource.namespace().unwrap_or_default();
    let hosts = BTreeSet::from([
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]);
    let serving = certificates::advance(existing.as_ref(), &hosts, inputs.now(), &Fresh)
        .map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Certificate::Own {
        serving,
        precondition: precondition(live.as_deref()),
    })
}

/// OpenShift's service CA renews its Secrets as long as the Service asks for them.
fn made_by_service_ca(secret: &Value) -> bool {
    [
        "/metadata/annotations/service.beta.openshift.io~1originating-service-name",
        "/metadata/annotations/service.alpha.openshift.io~1originating-service-name",
    ]
    .iter()
    .any(|pointer| secret.pointer(pointer).is_some())
}

fn owned_by(resource: &ModelRegistry, object: &Value) -> bool {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        owner.get("uid").and_then(Value::as_str) == resource.meta().uid.as_deref()
            && owner.get("controller").and_then(Value::as_bool) == Some(true)
    })
}
