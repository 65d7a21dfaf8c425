//! A way out for who has no other: it alone knows where the names of the tests are. It tunnels
//! (CONNECT) and passes plain requests on, to who gives its password.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const PASSWORD: &str = "s3cret-of-the-proxy";

/// A running proxy. It ends with the test's runtime.
pub(crate) struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `names`: a name with its port, and the address behind it.
    pub(crate) async fn start(names: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (names, record) = (Arc::new(names), asked.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (names, record) = (names.clone(), record.clone());
                // A connection that ends early is its client's business.
                tokio::spawn(async move { serve(client, &names, &record).await });
            }
        });
        Self { address, asked }
    }

    /// What goes into `HTTPS_PROXY`.
    pub(crate) fn url(&self, password: &str) -> String {
        format!("http://me:{password}@{}", self.address)
    }

    /// Method and target (`host:port`) of what was asked, in order, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

async fn serve(
    mut client: TcpStream,
    names: &[(&str, String)],
    record: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (target, path) = match target.strip_prefix("http://") {
        // A plain request names the whole address.
        Some(rest) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let port = if host.contains(':') { "" } else { ":80" };
            (format!("{host}{port}"), Some(format!("/{path}")))
        }
        None => (target.to_owned(), None),
    };
    record.lock().unwrap().push(format!("{method} {target}"));
    let right = STANDARD.encode(format!("me:{PASSWORD}"));
    let allowed = headers.lines().any(|line| {
        let header = line.split_once(": ");
        header.is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {right}")
        })
    });
    let found = names.iter().find(|(name, _)| *name == target);
    let refusal = match found {
        _ if !allowed => Some("407 Proxy Authentication Required"),
        None => Some("502 Bad Gateway"),
        Some(_) => None,
    };
    if let Some(status) = refusal {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let mut server = TcpStream::connect(&found.unwrap().1).await?;
    match path {
        None => client.write_all(b"HTTP/1.1 200 Here\r\n\r\n").await?,
        Some(path) => {
            // One request for each connection; what is meant for the proxy stays here.
            let headers: String = headers
                .split_inclusive("\r\n")
                .filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"))
                .collect();
            let head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}");
            server.write_all(head.as_bytes()).await?;
        }
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
