//! What a transfer costs beside the same bytes read and sent by themselves. Run by
//! `cargo xtask bench --only async-upload`; the program is that of `ASYNC_UPLOAD_PROGRAM`, or the
//! one that is built along.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench is a test"
)]

#[path = "../tests/fakes/mod.rs"]
mod fakes;
#[path = "../tests/servers/mod.rs"]
mod servers;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_upload::http::{Use, client};
use async_upload::oci::digest;
use async_upload::pipeline::layer;
use async_upload::settings::{LAYER_CAP, Tls};
use bytes::Bytes;
use fakes::model_registry::ModelRegistry;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use servers::bucket::{KEY_ID, SECRET, bucket, link, put_all};
use servers::{Access, Server, content, files, registry};
use tempfile::TempDir;

const MEGA: usize = 1_000_000;
const BUDGET_MI: u64 = 128;
/// How much beyond the budget a process may hold.
const BESIDE_MI: u64 = 32;
/// How many requests the bare reader has open, and the sender that hashes.
const BARE: usize = 8;
/// How many the bare sender has open when it may have several: its figure is the best of these.
const BARE_SENDERS: [usize; 3] = [4, 8, 16];
const RANGE: usize = 8 << 20;
const RUNS: usize = 3;

/// A model of `count` files of `size` bytes.
struct Case {
    name: &'static str,
    count: usize,
    size: usize,
}

const CASES: [Case; 2] = [
    Case {
        name: "one",
        count: 1,
        size: 600 * MEGA,
    },
    Case {
        name: "many",
        count: 200,
        size: 3 * MEGA,
    },
];

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let program = std::env::var_os("ASYNC_UPLOAD_PROGRAM").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_async-upload")),
        PathBuf::from,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(measure(&program));
    if json {
        println!("{report}");
    } else {
        print(&report);
    }
}

async fn measure(program: &Path) -> Value {
    // First, so that all that the program reads is marked as read: the mark is a block of a file
    // system's own, which counts as written by whoever is the first to read in a day.
    let start = start(program).await;
    let bucket = bucket().await;
    let mut cases = Vec::new();
    for case in CASES {
        eprintln!("{} × {} MB …", case.count, case.size / MEGA);
        cases.push(measure_case(program, &bucket, &case).await);
    }
    json!({
        "cases": cases,
        "startMs": start.as_millis(),
        "programBytes": std::fs::metadata(program).unwrap().len(),
        "programIsStatic": is_static(program),
        "load": std::fs::read_to_string("/proc/loadavg").unwrap().split(' ').next(),
    })
}

/// Whether a program needs nothing beside itself: no segment of it names a loader.
fn is_static(program: &Path) -> bool {
    const LOADER: u8 = 3;
    let content = std::fs::read(program).unwrap();
    let half = |at: usize| usize::from(u16::from_le_bytes([content[at], content[at + 1]]));
    assert_eq!(content[..5], *b"\x7fELF\x02", "a program of 64 bits");
    // Its table of segments: where it is, how long an entry is, and how many there are.
    let (table, entry, count) = (half(0x20), half(0x36), half(0x38));
    (0..count).all(|number| content[table + number * entry] != LOADER)
}

