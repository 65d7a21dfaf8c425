use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use cluster::StandIn;
use resources::{
    Kind,
    kind::{DEPLOYMENT, GROUP, HTTP_ROUTE, REFERENCE_GRANT, ROUTE},
};
use runtime::{
    Capabilities,
    discovery::Discovery,
    permissions::Permissions,
    serve::serve,
    shutdown::Shutdown,
    tls::{ServingCertificate, TlsListener, TlsProfile},
    tls_profile::{TlsConfig, TlsProfiles},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Account, SOON, cluster, numbers};

fn may_follow() -> Value {
    json!([
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": ["list", "watch"]},
    ])
}

async fn until(capabilities: &mut watch::Receiver<Arc<Capabilities>>, kind: Kind, served: bool) {
    let wait = capabilities.wait_for(|now| now.has(kind) == served);
    let outcome = tokio::time::timeout(SOON, wait).await;
    assert!(
        matches!(outcome, Ok(Ok(_))),
        "{kind} served: {served} did not come"
    );
}

#[tokio::test]
async fn an_api_that_comes_and_goes_is_followed_and_nothing_is_asked_at_rest() {
    let account = Account::new("discovery", may_follow()).await;
    let before = cluster().audit_mark().await.expect("a mark");
    let permissions = Arc::new(Permissions::unknown());
    let kinds = [DEPLOYMENT, HTTP_ROUTE, REFERENCE_GRANT, ROUTE];
    let client = account.client(&numbers());
    let discovery = Discovery::start(client, &kinds, permissions, numbers()).await;
    let mut capabilities = discovery.capabilities();
    assert!(capabilities.borrow().has(DEPLOYMENT));
    assert!(!capabilities.borrow().has(HTTP_ROUTE));

    tokio::time::sleep(Duration::from_secs(3)).await;
    let asked = |since| {
        let namespace = account.namespace.clone();
        async move {
            let audit = cluster().audit_since(since).await.expect("the audit log");
            let records = audit.by_service_account(&namespace, "operator");
            let mut asked: Vec<String> = records
                .iter()
                .map(|record| format!("{} {}", record.verb, record.uri))
                .collect();
            asked.sort();
            asked
        }
    };
    let start = asked(before).await;
    assert_eq!(
        start.iter().filter(|line| *line == "get /apis").count(),
        1,
        "{start:?}"
    );
    assert_eq!(
        start
            .iter()
            .filter(|line| line.starts_with("list "))
            .count(),
        2,
        "{start:?}"
    );
    assert_eq!(
        start
            .iter()
            .filter(|line| line.starts_with("watch "))
            .count(),
        2,
        "{start:?}"
    );
    assert_eq!(start.len(), 5, "{start:?}");

    let installed = cluster().audit_mark().await.expect("a mark");
    cluster()
        .install(StandIn::HttpRoute)
        .await
        .expect("installed");
    until(&mut capabilities, HTTP_ROUTE, true).await;
    // A second kind of the same group has no APIService of its own.
    cluster()
        .install(StandIn::ReferenceGrant)
        .await
        .expect("installed");
    until(&mut capabilities, REFERENCE_GRANT, true).await;
    cluster()
        .uninstall(StandIn::HttpRoute)
        .await
        .expect("removed");
    until(&mut capabilities, HTTP_ROUTE, false).await;
    cluster()
        .uninstall(StandIn::ReferenceGrant)
        .await
        .expect("removed");
    until(&mut capabilities, REFERENCE_GRANT, false).await;
    assert!(capabilities.borrow().has(DEPLOYMENT));
    // The API server misses the end of a definition now and then, until it looks at all of them
    // after five minutes. Watches are renewed before that.
    let mut followed = asked(installed).await;
    followed.retain(|line| !line.starts_with("watch "));
    assert!(
        followed
            .iter()
            .all(|line| line.starts_with("get /apis/gateway.networking.k8s.io/")),
        "{followed:?}"
    );
    assert!(followed.len() <= 24, "{followed:?}");
}

