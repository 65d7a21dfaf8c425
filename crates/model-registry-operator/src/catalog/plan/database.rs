//! The database. What it holds is read again from the sources when its pod is new.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, PodSecurityContext, PodSpec,
    PodTemplateSpec, Secret, SecurityContext, Service, ServicePort, ServiceSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use resources::content::short;
use resources::kind::{DEPLOYMENT, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE};
use resources::meta::{Pairs, annotated, pairs, since};
use resources::network::{ingress, pods as from_pods};
use resources::postgres::PORT;
use resources::workload::{
    Timing, exec_probe, from_secret, matching, mount, recreate, resources, restricted_container,
    restricted_pod,
};
use resources::{Adoption, Plan, PlanError};
use sha2::{Digest, Sha256};

use super::View;
use super::metadata::{database as meta, database_pods, planned, pods};
use crate::catalog::names;

const VOLUME: &str = "postgres-data";

pub(super) fn database(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    let created_by = [("app.kubernetes.io/created-by", "model-registry-operator")];
    plan.retire(
        PERSISTENT_VOLUME_CLAIM,
        view.namespace,
        names::POSTGRES,
        created_by,
    );
    let Some(credentials) = &view.seen.credentials else {
        return Ok(());
    };
    let secret = Secret {
        metadata: meta(view),
        data: Some(credentials.data.clone()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    };
    // One that somebody prepared is completed.
    let secret = planned(SECRET, &secret)?.adopting(Adoption::Any);
    plan.push(secret.only_if(credentials.precondition.clone()));
    let clients = vec![from_pods(pods())];
    let policy = ingress(meta(view), database_pods(), PORT, clients);
    plan.push(planned(NETWORK_POLICY, &policy)?);
    plan.push(planned(SERVICE, &service(view))?);
    plan.push(planned(DEPLOYMENT, &deployment(view))?);
    Ok(())
}

/// Annotations of a Deployment and of its pods, by which pods are new when the credentials are.
/// The first ones that pods were made with, by the Go operator too, need no annotation.
///
/// Whoever sees pods sees the hash: with the uid, which no other catalog has, equal passwords do not
/// show as such, and tables of passwords are of no use.
pub(super) fn credentials_hash(view: View<'_>, deployment: &str) -> (Pairs, Pairs) {
    let Some(credentials) = &view.seen.credentials else {
        return (Pairs::new(), Pairs::new());
    };
    let mut hasher = Sha256::new();
    hasher.update(view.owner.map_or("", |owner| owner.uid.as_str()));
    for (key, value) in &credentials.data {
        for part in [key.as_bytes(), value.0.as_slice()] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    let live = view.seen.live.get(deployment);
    let baseline = live.and_then(|live| live.baseline.as_deref());
    since(
        (names::CREDENTIALS_BASELINE, names::INPUTS_HASH),
        baseline,
        &short(&hasher.finalize()),
    )
}

fn service(view: View<'_>) -> Service {
    Service {
        metadata: meta(view),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(pairs([
                ("app", names::CATALOG),
                ("app.kubernetes.io/name", names::POSTGRES),
            ])),
            ports: Some(vec![ServicePort {
                name: Some("postgresql".into()),
                port: PORT,
                protocol: Some("TCP".into()),
                app_protocol: Some("tcp".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn deployment(view: View<'_>) -> Deployment {
    let (annotations, of_pods) = credentials_hash(view, names::POSTGRES);
    let mut labels = database_pods();
    labels.extend(pairs([("sidecar.istio.io/inject", "false")]));
    let template = ObjectMeta {
        labels: Some(labels),
        ..ObjectMeta::default()
    };
    let (pod_security, security) = security(view);
    Deployment {
        metadata: annotated(meta(view), annotations),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(0),
            selector: matching(database_pods()),
            strategy: Some(recreate()),
            template: PodTemplateSpec {
                metadata: Some(annotated(template, of_pods)),
                spec: Some(PodSpec {
                    containers: vec![container(view, security)],
                    security_context: Some(pod_security),
                    volumes: Some(vec![volume(view)]),
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// As the restricted profile asks for it; but pods that the Go operator made stay as they are:
/// with a new pod the database is empty until the sources are read again.
fn security(view: View<'_>) -> (PodSecurityContext, SecurityContext) {
    let live = view.seen.live.get(names::POSTGRES);
    if live.is_none_or(|live| live.restricted) {
        return (restricted_pod(None), restricted_container());
    }
    let container = SecurityContext {
        capabilities: Some(Capabilities::default()),
        privileged: Some(false),
        ..SecurityContext::default()
    };
    (PodSecurityContext::default(), container)
}

fn volume(view: View<'_>) -> Volume {
    let limit = view.spec.database.as_ref();
    let limit = limit
        .and_then(|database| database.volume.as_ref())
        .and_then(|volume| volume.size_limit.clone());
    Volume {
        name: VOLUME.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(limit.unwrap_or_else(|| Quantity("5Gi".into()))),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn container(view: View<'_>, security: SecurityContext) -> Container {
    let shell = |command| ["bash", "-c", command];
    let variable = |name, key| from_secret(name, names::POSTGRES, key);
    let asked = view.spec.resources.as_ref();
    Container {
        name: "postgresql".into(),
        image: Some(view.config.shared.postgres_image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        env: Some(vec![
            variable("POSTGRESQL_USER", names::DATABASE_USER),
            variable("POSTGRESQL_PASSWORD", names::DATABASE_PASSWORD),
            variable("POSTGRESQL_DATABASE", names::DATABASE_NAME),
        ]),
        ports: Some(vec![ContainerPort {
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(exec_probe(
            &shell("/usr/bin/pg_isready -U $POSTGRESQL_USER -d $POSTGRESQL_DATABASE"),
            Timing {
                delay: 30,
                period: 10,
                timeout: 2,
                failures: 3,
            },
        )),
        readiness_probe: Some(exec_probe(
            &shell("psql -w -U $POSTGRESQL_USER -d $POSTGRESQL_DATABASE -c 'SELECT 1'"),
            Timing {
                delay: 10,
                period: 10,
                timeout: 5,
                failures: 3,
            },
        )),
        resources: Some(
            asked
                .and_then(|asked| asked.postgres.clone())
                .unwrap_or_else(|| {
                    resources(
                        &[("cpu", "250m"), ("memory", "256Mi")],
                        &[("cpu", "500m"), ("memory", "512Mi")],
                    )
                }),
        ),
        security_context: Some(security),
        volume_mounts: Some(vec![mount(VOLUME, "/var/lib/pgsql/data", false)]),
        ..Container::default()
    }
}
