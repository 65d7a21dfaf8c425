//! Figures, their targets, and how both are printed. Pure.

use std::fmt::{self, Display, Formatter, Write as _};

use serde::{Serialize, Serializer};

use super::count::Count;
use super::crowd::Seconds;
use super::subject::Subject;
use super::usage::Usage;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where: without it no second means anything.
    pub(crate) machine: Machine,
    /// Stripped programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) programs: Vec<Program>,
    /// One for each platform, kind and number of resources.
    pub(crate) cases: Vec<Case>,
    /// With everything switched on, one for each platform.
    pub(crate) complete: Vec<Complete>,
    /// What was aimed at.
    pub(crate) targets: Vec<Target>,
}

/// The machine, when the run began.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Processors.
    pub(crate) processors: usize,
    /// How busy it was in the minute before.
    pub(crate) load: f64,
    /// What the program is built for.
    pub(crate) target: String,
}

/// A stripped program.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its size, in bytes.
    pub(crate) bytes: u64,
}

/// Some resources, created at once.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    /// `kubernetes` or `openshift`, the stand-in.
    #[serde(serialize_with = "as_text")]
    pub(crate) platform: cluster::Platform,
    /// Which.
    pub(crate) subject: Subject,
    /// How many.
    pub(crate) count: usize,
    /// From the start of the operator until it waited for resources.
    pub(crate) startup: Count,
    /// From then until it had nothing more to do.
    pub(crate) requests: Count,
    /// How long it took.
    pub(crate) seconds: Seconds,
    /// Before the resources.
    pub(crate) idle: Usage,
    /// With them, at rest.
    pub(crate) usage: Usage,
    /// The same by the bare client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bare: Option<Bare>,
    /// A restart with nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart: Option<Restart>,
    /// A start with one new resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<First>,
}

/// The operator with its webhooks.
#[derive(Debug, Serialize)]
pub(crate) struct Complete {
    /// `kubernetes` or `openshift`, the stand-in.
    #[serde(serialize_with = "as_text")]
    pub(crate) platform: cluster::Platform,
    /// Of which resources.
    pub(crate) subject: Subject,
    /// With one resource.
    pub(crate) usage: Usage,
    /// With more of them, and a catalog or models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<Rest>,
}

/// A minute in which nothing changed.
#[derive(Debug, Serialize)]
pub(crate) struct Rest {
    /// How many there were.
    pub(crate) resources: usize,
    /// Of the operator, and of the catalog's.
    pub(crate) requests: Count,
    /// Of the operator.
    pub(crate) usage: Usage,
    /// Of the catalog's operator, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) catalog: Option<Usage>,
}

/// What the bare client did.
#[derive(Debug, Serialize)]
pub(crate) struct Bare {
    /// Objects that it created, resources not counted.
    pub(crate) objects: usize,
    /// How long it took.
    pub(crate) seconds: Seconds,
}

/// What a restart did.
#[derive(Debug, Serialize)]
pub(crate) struct Restart {
    /// Objects with another resource version than before.
    pub(crate) changed: Vec<String>,
    /// Until it had nothing more to do.
    pub(crate) requests: Count,
    /// Of the new process.
    pub(crate) usage: Usage,
}

/// Seconds from the start of the process; absent for what did not happen.
#[derive(Debug, Serialize)]
pub(crate) struct First {
    /// To its first request.
    pub(crate) request: Option<f64>,
    /// To the last of its first watches.
    pub(crate) watches: Option<f64>,
    /// To the Lease.
    pub(crate) lease: Option<f64>,
    /// To the first write for the resource.
    pub(crate) write: Option<f64>,
    /// To the first status.
    pub(crate) status: Option<f64>,
}

/// A figure and its upper bound.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Target {
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) measured: f64,
    /// The most that it should be.
    pub(crate) at_most: f64,
    /// Of both.
    pub(crate) unit: &'static str,
    /// Whether it is.
    pub(crate) met: bool,
}

impl First {
    /// Seconds to the first status; one that did not come is later than any.
    pub(crate) fn until_status(&self) -> f64 {
        self.status.unwrap_or(f64::INFINITY)
    }
}

impl Target {
    fn new(name: String, measured: f64, at_most: f64, unit: &'static str) -> Self {
        Self {
            name,
            measured,
            at_most,
            unit,
            met: measured <= at_most,
        }
    }
}

