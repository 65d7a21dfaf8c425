//! A front before a server: looks at signatures, and makes the trouble that networks make.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusty_s3::Method;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::bucket::sign;

/// The first byte of a connection with TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// How long a refused request may go on sending.
const LINGER: std::time::Duration = std::time::Duration::from_secs(10);

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// It is cut after so many bytes from the client.
    CutUp(u64),
    /// It is cut after so many bytes from the server.
    CutDown(u64),
    /// The server answers this status and hangs up, whatever is still coming.
    Status(u16),
    /// The server answers this status, and reads what is still coming, so that the answer arrives.
    Refuse(u16),
    /// What the server says comes a little at a time.
    Slow,
}

/// What a front did.
#[derive(Debug, Default)]
pub struct Seen {
    /// Bytes from clients, without heads.
    pub up: AtomicU64,
    /// Connections that met trouble.
    pub troubled: AtomicU64,
    /// Requests whose signature was wrong or missing.
    pub refused: AtomicU64,
}

/// A front. Each connection carries one request.
pub struct Front {
    pub address: String,
    pub seen: Arc<Seen>,
}

/// Puts a front before `server`. `trouble` decides by the number of the connection and the head of
/// the request; `secret` is the key that signatures must be made with.
pub async fn front<F>(server: &str, secret: Option<&'static str>, trouble: F) -> Front
where
    F: Fn(u64, &str) -> Trouble + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Seen::default());
    let (server, trouble, shared) = (server.to_owned(), Arc::new(trouble), seen.clone());
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((client, _)) = listener.accept().await {
            number += 1;
            let (server, trouble, seen) = (server.clone(), trouble.clone(), shared.clone());
            tokio::spawn(async move {
                // A connection that breaks is what this is for.
                let _ = serve(client, &server, secret, number, &*trouble, &seen).await;
            });
        }
    });
    Front { address, seen }
}

async fn serve(
    mut client: TcpStream,
    server: &str,
    secret: Option<&str>,
    number: u64,
    trouble: &(dyn Fn(u64, &str) -> Trouble + Send + Sync),
    seen: &Seen,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
        // A client that tries TLS first sends no request until it is answered.
        if head[0] == TLS_HANDSHAKE {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let trouble = trouble(number, &head);
    if trouble != Trouble::None {
        seen.troubled.fetch_add(1, Ordering::Relaxed);
    }
    let right = secret.is_none_or(|secret| signed(line, headers, secret));
    let status = match trouble {
        _ if !right => Some(403),
        Trouble::Status(status) | Trouble::Refuse(status) => Some(status),
        _ => None,
    };
    if let Some(status) = status {
        if !right {
            seen.refused.fetch_add(1, Ordering::Relaxed);
        }
        let answer = format!(
            "HTTP/1.1 {status} Trouble\r\ncontent-length: 0\r\nretry-after: 0\r\nconnection: close\r\n\r\n"
        );
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        if matches!(trouble, Trouble::Refuse(_)) {
            let mut dropped = tokio::io::sink();
            let rest = tokio::io::copy(&mut client, &mut dropped);
            // A client that neither sends nor ends is let go.
            let _ = tokio::time::timeout(LINGER, rest).await;
        }
        return Ok(());
    }
    let line = without_token(line, headers).unwrap_or_else(|| line.to_owned());
    let mut server = TcpStream::connect(server).await?;
    // One request for each connection, so that each has its own trouble.
    server
        .write_all(format!("{line}\r\nconnection: close\r\n{headers}").as_bytes())
        .await?;
    let (mut client_read, mut client_write) = client.split();
    let (mut server_read, mut server_write) = server.split();
    let limits = match trouble {
        Trouble::CutUp(bytes) => (bytes, u64::MAX),
        Trouble::CutDown(bytes) => (u64::MAX, bytes),
        _ => (u64::MAX, u64::MAX),
    };
    let up = async {
        let mut left = limits.0;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let read = client_read.read(&mut buffer).await?;
            if read == 0 {
                // The client may be done with sending and still listen.
                return std::future::pending().await;
            }
            let taken = read.min(usize::try_from(left).unwrap_or(usize::MAX));
            seen.up.fetch_add(taken as u64, Ordering::Relaxed);
            server_write.write_all(&buffer[..taken]).await?;
            left -= taken as u64;
        }
        Ok::<_, std::io::Error>(())
    };
    let down = async {
        let mut left = limits.1;
        let mut buffer = vec![
            0;
            if trouble == Trouble::Slow {
                512 << 10
            } else {
                64 << 10
            }
        ];
        while left > 0 {
            let read = server_read.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            if trouble == Trouble::Slow {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            let taken = read.min(usize::try_from(left).unwrap_or(usize::MAX));
            client_write.write_all(&buffer[..taken]).await?;
            left -= taken as u64;
        }
        Ok::<_, std::io::Error>(())
    };
    // Whichever ends first ends both: a cut connection is cut both ways.
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// The request line of a presigned request with a session token, signed by the bucket's owner
/// instead: the server behind knows no sessions.
fn without_token(line: &str, headers: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        _ => return None,
    };
    let host = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then_some(value.trim())
    })?;
    let url = url::Url::parse(&format!("http://{host}{target}")).ok()?;
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !query.iter().any(|(name, _)| name == "X-Amz-Security-Token") {
        return None;
    }
    let mut query: Vec<(&str, &str)> = query
        .iter()
        .filter(|(name, _)| !name.starts_with("X-Amz-"))
        .map(|(name, value)| (&**name, &**value))
        .collect();
    query.sort_unstable();
    let signed = sign(method, url.clone(), &query);
    let target = &signed[url::Position::BeforePath..];
    Some(format!("{} {target} {version}", line.split(' ').next()?))
}

