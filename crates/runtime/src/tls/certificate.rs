//! The certificate that is served, which may change while it is.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::task::JoinHandle;

use super::{TlsError, not_after};

/// How often certificate files are read. A Secret's volume changes about once a minute.
const RELOAD: Duration = Duration::from_secs(10);

/// Life of a certificate that nobody verifies.
const SELF_SIGNED: SignedDuration = SignedDuration::from_hours(365 * 24);

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
        let pair = CertifiedKey::from_der(chain, key, &crypto::provider())?;
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
