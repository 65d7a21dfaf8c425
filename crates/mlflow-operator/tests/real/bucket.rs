//! An S3 server on a folder, with the keys and the bucket that `make deploy-kind` gives SeaweedFS.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use operator_harness::free_ports;
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::Machine;
use crate::process::{Process, guarded, said};

/// A server, which ends with this value.
pub(crate) struct Bucket {
    _server: Process,
    pub(crate) endpoint: String,
    folder: TempDir,
}

impl Bucket {
    /// Starts the server, makes Secret `aws-credentials`, and has the Job make the bucket `mlflow`.
    pub(crate) fn start(machine: &mut Machine) -> Self {
        let credentials = &kind("credentials.yaml")[0]["stringData"];
        let key = |name: &str| credentials[name].as_str().expect("a key");
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, key(name)));
        machine.put("aws-credentials", &keys);

        let folder = tempfile::tempdir().expect("a folder");
        let [objects, metadata] = ["objects", "metadata"].map(|name| folder.path().join(name));
        for folder in [&objects, &metadata] {
            std::fs::create_dir(folder).expect("a folder");
        }
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let mut server = guarded(cluster::tools::s3().expect("an S3 server"));
        server
            .args(["--port", &address, "posix", "--sidecar"])
            .args([metadata, objects]);
        server
            .env("ROOT_ACCESS_KEY", keys[0].1)
            .env("ROOT_SECRET_KEY", keys[1].1);
        let mut server = Process::start(server, folder.path().join("log"));
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            server.check();
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "{}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        let endpoint = format!("http://{address}");
        let job = &kind("bucket.yaml")[0]["spec"]["template"]["spec"];
        let job = job.to_string().replace("http://seaweedfs:9000", &endpoint);
        let job = serde_json::from_str(&job).expect("a pod");
        // A second time it finds what it made.
        for _ in 0..2 {
            said(&mut machine.command(&job, "make-bucket"));
        }
        Self {
            _server: server,
            endpoint,
            folder,
        }
    }

    /// Where the server keeps the objects of the bucket.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.path().join("objects/mlflow")
    }
}

/// The objects in a file of what `make deploy-kind` applies.
fn kind(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mlflow-operator/kind/s3");
    let text = std::fs::read_to_string(folder.join(name)).expect("a manifest");
    let objects = cluster::objects(&text).expect("objects");
    objects.into_iter().map(|object| object.data).collect()
}
