//! Signatures with Sigstore: of the model, and of its image.
//!
//! The key exists for one signature. Fulcio gives it a certificate for the identity in the token,
//! Rekor records the signature, and what was signed is verified at once, with the keys that the TUF
//! repository holds.

mod identity;
mod image;
mod model;

use std::path::PathBuf;

use sigstore_oidc::IdentityToken;
use sigstore_sign::{SigningContext, SigningServices};
use sigstore_trust_root::TrustedRoot;
use sigstore_tuf::{HttpRepository, Updater};
use sigstore_types::{Bundle, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};
use url::Url;

use crate::config::Signing;
use crate::failure::{Failure, Patience, chain};
use crate::http::{self, Use};
use crate::settings::{OciImage, Secret, Tls};
use crate::transfer::FileDigest;

pub use model::SIGNATURE_FILE;

/// Attempts after the first. The services do not say which of their errors last.
const PATIENCE: Patience = Patience { retries: 3 };

/// The longest `root.json` that is read.
const ROOT_LIMIT: usize = 512 << 10;

/// Signs for one run.
#[derive(Debug)]
pub struct Signer {
    context: SigningContext,
    trusted: TrustedRoot,
    token: PathBuf,
    form: crate::cli::SignatureForm,
}

impl Signer {
    /// Reads the token, to learn early whether it is one, and fetches the keys of the services.
    pub async fn new(signing: &Signing) -> Result<Self, Failure> {
        token(&signing.token)?;
        let http = http::client(&Tls::default(), Use::Read)?;
        let root = match &signing.tuf_root {
            Some(path) => std::fs::read(path).map_err(|error| {
                Failure::lasting(
                    format!("--signing-tuf-root-path {}: {error}", path.display()),
                    "Let the user of the pod read the file",
                )
            })?,
            None => served_root(&http, &signing.tuf).await?,
        };
        let trusted = PATIENCE
            .retry("asking the TUF repository", || async {
                trusted_root(&http, &signing.tuf, &root)
                    .await
                    .map_err(|error| Failure::passing(chain(error.as_ref())))
            })
            .await?;
        let mut services = SigningServices::new(plain(&signing.fulcio), plain(&signing.rekor));
        if let Some(tsa) = &signing.tsa {
            services = services.with_tsa_url(timestamps(tsa));
        }
        Ok(Self {
            context: SigningContext::new(services).with_http_client(http),
            trusted,
            token: signing.token.clone(),
            form: signing.form,
        })
    }

    /// Signs a model by its files. The result is the content of [`SIGNATURE_FILE`].
    pub async fn sign_model(&self, files: &[FileDigest]) -> Result<Vec<u8>, Failure> {
        let statement = model::statement(files)?;
        let bundle = self.sign(&statement.json).await?;
        self.verify(&bundle, &statement.digest)
            .map_err(|failure| failure.while_doing("verifying the model's signature"))?;
        tracing::info!(
            "[ModelSigner] Signed model successfully: {} files",
            files.len()
        );
        json(&bundle).map(String::into_bytes)
    }

    /// Signs an image by its digest and stores the signature beside it.
    pub async fn sign_image(&self, image: &OciImage, digest: &str) -> Result<(), Failure> {
        image::sign(self, image, digest).await
    }

    /// A signature of an in-toto statement.
    async fn sign(&self, statement: &[u8]) -> Result<Bundle, Failure> {
        PATIENCE
            .retry("signing", || async {
                let signer = self.context.signer(token(&self.token)?);
                signer
                    .sign_raw_statement(statement)
                    .await
                    .map_err(|error| Failure::passing(chain(&error)))
            })
            .await
    }

    /// A signature of some bytes, as cosign 2 makes it.
    async fn sign_bytes(&self, bytes: &[u8]) -> Result<Bundle, Failure> {
        PATIENCE
            .retry("signing", || async {
                let signer = self.context.signer(token(&self.token)?);
                signer
                    .sign(bytes)
                    .await
                    .map_err(|error| Failure::passing(chain(&error)))
            })
            .await
    }

