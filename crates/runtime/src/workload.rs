//! Whether a Deployment does what it is asked to, and what a user is told of it.

mod live;
pub mod pods;
mod told;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;

pub use told::{AVAILABLE, STARTING, told};

/// What there is of a workload: a Deployment behind a Service, and the database it waits for.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The Deployment.
    pub deployment: Option<Deployment>,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Pods of the generated Postgres, which it waits for.
    pub postgres_pods: Vec<Pod>,
    /// Deployment of the generated Postgres.
    pub postgres: Option<Deployment>,
    /// Slices of its Service; `None` when the operator may not watch them.
    pub slices: Option<Vec<EndpointSlice>>,
    /// This pass has changed the pods, and what is known of the Deployment is from before.
    pub changed: bool,
    /// Port of the Service, which a pod has to listen on; `None` when all pods do.
    pub port: Option<i32>,
    /// The status says that pods are starting, or says nothing yet.
    pub was_starting: bool,
}

/// Whether the workload can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can. Newer pods may be on their way.
    Up,
    /// The Deployment has changed, and nobody has looked at it since.
    Undecided,
    /// Not yet, and nothing is wrong.
    Starting,
    /// It cannot, with the message of the condition.
    Down(String),
}

/// How far the current template has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first pods are on their way.
    Creating,
    /// Pods are being replaced.
    Updating,
    /// All pods are those that are asked for.
    Settled,
    /// It does not get on, and why.
    Stalled(String),
}

/// What is told of the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Whether it can be used.
    pub availability: Availability,
    /// How far the current template has come.
    pub progress: Progress,
    /// Why newer pods do not run, while older ones serve.
    pub held_up: Option<String>,
}

const ENDPOINTS_MISSING: &str = "Service endpoints not found: the Service has no EndpointSlice";
const ENDPOINTS_UNREADY: &str = "Service endpoints not ready - no ready addresses available";

/// Reads the workload.
#[must_use]
pub fn workload(live: &Live) -> Workload {
    let told = |availability, progress| Workload {
        availability,
        progress,
        held_up: None,
    };
    let Some(deployment) = &live.deployment else {
        return told(Availability::Starting, Progress::Creating);
    };
    let generation = deployment.metadata.generation.unwrap_or_default();
    let under_way = if generation > 1 {
        Progress::Updating
    } else {
        Progress::Creating
    };
    let Some(status) = deployment.status.as_ref().filter(|status| {
        !live.changed && status.observed_generation.unwrap_or_default() >= generation
    }) else {
        return told(Availability::Undecided, under_way);
    };
    let rollout = Rollout::of(deployment, status);
    let availability = rollout.availability(live);
    let progress = match (&rollout.stage, &availability) {
        (Stage::Stalled(message), _) => Progress::Stalled(message.clone()),
        // Up in its own eyes, and waiting for the Service: it is not there yet.
        (_, Availability::Starting) if rollout.is_complete() => under_way,
        _ if rollout.is_settled() => Progress::Settled,
        _ => under_way,
    };
    let held_up = (availability == Availability::Up && !rollout.is_complete())
        .then(|| rollout.problem(live))
        .flatten();
    Workload {
        availability,
        progress,
        held_up,
    }
}

/// What the Deployment says of its current template.
struct Rollout {
    /// Enough pods are available, of whatever template.
    available: bool,
    /// Message of `Available`.
    message: String,
    /// How far it is.
    stage: Stage,
    /// The pods that there are.
    pods: Mix,
    /// Why no pod can be made.
    refused: Option<String>,
}

/// What condition `Progressing` says.
enum Stage {
    /// Nothing.
    Unsaid,
    /// It is on its way.
    UnderWay,
    /// Every pod was available once.
    Done,
    /// It does not get on, and why.
    Stalled(String),
}

/// What sort of pods there are.
#[derive(PartialEq)]
enum Mix {
    /// Some that are asked for are not of the current template.
    Old,
    /// All that are asked for are of it; some are not available, or old ones are left.
    Updated,
    /// All are of it and available.
    Complete,
}