/// Serves `user.openshift.io/v1` as OpenShift's own API server does.
async fn aggregated_server(shutdown: &Shutdown) -> SocketAddr {
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "user.openshift.io/v1",
        "resources": [{
            "name": "groups", "singularName": "group", "namespaced": false, "kind": "Group",
            "verbs": ["get", "list", "watch", "create", "update", "delete"],
        }],
    });
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = tcp.local_addr().expect("an address");
    let certificate = ServingCertificate::new();
    certificate
        .set_self_signed(&["localhost"])
        .expect("a certificate");
    let profiles = TlsProfiles::fixed(TlsProfile::default());
    let config = TlsConfig::new(profiles, certificate).expect("TLS");
    let tls = TlsListener::new(tcp, config).expect("a listener");
    let router = Router::new().route(
        "/apis/user.openshift.io/v1",
        get(move || async move { ([("content-type", "application/json")], list.to_string()) }),
    );
    let _server = serve(tls, router, shutdown);
    address
}

#[tokio::test]
async fn an_api_behind_an_apiservice_is_followed_and_stays_known_while_it_fails() {
    let account = Account::new("aggregated", may_follow()).await;
    let admin = cluster().client().expect("a client");
    let permissions = Arc::new(Permissions::unknown());
    let client = account.client(&numbers());
    let discovery = Discovery::start(client, &[GROUP], permissions, numbers()).await;
    let mut capabilities = discovery.capabilities();
    assert!(!capabilities.borrow().has(GROUP));

    let shutdown = Shutdown::new();
    let address = aggregated_server(&shutdown).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "users"},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    });
    let api_service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.user.openshift.io"},
        "spec": {
            "group": "user.openshift.io", "version": "v1",
            "groupPriorityMinimum": 9900, "versionPriority": 15, "insecureSkipTLSVerify": true,
            "service": {"namespace": account.namespace, "name": "users", "port": address.port()},
        },
    });
    for object in [&service, &api_service] {
        cluster::apply_yaml(&admin, &account.namespace, &object.to_string())
            .await
            .expect("applied");
    }
    until(&mut capabilities, GROUP, true).await;

    // Its server goes away: the API server answers 503 and says so in the APIService.
    shutdown.request();
    let unavailable = [
        "wait",
        "apiservice/v1.user.openshift.io",
        "--for=condition=Available=false",
        "--timeout=60s",
    ];
    cluster().kubectl(&unavailable).await.expect("unavailable");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        capabilities.borrow().has(GROUP),
        "a failing API was forgotten"
    );

    // A start meanwhile neither fails nor waits for it.
    let began = std::time::Instant::now();
    let permissions = Arc::new(Permissions::unknown());
    let late = Discovery::start(account.client(&numbers()), &[GROUP], permissions, numbers()).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    drop(late);

    cluster()
        .kubectl(&["delete", "apiservice", "v1.user.openshift.io"])
        .await
        .expect("deleted");
    until(&mut capabilities, GROUP, false).await;
}

#[tokio::test]
async fn without_the_right_to_follow_the_start_counts_and_the_rules_are_named() {
    let account = Account::new("blind", json!([])).await;
    let permissions = Arc::new(Permissions::unknown());
    let client = account.client(&numbers());
    let discovery = Discovery::start(
        client,
        &[DEPLOYMENT, ROUTE],
        Arc::clone(&permissions),
        numbers(),
    )
    .await;
    assert!(discovery.capabilities().borrow().has(DEPLOYMENT));
    let expected = [
        "list apiservices.apiregistration.k8s.io",
        "list customresourcedefinitions.apiextensions.k8s.io",
    ];
    cluster::eventually("the missing rules", SOON, || async {
        let missing = permissions.missing(&[], &[]);
        if missing == expected {
            Ok(())
        } else {
            Err(format!("{missing:?}"))
        }
    })
    .await
    .expect("named");
    assert!(discovery.capabilities().borrow().has(DEPLOYMENT));
}
