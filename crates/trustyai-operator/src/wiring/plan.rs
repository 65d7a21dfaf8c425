//! What the wiring adds to a plan.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::{DynamicObject, ObjectMeta};
use resources::kind::{CONFIG_MAP, DESTINATION_RULE};
use resources::meta::{annotated, pairs};
use resources::{Kind, Plan, PlanError, Planned};
use serde_json::{Value, json};

use super::logger::Step;
use super::mode::Trust;
use super::sink::Sink;
use super::{Authority, ServerStep, ServingConfig, Wiring, serving_config};

/// Key that OpenShift's service CA writes.
pub(super) const SERVICE_CA_KEY: &str = "service-ca.crt";
/// Annotation of a ConfigMap that asks for it.
const INJECT: &str = "service.beta.openshift.io/inject-cabundle";

impl Wiring {
    /// Adds shares, edits and objects. `own` is the metadata of an object of the service, by name.
    pub fn plan(&self, own: impl Fn(&str) -> ObjectMeta, plan: &mut Plan) -> Result<(), PlanError> {
        for model in &self.models {
            match &model.step {
                Step::Share(share) => plan.share(share.clone()),
                Step::Wire(edit) | Step::Unwire(edit) => plan.edit(edit.clone()),
                Step::Wired | Step::Foreign(_) | Step::Nothing | Step::Later => {}
            }
        }
        for server in &self.servers {
            match &server.step {
                ServerStep::Wire(edit) | ServerStep::Unwire(edit) => plan.edit(edit.clone()),
                ServerStep::Wired
                | ServerStep::Later
                | ServerStep::Unfit(_)
                | ServerStep::Nothing => {}
            }
        }
        match &self.config {
            Some(ServingConfig::Make) => plan.push(serving_config::made(&self.asked.sink)?),
            Some(ServingConfig::Wire(edit) | ServingConfig::Unwire(edit)) => {
                plan.edit(edit.clone());
            }
            Some(ServingConfig::Wired | ServingConfig::Later | ServingConfig::Unfit(_)) | None => {}
        }
        if let Some(bundle) = self.bundle(&own) {
            plan.push(Planned::new(CONFIG_MAP, &bundle)?.use_foreign());
        }
        if self.wired().any(|(model, _)| model.in_mesh) {
            for kind in &self.mesh {
                plan.push(Planned::new(*kind, &mesh(*kind, &self.asked.sink, &own))?);
            }
        }
        Ok(())
    }

    /// The authorities by which loggers verify the service, where KServe looks for them.
    fn bundle(&self, own: impl Fn(&str) -> ObjectMeta) -> Option<ConfigMap> {
        let trust = &self.trust;
        let is_needed = self.wired().any(|(_, tls)| tls);
        if !is_needed || trust.ca_bundle.is_empty() || trust.tls_skip_verify {
            return None;
        }
        let metadata = own(&trust.ca_bundle);
        Some(match &self.asked.authority {
            Authority::ServiceCa => ConfigMap {
                metadata: annotated(metadata, pairs([(INJECT, "true")])),
                ..ConfigMap::default()
            },
            Authority::Own(certificates) => ConfigMap {
                metadata,
                data: Some(BTreeMap::from([(
                    trust.file().to_owned(),
                    certificates.clone(),
                )])),
                ..ConfigMap::default()
            },
            Authority::Unknown => return None,
        })
    }
}

impl Trust {
    /// The key that is read.
    pub(super) fn file(&self) -> &str {
        if self.ca_cert_file.is_empty() {
            SERVICE_CA_KEY
        } else {
            &self.ca_cert_file
        }
    }
}

/// The DestinationRule or VirtualService by which clients in a mesh that send to port 80 are led to
/// 443, with TLS that the mesh begins.
fn mesh(kind: Kind, sink: &Sink, own: impl Fn(&str) -> ObjectMeta) -> DynamicObject {
    let host = sink.host();
    let (end, spec): (_, Value) = if kind == DESTINATION_RULE {
        let tls = json!({"port": {"number": 443}, "tls": {"mode": "SIMPLE"}});
        let policy = json!({"portLevelSettings": [tls]});
        ("internal", json!({"host": host, "trafficPolicy": policy}))
    } else {
        let route = json!({"destination": {"host": host, "port": {"number": 443}}});
        let http = json!({"match": [{"port": 80}], "route": [route]});
        ("redirect", json!({"hosts": [host], "http": [http]}))
    };
    DynamicObject {
        types: None,
        metadata: own(&format!("{}-{end}", sink.name)),
        data: json!({"spec": spec}),
    }
}
