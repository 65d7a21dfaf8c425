//! What is looked at in the cluster to judge a registry.

use kube::ResourceExt;
use resources::kind::POD;
use runtime::inputs::Inputs;

use super::super::names;
use super::told::View;
use runtime::workload::Live;

impl View<'_> {
    pub(super) fn live<I: Inputs>(&self, inputs: &I) -> Live {
        let name = self.resource.name_any();
        let namespace = self.resource.namespace();
        let postgres = format!("{name}{}", names::POSTGRES);
        let ports = self.validated.filter(|_| self.attempt.may_watch(POD));
        Live {
            port: ports.map(|validated| validated.service_port().1.number()),
            ..Live::of(
                self.attempt,
                inputs,
                namespace.as_deref(),
                (&name, Some(&postgres)),
                self.told(),
            )
        }
    }
}