    /// Verifies that this run's identity has signed something with this digest, in hex.
    fn verify(&self, bundle: &Bundle, sha256: &str) -> Result<(), Failure> {
        let wrong = |error: &dyn std::error::Error| {
            Failure::lasting(
                chain(error),
                "The TUF repository does not belong to these services, or somebody else answers \
                 in their place; compare the SIGSTORE_ variables",
            )
        };
        let (identity, issuer) = identity::of(&token(&self.token)?);
        let policy = VerificationPolicy::new(identity, issuer);
        let digest = Sha256Hash::from_hex(sha256).map_err(|error| wrong(&error))?;
        let verifier = Verifier::new(&self.trusted).map_err(|error| wrong(&error))?;
        verifier
            .verify(digest, bundle, &policy)
            .map(drop)
            .map_err(|error| wrong(&error))
    }
}

fn json(bundle: &Bundle) -> Result<String, Failure> {
    bundle
        .to_json()
        .map_err(|error| Failure::lasting(chain(&error), "Report this as a defect"))
}

/// The token that says who signs. It is read each time, because a kubelet replaces it.
fn token(path: &std::path::Path) -> Result<IdentityToken, Failure> {
    let wrong = |problem: String| {
        Failure::lasting(
            format!("identity token {}: {problem}", path.display()),
            "Mount a projected service account token with the audience that Fulcio expects, and \
             name it with --signing-identity-token-path",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let text = Secret::new(&text);
    let token =
        IdentityToken::from_jwt(text.reveal()).map_err(|_| wrong("it is no JWT".to_owned()))?;
    if token.is_expired() {
        return Err(wrong(format!("it expired at {}", token.expiration())));
    }
    Ok(token)
}

/// `root.json` as the repository serves it. Who controls the repository at this moment is trusted.
async fn served_root(http: &reqwest::Client, tuf: &Url) -> Result<Vec<u8>, Failure> {
    tracing::warn!(
        "{} is trusted without proof; name its root.json with --signing-tuf-root-path",
        http::shown(tuf)
    );
    let url = format!("{}/root.json", plain(tuf));
    let body = PATIENCE
        .retry("asking the TUF repository for its root", || async {
            let response = http::send(http.get(&url)).await?;
            response.bytes().await.map_err(http::broken)
        })
        .await?;
    if body.len() > ROOT_LIMIT {
        return Err(Failure::lasting(
            format!("{url} is longer than {ROOT_LIMIT} bytes"),
            "Correct SIGSTORE_TUF_URL",
        ));
    }
    Ok(body.to_vec())
}

/// The keys of the services: a file of the TUF repository, whose root is known.
async fn trusted_root(
    http: &reqwest::Client,
    tuf: &Url,
    root: &[u8],
) -> Result<TrustedRoot, Box<dyn std::error::Error + Send + Sync>> {
    let repository = HttpRepository::new(plain(tuf))?.with_http_client(http.clone());
    let mut updater = Updater::new(repository, root)?;
    let now = jiff::Timestamp::now();
    updater.refresh(now).await?;
    let json = updater.get_target("trusted_root.json", now).await?;
    Ok(TrustedRoot::from_json(std::str::from_utf8(&json)?)?)
}

fn plain(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Where a timestamp authority takes requests.
fn timestamps(tsa: &Url) -> String {
    const PATH: &str = "/api/v1/timestamp";
    let tsa = plain(tsa);
    if tsa.ends_with(PATH) {
        tsa.to_owned()
    } else {
        format!("{tsa}{PATH}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_authority_is_named_with_or_without_its_path() {
        for given in ["http://tsa", "http://tsa/", "http://tsa/api/v1/timestamp"] {
            let url = Url::parse(given).unwrap();
            assert_eq!(timestamps(&url), "http://tsa/api/v1/timestamp");
        }
    }

    #[test]
    fn a_token_that_is_none_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret").unwrap();
        let failure = token(file.path()).unwrap_err();
        assert!(failure.cause.contains("no JWT") && !failure.cause.contains("s3cret"));
    }
}
