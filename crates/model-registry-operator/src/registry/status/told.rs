//! The conditions, each of what the attempt, the spec and the cluster say.

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistryStatus};
use conditions::{Status, Wanted, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, POD, SECRET, SERVICE,
    SERVICE_ACCOUNT,
};
use runtime::component::Attempt;
use runtime::inputs::Inputs;
use runtime::outcome::{Outcome, Target};
use runtime::told::{Bad, UNAVAILABLE};

use super::super::validate::{LeftData, Validated};
use super::super::{Registry, names};
use super::proxy::Program;
use super::{DATABASE_CONFIG_VALID, PROGRESSING, SPEC_WARNINGS, proxy, route, ways};
use runtime::workload::{self, Live, Progress, Workload};

/// Whose an object of a taken name is, and what to do.
pub(super) const FOREIGN: &str = "somebody else; delete it or name the registry otherwise";

/// What conditions are made of.
pub(super) struct View<'a> {
    pub(super) resource: &'a ModelRegistry,
    pub(super) attempt: &'a Attempt<'a, Registry>,
    pub(super) validated: Option<&'a Validated>,
    pub(super) previous: &'a ModelRegistryStatus,
}

impl View<'_> {
    pub(super) fn conditions<I: Inputs>(&self, inputs: &I) -> Vec<Wanted> {
        let live = self.live(inputs);
        let workload = workload::workload(&live);
        let bad = self
            .attempt
            .undone(
                |target, missing| is_essential(target.kind, missing) && !self.is_beside(target),
                FOREIGN,
            )
            .or_else(|| self.down(&workload));
        let proxies = [proxy::KUBE_RBAC, proxy::OAUTH]
            .map(|program| self.proxy(program, inputs, &live, bad.as_ref()));
        let mesh = self.mesh(inputs, &live, bad.as_ref());
        let ways_in: Vec<Wanted> = proxies.into_iter().chain(mesh).flatten().collect();
        let unreached = ways_in
            .iter()
            .find(|way| bad.is_none() && way.status == Status::False)
            .map(|way| Bad {
                reason: way.reason,
                message: way.message.clone(),
            });
        let available = workload.available(bad.or(unreached), self.told());
        let database = self.database();
        let parts: Vec<&Wanted> = [&available]
            .into_iter()
            .chain(&ways_in)
            .chain(&database)
            .collect();
        let ready = workload.ready(&parts);
        let progressing = (live.deployment.is_some() || self.validated.is_some())
            .then(|| progressing(workload.progress));
        let rest = [
            Some(available),
            database,
            self.beside(inputs, ways::exposed),
            self.beside(inputs, ways::certificate),
            self.warnings(),
            self.attempt.rights_missing(),
        ];
        [Some(ready), progressing]
            .into_iter()
            .flatten()
            .chain(ways_in)
            .chain(rest.into_iter().flatten())
            .collect()
    }

    pub(super) fn told(&self) -> Option<&Condition> {
        workload::told(&self.previous.conditions)
    }

    /// The workload does not do what it should. What the spec refers to and is not there is said
    /// first: pods only say that they wait.
    fn down(&self, workload: &Workload) -> Option<Bad> {
        let message = workload.down(self.told())?.to_owned();
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

    fn proxy<I: Inputs>(
        &self,
        program: Program,
        inputs: &I,
        live: &Live,
        bad: Option<&Bad>,
    ) -> Option<Wanted> {
        let route_name = match self.validated {
            Some(validated) => {
                let proxy = validated.proxy.as_ref()?;
                if proxy.oauth.is_some() != (program == proxy::OAUTH) {
                    return None;
                }
                proxy.route.as_ref().map(|route| route.name.object.as_str())
            }
            // Nothing is known of the spec: what was told of its proxy must not stay True.
            None if self
                .previous
                .conditions
                .iter()
                .any(|c| c.type_ == program.condition.as_str()) =>
            {
                None
            }
            None => return None,
        };
        let wrong = bad.map(|bad| bad.message.clone()).or_else(|| {
            let name = self.resource.name_any();
            let pods = self
                .attempt
                .may_watch(POD)
                .then(|| proxy::wrong_pods(&program, &name, &live.pods))
                .flatten();
            pods.or_else(|| {
                route_name.and_then(|r| {
                    proxy::wrong_route(&program, r, route(inputs, self.resource, r).as_ref())
                })
            })
        });
        let unbound = self.attempt.outcome.failed.iter().find_map(|failed| {
            let rule = failed.missing_rule.as_deref()?;
            (failed.target.kind == CLUSTER_ROLE_BINDING).then_some(rule)
        });
        Some(match (wrong, unbound) {
            (Some(message), _) => Wanted::new(
                program.condition,
                Status::False,
                reason!("ResourcesUnavailable"),
                message,
            ),
            // Somebody else may have bound it, where the operator cannot look.
            (None, Some(rule)) => Wanted::new(
                program.condition,
                Status::Unknown,
                reason!("MissingRights"),
                proxy::unbound(
                    rule,
                    &self.resource.namespace().unwrap_or_default(),
                    &self.resource.name_any(),
                ),
            ),
            (None, None) => Wanted::new(
                program.condition,
                Status::True,
                reason!("ResourcesAvailable"),
                program.available,
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

    /// A condition about what the registry can do without.
    fn beside<I: Inputs>(
        &self,
        inputs: &I,
        tell: fn(&Validated, &Outcome, runtime::ways::Child<'_>) -> Option<Wanted>,
    ) -> Option<Wanted> {
        let namespace = self.resource.namespace();
        let child = |kind, name: &str| inputs.child(kind, namespace.as_deref(), name);
        tell(self.validated?, self.attempt.outcome, &child)
    }

    /// Whether the registry can do without the object.
    fn is_beside(&self, target: &Target) -> bool {
        let namespace = self.resource.namespace().unwrap_or_default();
        ways::is_beside(target, &namespace, &self.resource.name_any())
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
fn is_essential(kind: Kind, missing_rule: Option<&str>) -> bool {
    missing_rule.is_none()
        || matches!(
            kind,
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
