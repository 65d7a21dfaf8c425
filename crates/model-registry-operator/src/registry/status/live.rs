//! What is looked at in the cluster to judge a registry.

use kube::ResourceExt;
use resources::kind::{DEPLOYMENT, POD};
use resources::merge;
use runtime::inputs::Inputs;

use super::super::names;
use super::told::View;
use crate::workload::Live;

impl View<'_> {
    pub(super) fn live<I: Inputs>(&self, inputs: &I) -> Live {
        let name = self.resource.name_any();
        let namespace = self.resource.namespace();
        let postgres = format!("{name}{}", names::POSTGRES);
        let ports = self.validated.filter(|_| self.attempt.may_watch(POD));
        Live {
            changed: self.changes_pods(inputs),
            port: ports.map(|validated| validated.service_port().1.number()),
            ..Live::of(
                self.attempt,
                inputs,
                namespace.as_deref(),
                (&name, &postgres),
                self.told(),
            )
        }
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
