//! Real servers for tests: a registry, a bucket, and an independent reader of images.
// Each test file uses its own part, and a helper of a test is a test.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod bucket;
pub mod front;
pub mod limits;
pub mod web;

use std::fmt::Write as _;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_upload::settings::{
    Addressing, Destination, LAYER_CAP, OciAuth, OciDestination, OciImage, S3, S3Credentials,
    Secret, Source, Tls, Transfer,
};
use async_upload::transfer::{self, Error, Outcome, Progress};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A program that ends with this process, however that ends.
pub struct Server {
    shell: Child,
    pub address: String,
    pub dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a program that listens on `port`.
fn start(
    port: u16,
    dir: TempDir,
    program: &Path,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> Server {
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let shell = Command::new("sh")
        .args(["-c", "\"$@\" & cat >/dev/null; kill $!; wait", "sh"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .envs(environment.iter().copied())
        .spawn()
        .unwrap();
    let address = format!("127.0.0.1:{port}");
    let server = Server {
        shell,
        address,
        dir,
    };
    let until = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect(&server.address).is_err() {
        let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
        assert!(
            Instant::now() < until,
            "{} never listened: {log}",
            program.display()
        );
        std::thread::sleep(Duration::from_millis(30));
    }
    server
}

/// Who may ask a registry, and how.
#[derive(Default)]
pub struct Access {
    /// PEM files of certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A line of a password file.
    pub htpasswd: Option<&'static str>,
    /// A line of configuration about tokens.
    pub tokens: Option<String>,
}

/// A registry of the distribution project, empty.
pub fn registry(access: &Access) -> Server {
    let port = free_port();
    let dir = TempDir::new().unwrap();
    let root = dir.path().display().to_string();
    let mut config = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {root}/data}}\n  \
         delete: {{enabled: true}}\n"
    );
    if let Some(line) = access.htpasswd {
        std::fs::write(dir.path().join("htpasswd"), line).unwrap();
        let _ = writeln!(
            config,
            "auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}"
        );
    }
    if let Some(line) = &access.tokens {
        let _ = writeln!(config, "auth: {{{line}}}");
    }
    let _ = writeln!(config, "http:\n  addr: 127.0.0.1:{port}");
    if let Some((certificate, key)) = &access.tls {
        let _ = writeln!(
            config,
            "  tls: {{certificate: {}, key: {}}}",
            certificate.display(),
            key.display()
        );
    }
    let path = dir.path().join("config.yml");
    std::fs::write(&path, config).unwrap();
    let program = cluster::tools::images().unwrap().registry;
    let quiet = [("OTEL_TRACES_EXPORTER", "none")];
    start(
        port,
        dir,
        &program,
        &quiet,
        &["serve", path.to_str().unwrap()],
    )
}

pub fn client() -> reqwest::Client {
    async_upload::http::client(&Tls::default(), async_upload::http::Use::Read).unwrap()
}

/// Content that looks like weights and is always the same.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut content = Vec::with_capacity(length + 8);
    while content.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(length);
    content
}

/// The objects below `key` in `models`.
pub fn s3(address: &str, key: &str) -> S3 {
    S3 {
        endpoint: Some(format!("http://{address}").parse().unwrap()),
        bucket: "models".to_owned(),
        key: key.to_owned(),
        region: None,
        credentials: Some(S3Credentials {
            access_key_id: Secret::new(bucket::KEY_ID),
            secret_access_key: Secret::new(bucket::SECRET),
            session_token: None,
        }),
        addressing: Addressing::Auto,
        tls: Tls::default(),
    }
}

/// An image in a registry without TLS.
pub fn image(reference: &str) -> OciImage {
    OciImage {
        reference: reference.parse().unwrap(),
        auth: OciAuth::Anonymous,
        tls: Tls {
            verify: false,
            ca_files: Vec::new(),
        },
    }
}

/// A run to `reference`, on `base`.
pub fn to_image(source: Source, reference: &str, base: Option<&str>) -> Transfer {
    Transfer {
        source,
        destination: Destination::Oci(OciDestination {
            image: image(reference),
            written: reference.to_owned(),
            base: base.map(image),
            layer_cap: LAYER_CAP,
            mount_from: None,
        }),
        memory_budget: 64 << 20,
        retries: 5,
        checkpoint: true,
        signed: false,
        job_id: "job".to_owned(),
        spool: None,
    }
}

/// A run to the objects below `key` in `models`.
pub fn to_bucket(source: Source, address: &str, key: &str) -> Transfer {
    Transfer {
        destination: Destination::S3(s3(address, key)),
        ..to_image(source, "unused/unused:v1", None)
    }
}

