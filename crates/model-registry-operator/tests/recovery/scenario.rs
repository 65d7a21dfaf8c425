//! What users do in a run.

use std::time::{Duration, Instant};

use cluster::{conditions, eventually};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::{
    harness::{MODEL_REGISTRY, behind_proxy, postgres},
    stage::Stage,
    state::{History, State, differences, registries, state},
};

/// How long a cluster may take to come to rest, on a busy machine too.
const REST: Duration = Duration::from_mins(3);

/// A registry's life.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Start of its name.
    pub(crate) name: &'static str,
    /// Its first spec.
    pub(crate) spec: Value,
    /// Merged into the spec later.
    pub(crate) edit: Value,
}

/// Five shapes. The first two alone go through every kind of write.
pub(crate) fn shapes() -> Vec<Shape> {
    let mysql = json!({"rest": {}, "mysql": {"host": "db.example.test", "database": "registry", "username": "user",
        "passwordSecret": {"name": "db", "key": "password"}}});
    vec![
        Shape {
            name: "generated",
            spec: json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"generateDeployment": true}}),
            edit: json!({"kubeRBACProxy": null, "authentication": "None", "rest": {"port": 9000}}),
        },
        Shape {
            name: "plain",
            spec: json!({"authentication": "None", "rest": {}, "postgres": postgres()["postgres"]}),
            edit: json!({"authentication": null, "kubeRBACProxy": {"authorization": "ByMethod"}}),
        },
        Shape {
            name: "proxy",
            spec: behind_proxy(),
            edit: json!({"kubeRBACProxy": {"port": 9443}, "rest": {"image": "registry.example.test/server:2"}}),
        },
        Shape {
            name: "leaving",
            spec: json!({"rest": {}, "postgres": {"generateDeployment": true}}),
            edit: json!({"postgres": {"generateDeployment": null, "host": "db.example.test", "database": "registry",
                "username": "user", "passwordSecret": {"name": "db", "key": "password"}}}),
        },
        Shape {
            name: "mysql",
            spec: mysql,
            edit: json!({"mysql": {"port": 3307}, "operand": {"replicas": 2, "podDisruptionBudget": {"minAvailable": 1}}}),
        },
    ]
}

/// What users do in a step of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Create,
    Edit,
    Delete,
}

/// The steps of a run.
pub(crate) const STEPS: [Step; 3] = [Step::Create, Step::Edit, Step::Delete];

impl Step {
    /// Does it to all shapes at once.
    pub(crate) async fn take(self, stage: &Stage, shapes: &[Shape]) {
        for shape in shapes {
            let name = format!("{}-{}", shape.name, stage.token());
            match self {
                Self::Create => stage.world.registry(&name, shape.spec.clone()).await,
                Self::Edit => {
                    stage
                        .world
                        .edit(MODEL_REGISTRY, &name, json!({"spec": shape.edit}))
                        .await;
                }
                Self::Delete => {
                    stage
                        .world
                        .api(MODEL_REGISTRY)
                        .delete(&name, &DeleteParams::background())
                        .await
                        .expect("deleted");
                }
            }
        }
    }
}

/// Waits until every registry is Available in its newest generation and nothing changes any more.
pub(crate) async fn at_rest(stage: &Stage, history: History) -> State {
    let ends = Instant::now() + REST;
    let mut last = State::new();
    let mut same = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = state(stage, history).await;
        let changed = differences(&last, &now);
        same = if changed.is_empty() { same + 1 } else { 0 };
        last = now;
        let waiting = last
            .iter()
            .find(|(name, object)| name.starts_with("ModelRegistry ") && !is_available(object));
        if waiting.is_none() && same >= 5 {
            return last;
        }
        let status = waiting.map(|(name, object)| format!("{name}: {}", object["status"]));
        assert!(
            Instant::now() < ends,
            "no rest within {REST:?}; {status:?}; last change: {changed}"
        );
    }
}

fn is_available(registry: &Value) -> bool {
    let generation = &registry["status"]["observedGeneration"];
    conditions(registry).any(|c| {
        c["type"] == "Available" && c["status"] == "True" && c["observedGeneration"] == *generation
    })
}

/// Waits until the cluster is as it should be. What still differs in the end is the error.
pub(crate) async fn agrees(
    stage: &Stage,
    expected: &State,
    history: History,
) -> Result<(), String> {
    let told: State = expected
        .iter()
        .filter(|(name, _)| name.starts_with("ModelRegistry "))
        .map(|(n, o)| (n.clone(), o.clone()))
        .collect();
    eventually("the state of an undisturbed run", REST, || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let report = differences(&told, &registries(stage, history).await);
        if !report.is_empty() {
            return Err(report);
        }
        let report = differences(expected, &state(stage, history).await);
        if report.is_empty() {
            Ok(())
        } else {
            Err(report)
        }
    })
    .await
    .map_err(|error| error.to_string().chars().take(2000).collect())
}
