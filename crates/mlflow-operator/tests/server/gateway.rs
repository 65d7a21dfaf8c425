//! The way in through the platform's gateway, whose controller the test plays.

use cluster::Platform;
use kube::api::{DynamicObject, Patch, PatchParams};
use resources::kind::HTTP_ROUTE;
use serde_json::{Value, json};

use crate::harness::{World, world};

/// The gateway of the installation.
const GATEWAY: (&str, &str) = ("openshift-ingress", "data-science-gateway");

/// What the controller of one Gateway says of the route.
fn answer((namespace, name): (&str, &str), conditions: &[(&str, &str)]) -> Value {
    let conditions = conditions.iter().map(|(type_, status)| {
        json!({"type": type_, "status": status, "reason": "R", "message": format!("{type_} it is {status}"),
            "lastTransitionTime": "2026-01-02T03:04:05Z"})
    });
    json!({"controllerName": "example.test/gateway",
        "parentRef": {"group": HTTP_ROUTE.group, "kind": "Gateway", "namespace": namespace, "name": name},
        "conditions": conditions.collect::<Vec<_>>()})
}

async fn say(world: &World, parents: &[Value]) {
    let patch = Patch::Merge(json!({"status": {"parents": parents}}));
    let told = world
        .api(HTTP_ROUTE)
        .patch_status("mlflow", &PatchParams::default(), &patch)
        .await;
    told.expect("a status");
}

/// Waits until the condition has this reason.
async fn told(world: &World, reason: &str) -> Value {
    let gateway = |resource: &DynamicObject| {
        let mut all = cluster::conditions(&resource.data);
        all.find(|one| one["type"] == "GatewayReady").cloned()
    };
    let is =
        |resource: &DynamicObject| gateway(resource).is_some_and(|one| one["reason"] == reason);
    let resource = world.until(world.kind, "mlflow", is).await;
    gateway(&resource).expect("the condition")
}

#[tokio::test]
async fn what_the_gateway_says_of_the_route_is_told() {
    let world = world(Platform::OpenShift).await;
    world.mlflow("mlflow", &json!({})).await;
    world.ready("mlflow").await;
    let unseen = told(&world, "NotSeen").await;
    assert_eq!(unseen["status"], "Unknown", "{unseen}");
    let message = unseen["message"].as_str().expect("a message");
    assert!(
        message.contains("openshift-ingress/data-science-gateway"),
        "{message}"
    );

    // Another Gateway's refusal is not about this one.
    let elsewhere = answer(("elsewhere", "other"), &[("Accepted", "False")]);
    let accepted = answer(GATEWAY, &[("Accepted", "True"), ("ResolvedRefs", "True")]);
    say(&world, &[elsewhere, accepted.clone()]).await;
    let accepted_now = told(&world, "Accepted").await;
    assert_eq!(accepted_now["status"], "True", "{accepted_now}");

    for refusal in ["Accepted", "ResolvedRefs", "Programmed"] {
        let refused = answer(GATEWAY, &[("Other", "True"), (refusal, "False")]);
        say(&world, &[refused]).await;
        let refused = told(&world, "NotAccepted").await;
        assert_eq!(refused["status"], "False", "{refused}");
        let message = refused["message"].as_str().expect("a message");
        assert!(
            message.contains(&format!("{refusal} it is False (R)")),
            "{message}"
        );
        // The server is none the worse for it, inside the cluster.
        world.ready("mlflow").await;
        say(&world, std::slice::from_ref(&accepted)).await;
        told(&world, "Accepted").await;
    }
    let all = [
        ("Accepted", "True"),
        ("ResolvedRefs", "True"),
        ("Programmed", "True"),
    ];
    say(&world, &[answer(GATEWAY, &all)]).await;
    assert_eq!(told(&world, "Accepted").await["status"], "True");
}
