//! `bench`: what an operator costs, seen from outside: in the API server's audit log and in /proc.
//! It prints figures beside their targets and fails only where it could not measure: on a busy
//! machine a missed second is no defect.

mod bare;
mod complete;
mod count;
mod crowd;
mod report;
mod scenario;
mod subject;
mod usage;
mod versions;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use cluster::{Platform, Record};
use jiff::Timestamp;

use self::bare::Recording;
use self::count::Count;
use self::crowd::{Crowd, OPERATED, PLAIN};
use self::report::{Bare, Case, Complete, First, Machine, Program, Report, Restart};
use self::scenario::{Programs, Scenario};
use self::subject::Subject;
use self::versions::{changed, versions};
use crate::operator::{BuildTarget, build, built};
use crate::steps::{cargo, run as run_command};

/// So often a start is measured; the figure is the middle one.
const STARTS: usize = 3;

#[derive(Args)]
pub(crate) struct Bench {
    /// Measure this only; may be given several times
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,
    /// Print the figures as JSON on standard output; progress stays on standard error
    #[arg(long)]
    json: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    /// 1, 100 and 200 registries created at once: requests, seconds, and a bare client beside it
    Registry,
    /// Requests in a minute at rest, with 50 registries, webhooks and a catalog
    Rest,
    /// A restart with 100 registries: what it changes and asks for
    Restart,
    /// From the start of the process to the first status
    Start,
    /// Peak memory with 1 and with 200 registries, and with 1 and webhooks
    Memory,
    /// 1 and 100 TrustyAI services created at once: requests, seconds, a bare client beside it, a
    /// restart, memory; and requests in a minute at rest, with 50 services and 50 models that are
    /// wired to them
    Trustyai,
    /// 1 and 50 MLflows created at once: requests, seconds, a bare client beside it, a restart,
    /// memory; and requests in a minute at rest with 50
    Mlflow,
    /// Sizes of the stripped programs
    Size,
    /// The upload job: 600 MB in one file and in 200, beside the same bytes read and sent by
    /// themselves
    AsyncUpload,
    /// A render of charts/mlflow with everything on: time and memory
    HelmRender,
}

/// What is measured of resources that are created at once, beside what is always.
#[derive(Clone, Copy, Default, Debug)]
struct Asked {
    /// The same by the bare client.
    bare: bool,
    /// A restart with them.
    restart: bool,
    /// A start with one more.
    start: bool,
}

impl Asked {
    fn and(self, other: Self) -> Self {
        Self {
            bare: self.bare || other.bare,
            restart: self.restart || other.restart,
            start: self.start || other.start,
        }
    }
}

impl Part {
    /// Whether it measures itself, without a cluster.
    fn alone(self) -> bool {
        matches!(self, Self::AsyncUpload | Self::HelmRender)
    }

    /// What is created at once for it, beside what [`complete`] measures.
    fn cases(self) -> Vec<(Subject, usize, Asked)> {
        let nothing = Asked::default();
        let bare = Asked {
            bare: true,
            ..nothing
        };
        let restart = Asked {
            restart: true,
            ..nothing
        };
        let start = Asked {
            start: true,
            ..nothing
        };
        let registries = |count, asked| (Subject::Registries, count, asked);
        match self {
            Self::Registry => [1, 100, 200].map(|count| registries(count, bare)).into(),
            Self::Restart => vec![registries(100, restart)],
            Self::Start => vec![registries(1, start)],
            Self::Memory => [1, 200].map(|count| registries(count, nothing)).into(),
            Self::Trustyai => vec![
                (Subject::Services, 1, nothing),
                (Subject::Services, 100, bare.and(restart)),
            ],
            Self::Mlflow => vec![
                (Subject::Mlflows, 1, nothing),
                (Subject::Mlflows, 50, bare.and(restart)),
            ],
            Self::Rest | Self::Size | Self::AsyncUpload | Self::HelmRender => Vec::new(),
        }
    }

    /// What is measured for it with everything switched on, and whether at rest, too.
    fn complete(self) -> Option<(Subject, bool)> {
        match self {
            Self::Memory => Some((Subject::Registries, false)),
            Self::Rest => Some((Subject::Registries, true)),
            Self::Trustyai => Some((Subject::Services, true)),
            Self::Mlflow => Some((Subject::Mlflows, true)),
            _ => None,
        }
    }
}

