//! Network policies. They protect where the cluster enforces them.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use crate::meta::{Pairs, pairs};
use crate::workload::matching;

/// Pods of any namespace with these labels.
#[must_use]
pub fn namespaces(labels: Pairs) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(matching(labels)),
        ..NetworkPolicyPeer::default()
    }
}

/// Pods of the same namespace with these labels.
#[must_use]
pub fn pods(labels: Pairs) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(matching(labels)),
        ..NetworkPolicyPeer::default()
    }
}

/// Where calls through a Route of OpenShift come from: its router, and the platform's own namespaces.
#[must_use]
pub fn routers() -> Vec<NetworkPolicyPeer> {
    vec![
        namespaces(pairs([("network.openshift.io/policy-group", "ingress")])),
        namespaces(pairs([("opendatahub.io/generated-namespace", "true")])),
    ]
}

/// Lets only `from` reach the pods, and only TCP `port`. An empty list means everybody.
#[must_use]
pub fn ingress(
    metadata: ObjectMeta,
    selector: Pairs,
    port: i32,
    from: Vec<NetworkPolicyPeer>,
) -> NetworkPolicy {
    let rule = NetworkPolicyIngressRule {
        from: Some(from).filter(|peers| !peers.is_empty()),
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(port)),
            protocol: Some("TCP".into()),
            ..NetworkPolicyPort::default()
        }]),
    };
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(selector)),
            ingress: Some(vec![rule]),
            policy_types: Some(vec!["Ingress".into()]),
            ..NetworkPolicySpec::default()
        }),
    }
}
