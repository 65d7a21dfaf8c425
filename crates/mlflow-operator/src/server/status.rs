//! What the user is told. A pure function: with nothing changing it says the same.
//!
//! Types, reasons and messages that the Go operator has as well are its own, which dashboards and
//! tests read; where something does not hold, the message says what to do.

mod parts;

use api::mlflow::v1::{Address, MLflow, MLflowStatus};
use conditions::{ConditionType, READY, Status, Wanted, carry_over, condition_type, reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use resources::Kind;
use resources::kind::{
    DEPLOYMENT, HTTP_ROUTE, JOB, PERSISTENT_VOLUME_CLAIM, POD, POD_DISRUPTION_BUDGET, SECRET,
    SERVICE_MONITOR,
};
use runtime::component::{Attempt, Note};
use runtime::inputs::Inputs;
use runtime::told::{Bad, PAUSED, RIGHTS_MISSING, UNAVAILABLE};
use runtime::workload::{self, Availability, Live, Progress, Workload};

use super::Server;
use super::error::Error;
use super::validate::validate;
use super::validated::Validated;
use crate::kinds::{CONSOLE_LINK, MLFLOW};
use crate::migration;
use crate::migration::state::Phase;
use crate::migration::told::{AVAILABLE, MIGRATION, PROGRESSING};
use crate::module::gate::{Gate, MODULE_READY};
use crate::names::{APP, Names};

/// True while something is not as the resource asks, whether the server runs or not.
pub const DEGRADED: ConditionType = condition_type!("Degraded");
/// True while something in the spec means nothing. Only there then.
pub const SPEC_WARNINGS: ConditionType = condition_type!("SpecWarnings");

/// Conditions that are told here. Others belong to somebody else.
const KNOWN: [&str; 11] = [
    AVAILABLE.as_str(),
    PROGRESSING.as_str(),
    READY.as_str(),
    DEGRADED.as_str(),
    parts::STORAGE.as_str(),
    parts::TLS.as_str(),
    parts::GATEWAY.as_str(),
    MODULE_READY.as_str(),
    SPEC_WARNINGS.as_str(),
    PAUSED.as_str(),
    RIGHTS_MISSING.as_str(),
];

/// Conditions that stand before `Migration`.
const BEFORE_MIGRATION: [&str; 3] = [AVAILABLE.as_str(), PROGRESSING.as_str(), DEGRADED.as_str()];

/// Whose an object of a taken name is, and what to do.
const FOREIGN: &str = "somebody else; delete it, or give it another name";

/// The status of `resource` after `attempt`.
pub(super) fn status<I: Inputs>(
    server: &Server,
    resource: &MLflow,
    attempt: &Attempt<'_, Server>,
    inputs: &I,
) -> MLflowStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    if let Some(conditions) = attempt.when_paused(&previous.conditions, generation, "server") {
        return MLflowStatus {
            conditions,
            ..previous
        };
    }
    if let Some(Error::Closed(gate)) = attempt.failure {
        return waiting(previous, generation, gate, attempt);
    }
    let validated = attempt
        .observation
        .and_then(|seen| validate(resource, seen, &server.installation).ok());
    let told = workload::told(&previous.conditions);
    let live = live(server, resource, attempt, inputs, told);
    let running = running(&live);
    let route = inputs.child(
        HTTP_ROUTE,
        Some(&server.installation.namespace),
        &own(resource),
    );
    let view = View {
        attempt,
        validated: validated.as_ref(),
        deployment: live.deployment.as_ref(),
        running: &running,
        told,
    };
    let migration = view.migration();
    let mut wanted = view.summary();
    wanted.retain(|one| migration.iter().all(|told| told.type_ != one.type_));
    wanted.extend(migration);
    if let Some((validated, seen)) = validated.as_ref().zip(attempt.observation) {
        let parts = [
            Some(parts::storage(validated, seen)),
            Some(parts::tls(&validated.certificate, &validated.names)),
            parts::gateway(validated, route.as_ref(), &attempt.outcome.failed),
        ];
        wanted.extend(parts.into_iter().flatten());
    }
    let positive = [AVAILABLE, MIGRATION, parts::STORAGE, parts::TLS];
    let positive: Vec<&Wanted> = wanted
        .iter()
        .filter(|part| positive.contains(&part.type_))
        .collect();
    let ready = running.ready(&positive);
    wanted.push(ready);
    let gate = attempt.observation.and_then(|seen| seen.gate.as_ref());
    wanted.extend(gate.map(|gate| gate.condition.clone()));
    wanted.extend(view.warnings());
    wanted.extend(attempt.rights_missing());
    for condition in &mut wanted {
        condition.observed_generation.get_or_insert(generation);
    }
    let names = Names::of(&resource.name_any()).ok();
    let address = names.map(|names| Address {
        url: Some(names.address(&server.installation.namespace)),
    });
    let mut conditions = carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
        !KNOWN.contains(&type_)
    });
    // A `Migration` that is carried over comes last; in another place than before it is a change.
    conditions.sort_by_key(|one| match one.type_.as_str() {
        about if BEFORE_MIGRATION.contains(&about) => 0,
        about if about == MIGRATION.as_str() => 1,
        _ => 2,
    });
    MLflowStatus {
        conditions,
        observed_generation: Some(generation),
        url: match &validated {
            Some(validated) => validated.url(),
            None => previous.url,
        },
        address: address.or(previous.address),
        version: view.version().or(previous.version),
    }
}

