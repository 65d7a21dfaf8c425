//! Taking over from the Go operator: its objects, its status and its finalizer are there first.
//!
//! `cases` has three small ones. Where the recordings are, each recorded case is taken over, too.

#![cfg(test)]

mod case;
mod checks;
#[path = "../common/harness.rs"]
#[expect(
    dead_code,
    reason = "shared with other test targets, which need more of it"
)]
mod harness;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use case::{Case, Placed};
use cluster::{Platform, eventually};
use harness::{INSTALLATION, World, start};
use operator_harness::recorded;

/// What the Go operator ran with in the recorded cases in gateway mode.
const GATEWAY: &[(&str, &str)] = &[
    ("GATEWAY_DOMAIN", "gw.example.test"),
    ("HTTPROUTE_NAMESPACE", "opendatahub"),
];

fn small_cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/takeover/cases")
}

/// Takes over all cases at once and returns what is wrong.
async fn take_over(platform: Platform, cases: Vec<Case>, env: &[(&str, &str)]) -> Vec<String> {
    let site = INSTALLATION.shared(platform).await;
    let world = World(site.namespace("default"));
    let mut placed = Vec::new();
    for case in cases {
        placed.push(Placed::place(&world, case).await);
    }
    let ends = Instant::now() + Duration::from_secs(30);
    let mut ran = 0;
    for placed in &mut placed {
        ran += usize::from(placed.settle(&world, ends).await);
    }
    println!("{platform}: {ran} of {} ran", placed.len());
    let operator = start(&site.kubeconfig, env, &[]);
    let ends = Instant::now() + Duration::from_secs(90);
    for placed in &placed {
        let left = ends.saturating_duration_since(Instant::now());
        // Who is not at rest in the end is found by the checks.
        let _ = eventually(&placed.case.name, left, || placed.at_rest(&world)).await;
    }
    // What would be written again and again shows in the rollouts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    tokio::task::spawn_blocking(|| operator.stop())
        .await
        .expect("it ended");
    let mut wrong = Vec::new();
    for placed in &placed {
        let found = checks::check(&world, placed).await;
        wrong.extend(
            found
                .into_iter()
                .map(|found| format!("{platform}/{}: {found}", placed.case.name)),
        );
    }
    wrong
}

async fn all(platform: Platform) {
    let mut cases = Case::read_all(&small_cases(), platform);
    assert!(!cases.is_empty(), "no small case");
    if let Some(root) = recorded::folder("model-registry") {
        cases.extend(Case::read_all(&root, platform));
    }
    let (gateway, usual): (Vec<_>, Vec<_>) = cases
        .into_iter()
        .partition(|case| case.name.starts_with("gateway-"));
    println!(
        "{platform}: {} cases and {} in gateway mode",
        usual.len(),
        gateway.len()
    );
    let mut wrong = take_over(platform, usual, &[]).await;
    if !gateway.is_empty() {
        wrong.extend(take_over(platform, gateway, GATEWAY).await);
    }
    assert!(
        wrong.is_empty(),
        "{} defects:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_go_operator_on_kubernetes() {
    all(Platform::Kubernetes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_go_operator_on_openshift() {
    all(Platform::OpenShift).await;
}
