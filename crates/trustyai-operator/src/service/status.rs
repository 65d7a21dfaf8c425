//! What the user is told. A pure function: with nothing changing it says the same.
//!
//! Types, reasons and messages of conditions that hold are those of the Go operator, which
//! dashboards and tests read; where one does not hold, the message says what to do.

mod storage;

use api::trustyai::v1::{TrustyAIService, TrustyAIServiceStatus};
use conditions::{ConditionType, READY, Status, Wanted, carry_over, condition_type, reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use resources::Kind;
use resources::kind::{PERSISTENT_VOLUME_CLAIM, ROUTE, SERVICE_MONITOR};
use resources::names::service_host;
use runtime::component::{Attempt, Note};
use runtime::inputs::Inputs;
use runtime::told::{Bad, PAUSED, RIGHTS_MISSING};
use runtime::ways::{self, EXPOSED, Tls, Ways};
use runtime::workload::{self, Availability, Live};
use runtime::{Outcome, Target};
use serde_json::Value;

use super::names::TLS;
use super::observe::Trust;
use super::validated::Validated;
use super::{Observed, TrustyAi};
use crate::wiring;

/// Whether the Route leads in. Only there where there are Routes.
pub const ROUTE_AVAILABLE: ConditionType = condition_type!("RouteAvailable");
/// Whether everything is there that the resource asks for.
pub const AVAILABLE: ConditionType = condition_type!("Available");
/// The same, of an earlier time.
pub const PROVISIONED: ConditionType = condition_type!("ProvisioningSucceeded");
/// True while something is missing.
pub const DEGRADED: ConditionType = condition_type!("Degraded");
/// True while something in the spec means nothing. Only there then.
pub const SPEC_WARNINGS: ConditionType = condition_type!("SpecWarnings");

/// Conditions of ours and of the Go operator, of any time. Others belong to somebody else.
const KNOWN: [&str; 18] = [
    wiring::PRESENT.as_str(),
    wiring::MODEL_MESH.as_str(),
    wiring::CONFLICT.as_str(),
    wiring::WIRED.as_str(),
    storage::CLAIM.as_str(),
    storage::DATABASE.as_str(),
    storage::VOLUME.as_str(),
    storage::STORAGE.as_str(),
    storage::MIGRATION.as_str(),
    ROUTE_AVAILABLE.as_str(),
    EXPOSED.as_str(),
    AVAILABLE.as_str(),
    READY.as_str(),
    PROVISIONED.as_str(),
    DEGRADED.as_str(),
    SPEC_WARNINGS.as_str(),
    PAUSED.as_str(),
    RIGHTS_MISSING.as_str(),
];

/// What a user reads of the Route while everything goes its way.
const ROUTE_ON_ITS_WAY: &str =
    "Route not found: it is being made, no router has admitted it yet, or its pods are starting";

/// Whose an object of a taken name is, and what to do.
const FOREIGN: &str = "somebody else; delete it, or give the service another name";

/// The status of `resource` after `attempt`.
pub fn status<I: Inputs>(
    resource: &TrustyAIService,
    attempt: &Attempt<'_, TrustyAi>,
    inputs: &I,
) -> TrustyAIServiceStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    if let Some(conditions) = attempt.when_paused(&previous.conditions, generation, "service") {
        return TrustyAIServiceStatus {
            conditions,
            ..previous
        };
    }
    let (name, namespace) = (resource.name_any(), resource.namespace());
    let validated = validated(attempt);
    let told = workload::told(&previous.conditions);
    let live = Live::of(attempt, inputs, namespace.as_deref(), (&name, None), told);
    let running = workload::workload(&live);
    let route = inputs.child(ROUTE, namespace.as_deref(), &name);
    let start = Start {
        starts: running.down(told) == Some(workload::STARTING),
        previous: &previous,
        generation,
    };

    let mut parts = Vec::new();
    let mut entrance = None;
    if let Some((validated, observed)) = validated.zip(attempt.observation) {
        parts.extend(storage::conditions(&storage::View {
            service: validated,
            seen: &observed.seen,
            running: &running,
            told,
            held: start.holds(storage::CLAIM),
        }));
        let held = start.holds(ROUTE_AVAILABLE);
        parts.extend(route_available(validated, route.as_ref(), held));
        // Told with the condition that says so.
        entrance = route.as_ref().filter(|_| !held).and_then(admitted_host);
    }
    let bound = attempt
        .observation
        .and_then(|observed| observed.seen.claim.as_ref())
        .is_some_and(|claim| claim.bound);
    let wiring = validated.map(|validated| &validated.wiring);
    let is_beside = |target: &Target| {
        ways::is_way(target, namespace.as_deref().unwrap_or_default(), &name)
            || wiring.is_some_and(|wiring| wiring.concerns(target))
    };
    let down = attempt
        .undone(
            |target, _| counts(target.kind, bound) && !is_beside(target),
            FOREIGN,
        )
        .or_else(|| {
            let failed = parts.iter().find(|part| {
                part.status == Status::False
                    && part.type_ != storage::MIGRATION
                    && !(start.starts && is_on_its_way(part))
            });
            failed.map(|part| Bad {
                reason: part.reason,
                message: part.message.clone(),
            })
        })
        .or_else(|| {
            running.down(told).map(|message| Bad {
                reason: reason!("DeploymentUnavailable"),
                message: message.to_owned(),
            })
        })
        // Older pods serve; whoever waits for this edit waits on.
        .or_else(|| running.rolling());
    let is_up = parts.iter().any(|part| part.status == Status::True);
    let mut wanted = parts;
    wanted.extend(
        wiring
            .into_iter()
            .flat_map(|wiring| wiring.conditions(attempt.outcome)),
    );
    wanted.extend(validated.and_then(|service| exposed(service, attempt.outcome, inputs)));
    wanted.extend(summary(down.as_ref(), is_up, attempt.failure.is_some()));
    wanted.extend(spec_warnings(validated, attempt, bound));
    wanted.extend(attempt.rights_missing());
    for condition in &mut wanted {
        condition.observed_generation.get_or_insert(generation);
    }
    let ready = down.is_none();
    let (replicas, ready_replicas) = live.deployment.as_ref().map_or((0, 0), pods);
    TrustyAIServiceStatus {
        conditions: carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
            !KNOWN.contains(&type_)
        }),
        observed_generation: Some(generation),
        phase: Some(if ready { "Ready" } else { "Not Ready" }.to_owned()),
        ready: Some(if ready { "True" } else { "False" }.to_owned()),
        replicas: Some(start.count(replicas, previous.replicas)),
        ready_replicas: Some(start.count(ready_replicas, previous.ready_replicas)),
        url: validated
            .map(|validated| url(validated, entrance))
            .or(previous.url.clone()),
        certificate: previous.certificate.clone().or_else(|| {
            // Once pods run: they have started with it.
            let up = running.availability == Availability::Up;
            validated.filter(|_| up)?.baseline.clone()
        }),
    }
}

