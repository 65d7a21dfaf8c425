//! What one run is to do: typed and validated, before a byte moves.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::oci::Reference;

/// A value that no log shows. `Debug` and `Display` print `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value. Credential files end in a line break more often than not, so it is trimmed.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One upload.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Where the model is.
    pub source: Source,
    /// Where it goes.
    pub destination: Destination,
    /// How much of the model is in memory at one time, in bytes. At least
    /// [`MEMORY_BUDGET_MIN`].
    pub memory_budget: u64,
    /// How often a request is tried again before the run fails.
    pub retries: u32,
    /// Whether finished layers are remembered in the destination, so that a retry continues.
    pub checkpoint: bool,
    /// Whether the model is signed. Then each file is hashed, and notes in the destination are not
    /// believed, which whoever may write there can make: what they name is compared with the source.
    pub signed: bool,
    /// What a retry of the same Job has in common with it: names the checkpoint.
    pub job_id: String,
    /// A directory for files whose size the source does not tell. Without it they are read twice.
    pub spool: Option<PathBuf>,
}

/// The least memory that a run can work with: one layer in flight, its parts being read and sent.
pub const MEMORY_BUDGET_MIN: u64 = 16 << 20;

/// The memory budget unless told otherwise.
pub const MEMORY_BUDGET: u64 = 128 << 20;

/// How the other side of a connection proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Off: any certificate is accepted, and a registry may speak plain HTTP.
    pub verify: bool,
    /// PEM files of further certificate authorities, beside those of the system and those that are
    /// built in.
    pub ca_files: Vec<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            verify: true,
            ca_files: Vec::new(),
        }
    }
}

/// Where a model is.
#[derive(Debug, Clone)]
pub enum Source {
    /// The objects of a bucket under a key, or one object.
    S3(S3),
    /// A file or an archive behind `http` or `https`.
    Http(Http),
    /// A repository of a Hugging Face hub.
    Hf(Hf),
    /// A ModelCar or an artifact in a registry.
    Oci(OciImage),
    /// A mounted directory.
    Dir(PathBuf),
}

/// Where a model goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// An image, or an index of images, with the model under `/models`.
    Oci(OciDestination),
    /// The objects of a bucket under a key.
    S3(S3),
}

/// A place in a bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The server; without it AWS in the region.
    pub endpoint: Option<Url>,
    /// The bucket.
    pub bucket: String,
    /// As a source: one object, or a directory. As a destination: the directory. Without a slash
    /// at either end.
    pub key: String,
    /// The region that requests are signed for; `us-east-1` unless told otherwise.
    pub region: Option<String>,
    /// Who asks; `None` is anonymous.
    pub credentials: Option<S3Credentials>,
    /// How the bucket stands in an address.
    pub addressing: Addressing,
    /// Whom to trust.
    pub tls: Tls,
}

/// What requests to a bucket are signed with.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// The access key; not a secret, masked in output all the same.
    pub access_key_id: Secret,
    /// The secret key.
    pub secret_access_key: Secret,
    /// The token of temporary credentials.
    pub session_token: Option<Secret>,
}

/// How a bucket stands in an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addressing {
    /// In the host name at AWS, in the path with an endpoint of one's own.
    #[default]
    Auto,
    /// In the path.
    Path,
    /// In the host name.
    VirtualHost,
}

/// A file or an archive behind an address.
#[derive(Debug, Clone)]
pub struct Http {
    /// The address. May hold a user and a password, which go into a header.
    pub url: Url,
    /// A bearer token.
    pub token: Option<Secret>,
    /// Whom to trust.
    pub tls: Tls,
}

/// A repository of a hub.
#[derive(Debug, Clone)]
pub struct Hf {
    /// The hub: `https://huggingface.co` or what `HF_ENDPOINT` says.
    pub endpoint: Url,
    /// `organisation/name`.
    pub repository: String,
    /// A branch, tag or commit.
    pub revision: String,
    /// Who asks.
    pub token: Option<Secret>,
    /// Whom to trust.
    pub tls: Tls,
}

/// A place in a registry, and who may go there.
#[derive(Debug, Clone)]
pub struct OciImage {
    /// Registry, repository, and tag or digest.
    pub reference: Reference,
    /// Who asks.
    pub auth: OciAuth,
    /// Whom to trust.
    pub tls: Tls,
}

/// Who asks a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OciAuth {
    /// Nobody in particular.
    Anonymous,
    /// A user with a password.
    Basic {
        /// The user.
        username: String,
        /// The password, or a token that takes its place.
        password: Secret,
    },
    /// `identitytoken` of a `config.json`: a refresh token for the registry's token server.
    IdentityToken(Secret),
}

/// Where an image goes and what it stands on.
#[derive(Debug, Clone)]
pub struct OciDestination {
    /// The place.
    pub image: OciImage,
    /// The reference as the user wrote it: `oci://` and this is the address that the model registry
    /// records.
    pub written: String,
    /// What the image stands on; `None` is nothing at all, for image volumes.
    pub base: Option<OciImage>,
    /// The most layers that the image may have, those of the base included.
    pub layer_cap: usize,
    /// A repository of the same registry that may already hold layers of this model.
    pub mount_from: Option<String>,
}

/// Container engines refuse more than 127 layers; the rest is for those who build on the image.
pub const LAYER_CAP: usize = 100;
