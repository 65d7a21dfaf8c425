//! What the user is told.
//!
//! A pure function: with nothing changing it says the same, so that nothing is written. The words
//! of `Available`, `Progressing` and `KubeRBACProxyAvailable` are those of the Go operator, which
//! dashboards show; `Ready` sums up for those who know no more than that.

mod addresses;
pub(crate) mod pods;
mod proxy;
pub(crate) mod workload;

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, ModelRegistryStatus};
use conditions::{
    ConditionType, READY, Reason, Status, Wanted, carry_over, condition_type, ready, reason,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, ENDPOINT_SLICE, PERSISTENT_VOLUME_CLAIM, POD,
    ROUTE, SECRET, SERVICE, SERVICE_ACCOUNT,
};
use resources::merge;
use runtime::component::{Attempt, Component, Failure, Note};
use runtime::inputs::Inputs;
use runtime::outcome::Failed;

use super::validate::{LeftData, Validated, validate};
use super::{Registry, defaults, names};
use workload::{Availability, Live, Progress};

pub use workload::STARTING;

/// Whether the registry can be used.
pub const AVAILABLE: ConditionType = condition_type!("Available");
/// Whether the Deployment is on its way to what is asked for.
pub const PROGRESSING: ConditionType = condition_type!("Progressing");
/// Whether the proxy can be reached. Only there with a proxy.
pub const PROXY_AVAILABLE: ConditionType = condition_type!("KubeRBACProxyAvailable");
/// Whether everything is there that the database's configuration refers to.
pub const DATABASE_CONFIG_VALID: ConditionType = condition_type!("DatabaseConfigValid");
/// True while something in the spec means nothing. Only there then.
pub const SPEC_WARNINGS: ConditionType = condition_type!("SpecWarnings");
/// True while an annotation stops the resource. Only there then.
pub const PAUSED: ConditionType = condition_type!("Paused");
/// True while the operator lacks rules that it asks for. Only there then.
pub const RIGHTS_MISSING: ConditionType = condition_type!("RightsMissing");

/// Conditions of ours and of the Go operator, of any time. Others belong to somebody else.
const KNOWN: [&str; 12] = [
    AVAILABLE.as_str(),
    PROGRESSING.as_str(),
    PROXY_AVAILABLE.as_str(),
    DATABASE_CONFIG_VALID.as_str(),
    SPEC_WARNINGS.as_str(),
    PAUSED.as_str(),
    RIGHTS_MISSING.as_str(),
    READY.as_str(),
    "Degraded",
    "IstioAvailable",
    "GatewayAvailable",
    "OAuthProxyAvailable",
];

const UNAVAILABLE: Reason = reason!("DeploymentUnavailable");

/// The status of `resource` after `attempt`.
pub fn status<I: Inputs>(
    registry: &Registry,
    resource: &ModelRegistry,
    attempt: &Attempt<'_, Registry>,
    inputs: &I,
) -> ModelRegistryStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    if attempt.paused {
        return paused(previous, generation, attempt);
    }
    let validated = attempt
        .observation
        .and_then(|seen| validate(resource, seen, &registry.config).ok());
    let view = View {
        resource,
        attempt,
        validated: validated.as_ref(),
        previous: &previous,
    };
    let mut wanted = view.conditions(inputs);
    for condition in &mut wanted {
        condition.observed_generation = Some(generation);
    }
    let conditions = carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
        !KNOWN.contains(&type_)
    });

    // What an earlier spec became may still run: its addresses stay until there are new ones.
    let (hosts, url, spec_defaults) = match (attempt.observation, view.validated) {
        (Some(seen), Some(validated)) => {
            let effective =
                defaults::effective(&resource.spec, &resource.name_any(), seen, &registry.config);
            (
                addresses::hosts(validated, &effective),
                Some(addresses::url(validated, &effective, |name| {
                    route(inputs, resource, name)
                })),
                spec_defaults(&resource.spec, effective),
            )
        }
        _ => (
            previous.hosts.clone(),
            previous.url.clone(),
            previous.spec_defaults.clone(),
        ),
    };
    ModelRegistryStatus {
        hosts_str: (!hosts.is_empty()).then(|| hosts.join(",")),
        hosts,
        spec_defaults,
        conditions,
        observed_generation: Some(generation),
        url,
    }
}

