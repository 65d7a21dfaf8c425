//! The authenticating proxy in front of the service.

use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapProjection, Container, ContainerPort, DownwardAPIProjection,
    DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, ProjectedVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use resources::kind::CONFIG_MAP;
use resources::meta::pairs;
use resources::proxy::{CONTAINER, ResourceAttributes, config_file};
use resources::workload::{
    Timing, config_map_volume, http_probe, mount, pull_policy, resources, restricted_container,
};
use resources::{Plan, PlanError, Planned};

use super::metadata::labelled;
use crate::service::validated::Validated;

/// Key of the ConfigMap with the configuration.
const CONFIG_KEY: &str = "config.yaml";
/// Volume with the configuration, and where it is mounted.
const CONFIG: (&str, &str) = ("kube-rbac-proxy-config", "/etc/kube-rbac-proxy");
/// Where the certificate is mounted.
const CERTIFICATE: &str = "/etc/tls/private";
/// Volume with the token of the ServiceAccount, and where clients look for it.
const TOKEN: (&str, &str) = (
    "kube-api-access",
    "/var/run/secrets/kubernetes.io/serviceaccount",
);
/// Port that the proxy listens on, with TLS.
pub(super) const PORT: i32 = 8443;
/// Port of the proxy's own health endpoint.
const HEALTH_PORT: i32 = 9443;
/// Port of the service behind it, on the loopback address.
const UPSTREAM: i32 = 8081;
/// What FIPS 140 allows of what TLS 1.2 has, with forward secrecy. TLS 1.3 has its own.
const CIPHERS: [&str; 4] = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
];

/// Whoever may get the Service may use it.
pub(super) fn configuration(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let name = service.names.proxy_config.as_str();
    let attributes = ResourceAttributes {
        api_version: "v1",
        resource: "services",
        subresource: None,
        verb: Some("get"),
        namespace: service.namespace.as_str(),
        name: service.names.as_str(),
    };
    let file = config_file(attributes).map_err(|error| PlanError::Content {
        kind: CONFIG_MAP.kind,
        name: name.to_owned(),
        message: error.to_string(),
    })?;
    let label = ("app.kubernetes.io/component", CONTAINER);
    let map = ConfigMap {
        metadata: labelled(service, name, [label]),
        data: Some(pairs([(CONFIG_KEY, file.as_str())])),
        ..ConfigMap::default()
    };
    plan.push(Planned::new(CONFIG_MAP, &map)?);
    Ok(())
}

/// The container. TLS is set by flags: the proxy reads nothing of it from its configuration.
pub(super) fn container(service: &Validated) -> Container {
    let image = &service.settings.proxy_image;
    let port = |number: i32, name: &str| ContainerPort {
        container_port: number,
        name: Some(name.to_owned()),
        ..ContainerPort::default()
    };
    let health = |delay, period| {
        let timing = Timing {
            delay,
            period,
            timeout: 1,
            failures: 3,
        };
        let mut probe = http_probe("HTTPS", "/healthz", "proxy-healthz", timing);
        if let Some(action) = &mut probe.http_get {
            action.port =
                k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(HEALTH_PORT);
        }
        Some(probe)
    };
    let mut mounts = vec![
        mount(service.names.tls.as_str(), CERTIFICATE, true),
        mount(CONFIG.0, CONFIG.1, true),
        mount(TOKEN.0, TOKEN.1, true),
    ];
    mounts.extend(super::deployment::trusted_ca_mount(service));
    Container {
        name: CONTAINER.into(),
        image: Some(image.clone()),
        image_pull_policy: Some(pull_policy(image)),
        args: Some(vec![
            format!("--secure-listen-address=0.0.0.0:{PORT}"),
            format!("--upstream=http://127.0.0.1:{UPSTREAM}/"),
            format!("--config-file={}/{CONFIG_KEY}", CONFIG.1),
            format!("--tls-cert-file={CERTIFICATE}/tls.crt"),
            format!("--tls-private-key-file={CERTIFICATE}/tls.key"),
            "--tls-min-version=VersionTLS12".to_owned(),
            format!("--tls-cipher-suites={}", CIPHERS.join(",")),
            format!("--proxy-endpoints-port={HEALTH_PORT}"),
            "--v=0".to_owned(),
        ]),
        ports: Some(vec![
            port(PORT, "https"),
            port(HEALTH_PORT, "proxy-healthz"),
        ]),
        liveness_probe: health(30, 10),
        readiness_probe: health(5, 5),
        resources: Some(resources(
            &[("cpu", "50m"), ("memory", "32Mi")],
            &[("cpu", "100m"), ("memory", "64Mi")],
        )),
        security_context: Some(restricted_container()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The volumes that only the proxy mounts, but for its certificate.
pub(super) fn volumes(service: &Validated) -> Vec<Volume> {
    vec![
        config_map_volume(CONFIG.0, service.names.proxy_config.as_str(), None),
        token_volume(),
    ]
}

/// What the kubelet would mount into every container. The service itself asks the API server for
/// nothing.
fn token_volume() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".into(),
            expiration_seconds: Some(3607),
            ..ServiceAccountTokenProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".into(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".into(),
                path: "ca.crt".into(),
                mode: None,
            }]),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".into(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: "metadata.namespace".into(),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: TOKEN.0.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![token, authority, namespace]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}
