//! What is looked at in the cluster to judge a registry.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use resources::kind::{DEPLOYMENT, ENDPOINT_SLICE, POD};
use resources::{Kind, merge};
use runtime::inputs::Inputs;

use super::super::names;
use super::told::View;
use super::workload::{Live, STARTING};

impl View<'_> {
    pub(super) fn live<I: Inputs>(&self, inputs: &I) -> Live {
        let name = self.resource.name_any();
        let namespace = self.resource.namespace();
        let postgres = format!("{name}{}", names::POSTGRES);
        // Both kinds of pods carry `app` and `component` of the registry: this label tells them apart.
        let labelled = |labels: &BTreeMap<String, String>, key: &str, value: &str| {
            labels.get(key).is_some_and(|found| found == value)
        };
        let (mut pods, mut postgres_pods) = (Vec::new(), Vec::new());
        for pod in inputs.children_as::<Pod>(POD) {
            if labelled(pod.labels(), "app.kubernetes.io/name", &name) {
                pods.push(pod);
            } else if labelled(pod.labels(), "app.kubernetes.io/name", &postgres) {
                postgres_pods.push(pod);
            }
        }
        let slices = self.may_watch(ENDPOINT_SLICE).then(|| {
            let mut slices = inputs.children_as::<EndpointSlice>(ENDPOINT_SLICE);
            slices.retain(|slice| labelled(slice.labels(), "kubernetes.io/service-name", &name));
            slices
        });
        let told = self.told();
        let ports = self.validated.filter(|_| self.may_watch(POD));
        Live {
            deployment: inputs.child_as::<Deployment>(DEPLOYMENT, namespace.as_deref(), &name),
            pods,
            postgres_pods,
            postgres: inputs.child_as::<Deployment>(DEPLOYMENT, namespace.as_deref(), &postgres),
            slices,
            changed: self.changes_pods(inputs),
            port: ports.map(|validated| validated.service_port().1.number()),
            was_starting: told
                .is_none_or(|told| told.status == "False" && told.message == STARTING),
        }
    }

    pub(super) fn may_watch(&self, kind: Kind) -> bool {
        let resource = kind.resource();
        !self.attempt.missing_rules.iter().any(|rule| {
            rule.split_once(' ')
                .is_some_and(|(verb, on)| on == resource && matches!(verb, "list" | "watch"))
        })
    }

    /// Whether this pass has written another pod template than the one that is known.
    fn changes_pods<I: Inputs>(&self, inputs: &I) -> bool {
        let name = self.resource.name_any();
        let template = |object: &serde_json::Value| object.pointer("/spec/template").cloned();
        let written = self
            .attempt
            .outcome
            .updated
            .iter()
            .any(|t| t.kind == DEPLOYMENT && t.name == name);
        let known = inputs.child(DEPLOYMENT, self.resource.namespace().as_deref(), &name);
        let planned = self
            .attempt
            .plan
            .and_then(|plan| plan.get(DEPLOYMENT, &name));
        let (Some(known), Some(planned)) = (
            known.as_ref().and_then(template),
            planned.and_then(|planned| template(&planned.body)),
        ) else {
            return false;
        };
        written && !merge::contains(&known, &planned)
    }
}