impl Report {
    /// Compares what was measured with what was aimed at.
    pub(crate) fn new(
        machine: Machine,
        programs: Vec<Program>,
        cases: Vec<Case>,
        complete: Vec<Complete>,
    ) -> Self {
        let mut targets: Vec<Target> = cases.iter().flat_map(Case::targets).collect();
        targets.extend(complete.iter().flat_map(Complete::targets));
        targets.extend(programs.iter().map(|program| {
            let name = format!("stripped {}", program.name);
            Target::new(name, mega(program.bytes), 12.0, "MB")
        }));
        Self {
            machine,
            programs,
            cases,
            complete,
            targets,
        }
    }
}

impl Case {
    fn targets(&self) -> Vec<Target> {
        let count = self.count;
        let who = format!("{} on {}", self.subject.counted(count), self.platform);
        let of = |what: &str| format!("{what}, {who}");
        let aims = self.subject.aims();
        let requests = each(self.requests.work(), count);
        let mut targets = Vec::new();
        match aims.requests {
            None => {
                let allowed = each(self.requests.allowed(count), count);
                targets.push(Target::new(of("requests each"), requests, allowed, ""));
            }
            Some(most) if count == 1 => {
                let all = requests + each(self.startup.work(), 1);
                let name = of("requests from start to rest");
                targets.push(Target::new(name, all, each(most, 1), ""));
            }
            Some(_) => {}
        }
        if let Some(bare) = &self.bare
            && count == aims.crowd
        {
            let ratio = self.seconds.deployments / bare.seconds.deployments;
            targets.push(Target::new(of("time, bare client = 1"), ratio, 1.3, "×"));
        }
        if let Some(most) = aims.cpu_seconds
            && count == aims.crowd
        {
            let cpu = self.usage.cpu_seconds;
            targets.push(Target::new(of("processor"), cpu, most, "s"));
        }
        for (limited, limit) in [(1, 14.0), (200, 40.0)] {
            if count == limited {
                let peak = mebi(self.usage.peak_kib);
                targets.push(Target::new(of("peak memory"), peak, limit, "MiB"));
            }
        }
        if let Some(restart) = &self.restart {
            let changed = each(restart.changed.len(), 1);
            targets.push(Target::new(
                of("changed by a restart"),
                changed,
                0.0,
                "objects",
            ));
        }
        if let Some(first) = &self.first {
            let status = first.until_status();
            targets.push(Target::new(of("start to first status"), status, 0.2, "s"));
        }
        targets
    }
}

impl Complete {
    fn targets(&self) -> Vec<Target> {
        let of = |what: &str, count: usize| {
            let (counted, (with, _)) = (self.subject.counted(count), self.subject.complete());
            format!("{what}, {counted} {with} on {}", self.platform)
        };
        let peak = mebi(self.usage.peak_kib);
        let mut targets = vec![Target::new(of("peak memory", 1), peak, 14.0, "MiB")];
        if let Some(rest) = &self.rest {
            let requests = each(rest.requests.work() + rest.requests.events, 1);
            let name = of("requests in 60 s at rest", rest.resources);
            targets.push(Target::new(name, requests, 0.0, ""));
        }
        targets
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} processors, load {:.1} before the run; programs for {}",
            self.machine.processors, self.machine.load, self.machine.target
        )?;
        for case in &self.cases {
            write!(f, "\n{case}")?;
        }
        for complete in &self.complete {
            write!(f, "\n{complete}")?;
        }
        let rows: Vec<[String; 4]> = self.targets.iter().map(Target::row).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        writeln!(f)?;
        for [name, measured, at_most, verdict] in &rows {
            let (name_width, measured_width, at_most_width) = (width(0), width(1), width(2));
            writeln!(
                f,
                "{name:name_width$}  {measured:>measured_width$}  {at_most:>at_most_width$}  {verdict}"
            )?;
        }
        let missed = self.targets.iter().filter(|target| !target.met).count();
        writeln!(f, "{missed} of {} targets missed", rows.len())
    }
}

