//! What is looked at in the cluster to judge a workload.

use crate::component::{Attempt, Component};
use crate::inputs::Inputs;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use resources::kind::{DEPLOYMENT, ENDPOINT_SLICE, POD};
use resources::merge;
use serde_json::Value;

use super::{Live, STARTING};

impl Live {
    /// What there is of Deployment and Service `name`, and of Deployment `postgres`, if there is one
    /// that it waits for. `told` is the condition [`AVAILABLE`](super::AVAILABLE) so far.
    pub fn of<C: Component, I: Inputs>(
        attempt: &Attempt<'_, C>,
        inputs: &I,
        namespace: Option<&str>,
        (name, postgres): (&str, Option<&str>),
        told: Option<&Condition>,
    ) -> Self {
        let deployment = |name| inputs.child_as::<Deployment>(DEPLOYMENT, namespace, name);
        // Both kinds of pods carry `app` and `component` of the resource: this label tells them apart.
        let (pods, others) = inputs
            .children_as::<Pod>(POD)
            .into_iter()
            .partition(|pod| labelled(pod, "app.kubernetes.io/name", name));
        let mut postgres_pods: Vec<Pod> = others;
        postgres_pods.retain(|pod| {
            postgres.is_some_and(|name| labelled(pod, "app.kubernetes.io/name", name))
        });
        let slices = attempt.may_watch(ENDPOINT_SLICE).then(|| {
            let mut slices = inputs.children_as::<EndpointSlice>(ENDPOINT_SLICE);
            slices.retain(|slice| labelled(slice, "kubernetes.io/service-name", name));
            slices
        });
        Self {
            deployment: deployment(name),
            pods,
            postgres_pods,
            postgres: postgres.and_then(deployment),
            slices,
            changed: changes_pods(attempt, inputs, namespace, name),
            port: None,
            was_starting: told
                .is_none_or(|told| told.status == "False" && told.message.ends_with(STARTING)),
        }
    }
}

/// Whether this pass has written another pod template than the one that is known.
fn changes_pods<C: Component, I: Inputs>(
    attempt: &Attempt<'_, C>,
    inputs: &I,
    namespace: Option<&str>,
    name: &str,
) -> bool {
    let mut updated = attempt.outcome.updated.iter();
    if !updated.any(|target| target.kind == DEPLOYMENT && target.name == name) {
        return false;
    }
    let template = |object: &Value| object.pointer("/spec/template").cloned();
    let known = inputs.child(DEPLOYMENT, namespace, name);
    let planned = attempt.plan.and_then(|plan| plan.get(DEPLOYMENT, name));
    let (Some(known), Some(planned)) = (
        known.as_ref().and_then(template),
        planned.and_then(|planned| template(&planned.body)),
    ) else {
        return false;
    };
    !merge::contains(&known, &planned)
}

fn labelled(object: &impl ResourceExt, key: &str, value: &str) -> bool {
    object.labels().get(key).is_some_and(|found| found == value)
}
