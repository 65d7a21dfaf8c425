//! ConfigMaps with sources.

use k8s_openapi::api::core::v1::ConfigMap;
use resources::kind::CONFIG_MAP;
use resources::meta::pairs;
use resources::{Plan, PlanError, Planned, Precondition};

use super::View;
use super::metadata::{MADE_BY_US, own, planned, unowned};
use crate::catalog::names::{DEFAULT_SOURCES, OLD_DEFAULT_SOURCES, SOURCES_KEY, USER_SOURCES};
use crate::catalog::observe::OwnSources;
use crate::catalog::sources::{DEFAULT, empty};

pub(super) fn sources(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    let defaults = ConfigMap {
        metadata: own(view, DEFAULT_SOURCES),
        data: Some(pairs([(SOURCES_KEY, DEFAULT)])),
        ..ConfigMap::default()
    };
    plan.push(planned(CONFIG_MAP, &defaults)?);
    let created_by = [("app.kubernetes.io/created-by", "model-registry-operator")];
    plan.retire(CONFIG_MAP, view.namespace, OLD_DEFAULT_SOURCES, created_by);
    for ((name, list), own) in USER_SOURCES.iter().zip(&view.seen.own) {
        let (data, precondition) = match own {
            OwnSources::Given => {
                plan.keep(CONFIG_MAP, view.namespace, name);
                continue;
            }
            OwnSources::Missing => {
                let file = empty(list);
                let data = pairs([(SOURCES_KEY, file.as_str())]);
                (data, Precondition::Absent)
            }
            OwnSources::Old { data, precondition } => (data.clone(), precondition.clone()),
        };
        let map = ConfigMap {
            metadata: unowned(view, name),
            data: Some(data),
            ..ConfigMap::default()
        };
        plan.push(
            Planned::new(CONFIG_MAP, &map)?
                .identified_by(MADE_BY_US)
                .use_foreign()
                .only_if(precondition),
        );
    }
    Ok(())
}
