//! Which cryptography the programs use. No other crate names a provider.
//!
//! It is ring. With the feature `fips` it is the FIPS module of aws-lc-rs, for TLS, for keys and
//! signatures of certificates, and for randomness.

use rustls::crypto::CryptoProvider;
#[cfg(feature = "fips")]
use {rustls::crypto::aws_lc_rs as library, webpki::aws_lc_rs as signatures};
#[cfg(not(feature = "fips"))]
use {rustls::crypto::ring as library, webpki::ring as signatures};

/// ECDSA with P-256 and SHA-256, to verify chains of certificates with `webpki`.
pub use signatures::ECDSA_P256_SHA256;

/// Whether this is a build with the FIPS module.
pub const FIPS: bool = cfg!(feature = "fips");

/// The operating system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

/// The provider, with all cipher suites that it admits.
#[must_use]
pub fn provider() -> CryptoProvider {
    library::default_provider()
}

/// Makes [`provider`] the process's. A second call changes nothing.
pub fn install() {
    // It fails only when a provider is set already, and there is one in the workspace.
    let _ = provider().install_default();
}

/// Fills `bytes` with random ones, good enough for keys and passwords.
pub fn random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    provider()
        .secure_random
        .fill(bytes)
        .map_err(|_| NoRandomness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, RootCertStore};
    use std::sync::Arc;

    /// A build that only calls itself so would be worse than none.
    #[test]
    fn fips_is_what_was_asked_for() {
        assert_eq!(provider().fips(), FIPS);
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        assert_eq!(config.fips(), FIPS);
    }

    #[test]
    fn randomness_is_not_the_same_twice() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        random(&mut one).unwrap();
        random(&mut other).unwrap();
        assert_ne!(one, other);
    }
}
