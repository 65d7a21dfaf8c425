//! A cluster with an operator's manifests in it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{Cluster, eventually};
use resources::Kind;
use runtime::rbac::Account;
use serde_json::json;

/// After this time nothing is left to do for an operator whose resources are as they should be.
const SETTLED: Duration = Duration::from_secs(3);
/// An operator is at rest if it asks for nothing for so long.
const REST: Duration = Duration::from_secs(10);

/// Applies a folder of manifests as `kubectl apply -k` does, and returns the kubeconfig of the
/// operator's account. Its Deployment runs simulated pods, which do nothing: the test runs the
/// program.
pub async fn install(cluster: &Cluster, folder: &Path, account: Account) -> PathBuf {
    let folder = folder.to_str().expect("a path");
    cluster
        .kubectl(&["apply", "--server-side", "-k", folder])
        .await
        .expect("the manifests");
    let (namespace, name) = account;
    cluster
        .service_account_kubeconfig(namespace, name)
        .await
        .expect("a kubeconfig")
}

/// What the API server says to a folder of manifests, which it accepts without keeping them, whatever
/// a test has changed: kinds and names.
pub async fn accepted(cluster: &Cluster, folder: &Path) -> String {
    let folder = folder.to_str().expect("a path");
    let dry_run = [
        "--dry-run=server",
        "--server-side",
        "--force-conflicts",
        "-o",
        "name",
        "-k",
        folder,
    ];
    let printed = cluster.kubectl(&[&["apply"], &dry_run[..]].concat()).await;
    printed.expect("accepted")
}

/// Ports that nobody listens on, each another.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let free = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    free.map(|tcp| tcp.local_addr().expect("an address").port())
}

/// Leads the API server to this machine: it reaches a Service by its address in the cluster, which
/// nothing serves here, and one of another sort by its name, at the port that the configuration
/// (kind and name) has.
pub async fn lead_to(
    cluster: &Cluster,
    port: u16,
    (namespace, service): (&str, &str),
    (kind, configuration): (&str, &str),
) {
    let kubectl = async |args: &[&str]| cluster.kubectl(args).await.expect("kubectl");
    let away = json!({"spec": {"type": "ExternalName", "externalName": "localhost"}}).to_string();
    let service = ["patch", "service", service, "-n", namespace];
    kubectl(&[&service[..], &["--type=merge", "-p", &away]].concat()).await;
    let port =
        json!([{"op": "replace", "path": "/webhooks/0/clientConfig/service/port", "value": port}]);
    kubectl(&[
        "patch",
        kind,
        configuration,
        "--type=json",
        "-p",
        &port.to_string(),
    ])
    .await;
}

/// Waits until an operator has nothing more to do, and sees that it asks for nothing then.
pub async fn at_rest(cluster: &Cluster, account: Account) {
    tokio::time::sleep(SETTLED).await;
    let asked = cluster
        .asked_within(account, REST)
        .await
        .expect("the audit log");
    let asked: Vec<_> = asked
        .iter()
        .map(|record| format!("{} {}", record.verb, record.name))
        .collect();
    assert!(asked.is_empty(), "at rest it asks for {asked:?}");
}

/// Waits until the operator has read an object of each of these kinds since `mark`. One that has
/// just started does so: it does not know whether what it made is still as it left it.
pub async fn has_read(cluster: &Cluster, mark: u64, (namespace, name): Account, kinds: &[Kind]) {
    let limit = Duration::from_mins(1);
    eventually("what it made is read", limit, || async {
        let log = cluster.audit_since(mark).await;
        let log = log.map_err(|error| error.to_string())?;
        let requests = log.by_service_account(namespace, name);
        let unread: Vec<&str> = kinds
            .iter()
            .map(|kind| kind.plural)
            .filter(|plural| {
                let mut requests = requests.iter();
                !requests.any(|record| record.verb == "get" && record.resource == *plural)
            })
            .collect();
        if unread.is_empty() {
            Ok(())
        } else {
            Err(unread.join(", "))
        }
    })
    .await
    .expect("read");
}