/// Pods are on their way. What is there before them is told together with them: each step would cost
/// a write of its own, and another soon after.
struct Start<'a> {
    starts: bool,
    previous: &'a TrustyAIServiceStatus,
    generation: i64,
}

impl Start<'_> {
    /// Whether a condition stays False that was told so of this generation.
    fn holds(&self, type_: ConditionType) -> bool {
        let is_told = |told: &Condition| {
            told.type_ == type_.as_str()
                && told.status == "False"
                && told.observed_generation == Some(self.generation)
        };
        self.starts && self.previous.conditions.iter().any(is_told)
    }

    /// Pods to tell of where there are `now` so many, and were `before`.
    fn count(&self, now: i32, before: Option<i32>) -> i32 {
        if self.starts {
            now.min(before.unwrap_or_default())
        } else {
            now
        }
    }
}

/// Whether nothing is wrong with a part that is not there yet. While pods start, they are what is
/// waited for.
fn is_on_its_way(part: &Wanted) -> bool {
    [storage::ON_ITS_WAY, ROUTE_ON_ITS_WAY].contains(&part.message.as_str())
}

/// What the objects are made of, where the pass came so far.
fn validated<'a>(attempt: &Attempt<'a, TrustyAi>) -> Option<&'a Validated> {
    let observed: &Observed = attempt.observation?;
    observed.validated.as_ref().ok()
}

/// Whether the service cannot do without what failed: it can without a monitor, and with a claim that
/// is `bound` and not as it should be.
fn counts(kind: Kind, bound: bool) -> bool {
    kind != SERVICE_MONITOR && !(bound && kind == PERSISTENT_VOLUME_CLAIM)
}

