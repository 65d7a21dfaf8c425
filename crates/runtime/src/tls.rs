//! Serving TLS: which versions and ciphers, certificates that change while we serve, and a
//! listener on which a slow client delays nobody.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::serve::Listener;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls_profile::TlsConfig;

/// A client that has not finished the handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once. More wait in the kernel's queue.
const HANDSHAKES: usize = 512;
/// How often certificate files are read. A Secret's volume changes about once a minute.
const RELOAD: Duration = Duration::from_secs(10);
/// Life of a certificate that nobody verifies.
const SELF_SIGNED: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Something about certificates that does not work.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key that is none.
    #[error("{0}")]
    Pem(String),
    /// rustls refuses the pair, the versions or the ciphers.
    #[error("TLS cannot be served like this: {0}")]
    Refused(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no self-signed certificate could be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// Which TLS versions and cipher suites are served.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsProfile {
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
}

impl Default for TlsProfile {
    fn default() -> Self {
        Self::intermediate()
    }
}

impl TlsProfile {
    /// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption.
    #[must_use]
    pub fn intermediate() -> Self {
        Self {
            versions: vec![&TLS13, &TLS12],
            suites: ring::ALL_CIPHER_SUITES.to_vec(),
        }
    }

    /// TLS 1.3 only.
    #[must_use]
    pub fn modern() -> Self {
        Self {
            versions: vec![&TLS13],
            ..Self::intermediate()
        }
    }

    /// From OpenSSL's names, as OpenShift's TLS profiles have them. Suites that rustls leaves out
    /// as unsafe are left out here; a version of which no suite is named has all of its suites
    /// when it is TLS 1.3, as in Go, and is not served when it is TLS 1.2.
    #[must_use]
    pub fn custom(min_tls_1_3: bool, ciphers: &[&str]) -> Self {
        let all = Self::intermediate().suites;
        let (named, unnamed): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|suite| ciphers.iter().any(|name| is(*suite, name)));
        let is_1_3 = |suite: &SupportedCipherSuite| suite.version() == &TLS13;
        let mut suites: Vec<_> = named
            .iter()
            .filter(|suite| is_1_3(suite))
            .copied()
            .collect();
        if suites.is_empty() {
            suites = unnamed.into_iter().filter(is_1_3).collect();
        }
        let mut versions = vec![&TLS13];
        if !min_tls_1_3 && named.iter().any(|suite| !is_1_3(suite)) {
            versions.push(&TLS12);
            suites.extend(named.into_iter().filter(|suite| !is_1_3(suite)));
        }
        Self { versions, suites }
    }

    /// From `apiservers.config.openshift.io/cluster`. The profile `Old` and versions before 1.2
    /// are served as the intermediate one: rustls has nothing older.
    #[must_use]
    pub fn from_openshift(apiserver: &serde_json::Value) -> Self {
        let Some(profile) = apiserver.pointer("/spec/tlsSecurityProfile") else {
            return Self::default();
        };
        match profile.get("type").and_then(serde_json::Value::as_str) {
            Some("Modern") => Self::modern(),
            Some("Custom") => {
                let custom = |pointer: &str| profile.pointer(pointer);
                let ciphers: Vec<&str> = custom("/custom/ciphers")
                    .and_then(serde_json::Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(serde_json::Value::as_str)
                    .collect();
                let min = custom("/custom/minTLSVersion").and_then(serde_json::Value::as_str);
                Self::custom(min == Some("VersionTLS13"), &ciphers)
            }
            _ => Self::intermediate(),
        }
    }

    /// The server's configuration with this profile and certificate, for HTTP/1.1.
    pub fn server_config(
        &self,
        certificate: Arc<ServingCertificate>,
    ) -> Result<ServerConfig, TlsError> {
        let provider = CryptoProvider {
            cipher_suites: self.suites.clone(),
            ..ring::default_provider()
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.versions)?
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// For the log: `TLSv1_2 and later, 9 cipher suites`.
impl fmt::Display for TlsProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(oldest) = self.versions.last() {
            write!(f, "{:?} and later, ", oldest.version)?;
        }
        let served = |suite: &&SupportedCipherSuite| self.versions.contains(&suite.version());
        write!(
            f,
            "{} cipher suites",
            self.suites.iter().filter(served).count()
        )
    }
}

