use super::*;
use crate::tls::TlsProfile;
use http::Request;
use kube::client::Body;
use rustls::{
    ClientConfig, ClientConnection,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A cluster that knows the tokens `good` and `poor`, of which only `good` may scrape.
fn cluster() -> (Client, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect_bytes().await.unwrap();
            let mut review: serde_json::Value = serde_json::from_slice(&body).unwrap();
            review["status"] = if path.ends_with("/tokenreviews") {
                let user = review["spec"]["token"].clone();
                let known = user == "good" || user == "poor";
                serde_json::json!({"authenticated": known, "user": {"username": user}})
            } else {
                assert_eq!(
                    review["spec"]["nonResourceAttributes"],
                    serde_json::json!({"path": "/metrics", "verb": "get"})
                );
                serde_json::json!({"allowed": review["spec"]["user"] == "good"})
            };
            let body = Body::from(serde_json::to_vec(&review).unwrap());
            Ok::<_, Infallible>(http::Response::builder().status(201).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), asked)
}

async fn admit(guard: &Guard, authorization: &str) -> Result<(), Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
    guard.admit(&headers).await
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reviewed_and_the_answer_is_remembered() {
    let (client, asked) = cluster();
    let guard = Guard::new(client);
    assert_eq!(
        guard.admit(&HeaderMap::new()).await,
        Err(Refusal::Unauthorized)
    );
    assert_eq!(
        admit(&guard, "Basic good").await,
        Err(Refusal::Unauthorized)
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(admit(&guard, "Bearer good").await, Ok(()));
    assert_eq!(admit(&guard, "bearer good").await, Ok(()));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(admit(&guard, "Bearer poor").await, Err(Refusal::Forbidden));
    assert_eq!(
        admit(&guard, "Bearer bad").await,
        Err(Refusal::Unauthorized)
    );
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    tokio::time::sleep(ALLOWED).await;
    assert_eq!(admit(&guard, "Bearer good").await, Ok(()));
    assert_eq!(asked.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn strangers_do_not_fill_the_memory() {
    let (client, _) = cluster();
    let guard = Guard::new(client);
    for n in 0..REMEMBERED * 2 {
        assert_eq!(
            admit(&guard, &format!("Bearer {n}")).await,
            Err(Refusal::Unauthorized)
        );
    }
    assert!(guard.known.lock().unwrap().len() <= REMEMBERED);
}

/// Sends one request and reads the whole answer.
async fn exchange<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S, head: &str) -> String {
    let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A TLS peer may end without a farewell.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    (tcp, address)
}

#[tokio::test]
async fn ready_waits_for_what_is_required_and_shows_the_rest() {
    let (tcp, address) = listen().await;
    let (health, shutdown) = (Health::default(), Shutdown::new());
    let server = serve(tcp, health_router(health.clone()), &shutdown);
    let ask = |path: &'static str| async move {
        exchange(
            TcpStream::connect(address).await.unwrap(),
            &format!("GET {path} HTTP/1.1"),
        )
        .await
    };
    health.report("sync ModelRegistry", false);
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    health.require("certificate", false);
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"));
    let page = ask("/readyz?verbose").await;
    assert!(
        page.contains("[-]certificate failed\n[ ]sync ModelRegistry not yet\nnot ready"),
        "{page}"
    );
    health.require("certificate", true);
    assert!(ask("/readyz?verbose=1").await.contains("[+]certificate ok"));
    shutdown.request();
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

/// Takes any certificate: the server's is self-signed.
#[derive(Debug)]
struct Anything(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// A TLS connection that offers only these versions.
async fn connect(
    address: SocketAddr,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(crypto::provider());
    let anything = Anything(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anything))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(address).await?;
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

async fn https(profile: TlsProfile) -> (SocketAddr, Shutdown) {
    let (tcp, address) = listen().await;
    let certificate = ServingCertificate::new();
    certificate.set_self_signed(&["localhost"]).unwrap();
    let config = TlsConfig::new(TlsProfiles::fixed(profile), certificate).unwrap();
    let listener = TlsListener::new(tcp, config).unwrap();
    let shutdown = Shutdown::new();
    let guard = Some(Guard::new(cluster().0));
    let _task = serve(
        listener,
        metrics_router(Metrics::new("1").unwrap(), guard),
        &shutdown,
    );
    (address, shutdown)
}

const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

#[tokio::test]
async fn metrics_need_tls_and_a_token() {
    let (address, _shutdown) = https(TlsProfile::default()).await;
    let scrape = |authorization: &'static str| async move {
        let stream = connect(address, BOTH).await.unwrap();
        exchange(stream, &format!("GET /metrics HTTP/1.1{authorization}")).await
    };
    assert!(scrape("").await.starts_with("HTTP/1.1 401"));
    assert!(
        scrape("\r\nauthorization: Bearer poor")
            .await
            .starts_with("HTTP/1.1 403")
    );
    let page = scrape("\r\nauthorization: Bearer good").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("process_resident_memory_bytes"),
        "{page}"
    );
    let plain = TcpStream::connect(address).await.unwrap();
    assert!(
        !exchange(plain, "GET /metrics HTTP/1.1")
            .await
            .contains("200 OK")
    );
}

#[tokio::test]
async fn clients_that_never_finish_a_handshake_delay_nobody() {
    let (address, _shutdown) = https(TlsProfile::default()).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(TcpStream::connect(address).await.unwrap());
    }
    let scrape = async {
        let stream = connect(address, BOTH).await.unwrap();
        exchange(
            stream,
            "GET /metrics HTTP/1.1\r\nauthorization: Bearer good",
        )
        .await
    };
    let page = tokio::time::timeout(Duration::from_secs(5), scrape)
        .await
        .unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    drop(slow);
}

#[tokio::test]
async fn the_profile_decides_the_version() {
    let (address, _shutdown) = https(TlsProfile::modern()).await;
    assert!(connect(address, &[&rustls::version::TLS12]).await.is_err());
    let stream = connect(address, BOTH).await.unwrap();
    let connection: &ClientConnection = stream.get_ref().1;
    assert_eq!(
        connection.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
}

#[tokio::test]
async fn a_server_starts_as_the_flags_say() {
    use clap::Parser;
    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        operator: OperatorArgs,
    }
    let (taken, address) = listen().await;
    let run = |arguments: Vec<String>| async move {
        let arguments = std::iter::once("manager".to_owned()).chain(arguments);
        let args = Program::parse_from(arguments).operator;
        let (metrics, health) = (Metrics::new("1").unwrap(), Health::default());
        start(
            &args,
            &cluster().0,
            &metrics,
            &health,
            TlsProfiles::fixed(TlsProfile::default()),
            &Shutdown::new(),
        )
        .await
        .map(|()| metrics.render().unwrap())
    };
    let flags = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let probes = format!("--health-probe-bind-address={address}");
    let error = run(vec![probes]).await.unwrap_err().to_string();
    assert!(
        error.starts_with("--health-probe-bind-address: cannot listen on 127.0.0.1:"),
        "{error}"
    );
    let page = run(flags(&[
        "--health-probe-bind-address=0",
        "--metrics-bind-address=127.0.0.1:0",
    ]));
    assert!(
        page.await
            .unwrap()
            .contains(r#"expiry_timestamp_seconds{certificate="metrics"}"#)
    );
    let nowhere = [
        "--health-probe-bind-address=0",
        "--metrics-bind-address=:0",
        "--metrics-cert-dir=/no",
    ];
    let error = run(flags(&nowhere)).await.unwrap_err().to_string();
    assert!(error.contains("/no/tls.crt"), "{error}");
    drop(taken);
}