/// The status of a resource that waits for the platform: what was told of its parts stays.
fn waiting(
    previous: MLflowStatus,
    generation: i64,
    gate: &Gate,
    attempt: &Attempt<'_, Server>,
) -> MLflowStatus {
    let mut wanted = vec![gate.condition.clone()];
    if !gate.keeps_available {
        wanted.extend([
            gate.closed(AVAILABLE, Status::False),
            gate.closed(PROGRESSING, Status::True),
            gate.closed(READY, Status::False),
        ]);
    }
    wanted.extend(attempt.rights_missing());
    let wanted: Vec<Wanted> = wanted.into_iter().map(|w| w.observed(generation)).collect();
    let gone = [PAUSED, RIGHTS_MISSING];
    let keeps = |type_: &str| !gone.iter().any(|gone| gone.as_str() == type_);
    MLflowStatus {
        conditions: carry_over(&previous.conditions, &wanted, attempt.now, keeps),
        observed_generation: Some(generation),
        ..previous
    }
}

/// Name of the Deployment of a resource.
fn own(resource: &MLflow) -> String {
    Names::of(&resource.name_any()).map_or_else(|_| String::new(), |names| names.own.to_string())
}

fn live<I: Inputs>(
    server: &Server,
    resource: &MLflow,
    attempt: &Attempt<'_, Server>,
    inputs: &I,
    told: Option<&Condition>,
) -> Live {
    let own = own(resource);
    let namespace = Some(server.installation.namespace.as_str());
    let live = Live::of(attempt, inputs, namespace, (&own, None), told);
    let pods = inputs.children_as(POD);
    let of_it = |pod: &Pod| pod.labels().get(APP) == Some(&own);
    Live {
        pods: pods.into_iter().filter(of_it).collect(),
        // The Deployment says enough: its pods are ready when they answer.
        slices: None,
        was_starting: told.is_none_or(|told| told.reason == "DeploymentNotReady"),
        ..live
    }
}

/// What the Deployment says of the server. One without pods has all that it asks for, and is stopped.
fn running(live: &Live) -> Workload {
    let running = workload::workload(live);
    let spec = live
        .deployment
        .as_ref()
        .and_then(|found| found.spec.as_ref());
    if spec.is_some_and(|spec| spec.replicas == Some(0)) {
        return Workload {
            availability: Availability::Starting,
            progress: Progress::Updating,
            ..running
        };
    }
    running
}

/// What conditions are told from.
struct View<'a> {
    attempt: &'a Attempt<'a, Server>,
    validated: Option<&'a Validated>,
    deployment: Option<&'a Deployment>,
    running: &'a Workload,
    /// `Available` so far.
    told: Option<&'a Condition>,
}