/// Everything stays as it was told, and speaks of the generation that it was told of.
fn paused(
    previous: ModelRegistryStatus,
    generation: i64,
    attempt: &Attempt<'_, Registry>,
) -> ModelRegistryStatus {
    let annotation = Registry::IDENTITY.pause_annotation;
    let message =
        format!("annotation {annotation}: paused stops this registry; remove it to go on");
    let wanted = Wanted::new(PAUSED, Status::True, reason!("Paused"), message).observed(generation);
    let conditions = carry_over(&previous.conditions, &[wanted], attempt.now, |_| true);
    ModelRegistryStatus {
        conditions,
        ..previous
    }
}

/// The merge patch that turns the stored spec into the one that is used, as compact JSON.
fn spec_defaults(stored: &ModelRegistrySpec, mut effective: ModelRegistrySpec) -> Option<String> {
    if let Some(postgres) = effective
        .postgres
        .as_mut()
        .filter(|postgres| postgres.is_generated())
    {
        // A generated Postgres is told as the address that it has, as the Go operator does.
        postgres.generate_deployment = None;
        postgres.image = stored
            .postgres
            .as_ref()
            .and_then(|stored| stored.image.clone());
    }
    let was_generated = stored
        .postgres
        .as_ref()
        .is_some_and(api::modelregistry::v1beta1::Postgres::is_generated);
    let stored = serde_json::to_value(stored).ok()?;
    let mut effective = serde_json::to_value(effective).ok()?;
    if was_generated
        && let Some(postgres) = effective
            .get_mut("postgres")
            .and_then(|p| p.as_object_mut())
    {
        postgres.remove("sslMode");
    }
    merge::diff(&stored, &effective).map(|patch| patch.to_string())
}

fn route<I: Inputs>(inputs: &I, resource: &ModelRegistry, name: &str) -> Option<serde_json::Value> {
    inputs.child(ROUTE, resource.namespace().as_deref(), name)
}

/// What conditions are made of.
struct View<'a> {
    resource: &'a ModelRegistry,
    attempt: &'a Attempt<'a, Registry>,
    validated: Option<&'a Validated>,
    previous: &'a ModelRegistryStatus,
}

/// A condition that does not hold.
struct Bad {
    reason: Reason,
    message: String,
}

