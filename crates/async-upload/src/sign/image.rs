//! The signature of an image, stored where cosign looks for it.

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{PATIENCE, Signer, json as bundle_json};
use crate::cli::SignatureForm;
use crate::failure::Failure;
use crate::oci::{self, Descriptor, Repository, media};
use crate::settings::OciImage;

/// The media type of a bundle, and the type of the artifact that holds one.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What cosign 3 says when it signs.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// What cosign 2 signs.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Signs the image with this digest, which was pushed before.
pub(super) async fn sign(signer: &Signer, image: &OciImage, digest: &str) -> Result<(), Failure> {
    let repository = Repository::new(image, PATIENCE)?;
    let subject = repository.manifest(digest).await?.ok_or_else(|| {
        let cause = format!("{}@{digest} is not there", repository.label());
        Failure::lasting(cause, "Somebody has deleted the image; run the Job again")
    })?;
    let subject = Descriptor::new(
        &subject.media_type,
        subject.digest,
        subject.content.len() as u64,
    );
    let place = format!("{}@{digest}", repository.label());
    match signer.form {
        SignatureForm::Cosign3 => cosign3(signer, &repository, &subject, &place).await,
        SignatureForm::Cosign2 => cosign2(signer, &repository, &subject, &place).await,
    }
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

// Pipelines look for these sentences in the log.
fn signed(place: &str) {
    tracing::info!("[ImageSigner] Signed image successfully: {place}");
}
fn verified(place: &str) {
    tracing::info!("[ImageSigner] Verified image successfully: {place}");
}

/// A bundle that refers to the image.
async fn cosign3(
    signer: &Signer,
    repository: &Repository,
    subject: &Descriptor,
    place: &str,
) -> Result<(), Failure> {
    let sha256 = hex(&subject.digest);
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": sha256}}],
        "predicateType": SIGNED,
        "predicate": {},
    });
    let bundle = signer.sign(statement.to_string().as_bytes()).await?;
    let layer = repository
        .put_blob(BUNDLE, Bytes::from(bundle_json(&bundle)?))
        .await?;
    let config = repository
        .put_blob(media::EMPTY, Bytes::from_static(b"{}"))
        .await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "artifactType": BUNDLE,
        "config": config,
        "layers": [layer],
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": SIGNED,
            "org.opencontainers.image.created": jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
        },
    });
    let stored = repository.put_referrer(subject, manifest).await?;
    signed(place);
    signer
        .verify(&bundle, sha256)
        .map_err(|failure| failure.while_doing("verifying the image's signature"))?;
    let listed = repository.referrers(&subject.digest).await?;
    if !listed.iter().any(|one| one.digest == stored.digest) {
        return Err(Failure::lasting(
            format!(
                "the registry does not list the signature {} of {place}",
                stored.digest
            ),
            "Sign with --image-signature-format=cosign2",
        ));
    }
    verified(place);
    Ok(())
}

/// A layer under a tag that is made of the image's digest. Signatures that are there stay.
async fn cosign2(
    signer: &Signer,
    repository: &Repository,
    subject: &Descriptor,
    place: &str,
) -> Result<(), Failure> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": repository.label()},
            "image": {"docker-manifest-digest": subject.digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let bundle = signer.sign_bytes(payload.as_bytes()).await?;
    let mut layer = repository
        .put_blob(SIMPLE_SIGNING, Bytes::from(payload.clone()))
        .await?;
    layer.annotations = annotations(&bundle_json(&bundle)?)?;
    let tag = format!("{}.sig", subject.digest.replace(':', "-"));
    let mut layers = match repository.manifest(&tag).await? {
        Some(stored) => layers(&stored.content),
        None => Vec::new(),
    };
    layers.push(json!(layer));
    let diff_ids: Vec<&Value> = layers.iter().filter_map(|one| one.get("digest")).collect();
    let config = json!({
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = repository
        .put_blob(media::CONFIG, Bytes::from(config.to_string()))
        .await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "config": config,
        "layers": layers,
    });
    repository
        .put_manifest(&tag, media::MANIFEST, &Bytes::from(manifest.to_string()))
        .await?;
    signed(place);
    signer
        .verify(&bundle, &oci::hex(&Sha256::digest(&payload)))
        .map_err(|failure| failure.while_doing("verifying the image's signature"))?;
    verified(place);
    Ok(())
}

fn layers(manifest: &[u8]) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    match manifest.get("layers") {
        Some(Value::Array(layers)) => layers.clone(),
        _ => Vec::new(),
    }
}

/// The signature, its certificate and its record, as cosign 2 keeps them: taken from a bundle.
fn annotations(bundle: &str) -> Result<serde_json::Map<String, Value>, Failure> {
    let bundle: Value = serde_json::from_str(bundle).unwrap_or_default();
    let text = |pointer: &str| {
        let value = bundle.pointer(pointer).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| {
            let cause = format!("the signature has no {pointer}, which cosign 2 needs");
            Failure::lasting(cause, "Sign with --image-signature-format=cosign3")
        })
    };
    let number = |pointer: &str| {
        let number = text(pointer)?;
        Ok::<_, Failure>(number.parse::<i64>().unwrap_or_default())
    };
    let entry = "/verificationMaterial/tlogEntries/0";
    let log_id = base64_bytes(&text(&format!("{entry}/logId/keyId"))?);
    let record = json!({
        "SignedEntryTimestamp": text(&format!("{entry}/inclusionPromise/signedEntryTimestamp"))?,
        "Payload": {
            "body": text(&format!("{entry}/canonicalizedBody"))?,
            "integratedTime": number(&format!("{entry}/integratedTime"))?,
            "logIndex": number(&format!("{entry}/logIndex"))?,
            "logID": oci::hex(&log_id),
        },
    });
    let certificate = pem(&text("/verificationMaterial/certificate/rawBytes")?);
    let mut annotations = serde_json::Map::new();
    let mut note = |key: &str, value: String| annotations.insert(key.to_owned(), json!(value));
    note(
        "dev.cosignproject.cosign/signature",
        text("/messageSignature/signature")?,
    );
    note("dev.sigstore.cosign/certificate", certificate);
    note("dev.sigstore.cosign/bundle", record.to_string());
    let stamp =
        "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    if let Ok(stamp) = text(stamp) {
        let stamp = json!({"SignedRFC3161Timestamp": stamp}).to_string();
        note("dev.sigstore.cosign/rfc3161timestamp", stamp);
    }
    Ok(annotations)
}

fn base64_bytes(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap_or_default()
}

/// A certificate as PEM.
fn pem(base64: &str) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + "-----END CERTIFICATE-----\n"
}
