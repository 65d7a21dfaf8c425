//! Fulcio, Rekor and a TUF repository in one server, with keys of their own. What they sign, any
//! verifier that trusts [`Sigstore::trusted_root`] can verify: certificates with an embedded
//! timestamp of a CT log, log entries with promise, proof and checkpoint, TUF metadata.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey as _,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Who issues the tokens of the tests.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// The name of the log in its checkpoints.
const ORIGIN: &str = "rekor.example.com - 1";

const NOT_BEFORE_SLACK: time::Duration = time::Duration::minutes(5);

/// A running Sigstore. It ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Sigstore {
    state: Arc<Keys>,
    address: SocketAddr,
}

struct Keys {
    authority: Issuer<'static, KeyPair>,
    authority_der: Vec<u8>,
    ct: KeyPair,
    rekor: KeyPair,
    tuf: KeyPair,
    entries: AtomicU64,
    base: std::sync::OnceLock<String>,
}

impl Sigstore {
    pub(crate) async fn start() -> Self {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = name("fulcio");
        params.not_before = time::OffsetDateTime::now_utc() - NOT_BEFORE_SLACK;
        let authority_key = key();
        let authority_der = params.self_signed(&authority_key).unwrap().der().to_vec();
        let state = Arc::new(Keys {
            authority: Issuer::new(params, authority_key),
            authority_der,
            ct: key(),
            rekor: key(),
            tuf: key(),
            entries: AtomicU64::new(0),
            base: std::sync::OnceLock::new(),
        });
        let router = Router::new().fallback(answer).with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        state.base.set(format!("http://{address}")).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { state, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of the TUF repository.
    pub(crate) fn tuf(&self) -> String {
        format!("{}/tuf", self.url())
    }

    /// What verifiers trust.
    pub(crate) fn trusted_root(&self) -> Value {
        self.state.trusted_root()
    }

    /// The root of the TUF repository.
    pub(crate) fn tuf_root(&self) -> Vec<u8> {
        self.state.tuf_file("root.json").unwrap()
    }

    /// A token of a service account. Fulcio does not look at its signature.
    pub(crate) fn token(namespace: &str, account: &str) -> String {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        let claims = json!({
            "iss": ISSUER,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "aud": ["sigstore"],
            "iat": now - 5,
            "exp": now + 3600,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&claims))
    }
}

async fn answer(State(keys): State<Arc<Keys>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(file) = uri.path().strip_prefix("/tuf/") {
        return match keys.tuf_file(file) {
            Some(content) => content.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    match (method.as_str(), uri.path()) {
        ("POST", "/api/v2/signingCert") => match keys.certificate(&request) {
            Some(answer) => axum::Json(answer).into_response(),
            None => (StatusCode::BAD_REQUEST, "no such identity").into_response(),
        },
        ("POST", "/api/v1/log/entries") => match keys.log(&request) {
            Some(answer) => (StatusCode::CREATED, axum::Json(answer)).into_response(),
            None => (StatusCode::BAD_REQUEST, "no such kind").into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The public key of a certificate request: the point behind the fixed beginning of its DER.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Keys {
    /// Fulcio: a certificate for the subject of the token.
    fn certificate(&self, request: &Value) -> Option<Value> {
        let token = request["credentials"]["oidcIdentityToken"].as_str()?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let account = claims["sub"]
            .as_str()?
            .strip_prefix("system:serviceaccount:")?;
        let (namespace, account) = account.split_once(':')?;
        let identity =
            format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}");
        let pem = request["publicKeyRequest"]["publicKey"]["content"].as_str()?;
        let spki = from_pem(pem)?;
        let key = Requested(spki.get(spki.len().checked_sub(65)?..)?.to_vec());

        let now = time::OffsetDateTime::now_utc();
        let issuer = claims["iss"].as_str()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(
            now.unix_timestamp_nanos().to_be_bytes()[8..].to_vec(),
        ));
        params.not_before = now - NOT_BEFORE_SLACK;
        params.not_after = now + time::Duration::minutes(10);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![SanType::URI(identity.try_into().ok()?)];
        let mut utf8 = vec![0x0c, u8::try_from(issuer.len()).ok()?];
        utf8.extend_from_slice(issuer.as_bytes());
        params.custom_extensions = vec![
            extension(&[1, 3, 6, 1, 4, 1, 57264, 1, 1], issuer.as_bytes().to_vec()),
            extension(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], utf8),
        ];
        // The CT log signs the certificate as it is without its own timestamp.
        let before = params.signed_by(&key, &self.authority).ok()?;
        let sct = self.timestamp(first_member(before.der())?);
        let sct_extension = extension(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], sct);
        params.custom_extensions.push(sct_extension);
        let leaf = params.signed_by(&key, &self.authority).ok()?;
        let chain = [
            pem_of("CERTIFICATE", leaf.der()),
            pem_of("CERTIFICATE", &self.authority_der),
        ];
        Some(json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}))
    }

    /// The CT log: a list with one timestamp, as the content of its extension (RFC 6962, 3.3).
    fn timestamp(&self, certificate: &[u8]) -> Vec<u8> {
        let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let now = u64::try_from(now).unwrap().to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend_from_slice(&now);
        signed.extend_from_slice(&[0, 1]);
        let issuer = self.authority.key().subject_public_key_info();
        signed.extend_from_slice(&Sha256::digest(issuer));
        let length = u32::try_from(certificate.len()).unwrap().to_be_bytes();
        signed.extend_from_slice(&length[1..]);
        signed.extend_from_slice(certificate);
        signed.extend_from_slice(&[0, 0]);
        let signature = self.ct.sign(&signed).unwrap();

        let mut one = vec![0];
        one.extend_from_slice(&Sha256::digest(self.ct.subject_public_key_info()));
        one.extend_from_slice(&now);
        // No extensions; SHA-256 with ECDSA.
        one.extend_from_slice(&[0, 0, 4, 3]);
        one.extend_from_slice(&u16::try_from(signature.len()).unwrap().to_be_bytes());
        one.extend_from_slice(&signature);
        let mut list = Vec::new();
        list.extend_from_slice(&u16::try_from(one.len() + 2).unwrap().to_be_bytes());
        list.extend_from_slice(&u16::try_from(one.len()).unwrap().to_be_bytes());
        list.extend_from_slice(&one);
        let mut octets = vec![0x04];
        // One signature makes a list of some 120 bytes.
        let length = u8::try_from(list.len()).unwrap();
        if length >= 0x80 {
            octets.push(0x81);
        }
        octets.push(length);
        octets.extend_from_slice(&list);
        octets
    }

    /// Rekor: an entry in a log that holds nothing else.
    fn log(&self, request: &Value) -> Option<Value> {
        let body = match request["kind"].as_str()? {
            "hashedrekord" => json!({
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": request["spec"]["data"]["hash"]},
                    "signature": {
                        "content": request["spec"]["signature"]["content"],
                        "publicKey": {
                            "content": canonical_pem(
                                &request["spec"]["signature"]["publicKey"]["content"],
                            )?,
                        },
                    },
                },
            }),
            "dsse" => {
                let proposed = &request["spec"]["proposedContent"];
                let text = proposed["envelope"].as_str()?;
                let envelope: Value = serde_json::from_str(text).ok()?;
                let payload = STANDARD.decode(envelope["payload"].as_str()?).ok()?;
                json!({
                    "apiVersion": "0.0.1",
                    "kind": "dsse",
                    "spec": {
                        "envelopeHash": {"algorithm": "sha256", "value": hash(text.as_bytes())},
                        "payloadHash": {"algorithm": "sha256", "value": hash(&payload)},
                        "signatures": [{
                            "signature": envelope["signatures"][0]["sig"],
                            "verifier": canonical_pem(&proposed["verifiers"][0])?,
                        }],
                    },
                })
            }
            _ => return None,
        };
        let body = body.to_string();
        let encoded = STANDARD.encode(&body);
        let key_id = Sha256::digest(self.rekor.subject_public_key_info());
        let log_id = hex(&key_id);
        let index = self.entries.fetch_add(1, Ordering::Relaxed);
        let integrated = time::OffsetDateTime::now_utc().unix_timestamp();
        let promise = json!({
            "body": encoded, "integratedTime": integrated, "logID": log_id, "logIndex": index,
        });
        let promise = self.rekor.sign(promise.to_string().as_bytes()).unwrap();
        let leaf = Sha256::digest([&[0], body.as_bytes()].concat());
        let note = format!("{ORIGIN}\n1\n{}\n", STANDARD.encode(leaf));
        let mut signature = key_id[..4].to_vec();
        signature.extend(self.rekor.sign(note.as_bytes()).unwrap());
        let checkpoint = format!(
            "{note}\n\u{2014} rekor.example.com {}\n",
            STANDARD.encode(signature)
        );
        let uuid = format!("{:016x}{}", 1, hex(&leaf));
        Some(json!({uuid: {
            "body": encoded,
            "integratedTime": integrated,
            "logID": log_id,
            "logIndex": index,
            "verification": {
                "signedEntryTimestamp": STANDARD.encode(promise),
                "inclusionProof": {
                    "checkpoint": checkpoint,
                    "hashes": [],
                    "logIndex": 0,
                    "rootHash": hex(&leaf),
                    "treeSize": 1,
                },
            },
        }}))
    }