/// Runs a whole transfer.
pub async fn run(transfer: &Transfer) -> Result<Outcome, Error> {
    let progress = watch::Sender::new(Progress::default());
    let found = transfer::look(transfer, &progress).await?;
    let uploaded = found.upload(&CancellationToken::new()).await?;
    uploaded.commit(Vec::new()).await
}

/// What crane says, with the registry's lack of TLS forgiven.
pub fn crane(arguments: &[&str]) -> Vec<u8> {
    let program = cluster::tools::images().unwrap().crane;
    let output = Command::new(program)
        .arg("--insecure")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "crane {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Whether there is such an image.
pub fn exists(reference: &str) -> bool {
    let program = cluster::tools::images().unwrap().crane;
    let output = Command::new(program)
        .args(["--insecure", "digest", reference])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() || text.contains("UNKNOWN"),
        "{text}"
    );
    output.status.success()
}

/// What crane reads as JSON.
pub fn crane_json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&crane(arguments)).unwrap()
}

/// Every platform's blobs are what the manifests say. (`crane validate` without `--fast` only reads
/// layers that are compressed.)
fn well_formed(reference: &str) {
    crane(&["validate", "--fast", "--remote", reference]);
    let repository = reference.rsplit_once(':').unwrap().0;
    let top = crane_json(&["manifest", reference]);
    let manifests = match top["manifests"].as_array() {
        Some(entries) => entries
            .iter()
            .map(|entry| {
                let digest = entry["digest"].as_str().unwrap();
                crane_json(&["manifest", &format!("{repository}@{digest}")])
            })
            .collect(),
        None => vec![top],
    };
    for manifest in manifests {
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            // Crane compares what it reads with the digest.
            let content = crane(&["blob", &format!("{repository}@{digest}")]);
            assert_eq!(content.len() as u64, descriptor["size"].as_u64().unwrap());
            content
        };
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        let diffs = config["rootfs"]["diff_ids"].as_array().unwrap();
        assert_eq!(layers.len(), diffs.len());
        for (layer, diff) in layers.iter().zip(diffs) {
            blob(layer);
            if layer["mediaType"] == async_upload::oci::media::LAYER {
                assert_eq!(layer["digest"], *diff);
            }
        }
        let told = config["history"].as_array().unwrap().iter();
        let told = told.filter(|item| item["empty_layer"] != true).count();
        assert_eq!(told, layers.len());
    }
}

/// The files of an image as an engine would show them, sorted: path, mode, owner, content.
pub fn files(reference: &str) -> Vec<(String, u32, u64, Vec<u8>)> {
    well_formed(reference);
    exported(reference)
}

/// As [`files`], of an image that is known to be well formed.
pub fn exported(reference: &str) -> Vec<(String, u32, u64, Vec<u8>)> {
    let tar = crane(&["export", reference, "-"]);
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut files: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let header = entry.header();
            (path, header.mode().unwrap(), header.uid().unwrap(), content)
        })
        .filter(|(path, ..)| !path.ends_with('/') && path != "models")
        .collect();
    files.sort();
    files
}

/// A base image: `platforms` platforms, each with one file of its own.
pub fn base(registry: &str, platforms: &[&str]) -> String {
    let dir = TempDir::new().unwrap();
    let name = format!("{registry}/base:latest");
    let mut parts = Vec::new();
    for platform in platforms {
        let architecture = platform.rsplit('/').next().unwrap();
        let layer = dir.path().join(format!("{architecture}.tar"));
        let mut builder = tar::Builder::new(std::fs::File::create(&layer).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(architecture.len() as u64);
        header.set_mode(0o755);
        builder
            .append_data(&mut header, "bin/sh", architecture.as_bytes())
            .unwrap();
        builder.finish().unwrap();
        let part = format!("{registry}/base:{architecture}");
        crane(&["append", "-f", layer.to_str().unwrap(), "-t", &part]);
        crane(&["mutate", &part, "--set-platform", platform, "-t", &part]);
        parts.push(part);
    }
    if let [one] = parts.as_slice() {
        crane(&["tag", one, "latest"]);
        return name;
    }
    let mut arguments = vec!["index", "append", "-t", name.as_str()];
    for part in &parts {
        arguments.extend(["-m", part]);
    }
    crane(&arguments);
    name
}

/// How much a server's log tells.
pub fn log(server: &Server) -> String {
    std::fs::read_to_string(server.dir.path().join("log")).unwrap_or_default()
}

/// Shows what the crate logs, when a test fails.
pub fn logged() {
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_max_level(tracing::Level::DEBUG)
        .try_init();
}
