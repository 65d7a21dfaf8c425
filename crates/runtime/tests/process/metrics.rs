use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{Api, api::PostParams};
use runtime::{
    serve::{Guard, metrics_router, serve},
    shutdown::Shutdown,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{Account, cluster, numbers};

async fn token(account: &Account) -> String {
    let client = cluster().client().expect("a client");
    let api: Api<ServiceAccount> = Api::namespaced(client, &account.namespace);
    let request = serde_json::from_value(json!({"spec": {"audiences": []}})).expect("a request");
    let answer: TokenRequest = api
        .create_token_request("operator", &PostParams::default(), &request)
        .await
        .expect("a token");
    answer.status.expect("a status").token
}

#[tokio::test]
async fn the_cluster_decides_who_reads_the_metrics_and_is_asked_once() {
    let operator = Account::new("scraped", json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]))
    .await;
    let reader = Account::new(
        "reader",
        json!([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]),
    )
    .await;
    let stranger = Account::new("stranger", json!([])).await;
    let metrics = numbers();
    let guard = Guard::new(operator.client(&metrics));
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = tcp.local_addr().expect("an address");
    let _server = serve(tcp, metrics_router(metrics, Some(guard)), &Shutdown::new());
    let scrape = |token: String| async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    assert!(
        scrape("nonsense".to_owned())
            .await
            .starts_with("HTTP/1.1 401")
    );
    assert!(
        scrape(token(&stranger).await)
            .await
            .starts_with("HTTP/1.1 403")
    );
    let token = token(&reader).await;
    let before = cluster().audit_mark().await.expect("a mark");
    for _ in 0..5 {
        let page = scrape(token.clone()).await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(
            page.contains(r#"operator_api_requests_total{code="2xx",verb="create"}"#),
            "{page}"
        );
    }
    let audit = cluster().audit_since(before).await.expect("the audit log");
    let asked = audit.by_service_account(&operator.namespace, "operator");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked
            .iter()
            .all(|record| record.user_agent == "process-test/1"),
        "{asked:?}"
    );
}