/// What in the spec means nothing, or something else than it seems.
fn spec_warnings(
    service: Option<&Validated>,
    attempt: &Attempt<'_, TrustyAi>,
    bound: bool,
) -> Option<Wanted> {
    let mut warnings = service.map_or_else(Vec::new, |service| service.warnings.clone());
    warnings.extend(claim_kept(attempt).filter(|_| bound));
    let message = warnings.join("; ");
    (!warnings.is_empty()).then(|| {
        let reason = reason!("FieldsIgnored");
        Wanted::new(SPEC_WARNINGS, Status::True, reason, message)
    })
}

/// Why the claim is not as the resource asks.
fn claim_kept(attempt: &Attempt<'_, TrustyAi>) -> Option<String> {
    let mut failed = attempt.outcome.failed.iter();
    let failed = failed.find(|failed| failed.target.kind == PERSISTENT_VOLUME_CLAIM)?;
    Some(format!(
        "spec.storage: the claim stays as it is: {}",
        failed.message
    ))
}

/// All pods and those that answer.
fn pods(deployment: &Deployment) -> (i32, i32) {
    let status = deployment.status.clone().unwrap_or_default();
    (
        status.replicas.unwrap_or_default(),
        status.ready_replicas.unwrap_or_default(),
    )
}

/// What sums up all others.
///
/// Where nothing could be planned, the reason is that of the failure: a program may look for it.
fn summary(down: Option<&Bad>, is_up: bool, failed: bool) -> [Wanted; 4] {
    let cause = down.filter(|_| failed).map(|bad| bad.reason);
    let told = |type_, holds: bool, reason, message: &str| {
        let because = down.filter(|_| !holds || type_ == DEGRADED);
        let message = because.map_or_else(
            || message.to_owned(),
            |bad| format!("{message}: {}", bad.message),
        );
        Wanted::new(type_, Status::from(holds), reason, message)
    };
    if down.is_none() {
        return [
            told(
                AVAILABLE,
                true,
                reason!("AllComponentsReady"),
                "AllComponentsReady",
            ),
            told(
                READY,
                true,
                reason!("AllComponentsReady"),
                "All service components are ready",
            ),
            told(
                PROVISIONED,
                true,
                reason!("ProvisioningComplete"),
                "Service provisioning completed successfully",
            ),
            told(
                DEGRADED,
                false,
                reason!("FullyFunctional"),
                "All components are fully functional",
            ),
        ];
    }
    let degraded = if is_up {
        told(
            DEGRADED,
            true,
            reason!("PartialFunctionality"),
            "Some components are available but service is not fully functional",
        )
    } else {
        told(
            DEGRADED,
            true,
            reason!("NoFunctionality"),
            "No components are available",
        )
    };
    [
        told(
            AVAILABLE,
            false,
            cause.unwrap_or(reason!("NotAllComponentsReady")),
            "Not all components available",
        ),
        told(
            READY,
            false,
            cause.unwrap_or(reason!("ComponentsNotReady")),
            "Not all service components are ready",
        ),
        told(
            PROVISIONED,
            false,
            reason!("ProvisioningInProgress"),
            "Service provisioning in progress",
        ),
        degraded,
    ]
}

/// Whether the Route leads in; `None` where there is none to be. Where it is `held`, it is not told
/// of yet that it does.
fn route_available(service: &Validated, route: Option<&Value>, held: bool) -> Option<Wanted> {
    if !(service.route && service.platform.openshift) {
        return None;
    }
    let found = Wanted::new(
        ROUTE_AVAILABLE,
        Status::True,
        reason!("RouteFound"),
        "Route found",
    );
    let not_found = |message: String| {
        let reason = reason!("RouteNotFound");
        Wanted::new(ROUTE_AVAILABLE, Status::False, reason, message)
    };
    Some(match route.map(admission) {
        Some(Admission::Admitted) if !held => found,
        None | Some(Admission::Admitted | Admission::Waiting) => {
            not_found(ROUTE_ON_ITS_WAY.to_owned())
        }
        Some(Admission::Refused(why)) => not_found(format!("Route not found: {why}")),
    })
}

enum Admission {
    Admitted,
    Waiting,
    Refused(String),
}