impl View<'_> {
    /// What is told of the migration, in the place of what the Deployment says. Nothing where there is
    /// none: then `Migration` stays as it was told.
    fn migration(&self) -> Vec<Wanted> {
        let Some(seen) = self.validated.map(|server| &server.migration) else {
            return Vec::new();
        };
        if let Some(trouble) = migration_trouble(self.attempt) {
            return migration::told::error(seen, &trouble);
        }
        if self.attempt.failure.is_some() {
            return Vec::new();
        }
        let mut told = migration::told::conditions(seen, &seen.decide());
        if self.undone().is_some() {
            // What else could not be written says why nothing is available.
            told.retain(|one| one.type_ == MIGRATION);
        } else if let Some(failed) = told
            .iter()
            .find(|one| one.type_ == MIGRATION && one.status == Status::False)
        {
            let (reason, message) = (failed.reason, failed.message.clone());
            told.push(Wanted::new(DEGRADED, Status::True, reason, message));
        }
        told
    }

    /// The version whose server runs, once that is certain.
    fn version(&self) -> Option<String> {
        let seen = &self.validated?.migration;
        let finished = seen.decide().phase == Phase::Finished;
        let certain =
            finished && self.attempt.failure.is_none() && migration_trouble(self.attempt).is_none();
        certain.then(|| seen.supported.clone())
    }

    /// `Available`, `Progressing` and `Degraded`.
    fn summary(&self) -> Vec<Wanted> {
        let optional = self.optional_failure();
        let degraded = |bad: Option<&Bad>| match bad {
            Some(bad) => Wanted::new(DEGRADED, Status::True, bad.reason, bad.message.clone()),
            None => Wanted::new(
                DEGRADED,
                Status::False,
                reason!("AsExpected"),
                "everything is as the resource asks",
            ),
        };
        if let Some(bad) = self.undone() {
            let told = |type_| Wanted::new(type_, Status::False, bad.reason, bad.message.clone());
            return vec![told(AVAILABLE), told(PROGRESSING), degraded(Some(&bad))];
        }
        let held_up = self.running.held_up.as_ref().map(|message| Bad {
            reason: reason!("RolloutHeldUp"),
            message: message.clone(),
        });
        let stalled = match &self.running.progress {
            Progress::Stalled(message) => Some(Bad {
                reason: reason!("ProgressDeadlineExceeded"),
                message: message.clone(),
            }),
            _ => None,
        };
        let trouble = stalled.clone().or(held_up).or(optional);
        vec![
            self.available(),
            self.progressing(stalled),
            degraded(trouble.as_ref()),
        ]
    }

    fn available(&self) -> Wanted {
        if self.running.down(self.told).is_some() {
            return Wanted::new(
                AVAILABLE,
                Status::False,
                reason!("DeploymentNotReady"),
                self.not_ready(),
            );
        }
        Wanted {
            observed_generation: self.running.told_of(self.told),
            ..Wanted::new(
                AVAILABLE,
                Status::True,
                reason!("DeploymentReady"),
                "MLflow deployment is ready and available",
            )
        }
    }

    fn progressing(&self, stalled: Option<Bad>) -> Wanted {
        if let Some(bad) = stalled {
            return Wanted::new(PROGRESSING, Status::False, bad.reason, bad.message);
        }
        let on = |message: String| {
            let reason = reason!("DeploymentProgressing");
            Wanted::new(PROGRESSING, Status::True, reason, message)
        };
        if self.running.down(self.told).is_some() {
            return on(self.not_ready());
        }
        match self.running.rolling() {
            Some(bad) => on(bad.message),
            None => Wanted::new(
                PROGRESSING,
                Status::False,
                reason!("ReconcileComplete"),
                "MLflow reconciliation completed successfully",
            ),
        }
    }

    /// In the words of the Go operator, and why.
    fn not_ready(&self) -> String {
        let status = self.deployment.and_then(|found| found.status.as_ref());
        let ready = status.and_then(|status| status.ready_replicas);
        let spec = self.deployment.and_then(|found| found.spec.as_ref());
        let asked = spec.and_then(|spec| spec.replicas);
        let asked = asked.or(self.validated.map(|server| server.spec.replicas));
        let told = match asked.unwrap_or(1) {
            0 => "MLflow deployment scaled to zero replicas".to_owned(),
            asked => format!(
                "MLflow deployment not ready: {}/{asked} replicas ready",
                ready.unwrap_or_default()
            ),
        };
        let seen = self.attempt.observation;
        let mut missing = seen
            .into_iter()
            .flat_map(|seen| &seen.references)
            .filter(|reference| reference.is_missing());
        let why = match (&self.running.availability, missing.next()) {
            (_, Some(reference)) => reference.trouble(),
            (Availability::Down(message), None) => message.clone(),
            _ => return told,
        };
        format!("{told}: {why}")
    }

    /// Why there is no plan, or the cluster is not as planned.
    fn undone(&self) -> Option<Bad> {
        let bound = self
            .attempt
            .observation
            .and_then(|seen| seen.claim.as_ref())
            .is_some_and(|claim| claim.bound);
        let can_do_without =
            |kind: Kind| OPTIONAL.contains(&kind) || (bound && kind == PERSISTENT_VOLUME_CLAIM);
        let bad = self
            .attempt
            .undone(|target, _| !can_do_without(target.kind), FOREIGN)?;
        Some(if bad.reason == UNAVAILABLE {
            Bad {
                reason: reason!("ApplyFailed"),
                message: format!("Failed to apply resources: {}", bad.message),
            }
        } else {
            bad
        })
    }

    /// Why something is missing that the server runs without.
    fn optional_failure(&self) -> Option<Bad> {
        let bad = self
            .attempt
            .undone(|target, _| OPTIONAL.contains(&target.kind), FOREIGN)?;
        let failed = self.attempt.outcome.failed.iter().map(|f| f.target.kind);
        let foreign = self
            .attempt
            .outcome
            .foreign
            .iter()
            .map(|target| target.kind);
        let first = failed.chain(foreign).find(|kind| OPTIONAL.contains(kind));
        let reason = match first {
            Some(CONSOLE_LINK) => reason!("ConsoleLinkFailed"),
            Some(HTTP_ROUTE) => reason!("HttpRouteFailed"),
            _ => reason!("ApplyFailed"),
        };
        Some(Bad {
            reason,
            message: bad.message,
        })
    }

    /// What means nothing in the spec.
    fn warnings(&self) -> Option<Wanted> {
        let mut all = self
            .validated
            .map_or_else(Vec::new, |server| server.warnings.clone());
        let mut failed = self.attempt.outcome.failed.iter();
        let claim = failed.find(|failed| failed.target.kind == PERSISTENT_VOLUME_CLAIM);
        all.extend(
            claim.map(|failed| {
                format!("spec.storage: the claim stays as it is: {}", failed.message)
            }),
        );
        (!all.is_empty()).then(|| {
            Wanted::new(
                SPEC_WARNINGS,
                Status::True,
                reason!("FieldsIgnored"),
                all.join("; "),
            )
        })
    }
}