async fn measure_case(program: &Path, bucket: &Server, case: &Case) -> Value {
    let all: Vec<Bytes> = (0..case.count)
        .map(|number| content(number as u64, case.size).into())
        .collect();
    let objects = all.iter().enumerate();
    let objects = objects.map(|(number, content)| {
        let key = format!("{}/{number:03}.bin", case.name);
        (key, content.to_vec())
    });
    put_all(&bucket.address, objects).await;
    let layers = layers(&all);
    drop(all);
    let digests: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let together = [Bytes::from(layers.concat())];
    let together_digest = [digest(&together[0])];
    let several = layers.len() > 1;
    let mut rounds = Vec::new();
    // Each figure of a round is taken right after the other, so that all have the same machine.
    for _ in 0..RUNS {
        let get = timed(read_bare(&bucket.address, case)).await;
        let one_by_one = send_fresh(&layers, Some(&digests), 1).await;
        let (mut put, mut put_parallel) = (one_by_one, one_by_one);
        if several {
            put = put.min(send_fresh(&together, Some(&together_digest), 1).await);
            for connections in BARE_SENDERS {
                let sent = send_fresh(&layers, Some(&digests), connections).await;
                put_parallel = put_parallel.min(sent);
            }
        }
        let put_hashed = send_fresh(&layers, None, BARE).await;
        let registry = fresh_registry();
        let ours = upload(program, &bucket.address, &registry.address, case).await;
        rounds.push(Round {
            get,
            put,
            put_parallel,
            put_hashed,
            ours,
        });
    }
    let best = |figure: fn(&Round) -> f64| rounds.iter().map(figure).fold(f64::INFINITY, f64::min);
    let most = |figure: fn(&Cost) -> u64| rounds.iter().map(|round| figure(&round.ours)).max();
    json!({
        "name": case.name, "files": case.count, "bytes": case.count * case.size,
        "layers": layers.len(),
        "getSeconds": best(|round| round.get),
        "putSeconds": best(|round| round.put),
        "putParallelSeconds": best(|round| round.put_parallel),
        "putHashedTwiceSeconds": best(|round| round.put_hashed),
        "uploadSeconds": best(|round| round.ours.seconds),
        "cpuSeconds": best(|round| round.ours.cpu_seconds),
        "peakKi": most(|cost| cost.peak_ki),
        "writtenBytes": most(|cost| cost.written),
    })
}

/// How long [`send_bare`] takes with an empty registry.
async fn send_fresh(all: &[Bytes], digests: Option<&[String]>, connections: usize) -> f64 {
    let registry = fresh_registry();
    timed(send_bare(&registry.address, all, digests, connections)).await
}

/// An empty registry. What those before it have stored is gone with them, so that nobody waits for
/// the disk to write it.
fn fresh_registry() -> Server {
    let registry = registry(&Access::default());
    assert!(Command::new("sync").status().unwrap().success());
    registry
}

async fn timed(work: impl Future<Output = ()>) -> f64 {
    let started = Instant::now();
    work.await;
    started.elapsed().as_secs_f64()
}

/// Reads everything in ranges, side by side, and drops it.
async fn read_bare(address: &str, case: &Case) {
    let client = client(&Tls::default(), Use::Read).unwrap();
    let ranges = (0..case.count).flat_map(|number| {
        (0..case.size)
            .step_by(RANGE)
            .map(move |start| (number, start, case.size.min(start + RANGE)))
    });
    stream::iter(ranges)
        .for_each_concurrent(BARE, |(number, start, end)| {
            let path = format!("{}/{number:03}.bin", case.name);
            let request = client
                .get(link(address, &path))
                .header("range", format!("bytes={start}-{}", end - 1));
            tokio::spawn(async move {
                let mut answer = request.send().await.unwrap().error_for_status().unwrap();
                while answer.chunk().await.unwrap().is_some() {}
            })
            .map_ok_or_panic()
        })
        .await;
}

/// The layers of an image with these files, as the program makes them.
fn layers(all: &[Bytes]) -> Vec<Bytes> {
    let sizes: Vec<u64> = all.iter().map(|content| content.len() as u64).collect();
    let plan = layer::plan(&sizes, LAYER_CAP);
    plan.into_iter()
        .map(|range| {
            let mut tar = Vec::new();
            for number in range {
                let content = &all[number];
                let size = content.len() as u64;
                tar.extend_from_slice(&layer::header(&format!("{number:03}.bin"), size).unwrap());
                tar.extend_from_slice(content);
                tar.extend_from_slice(&layer::padding(size));
            }
            tar.extend_from_slice(&layer::END);
            tar.into()
        })
        .collect()
}

