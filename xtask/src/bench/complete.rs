//! Everything switched on: admission and conversion, and what else an operator has to do with: the
//! catalog, or models.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cluster::{Platform, eventually, tools};
use kube::api::{ApiResource, DynamicObject, ResourceExt as _};
use kube::core::GroupVersionKind;
use kube::{Api, Client, discovery};
use serde_json::json;

use super::count::Count;
use super::crowd::{self, Crowd, OPERATED, PLAIN, is_available};
use super::report::{Complete, Rest};
use super::scenario::{CATALOG, Process, Programs, Scenario};
use super::subject::Subject;
use crate::operator::{kind, kustomize};
use crate::steps::root;

/// How many resources there are at rest.
const RESOURCES: usize = 50;

/// How long it is watched at rest.
const REST: Duration = Duration::from_mins(1);

/// How long a webhook, a catalog or models may take.
const LIMIT: Duration = Duration::from_mins(2);

/// Measures memory with one resource and, if `at_rest`, what 50 and what belongs to them ask for
/// while nothing changes.
pub(crate) async fn measure(
    platform: Platform,
    subject: Subject,
    at_rest: bool,
    programs: &Programs,
) -> Result<Complete> {
    let scenario = Scenario::new(platform, subject, subject.complete_variant(), programs).await?;
    let one = Crowd::new(subject, OPERATED, 1);
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
        subject,
        usage,
        rest,
    })
}

/// Adds resources and what belongs to them, and watches for a minute.
async fn rest(scenario: &Scenario, process: &mut Process) -> Result<Rest> {
    let more = Crowd::new(scenario.subject, PLAIN, RESOURCES - 1);
    more.prepare(&scenario.client).await?;
    let mark = scenario.cluster.audit_mark().await?;
    scenario.create(process, &more).await?;
    let mut catalog = None;
    match scenario.subject {
        Subject::Registries => {
            let beside = scenario.beside(CATALOG).await?;
            let mut process = beside.start_and_settle().await?;
            let namespace = more.namespace(1).unwrap_or_default();
            make_catalog(scenario, &namespace).await?;
            beside.settle(&mut process, mark).await?;
            catalog = Some((beside, process));
        }
        Subject::Services => {
            let one = Crowd::new(scenario.subject, OPERATED, 1);
            for crowd in [&one, &more] {
                wire_models(&scenario.client, crowd).await?;
            }
        }
        Subject::Mlflows => {}
    }
    scenario.settle(process, mark).await?;

    eprintln!("  at rest …");
    let mark = scenario.cluster.audit_mark().await?;
    tokio::time::sleep(REST).await;
    let mut log = scenario.requests(mark).await?;
    let mut usage = None;
    if let Some((beside, process)) = catalog {
        log.records.extend(beside.requests(mark).await?.records);
        usage = Some(process.usage()?);
        process.stop().await?;
    }
    Ok(Rest {
        resources: RESOURCES,
        requests: Count::of(&log.records),
        usage: process.usage()?,
        catalog: usage,
    })
}

/// Makes a model of KServe beside each service, and waits until it sends what it answers there.
async fn wire_models(client: &Client, crowd: &Crowd) -> Result<()> {
    let kind = GroupVersionKind::gvk("serving.kserve.io", "v1beta1", "InferenceService");
    let resource = &ApiResource::from_gvk(&kind);
    crowd
        .each(|number| async move {
            let namespace = crowd.namespace(number).unwrap_or_default();
            let model = json!({
                "apiVersion": resource.api_version, "kind": resource.kind,
                "metadata": {
                    "name": "model",
                    "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"},
                },
                "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
            });
            crowd::apply(client, &namespace, model).await?;
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &namespace, resource);
            eventually("a model wired", LIMIT, || async {
                let live = api.get("model").await.map_err(|error| error.to_string())?;
                let url = live.data.pointer("/spec/predictor/logger/url");
                url.map(drop)
                    .ok_or_else(|| format!("{namespace}: no logger"))
            })
            .await?;
            Ok(())
        })
        .await
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