/// What routers say. One that lets it in is enough.
fn admission(route: &Value) -> Admission {
    let told: Vec<_> = answers(route).map(|(_, condition)| condition).collect();
    if told.iter().any(|condition| is(condition, "True")) {
        return Admission::Admitted;
    }
    match told.iter().find(|condition| is(condition, "False")) {
        None => Admission::Waiting,
        Some(refused) => {
            let message = refused.get("message").and_then(Value::as_str);
            Admission::Refused(message.unwrap_or("a router refused it").to_owned())
        }
    }
}

/// The host under which the first router lets in that does.
fn admitted_host(route: &Value) -> Option<&str> {
    let mut answers = answers(route);
    let (router, _) = answers.find(|(_, condition)| is(condition, "True"))?;
    router.get("host")?.as_str()
}

/// Each router of a Route, with what it says of letting it in.
fn answers(route: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let routers = route.pointer("/status/ingress").and_then(Value::as_array);
    routers.into_iter().flatten().flat_map(|router| {
        let conditions = router.get("conditions").and_then(Value::as_array);
        let conditions = conditions.into_iter().flatten();
        let told = conditions.filter(|told| told.get("type").is_some_and(|t| t == "Admitted"));
        told.map(move |told| (router, told))
    })
}

fn is(condition: &Value, status: &str) -> bool {
    condition.get("status").is_some_and(|told| told == status)
}

/// Whether the ways in are there that the resource asks for, beside the Route.
fn exposed<I: Inputs>(service: &Validated, outcome: &Outcome, inputs: &I) -> Option<Wanted> {
    let (authorities, certificate) = (&service.names.authorities, &service.names.tls);
    let untrusted =
        (service.trust == Trust::Missing).then(|| (authorities.as_str(), certificate.as_str()));
    let namespace = service.namespace.as_str();
    let ways = Ways {
        asked: service.expose.as_ref()?,
        namespace,
        name: service.names.as_str(),
        what: "service",
        foreign: FOREIGN,
        http_routes: service.platform.http_routes,
        tls: Some(Tls {
            policies: service.platform.backend_tls_policies,
            untrusted,
        }),
    };
    let child = |kind, name: &str| inputs.child(kind, Some(namespace), name);
    Some(ways.exposed(outcome, &child))
}

/// The address from outside where there is one, else that of the proxy's Service. `host` is that of
/// the Route.
fn url(service: &Validated, host: Option<&str>) -> String {
    if let Some(host) = host.filter(|_| service.route) {
        return format!("https://{host}");
    }
    let ways = service.expose.as_ref();
    let open = ways.filter(|ways| ways.is_open(service.platform.http_routes));
    open.and_then(resources::exposure::Exposure::url)
        .unwrap_or_else(|| {
            let name = format!("{}{TLS}", service.names.as_str());
            format!(
                "https://{}",
                service_host(&name, service.namespace.as_str())
            )
        })
}

/// Events about `attempt`.
#[must_use]
pub fn events(attempt: &Attempt<'_, TrustyAi>) -> Vec<Note> {
    let made = |kind: Kind, reason, message: &str| {
        let mut created = attempt.outcome.created.iter();
        created.any(|target| target.kind == kind).then(|| Note {
            warning: false,
            reason,
            action: "Create",
            message: message.to_owned(),
        })
    };
    let undone = attempt.undone(|_, _| true, FOREIGN);
    let warnings = attempt.warning(undone.map(|bad| bad.message), "WriteFailed");
    let database = attempt.observation.and_then(|observed| {
        let database = observed.seen.database.as_ref()?;
        let problem = database.problem.as_ref()?;
        Some(Note {
            warning: true,
            reason: storage::database_reason(problem).as_str(),
            action: "Reconcile",
            message: format!("Secret {}: {problem}", database.secret),
        })
    });
    let wiring = validated(attempt)
        .into_iter()
        .flat_map(|validated| validated.wiring.events(attempt.outcome));
    [
        made(PERSISTENT_VOLUME_CLAIM, "PVCCreated", "PVC created"),
        made(
            SERVICE_MONITOR,
            "ServiceMonitorCreated",
            "Local ServiceMonitor created",
        ),
        database,
    ]
    .into_iter()
    .flatten()
    .chain(warnings)
    .chain(wiring)
    .collect()
}