/// What all parts ask for together.
#[derive(Default)]
struct Wanted {
    cases: BTreeMap<(Subject, usize), Asked>,
    complete: BTreeMap<Subject, bool>,
    sizes: bool,
}

impl Wanted {
    fn of(parts: &[Part]) -> Self {
        let mut wanted = Self {
            sizes: parts.contains(&Part::Size),
            ..Self::default()
        };
        for part in parts {
            for (subject, count, asked) in part.cases() {
                let case = wanted.cases.entry((subject, count)).or_default();
                *case = case.and(asked);
            }
            if let Some((subject, at_rest)) = part.complete() {
                *wanted.complete.entry(subject).or_default() |= at_rest;
            }
        }
        wanted
    }

    /// Whose programs it takes.
    fn subjects(&self) -> Vec<Subject> {
        let measured = |subject: &Subject| {
            self.sizes
                || self.complete.contains_key(subject)
                || self.cases.keys().any(|(of, _)| of == subject)
        };
        Subject::ALL.into_iter().filter(measured).collect()
    }
}

/// Measures and prints.
pub(crate) fn run(options: &Bench) -> Result<()> {
    if !options.only.is_empty() && options.only.iter().all(|part| part.alone()) {
        return measure_alone(&options.only, options.json);
    }
    if cfg!(debug_assertions) {
        return Err(run_optimised(options));
    }
    let target = BuildTarget::find();
    let machine = machine(&target)?;
    let parts = match options.only.as_slice() {
        [] => Part::value_variants(),
        only => only,
    };
    let wanted = Wanted::of(parts);
    let programs = build_programs(&wanted.subjects(), &target)?;
    let sizes = if wanted.sizes {
        programs.iter().map(size).collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let measured = runtime.block_on(async {
        tokio::select! {
            outcome = measure_all(&wanted, &programs) => Ok(outcome),
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped")),
        }
    })?;
    let report = Report::new(machine, sizes, measured.cases, measured.complete);
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    if !measured.failed.is_empty() {
        bail!("not measured: {}", measured.failed.join("; "));
    }
    measure_alone(parts, options.json)
}

/// Builds the programs as their images have them.
fn build_programs(subjects: &[Subject], target: &BuildTarget) -> Result<Programs> {
    let operators: Vec<_> = subjects.iter().map(|s| s.operator(s.variant())).collect();
    let names: Vec<&str> = operators.iter().map(|operator| operator.name).collect();
    eprintln!("building {} …", names.join(", "));
    build(&names, true, target.option())?;
    let built = operators.iter().map(|o| o.built(true, target.option()));
    Ok(subjects.iter().copied().zip(built).collect())
}

fn size((subject, program): (&Subject, &PathBuf)) -> Result<Program> {
    Ok(Program {
        name: subject.operator(subject.variant()).name,
        bytes: std::fs::metadata(program)?.len(),
    })
}

/// Parts that measure themselves, without a cluster.
fn measure_alone(parts: &[Part], json: bool) -> Result<()> {
    if parts.contains(&Part::AsyncUpload) {
        upload(json)?;
    }
    if parts.contains(&Part::HelmRender) {
        eprintln!("building helm-render …");
        run_bench("helm-render", "render", json, &[])?;
    }
    Ok(())
}

/// Runs a program of figures that stands in a crate's `benches`.
fn run_bench(package: &str, bench: &str, json: bool, env: &[(&str, &Path)]) -> Result<()> {
    let mut command = cargo(&["bench", "--quiet", "--locked", "--package", package]);
    command
        .args(["--bench", bench, "--"])
        .envs(env.iter().copied());
    if json {
        command.arg("--json");
    }
    run_command(&mut command)
}

/// The upload job measures itself: it is compared with servers, not with a cluster.
fn upload(json: bool) -> Result<()> {
    const PACKAGE: &str = "async-upload";
    let target = BuildTarget::find();
    eprintln!("building {PACKAGE} for {target} …");
    build(&[PACKAGE], true, target.option())?;
    let program = built(PACKAGE, true, target.option());
    let env = [("ASYNC_UPLOAD_PROGRAM", program.as_path())];
    run_bench(PACKAGE, "transfer", json, &env)
}

/// Runs this program again, optimised: a slow bare client would be no floor. Returns only if it
/// cannot.
fn run_optimised(options: &Bench) -> anyhow::Error {
    eprintln!("building the bare client …");
    let mut command = cargo(&["run", "--quiet", "--locked", "--release"]);
    command.args(["--package", "xtask", "--", "bench"]);
    for part in &options.only {
        let name = part.to_possible_value();
        command.arg(format!(
            "--only={}",
            name.as_ref().map_or("", |name| name.get_name())
        ));
    }
    if options.json {
        command.arg("--json");
    }
    anyhow::Error::new(command.exec()).context("running cargo")
}

fn machine(target: &BuildTarget) -> Result<Machine> {
    let load = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    Ok(Machine {
        processors: std::thread::available_parallelism()?.get(),
        load: load
            .split_whitespace()
            .next()
            .and_then(|load| load.parse().ok())
            .context("/proc/loadavg holds no number")?,
        target: target.to_string(),
    })
}

/// What was measured, and what could not be.
#[derive(Default)]
struct Measured {
    cases: Vec<Case>,
    complete: Vec<Complete>,
    failed: Vec<String>,
}

impl Measured {
    /// The figures, unless something went wrong, which is said and remembered.
    fn take<T>(&mut self, what: &str, outcome: Result<T>) -> Option<T> {
        let failed = |error| {
            eprintln!("  {error:#}");
            self.failed.push(format!("{what}: {error:#}"));
        };
        outcome.map_err(failed).ok()
    }
}

async fn measure_all(wanted: &Wanted, programs: &Programs) -> Measured {
    let mut measured = Measured::default();
    for platform in [Platform::Kubernetes, Platform::OpenShift] {
        for ((subject, count), asked) in &wanted.cases {
            let what = format!("{} on {platform}", subject.counted(*count));
            eprintln!("{what} …");
            let case = measure(platform, *subject, *count, *asked, programs).await;
            let case = measured.take(&what, case);
            measured.cases.extend(case);
        }
        for (subject, at_rest) in &wanted.complete {
            let (with, _) = subject.complete();
            let what = format!("{subject:?} {with} on {platform}");
            eprintln!("{what} …");
            let complete = complete::measure(platform, *subject, *at_rest, programs).await;
            let complete = measured.take(&what, complete);
            measured.complete.extend(complete);
        }
    }
    measured
}

/// One operator in one cluster, from its start to its end.
async fn measure(
    platform: Platform,
    subject: Subject,
    count: usize,
    asked: Asked,
    programs: &Programs,
) -> Result<Case> {
    let scenario = Scenario::new(platform, subject, subject.variant(), programs).await?;
    let crowd = Crowd::new(subject, OPERATED, count);
    crowd.prepare(&scenario.client).await?;
    let mut process = scenario.start_and_settle().await?;
    let startup = Count::of(&scenario.requests(process.mark).await?.records);
    let idle = process.usage()?;

    let mark = scenario.cluster.audit_mark().await?;
    let seconds = scenario.create(&mut process, &crowd).await?;
    scenario.settle(&mut process, mark).await?;
    let log = scenario.requests(mark).await?;
    let usage = process.usage()?;

    let before = versions(&scenario.client).await?;
    process.stop().await?;

    let mut restart = None;
    if asked.restart {
        eprintln!("  restarted …");
        let process = scenario.start_and_settle().await?;
        let after = versions(&scenario.client).await?;
        restart = Some(Restart {
            changed: changed(&before, &after),
            requests: Count::of(&scenario.requests(process.mark).await?.records),
            usage: process.usage()?,
        });
        process.stop().await?;
    }
    let mut first = None;
    if asked.start {
        eprintln!("  started …");
        first = Some(measure_start(&scenario, count).await?);
    }
    let mut bare = None;
    if asked.bare {
        eprintln!("  by the bare client …");
        bare = Some(measure_bare(&scenario, &log.records, count).await?);
    }
    Ok(Case {
        platform,
        subject,
        count,
        startup,
        requests: Count::of(&log.records),
        seconds,
        idle,
        usage,
        bare,
        restart,
        first,
    })
}

/// Starts the operator with a resource that it has not seen, beside `count` that it has; three
/// times, because how busy the machine is at that moment is half of the figure.
async fn measure_start(scenario: &Scenario, count: usize) -> Result<First> {
    let crowd = Crowd::new(scenario.subject, OPERATED, count + STARTS);
    crowd.prepare(&scenario.client).await?;
    let mut starts = Vec::new();
    for number in count + 1..=count + STARTS {
        crowd.create(&scenario.client, number).await?;
        let process = scenario.start_and_settle().await?;
        let log = scenario.requests(process.mark).await?;
        starts.push(first_steps(process.started, &log.records));
        process.stop().await?;
    }
    starts.sort_by(|a, b| f64::total_cmp(&a.until_status(), &b.until_status()));
    starts
        .into_iter()
        .nth(STARTS / 2)
        .context("a start was measured")
}

/// When a process, started at `started`, had come how far.
fn first_steps(started: Timestamp, records: &[Record]) -> First {
    let since = |time: Timestamp| time.duration_since(started).as_secs_f64();
    let answered = |wanted: &dyn Fn(&Record) -> bool| {
        let times = records.iter().filter(|record| wanted(record));
        times.map(|record| record.answered).min().map(since)
    };
    let is_lease = |record: &Record| record.resource == "leases";
    let is_status = |record: &Record| record.is_write() && record.subresource == "status";
    let writes = |record: &Record| record.is_write() && !is_lease(record);
    let write = answered(&writes);
    let watches = records.iter().filter(|record| {
        record.verb == "watch" && write.is_none_or(|write| since(record.answered) <= write)
    });
    First {
        request: records
            .iter()
            .map(|record| record.received)
            .min()
            .map(since),
        watches: watches.map(|record| record.answered).max().map(since),
        lease: answered(&|record| is_lease(record) && record.is_write()),
        write,
        status: answered(&is_status),
    }
}

/// Sends again what the operator sent, in another namespace.
async fn measure_bare(scenario: &Scenario, records: &[Record], count: usize) -> Result<Bare> {
    let crowd = Crowd::new(scenario.subject, PLAIN, count);
    crowd.prepare(&scenario.client).await?;
    let client = scenario.operators_client().await?;
    let recording = Recording::of(records);
    let (recording, crowd, client) = (&recording, &crowd, &client);
    let seconds = crowd
        .race(&scenario.client, false, |number| {
            recording.replay(&scenario.client, client, crowd, number)
        })
        .await?;
    Ok(Bare {
        objects: recording.objects(),
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::count::tests::records;

    #[test]
    fn first_steps_are_read_from_the_log() {
        let mut log = records(
            "create authorization.k8s.io/selfsubjectrulesreviews - 201
             watch modelregistry.opendatahub.io/modelregistries - 200
             watch apps/deployments - 200
             create coordination.k8s.io/leases l 201
             create apps/deployments a 201
             patch modelregistry.opendatahub.io/modelregistries/status a 200
             watch route.openshift.io/routes - 200",
        );
        for (index, record) in (1..).zip(&mut log) {
            record.received = Timestamp::from_millisecond(index * 10).unwrap();
            record.answered = Timestamp::from_millisecond(index * 10 + 5).unwrap();
        }
        let first = first_steps(Timestamp::from_millisecond(5).unwrap(), &log);
        let steps = [
            first.request,
            first.watches,
            first.lease,
            first.write,
            first.status,
        ];
        assert_eq!(steps, [0.005, 0.03, 0.04, 0.05, 0.06].map(Some));
    }

    #[test]
    fn every_part_measures_something() {
        for part in Part::value_variants() {
            let in_a_cluster = !part.cases().is_empty() || part.complete().is_some();
            let apart = *part == Part::Size || part.alone();
            assert_eq!(in_a_cluster, !apart, "{part:?}");
        }
    }

    #[test]
    fn what_parts_share_is_measured_once() {
        let wanted = Wanted::of(&[Part::Registry, Part::Restart, Part::Memory, Part::Rest]);
        assert_eq!(wanted.cases.len(), 3);
        let hundred = wanted.cases[&(Subject::Registries, 100)];
        assert!(hundred.bare && hundred.restart && !hundred.start);
        assert!(wanted.complete[&Subject::Registries], "at rest, too");
        assert_eq!(wanted.subjects(), [Subject::Registries]);
        assert_eq!(Wanted::of(&[Part::Size]).subjects(), Subject::ALL);
    }
}
