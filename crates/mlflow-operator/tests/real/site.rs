//! A server with all that is around it: certificate, Service, databases, clients.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use operator_harness::free_ports;
use reqwest::{Certificate, Client, Proxy, StatusCode};
use resources::certificates::{Fresh, Issue as _, SKEW, VALIDITY};
use serde_json::Value;

use crate::chart::{HOST, NAMESPACE, pod};
use crate::machine::Machine;
use crate::process::{Process, said};
use crate::service;
use crate::stock::{PASSWORD, USER, stock};

/// Where clients call the server.
const ADDRESS: &str = "https://mlflow.opendatahub.svc:8443";

/// Which certificates a client takes.
pub(crate) enum Trust {
    /// Those of the site's authority, for the Service's name.
    Authority,
    Anything,
}

/// A namespace with a Secret `mlflow-tls`, which holds its authority, too, and a Service.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    /// The authority of the server's certificate, PEM.
    authority: String,
    proxy: String,
    port: u16,
}

impl Site {
    pub(crate) fn new() -> Self {
        crypto::install();
        let [port] = free_ports();
        let proxy = service::play(&format!("{HOST}:8443"), port);
        let names = BTreeSet::from([HOST.to_owned(), format!("mlflow.{NAMESPACE}")]);
        let now = jiff::Timestamp::now();
        let issued = Fresh
            .issue(&names, now - SKEW, now + VALIDITY)
            .expect("a certificate");
        let mut machine = Machine::new();
        let certificate = [
            ("tls.crt", &*issued.certificate),
            ("tls.key", &issued.private_key),
            ("ca.crt", &issued.authority),
        ];
        machine.put("mlflow-tls", &certificate);
        machine
            .environment
            .insert("HTTPS_PROXY".to_owned(), proxy.clone());
        Self {
            machine,
            authority: issued.authority,
            proxy,
            port,
        }
    }

    /// The pod of a rendered object, as it runs here.
    pub(crate) fn pod(&self, objects: &[Value], kind: &str, name: &str, workspaces: &str) -> Value {
        let mut pod = pod(objects, kind, name);
        stock(&mut pod, workspaces, self.port);
        pod
    }

    /// Starts the server, and waits until its liveness probe succeeds.
    pub(crate) async fn serve(&self, pod: &Value) -> Process {
        let mut running = self.machine.start(pod, "mlflow");
        let started = Instant::now();
        loop {
            running.check();
            match self.probe(pod, "livenessProbe").await {
                Ok(StatusCode::OK) => return running,
                other => assert!(
                    started.elapsed() < Duration::from_mins(3),
                    "{other:?}\n{}",
                    running.log()
                ),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What a probe of the server's container is answered. A kubelet calls the pod by its address
    /// and does not check its certificate.
    pub(crate) async fn probe(
        &self,
        pod: &Value,
        name: &str,
    ) -> Result<StatusCode, reqwest::Error> {
        let probe = &pod["containers"][0][name]["httpGet"];
        assert_eq!(
            (&probe["scheme"], &probe["port"]),
            (&"HTTPS".into(), &"https".into())
        );
        let path = probe["path"].as_str().expect("a path");
        let client = Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true);
        let mut request = client
            .build()?
            .get(format!("https://127.0.0.1:{}{path}", self.port));
        for header in probe["httpHeaders"].as_array().into_iter().flatten() {
            let part = |part: &str| header[part].as_str().expect("a text").to_owned();
            request = request.header(part("name"), part("value"));
        }
        Ok(request.send().await?.status())
    }

    /// A request of a client in the cluster, with the name and password of [`crate::stock`].
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        self.call(Trust::Authority, path, None).await
    }

    /// The same with another trust, and with another Host header.
    pub(crate) async fn call(
        &self,
        trust: Trust,
        path: &str,
        host: Option<&str>,
    ) -> (StatusCode, String) {
        let authority = Certificate::from_pem(self.authority.as_bytes()).expect("an authority");
        let client = Client::builder().proxy(Proxy::all(&self.proxy).expect("a proxy"));
        let client = match trust {
            Trust::Authority => client.tls_certs_only([authority]),
            Trust::Anything => client.tls_danger_accept_invalid_certs(true),
        };
        let client = client.build().expect("a client");
        let mut request = client.get(format!("{ADDRESS}{path}"));
        if let Some(host) = host {
            request = request.header("Host", host);
        }
        let request = request.basic_auth(USER, Some(PASSWORD));
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// Runs the client with these words and gives what it prints.
    pub(crate) fn client(&self, words: &[&str]) -> Value {
        self.client_of(&format!("{ADDRESS}/mlflow"), words)
    }

    /// The same with the address of a store, in the place of that in the resource's status. The
    /// authority is in a file.
    pub(crate) fn client_of(&self, address: &str, words: &[&str]) -> Value {
        let authority = self.machine.volume("user-ca.crt");
        std::fs::write(&authority, &self.authority).expect("a file");
        let mut client = self.machine.python(include_str!("client.py"));
        client
            .args(words)
            .env("MLFLOW_TRACKING_URI", address)
            .env("MLFLOW_TRACKING_SERVER_CERT_PATH", authority)
            .env("MLFLOW_TRACKING_USERNAME", USER)
            .env("MLFLOW_TRACKING_PASSWORD", PASSWORD)
            .env("MLFLOW_DISABLE_TELEMETRY", "true");
        let output = said(&mut client);
        serde_json::from_str(output.lines().last().expect("a line")).expect("JSON")
    }
}
