//! The catalog's own pods, and the Service in front of them.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EmptyDirVolumeSource, PodSpec, PodTemplateSpec, Service, ServicePort,
    ServiceSpec, Volume, VolumeMount,
};
use kube::core::ObjectMeta;
use resources::certificates::{CERTIFICATE, PRIVATE_KEY};
use resources::kind::{DEPLOYMENT, SERVICE};
use resources::meta::{annotated, pairs};
use resources::names::{DataKey, NameError, ObjectName};
use resources::proxy::{Sidecar, usual_resources};
use resources::workload::{
    FS_GROUP, Timing, config_map_volume, from_secret, http_probe, literal, matching, mount,
    pull_policy, restricted_container, restricted_pod, rolling, tcp_probe,
};
use resources::{Plan, PlanError};

use super::database::credentials_hash;
use super::metadata::{own, planned, pods};
use super::{PATH, View};
use crate::catalog::names;

/// Name of the server's container.
pub const SERVER: &str = "catalog";
/// Port of the proxy.
pub(super) const PROXY_PORT: i32 = 8443;
const PORT: i32 = 8080;
const PORT_NAME: &str = "http-api";
/// Files of the catalogs that come with it.
const DATA: (&str, &str) = ("catalog-data", "/shared-data");
/// Their performance data.
const BENCHMARKS: (&str, &str) = ("benchmark-data", "/shared-benchmark-data");
/// Volumes with sources, in the order in which the server reads them: a later one wins.
const SOURCES: [(&str, &str); 4] = [
    ("default-sources", names::DEFAULT_SOURCES),
    ("user-model-sources", names::USER_SOURCES[0].0),
    ("user-mcp-sources", names::USER_SOURCES[1].0),
    ("user-agent-sources", names::USER_SOURCES[2].0),
];

pub(super) fn server(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    plan.push(planned(SERVICE, &service(view))?);
    let deployment = deployment(view).map_err(|error| PlanError::Content {
        kind: DEPLOYMENT.kind,
        name: names::CATALOG.to_owned(),
        message: error.to_string(),
    })?;
    plan.push(planned(DEPLOYMENT, &deployment)?);
    Ok(())
}

