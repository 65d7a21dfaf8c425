//! Whether the platform lets MLflows be looked after, as their status says it.

use api::mlflow::operator::MLflowOperator;
use api::module::ModuleCondition;
use conditions::{ConditionType, READY, Reason, Status, Wanted, condition_type, reason};

use super::status::{CONFIG_PENDING, INSTANCES_PRESENT, IS_READY};

/// On an MLflow: whether the platform's MLflowOperator is ready. Only there where the platform has
/// one.
pub const MODULE_READY: ConditionType = condition_type!("MLflowOperatorReady");

const MISSING: Reason = reason!("MLflowOperatorMissing");
const STALE: Reason = reason!("MLflowOperatorStatusStale");
const NOT_READY: Reason = reason!("MLflowOperatorNotReady");

/// What the platform's MLflowOperator means for an MLflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// [`MODULE_READY`], without a generation. Where it is not True nothing is written for the
    /// MLflow.
    pub condition: Wanted,
    /// Whether `Available` and `Progressing` stay as they were told: the server runs on while the
    /// MLflowOperator waits for its deletion, and while an edit of it (its deletion is one) has no
    /// answer yet, which takes a moment. They have the status and reason of the gate otherwise.
    pub keeps_available: bool,
}

impl Gate {
    /// Whether MLflows are looked after.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.condition.status == Status::True
    }

    /// What a closed gate makes of `Available` (False) or `Progressing` (True).
    #[must_use]
    pub fn closed(&self, type_: ConditionType, status: Status) -> Wanted {
        Wanted {
            type_,
            status,
            ..self.condition.clone()
        }
    }
}

/// The gate of a platform whose MLflowOperator is `module`.
#[must_use]
pub fn gate(module: Option<&MLflowOperator>) -> Gate {
    let closed = |reason, message: &str| told(Status::False, reason, message);
    let Some(module) = module else {
        return closed(
            MISSING,
            "Waiting for MLflowOperator custom resource to be created before reconciling MLflow \
             custom resources",
        );
    };
    let status = module.status.clone().unwrap_or_default();
    let observed = status.observed_generation.unwrap_or_default();
    if observed > 0 && observed < module.metadata.generation.unwrap_or_default() {
        let message = "Waiting for the status of MLflowOperator default-mlflowoperator to tell of \
                       its newest generation";
        return Gate {
            keeps_available: true,
            ..closed(STALE, message)
        };
    }
    let ready = |one: &&ModuleCondition| one.type_ == READY.as_str();
    let Some(ready) = status.conditions.iter().find(ready) else {
        return closed(
            NOT_READY,
            "Waiting for MLflowOperator default-mlflowoperator to have a condition Ready",
        );
    };
    let message = ready.message.as_deref().unwrap_or_default();
    if ready.status == "True" {
        return told(Status::True, IS_READY, message);
    }
    let known = [CONFIG_PENDING, INSTANCES_PRESENT];
    let said = ready.reason.as_deref();
    let reason = known.into_iter().find(|known| Some(known.as_str()) == said);
    let reason = reason.unwrap_or(NOT_READY);
    Gate {
        keeps_available: reason == INSTANCES_PRESENT,
        ..closed(
            reason,
            &format!("MLflowOperator default-mlflowoperator is not ready: {message}"),
        )
    }
}

fn told(status: Status, reason: Reason, message: &str) -> Gate {
    Gate {
        condition: Wanted::new(MODULE_READY, status, reason, message),
        keeps_available: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(generation: i64, status: &Value) -> Gate {
        let module = json!({"apiVersion": "components.platform.opendatahub.io/v1alpha1",
            "kind": "MLflowOperator", "spec": {}, "status": status,
            "metadata": {"name": "default-mlflowoperator", "generation": generation}});
        gate(Some(&serde_json::from_value(module).unwrap()))
    }

    fn ready(status: &str, reason: &str) -> Value {
        json!({"type": "Ready", "status": status, "reason": reason, "message": "why"})
    }

    fn reason(gate: &Gate) -> &str {
        gate.condition.reason.as_str()
    }

    #[test]
    fn a_platform_without_the_resource_keeps_mlflows_waiting() {
        let gate = gate(None);
        assert!(!gate.is_open() && !gate.keeps_available);
        assert_eq!(reason(&gate), "MLflowOperatorMissing");
        // As the Go operator was recorded to say it.
        let recorded = "Waiting for MLflowOperator custom resource to be created before reconciling \
                        MLflow custom resources";
        assert_eq!(gate.condition.message, recorded);
        let available = gate.closed(condition_type!("Available"), Status::False);
        assert_eq!(available.reason, gate.condition.reason);
        assert_eq!(available.message, gate.condition.message);
    }

    #[test]
    fn only_a_ready_module_of_the_newest_generation_opens_the_gate() {
        let open = with(
            2,
            &json!({"observedGeneration": 2, "conditions": [ready("True", "Ready")]}),
        );
        assert!(open.is_open());
        assert_eq!(reason(&open), "Ready");
        // Nobody said which generation it is.
        assert!(with(2, &json!({"conditions": [ready("True", "Ready")]})).is_open());

        let stale = with(
            2,
            &json!({"observedGeneration": 1, "conditions": [ready("True", "Ready")]}),
        );
        assert_eq!(reason(&stale), "MLflowOperatorStatusStale");
        assert!(
            !stale.is_open() && stale.keeps_available,
            "no blip with each edit"
        );
        let silent = with(2, &json!({}));
        assert_eq!(reason(&silent), "MLflowOperatorNotReady");
        let pending = with(1, &json!({"conditions": [ready("False", "ConfigPending")]}));
        assert_eq!(reason(&pending), "ConfigPending");
        assert!(pending.condition.message.ends_with("why"));
        let odd = with(
            1,
            &json!({"conditions": [ready("Unknown", "SaidByThePlatform")]}),
        );
        assert_eq!(reason(&odd), "MLflowOperatorNotReady");
        for closed in [silent, pending, odd] {
            assert!(!closed.is_open() && !closed.keeps_available);
        }
    }

    #[test]
    fn a_module_that_waits_for_its_deletion_leaves_servers_available() {
        let gate = with(
            1,
            &json!({"conditions": [ready("False", "MLflowInstancesPresent")]}),
        );
        assert!(!gate.is_open());
        assert!(gate.keeps_available);
    }
}
