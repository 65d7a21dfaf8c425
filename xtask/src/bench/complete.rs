//! Everything switched on: admission and conversion, and the operator of the catalog beside.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use cluster::{Platform, eventually, tools};
use kube::api::{DynamicObject, ResourceExt as _};
use kube::core::GroupVersionKind;
use kube::{Api, discovery};

use super::count::Count;
use super::crowd::{Crowd, OPERATED, PLAIN, is_available};
use super::report::{Complete, Rest};
use super::scenario::{CATALOG, Process, Scenario, WITH_WEBHOOKS};
use crate::operator::{kind, kustomize};
use crate::steps::root;

/// How many registries there are at rest.
const REGISTRIES: usize = 50;

/// How long it is watched at rest.
const REST: Duration = Duration::from_mins(1);

/// How long a webhook or a catalog may take.
const LIMIT: Duration = Duration::from_mins(2);

/// Measures memory with one registry and, if `at_rest`, what 50 and a catalog ask for while
/// nothing changes.
pub(crate) async fn measure(platform: Platform, at_rest: bool, program: &Path) -> Result<Complete> {
    let scenario = Scenario::new(platform, WITH_WEBHOOKS, program).await?;
    let one = Crowd::new(OPERATED, 1);
    one.prepare(&scenario.client).await?;
    let mut process = scenario.start_and_settle().await?;
    eventually("an answer of the webhooks", LIMIT, || async {
        let tried = one.try_create(&scenario.client, 1).await;
        tried.map_err(|error| format!("{error:#}"))
    })
    .await?;
    let mark = scenario.cluster.audit_mark().await?;
    scenario.create(&mut process, &one).await?;
    scenario.settle(&mut process, mark).await?;
    let usage = process.usage()?;
    let rest = if at_rest {
        Some(rest(&scenario, &mut process).await?)
    } else {
        None
    };
    process.stop().await?;
    Ok(Complete {
        platform,
        usage,
        rest,
    })
}

/// Adds registries and a catalog, and watches both operators for a minute.
async fn rest(scenario: &Scenario, process: &mut Process) -> Result<Rest> {
    let catalog = scenario.beside(CATALOG).await?;
    let mut beside = catalog.start_and_settle().await?;
    let mark = scenario.cluster.audit_mark().await?;
    let more = Crowd::new(PLAIN, REGISTRIES - 1);
    more.prepare(&scenario.client).await?;
    scenario.create(process, &more).await?;
    make_catalog(scenario, &more.namespace()).await?;
    catalog.settle(&mut beside, mark).await?;
    scenario.settle(process, mark).await?;

    eprintln!("  at rest …");
    let mark = scenario.cluster.audit_mark().await?;
    tokio::time::sleep(REST).await;
    let mut log = scenario.requests(mark).await?;
    log.records.extend(catalog.requests(mark).await?.records);
    let rest = Rest {
        registries: REGISTRIES,
        requests: Count::of(&log.records),
        usage: process.usage()?,
        catalog: beside.usage()?,
    };
    beside.stop().await?;
    Ok(rest)
}

/// Applies the sample of a catalog and waits until it is available.
async fn make_catalog(scenario: &Scenario, namespace: &str) -> Result<()> {
    let folder = root().join("samples/model-registry/catalog");
    for object in kustomize(&tools::ensure()?.kubectl, &folder)? {
        cluster::apply(&scenario.client, namespace, &object).await?;
        if kind(&object) != "Catalog" {
            continue;
        }
        let types = object.types.as_ref().context("a sample has a type")?;
        let gvk = GroupVersionKind::try_from(types)?;
        let (resource, _) = discovery::pinned_kind(&scenario.client, &gvk).await?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(scenario.client.clone(), namespace, &resource);
        eventually("the catalog available", LIMIT, || async {
            let live = api.get(&object.name_any()).await;
            let live = live.map_err(|error| error.to_string())?;
            if is_available(&live) {
                Ok(())
            } else {
                Err(format!("{:?}", live.data.get("status")))
            }
        })
        .await?;
    }
    Ok(())
}