impl View<'_> {
    fn conditions<I: Inputs>(&self, inputs: &I) -> Vec<Wanted> {
        let live = self.live(inputs);
        let (availability, progress) = workload::workload(&live);
        let bad = self
            .unplanned()
            .or_else(|| self.unwritten())
            .or_else(|| self.down(&availability));
        let proxy = self.proxy(inputs, &live, bad.as_ref());
        let unproxied = proxy
            .as_ref()
            .filter(|proxy| bad.is_none() && proxy.status == Status::False);
        let unproxied = unproxied.map(|proxy| Bad {
            reason: proxy.reason,
            message: proxy.message.clone(),
        });
        let available = match bad.or(unproxied) {
            Some(Bad { reason, message }) => Wanted::new(AVAILABLE, Status::False, reason, message),
            None => Wanted::new(
                AVAILABLE,
                Status::True,
                reason!("DeploymentAvailable"),
                "Deployment is available",
            ),
        };
        let database = self.database();
        let parts: Vec<&Wanted> = [Some(&available), proxy.as_ref(), database.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let ready = ready(&parts, 0);
        let progressing =
            (live.deployment.is_some() || self.validated.is_some()).then(|| progressing(progress));
        [
            Some(ready),
            progressing,
            proxy,
            Some(available),
            database,
            self.warnings(),
            self.rights(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn live<I: Inputs>(&self, inputs: &I) -> Live {
        let name = self.resource.name_any();
        let namespace = self.resource.namespace();
        let postgres = format!("{name}{}", names::POSTGRES);
        // Both kinds of pods carry `app` and `component` of the registry: this label tells them apart.
        let labelled =
            |labels: &std::collections::BTreeMap<String, String>, key: &str, value: &str| {
                labels.get(key).is_some_and(|found| found == value)
            };
        let (mut pods, mut postgres_pods) = (Vec::new(), Vec::new());
        for pod in inputs.children_as::<Pod>(POD) {
            if labelled(pod.labels(), "app.kubernetes.io/name", &name) {
                pods.push(pod);
            } else if labelled(pod.labels(), "app.kubernetes.io/name", &postgres) {
                postgres_pods.push(pod);
            }
        }
        let slices = self.may_watch(ENDPOINT_SLICE).then(|| {
            let mut slices = inputs.children_as::<EndpointSlice>(ENDPOINT_SLICE);
            slices.retain(|slice| labelled(slice.labels(), "kubernetes.io/service-name", &name));
            slices
        });
        let told = self
            .previous
            .conditions
            .iter()
            .find(|condition| condition.type_ == AVAILABLE.as_str());
        Live {
            deployment: inputs.child_as::<Deployment>(DEPLOYMENT, namespace.as_deref(), &name),
            pods,
            postgres_pods,
            postgres: inputs.child_as::<Deployment>(DEPLOYMENT, namespace.as_deref(), &postgres),
            slices,
            changed: self.changes_pods(inputs),
            was_starting: told
                .is_none_or(|told| told.status == "False" && told.message == STARTING),
        }
    }

    fn may_watch(&self, kind: Kind) -> bool {
        let resource = kind.resource();
        !self.attempt.missing_rules.iter().any(|rule| {
            rule.split_once(' ')
                .is_some_and(|(verb, on)| on == resource && matches!(verb, "list" | "watch"))
        })
    }

    /// Whether this pass has written another pod template than the one that is known.
    fn changes_pods<I: Inputs>(&self, inputs: &I) -> bool {
        let name = self.resource.name_any();
        let template = |object: &serde_json::Value| object.pointer("/spec/template").cloned();
        let written = self
            .attempt
            .outcome
            .updated
            .iter()
            .any(|t| t.kind == DEPLOYMENT && t.name == name);
        let known = inputs.child(DEPLOYMENT, self.resource.namespace().as_deref(), &name);
        let planned = self
            .attempt
            .plan
            .and_then(|plan| plan.get(DEPLOYMENT, &name));
        let (Some(known), Some(planned)) = (
            known.as_ref().and_then(template),
            planned.and_then(|planned| template(&planned.body)),
        ) else {
            return false;
        };
        written && !merge::contains(&known, &planned)
    }

    /// There is no plan.
    fn unplanned(&self) -> Option<Bad> {
        self.attempt.failure.map(|failure| Bad {
            reason: Reason::parse(failure.reason()).unwrap_or(UNAVAILABLE),
            message: failure.to_string(),
        })
    }

    /// The plan is not what is in the cluster.
    fn unwritten(&self) -> Option<Bad> {
        let outcome = self.attempt.outcome;
        let mut failed = outcome.failed.iter().filter(|failed| is_essential(failed));
        if let Some(first) = failed.next() {
            let others = failed.count();
            let more = if others == 0 {
                String::new()
            } else {
                format!(" ({others} more)")
            };
            let message = format!(
                "{} could not be written: {}{more}",
                first.target, first.message
            );
            return Some(Bad {
                reason: UNAVAILABLE,
                message,
            });
        }
        if outcome.foreign.is_empty() {
            return None;
        }
        let names: Vec<_> = outcome.foreign.iter().map(ToString::to_string).collect();
        let message = format!(
            "{} belongs to somebody else; delete it or name the registry otherwise",
            names.join(", ")
        );
        Some(Bad {
            reason: reason!("ObjectConflict"),
            message,
        })
    }

    /// The workload does not do what it should. What the spec refers to and is not there is said
    /// first: pods only say that they wait.
    fn down(&self, availability: &Availability) -> Option<Bad> {
        let message = match availability {
            Availability::Up => return None,
            Availability::Starting => STARTING.to_owned(),
            Availability::Down(message) => message.clone(),
        };
        let troubles = self
            .validated
            .map(|validated| validated.troubles.as_slice())
            .unwrap_or_default();
        let (database, proxy): (Vec<_>, Vec<_>) =
            troubles.iter().partition(|trouble| trouble.is_database());
        Some(if !database.is_empty() {
            Bad {
                reason: reason!("ConfigurationError"),
                message: format!("database configuration error: {}", sentences(&database)),
            }
        } else if !proxy.is_empty() {
            Bad {
                reason: reason!("ResourcesUnavailable"),
                message: sentences(&proxy),
            }
        } else {
            Bad {
                reason: UNAVAILABLE,
                message,
            }
        })
    }

    fn proxy<I: Inputs>(&self, inputs: &I, live: &Live, bad: Option<&Bad>) -> Option<Wanted> {
        let route_name = match self.validated {
            Some(validated) => validated
                .proxy
                .as_ref()?
                .route
                .as_ref()
                .map(|route| route.name.object.as_str()),
            // Nothing is known of the spec: what was told of its proxy must not stay True.
            None if self
                .previous
                .conditions
                .iter()
                .any(|c| c.type_ == PROXY_AVAILABLE.as_str()) =>
            {
                None
            }
            None => return None,
        };
        let wrong = bad.map(|bad| bad.message.clone()).or_else(|| {
            let name = self.resource.name_any();
            let pods = self
                .may_watch(POD)
                .then(|| proxy::wrong_pods(&name, &live.pods))
                .flatten();
            pods.or_else(|| {
                route_name
                    .and_then(|r| proxy::wrong_route(r, route(inputs, self.resource, r).as_ref()))
            })
        });
        let unbound = self.attempt.outcome.failed.iter().find_map(|failed| {
            let rule = failed.missing_rule.as_deref()?;
            (failed.target.kind == CLUSTER_ROLE_BINDING).then_some(rule)
        });
        Some(match (wrong, unbound) {
            (Some(message), _) => Wanted::new(
                PROXY_AVAILABLE,
                Status::False,
                reason!("ResourcesUnavailable"),
                message,
            ),
            // Somebody else may have bound it, where the operator cannot look.
            (None, Some(rule)) => Wanted::new(
                PROXY_AVAILABLE,
                Status::Unknown,
                reason!("MissingRights"),
                proxy::unbound(
                    rule,
                    &self.resource.namespace().unwrap_or_default(),
                    &self.resource.name_any(),
                ),
            ),
            (None, None) => Wanted::new(
                PROXY_AVAILABLE,
                Status::True,
                reason!("ResourcesAvailable"),
                proxy::AVAILABLE,
            ),
        })
    }

    fn database(&self) -> Option<Wanted> {
        let troubles: Vec<_> = self
            .validated?
            .troubles
            .iter()
            .filter(|trouble| trouble.is_database())
            .collect();
        Some(if troubles.is_empty() {
            let message = "everything that the database's configuration refers to is there";
            Wanted::new(
                DATABASE_CONFIG_VALID,
                Status::True,
                reason!("Valid"),
                message,
            )
        } else {
            Wanted::new(
                DATABASE_CONFIG_VALID,
                Status::False,
                reason!("Invalid"),
                sentences(&troubles),
            )
        })
    }

    fn warnings(&self) -> Option<Wanted> {
        let validated = self.validated?;
        let data = validated
            .left_data
            .map(|left| left_data(&validated.name, left));
        let all: Vec<_> = validated
            .warnings
            .iter()
            .map(ToString::to_string)
            .chain(data)
            .collect();
        let message = all.join("; ");
        (!all.is_empty()).then(|| {
            Wanted::new(
                SPEC_WARNINGS,
                Status::True,
                reason!("SpecWarnings"),
                message,
            )
        })
    }

    fn rights(&self) -> Option<Wanted> {
        let rules = self.attempt.missing_rules;
        let message = format!("the operator's service account lacks: {}", rules.join(", "));
        (!rules.is_empty()).then(|| {
            Wanted::new(
                RIGHTS_MISSING,
                Status::True,
                reason!("MissingRights"),
                message,
            )
        })
    }
}

fn progressing(progress: Progress) -> Wanted {
    let (status, reason, message) = match progress {
        Progress::Creating => (
            true,
            reason!("CreatingDeployment"),
            "Creating deployment".to_owned(),
        ),
        Progress::Updating => (
            true,
            reason!("UpdatingDeployment"),
            "Updating deployment".to_owned(),
        ),
        Progress::Settled => (
            false,
            reason!("CreatedDeployment"),
            "Deployment was successfully created".to_owned(),
        ),
        Progress::Stalled(message) => (false, reason!("ProgressDeadlineExceeded"), message),
    };
    Wanted::new(PROGRESSING, Status::from(status), reason, message)
}

/// A registry cannot be used without it. Other objects that the operator lacks the rights for are
/// told of in one condition of their own.
fn is_essential(failed: &Failed) -> bool {
    failed.missing_rule.is_none()
        || matches!(
            failed.target.kind,
            SERVICE_ACCOUNT | SECRET | CONFIG_MAP | PERSISTENT_VOLUME_CLAIM | SERVICE | DEPLOYMENT
        )
}

fn sentences<T: ToString>(all: &[T]) -> String {
    all.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn left_data(name: &names::RegistryName, left: LeftData) -> String {
    let what = format!(
        "volume {name}{} and Secret {name}{} of the generated Postgres, which is not used any more,",
        names::POSTGRES_STORAGE,
        names::POSTGRES_CREDENTIALS,
        name = name.as_str(),
    );
    match left {
        LeftData::Kept => format!(
            "{what} are kept and go with the registry; spec.postgres.deletionPolicy decides otherwise"
        ),
        LeftData::Retained => {
            format!("{what} are kept and outlive the registry; delete them by hand")
        }
        LeftData::Deleted => {
            format!("{what} are deleted, as spec.postgres.deletionPolicy asks for")
        }
    }
}

/// Events about `attempt`, in the words of the Go operator where it has some.
#[must_use]
pub fn events(resource: &ModelRegistry, attempt: &Attempt<'_, Registry>) -> Vec<Note> {
    let whose = format!(
        "for custom resource {} in namespace {}",
        resource.name_any(),
        resource.namespace().unwrap_or_default()
    );
    let normal = |reason, action, message| Note {
        warning: false,
        reason,
        action,
        message,
    };
    let warning = |reason, message| Note {
        warning: true,
        reason,
        action: "Reconcile",
        message,
    };
    let outcome = attempt.outcome;
    let mut notes = Vec::new();
    if !outcome.created.is_empty() {
        notes.push(normal(
            "ServiceCreated",
            "Create",
            format!("Created service {whose}"),
        ));
    } else if !outcome.updated.is_empty() {
        notes.push(normal(
            "ServiceUpdated",
            "Update",
            format!("Updated service {whose}"),
        ));
    }
    if let Some(failure) = attempt.failure {
        notes.push(warning(failure.reason(), failure.to_string()));
    }
    for failed in &outcome.failed {
        notes.push(warning(
            "WriteFailed",
            format!("{} could not be written: {}", failed.target, failed.message),
        ));
    }
    for foreign in &outcome.foreign {
        notes.push(warning(
            "ObjectConflict",
            format!("{foreign} belongs to somebody else and is left alone"),
        ));
    }
    notes
}

/// The last event of a registry.
#[must_use]
pub fn farewell(resource: &ModelRegistry) -> Note {
    Note {
        warning: true,
        reason: "Deleting",
        action: "Delete",
        message: format!(
            "Custom Resource {} is being deleted from the namespace {}",
            resource.name_any(),
            resource.namespace().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests;
