//! The Service: clients call the server by its name in the cluster, as in one, and a proxy leads them
//! to the process. Certificates are checked for that name.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Starts a proxy for HTTPS that knows one name, `HOST:PORT`, and gives the proxy's URL.
pub(crate) fn play(name: &str, target: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let name = name.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let name = name.clone();
            // A client or server that goes away ends its own connection and no other.
            thread::spawn(move || drop(connect(client, &name, target)));
        }
    });
    format!("http://{address}")
}

fn connect(mut client: TcpStream, name: &str, target: u16) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if !head.starts_with(&format!("CONNECT {name} ")) {
        return client.write_all(b"HTTP/1.1 502 unknown name\r\n\r\n");
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)) else {
        return client.write_all(b"HTTP/1.1 503 no endpoint is ready\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let copied = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
        copied
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}