/// Whether a presigned request is signed with `secret`, by the rules of AWS's Signature Version 4.
fn signed(line: &str, headers: &str, secret: &str) -> bool {
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<&str> = query.split('&').collect();
    let given = pairs
        .iter()
        .find_map(|pair| pair.strip_prefix("X-Amz-Signature="));
    let Some(given) = given.map(str::to_owned) else {
        return false;
    };
    pairs.retain(|pair| !pair.starts_with("X-Amz-Signature="));
    let pairs: Vec<String> = {
        let mut with: Vec<String> = pairs
            .iter()
            .map(|pair| {
                if pair.contains('=') {
                    (*pair).to_owned()
                } else {
                    format!("{pair}=")
                }
            })
            .collect();
        with.sort_unstable();
        with
    };
    let value = |name: &str| {
        let prefix = format!("{name}=");
        let value = pairs.iter().find_map(|pair| pair.strip_prefix(&prefix));
        percent_encoding::percent_decode_str(value.unwrap_or_default())
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let names = value("X-Amz-SignedHeaders");
    let mut canonical_headers = String::new();
    for name in names.split(';') {
        let found = headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        canonical_headers += &[name, ":", found.unwrap_or_default(), "\n"].concat();
    }
    // What is about the object must be covered by the signature.
    let uncovered = headers.lines().any(|line| {
        let name = line
            .split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        name.starts_with("x-amz-") && !names.split(';').any(|signed| signed == name)
    });
    let request = [
        method,
        path,
        &pairs.join("&"),
        &canonical_headers,
        &names,
        "UNSIGNED-PAYLOAD",
    ]
    .join("\n");
    let credential = value("X-Amz-Credential");
    let scope: Vec<&str> = credential.split('/').skip(1).collect();
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        value("X-Amz-Date"),
        scope.join("/"),
        async_upload::oci::hex(&Sha256::digest(request.as_bytes()))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope {
        key = hmac(&key, part.as_bytes());
    }
    !uncovered && async_upload::oci::hex(&hmac(&key, text.as_bytes())) == given
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner.finalize())
        .finalize()
        .to_vec()
}
