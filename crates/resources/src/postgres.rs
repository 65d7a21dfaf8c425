//! A small Postgres with one volume, for trying things out and for small registries.

use std::collections::BTreeMap;

use api::common::Operand;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec, Secret, Service, ServicePort,
    ServiceSpec, Volume, VolumeResourceRequirements,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;

use crate::meta::{Pairs, annotated, namespaced};
use crate::names::{HostLabel, ObjectName, ServiceName};
use crate::network;
use crate::workload::{
    Timing, exec_probe, from_secret, literal, matching, mount, place, pull_policy, recreate,
    resources, restricted_container, restricted_pod,
};

/// Port of the server.
pub const PORT: i32 = 5432;
/// Group of the server in the image, which must be able to write to the volume.
pub const FS_GROUP: i64 = 26;

/// A small Postgres.
#[derive(Clone, Copy, Debug)]
pub struct Postgres<'a> {
    /// Name of Deployment, Service and NetworkPolicy.
    pub name: &'a ServiceName,
    /// Namespace.
    pub namespace: &'a HostLabel,
    /// Labels of all objects.
    pub labels: &'a Pairs,
    /// Labels of the pods, by which the Deployment selects them.
    pub pods: &'a Pairs,
    /// Labels by which the Service selects the pods.
    pub endpoints: &'a Pairs,
    /// Labels of the pods that may connect.
    pub clients: &'a Pairs,
    /// The resource.
    pub owner: Option<&'a OwnerReference>,
    /// The volume and the password outlive the resource.
    pub retain: bool,
    /// Name of the Secret.
    pub secret: &'a ObjectName,
    /// Its keys with the user and the password.
    pub keys: (&'a str, &'a str),
    /// Database that is made.
    pub database: &'a str,
    /// Image.
    pub image: &'a str,
    /// Name of the volume.
    pub volume: &'a ObjectName,
    /// Its size.
    pub size: &'a str,
    /// Its storage class, where it is chosen.
    pub storage_class: Option<&'a str>,
    /// Group of the volume's files, where the platform does not choose one.
    pub fs_group: Option<i64>,
    /// Annotations of the Deployment.
    pub annotations: &'a Pairs,
    /// Annotations of its pods.
    pub pod_annotations: &'a Pairs,
    /// Where its pods may run, and what their image is pulled with.
    pub operand: &'a Operand,
}

impl Postgres<'_> {
    fn meta(&self, name: &str) -> ObjectMeta {
        namespaced(
            name,
            self.namespace.as_str(),
            self.labels.clone(),
            self.owner,
        )
    }

    fn data_meta(&self, name: &str) -> ObjectMeta {
        let owner = self.owner.filter(|_| !self.retain);
        namespaced(name, self.namespace.as_str(), self.labels.clone(), owner)
    }

    /// The user and the password.
    #[must_use]
    pub fn secret(&self, data: BTreeMap<String, ByteString>) -> Secret {
        Secret {
            metadata: self.data_meta(self.secret.as_str()),
            data: Some(data),
            type_: Some("Opaque".into()),
            ..Secret::default()
        }
    }

    /// The volume.
    #[must_use]
    pub fn volume(&self) -> PersistentVolumeClaim {
        let size = BTreeMap::from([("storage".to_owned(), Quantity(self.size.to_owned()))]);
        PersistentVolumeClaim {
            metadata: self.data_meta(self.volume.as_str()),
            spec: Some(PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".into()]),
                resources: Some(VolumeResourceRequirements {
                    requests: Some(size),
                    ..VolumeResourceRequirements::default()
                }),
                storage_class_name: self.storage_class.map(str::to_owned),
                ..PersistentVolumeClaimSpec::default()
            }),
            status: None,
        }
    }

    /// The server. Two at a time would fight for the volume.
    #[must_use]
    pub fn deployment(&self) -> Deployment {
        let container = Container {
            name: "postgres".into(),
            image: Some(self.image.to_owned()),
            image_pull_policy: Some(pull_policy(self.image)),
            env: Some(vec![
                literal("POSTGRESQL_DATABASE", self.database),
                from_secret("POSTGRESQL_USER", self.secret.as_str(), self.keys.0),
                from_secret("POSTGRESQL_PASSWORD", self.secret.as_str(), self.keys.1),
            ]),
            ports: Some(vec![ContainerPort {
                container_port: PORT,
                ..ContainerPort::default()
            }]),
            liveness_probe: Some(exec_probe(
                &["/usr/libexec/check-container", "--live"],
                Timing {
                    delay: 30,
                    period: 10,
                    timeout: 5,
                    failures: 3,
                },
            )),
            readiness_probe: Some(exec_probe(
                &["/usr/libexec/check-container"],
                Timing {
                    delay: 5,
                    period: 10,
                    timeout: 5,
                    failures: 3,
                },
            )),
            resources: Some(resources(
                &[("cpu", "250m"), ("memory", "256Mi")],
                &[("cpu", "500m"), ("memory", "512Mi")],
            )),
            security_context: Some(restricted_container()),
            volume_mounts: Some(vec![mount(
                "postgres-storage",
                "/var/lib/pgsql/data",
                false,
            )]),
            ..Container::default()
        };
        let claim = PersistentVolumeClaimVolumeSource {
            claim_name: self.volume.to_string(),
            ..PersistentVolumeClaimVolumeSource::default()
        };
        let mut pod = PodSpec {
            containers: vec![container],
            security_context: Some(restricted_pod(self.fs_group)),
            volumes: Some(vec![Volume {
                name: "postgres-storage".into(),
                persistent_volume_claim: Some(claim),
                ..Volume::default()
            }]),
            ..PodSpec::default()
        };
        place(&mut pod, self.operand);
        let template_meta = ObjectMeta {
            labels: Some(self.pods.clone()),
            ..ObjectMeta::default()
        };
        Deployment {
            metadata: annotated(self.meta(self.name.as_str()), self.annotations.clone()),
            spec: Some(DeploymentSpec {
                replicas: Some(1),
                selector: matching(self.pods.clone()),
                strategy: Some(recreate()),
                template: PodTemplateSpec {
                    metadata: Some(annotated(template_meta, self.pod_annotations.clone())),
                    spec: Some(pod),
                },
                ..DeploymentSpec::default()
            }),
            status: None,
        }
    }

    /// Where clients find it.
    #[must_use]
    pub fn service(&self) -> Service {
        Service {
            metadata: self.meta(self.name.as_str()),
            spec: Some(ServiceSpec {
                ports: Some(vec![ServicePort {
                    port: PORT,
                    protocol: Some("TCP".into()),
                    ..ServicePort::default()
                }]),
                selector: Some(self.endpoints.clone()),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    /// Nobody else may connect.
    #[must_use]
    pub fn network_policy(&self) -> NetworkPolicy {
        let from = vec![network::pods(self.clients.clone())];
        network::ingress(self.meta(self.name.as_str()), self.pods.clone(), PORT, from)
    }
}