/// Sends everything as blobs, over so many connections at once: in one request each, because their
/// digests are known. Without `digests` they are made on the way, and each byte is hashed twice, as
/// an upload must.
async fn send_bare(address: &str, all: &[Bytes], digests: Option<&[String]>, connections: usize) {
    let client = client(&Tls::default(), Use::Read).unwrap();
    stream::iter(all.iter().enumerate())
        .for_each_concurrent(connections, |(number, content)| {
            let (client, content) = (client.clone(), content.clone());
            let digest = digests.map(|digests| digests[number].clone());
            let url = format!("http://{address}/v2/bare/blobs/uploads/");
            tokio::spawn(async move {
                let answer = client.post(url).send().await.unwrap();
                let location = answer.headers()["location"].to_str().unwrap().to_owned();
                let put = if let Some(digest) = digest {
                    let put = client.put(format!("{location}&digest={digest}"));
                    put.body(content)
                } else {
                    let hash = || {
                        let content = content.clone();
                        tokio::task::spawn_blocking(move || async_upload::oci::digest(&content))
                    };
                    let hashes = (hash(), hash());
                    let patch = client.patch(location).body(content.clone());
                    let answer = patch.send().await.unwrap();
                    let location = answer.headers()["location"].to_str().unwrap();
                    let digest = hashes.0.await.unwrap();
                    assert_eq!(digest, hashes.1.await.unwrap());
                    client.put(format!("{location}&digest={digest}"))
                };
                put.send().await.unwrap().error_for_status().unwrap();
            })
            .map_ok_or_panic()
        })
        .await;
}

/// Waiting for a task.
trait Joined {
    async fn map_ok_or_panic(self);
}

impl Joined for tokio::task::JoinHandle<()> {
    async fn map_ok_or_panic(self) {
        self.await.unwrap();
    }
}

/// The figures of one round, in seconds.
struct Round {
    /// The bare reader, over several connections.
    get: f64,
    /// The bare sender over one connection: the same layers one after the other, or all of their bytes
    /// as one blob, whichever is faster. The target is about this one. The Python job's times and
    /// ratios came from 2.6 s and 2.4 s for the two shapes: equal, so its sender had one connection
    /// for 200 files too.
    put: f64,
    /// The same layers over as many connections as are best. To keep up with it, several layers would
    /// have to be on their way at once, and a kill would cost more than one.
    put_parallel: f64,
    /// The same layers over several connections, while each byte is hashed twice.
    put_hashed: f64,
    ours: Cost,
}

/// What a run of the program took.
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    peak_ki: u64,
    written: u64,
}

fn command(program: &Path, models: &str, dir: &Path) -> Command {
    let metadata = dir.join("metadata");
    std::fs::create_dir_all(&metadata).unwrap();
    for (key, value) in [
        ("RegisteredModel.name", "bench"),
        ("ModelVersion.name", "v1"),
        ("ModelArtifact.name", "weights"),
    ] {
        std::fs::write(metadata.join(key), value).unwrap();
    }
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("TERMINATION_MESSAGE_PATH", dir.join("last-words"))
        .env("MODEL_SYNC_MODEL_UPLOAD_INTENT", "create_model")
        .env("MODEL_SYNC_METADATA_CONFIGMAP_PATH", &metadata)
        .env("MODEL_SYNC_REGISTRY_SERVER_ADDRESS", models)
        .env("MODEL_SYNC_REGISTRY_IS_SECURE", "false")
        .env("MODEL_SYNC_DESTINATION_OCI_BASE_IMAGE", "none")
        .env("MODEL_SYNC_DESTINATION_OCI_ENABLE_TLS_VERIFY", "false")
        .env("MODEL_SYNC_MEMORY_BUDGET", format!("{BUDGET_MI}Mi"))
        .env("MODEL_SYNC_SOURCE_TYPE", "s3")
        .env("MODEL_SYNC_SOURCE_AWS_BUCKET", "models")
        .env("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", KEY_ID)
        .env("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", SECRET)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(dir.join("log")).unwrap());
    command
}