impl Rollout {
    fn of(deployment: &Deployment, status: &DeploymentStatus) -> Self {
        let condition = |type_: &str| {
            status
                .conditions
                .iter()
                .flatten()
                .find(|condition| condition.type_ == type_)
        };
        let message =
            |condition: &DeploymentCondition| condition.message.clone().unwrap_or_default();
        let available = condition("Available");
        let stage = match condition("Progressing") {
            None => Stage::Unsaid,
            Some(progressing) if progressing.status == "False" => {
                Stage::Stalled(message(progressing))
            }
            Some(progressing)
                if progressing.reason.as_deref() == Some("NewReplicaSetAvailable") =>
            {
                Stage::Done
            }
            Some(_) => Stage::UnderWay,
        };
        let desired = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let total = status.replicas.unwrap_or_default();
        let updated = status.updated_replicas.unwrap_or_default();
        let unavailable = status.unavailable_replicas.unwrap_or_default();
        let pods = match unavailable {
            _ if updated < desired => Mix::Old,
            0 if total <= updated => Mix::Complete,
            _ => Mix::Updated,
        };
        // Where all pods may be unavailable for an update, a Deployment without any calls itself
        // available. `replicas` is no help: it counts a pod of a new template later than
        // `unavailableReplicas` does.
        let any = unavailable == 0 || status.available_replicas.is_some_and(|count| count > 0);
        Self {
            available: any && available.is_some_and(|condition| condition.status == "True"),
            message: available.map(message).unwrap_or_default(),
            stage,
            pods,
            refused: condition("ReplicaFailure")
                .filter(|c| c.status == "True")
                .map(message),
        }
    }

    /// The Deployment has what it needs, of the current template.
    fn is_complete(&self) -> bool {
        let enough = match self.stage {
            Stage::Stalled(_) => false,
            Stage::Done => self.pods != Mix::Old,
            Stage::Unsaid | Stage::UnderWay => self.pods == Mix::Complete,
        };
        self.available && self.refused.is_none() && enough
    }

    fn is_settled(&self) -> bool {
        match self.stage {
            // Said of an earlier template while pods of this one are yet to be made.
            Stage::Done => !self.available || self.pods != Mix::Old,
            Stage::Unsaid => self.is_complete(),
            Stage::UnderWay | Stage::Stalled(_) => false,
        }
    }

    /// Old pods serve until new ones do: whatever becomes of those, the resource can be used. Not
    /// so where the Service leads to a port that the old ones do not have.
    fn serves(&self, live: &Live) -> bool {
        self.available
            && (self.is_complete() || live.port.is_none_or(|port| pods::listen(&live.pods, port)))
    }

    fn availability(&self, live: &Live) -> Availability {
        if self.serves(live) {
            return match endpoints(live.slices.as_deref()) {
                None => Availability::Up,
                // The controller of slices comes later than that of Deployments, now and then.
                Some(_) if live.was_starting => Availability::Starting,
                Some(problem) => Availability::Down(problem.to_owned()),
            };
        }
        self.problem(live)
            .map_or(Availability::Starting, |problem| unavailable(&problem))
    }

    /// What keeps the current template from running; `None` while it merely takes its time.
    fn problem(&self, live: &Live) -> Option<String> {
        if let Some(message) = &self.refused {
            return Some(message.clone());
        }
        let postgres_stalled = live.postgres.as_ref().is_some_and(is_stalled);
        // A volume that is being made leaves its pod unschedulable for a while.
        let stalled = matches!(self.stage, Stage::Stalled(_));
        let own = pods::problem(&live.pods);
        let own = own.filter(|problem| stalled || !pods::awaits_volume(problem));
        let problem = own.or_else(|| {
            let postgres = &live.postgres_pods;
            pods::problem(postgres)
                .filter(|problem| postgres_stalled || !problem.contains("Unschedulable"))
        });
        if problem.is_some() {
            return problem;
        }
        if let Stage::Stalled(message) = &self.stage {
            return Some(message.clone());
        }
        (matches!(self.stage, Stage::Done) && !pods::are_starting(&live.pods))
            .then(|| pods::unready(&live.pods).unwrap_or_else(|| self.message.clone()))
    }
}

fn unavailable(message: &str) -> Availability {
    Availability::Down(format!("Deployment is unavailable: {message}"))
}

fn is_stalled(deployment: &Deployment) -> bool {
    let conditions = deployment
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Progressing" && condition.status == "False")
}

/// What is wrong with the endpoints of the Service. Where they cannot be watched, nothing is.
fn endpoints(slices: Option<&[EndpointSlice]>) -> Option<&'static str> {
    let slices = slices?;
    if slices.is_empty() {
        return Some(ENDPOINTS_MISSING);
    }
    let ready = slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .any(|endpoint| {
            let ready = endpoint
                .conditions
                .as_ref()
                .and_then(|conditions| conditions.ready);
            // Absent means ready.
            !endpoint.addresses.is_empty() && ready.unwrap_or(true)
        });
    (!ready).then_some(ENDPOINTS_UNREADY)
}
