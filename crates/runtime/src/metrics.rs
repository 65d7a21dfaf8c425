//! Numbers for Prometheus. No label holds an object's name, so the number of series is bounded.
//!
//! What controller-runtime measures too has the name and labels that it gives, so that dashboards
//! and alerts for the Go operators keep working. What only this runtime knows starts with
//! `operator_`.

use std::{fs, time::Duration};

use prometheus::{
    Counter, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Linux reports CPU time to programs in hundredths of a second on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Upper bounds in seconds: those of controller-runtime that matter.
const BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// How a reconcile ended: the label `result`, as controller-runtime has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// Everything is as planned.
    Success,
    /// Something failed; it is tried again.
    Error,
    /// It is done again at once.
    Requeue,
    /// It is done again at a known time.
    RequeueAfter,
}

impl ReconcileResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
        }
    }
}

/// All numbers of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    reconcile_errors: IntCounterVec,
    reconcile_time: HistogramVec,
    active_workers: IntGaugeVec,
    max_workers: IntGaugeVec,
    queue_depth: IntGaugeVec,
    requests: IntCounterVec,
    requests_by_verb: IntCounterVec,
    leader: IntGaugeVec,
    failures: IntCounterVec,
    drift_repairs: IntCounterVec,
    watch_restarts: IntCounterVec,
    synced: IntGaugeVec,
    certificate_expiry: GaugeVec,
    process: Process,
}

