//! The objects that a server becomes. Pure: the same input gives the same objects.

mod routes;

use api::mlflow::v1::Egress;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::core::{DynamicObject, ObjectMeta};
use resources::certificates::authorities;
use resources::kind::{
    CERTIFICATE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, CRON_JOB, DEPLOYMENT,
    NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POD_DISRUPTION_BUDGET, SECRET, SERVICE,
    SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use resources::meta::{Pairs, namespaced, pairs};
use resources::{Kind, Plan, Planned};

use super::error::Error;
use super::observe::Certificate;
use super::validated::Validated;
use super::{chart, values};
use crate::migration;
use crate::migration::plan::Migration;
use crate::migration::state::Decision;
use crate::names::{APP, COMPONENT, INPUTS_BASELINE};

/// Kinds of objects that the chart renders.
pub(super) const CHARTED: [Kind; 11] = [
    SERVICE_ACCOUNT,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    SERVICE,
    CONFIG_MAP,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    DEPLOYMENT,
    CRON_JOB,
    SERVICE_MONITOR,
    CERTIFICATE,
];

/// The objects that should exist.
pub fn plan(server: &Validated) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    certificates(server, &mut plan)?;
    claim(server, &mut plan)?;
    let values = values::values(server)?;
    let decision = server.migration.decide();
    let migration = migration(server, &decision);
    for object in chart::render(&values, &server.namespace, server.platform)? {
        let known = CHARTED
            .into_iter()
            .find(|kind| kind.matches(object.api_version(), object.kind()));
        let kind = known.ok_or_else(|| {
            Error::Render(format!(
                "{} renders a {}, which is not known here",
                object.file,
                object.kind()
            ))
        })?;
        let unfit = |error: helm_render::Error| Error::Render(error.to_string());
        if kind == DEPLOYMENT {
            migration.add(&object.typed().map_err(unfit)?, &mut plan)?;
        }
        let typed = object.typed().map_err(unfit)?;
        match migration.meanwhile(kind, typed) {
            Some(typed) => plan.push(charted(server, kind, typed)?),
            None => plan.keep(kind, &server.namespace, object.name()),
        }
    }
    routes::routes(server, &mut plan)?;
    Ok(plan)
}

fn migration<'a>(server: &'a Validated, decision: &'a Decision) -> Migration<'a> {
    let spec = &server.spec;
    let policy = spec.network_policy.as_ref();
    Migration {
        seen: &server.migration,
        decision,
        instance: &server.instance,
        namespace: &server.namespace,
        owner: server.owner.as_ref(),
        ttl: spec.migration.ttl_seconds_after_finished,
        deadline: spec.migration.active_deadline_seconds,
        egress: migration::policy::Egress {
            all: policy.and_then(|policy| policy.egress) == Some(Egress::All),
            rules: &spec.network_policy_egress_rules,
            additional: &spec.network_policy_additional_egress_rules,
        },
    }
}

/// An object of the chart as ours.
fn charted(server: &Validated, kind: Kind, mut object: DynamicObject) -> Result<Planned, Error> {
    let owner = server.owner.as_ref();
    object.metadata.owner_references = owner.map(|owner| vec![owner.clone()]);
    if kind == DEPLOYMENT {
        let baseline = server.memory.baseline.as_deref();
        let remembered = pairs(baseline.map(|baseline| (INPUTS_BASELINE, baseline)));
        object.metadata.annotations = Some(remembered).filter(|pairs| !pairs.is_empty());
    }
    let planned = Planned::new(kind, &object)?;
    // The Go operator is not the controller of these.
    Ok(if matches!(kind, CLUSTER_ROLE | CLUSTER_ROLE_BINDING) {
        planned.identified_by([COMPONENT])
    } else {
        planned
    })
}

/// Labels of objects that are not of the chart.
pub(super) fn labels(server: &Validated) -> Pairs {
    pairs([(APP, server.names.own.as_str()), COMPONENT])
}

/// Metadata of an object that is not of the chart.
fn called(server: &Validated, name: &str) -> ObjectMeta {
    namespaced(
        name,
        &server.namespace,
        labels(server),
        server.owner.as_ref(),
    )
}

fn certificates(server: &Validated, plan: &mut Plan) -> Result<(), Error> {
    if let Certificate::Own {
        serving,
        precondition,
    } = &server.certificate
    {
        let secret = serving.secret(called(server, server.names.tls.as_str()));
        plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        let map = called(server, server.names.authorities.as_str());
        let map = authorities(map, &serving.bundle);
        plan.push(Planned::new(CONFIG_MAP, &map)?);
    }
    Ok(())
}

fn claim(server: &Validated, plan: &mut Plan) -> Result<(), Error> {
    let Some(claim) = &server.claim else {
        return Ok(());
    };
    let metadata = called(server, server.names.claim.as_str());
    let object = PersistentVolumeClaim {
        metadata: ObjectMeta {
            // Without an owner it outlives the resource.
            owner_references: metadata.owner_references.filter(|_| !claim.retain),
            ..metadata
        },
        spec: Some(claim.spec.clone()),
        status: None,
    };
    let planned = Planned::new(PERSISTENT_VOLUME_CLAIM, &object)?;
    let identity = [(APP, server.names.own.as_str()), COMPONENT];
    // One that somebody prepared serves as well.
    plan.push(planned.identified_by(identity).use_foreign());
    Ok(())
}
