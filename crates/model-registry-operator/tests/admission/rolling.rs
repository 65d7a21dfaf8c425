//! A rolling update from the Go operator's Deployment, and that it finishes: its pod holds the Lease
//! and goes only when ours is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::{Platform, eventually};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::bench::{ACCOUNT, Bench, NAMESPACE, NEW, SOON, mysql};

const LEASE: &str = "85f368d1.opendatahub.io";
const OLD_POD: &str = "model-registry-operator-controller-manager-old_1";
/// As client-go keeps a Lease: 15 s, renewed every 2 s, and not released when the process ends.
const RENEWAL: Duration = Duration::from_secs(2);

/// The Go operator's process, as far as others notice it: it renews the Lease until it is killed.
async fn old_pod(leases: Api<Lease>, alive: Arc<AtomicBool>) {
    while alive.load(Ordering::Relaxed) {
        let now = format!("{:.6}", jiff::Timestamp::now());
        let renewed = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE},
            "spec": {"holderIdentity": OLD_POD, "leaseDurationSeconds": 15, "leaseTransitions": 0, "renewTime": now}});
        let how = PatchParams::apply("manager").force();
        leases
            .patch(LEASE, &how, &Patch::Apply(renewed))
            .await
            .expect("renewed");
        tokio::time::sleep(RENEWAL).await;
    }
}

/// The Deployment of the Go operator: its name, selector and strategy are in people's clusters.
fn theirs() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE,
        "labels": {"control-plane": "controller-manager"}}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"control-plane": "controller-manager"}},
        "template": {"metadata": {"labels": {"control-plane": "controller-manager"}}, "spec": {"containers": [
            {"name": "manager", "image": "example.test/go-operator:1", "command": ["/manager"], "args": ["--leader-elect"]}]}}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_from_the_go_operator_finishes() {
    let bench = Bench::bare(Platform::Kubernetes).await;
    let kubectl = async |args: &[&str]| bench.cluster.kubectl(args).await.expect("kubectl");
    kubectl(&["create", "namespace", NAMESPACE]).await;
    cluster::apply_yaml(&bench.client, NAMESPACE, &theirs().to_string())
        .await
        .expect("the Go operator");
    let deployment = format!("deployment/{ACCOUNT}");
    let finished = [
        "rollout",
        "status",
        "-n",
        NAMESPACE,
        &deployment,
        "--timeout=60s",
    ];
    kubectl(&finished).await;
    let deployments: Api<Deployment> = Api::namespaced(bench.client.clone(), NAMESPACE);
    let before = deployments.get(ACCOUNT).await.expect("there");
    let alive = Arc::new(AtomicBool::new(true));
    let leases = Api::namespaced(bench.client.clone(), NAMESPACE);
    let renewing = tokio::spawn(old_pod(leases.clone(), Arc::clone(&alive)));

    // Ours over theirs. The new pod's program runs here.
    let mut bench = bench;
    bench.install("overlays/webhook").await;
    let after = deployments.get(ACCOUNT).await.expect("there");
    assert_eq!(
        after.metadata.uid, before.metadata.uid,
        "it is updated, not replaced"
    );
    let strategy = after
        .spec
        .and_then(|spec| spec.strategy)
        .and_then(|s| s.rolling_update);
    let unavailable = strategy.and_then(|rolling| rolling.max_unavailable);
    assert_eq!(
        serde_json::to_value(unavailable).expect("JSON"),
        json!("25%"),
        "of one pod: the old one goes only when the new one is ready"
    );
    let operator = bench.operator(&["--leader-elect"], &[]);
    eventually(
        "the new pod is ready while the old one leads",
        SOON,
        || async {
            let lease: Lease = leases.get(LEASE).await.map_err(|error| error.to_string())?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            assert_eq!(holder.as_deref(), Some(OLD_POD));
            if bench.ready().await {
                Ok(())
            } else {
                Err("not ready".to_owned())
            }
        },
    )
    .await
    .expect("ready");
    bench.answering().await;
    let namespace = bench
        .cluster
        .namespace("rolling")
        .await
        .expect("a namespace");
    let created = bench.create(NEW, &namespace, "a", &mysql()).await;
    created.expect("admission answers in the middle of it");
    bench
        .cluster
        .kubectl(&[
            "rollout",
            "status",
            "-n",
            NAMESPACE,
            &deployment,
            "--timeout=60s",
        ])
        .await
        .expect("the Deployment's controller is done");

    // The kubelet ends the old pod. Nobody releases the Lease; it runs out.
    alive.store(false, Ordering::Relaxed);
    renewing.await.expect("no panic");
    let ended = Instant::now();
    eventually("the new pod leads", SOON * 2, || async {
        let found = bench.registries(NEW, &namespace).get("a").await;
        let found = found.map_err(|error| error.to_string())?;
        if found.metadata.finalizers.unwrap_or_default().is_empty() {
            Err("nobody looked at the registry yet".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .expect("leading");
    let took = ended.elapsed();
    assert!(took < Duration::from_secs(40), "{took:?}");
    let lease: Lease = leases.get(LEASE).await.expect("there");
    let spec = lease.spec.expect("a spec");
    assert_ne!(spec.holder_identity.as_deref(), Some(OLD_POD));
    assert_eq!(spec.lease_transitions, Some(1));
    operator.stop();
}
