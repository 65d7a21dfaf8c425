//! What the platform is told, in the form of its modules. A pure function: with nothing changing it
//! says the same.

use api::mlflow::operator::{MLflowOperator, MLflowOperatorSpec, MLflowOperatorStatus};
use api::module::ModuleCondition;
use conditions::{
    ConditionType, READY, Reason, Status, Wanted, carry_over, condition_type, reason,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use runtime::component::{Attempt, Failure, Note};
use runtime::told::{PAUSED, RIGHTS_MISSING, UNAVAILABLE};

use super::{Module, release};

/// Ready is True.
pub const IS_READY: Reason = reason!("Ready");
/// The platform has not said everything yet.
pub const CONFIG_PENDING: Reason = reason!("ConfigPending");
/// The resource is being deleted, and MLflows are there still.
pub const INSTANCES_PRESENT: Reason = reason!("MLflowInstancesPresent");

/// True while something is wrong that does not keep MLflows from being looked after. Only there
/// then.
const DEGRADED: ConditionType = condition_type!("Degraded");

/// How a deletion goes on.
const HOW: &str = "delete them (kubectl get mlflows), then it goes by itself";

/// The status of `resource` after `attempt`, with so many MLflows in the cluster.
#[must_use]
pub fn status(
    resource: &MLflowOperator,
    attempt: &Attempt<'_, Module>,
    mlflows: usize,
    mlflow_version: &str,
) -> MLflowOperatorStatus {
    let previous = resource.status.clone().unwrap_or_default();
    if let Some(paused) = attempt.stopped("module") {
        return MLflowOperatorStatus {
            conditions: merged(resource, vec![paused], attempt.now, |_| true),
            ..previous
        };
    }
    let ready = ready(resource, mlflows);
    let phase = if ready.status == Status::True {
        "Ready"
    } else {
        "Progressing"
    };
    let mut wanted = vec![ready];
    wanted.extend(degraded(attempt));
    wanted.extend(attempt.rights_missing());
    let is_ours = |type_: &str| {
        let ours = [READY, DEGRADED, PAUSED, RIGHTS_MISSING];
        ours.iter().any(|one| one.as_str() == type_)
    };
    // What the platform said before stays until it says something that can be read.
    let platform = match attempt.observation {
        Some(seen) => seen.platform_version.as_deref(),
        None => release::told(&previous.releases),
    };
    MLflowOperatorStatus {
        phase: Some(phase.to_owned()),
        observed_generation: resource.metadata.generation,
        conditions: merged(resource, wanted, attempt.now, |type_| !is_ours(type_)),
        releases: release::releases(platform, mlflow_version),
    }
}

/// Whether MLflows are looked after.
fn ready(resource: &MLflowOperator, mlflows: usize) -> Wanted {
    let unready = |reason, message: String| Wanted::new(READY, Status::False, reason, message);
    if resource.metadata.deletion_timestamp.is_some() && mlflows > 0 {
        return unready(
            INSTANCES_PRESENT,
            format!(
                "cannot delete MLflowOperator while {mlflows} MLflow instance(s) still exist; {HOW}"
            ),
        );
    }
    let missing = missing(&resource.spec);
    if !missing.is_empty() {
        return unready(
            CONFIG_PENDING,
            format!(
                "Waiting for the platform to set {}; MLflows are left as they are until then",
                missing.join(", ")
            ),
        );
    }
    let message = "MLflowOperator is ready to manage MLflow custom resources";
    Wanted::new(READY, Status::True, IS_READY, message)
}

/// The fields that the platform has not set.
fn missing(spec: &MLflowOperatorSpec) -> Vec<&'static str> {
    let fields = [
        ("spec.gatewayName", &spec.gateway_name),
        ("spec.sectionTitle", &spec.section_title),
    ];
    let is_unset = |value: &Option<String>| {
        let text = value.as_deref().unwrap_or_default();
        text.trim().is_empty()
    };
    let unset = fields.into_iter().filter(|(_, value)| is_unset(value));
    unset.map(|(field, _)| field).collect()
}

