//! The gateway.

use resources::Precondition;
use serde_json::{Value, json};

use crate::support::{Case, UID, find, mysql};

#[test]
fn registries_share_a_grant_and_leave_that_of_others_alone() {
    let gateway = [("GATEWAY_DOMAIN", "gw.example.test")];
    let grant = |owners: Value| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
               "metadata": {"name": "allow-gateway-httproutes", "namespace": "ns", "resourceVersion": "5",
                            "ownerReferences": owners}})
    };
    let other = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
                       "name": "other", "uid": "ffff"});
    let shared = Case::openshift(mysql())
        .environment(&gateway)
        .with(grant(json!([other])))
        .plan();
    let planned = shared
        .objects()
        .iter()
        .find(|o| o.kind.kind == "ReferenceGrant")
        .unwrap();
    assert_eq!(planned.precondition, Precondition::Version("5".into()));
    let owners = planned.body["metadata"]["ownerReferences"]
        .as_array()
        .unwrap();
    assert_eq!(
        owners
            .iter()
            .map(|owner| owner["uid"].as_str().unwrap())
            .collect::<Vec<_>>(),
        [UID, "ffff"]
    );
    assert!(owners.iter().all(|owner| owner.get("controller").is_none()));

    let given = Case::openshift(mysql())
        .environment(&gateway)
        .with(grant(json!([])))
        .plan();
    assert_eq!(
        find(&given, "ReferenceGrant", "allow-gateway-httproutes"),
        Value::Null
    );
    assert!(given.has(
        resources::kind::REFERENCE_GRANT,
        Some("ns"),
        "allow-gateway-httproutes"
    ));
}
