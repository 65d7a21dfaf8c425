//! Serving certificates that an operator makes itself.
//!
//! Every issue makes an authority and one leaf that it signs, both ECDSA P-256 with SHA-256,
//! and forgets the authority's key: nothing at rest can sign a second certificate. Clients
//! trust a bundle of authorities that they read from a ConfigMap.
//!
//! A certificate is replaced in four steps, so that a client whose bundle is up to
//! [`OVERLAP`] old never meets a leaf that it cannot verify:
//!
//! 1. after two thirds of [`VALIDITY`] the next certificate is made, kept beside the one in
//!    use, and its authority joins the bundle;
//! 2. [`OVERLAP`] later the next one is put in use;
//! 3. the authority before stays in the bundle while pods still serve its leaf: until it
//!    expires, as nobody can sign with it;
//! 4. then it leaves the bundle.
//!
//! All of it is decided from the certificates themselves and the time. The only impure part
//! is [`Issue::issue`].

mod validity;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::ObjectMeta;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject};
use serde_json::Value;
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::content::{data, precondition};
use crate::kind::SECRET;
use crate::meta::pairs;
use crate::names::service_hosts;
use crate::plan::Precondition;
use validity::Validity;

/// How long a certificate is valid.
pub const VALIDITY: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long an authority is in the bundle before its leaf is in use.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// How far a certificate is dated back, for clients whose clock is behind.
pub const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Secret key of the leaf in use, PEM.
pub const CERTIFICATE: &str = "tls.crt";
/// Secret key of its private key, PEM.
pub const PRIVATE_KEY: &str = "tls.key";
/// Secret and ConfigMap key of the bundle of authorities, PEM.
pub const AUTHORITIES: &str = "ca.crt";
/// Secret key of the leaf that will be used next, PEM. Only there during the overlap.
pub const NEXT_CERTIFICATE: &str = "next.crt";
/// Secret key of its private key, PEM.
pub const NEXT_PRIVATE_KEY: &str = "next.key";

/// The bundle holds the authority in use, the next one and the one before.
const MOST_AUTHORITIES: usize = 3;

/// `data` of a Secret.
pub type SecretData = BTreeMap<String, ByteString>;

/// What serves now and what clients trust.
#[derive(Clone, Debug, PartialEq)]
pub struct Serving {
    /// The whole `data` of the Secret.
    pub secret: SecretData,
    /// Key [`AUTHORITIES`] of the ConfigMap for clients: every authority that may be in use.
    pub bundle: String,
    /// When [`advance`] has something to do again.
    pub due: Timestamp,
}

impl Serving {
    /// The Secret that pods serve with.
    #[must_use]
    pub fn secret(&self, metadata: ObjectMeta) -> Secret {
        Secret {
            metadata,
            data: Some(self.secret.clone()),
            type_: Some("kubernetes.io/tls".into()),
            ..Secret::default()
        }
    }
}

/// The ConfigMap by which clients know whom to trust.
#[must_use]
pub fn authorities(metadata: ObjectMeta, bundle: &str) -> ConfigMap {
    ConfigMap {
        metadata,
        data: Some(pairs([(AUTHORITIES, bundle)])),
        ..ConfigMap::default()
    }
}

/// One certificate as it was made, all PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The leaf.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub private_key: String,
    /// The authority that signed it, whose key is gone.
    pub authority: String,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no serving certificate for {names}: {source}")]
pub struct IssueError {
    /// The DNS names asked for.
    names: String,
    /// Cause.
    source: rcgen::Error,
}