/// Why the migration stands still: what it needs could not be written.
fn migration_trouble(attempt: &Attempt<'_, Server>) -> Option<String> {
    if let Some(Error::Migration(error)) = attempt.failure {
        return Some(error.to_string());
    }
    let concerns = |kind: Kind| matches!(kind, JOB | MLFLOW);
    let outcome = attempt.outcome;
    let mut failed = outcome.failed.iter();
    let failed = failed.find(|failed| concerns(failed.target.kind));
    let failed =
        failed.map(|failed| format!("{} could not be written: {}", failed.target, failed.message));
    let mut foreign = outcome.foreign.iter();
    let foreign = foreign.find(|target| concerns(target.kind));
    failed.or_else(|| foreign.map(|target| format!("{target} belongs to {FOREIGN}")))
}

/// What the server runs without.
const OPTIONAL: [Kind; 4] = [
    CONSOLE_LINK,
    HTTP_ROUTE,
    SERVICE_MONITOR,
    POD_DISRUPTION_BUDGET,
];

/// Events about `attempt`.
pub(super) fn events(_: &MLflow, attempt: &Attempt<'_, Server>) -> Vec<Note> {
    let made = |kind: Kind, reason, what: &str| {
        let mut created = attempt.outcome.created.iter();
        let target = created.find(|target| target.kind == kind)?;
        Some(Note {
            warning: false,
            reason,
            action: "Create",
            message: format!("{what} {} was made", target.name),
        })
    };
    let undone = attempt.undone(|_, _| true, FOREIGN);
    // What could not be written is said in place of what it was for.
    let goes_on = attempt.failure.is_none() && migration_trouble(attempt).is_none();
    let seen = attempt.observation.filter(|_| goes_on);
    let seen = seen.and_then(|seen| seen.migration.as_ref());
    let migration = seen.and_then(|seen| migration::told::news(seen, &seen.decide()));
    let warnings = attempt.warning(undone.map(|bad| bad.message), "ApplyFailed");
    [
        made(PERSISTENT_VOLUME_CLAIM, "VolumeCreated", "the claim"),
        made(SECRET, "CertificateCreated", "the serving certificate"),
        made(DEPLOYMENT, "ServerCreated", "Deployment"),
    ]
    .into_iter()
    .flatten()
    .chain(migration)
    .chain(warnings)
    .collect()
}