/// Whether rustls' suite has this name in OpenSSL: `ECDHE-RSA-AES128-GCM-SHA256` is
/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`, and those of TLS 1.3 are called alike.
fn is(suite: SupportedCipherSuite, openssl: &str) -> bool {
    let Some(name) = suite.suite().as_str() else {
        return false;
    };
    let name = name
        .replace("TLS13_", "TLS_")
        .replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305");
    if suite.version() == &TLS13 {
        return openssl.replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305") == name;
    }
    let short = name
        .trim_start_matches("TLS_")
        .replace("_WITH_", "_")
        .replace("AES_128", "AES128")
        .replace("AES_256", "AES256")
        .replace('_', "-");
    openssl == short
}

/// The certificate that is served, which may change while it is.
#[derive(Debug, Default)]
pub struct ServingCertificate {
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

impl ServingCertificate {
    /// None yet: handshakes fail until there is one.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.current().is_some()
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        not_after(self.current()?.cert.first()?)
    }

    /// Serves this chain and key from now on. A pair that does not match is refused, and what
    /// was served before is served further.
    pub fn set_pem(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Pem(format!("the certificate is not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(TlsError::Pem(
                "there is no certificate in the PEM text".to_owned(),
            ));
        }
        // The parser's error could repeat the text, which is secret.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsError::Pem("the private key is not PEM".to_owned()))?;
        self.set(chain, key)
    }

    fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let pair = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
        Ok(())
    }

    /// Serves a fresh certificate that nobody can verify, for metrics without a certificate.
    pub fn set_self_signed(&self, names: &[&str]) -> Result<(), TlsError> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        let end = Timestamp::now()
            .saturating_add(SELF_SIGNED)
            .unwrap_or(Timestamp::MAX);
        let date = end.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        params.not_after = rcgen::date_time_ymd(i32::from(date.year()), month, day);
        params
            .distinguished_name
            .push(DnType::CommonName, "self-signed");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| TlsError::Pem(error.to_owned()))?;
        self.set(vec![certificate.der().clone()], key)
    }

    /// Serves the files' certificate and follows them: what a Secret's volume holds after a
    /// rotation is served within 10 s. A bad pair is logged, and the one before served further.
    /// `loaded` is called after each load.
    ///
    /// # Errors
    /// The files cannot be used now.
    pub fn follow_files(
        self: &Arc<Self>,
        chain: PathBuf,
        key: PathBuf,
        loaded: impl Fn(&Self) + Send + 'static,
    ) -> Result<JoinHandle<()>, TlsError> {
        let mut last = (read(&chain)?, read(&key)?);
        self.set_pem(&last.0, &last.1)?;
        loaded(self);
        let certificate = Arc::clone(self);
        Ok(tokio::spawn(async move {
            loop {
                tokio::time::sleep(RELOAD).await;
                let next = match (read(&chain), read(&key)) {
                    (Ok(chain), Ok(key)) => (chain, key),
                    (Err(error), _) | (_, Err(error)) => {
                        tracing::warn!(%error, "the certificate in use stays");
                        continue;
                    }
                };
                if next == last {
                    continue;
                }
                match certificate.set_pem(&next.0, &next.1) {
                    Ok(()) => {
                        tracing::info!(file = %chain.display(), "a new certificate is served");
                        loaded(&certificate);
                    }
                    Err(error) => tracing::warn!(
                        %error, file = %chain.display(), "the certificate in use stays"
                    ),
                }
                last = next;
            }
        }))
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })
}

/// The end of a certificate's validity, read from its DER (RFC 5280, 4.1).
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const SEQUENCE: u8 = 0x30;
    const EXPLICIT_VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate)?;
    if let Some((EXPLICIT_VERSION, _, rest)) = element(fields) {
        fields = rest;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, _, validity) = element(validity)?;
    let (tag, text, _) = element(validity)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = if tag == UTC_TIME {
        let century = if text.get(..2)?.parse::<u8>().ok()? < 50 {
            "20"
        } else {
            "19"
        };
        format!("{century}{text}")
    } else {
        text.to_owned()
    };
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// The first element of a DER text: its tag, its content, and what follows.
fn element(text: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = text.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (
            digits
                .iter()
                .fold(0, |length, &digit| length << 8 | usize::from(digit)),
            rest,
        )
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A listener whose connections have finished their handshake.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: JoinHandle<()>,
}

impl TlsListener {
    /// Accepts on `tcp`. Handshakes run beside each other and end after 10 s.
    pub fn new(tcp: TcpListener, config: TlsConfig) -> io::Result<Self> {
        let address = tcp.local_addr()?;
        let (done, ready) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(tcp, config, done));
        Ok(Self {
            address,
            ready,
            accepting,
        })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    mut tcp: TcpListener,
    mut config: TlsConfig,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    config.known().await;
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (stream, peer) = Listener::accept(&mut tcp).await;
        let acceptor = TlsAcceptor::from(config.current());
        let done = done.clone();
        tokio::spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(slot);
            match handshake {
                // Nobody listens any more only at the end of the process.
                Ok(Ok(stream)) => drop(done.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only with this listener.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn served(certificate: &ServingCertificate) -> Vec<u8> {
        certificate.current().unwrap().cert[0].to_vec()
    }

    #[test]
    fn a_certificate_changes_and_a_bad_pair_does_not_replace_it() {
        let certificate = ServingCertificate::new();
        assert!(!certificate.is_loaded());
        let (chain, key) = pem("a");
        certificate
            .set_pem(chain.as_bytes(), key.as_bytes())
            .unwrap();
        let first = served(&certificate);
        assert_eq!(
            certificate.expires(),
            Some("2031-02-03T00:00:00Z".parse().unwrap())
        );
        let (other, other_key) = pem("b");
        assert!(
            certificate
                .set_pem(other.as_bytes(), key.as_bytes())
                .is_err()
        );
        assert!(certificate.set_pem(b"", key.as_bytes()).is_err());
        let error = certificate
            .set_pem(other.as_bytes(), b"secret")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(served(&certificate), first);
        certificate
            .set_pem(other.as_bytes(), other_key.as_bytes())
            .unwrap();
        assert_ne!(served(&certificate), first);
    }

    #[test]
    fn a_self_signed_certificate_lasts_a_year() {
        let certificate = ServingCertificate::new();
        certificate.set_self_signed(&["localhost"]).unwrap();
        let left = certificate
            .expires()
            .unwrap()
            .duration_since(Timestamp::now());
        assert!((363..=366).contains(&(left.as_hours() / 24)), "{left:?}");
    }

    #[test]
    fn no_text_of_bytes_is_a_certificate_by_accident() {
        assert_eq!(not_after(b""), None);
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(not_after(&[0x30, 0xff]), None);
        let certificate = ServingCertificate::new();
        certificate.set_self_signed(&["localhost"]).unwrap();
        let der = served(&certificate);
        for end in 0..der.len() {
            assert_eq!(not_after(&der[..end]), None);
        }
    }

    #[test]
    fn profiles_of_openshift() {
        let names = |profile: &TlsProfile| -> Vec<&'static str> {
            profile
                .suites
                .iter()
                .filter_map(|suite| suite.suite().as_str())
                .collect()
        };
        assert_eq!(TlsProfile::default().suites.len(), 9);
        assert_eq!(TlsProfile::modern().versions, [&TLS13]);
        let custom = TlsProfile::custom(
            false,
            &[
                "ECDHE-RSA-AES128-GCM-SHA256",
                "ECDHE-ECDSA-CHACHA20-POLY1305",
                "AES128-SHA",
            ],
        );
        assert_eq!(
            names(&custom),
            [
                "TLS13_AES_256_GCM_SHA384",
                "TLS13_AES_128_GCM_SHA256",
                "TLS13_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ]
        );
        let only = TlsProfile::custom(true, &["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(names(&only), ["TLS13_AES_128_GCM_SHA256"]);
        assert_eq!(only.versions, [&TLS13]);
        assert_eq!(
            TlsProfile::custom(false, &["AES128-SHA"]).versions,
            [&TLS13]
        );
    }

    #[test]
    fn the_profile_of_a_cluster() {
        let profile = |spec| TlsProfile::from_openshift(&serde_json::json!({"spec": spec}));
        let named = |name: &str| profile(serde_json::json!({"tlsSecurityProfile": {"type": name}}));
        assert_eq!(profile(serde_json::json!({})), TlsProfile::intermediate());
        assert_eq!(named("Old"), TlsProfile::intermediate());
        assert_eq!(named("Modern"), TlsProfile::modern());
        let custom = profile(
            serde_json::json!({"tlsSecurityProfile": {"type": "Custom", "custom": {
                "ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"], "minTLSVersion": "VersionTLS12",
            }}}),
        );
        assert_eq!(
            custom,
            TlsProfile::custom(false, &["ECDHE-RSA-AES128-GCM-SHA256"])
        );
        assert_eq!(custom.versions, [&TLS13, &TLS12]);
    }

    #[tokio::test(start_paused = true)]
    async fn rotated_files_are_served() {
        let dir = std::env::temp_dir().join(format!("tls-{}", crate::lease::identity()));
        std::fs::create_dir(&dir).unwrap();
        let files = (dir.join("tls.crt"), dir.join("tls.key"));
        let write = |(chain, key): (String, String)| {
            std::fs::write(&files.0, chain).unwrap();
            std::fs::write(&files.1, key).unwrap();
        };
        let certificate = ServingCertificate::new();
        let missing = certificate.follow_files(files.0.clone(), files.1.clone(), |_| {});
        assert!(missing.unwrap_err().to_string().contains("tls.crt"));
        write(pem("a"));
        let task = certificate
            .follow_files(files.0.clone(), files.1.clone(), |_| {})
            .unwrap();
        let first = served(&certificate);
        std::fs::write(&files.0, "half written").unwrap();
        tokio::time::sleep(RELOAD * 2).await;
        assert_eq!(served(&certificate), first);
        write(pem("b"));
        tokio::time::sleep(RELOAD * 2).await;
        assert_ne!(served(&certificate), first);
        task.abort();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