    fn trusted_root(&self) -> Value {
        let base = self.base.get().unwrap();
        let start = {
            let time = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
            let (date, hour) = (time.date(), time.hour());
            format!("{date}T{hour:02}:00:00Z")
        };
        let log = |key: &KeyPair| {
            let spki = key.subject_public_key_info();
            json!({
                "baseUrl": base,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": STANDARD.encode(&spki),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": {"start": start},
                },
                "logId": {"keyId": STANDARD.encode(Sha256::digest(&spki))},
            })
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.rekor)],
            "ctlogs": [log(&self.ct)],
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "fulcio"},
                "uri": base,
                "certChain": {
                    "certificates": [{"rawBytes": STANDARD.encode(&self.authority_der)}],
                },
                "validFor": {"start": start},
            }],
            "timestampAuthorities": [],
        })
    }

    /// A file of the TUF repository, all signed with one key.
    fn tuf_file(&self, path: &str) -> Option<Vec<u8>> {
        const NAME: &str = "trusted_root.json";
        let expires = "2099-01-01T00:00:00Z";
        let target = self.trusted_root().to_string();
        let digest = hash(target.as_bytes());
        let common = |kind: &str| json!({"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": expires});
        let with = |mut base: Value, field: &str, value: Value| {
            base[field] = value;
            base
        };
        let version = json!({"version": 1});
        let signed = match path {
            "root.json" | "1.root.json" => {
                let public = pem_of("PUBLIC KEY", &self.tuf.subject_public_key_info());
                let key = json!({
                    "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public},
                });
                let id = self.tuf_key_id();
                let role = json!({"keyids": [id], "threshold": 1});
                let roles = json!({
                    "root": role, "timestamp": role, "snapshot": role, "targets": role,
                });
                let mut keys = Map::new();
                keys.insert(id, key);
                let root = with(common("root"), "consistent_snapshot", json!(true));
                with(with(root, "keys", Value::Object(keys)), "roles", roles)
            }
            "timestamp.json" => with(
                common("timestamp"),
                "meta",
                json!({"snapshot.json": version}),
            ),
            "1.snapshot.json" => with(common("snapshot"), "meta", json!({"targets.json": version})),
            "1.targets.json" => {
                let about = json!({"length": target.len(), "hashes": {"sha256": digest}});
                with(common("targets"), "targets", json!({NAME: about}))
            }
            _ if path == format!("targets/{digest}.{NAME}") => return Some(target.into_bytes()),
            _ => return None,
        };
        let mut canonical = Vec::new();
        canonicalize(&signed, &mut canonical);
        let signature = hex(&self.tuf.sign(&canonical).unwrap());
        let signatures = json!([{"keyid": self.tuf_key_id(), "sig": signature}]);
        Some(
            json!({"signed": signed, "signatures": signatures})
                .to_string()
                .into_bytes(),
        )
    }

    fn tuf_key_id(&self) -> String {
        hash(&self.tuf.subject_public_key_info())
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "example");
    name.push(DnType::CommonName, common);
    name
}