fn degraded(attempt: &Attempt<'_, Module>) -> Option<Wanted> {
    let failure = attempt.failure?;
    let reason = Reason::parse(failure.reason()).unwrap_or(UNAVAILABLE);
    Some(Wanted::new(
        DEGRADED,
        Status::True,
        reason,
        failure.to_string(),
    ))
}

/// The conditions with those that are wanted, and of the others those of which `keeps` says so,
/// as somebody else may have written them.
fn merged(
    resource: &MLflowOperator,
    wanted: Vec<Wanted>,
    now: Timestamp,
    keeps: impl Fn(&str) -> bool,
) -> Vec<ModuleCondition> {
    let generation = resource.metadata.generation.unwrap_or_default();
    let wanted: Vec<Wanted> = wanted.into_iter().map(|w| w.observed(generation)).collect();
    let status = resource.status.as_ref();
    let previous = status
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let before: Vec<Condition> = previous
        .iter()
        .map(|one| one.to_condition(Time(now)))
        .collect();
    let written = carry_over(&before, &wanted, now, |_| false);
    let written = written.into_iter().map(|condition| {
        let harmless = condition.type_ != READY.as_str();
        ModuleCondition::told(condition, harmless)
    });
    let is_wanted = |type_: &str| wanted.iter().any(|wanted| wanted.type_.as_str() == type_);
    let kept = previous
        .iter()
        .filter(|one| !is_wanted(&one.type_) && keeps(&one.type_));
    written.chain(kept.cloned()).collect()
}

/// Warnings about `attempt`, and about a deletion that waits.
#[must_use]
pub fn events(resource: &MLflowOperator, attempt: &Attempt<'_, Module>) -> Vec<Note> {
    // While it is being deleted a pass ends here only if it stays.
    let waits = resource.metadata.deletion_timestamp.is_some();
    let waits = waits.then(|| Note {
        warning: true,
        reason: INSTANCES_PRESENT.as_str(),
        action: "Delete",
        message: format!("cannot delete MLflowOperator while MLflow instances still exist; {HOW}"),
    });
    let failure = attempt.failure.map(ToString::to_string);
    let mut notes = attempt.warning(failure, "Degraded");
    notes.extend(waits);
    notes
}

#[cfg(test)]
mod tests {
    use kube::Resource as _;
    use resources::Plan;
    use runtime::outcome::Outcome;
    use serde_json::{Value, json};

    use super::super::{Observation, error::Error};
    use super::*;

    fn module(spec: &Value, status: &Value) -> MLflowOperator {
        serde_json::from_value(
            json!({"apiVersion": "components.platform.opendatahub.io/v1alpha1",
            "kind": "MLflowOperator", "spec": spec, "status": status,
            "metadata": {"name": "default-mlflowoperator", "generation": 3}}),
        )
        .unwrap()
    }

    fn complete() -> Value {
        json!({"gatewayName": "data-science-gateway", "sectionTitle": "MLflow"})
    }

    /// The status after a pass that saw this.
    fn told(
        module: &MLflowOperator,
        seen: &Result<Option<&str>, Error>,
        paused: bool,
        mlflows: usize,
    ) -> Value {
        let (outcome, plan) = (Outcome::default(), Plan::default());
        let failure = seen.as_ref().err();
        let observation = seen.as_ref().ok().map(|version| Observation {
            platform_version: version.map(str::to_owned),
        });
        let attempt = Attempt {
            observation: observation.as_ref(),
            plan: Some(&plan),
            failure,
            outcome: &outcome,
            paused,
            missing_rules: &[],
            now: Timestamp::from_second(1_800_000_000).unwrap(),
        };
        serde_json::to_value(status(module, &attempt, mlflows, "3.14.0")).unwrap()
    }

