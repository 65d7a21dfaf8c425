//! A pass of a component over a resource, in a cluster of documents.

use resources::Plan;
use runtime::component::{Attempt, Component, Note};
use runtime::inputs::Inputs as _;
use runtime::offline::OfflineInputs;
use runtime::outcome::{Outcome, Target};
use serde_json::Value;

use crate::recorded;

/// What a pass reads and plans before anything is written.
pub struct Pass<C: Component> {
    /// What the component reads from.
    pub inputs: OfflineInputs,
    /// What it read.
    pub seen: C::Observation,
    /// What it planned, or why it did not.
    pub plan: Result<Plan, C::Error>,
}

impl<C: Component> Pass<C> {
    /// Reads and plans. An error where it cannot read.
    pub fn over(
        component: &C,
        resource: &C::Resource,
        inputs: OfflineInputs,
    ) -> Result<Self, C::Error> {
        // Documents are there at once: nothing is ever waited for.
        let seen = futures::executor::block_on(component.observe(resource, &inputs))?;
        Ok(Self {
            plan: component.plan(resource, &seen),
            inputs,
            seen,
        })
    }

    /// What was made when all objects of the plan were written, none of which was there before.
    pub fn made(&self) -> Outcome {
        let objects = self.plan.iter().flat_map(Plan::objects);
        let created = objects.map(|object| Target {
            kind: object.kind,
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        });
        Outcome {
            created: created.collect(),
            ..Outcome::default()
        }
    }

    /// What the cluster makes of the planned objects when all goes well, as [`recorded::live`].
    pub fn live(&self) -> impl Iterator<Item = Value> {
        let objects = self.plan.iter().flat_map(Plan::objects);
        objects.flat_map(|object| recorded::live(object.kind, &object.body))
    }

    /// The pass, after writes that did this.
    pub fn attempt<'a>(&'a self, outcome: &'a Outcome) -> Attempt<'a, C> {
        Attempt {
            observation: Some(&self.seen),
            plan: self.plan.as_ref().ok(),
            failure: self.plan.as_ref().err(),
            outcome,
            paused: false,
            missing_rules: &[],
            now: self.inputs.now(),
        }
    }

    /// What is told where nothing was to be written.
    pub fn status(&self, component: &C, resource: &C::Resource) -> C::Status {
        let outcome = Outcome::default();
        component.status(resource, &self.attempt(&outcome), &self.inputs)
    }

    /// The events after writes that did this: type (`Normal`, `Warning`), reason and message of each.
    pub fn events(
        &self,
        component: &C,
        resource: &C::Resource,
        outcome: &Outcome,
    ) -> Vec<[String; 3]> {
        noted(component.events(resource, &self.attempt(outcome)))
    }
}

/// Type (`Normal`, `Warning`), reason and message of each event.
pub fn noted(notes: Vec<Note>) -> Vec<[String; 3]> {
    let event = |note: Note| {
        let type_ = if note.warning { "Warning" } else { "Normal" };
        [type_.to_owned(), note.reason.to_owned(), note.message]
    };
    notes.into_iter().map(event).collect()
}

/// The objects of a plan as they are sent.
pub fn bodies(plan: &Plan) -> Vec<Value> {
    plan.objects().iter().map(|o| o.body.clone()).collect()
}
