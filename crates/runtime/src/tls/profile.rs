//! Which TLS versions and cipher suites are served.

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::CryptoProvider,
    version::{TLS12, TLS13},
};

use super::{ServingCertificate, TlsError};

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
            suites: crypto::provider().cipher_suites,
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

    /// The server's configuration with this profile and certificate, for HTTP/1.1. Nothing is
    /// served by HTTP/2, as by the Go operators unless they are told otherwise: a scraper and an
    /// API server ask for one thing at a time, and floods of resets are no concern.
    pub fn server_config(
        &self,
        certificate: Arc<ServingCertificate>,
    ) -> Result<ServerConfig, TlsError> {
        let provider = CryptoProvider {
            cipher_suites: self.suites.clone(),
            ..crypto::provider()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_of_openshift() {
        let names = |profile: &TlsProfile| -> Vec<&'static str> {
            profile
                .suites
                .iter()
                .filter_map(|suite| suite.suite().as_str())
                .collect()
        };
        // FIPS knows no ChaCha20.
        let fips = crypto::provider().fips();
        let all = if fips { 6 } else { 9 };
        assert_eq!(TlsProfile::default().suites.len(), all);
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
            .into_iter()
            .filter(|name| !fips || !name.contains("CHACHA20"))
            .collect::<Vec<_>>()
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
}
