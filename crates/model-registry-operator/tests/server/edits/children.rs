//! What the operator made of a registry, in a form that can be compared.

use cluster::Platform;
use kube::{ResourceExt as _, api::ListParams};
use operator_harness::edits::{Children, child};
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE, INGRESS, NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM, POD_DISRUPTION_BUDGET, ROLE, ROLE_BINDING, ROUTE, SECRET, SERVICE,
    SERVICE_ACCOUNT,
};

use crate::harness::World;

/// Everything that the operator made for a registry.
pub(super) async fn children(world: &World, name: &str) -> Children {
    let mut kinds = vec![
        CLUSTER_ROLE_BINDING,
        CONFIG_MAP,
        DEPLOYMENT,
        INGRESS,
        NETWORK_POLICY,
        PERSISTENT_VOLUME_CLAIM,
        POD_DISRUPTION_BUDGET,
        ROLE,
        ROLE_BINDING,
        SECRET,
        SERVICE,
        SERVICE_ACCOUNT,
    ];
    if world.cluster.platform() == Platform::OpenShift {
        kinds.extend([HTTP_ROUTE, ROUTE]);
    }
    let ours = ListParams::default().labels("app.kubernetes.io/created-by=model-registry-operator");
    let lists = kinds.into_iter().map(|kind| {
        let (api, ours) = (world.api(kind), ours.clone());
        async move { (kind, api.list(&ours).await.expect("a list")) }
    });
    let mut found = Children::new();
    for (kind, list) in futures::future::join_all(lists).await {
        for object in list {
            let app = object
                .labels()
                .get("app")
                .map(String::as_str)
                .unwrap_or_default();
            if app != name && app != format!("{name}-postgres") {
                continue;
            }
            found.extend([child(kind, &object, name)]);
        }
    }
    found
}
