//! What the plan depends on that is not in the resource.

use std::collections::{BTreeMap, BTreeSet};

use api::aihub::v1alpha1::AIHub as Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ResourceRequirements;
use resources::kind::{CONFIG_MAP, DEPLOYMENT, NAMESPACE};
use resources::meta::{self, Pairs};
use runtime::inputs::{InputError, Inputs};

use super::{CATALOG, KINDS, TEMPLATE, names};
use runtime::workload::{self, Live, Workload};

/// What the plan depends on that is not in the resource.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The namespace of the operators.
    pub application: Home,
    /// The namespace of registries and the catalog.
    pub instances: Home,
    /// Objects that somebody keeps to themselves: kind, namespace or nothing, and name.
    pub left_alone: BTreeSet<(&'static str, String, String)>,
    /// The Deployments as they are, by name.
    pub live: BTreeMap<&'static str, LiveDeployment>,
    /// The cluster serves Catalogs.
    pub serves_catalogs: bool,
    /// The cluster serves Templates.
    pub serves_templates: bool,
    /// The hub's Catalog is there.
    pub has_catalog: bool,
    /// Version of the platform, where it says one.
    pub platform_version: Option<String>,
}

/// A namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// There is none of this name.
    #[default]
    Missing,
    /// Objects can be made in it.
    Live,
    /// It is being deleted.
    Leaving,
}

/// A Deployment as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveDeployment {
    /// The version that was looked at.
    pub version: Option<String>,
    /// Labels by which it selects pods: they cannot change.
    pub selector: Pairs,
    /// What the operator's container asks for, which people adjust.
    pub resources: Option<ResourceRequirements>,
    /// Whether it can be used, and how far it is.
    pub(crate) workload: Workload,
}

/// Reads what the plan of `resource` depends on.
pub async fn observe<I: Inputs>(
    resource: &Resource,
    inputs: &I,
) -> Result<Observation, InputError> {
    let (application, instances) = (
        resource.spec.application_namespace.as_str(),
        resource.spec.instances_namespace.as_str(),
    );
    let live = [names::REGISTRY_OPERATOR, names::CATALOG_OPERATOR]
        .into_iter()
        .filter_map(|name| {
            let deployment = inputs.child_as(DEPLOYMENT, Some(application), name)?;
            Some((name, live(deployment)))
        });
    Ok(Observation {
        application: home(application, inputs).await?,
        instances: home(instances, inputs).await?,
        left_alone: left_alone(inputs),
        live: live.collect(),
        serves_catalogs: inputs.capabilities().has(CATALOG),
        serves_templates: inputs.capabilities().has(TEMPLATE),
        has_catalog: inputs
            .child(CATALOG, Some(instances), crate::catalog::names::RESOURCE)
            .is_some(),
        platform_version: inputs
            .children(CONFIG_MAP)
            .iter()
            .filter(|map| meta::of(map).namespace.as_deref() == Some(application))
            .find_map(|map| {
                map.get("data")?
                    .get(names::PLATFORM_VERSION)?
                    .as_str()
                    .map(str::to_owned)
            }),
    })
}

async fn home<I: Inputs>(name: &str, inputs: &I) -> Result<Home, InputError> {
    let found = inputs.get(NAMESPACE, name).await?;
    Ok(found.map_or(Home::Missing, |namespace| {
        if meta::of(&namespace).deletion_timestamp.is_some() {
            Home::Leaving
        } else {
            Home::Live
        }
    }))
}

fn left_alone<I: Inputs>(inputs: &I) -> BTreeSet<(&'static str, String, String)> {
    let kinds = KINDS.iter().filter(|watched| watched.owned);
    let objects = kinds.flat_map(|watched| {
        let children = inputs.children(watched.kind).into_iter();
        children.map(move |object| (watched.kind.kind, meta::of(&object)))
    });
    objects
        .filter(|(_, meta)| {
            let annotations = meta.annotations.as_ref();
            let managed = annotations.and_then(|all| all.get(names::MANAGED));
            managed.is_some_and(|managed| managed == "false")
        })
        .map(|(kind, meta)| {
            let (namespace, name) = (meta.namespace, meta.name);
            (
                kind,
                namespace.unwrap_or_default(),
                name.unwrap_or_default(),
            )
        })
        .collect()
}

fn live(deployment: Deployment) -> LiveDeployment {
    // The hub follows no pods: a Deployment speaks for its own.
    let workload = workload::workload(&Live {
        deployment: Some(deployment.clone()),
        ..Live::default()
    });
    let spec = deployment.spec.unwrap_or_default();
    let pod = spec.template.spec.unwrap_or_default();
    let manager = pod
        .containers
        .into_iter()
        .find(|container| container.name == names::MANAGER);
    LiveDeployment {
        version: deployment.metadata.resource_version,
        selector: spec.selector.match_labels.unwrap_or_default(),
        resources: manager.and_then(|manager| manager.resources),
        workload,
    }
}
