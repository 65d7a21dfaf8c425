//! With Roles in two namespaces and no ClusterRole, as the overlay installs it.

use cluster::{Cluster, Platform, conditions};
use kube::{ResourceExt as _, api::DeleteParams};
use operator_harness::{COLLECTED, Installation};
use resources::kind::DEPLOYMENT;

use crate::harness::{
    INSTALLATION, MODEL_REGISTRY, OPERATOR, World, behind_proxy, postgres, start,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_in_two_namespaces_are_enough() {
    let namespaced = Installation {
        folder: "config/model-registry-operator/overlays/namespaced",
        ..INSTALLATION
    };
    // Its servers end with the process.
    let cluster: &'static Cluster =
        Box::leak(Box::new(namespaced.start(Platform::Kubernetes).await));
    let teams = ["team-a", "team-b", "team-c"];
    for team in teams {
        cluster
            .kubectl(&["create", "namespace", team])
            .await
            .expect("a namespace");
    }
    let site = namespaced.on(cluster).await;
    let flags = ["--watch-namespaces=team-a,team-b"];
    let operator = start(&site.kubeconfig, &[], &flags);

    let [plain, proxied, elsewhere] = &teams.map(|team| World(site.namespace(team)));
    elsewhere.registry("elsewhere", postgres()).await;
    plain.registry("plain", postgres()).await;
    proxied.registry("proxied", behind_proxy()).await;
    plain.available("plain").await;
    let told = plain.condition("plain", "RightsMissing", "True").await;
    let lacks = told["message"].as_str().unwrap_or_default();
    assert!(lacks.contains("clusterrolebindings"), "{lacks}");
    assert!(!lacks.contains("secrets"), "{lacks}");

    let told = proxied
        .condition("proxied", "KubeRBACProxyAvailable", "Unknown")
        .await;
    let message = told["message"].as_str().unwrap_or_default();
    for part in [
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "system:auth-delegator",
        "ServiceAccount team-b/proxied",
        "spec.authentication: None",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let left_alone = elsewhere.api(MODEL_REGISTRY).get("elsewhere").await;
    let left_alone = left_alone.expect("the registry");
    assert_eq!(conditions(&left_alone.data).count(), 0);
    assert!(left_alone.finalizers().is_empty());
    let none = elsewhere.api(DEPLOYMENT).get_opt("elsewhere").await;
    assert!(none.expect("an answer").is_none());

    for (world, name) in [(plain, "plain"), (proxied, "proxied")] {
        let registries = world.api(MODEL_REGISTRY);
        cluster::remove(&registries, name, &DeleteParams::foreground(), COLLECTED)
            .await
            .expect("gone");
    }
    tokio::task::spawn_blocking(|| operator.stop())
        .await
        .expect("it ended");
    let log = cluster.audit().await.expect("the audit log");
    let asked = log.by_service_account(OPERATOR.0, OPERATOR.1);
    let refused: Vec<String> = asked
        .iter()
        .filter(|record| record.code == 403)
        .map(|record| format!("{} {}", record.verb, record.uri))
        .collect();
    assert!(refused.len() <= 1, "{refused:?}");
    assert!(asked.iter().all(|record| record.namespace != "team-c"));
}
