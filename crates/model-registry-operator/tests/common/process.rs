//! The program's parts in threads of this process, and the way of the API server to them.

use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use cluster::{Cluster, eventually};
use resources::Kind;
use runtime::component::Component;
use runtime::operator::{self, Beside};
use runtime::{args::OperatorArgs, shutdown::Shutdown};
use serde_json::json;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: OperatorArgs,
}

/// An operator that ends when it is asked to, or with this.
pub(crate) struct Running {
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts an operator as the service account of `kubeconfig`. Health and metrics are not served.
    pub(crate) fn start<C: Component>(
        component: C,
        beside: Beside,
        kubeconfig: &Path,
        flags: &[String],
    ) -> Self {
        let words = [
            "operator".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            "--metrics-bind-address=0".to_owned(),
            "--health-probe-bind-address=0".to_owned(),
        ];
        let args = Flags::parse_from(words.iter().chain(flags)).args;
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let process = operator::Process {
            name: "model-registry-operator",
            version: "test",
            lease: "not-asked-for",
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let run = operator::run_beside(process, &args, component, beside, None, until);
            runtime.block_on(run).unwrap();
            runtime.shutdown_background();
        });
        Self {
            shutdown,
            thread: Some(thread),
        }
    }

    /// Stops in order.
    pub(crate) fn stop(mut self) {
        self.shutdown.request();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    tcp.local_addr().unwrap().port()
}

/// Leads the API server to this machine: it reaches a Service by its address in the cluster, which
/// nothing serves here, and one of another sort by its name, at the port that the configuration
/// names.
pub(crate) async fn lead_to(
    cluster: &Cluster,
    port: u16,
    (namespace, service): (&str, &str),
    configuration: (&str, &str),
) {
    let kubectl = async |args: &[&str]| cluster.kubectl(args).await.unwrap();
    let away = json!({"spec": {"type": "ExternalName", "externalName": "localhost"}});
    kubectl(&[
        "patch",
        "service",
        service,
        "-n",
        namespace,
        "--type=merge",
        "-p",
        &away.to_string(),
    ])
    .await;
    let port =
        json!([{"op": "replace", "path": "/webhooks/0/clientConfig/service/port", "value": port}]);
    let (kind, name) = configuration;
    kubectl(&["patch", kind, name, "--type=json", "-p", &port.to_string()]).await;
}

/// Waits until the operator has read an object of each of these kinds since `mark`. One that has
/// just started does so: it does not know whether what it made is still as it left it.
pub(crate) async fn has_read(
    cluster: &Cluster,
    mark: u64,
    (namespace, name): (&str, &str),
    kinds: &[Kind],
) {
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
    .unwrap();
}