/// Makes certificates. Needs randomness, which nothing else here does.
pub trait Issue {
    /// One leaf for these DNS names with an authority of its own, valid `from` .. `until`.
    fn issue(
        &self,
        names: &BTreeSet<String>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Issued, IssueError>;
}

/// Makes certificates with keys from the system's source of randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh;

impl Issue for Fresh {
    fn issue(
        &self,
        names: &BTreeSet<String>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Issued, IssueError> {
        issue(names, from, until).map_err(|source| IssueError {
            names: names
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            source,
        })
    }
}

fn issue(
    names: &BTreeSet<String>,
    from: Timestamp,
    until: Timestamp,
) -> Result<Issued, rcgen::Error> {
    let mut authority = CertificateParams::default();
    // The date makes the names of two authorities differ: some clients look one up by name.
    authority.distinguished_name = named(&format!("serving authority of {from}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.not_before = date(from)?;
    authority.not_after = date(until)?;
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;

    let mut leaf = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    leaf.distinguished_name = named("serving certificate");
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = authority.not_before;
    leaf.not_after = authority.not_after;
    let leaf_key = KeyPair::generate()?;
    let leaf_certificate = leaf.signed_by(&leaf_key, &Issuer::new(authority, authority_key))?;
    Ok(Issued {
        certificate: leaf_certificate.pem(),
        private_key: leaf_key.serialize_pem(),
        authority: authority_certificate.pem(),
    })
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn date(time: Timestamp) -> Result<OffsetDateTime, rcgen::Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| rcgen::Error::Time)
}

/// What the Secret of Service `service` holds at `now`, where `live` is there, and what must hold for
/// it to be written.
pub fn renew(
    live: Option<&Value>,
    service: &str,
    namespace: &str,
    now: Timestamp,
) -> Result<(Serving, Precondition), IssueError> {
    let existing = live.map(|secret| data(SECRET, secret));
    let names = service_hosts(service, namespace).into();
    let serving = advance(existing.as_ref(), &names, now, &Fresh)?;
    Ok((serving, precondition(live)))
}

/// The state that follows from `existing` at `now`.
///
/// What is usable is kept byte by byte; without `existing`, or with something that does not
/// serve `names`, a certificate is made and used at once. The authorities that clients may
/// still need stay in the bundle in either case.
pub fn advance(
    existing: Option<&SecretData>,
    names: &BTreeSet<String>,
    now: Timestamp,
    issuer: &impl Issue,
) -> Result<Serving, IssueError> {
    let mut authorities = existing
        .map(|data| Authority::all(data, now))
        .unwrap_or_default();
    let pair = |certificate, key| {
        existing.and_then(|data| Pair::read(data, certificate, key, &authorities, names, now))
    };
    let mut current = pair(CERTIFICATE, PRIVATE_KEY);
    let mut next = pair(NEXT_CERTIFICATE, NEXT_PRIVATE_KEY);

    let switch_is_due = match (&current, &next) {
        (Some(current), Some(next)) => now >= switch(current, next),
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if switch_is_due {
        current = next.take();
    }
    let current = match current {
        Some(current) => current,
        None => Pair::make(issuer, names, now, &mut authorities)?,
    };
    if next.is_none() && now >= current.renewal() {
        next = Some(Pair::make(issuer, names, now, &mut authorities)?);
    }

    Authority::limit(&mut authorities, &current, next.as_ref());
    let change = next
        .as_ref()
        .map_or_else(|| current.renewal(), |next| switch(&current, next));
    let due = authorities
        .iter()
        .map(|authority| authority.validity.until)
        .fold(change, Timestamp::min);
    let bundle: String = authorities
        .iter()
        .map(|authority| authority.pem.as_str())
        .collect();

    let mut secret = SecretData::new();
    let mut put = |key: &str, value: &str| {
        secret.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    };
    put(CERTIFICATE, &current.certificate);
    put(PRIVATE_KEY, &current.private_key);
    put(AUTHORITIES, &bundle);
    if let Some(next) = &next {
        put(NEXT_CERTIFICATE, &next.certificate);
        put(NEXT_PRIVATE_KEY, &next.private_key);
    }
    Ok(Serving {
        secret,
        bundle,
        due,
    })
}

/// When `next` replaces `current`: after the overlap, but before `current` expires.
fn switch(current: &Pair, next: &Pair) -> Timestamp {
    after(next.validity.from, SKEW + OVERLAP).min(after(current.validity.until, -SKEW))
}

/// A leaf with its key that is good for use.
struct Pair {
    certificate: String,
    private_key: String,
    /// DER of the authority that signed it.
    authority: CertificateDer<'static>,
    validity: Validity,
}

impl Pair {
    /// The leaf under these keys, if a client that trusts `authorities` accepts it now for
    /// every name, and for no other.
    fn read(
        data: &SecretData,
        certificate: &str,
        private_key: &str,
        authorities: &[Authority],
        names: &BTreeSet<String>,
        now: Timestamp,
    ) -> Option<Self> {
        let certificate = text(data, certificate)?;
        let private_key = text(data, private_key)?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        let leaf = EndEntityCert::try_from(&der).ok()?;
        let key = KeyPair::from_pem(private_key).ok()?;
        let has_key = leaf.subject_public_key_info().as_ref() == key.subject_public_key_info();
        let has_names = leaf.valid_dns_names().collect::<BTreeSet<_>>()
            == names.iter().map(String::as_str).collect();
        if !has_key || !has_names {
            return None;
        }
        let authority = authorities
            .iter()
            .find(|authority| authority.signed(&leaf, now))?;
        Some(Self {
            certificate: certificate.to_owned(),
            private_key: private_key.to_owned(),
            authority: authority.der.clone(),
            validity: Validity::of(&der)?,
        })
    }

    fn make(
        issuer: &impl Issue,
        names: &BTreeSet<String>,
        now: Timestamp,
        authorities: &mut Vec<Authority>,
    ) -> Result<Self, IssueError> {
        // Certificates count whole seconds.
        let from = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let validity = Validity {
            from: after(from, -SKEW),
            until: after(from, VALIDITY),
        };
        let new = issuer.issue(names, validity.from, validity.until)?;
        let made = Authority::parse(&new.authority);
        let authority = made
            .as_ref()
            .map_or_else(|| CertificateDer::from(Vec::new()), |made| made.der.clone());
        authorities.extend(made);
        Ok(Self {
            certificate: new.certificate,
            private_key: new.private_key,
            authority,
            validity,
        })
    }

    /// When its successor is made: two thirds into its life.
    fn renewal(&self) -> Timestamp {
        after(
            self.validity.from,
            self.validity.from.duration_until(self.validity.until) / 3 * 2,
        )
    }
}

/// A certificate that clients trust.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    validity: Validity,
}

impl Authority {
    /// Those in the Secret that have not expired. What is not a certificate is left out.
    fn all(data: &SecretData, now: Timestamp) -> Vec<Self> {
        text(data, AUTHORITIES)
            .unwrap_or_default()
            .split_inclusive(END)
            .filter_map(Self::parse)
            .filter(|authority| authority.validity.until > now)
            .collect()
    }

    /// The last certificate in `pem`.
    fn parse(pem: &str) -> Option<Self> {
        let begin = pem.rfind(BEGIN)?;
        let pem = format!("{}\n", pem.get(begin..)?.trim_end());
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        anchor_from_trusted_cert(&der).ok()?;
        let validity = Validity::of(&der)?;
        Some(Self { pem, der, validity })
    }

    fn signed(&self, leaf: &EndEntityCert<'_>, now: Timestamp) -> bool {
        let Ok(anchor) = anchor_from_trusted_cert(&self.der) else {
            return false;
        };
        let Ok(seconds) = u64::try_from(now.as_second()) else {
            return false;
        };
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let algorithms = &[crypto::ECDSA_P256_SHA256];
        leaf.verify_for_usage(
            algorithms,
            &[anchor],
            &[],
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .is_ok()
    }

    /// Keeps the authorities in use and the newest of the others.
    fn limit(authorities: &mut Vec<Self>, current: &Pair, next: Option<&Pair>) {
        let in_use = |a: &Self| {
            a.der == current.authority || next.is_some_and(|next| a.der == next.authority)
        };
        authorities.sort_by(|a, b| {
            in_use(b)
                .cmp(&in_use(a))
                .then_with(|| b.validity.from.cmp(&a.validity.from))
                .then_with(|| a.pem.cmp(&b.pem))
        });
        authorities.dedup_by(|a, b| a.der == b.der);
        authorities.truncate(MOST_AUTHORITIES);
    }
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

fn text<'a>(data: &'a SecretData, key: &str) -> Option<&'a str> {
    std::str::from_utf8(&data.get(key)?.0).ok()
}

/// `time` moved by `distance`; the far end of time where it would lie beyond.
fn after(time: Timestamp, distance: SignedDuration) -> Timestamp {
    time.saturating_add(distance).unwrap_or(time)
}

#[cfg(test)]
mod tests;
