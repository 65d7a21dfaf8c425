//! The configuration as JSON, for people. Secrets are `***`.

use serde_json::{Value, json};

use super::{Config, Intent, Loaded};
use crate::cli::SignatureForm;
use crate::http::shown;
use crate::settings::{Destination, OciAuth, OciImage, S3, Secret, Source};

/// What `--print-config` prints.
#[must_use]
pub fn print(loaded: &Loaded) -> Value {
    let Config {
        transfer,
        intent,
        registry,
        signing,
    } = &loaded.config;
    json!({
        "source": source(&transfer.source),
        "destination": destination(&transfer.destination),
        "intent": print_intent(intent),
        "registry": {
            "api": shown(&registry.api),
            "token": registry.token.as_ref().map(ToString::to_string),
            "verify": registry.tls.verify,
            "caFiles": registry.tls.ca_files,
            "mark": registry.mark,
        },
        "signing": signing.as_ref().map(|signing| json!({
            "tuf": shown(&signing.tuf),
            "tufRoot": signing.tuf_root,
            "fulcio": shown(&signing.fulcio),
            "rekor": shown(&signing.rekor),
            "tsa": signing.tsa.as_ref().map(shown),
            "tokenFile": signing.token,
            "imageSignature": match signing.form {
                SignatureForm::Cosign3 => "cosign3",
                SignatureForm::Cosign2 => "cosign2",
            },
        })),
        "run": {
            "memoryBudget": transfer.memory_budget,
            "checkpoint": transfer.checkpoint,
            "jobId": transfer.job_id,
            "storagePath": transfer.spool,
            "retries": transfer.retries,
        },
        "warnings": loaded.warnings,
    })
}

fn masked(secret: Option<&Secret>) -> Option<String> {
    secret.map(ToString::to_string)
}

fn source(source: &Source) -> Value {
    match source {
        Source::S3(s3) => bucket(s3),
        Source::Http(http) => {
            json!({"type": "uri", "uri": shown(&http.url), "token": masked(http.token.as_ref())})
        }
        Source::Hf(hf) => json!({
            "type": "uri",
            "hub": shown(&hf.endpoint),
            "repository": hf.repository,
            "revision": hf.revision,
            "token": masked(hf.token.as_ref()),
        }),
        Source::Oci(image) => json!({"type": "oci", "place": oci(image)}),
        Source::Dir(path) => json!({"type": "pvc", "path": path}),
    }
}

fn destination(destination: &Destination) -> Value {
    match destination {
        Destination::S3(s3) => bucket(s3),
        Destination::Oci(destination) => {
            json!({
                "type": "oci",
                "uri": format!("oci://{}", destination.written),
                "place": oci(&destination.image),
                "base": destination.base.as_ref().map(oci),
                "layerCap": destination.layer_cap,
                "mountFrom": destination.mount_from,
            })
        }
    }
}

fn bucket(s3: &S3) -> Value {
    json!({
        "type": "s3",
        "endpoint": s3.endpoint.as_ref().map(shown),
        "bucket": s3.bucket,
        "key": s3.key,
        "region": s3.region,
        "accessKeyId": masked(s3.credentials.as_ref().map(|c| &c.access_key_id)),
        "secretAccessKey": masked(s3.credentials.as_ref().map(|c| &c.secret_access_key)),
        "sessionToken": masked(s3.credentials.as_ref().and_then(|c| c.session_token.as_ref())),
    })
}

fn oci(image: &OciImage) -> Value {
    let (username, password) = match &image.auth {
        OciAuth::Anonymous => (None, None),
        OciAuth::Basic { username, password } => (Some(username.as_str()), Some(password)),
        OciAuth::IdentityToken(token) => (None, Some(token)),
    };
    json!({
        "image": image.reference.to_string(),
        "username": username,
        "password": masked(password),
        "verify": image.tls.verify,
        "caFiles": image.tls.ca_files,
    })
}

fn print_intent(intent: &Intent) -> Value {
    let name = intent.name().as_str();
    match intent {
        Intent::CreateModel {
            model,
            version,
            artifact,
        } => json!({
            "name": name, "model": model.name, "version": version.name, "artifact": artifact.name,
        }),
        Intent::CreateVersion {
            model_id,
            version,
            artifact,
        } => json!({
            "name": name, "modelId": model_id, "version": version.name, "artifact": artifact.name,
        }),
        Intent::UpdateArtifact {
            artifact_id,
            version_id,
            model_id,
        } => json!({
            "name": name, "artifactId": artifact_id, "versionId": version_id, "modelId": model_id,
        }),
    }
}
