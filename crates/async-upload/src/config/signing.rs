//! Whether to sign, and as whom.

use std::path::{Path, PathBuf};

use url::Url;

use super::{Environment, Error, Loading};
use crate::cli::SignatureForm;

/// Where Kubernetes puts the token of a pod's service account.
pub(crate) const SERVICE_ACCOUNT_TOKEN: &str =
    "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// The services that have to be there.
const TUF: &str = "SIGSTORE_TUF_URL";
const FULCIO: &str = "SIGSTORE_FULCIO_URL";
const REKOR: &str = "SIGSTORE_REKOR_URL";
/// The one that may be there.
const TSA: &str = "SIGSTORE_TSA_URL";

/// What is needed to sign.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The TUF repository with the keys of the services.
    pub tuf: Url,
    /// Its root, if it is known; else the one that it serves is trusted.
    pub tuf_root: Option<PathBuf>,
    /// Who gives certificates.
    pub fulcio: Url,
    /// Where signatures are recorded.
    pub rekor: Url,
    /// Who tells the time.
    pub tsa: Option<Url>,
    /// The file with the token that says who signs.
    pub token: PathBuf,
    /// How the signature of an image is stored.
    pub form: SignatureForm,
}

impl Loading<'_> {
    /// Decides from `--sign`, or from which services are known.
    pub(super) fn signing(&mut self) -> Result<Option<Signing>, Error> {
        let flags = &self.flags.signing;
        let mut missing: Vec<&str> = [FULCIO, REKOR, TUF]
            .into_iter()
            .filter(|name| self.environment.variable(name).is_none())
            .collect();
        missing.sort_unstable();
        let wanted = flags.sign.unwrap_or(missing.is_empty());
        if !wanted {
            if flags.sign.is_none() && missing.len() < 3 {
                self.warnings.push(format!(
                    "nothing is signed, because these variables are not set: {}",
                    missing.join(", ")
                ));
            }
            return Ok(None);
        }
        let token = flags
            .signing_identity_token_path
            .clone()
            .unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT_TOKEN));
        let token = existing(self.environment, "--signing-identity-token-path", &token)?;
        let tuf_root = flags
            .signing_tuf_root_path
            .as_deref()
            .map(|path| existing(self.environment, "--signing-tuf-root-path", path))
            .transpose()?;
        Ok(Some(Signing {
            tuf: self.service(TUF)?,
            tuf_root,
            fulcio: self.service(FULCIO)?,
            rekor: self.service(REKOR)?,
            tsa: match self.environment.variable(TSA) {
                Some(_) => Some(self.service(TSA)?),
                None => None,
            },
            token,
            form: flags.image_signature_format,
        }))
    }

    fn service(&self, name: &str) -> Result<Url, Error> {
        let remedy = "Set it to the address of the service, or turn signing off with --sign=false.";
        let Some(text) = self.environment.variable(name) else {
            return Err(Error::missing(format!("variable {name}"), remedy));
        };
        Url::parse(text).map_err(|error| {
            let problem = format!("it is no address: {error}");
            Error::wrong(format!("variable {name}"), text, problem, remedy)
        })
    }
}

fn existing(environment: &Environment, flag: &str, path: &Path) -> Result<PathBuf, Error> {
    let there = environment.path(path);
    if there.is_file() {
        return Ok(there);
    }
    let remedy = "Mount the file there, or turn signing off with --sign=false.";
    Err(Error::wrong(
        flag,
        path.display(),
        "there is no such file",
        remedy,
    ))
}
