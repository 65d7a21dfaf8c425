//! The operator serves TLS by the profile of OpenShift's API server, and follows its changes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use cluster::{Platform, api_of, eventually};
use kube::api::{DeleteParams, Patch, PatchParams};
use operator_harness::{SOON, free_ports};
use resources::kind::API_SERVER;
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{INSTALLATION, start};

/// Whether a client with one version of TLS is admitted, and by which one.
async fn admitted(
    address: SocketAddr,
    roots: &RootCertStore,
    version: &'static SupportedProtocolVersion,
) -> Result<Option<ProtocolVersion>, String> {
    let provider = Arc::new(crypto::provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    let name = "localhost".try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|error| error.to_string())?;
    Ok(stream.get_ref().1.protocol_version())
}

#[tokio::test]
async fn metrics_are_served_by_the_profile_of_the_cluster_without_a_restart() {
    let site = INSTALLATION.shared(Platform::OpenShift).await;
    let cluster = site.cluster;
    let client = cluster.client().expect("a client");
    let namespace = cluster.namespace("tls-profile").await.expect("a namespace");
    let profiles = api_of(&client, None, API_SERVER);
    let set = async |profile: &str| {
        let object = json!({
            "apiVersion": API_SERVER.api_version(), "kind": API_SERVER.kind,
            "metadata": {"name": "cluster"}, "spec": {"tlsSecurityProfile": {"type": profile}},
        });
        let params = PatchParams::apply("admin").force();
        profiles
            .patch("cluster", &params, &Patch::Apply(&object))
            .await
            .expect("the profile");
    };
    set("Modern").await;

    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    for (file, text) in [
        ("tls.crt", made.cert.pem()),
        ("tls.key", made.signing_key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(file), text).expect("written");
    }
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let [port] = free_ports();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // It works in a namespace of its own, beside the operator of other tests.
    let operator = start(
        &site.kubeconfig,
        &[],
        &[
            &format!("--metrics-bind-address={address}"),
            &format!("--metrics-cert-dir={}", folder.path().display()),
            &format!("--watch-namespaces={namespace}"),
        ],
    );

    let ask = async |version| admitted(address, &roots, version).await;
    let becomes = async |what: &str, old_clients: bool| {
        eventually(what, SOON, || async {
            let answer = ask(&TLS12).await;
            (answer.is_ok() == old_clients)
                .then_some(())
                .ok_or_else(|| format!("{answer:?}"))
        })
        .await
        .expect("the profile counts");
        let new_clients = ask(&TLS13).await;
        assert_eq!(new_clients, Ok(Some(ProtocolVersion::TLSv1_3)));
    };
    eventually("metrics are served", SOON, || ask(&TLS13))
        .await
        .expect("served");
    let refused = ask(&TLS12).await;
    assert!(
        refused
            .as_ref()
            .is_err_and(|e| e.contains("ProtocolVersion")),
        "the first connection is served by the profile: {refused:?}"
    );
    set("Intermediate").await;
    becomes("TLS 1.2 is admitted again", true).await;
    set("Modern").await;
    becomes("TLS 1.2 is refused again", false).await;
    profiles
        .delete("cluster", &DeleteParams::default())
        .await
        .expect("deleted");
    becomes("without a profile it is the intermediate one", true).await;
    operator.stop();
}