    #[test]
    fn a_complete_module_is_ready_with_its_releases() {
        let status = told(
            &module(&complete(), &Value::Null),
            &Ok(Some("2.30.1")),
            false,
            2,
        );
        assert_eq!(
            status,
            json!({
                "phase": "Ready",
                "observedGeneration": 3,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 3,
                    "message": "MLflowOperator is ready to manage MLflow custom resources",
                    "lastTransitionTime": "2027-01-15T08:00:00Z",
                }],
                "releases": [
                    {"name": "platform", "version": "2.30.1"},
                    {"name": "MLflow", "version": "3.14.0",
                     "repoUrl": "https://github.com/mlflow/mlflow"},
                ],
            })
        );
    }

    #[test]
    fn what_the_platform_has_not_set_is_named() {
        for (spec, fields) in [
            (json!({}), "spec.gatewayName, spec.sectionTitle;"),
            (
                json!({"gatewayName": "g", "sectionTitle": " "}),
                "set spec.sectionTitle;",
            ),
            (
                json!({"sectionTitle": "s", "gateway": {"domain": "d"}}),
                "set spec.gatewayName;",
            ),
        ] {
            let status = told(&module(&spec, &Value::Null), &Ok(None), false, 0);
            assert_eq!(status["phase"], "Progressing");
            let ready = &status["conditions"][0];
            assert_eq!(ready["reason"], "ConfigPending");
            let message = ready["message"].as_str().unwrap();
            assert!(message.contains(fields), "{message}");
        }
    }

    #[test]
    fn a_deletion_waits_for_mlflows_only() {
        let mut module = module(&complete(), &Value::Null);
        module.meta_mut().deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let status = told(&module, &Ok(None), false, 2);
        assert_eq!(status["phase"], "Progressing");
        let ready = &status["conditions"][0];
        assert_eq!(ready["reason"], "MLflowInstancesPresent");
        let message = ready["message"].as_str().unwrap();
        let start = "cannot delete MLflowOperator while 2 MLflow instance(s) still exist";
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn what_others_wrote_stays_and_times_change_with_the_status_only() {
        let theirs = json!({"type": "Provisioned", "status": "True", "severity": "",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z"});
        let before = json!({"releases": [{"name": "platform", "version": "2.30.1"}], "conditions": [
            theirs, {"type": "Ready", "status": "True", "reason": "Ready", "message": "old",
                "lastTransitionTime": "2026-01-02T00:00:00Z"},
            {"type": "Degraded", "status": "True", "reason": "PlatformVersionInvalid"},
        ]});
        let module = module(&complete(), &before);
        let status = told(&module, &Ok(None), false, 0);
        assert_eq!(status["conditions"].as_array().unwrap().len(), 2);
        assert_eq!(
            status["conditions"][0]["lastTransitionTime"],
            "2026-01-02T00:00:00Z"
        );
        assert_eq!(status["conditions"][0]["observedGeneration"], 3);
        assert_eq!(status["conditions"][1], theirs);
        assert_eq!(
            status["releases"][0]["name"], "MLflow",
            "the platform says none any more"
        );
    }

    #[test]
    fn a_version_that_is_none_is_told_and_closes_no_gate() {
        let before = json!({"releases": [{"name": "platform", "version": "2.30.1"}]});
        let wrong = Error::PlatformVersion {
            namespace: "odh".into(),
            found: "latest".into(),
        };
        let status = told(&module(&complete(), &before), &Err(wrong), false, 0);
        assert_eq!(status["phase"], "Ready");
        assert_eq!(status["conditions"][0]["status"], "True");
        let degraded = &status["conditions"][1];
        assert_eq!(degraded["reason"], "PlatformVersionInvalid");
        assert!(degraded["message"].as_str().unwrap().contains("\"latest\""));
        assert_eq!(
            status["releases"][0]["version"], "2.30.1",
            "what it said before"
        );
    }

    #[test]
    fn a_paused_module_says_so_and_changes_nothing_else() {
        let before = json!({"phase": "Ready", "observedGeneration": 2, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Ready"}]});
        let status = told(&module(&json!({}), &before), &Ok(None), true, 0);
        assert_eq!(status["observedGeneration"], 2);
        assert_eq!(status["conditions"][0]["type"], "Paused");
        assert_eq!(status["conditions"][1]["status"], "True");
    }
}