/// `process_*`, as every Prometheus client has them.
#[derive(Clone, Debug)]
struct Process {
    resident: Gauge,
    virtual_memory: Gauge,
    cpu: Counter,
    start: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

impl Metrics {
    /// Registers all numbers. `version` becomes a label of `operator_build_info`.
    ///
    /// # Errors
    /// Two metrics have the same name: a defect that the first start shows.
    #[allow(clippy::too_many_lines, reason = "a list: name, help, labels")]
    pub fn new(version: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        gauges(
            "operator_build_info",
            "Version of the operator.",
            &["version"],
        )?
        .with_label_values(&[version])
        .set(1);
        Ok(Self {
            reconciles: counters(
                "controller_runtime_reconcile_total",
                "Reconciles by result.",
                &["controller", "result"],
            )?,
            reconcile_errors: counters(
                "controller_runtime_reconcile_errors_total",
                "Reconciles that failed.",
                &["controller"],
            )?,
            reconcile_time: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "controller_runtime_reconcile_time_seconds",
                        "Seconds that a reconcile took.",
                    )
                    .buckets(BUCKETS.to_vec()),
                    &["controller"],
                )?,
            )?,
            active_workers: gauges(
                "controller_runtime_active_workers",
                "Reconciles that run now.",
                &["controller"],
            )?,
            max_workers: gauges(
                "controller_runtime_max_concurrent_reconciles",
                "Reconciles that may run at once.",
                &["controller"],
            )?,
            queue_depth: gauges(
                "workqueue_depth",
                "Resources that wait for a reconcile.",
                &["name", "controller"],
            )?,
            requests: counters(
                "rest_client_requests_total",
                "Requests to the API server; code is <error> where none came back.",
                &["code", "method", "host"],
            )?,
            requests_by_verb: counters(
                "operator_api_requests_total",
                "Requests to the API server by Kubernetes verb and class of the answer.",
                &["verb", "code"],
            )?,
            leader: gauges(
                "leader_election_master_status",
                "1 while this process holds the Lease.",
                &["name"],
            )?,
            failures: counters(
                "operator_reconcile_failures_total",
                "Failed reconciles by reason.",
                &["controller", "reason"],
            )?,
            drift_repairs: counters(
                "operator_drift_repairs_total",
                "Objects that were put back after somebody else changed or deleted them.",
                &["controller", "kind"],
            )?,
            watch_restarts: counters(
                "operator_watch_restarts_total",
                "Watches that were listed anew or failed.",
                &["kind"],
            )?,
            synced: gauges(
                "operator_synced",
                "1 when every object of the kind is known.",
                &["kind"],
            )?,
            certificate_expiry: register(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "operator_certificate_expiry_timestamp_seconds",
                        "When a served certificate ends, in seconds since 1970.",
                    ),
                    &["certificate"],
                )?,
            )?,
            process: Process::new(&registry)?,
            registry,
        })
    }

    /// One reconcile ended.
    pub fn reconciled(&self, controller: &str, result: ReconcileResult, took: Duration) {
        self.reconciles
            .with_label_values(&[controller, result.label()])
            .inc();
        self.reconcile_time
            .with_label_values(&[controller])
            .observe(took.as_secs_f64());
        if result == ReconcileResult::Error {
            self.reconcile_errors.with_label_values(&[controller]).inc();
        }
    }

    /// A reconcile failed for this reason, one of a fixed set of words.
    pub fn failed(&self, controller: &str, reason: &'static str) {
        self.failures.with_label_values(&[controller, reason]).inc();
    }

    /// Reconciles that run now and that may run at once.
    pub fn workers(&self, controller: &str, active: usize, max: usize) {
        self.active_workers
            .with_label_values(&[controller])
            .set(as_i64(active));
        self.max_workers
            .with_label_values(&[controller])
            .set(as_i64(max));
    }

    /// Resources that wait for a reconcile.
    pub fn queue_depth(&self, controller: &str, depth: usize) {
        self.queue_depth
            .with_label_values(&[controller, controller])
            .set(as_i64(depth));
    }

    /// One answer of the API server; `code` is `None` when none came.
    pub fn requested(&self, verb: &'static str, method: &str, host: &str, code: Option<u16>) {
        let (code, class) = match code {
            Some(code) => (code.to_string(), class(code)),
            None => ("<error>".to_owned(), "error"),
        };
        self.requests
            .with_label_values(&[code.as_str(), method, host])
            .inc();
        self.requests_by_verb
            .with_label_values(&[verb, class])
            .inc();
    }

    /// Whether this process holds the Lease of this name.
    pub fn leader(&self, lease: &str, holds: bool) {
        self.leader
            .with_label_values(&[lease])
            .set(i64::from(holds));
    }

    /// An object was put back.
    pub fn drift_repaired(&self, controller: &str, kind: &'static str) {
        self.drift_repairs
            .with_label_values(&[controller, kind])
            .inc();
    }

    /// A watch failed or had to list anew.
    pub fn watch_restarted(&self, kind: &'static str) {
        self.watch_restarts.with_label_values(&[kind]).inc();
    }

    /// Whether every object of this kind is known.
    pub fn synced(&self, kind: &'static str, synced: bool) {
        self.synced
            .with_label_values(&[kind])
            .set(i64::from(synced));
    }

    /// When a served certificate ends.
    pub fn certificate_expires(&self, certificate: &str, at: jiff::Timestamp) {
        #[allow(
            clippy::cast_precision_loss,
            reason = "exact until the year 285 million"
        )]
        self.certificate_expiry
            .with_label_values(&[certificate])
            .set(at.as_second() as f64);
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// A metric cannot be written as text: a defect.
    pub fn render(&self) -> prometheus::Result<String> {
        self.process.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl Process {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| register(registry, Gauge::new(name, help)?);
        Ok(Self {
            resident: gauge("process_resident_memory_bytes", "Resident memory in bytes.")?,
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory in bytes.")?,
            cpu: register(
                registry,
                Counter::new("process_cpu_seconds_total", "CPU seconds spent.")?,
            )?,
            start: gauge(
                "process_start_time_seconds",
                "Start, in seconds since 1970.",
            )?,
            open_fds: gauge("process_open_fds", "Open file descriptors.")?,
            max_fds: gauge("process_max_fds", "File descriptors that may be open.")?,
        })
    }

    /// Reads `/proc`. What is not there, on other systems, stays 0.
    fn refresh(&self) {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let set = |gauge: &Gauge, value: Option<f64>| {
            if let Some(value) = value {
                gauge.set(value);
            }
        };
        set(&self.resident, kibibytes(&status, "VmRSS:"));
        set(&self.virtual_memory, kibibytes(&status, "VmSize:"));
        set(&self.max_fds, max_open_files(&read("/proc/self/limits")));
        #[allow(
            clippy::cast_precision_loss,
            reason = "a process has fewer than 2^52 descriptors"
        )]
        set(
            &self.open_fds,
            fs::read_dir("/proc/self/fd")
                .ok()
                .map(|entries| entries.count() as f64),
        );
        if let Some((cpu, since_boot)) = cpu_and_start(&read("/proc/self/stat")) {
            self.cpu.inc_by((cpu - self.cpu.get()).max(0.0));
            set(
                &self.start,
                boot_time(&read("/proc/stat")).map(|boot| boot + since_boot),
            );
        }
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

const fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// Bytes of a line such as `VmRSS:  1234 kB`.
fn kibibytes(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace()
        .next()?
        .parse::<f64>()
        .ok()
        .map(|kib| kib * 1024.0)
}

/// CPU seconds, and the start in seconds after the boot, of `/proc/self/stat`. The second field
/// is the program's name in parentheses and may hold spaces, so counting starts after it.
fn cpu_and_start(stat: &str) -> Option<(f64, f64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    Some((
        (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        ticks(19)? / TICKS_PER_SECOND,
    ))
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn max_open_files(limits: &str) -> Option<f64> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_controller_runtime() {
        let metrics = Metrics::new("1.2.3").unwrap();
        metrics.reconciled(
            "modelregistry",
            ReconcileResult::Error,
            Duration::from_millis(20),
        );
        metrics.requested("patch", "PATCH", "10.0.0.1:443", Some(409));
        metrics.requested("list", "GET", "10.0.0.1:443", None);
        metrics.leader("85f368d1.opendatahub.io", true);
        metrics.queue_depth("modelregistry", 3);
        metrics.drift_repaired("modelregistry", "Service");
        let page = metrics.render().unwrap();
        for line in [
            r#"controller_runtime_reconcile_total{controller="modelregistry",result="error"} 1"#,
            r#"controller_runtime_reconcile_errors_total{controller="modelregistry"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_bucket{controller="modelregistry",le="0.025"} 1"#,
            r#"rest_client_requests_total{code="409",host="10.0.0.1:443",method="PATCH"} 1"#,
            r#"rest_client_requests_total{code="<error>",host="10.0.0.1:443",method="GET"} 1"#,
            r#"operator_api_requests_total{code="4xx",verb="patch"} 1"#,
            r#"leader_election_master_status{name="85f368d1.opendatahub.io"} 1"#,
            r#"workqueue_depth{controller="modelregistry",name="modelregistry"} 3"#,
            r#"operator_drift_repairs_total{controller="modelregistry",kind="Service"} 1"#,
            r#"operator_build_info{version="1.2.3"} 1"#,
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn the_process_is_measured() {
        let metrics = Metrics::new("1").unwrap();
        let page = metrics.render().unwrap();
        let value = |name: &str| -> f64 {
            let line = page
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")))
                .unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_start_time_seconds") > 1.6e9);
        metrics.render().unwrap();
    }

    #[test]
    fn a_program_name_with_spaces_and_parentheses_is_skipped() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 12345 1 1";
        assert_eq!(cpu_and_start(stat), Some((2.0, 123.45)));
        assert_eq!(cpu_and_start(""), None);
    }

    #[test]
    fn lines_of_proc_are_found() {
        assert_eq!(
            kibibytes("VmSize:\t  8 kB\nVmRSS:\t 2 kB\n", "VmRSS:"),
            Some(2048.0)
        );
        assert_eq!(
            boot_time("cpu 1\nbtime 1700000000\n"),
            Some(1_700_000_000.0)
        );
        let limits = "Limit   Soft  Hard\nMax open files            1024     4096    files\n";
        assert_eq!(max_open_files(limits), Some(1024.0));
    }
}
