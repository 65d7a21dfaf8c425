//! A service and what is around it, without a cluster.

use api::trustyai::v1::TrustyAIService;
use operator_harness::{Pass, environment};
use resources::kind::SERVICE_MONITOR;
use runtime::Capabilities;
use runtime::offline::{OfflineInputs, Platform, admission::admit};
use serde_json::Value;
use trustyai_operator::service::TrustyAi;
use trustyai_operator::service::config::Config;
use trustyai_operator::service::error::Error;

/// A uid that every service here has.
pub(crate) const UID: &str = "00000000-0000-4000-8000-000000000001";

/// A service on a platform with Prometheus.
pub(crate) struct World {
    pub(crate) component: TrustyAi,
    pub(crate) resource: TrustyAIService,
    capabilities: Capabilities,
}

/// The resource as it is stored, if its schema admits it.
fn service(resource: &Value) -> Result<TrustyAIService, Error> {
    let admitted = admit(&api::trustyai(), resource);
    let admitted = admitted.map_err(|refused| Error::Invalid(vec![refused.to_string()]));
    let mut admitted = admitted?.object;
    admitted["metadata"]["uid"] = UID.into();
    admitted["apiVersion"] = "trustyai.opendatahub.io/v1".into();
    Ok(serde_json::from_value(admitted).unwrap())
}

/// What `resource` becomes on a platform with Prometheus, where `documents` are there already.
pub(crate) fn work(platform: Platform, resource: &Value, documents: &[Value]) -> Pass<TrustyAi> {
    admitted(platform, resource, documents).unwrap()
}

/// [`work`]; an error where the schema refuses the resource.
pub(crate) fn admitted(
    platform: Platform,
    resource: &Value,
    documents: &[Value],
) -> Result<Pass<TrustyAi>, Error> {
    Ok(World::of(platform, resource)?.work(documents))
}

impl World {
    /// An error where the schema refuses the resource.
    pub(crate) fn of(platform: Platform, resource: &Value) -> Result<Self, Error> {
        // The image of the recorded installation.
        let component = TrustyAi::new(Config::from_lookup(environment(&[
            ("POD_NAMESPACE", "operator"),
            (
                "RELATED_IMAGE_ODH_TRUSTYAI_SERVICE_PY_IMAGE",
                "quay.io/opendatahub/trustyai-service:latest",
            ),
        ])));
        let capabilities = platform.capabilities(&component, &[]);
        Ok(Self {
            resource: service(resource)?,
            capabilities: capabilities.with([SERVICE_MONITOR]),
            component,
        })
    }

    fn inputs(&self, documents: &[Value]) -> OfflineInputs {
        let capabilities = self.capabilities.clone();
        let now = jiff::Timestamp::UNIX_EPOCH;
        OfflineInputs::new(
            &self.component,
            &self.resource,
            documents,
            capabilities,
            now,
        )
    }

    /// What the service becomes, where `documents` are there already.
    pub(crate) fn work(&self, documents: &[Value]) -> Pass<TrustyAi> {
        Pass::over(&self.component, &self.resource, self.inputs(documents)).unwrap()
    }
}
