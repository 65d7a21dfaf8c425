//! The Postgres that the operator runs, and its data.

use resources::kind::{DEPLOYMENT, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE};
use resources::meta::{Pairs, annotated, pairs, since};
use resources::names::ObjectName;
use resources::postgres::{FS_GROUP, Postgres};
use resources::{Plan, PlanError, Planned};

use super::metadata::{in_mesh, pod_labels, postgres_labels, postgres_pod_labels};
use crate::registry::names::{self, CREDENTIALS_BASELINE};
use crate::registry::validate::{Generated, Validated};

/// Maps that the builder borrows.
struct Parts {
    labels: Pairs,
    pods: Pairs,
    endpoints: Pairs,
    clients: Pairs,
    annotations: Pairs,
    pod_annotations: Pairs,
}

impl Parts {
    fn of(registry: &Validated, generated: &Generated) -> Self {
        let name = generated.name.as_str();
        let (annotations, mut pod_annotations) = annotations(generated);
        if registry.istio.is_some() {
            // The registry reaches it around the mesh, which may accept nothing but its own TLS.
            pod_annotations.extend(in_mesh(false));
        }
        Self {
            labels: postgres_labels(name),
            pods: postgres_pod_labels(registry, name),
            endpoints: pairs([
                ("app", registry.name.as_str()),
                ("app.kubernetes.io/name", name),
            ]),
            clients: pod_labels(registry),
            annotations,
            pod_annotations,
        }
    }

    fn builder<'a>(&'a self, registry: &'a Validated, generated: &'a Generated) -> Postgres<'a> {
        let fresh = (!registry.platform.openshift).then_some(FS_GROUP);
        Postgres {
            name: &generated.name,
            namespace: &registry.namespace,
            labels: &self.labels,
            pods: &self.pods,
            endpoints: &self.endpoints,
            clients: &self.clients,
            owner: registry.owner.as_ref(),
            retain: generated.retain,
            secret: &generated.secret,
            keys: (names::USERNAME, names::PASSWORD),
            database: names::GENERATED_DATABASE,
            image: generated.image.as_str(),
            volume: &generated.volume,
            size: &generated.size,
            storage_class: generated.storage_class.as_ref().map(ObjectName::as_str),
            // One that runs is not restarted for a group that it got along without.
            fs_group: generated.live.as_ref().map_or(fresh, |live| live.fs_group),
            annotations: &self.annotations,
            pod_annotations: &self.pod_annotations,
            operand: &registry.operand,
        }
    }
}

/// Annotations of the Deployment and of its pods.
fn annotations(generated: &Generated) -> (Pairs, Pairs) {
    let Some(current) = &generated.credentials_hash else {
        return (Pairs::new(), Pairs::new());
    };
    let live = generated.live.as_ref();
    let baseline = live.and_then(|live| live.baseline.as_deref());
    since(
        (CREDENTIALS_BASELINE, names::INPUTS_HASH),
        baseline,
        current,
    )
}

/// The password and the volume, or what is to stay of them.
pub(super) fn data(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(generated) = &registry.postgres {
        let parts = Parts::of(registry, generated);
        let postgres = parts.builder(registry, generated);
        let identity = [
            ("app", generated.name.as_str()),
            ("component", "model-registry-postgres"),
        ];
        if let Some(credentials) = &generated.credentials {
            let secret = Planned::new(SECRET, &postgres.secret(credentials.data.clone()))?;
            plan.push(
                secret
                    .identified_by(identity)
                    .only_if(credentials.precondition.clone()),
            );
        }
        if generated.running || generated.has_volume {
            let mut volume = postgres.volume();
            let chosen = generated.storage_class.as_ref();
            volume.metadata = annotated(
                volume.metadata,
                chosen
                    .map(|class| (names::STORAGE_CLASS.to_owned(), class.as_str().to_owned()))
                    .into_iter()
                    .collect(),
            );
            plan.push(Planned::new(PERSISTENT_VOLUME_CLAIM, &volume)?.identified_by(identity));
        }
    } else if !registry.drops_data {
        let name = registry.name.as_str();
        let namespace = registry.namespace.as_str();
        plan.keep(
            SECRET,
            namespace,
            &format!("{name}{}", names::POSTGRES_CREDENTIALS),
        );
        plan.keep(
            PERSISTENT_VOLUME_CLAIM,
            namespace,
            &format!("{name}{}", names::POSTGRES_STORAGE),
        );
    }
    Ok(())
}

/// The server, its Service and who may reach it.
pub(super) fn workload(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(generated) = registry
        .postgres
        .as_ref()
        .filter(|generated| generated.running)
    else {
        return Ok(());
    };
    let parts = Parts::of(registry, generated);
    let postgres = parts.builder(registry, generated);
    plan.push(Planned::new(NETWORK_POLICY, &postgres.network_policy())?);
    plan.push(Planned::new(SERVICE, &postgres.service())?);
    plan.push(Planned::new(DEPLOYMENT, &postgres.deployment())?);
    Ok(())
}
