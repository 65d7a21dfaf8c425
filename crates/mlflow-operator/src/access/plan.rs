//! The bindings of the platform's groups.

use api::mlflow::v1::MLflow;
use k8s_openapi::api::rbac::v1::Subject;
use resources::kind::ROLE_BINDING;
use resources::meta::{namespaced, owner, pairs};
use resources::rbac::{binding_of_cluster_role, group};
use resources::{Plan, Planned};
use serde_json::Value;

use super::error::Error;
use super::{Access, EDIT, Observation, VIEW};

/// Label of what this operator made outside of its own namespace.
pub const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "mlflow-operator");

impl Access {
    /// The ClusterRole that a binding of this name gives; `None` for another binding.
    fn role(&self, binding: &str) -> Option<String> {
        let role = match binding {
            VIEW => "mlflow-view",
            EDIT => "mlflow-edit",
            _ => return None,
        };
        Some(format!("{}{role}", self.role_prefix))
    }
}

/// Whether a binding gives the role that it should.
pub(super) fn is_current(live: &Value, access: &Access) -> bool {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str);
    let role = text("/metadata/name").and_then(|name| access.role(name));
    text("/roleRef/kind") == Some("ClusterRole") && text("/roleRef/name") == role.as_deref()
}

/// Two bindings in each namespace, where the platform says whom they are for.
pub fn plan(mlflow: &MLflow, seen: &Observation, access: &Access) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let Some(groups) = &seen.groups else {
        return Ok(plan);
    };
    let owner = owner(mlflow);
    for namespace in &seen.namespaces {
        for (name, members) in [(VIEW, groups.viewers()), (EDIT, groups.editors())] {
            let is_outdated = seen
                .outdated
                .iter()
                .any(|(place, outdated)| place == namespace && outdated == name);
            let Some(role) = access.role(name).filter(|_| !is_outdated) else {
                continue;
            };
            let subjects: Vec<Subject> = members.into_iter().map(group).collect();
            let metadata = namespaced(name, namespace, pairs([OURS]), owner.as_ref());
            let binding = binding_of_cluster_role(metadata, &role, subjects);
            plan.push(Planned::new(ROLE_BINDING, &binding)?.identified_by([OURS]));
        }
    }
    Ok(plan)
}
