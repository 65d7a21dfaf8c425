//! What a render of `charts/mlflow` with everything on costs, in time and memory. Run by
//! `cargo xtask bench --only helm-render`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench is a test"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use helm_render::{Capabilities, Chart, Release, read_values};

const RENDERS: usize = 1000;
const TARGET_MS: f64 = 1.0;
const TARGET_MB: f64 = 5.0;

fn main() {
    let before = peak_mb();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let started = Instant::now();
    let chart = Chart::from_directory(&here.join("../../charts/mlflow")).unwrap();
    let load_ms = started.elapsed().as_secs_f64() * 1000.0;
    let values = read_values("everything", &everything(here)).unwrap();
    let release = Release::new("mlflow", "opendatahub");
    let capabilities = Capabilities::new("v1.35.4").with(["monitoring.coreos.com/v1"]);

    let mut times = Vec::with_capacity(RENDERS);
    let mut objects = 0;
    for _ in 0..RENDERS {
        let started = Instant::now();
        let rendered = black_box(chart.render(&values, &release, &capabilities)).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        objects = rendered.objects.len();
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let (best_ms, middle_ms, slow_ms) = (at(0), at(50), at(99));
    let memory_mb = peak_mb() - before;
    if std::env::args().any(|argument| argument == "--json") {
        println!(
            "{}",
            serde_json::json!({
                "objects": objects, "renders": RENDERS, "load_ms": load_ms,
                "render_best_ms": best_ms, "render_ms": middle_ms, "render_p99_ms": slow_ms,
                "target_ms": TARGET_MS,
                "memory_mb": memory_mb, "target_mb": TARGET_MB,
            })
        );
        return;
    }
    println!("helm-render: charts/mlflow with everything on, {objects} objects, {RENDERS} renders");
    println!("  loading the chart    {load_ms:8.2} ms");
    println!("  a render, the best   {best_ms:8.2} ms  target {TARGET_MS} ms");
    println!(
        "  the middle one       {middle_ms:8.2} ms  target {TARGET_MS} ms   (99 of 100: {slow_ms:.2} ms)"
    );
    println!("  peak memory of both  {memory_mb:8.2} MB  target {TARGET_MB} MB");
}

/// The values of that name in the tests that compare with Helm.
fn everything(here: &Path) -> String {
    let cases = std::fs::read_to_string(here.join("tests/values/mlflow.values")).unwrap();
    let (_, rest) = cases.split_once("### everything on\n").unwrap();
    rest.split("### ").next().unwrap_or_default().to_owned()
}

/// The most memory that this process has had.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kilobytes / 1024.0
}
