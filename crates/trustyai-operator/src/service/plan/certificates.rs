//! Serving certificates that the operator makes, and what clients trust.

use resources::certificates::authorities;
use resources::kind::{CONFIG_MAP, SECRET};
use resources::{Plan, PlanError, Planned};

use super::metadata::called;
use crate::service::observe::{Certificate, Trust};
use crate::service::validated::Validated;

pub(super) fn certificates(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let names = &service.names;
    for (name, certificate) in [
        (names.tls.as_str(), &service.proxy_certificate),
        (names.internal.as_str(), &service.certificate),
    ] {
        if let Certificate::Own {
            serving,
            precondition,
        } = certificate
        {
            let secret = serving.secret(called(service, name));
            plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        }
    }
    if let Some((bundle, is_known_elsewhere)) = bundle(service) {
        let map = authorities(called(service, names.authorities.as_str()), &bundle);
        let map = Planned::new(CONFIG_MAP, &map)?;
        plan.push(if is_known_elsewhere {
            map.use_foreign()
        } else {
            map
        });
    }
    Ok(())
}

/// The authorities of both certificates, and whether somebody else's ConfigMap serves as well.
fn bundle(service: &Validated) -> Option<(String, bool)> {
    let own: String = [&service.proxy_certificate, &service.certificate]
        .into_iter()
        .filter_map(Certificate::bundle)
        .collect();
    if !own.is_empty() {
        return Some((own, false));
    }
    match &service.trust {
        Trust::Known(found) => Some((found.clone(), true)),
        Trust::Unasked | Trust::Given | Trust::Missing => None,
    }
}