fn service(view: View<'_>) -> Service {
    let mut annotations = pairs([(
        "service.beta.openshift.io/serving-cert-secret-name",
        names::PROXY,
    )]);
    let address = match view.gateway() {
        Some(gateway) => Some(format!("{}{PATH}", gateway.domain)),
        None if view.seen.platform.openshift => view.host().map(|host| format!("{host}:443")),
        None => None,
    };
    if let Some(address) = address {
        annotations.insert(
            "routing.opendatahub.io/external-address-rest".into(),
            address,
        );
    }
    Service {
        metadata: annotated(own(view, names::CATALOG), annotations),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(pods()),
            ports: Some(vec![ServicePort {
                name: Some("https-api".into()),
                port: PROXY_PORT,
                protocol: Some("TCP".into()),
                app_protocol: Some("https".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn deployment(view: View<'_>) -> Result<Deployment, NameError> {
    let (annotations, mut of_pods) = credentials_hash(view, names::CATALOG);
    of_pods.extend(pairs([("openshift.io/required-scc", "restricted-v2")]));
    let template = ObjectMeta {
        labels: Some(pods()),
        ..ObjectMeta::default()
    };
    let secret = ObjectName::parse(names::PROXY)?;
    let (certificate, key) = (DataKey::parse(CERTIFICATE)?, DataKey::parse(PRIVATE_KEY)?);
    let config = ObjectName::parse(names::PROXY_CONFIG)?;
    let proxy = Sidecar {
        image: &view.config.shared.proxy_image,
        port: PROXY_PORT,
        upstream: PORT,
        resources: None,
        certificate: (&secret, &certificate),
        key: (&secret, &key),
        config: &config,
    };
    let mut volumes = volumes(view);
    volumes.extend(proxy.volumes());
    let fs_group = (!view.seen.platform.openshift).then_some(FS_GROUP);
    Ok(Deployment {
        metadata: annotated(own(view, names::CATALOG), annotations),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            revision_history_limit: Some(0),
            selector: matching(pods()),
            strategy: Some(rolling()),
            template: PodTemplateSpec {
                metadata: Some(annotated(template, of_pods)),
                spec: Some(PodSpec {
                    init_containers: Some(copies(view)),
                    containers: vec![container(view), proxy.container()],
                    security_context: Some(restricted_pod(fs_group)),
                    service_account_name: Some(names::CATALOG.to_owned()),
                    volumes: Some(volumes),
                    ..PodSpec::default()
                }),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    })
}

fn labelled(view: View<'_>) -> impl Iterator<Item = (String, &str)> {
    let maps = view.seen.labelled.iter();
    maps.map(|name| (format!("labeled-{name}"), name.as_str()))
}

fn volumes(view: View<'_>) -> Vec<Volume> {
    let scratch = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let fixed = SOURCES.map(|(volume, map)| config_map_volume(volume, map, None));
    let mut volumes = Vec::from(fixed);
    volumes.extend([DATA, BENCHMARKS].map(|(volume, _)| scratch(volume)));
    volumes.extend(labelled(view).map(|(volume, map)| config_map_volume(&volume, map, None)));
    volumes
}

/// Containers that copy the data of images to where the server reads it.
fn copies(view: View<'_>) -> Vec<Container> {
    let copy = |name: &str, image: &str, command: &str, (volume, path): (&str, &str)| Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(pull_policy(image)),
        command: Some(["/bin/sh", "-c", command].map(str::to_owned).into()),
        security_context: Some(restricted_container()),
        volume_mounts: Some(vec![mount(volume, path, false)]),
        ..Container::default()
    };
    vec![
        copy(
            "catalog-data-init",
            &view.config.data_image,
            "cp /app/data/*.yaml /shared-data/",
            DATA,
        ),
        // Performance data is an extra, which an image may lack.
        copy(
            "benchmark-data-init",
            &view.config.performance_image,
            "cp -r /app/benchmarks/* /shared-benchmark-data/ || true",
            BENCHMARKS,
        ),
    ]
}

fn container(view: View<'_>) -> Container {
    let mut args = vec![format!("--listen=0.0.0.0:{PORT}")];
    let mut mounts: Vec<VolumeMount> = Vec::new();
    let mut source = |volume: &str, path: &str| {
        args.push(format!("--catalogs-path={path}/{}", names::SOURCES_KEY));
        mounts.push(mount(volume, path, false));
    };
    for (volume, _) in SOURCES {
        source(volume, &format!("/data/{volume}"));
    }
    for (volume, map) in labelled(view) {
        source(&volume, &format!("/data/labeled-sources/{map}"));
    }
    args.push(format!("--performance-metrics={}", BENCHMARKS.1));
    mounts.extend([DATA, BENCHMARKS].map(|(volume, path)| mount(volume, path, false)));
    let variable = |name, key| from_secret(name, names::POSTGRES, key);
    let asked = view.spec.resources.as_ref();
    Container {
        name: SERVER.into(),
        image: Some(view.config.shared.registry_image.clone()),
        image_pull_policy: Some(pull_policy(&view.config.shared.registry_image)),
        command: Some(vec!["/model-registry".into(), "catalog".into()]),
        args: Some(args),
        env: Some(vec![
            literal("PGHOST", names::POSTGRES),
            variable("PGDATABASE", names::DATABASE_NAME),
            variable("PGUSER", names::DATABASE_USER),
            variable("PGPASSWORD", names::DATABASE_PASSWORD),
        ]),
        ports: Some(vec![ContainerPort {
            container_port: PORT,
            name: Some(PORT_NAME.into()),
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(tcp_probe(
            PORT_NAME,
            Timing {
                delay: 30,
                period: 5,
                timeout: 2,
                failures: 3,
            },
        )),
        readiness_probe: Some(http_probe(
            "HTTP",
            "/readyz",
            PORT_NAME,
            Timing {
                delay: 3,
                period: 5,
                timeout: 2,
                failures: 3,
            },
        )),
        resources: Some(
            asked
                .and_then(|asked| asked.catalog.clone())
                .unwrap_or_else(usual_resources),
        ),
        security_context: Some(restricted_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}