async fn upload(program: &Path, bucket: &str, registry: &str, case: &Case) -> Cost {
    let models = ModelRegistry::start().await;
    let dir = in_memory();
    let name = format!("{registry}/bench/{}:v1", case.name);
    let started = Instant::now();
    let mut child = command(program, &models.url(), dir.path())
        .env("MODEL_SYNC_SOURCE_AWS_ENDPOINT", format!("http://{bucket}"))
        .env("MODEL_SYNC_SOURCE_AWS_KEY", case.name)
        .env("MODEL_SYNC_DESTINATION_OCI_URI", &name)
        .env("MODEL_SYNC_DESTINATION_OCI_REGISTRY", registry)
        .spawn()
        .unwrap();
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let (mut peak_ki, mut written, mut cpu_seconds) = (0, 0, 0.0);
    let status = loop {
        // All of them only grow, so the last look before the end is the figure.
        peak_ki = number(&proc.join("status"), "VmHWM:")
            .unwrap_or(peak_ki)
            .max(peak_ki);
        written = number(&proc.join("io"), "write_bytes:")
            .unwrap_or(written)
            .max(written);
        cpu_seconds = processor(&proc.join("stat")).unwrap_or(cpu_seconds);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    };
    let seconds = started.elapsed().as_secs_f64();
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(status.success(), "{log}");
    let bytes: usize = files(&name).iter().map(|(.., content)| content.len()).sum();
    assert_eq!(bytes, case.count * case.size);
    Cost {
        seconds,
        cpu_seconds,
        peak_ki,
        written,
    }
}

/// A directory for the log and the last words, which are no temporary files: only what the program
/// writes elsewhere is counted.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn number(file: &Path, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Seconds of processor time, from the fields of a process.
fn processor(file: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(file).ok()?;
    // Behind the name, which may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    let (user, system) = (ticks()?, ticks()?);
    // Of a hundredth of a second each, on every Linux that there is.
    (user + system > 0.0).then(|| (user + system) / 100.0)
}

/// From the start of the process to its first request, the best of several.
async fn start(program: &Path) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let dir = in_memory();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let models = format!("http://{}", listener.local_addr().unwrap());
        let started = Instant::now();
        let mut child = command(program, &models, dir.path())
            .env("MODEL_SYNC_SOURCE_AWS_ENDPOINT", &models)
            .env("MODEL_SYNC_SOURCE_AWS_KEY", "m")
            .env("MODEL_SYNC_DESTINATION_OCI_URI", "127.0.0.1:1/bench/m:v1")
            .spawn()
            .unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
        best = best.min(started.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
        asked.unwrap().unwrap();
    }
    best
}

fn print(report: &Value) {
    for case in report["cases"].as_array().unwrap() {
        let seconds = |name: &str| case[name].as_f64().unwrap();
        let slower = seconds("getSeconds").max(seconds("putSeconds"));
        let ours = seconds("uploadSeconds");
        println!(
            "{} files, {} MB: {ours:.2} s. Bare GET {:.2} s, bare PUT over one connection {:.2} s. \
             {:.2} × the slower one (target 1.15)",
            case["files"],
            case["bytes"].as_u64().unwrap() / MEGA as u64,
            seconds("getSeconds"),
            seconds("putSeconds"),
            ours / slower
        );
        let (parallel, hashed) = (
            seconds("putParallelSeconds"),
            seconds("putHashedTwiceSeconds"),
        );
        println!(
            "  {} layers over as many connections as are best {parallel:.2} s, {:.2} ×; with two \
             hashes {hashed:.2} s, {:.2} ×",
            case["layers"],
            ours / parallel,
            ours / hashed
        );
        println!(
            "  {:.2} s of processor time, peak memory {} MiB (target {}), {} bytes written to disk \
             (target 0)",
            seconds("cpuSeconds"),
            case["peakKi"].as_u64().unwrap() / 1024,
            BUDGET_MI + BESIDE_MI,
            case["writtenBytes"]
        );
    }
    println!(
        "start to first request {} ms (target 50); program {:.1} MB (target 25), {}; load {}",
        report["startMs"],
        report["programBytes"].as_f64().unwrap() / MEGA as f64,
        if report["programIsStatic"] == true {
            "static"
        } else {
            "not static"
        },
        report["load"]
    );
}
