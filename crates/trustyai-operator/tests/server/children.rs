//! What the operator made for a service.

use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use operator_harness::edits::{Children, child};
use resources::{Kind, Scope};
use runtime::component::Component;
use trustyai_operator::service::TrustyAi;
use trustyai_operator::service::config::Config;

use crate::harness::World;

/// Everything that the operator made for a service, of every kind that it says it may make.
pub(crate) async fn children(world: &World, name: &str) -> Vec<(Kind, DynamicObject)> {
    let component = TrustyAi::new(Config::from_lookup(|_| None));
    let labels = format!("app.kubernetes.io/part-of=trustyai,app.kubernetes.io/instance={name}");
    let ours = ListParams::default().labels(&labels);
    let mut found = Vec::new();
    for watched in component.kinds().iter().filter(|watched| watched.owned) {
        let kind = watched.kind;
        match world.api(kind).list(&ours).await {
            Ok(list) => found.extend(list.into_iter().map(|object| (kind, object))),
            Err(kube::Error::Api(status)) if watched.optional && status.code == 404 => {}
            Err(error) => panic!("{kind}: {error}"),
        }
    }
    found.retain(|(kind, object)| {
        let of = object.labels().get("trustyai.opendatahub.io/namespace");
        kind.scope == Scope::Namespaced || of == Some(&world.namespace)
    });
    found
}

/// [`children`], in a form that can be compared.
pub(crate) async fn compared(world: &World, name: &str) -> Children {
    let all = children(world, name).await;
    let all = all.iter().map(|(kind, object)| child(*kind, object, name));
    all.collect()
}
