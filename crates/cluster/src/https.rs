//! Servers of this process that the API server calls.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Error;
use crate::pki::Identity;

/// Work in a thread of its own, until this is dropped.
pub(crate) struct Background(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Background {
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &str,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, Error> {
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(Error::io("starting a thread"))?;
        Ok(Self(Some((stop, thread))))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// A port that listens, and nobody behind it yet.
pub(crate) struct Door {
    /// The port, on the loopback address.
    pub(crate) port: u16,
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl Door {
    pub(crate) fn open(identity: &Identity) -> Result<Self, Error> {
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").map_err(Error::io("finding a free port"))?;
        let port = listener
            .local_addr()
            .map_err(Error::io("finding a free port"))?
            .port();
        listener
            .set_nonblocking(true)
            .map_err(Error::io("listening"))?;
        let acceptor = acceptor(&identity.certificate, &identity.key)
            .map_err(|error| Error::io("TLS of a server")(io::Error::other(error)))?;
        Ok(Self {
            port,
            listener,
            acceptor,
        })
    }

    /// Answers until dropped.
    pub(crate) async fn serve(self, router: Router) {
        if let Ok(listener) = TcpListener::from_std(self.listener) {
            let acceptor = self.acceptor;
            let _ = axum::serve(Tls { listener, acceptor }, router).await;
        }
    }
}

fn acceptor(
    certificate: &str,
    key: &str,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let provider = Arc::new(crypto::provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener whose connections are TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            // The only client is the API server, so a slow handshake holds up nobody else.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
