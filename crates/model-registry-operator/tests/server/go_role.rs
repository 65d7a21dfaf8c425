//! With the Go operator's ClusterRole, as when only the image is swapped: it works as far as that
//! allows, and says what is missing.

use cluster::{Platform, api_of};
use kube::api::DeleteParams;
use operator_harness::COLLECTED;
use resources::kind::{DEPLOYMENT, POD_DISRUPTION_BUDGET};
use serde_json::{Value, json};

use crate::harness::{INSTALLATION, MODEL_REGISTRY, OPERATOR, World, behind_proxy, start};

/// The rules of ClusterRole `manager-role` of the Go operator.
fn rules() -> Value {
    let all = [
        "create", "delete", "get", "list", "patch", "update", "watch",
    ];
    let read = ["get", "list", "watch"];
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    json!([
        rule(
            "",
            &[
                "configmaps",
                "persistentvolumeclaims",
                "secrets",
                "serviceaccounts",
                "services"
            ],
            &all
        ),
        rule("", &["endpoints", "pods", "pods/log"], &read),
        rule("", &["events"], &["create", "patch"]),
        rule(
            "apiextensions.k8s.io",
            &["customresourcedefinitions"],
            &read
        ),
        rule("apps", &["deployments"], &all),
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        rule(
            "authorization.k8s.io",
            &["subjectaccessreviews"],
            &["create"]
        ),
        rule(
            "components.platform.opendatahub.io",
            &["modelregistries"],
            &read
        ),
        rule("config.openshift.io", &["apiservers", "ingresses"], &read),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("gateway.networking.k8s.io", &["httproutes"], &all),
        rule(
            "gateway.networking.k8s.io",
            &["referencegrants"],
            &["create", "get", "list", "watch"]
        ),
        rule("migration.k8s.io", &["storageversionmigrations"], &all),
        rule("modelregistry.opendatahub.io", &["modelregistries"], &all),
        rule(
            "modelregistry.opendatahub.io",
            &["modelregistries/finalizers"],
            &["update"]
        ),
        rule(
            "modelregistry.opendatahub.io",
            &["modelregistries/status"],
            &["get", "patch", "update"]
        ),
        rule("networking.k8s.io", &["networkpolicies"], &all),
        rule(
            "rbac.authorization.k8s.io",
            &["clusterrolebindings", "rolebindings", "roles"],
            &all
        ),
        rule(
            "route.openshift.io",
            &["routes", "routes/custom-host"],
            &all
        ),
        rule("services.platform.opendatahub.io", &["auths"], &read),
        rule(
            "user.openshift.io",
            &["groups"],
            &["create", "delete", "get", "list", "update", "watch"]
        ),
    ])
}

async fn works(platform: Platform, lacks: &[&str]) {
    let own = INSTALLATION.alone(platform).await;
    let world = World(own.world("go-role").await);
    let patch = json!([{"op": "replace", "path": "/rules", "value": rules()}]).to_string();
    let role = "model-registry-operator-manager-role";
    own.cluster
        .kubectl(&["patch", "clusterrole", role, "--type=json", "-p", &patch])
        .await
        .expect("the Go operator's rules");
    let operator = start(&own.kubeconfig, &[], &[]);
    let mut spec = behind_proxy();
    spec["operand"] = json!({"replicas": 2});
    world.registry("swapped", spec).await;
    world.available("swapped").await;
    let told = world.condition("swapped", "RightsMissing", "True").await;
    let message = told["message"].as_str().unwrap_or_default();
    for rule in lacks {
        assert!(message.contains(rule), "{rule} in {message}");
    }
    // What needs a right that is missing is left out, and the rest goes on.
    let budget = json!({"operand": {"podDisruptionBudget": {"minAvailable": 1}, "nodeSelector": {"disk": "fast"}}});
    world
        .edit(MODEL_REGISTRY, "swapped", json!({"spec": budget}))
        .await;
    world
        .until(DEPLOYMENT, "swapped", |deployment| {
            deployment.data["spec"]["template"]["spec"]["nodeSelector"]["disk"] == "fast"
        })
        .await;
    let none = world.api(POD_DISRUPTION_BUDGET).get_opt("swapped").await;
    assert!(none.expect("an answer").is_none());
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(
        &registries,
        "swapped",
        &DeleteParams::foreground(),
        COLLECTED,
    )
    .await
    .expect("gone");
    let binding = api_of(&world.client, None, resources::kind::CLUSTER_ROLE_BINDING);
    let left = binding.get_opt("swapped-auth-delegator").await;
    assert!(left.expect("an answer").is_none());
    tokio::task::spawn_blocking(|| operator.stop())
        .await
        .expect("it ended");
    // A refusal is remembered: it does not ask again and again.
    let log = own.cluster.audit().await.expect("the audit log");
    let refused = log
        .by_service_account(OPERATOR.0, OPERATOR.1)
        .into_iter()
        .filter(|record| record.code == 403)
        .count();
    println!("{platform}: {message}; {refused} requests refused");
    assert!(refused < 20, "{refused} requests were refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_go_operators_role_on_kubernetes() {
    works(
        Platform::Kubernetes,
        &[
            "endpointslices.discovery.k8s.io",
            "poddisruptionbudgets.policy",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_go_operators_role_on_openshift() {
    works(
        Platform::OpenShift,
        &[
            "patch groups.user.openshift.io",
            "endpointslices.discovery.k8s.io",
        ],
    )
    .await;
}