fn extension(oid: &[u64], content: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(oid, content)
}

/// The first member of a DER sequence whose lengths have two bytes, as those of certificates do.
fn first_member(der: &[u8]) -> Option<&[u8]> {
    let body = der.strip_prefix(&[0x30, 0x82])?.get(2..)?;
    let length = body.strip_prefix(&[0x30, 0x82])?.get(..2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    body.get(..length + 4)
}

/// JSON as TUF signs it: sorted, and only quotes and backslashes escaped.
fn canonicalize(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            out.extend_from_slice(format!("\"{text}\"").as_bytes());
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                canonicalize(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            // Maps of this parser are sorted.
            out.push(b'{');
            for (index, (name, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                canonicalize(&json!(name), out);
                out.push(b':');
                canonicalize(value, out);
            }
            out.push(b'}');
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    async_upload::oci::hex(bytes)
}

fn pem_of(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// A certificate as Rekor writes it, whatever its line ends were: base64 of PEM.
fn canonical_pem(encoded: &Value) -> Option<String> {
    let pem = String::from_utf8(STANDARD.decode(encoded.as_str()?).ok()?).ok()?;
    Some(STANDARD.encode(pem_of("CERTIFICATE", &from_pem(&pem)?)))
}

fn from_pem(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    STANDARD.decode(body).ok()
}
