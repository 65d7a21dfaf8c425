//! The registry's own pods.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec, PodTemplateSpec, Volume};
use kube::core::ObjectMeta;
use resources::kind::{DEPLOYMENT, POD_DISRUPTION_BUDGET};
use resources::meta::{Pairs, annotated};
use resources::workload::{
    FS_GROUP, Timing, disruption_budget, http_probe, matching, overlay, pull_policy,
    restricted_container, restricted_pod, rolling, tcp_probe,
};
use resources::{Plan, PlanError, Planned};

use super::database::{Access, access, files};
use super::istio::guarded;
use super::metadata::{in_mesh, own, pod_labels};
use super::proxy::sidecar;
use super::{metadata_store, oauth};
use crate::registry::names::INPUTS_HASH;
use crate::registry::validate::{MetadataStore, Proxy, Validated};

/// Name of the server's container.
pub const SERVER: &str = "rest-container";
/// Name of the server's port.
const PORT: &str = "http-api";

pub(super) fn deployment(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(budget) = &registry.operand.pod_disruption_budget {
        let budget = disruption_budget(own(registry), pod_labels(registry), budget);
        plan.push(Planned::new(POD_DISRUPTION_BUDGET, &budget)?);
    }
    let deployment = Deployment {
        metadata: own(registry),
        spec: Some(DeploymentSpec {
            replicas: Some(registry.operand.replicas.unwrap_or(1)),
            revision_history_limit: Some(0),
            selector: matching(pod_labels(registry)),
            strategy: Some(rolling()),
            template: template(registry),
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    plan.push(guarded(registry, Planned::new(DEPLOYMENT, &deployment)?));
    Ok(())
}

fn template(registry: &Validated) -> PodTemplateSpec {
    let mut annotations =
        Pairs::from([("openshift.io/required-scc".into(), "restricted-v2".into())]);
    if let Some(hash) = &registry.inputs_hash {
        annotations.insert(INPUTS_HASH.into(), hash.clone());
    }
    let mut labels = pod_labels(registry);
    if registry.istio.is_some() {
        labels.extend(in_mesh(true));
        annotations.insert(
            "traffic.sidecar.istio.io/excludeOutboundPorts".into(),
            registry.database.port().to_string(),
        );
    }
    let labels = ObjectMeta {
        labels: Some(labels),
        ..ObjectMeta::default()
    };
    let (mut containers, mut volumes) = servers(registry);
    match &registry.proxy {
        Some(
            proxy @ Proxy {
                oauth: Some(oauth), ..
            },
        ) => {
            containers.push(oauth::container(registry, proxy));
            volumes.extend(oauth::volumes(proxy, oauth));
        }
        Some(proxy) => {
            let proxy = sidecar(registry, proxy);
            containers.push(proxy.container());
            volumes.extend(proxy.volumes());
        }
        None => {}
    }
    let fs_group = (!registry.platform.openshift && !volumes.is_empty()).then_some(FS_GROUP);
    let mut template = PodTemplateSpec {
        metadata: Some(annotated(labels, annotations)),
        spec: Some(PodSpec {
            containers,
            security_context: Some(restricted_pod(fs_group)),
            service_account_name: Some(registry.name.as_str().to_owned()),
            volumes: Some(volumes).filter(|volumes| !volumes.is_empty()),
            ..PodSpec::default()
        }),
    };
    overlay(&mut template, &registry.operand, SERVER);
    template
}

/// The registry's own containers, and their volumes.
fn servers(registry: &Validated) -> (Vec<Container>, Vec<Volume>) {
    match &registry.metadata_store {
        None => {
            let mut access = access(&registry.database);
            let volumes = std::mem::take(&mut access.volumes);
            (vec![server(registry, access)], volumes)
        }
        Some(store) => (
            vec![
                metadata_store::container(store, &registry.database),
                server_of_store(registry, store),
            ],
            files(&registry.database).volumes,
        ),
    }
}

/// The REST server of the metadata store's time.
fn server_of_store(registry: &Validated, store: &MetadataStore) -> Container {
    let access = Access {
        args: metadata_store::rest_args(store).into(),
        ..Access::default()
    };
    Container {
        env: None,
        startup_probe: None,
        liveness_probe: Some(tcp_probe(PORT, metadata_store::ALIVE)),
        readiness_probe: Some(tcp_probe(PORT, metadata_store::READY)),
        ..server(registry, access)
    }
}

fn server(registry: &Validated, database: Access) -> Container {
    let mut args = vec![
        "--hostname=0.0.0.0".into(),
        format!("--port={}", registry.rest.port),
    ];
    args.extend(database.args);
    // Alive means that the server listens, which it does not before it has its database: it tries
    // for about five minutes. A database that goes away later makes it unready, never restarted.
    let started = Timing {
        delay: 10,
        period: 5,
        timeout: 5,
        failures: 120,
    };
    let alive = Timing {
        delay: 30,
        period: 10,
        timeout: 5,
        failures: 3,
    };
    let ready = Timing {
        delay: 5,
        period: 10,
        timeout: 5,
        failures: 3,
    };
    Container {
        name: SERVER.into(),
        image: Some(registry.rest.image.to_string()),
        image_pull_policy: Some(pull_policy(registry.rest.image.as_str())),
        command: Some(vec!["/model-registry".into(), "proxy".into()]),
        args: Some(args),
        env: Some(database.env),
        ports: Some(vec![ContainerPort {
            container_port: registry.rest.port.number(),
            name: Some(PORT.into()),
            ..ContainerPort::default()
        }]),
        startup_probe: Some(tcp_probe(PORT, started)),
        liveness_probe: Some(tcp_probe(PORT, alive)),
        readiness_probe: Some(http_probe("HTTP", "/readyz/health", PORT, ready)),
        resources: Some(registry.rest.resources.clone()),
        security_context: Some(restricted_container()),
        // The last lines of its log are in the pod's status when it fails, and so in ours.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(database.mounts).filter(|mounts| !mounts.is_empty()),
        ..Container::default()
    }
}
