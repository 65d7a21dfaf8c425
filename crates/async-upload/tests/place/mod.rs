//! The program with what it needs around it, as in a pod.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the part of a test that several test programs share"
)]

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fakes::model_registry::ModelRegistry;
use crate::fakes::sigstore::Sigstore;
use crate::servers::{self, Server};

pub(crate) const FILES: [(&str, usize); 3] = [
    ("config.json", 40),
    ("weights/model-00001.safetensors", 3 << 20),
    ("weights/model-00002.safetensors", 2 << 20),
];

const TOKEN: &str = "s3cret-token-of-the-registry";

/// A model on a volume, a model registry and an image registry.
pub(crate) struct Place {
    pub(crate) models: ModelRegistry,
    pub(crate) images: Server,
    pub(crate) dir: TempDir,
}

/// What became of a run.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
    pub(crate) last_words: String,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(servers::registry(&servers::Access::default())).await
    }

    pub(crate) async fn with(images: Server) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, length) in FILES {
            let file = dir.path().join("model").join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, servers::content(length as u64, length)).unwrap();
        }
        let metadata = dir.path().join("metadata");
        std::fs::create_dir(&metadata).unwrap();
        for (key, value) in [
            ("RegisteredModel.name", "llama"),
            ("ModelVersion.name", "v1"),
            ("ModelArtifact.name", "weights"),
        ] {
            std::fs::write(metadata.join(key), value).unwrap();
        }
        let models = ModelRegistry::start().await;
        models.require_token(TOKEN);
        Self {
            models,
            images,
            dir,
        }
    }

    pub(crate) fn reference(&self) -> String {
        format!("{}/org/llama:v1", self.images.address)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The program with a small configuration and nothing of this process's environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_async-upload"));
        command
            .env_clear()
            .env("HOSTNAME", "upload-llama-x7k2p")
            .env(
                "TERMINATION_MESSAGE_PATH",
                self.dir.path().join("last-words"),
            )
            .env("MODEL_SYNC_SOURCE_PATH", self.dir.path().join("model"))
            .env("MODEL_SYNC_DESTINATION_OCI_URI", self.reference())
            .env("MODEL_SYNC_DESTINATION_OCI_ENABLE_TLS_VERIFY", "false")
            .env("MODEL_SYNC_DESTINATION_OCI_BASE_IMAGE", "none")
            .env("MODEL_SYNC_REGISTRY_SERVER_ADDRESS", self.models.url())
            .env("MODEL_SYNC_REGISTRY_USER_TOKEN", TOKEN)
            .env("MODEL_SYNC_DESTINATION_OCI_USERNAME", "user")
            .env("MODEL_SYNC_DESTINATION_OCI_PASSWORD", "s3cret-password")
            .env("HF_TOKEN", "s3cret-hub")
            .env("LOGLEVEL", "DEBUG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log_file());
        command
    }

    pub(crate) fn create(&self) -> Command {
        let mut command = self.command();
        command
            .env("MODEL_SYNC_MODEL_UPLOAD_INTENT", "create_model")
            .env(
                "MODEL_SYNC_METADATA_CONFIGMAP_PATH",
                self.dir.path().join("metadata"),
            );
        command
    }

    pub(crate) fn log_file(&self) -> std::fs::File {
        std::fs::File::create(self.dir.path().join("log")).unwrap()
    }

    pub(crate) fn wait(&self, mut child: Child) -> Ended {
        let until = Instant::now() + Duration::from_mins(3);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                child.kill().unwrap();
                panic!("it never ended: {}", self.read("log"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let log = self.read("log");
        assert!(!log.contains("s3cret"), "the log shows a secret: {log}");
        assert!(!self.read("last-words").contains("s3cret"));
        Ended {
            status,
            log,
            last_words: self.read("last-words"),
        }
    }

    pub(crate) fn run(&self, command: &mut Command) -> Ended {
        self.wait(command.spawn().unwrap())
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// That there is one model, one version and one artifact, which is live.
    pub(crate) fn is_registered_once(&self) {
        assert_eq!(self.models.models().len(), 1);
        assert_eq!(self.models.versions().len(), 1);
        let artifacts = self.models.artifacts();
        assert_eq!(artifacts.len(), 1);
        assert_eq!(artifacts[0]["state"], "LIVE");
        assert_eq!(artifacts[0]["uri"], format!("oci://{}", self.reference()));
    }

    pub(crate) fn signs(&self, command: &mut Command, sigstore: &Sigstore) {
        let token = self.dir.path().join("identity");
        std::fs::write(&token, Sigstore::token("models", "uploader")).unwrap();
        command
            .env("SIGSTORE_TUF_URL", sigstore.tuf())
            .env("SIGSTORE_FULCIO_URL", sigstore.url())
            .env("SIGSTORE_REKOR_URL", sigstore.url())
            .env("MODEL_SYNC_SIGNING_IDENTITY_TOKEN_PATH", token);
    }
}
