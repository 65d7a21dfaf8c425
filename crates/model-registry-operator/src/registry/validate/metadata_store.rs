//! `spec.grpc`, where it names a server.

use api::modelregistry::v1beta1::ModelRegistrySpec;
use k8s_openapi::api::core::v1::ResourceRequirements;
use resources::proxy::HEALTH_PORT;

use super::{MetadataStore, Problem, Reader};
use crate::registry::defaults::runs_metadata_store;
use crate::registry::values::{Image, Port};

impl Reader {
    /// `None` in the outer option when something is wrong.
    #[allow(
        clippy::option_option,
        reason = "one for something wrong, one for nothing there"
    )]
    pub(super) fn metadata_store(
        &mut self,
        spec: &ModelRegistrySpec,
    ) -> Option<Option<MetadataStore>> {
        let Some(grpc) = spec.grpc.as_ref().filter(|grpc| runs_metadata_store(grpc)) else {
            return Some(None);
        };
        let port = self.value("spec.grpc.port", Port::parse(grpc.port));
        let image = grpc.image.as_deref().unwrap_or_default();
        let image = self.value("spec.grpc.image", Image::parse(image));
        let proxy = spec.kube_rbac_proxy.as_ref();
        for (taken, other) in [
            (grpc.port == spec.rest.port, "spec.rest.port"),
            (
                proxy.is_some_and(|proxy| proxy.port == grpc.port),
                "spec.kubeRBACProxy.port",
            ),
            (
                proxy.is_some() && grpc.port == HEALTH_PORT,
                "the proxy's health endpoint",
            ),
        ] {
            if taken {
                self.problems.push(Problem::PortTaken {
                    field: "spec.grpc.port",
                    port: grpc.port,
                    other,
                });
            }
        }
        Some(Some(MetadataStore {
            port: port?,
            image: image?,
            resources: ResourceRequirements {
                claims: None,
                ..grpc.resources.clone().unwrap_or_default()
            },
        }))
    }
}
