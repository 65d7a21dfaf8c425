//! What is told of where the data is.

use conditions::{ConditionType, Reason, Status, Wanted, condition_type, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use runtime::workload::Workload;

use crate::service::observe::{Database, DatabaseProblem, LiveClaim, Observation};
use crate::service::validated::Validated;

/// Whether the claim has its volume. Only there where pods mount one.
pub(super) const CLAIM: ConditionType = condition_type!("PVCAvailable");
/// Whether the database can be used. Only there with one.
pub(super) const DATABASE: ConditionType = condition_type!("DBAvailable");
/// Whether the volume is there that the resource names. Only there where it names one.
pub(super) const VOLUME: ConditionType = condition_type!("PVAvailable");
/// Whether the data can be read and written, wherever it is.
pub(super) const STORAGE: ConditionType = condition_type!("StorageReady");
/// Whether the data of the volume is in the database. Only there while that is asked for.
pub(super) const MIGRATION: ConditionType = condition_type!("MigrationCompleted");

/// What it is told from.
pub(super) struct View<'a> {
    pub(super) service: &'a Validated,
    pub(super) seen: &'a Observation,
    pub(super) running: &'a Workload,
    /// `Available` so far.
    pub(super) told: Option<&'a Condition>,
    /// [`CLAIM`] is False while the first pods are on their way, and stays so until they are there.
    pub(super) held: bool,
}

/// What a user reads from the first pass to the last while everything goes its way.
pub(super) const ON_ITS_WAY: &str = "PersistentVolumeClaim not found: it, its volume or the pod that mounts it \
                          is on its way; see their events if that takes long";

/// All conditions about storage.
pub(super) fn conditions(view: &View<'_>) -> Vec<Wanted> {
    let service = view.service;
    let claim = service.folder.is_some().then(|| claim(view));
    let database = service.database.as_ref().map(|found| database(found, view));
    let volume = view.seen.volume.as_ref().map(|found| {
        if found.is_some() {
            Wanted::new(
                VOLUME,
                Status::True,
                reason!("PVFound"),
                "PersistentVolume found",
            )
        } else {
            Wanted::new(
                VOLUME,
                Status::False,
                reason!("PVNotFound"),
                "PersistentVolume not found: create the one that spec.storage.pv names, or name \
                 another",
            )
        }
    });
    let parts: Vec<Wanted> = [claim, database, volume].into_iter().flatten().collect();
    let storage = roll_up(&parts);
    let migration = service.migrates().then(|| migration(view));
    parts
        .into_iter()
        .chain([storage])
        .chain(migration)
        .collect()
}

fn claim(view: &View<'_>) -> Wanted {
    let not_found =
        |message: &str| Wanted::new(CLAIM, Status::False, reason!("PVCNotFound"), message);
    match (&view.seen.claim, &view.service.claim) {
        (Some(LiveClaim { bound: true, .. }), _) if !view.held => Wanted::new(
            CLAIM,
            Status::True,
            reason!("PVCFound"),
            "PersistentVolumeClaim found",
        ),
        (Some(_), _) | (None, Some(_)) => not_found(ON_ITS_WAY),
        (None, None) => not_found(
            "PersistentVolumeClaim not found: create the one that spec.storage.existingClaim \
             names, or name another",
        ),
    }
}

/// Reason of a problem with the database's Secret.
pub(super) fn database_reason(problem: &DatabaseProblem) -> Reason {
    match problem {
        DatabaseProblem::Missing => reason!("DBCredentialsNotFound"),
        DatabaseProblem::Keys(_)
        | DatabaseProblem::NotText(_)
        | DatabaseProblem::Port
        | DatabaseProblem::Authority(_) => reason!("DBCredentialsError"),
    }
}

/// The pods are ready only when the database answers them.
fn database(database: &Database, view: &View<'_>) -> Wanted {
    if let Some(problem) = &database.problem {
        let what = match problem {
            DatabaseProblem::Missing => "Database credentials not found",
            _ => "Error with database credentials",
        };
        let message = format!("{what}: Secret {}: {problem}", database.secret);
        return Wanted::new(DATABASE, Status::False, database_reason(problem), message);
    }
    match view.running.down(view.told) {
        None => Wanted::new(
            DATABASE,
            Status::True,
            reason!("DBAvailable"),
            "Database available",
        ),
        // Nobody can tell before a pod has tried.
        Some(why) if why == runtime::workload::STARTING => Wanted::new(
            DATABASE,
            Status::Unknown,
            reason!("DBNotReady"),
            "no pod of the service runs yet",
        ),
        Some(why) => Wanted::new(
            DATABASE,
            Status::False,
            reason!("DBConnectionError"),
            format!("Error connecting to database: {why}"),
        ),
    }
}

/// What the first thing that is not right says, else that all is.
fn roll_up(parts: &[Wanted]) -> Wanted {
    let first = |status| parts.iter().find(|part| part.status == status);
    match first(Status::False).or_else(|| first(Status::Unknown)) {
        None => Wanted::new(
            STORAGE,
            Status::True,
            reason!("StorageHealthy"),
            "Storage system is functioning correctly.",
        ),
        Some(part) => Wanted::new(STORAGE, part.status, part.reason, part.message.clone()),
    }
}

/// The service is not ready while data moves, and not after it could not.
fn migration(view: &View<'_>) -> Wanted {
    match view.running.down(view.told) {
        None => Wanted::new(
            MIGRATION,
            Status::True,
            reason!("MigrationComplete"),
            "all data is in the database; the claim is not needed any more: remove \
             spec.storage.folder to have it unmounted, and delete it when you like",
        ),
        Some(why) => Wanted::new(
            MIGRATION,
            Status::False,
            reason!("MigrationInProgress"),
            format!("data moves from the volume to the database: {why}"),
        ),
    }
}
