//! Addresses that models send to.

use api::trustyai::v1::TrustyAIService;
use kube::ResourceExt;

/// The path that takes what ModelMesh sends.
const CONSUMER: &str = "/consumer/kserve/v2";

/// A service as models see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Name of the service, and of its Service.
    pub name: String,
    /// Namespace of both, and of the models.
    pub namespace: String,
}

impl Sink {
    /// The service of a resource.
    #[must_use]
    pub fn of(resource: &TrustyAIService) -> Self {
        Self {
            name: resource.name_any(),
            namespace: resource.namespace().unwrap_or_default(),
        }
    }

    /// Full name of the service's host.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// What a logger of KServe sends to. It posts to the root; clients compare the whole text.
    #[must_use]
    pub fn logger(&self, tls: bool) -> String {
        let scheme = if tls { "https" } else { "http" };
        format!("{scheme}://{}", self.host())
    }

    /// Whether a logger sends to this service, in one way or the other.
    #[must_use]
    pub fn is_logger(&self, url: &str) -> bool {
        [true, false].iter().any(|tls| self.logger(*tls) == url)
    }

    /// Payload processor in the environment of ModelMesh: this host is in the certificate of
    /// service-ca.
    #[must_use]
    pub fn processor(&self) -> String {
        format!("https://{}.{}.svc{CONSUMER}", self.name, self.namespace)
    }

    /// Payload processor in ModelMesh's ConfigMap. Plain: what the ConfigMap sets comes without a
    /// certificate's authority.
    #[must_use]
    pub fn plain_processor(&self) -> String {
        format!("http://{}{CONSUMER}", self.host())
    }

    /// Secret with the service's certificate, and the volume that it is mounted by.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("{}-internal", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_go_operator() {
        let sink = Sink {
            name: "trustyai-service".into(),
            namespace: "ns".into(),
        };
        assert_eq!(
            sink.logger(true),
            "https://trustyai-service.ns.svc.cluster.local"
        );
        assert_eq!(
            sink.logger(false),
            "http://trustyai-service.ns.svc.cluster.local"
        );
        assert_eq!(
            sink.processor(),
            "https://trustyai-service.ns.svc/consumer/kserve/v2"
        );
        assert_eq!(
            sink.plain_processor(),
            "http://trustyai-service.ns.svc.cluster.local/consumer/kserve/v2"
        );
        assert!(sink.is_logger("http://trustyai-service.ns.svc.cluster.local"));
        assert!(!sink.is_logger("http://trustyai-service.ns.svc.cluster.local/"));
    }
}