impl Target {
    fn row(&self) -> [String; 4] {
        let text = |number| format!("{number:.2} {}", self.unit).trim_end().to_owned();
        [
            self.name.clone(),
            text(self.measured),
            format!("≤ {}", text(self.at_most)),
            if self.met { "met" } else { "missed" }.to_owned(),
        ]
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (requests, count) = (&self.requests, self.count);
        let counted = self.subject.counted(count);
        writeln!(f, "{counted} on {}", self.platform)?;
        let mut total = format!("{:.2} each", each(requests.work(), count));
        if self.subject.aims().requests.is_none() {
            let allowed = each(requests.allowed(count), count);
            // Writing to a String cannot fail.
            let _ = write!(
                total,
                ", allowed {allowed:.2}: objects + 3 + reads of others"
            );
        }
        let objects = each(requests.objects, count);
        let references = each(requests.references, count);
        let parts = format!("{total}; {objects:.2} objects, {references:.2} read of others");
        line(f, "requests", &parts)?;
        line(f, "by verb, each", &list(&requests.verbs, count))?;
        line(f, "by target, each", &list(&requests.targets, count))?;
        line(f, "refused", &list(&requests.refused, 1))?;
        line(f, "apart", &apart(requests))?;
        line(f, "at the start", &spent(&self.startup))?;
        let (ours, bare) = (&self.seconds, self.bare.as_ref());
        line(
            f,
            "Deployments",
            &compared(ours.deployments, bare.map(|bare| bare.seconds.deployments)),
        )?;
        line(
            f,
            "Available",
            &compared(ours.available, bare.map(|bare| bare.seconds.available)),
        )?;
        line(f, "before", &self.idle.to_string())?;
        line(f, "after", &self.usage.to_string())?;
        if let Some(restart) = &self.restart {
            let some: Vec<&str> = restart
                .changed
                .iter()
                .take(10)
                .map(String::as_str)
                .collect();
            let text = format!("{} changed {}", restart.changed.len(), some.join(", "));
            line(f, "restart", text.trim_end())?;
            line(f, "", &spent(&restart.requests))?;
            line(f, "", &restart.usage.to_string())?;
        }
        if let Some(first) = &self.first {
            line(f, "start", &first.to_string())?;
        }
        Ok(())
    }
}

impl Display for Complete {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (with, beside) = self.subject.complete();
        writeln!(f, "{with} on {}", self.platform)?;
        line(f, &self.subject.counted(1), &self.usage.to_string())?;
        if let Some(rest) = &self.rest {
            let counted = self.subject.counted(rest.resources);
            writeln!(f, "  {counted} and {beside}")?;
            line(f, "60 s at rest", &spent(&rest.requests))?;
            line(f, "operator", &rest.usage.to_string())?;
            let catalog = rest.catalog.as_ref().map(ToString::to_string);
            line(f, "catalog", &catalog.unwrap_or_default())?;
        }
        Ok(())
    }
}

impl Display for Usage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peak {:.1} MiB, {:.1} MiB of its own now, {:.2} s on processors, {} threads",
            mebi(self.peak_kib),
            mebi(self.anonymous_kib),
            self.cpu_seconds,
            self.threads
        )
    }
}

impl Display for First {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let steps = [
            ("request", self.request),
            ("watches", self.watches),
            ("Lease", self.lease),
            ("write", self.write),
            ("status", self.status),
        ];
        let texts = steps.map(|(name, seconds)| match seconds {
            Some(seconds) => format!("{name} {:.0} ms", seconds * 1000.0),
            None => format!("{name} never"),
        });
        f.write_str(&texts.join(", "))
    }
}

fn line(f: &mut Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {name:16} {text}")
}

