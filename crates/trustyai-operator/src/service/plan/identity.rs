//! Who the pods are: the proxy asks the API server who calls.

use k8s_openapi::api::core::v1::ServiceAccount;
use resources::kind::{CLUSTER_ROLE_BINDING, SERVICE_ACCOUNT};
use resources::rbac::{account as account_of, delegator};
use resources::{Plan, PlanError, Planned};

use super::metadata::{clusterwide, identity as ours, labelled};
use crate::service::names::NAMESPACE_LABEL;
use crate::service::validated::Validated;

pub(super) fn identity(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let account = service.names.account.as_str();
    let labels = [("app", "trustyai"), ("app.kubernetes.io/name", account)];
    let object = ServiceAccount {
        metadata: labelled(service, account, labels),
        ..ServiceAccount::default()
    };
    plan.push(Planned::new(SERVICE_ACCOUNT, &object)?);
    let metadata = clusterwide(service, service.names.binding.as_str());
    let subject = account_of(service.namespace.as_str(), account);
    let mut binding = delegator(metadata, subject);
    binding.role_ref.name.clone_from(&service.proxy_role);
    // Two services may be called so that their bindings have one name.
    let mut identity = ours(service);
    identity.push((NAMESPACE_LABEL, service.namespace.as_str()));
    plan.push(Planned::new(CLUSTER_ROLE_BINDING, &binding)?.identified_by(identity));
    Ok(())
}
