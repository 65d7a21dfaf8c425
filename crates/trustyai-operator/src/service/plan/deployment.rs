//! The service's pods.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Probe, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use resources::kind::{DEPLOYMENT, POD_DISRUPTION_BUDGET};
use resources::meta::{Pairs, annotated, pairs};
use resources::workload::{
    FS_GROUP, Timing, config_map_volume, disruption_budget, http_probe, matching, mount, overlay,
    pull_policy, restricted_container, restricted_pod, secret_volume,
};
use resources::{Plan, PlanError, Planned};

use super::environment::environment;
use super::metadata::{called, labels};
use super::proxy;
use crate::service::names::{CERTIFICATE_HASH, INPUTS_HASH, TRUSTED_CA};
use crate::service::validated::Validated;

/// Name of the service's container.
pub const SERVER: &str = "trustyai-service";
/// Volume with the data. Its name is as old as the operator.
const DATA: &str = "volume";
/// Volume with the authority of the database's certificate, and where it is mounted.
const DATABASE_CA: (&str, &str) = ("db-ca-cert", "/etc/tls/db");
/// Where the service's own certificate is mounted.
const CERTIFICATE: &str = "/etc/tls/internal";
/// Port on which the service says how it is, without TLS.
const HEALTH_PORT: i32 = 8080;
pub(super) fn deployment(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(budget) = &service.operand.pod_disruption_budget {
        let metadata = called(service, service.names.as_str());
        let budget = disruption_budget(metadata, labels(service), budget);
        plan.push(Planned::new(POD_DISRUPTION_BUDGET, &budget)?);
    }
    if !service.can_start() {
        // Pods that run go on with what they have read.
        plan.keep(
            DEPLOYMENT,
            service.namespace.as_str(),
            service.names.as_str(),
        );
        return Ok(());
    }
    let metadata = called(service, service.names.as_str());
    let deployment = Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(service.replicas),
            selector: matching(service.selector.clone()),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                // Most volumes are for one node, on which the new pod may not be.
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(1)),
                    max_surge: Some(IntOrString::Int(0)),
                }),
            }),
            template: template(service),
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    plan.push(Planned::new(DEPLOYMENT, &deployment)?);
    Ok(())
}

fn template(service: &Validated) -> PodTemplateSpec {
    let mut pod_labels = labels(service);
    // A Deployment of the Go operator selects by its version, too.
    pod_labels.extend(service.selector.clone());
    let meta = ObjectMeta {
        labels: Some(pod_labels),
        ..ObjectMeta::default()
    };
    let fs_group = (!service.platform.openshift).then_some(FS_GROUP);
    let account = service.names.account.as_str().to_owned();
    let mut template = PodTemplateSpec {
        metadata: Some(annotated(meta, annotations(service))),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![server(service), proxy::container(service)],
            security_context: Some(restricted_pod(fs_group)),
            service_account_name: Some(account),
            volumes: Some(volumes(service)),
            ..PodSpec::default()
        }),
    };
    overlay(&mut template, &service.operand, SERVER);
    template
}

fn annotations(service: &Validated) -> Pairs {
    let mut annotations = pairs([
        ("prometheus.io/path", "/q/metrics"),
        ("prometheus.io/scheme", "http"),
        ("prometheus.io/scrape", "true"),
    ]);
    if let Some(hash) = &service.inputs_hash {
        annotations.insert(INPUTS_HASH.into(), hash.clone());
    }
    // The service reads its certificate once. The first one rolls nothing: it often comes when the
    // pods are there already, and wait for it.
    let now = service.certificate.digest();
    if let Some(hash) = now.filter(|hash| service.baseline.as_ref() != Some(hash)) {
        annotations.insert(CERTIFICATE_HASH.into(), hash);
    }
    annotations
}

fn server(service: &Validated) -> Container {
    let image = &service.settings.service_image;
    let health = |path: &str| -> Option<Probe> {
        let timing = Timing {
            delay: 10,
            period: 5,
            timeout: 2,
            failures: 3,
        };
        let mut probe = http_probe("HTTP", path, "", timing);
        if let Some(action) = &mut probe.http_get {
            action.port = IntOrString::Int(HEALTH_PORT);
        }
        Some(probe)
    };
    let mut mounts = vec![mount(service.names.internal.as_str(), CERTIFICATE, true)];
    if let Some(folder) = &service.folder {
        mounts.push(mount(DATA, &folder.path, false));
    }
    if has_database_ca(service) {
        mounts.push(mount(DATABASE_CA.0, DATABASE_CA.1, true));
    }
    mounts.extend(trusted_ca_mount(service));
    Container {
        name: SERVER.into(),
        image: Some(image.clone()),
        image_pull_policy: Some(pull_policy(image)),
        env: Some(environment(service)),
        liveness_probe: health("/q/health/live"),
        readiness_probe: health("/q/health/ready"),
        resources: service.resources.clone(),
        security_context: Some(restricted_container()),
        // The last lines of its log are in the pod's status when it fails, and so in ours.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn has_database_ca(service: &Validated) -> bool {
    let database = service.database.as_ref();
    database.is_some_and(|database| database.authority.is_some())
}

/// The cluster's authorities in the place of the image's, in the service too: it connects to
/// databases.
pub(super) fn trusted_ca_mount(service: &Validated) -> Option<VolumeMount> {
    let (volume, key) = TRUSTED_CA;
    service.has_trusted_ca.then(|| VolumeMount {
        sub_path: Some(key.to_owned()),
        ..mount(volume, "/etc/ssl/certs/ca-bundle.crt", true)
    })
}

fn volumes(service: &Validated) -> Vec<Volume> {
    let names = &service.names;
    let mut volumes = Vec::new();
    if let Some(folder) = &service.folder {
        volumes.push(Volume {
            name: DATA.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: folder.claim.to_string(),
                read_only: None,
            }),
            ..Volume::default()
        });
    }
    if service.has_trusted_ca {
        volumes.push(config_map_volume(TRUSTED_CA.0, TRUSTED_CA.0, None));
    }
    for name in [names.tls.as_str(), names.internal.as_str()] {
        volumes.push(secret_volume(name, name));
    }
    volumes.extend(proxy::volumes(service));
    if has_database_ca(service) {
        volumes.push(secret_volume(DATABASE_CA.0, names.database_ca.as_str()));
    }
    volumes
}