fn list(counts: &std::collections::BTreeMap<String, usize>, divisor: usize) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let texts = sorted.into_iter().map(|(name, count)| {
        if divisor == 1 {
            format!("{name} {count}")
        } else {
            format!("{name} {:.2}", each(*count, divisor))
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

fn apart(count: &Count) -> String {
    format!(
        "events {}, Lease {}, watches {}, reviews {}",
        count.events, count.leases, count.watches, count.reviews
    )
}

fn spent(count: &Count) -> String {
    let mut text = format!("{} requests", count.work());
    if count.work() > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({})", list(&count.targets, 1));
    }
    format!("{text}; {}", apart(count))
}

fn compared(ours: f64, bare: Option<f64>) -> String {
    bare.map_or_else(
        || format!("{ours:.2} s"),
        |bare| format!("{ours:.2} s, bare client {bare:.2} s, × {:.2}", ours / bare),
    )
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
fn each(count: usize, divisor: usize) -> f64 {
    count as f64 / divisor as f64
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
fn mebi(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts and sizes are far below 2^52"
)]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::count::tests::records;

    fn case(count: usize) -> Case {
        let usage = Usage {
            peak_kib: 15 * 1024,
            anonymous_kib: 1024,
            cpu_seconds: 1.5,
            threads: 4,
        };
        let seconds = |deployments| Seconds {
            deployments,
            available: 4.0,
        };
        Case {
            platform: cluster::Platform::Kubernetes,
            subject: Subject::Registries,
            count,
            startup: Count::default(),
            requests: Count::of(&records(
                "create /services a 201
                 get /secrets password 200
                 patch modelregistry.opendatahub.io/modelregistries a 200
                 patch modelregistry.opendatahub.io/modelregistries/status a 200
                 patch modelregistry.opendatahub.io/modelregistries/status a 200
                 patch modelregistry.opendatahub.io/modelregistries/status a 200",
            )),
            seconds: seconds(1.4),
            idle: usage,
            usage,
            bare: Some(Bare {
                objects: 1,
                seconds: seconds(1.0),
            }),
            restart: None,
            first: Some(First {
                request: Some(0.01),
                watches: None,
                lease: Some(0.05),
                write: Some(0.1),
                status: Some(0.15),
            }),
        }
    }

    fn complete() -> Complete {
        let usage = case(1).usage;
        Complete {
            platform: cluster::Platform::OpenShift,
            subject: Subject::Services,
            usage,
            rest: Some(Rest {
                resources: 50,
                requests: Count::of(&records("create events.k8s.io/events e 201")),
                usage,
                catalog: None,
            }),
        }
    }

    fn programs() -> Vec<Program> {
        vec![Program {
            name: "an-operator",
            bytes: 11_000_000,
        }]
    }

    fn machine() -> Machine {
        Machine {
            processors: 4,
            load: 0.5,
            target: "this machine".to_owned(),
        }
    }

    #[test]
    fn each_figure_meets_or_misses_its_own_target() {
        let mut late = case(1);
        late.first.as_mut().unwrap().status = None;
        let cases = vec![late, case(100)];
        let report = Report::new(machine(), programs(), cases, vec![complete()]);
        let verdicts: Vec<(&str, bool)> = report
            .targets
            .iter()
            .map(|target| (target.name.as_str(), target.met))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("requests each, 1 registry on kubernetes", false),
                ("peak memory, 1 registry on kubernetes", false),
                ("start to first status, 1 registry on kubernetes", false),
                ("requests each, 100 registries on kubernetes", true),
                ("time, bare client = 1, 100 registries on kubernetes", false),
                ("processor, 100 registries on kubernetes", true),
                ("start to first status, 100 registries on kubernetes", true),
                ("peak memory, 1 service with webhooks on openshift", false),
                (
                    "requests in 60 s at rest, 50 services with webhooks on openshift",
                    false
                ),
                ("stripped an-operator", true),
            ]
        );
        assert_eq!(
            (report.targets[0].measured, report.targets[0].at_most),
            (6.0, 5.0)
        );
    }

    #[test]
    fn one_mlflow_is_measured_from_the_start_of_its_operator() {
        let of = |count| Case {
            subject: Subject::Mlflows,
            startup: Count::of(&records("list /nodes - 200")),
            ..case(count)
        };
        let targets = of(1).targets();
        let first = &targets[0];
        assert_eq!(
            first.name,
            "requests from start to rest, 1 MLflow on kubernetes"
        );
        assert_eq!((first.measured, first.at_most), (7.0, 59.0));
        let names: Vec<_> = of(50).targets().into_iter().map(|t| t.name).collect();
        assert_eq!(
            names,
            [
                "time, bare client = 1, 50 MLflows on kubernetes",
                "start to first status, 50 MLflows on kubernetes"
            ]
        );
    }

    #[test]
    fn the_text_names_figure_target_and_verdict() {
        let text = Report::new(machine(), programs(), vec![case(1)], Vec::new()).to_string();
        for line in [
            "requests each, 1 registry on kubernetes               6.00       ≤ 5.00  missed\n",
            "start to first status, 1 registry on kubernetes     0.15 s     ≤ 0.20 s  met\n",
            "bare client 1.00 s, × 1.40\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(text.ends_with("2 of 4 targets missed\n"), "{text}");
        let text = complete().to_string();
        for line in [
            "1 service ",
            "50 services and a model wired to each\n",
            "0 requests; events 1",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn the_document_for_machines_has_every_part() {
        let report = Report::new(machine(), Vec::new(), vec![case(100)], vec![complete()]);
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(value["cases"][0]["platform"], "kubernetes");
        assert_eq!(value["cases"][0]["requests"]["verbs"]["patch status"], 3);
        assert_eq!(value["cases"][0]["bare"]["seconds"]["deployments"], 1.0);
        assert_eq!(value["targets"][1]["met"], false);
        assert!(value["cases"][0].get("restart").is_none());
        assert_eq!(value["complete"][0]["rest"]["resources"], 50);
    }
}
