//! What a migration adds to the plan of a server, and what it holds back.

use api::mlflow::v1::FORCE_MIGRATE;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::DynamicObject;
use resources::kind::{CRON_JOB, DEPLOYMENT, JOB, NETWORK_POLICY};
use resources::{Change, Edit, Kind, Plan, PlanError, Planned, Precondition};
use serde_json::{Value, json};

use super::job::{self, NoServer, Order};
use super::names::INSTANCE;
use super::policy::{Egress, name, policy};
use super::state::{Action, Decision, Observed, Phase};
use crate::kinds::MLFLOW;

/// The migration of a server that is planned.
#[derive(Clone, Copy, Debug)]
pub struct Migration<'a> {
    /// What is seen.
    pub seen: &'a Observed,
    /// What to do.
    pub decision: &'a Decision,
    /// Name of the resource.
    pub instance: &'a str,
    /// Namespace of its objects.
    pub namespace: &'a str,
    /// The resource as owner of its objects; `None` where it is in no cluster.
    pub owner: Option<&'a OwnerReference>,
    /// Seconds that a finished Job stays.
    pub ttl: Option<i32>,
    /// Seconds after which a Job is ended.
    pub deadline: Option<i64>,
    /// What the resource says of connections that its pods make.
    pub egress: Egress<'a>,
}

/// What a migration needs cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Job can be made of the Deployment.
    #[error(transparent)]
    Server(#[from] NoServer),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Migration<'_> {
    /// `object` of the chart as it is to be now; `None` while it is to stay as it is in the cluster.
    /// What else opens the database waits like the server.
    #[must_use]
    pub fn meanwhile(&self, kind: Kind, mut object: DynamicObject) -> Option<DynamicObject> {
        let (pointer, value) = match kind {
            DEPLOYMENT => ("/spec/replicas", json!(0)),
            CRON_JOB => ("/spec/suspend", json!(true)),
            _ => return Some(object),
        };
        match self.decision.server {
            Action::Hold => None,
            Action::Run => Some(object),
            Action::Stop => {
                let spec = object
                    .data
                    .pointer_mut("/spec")
                    .and_then(Value::as_object_mut);
                let field = pointer.trim_start_matches("/spec/");
                spec?.insert(field.to_owned(), value);
                Some(object)
            }
        }
    }

    /// Adds Jobs and their NetworkPolicy. `deployment` is the server's as the chart renders it.
    pub fn add(&self, deployment: &Deployment, plan: &mut Plan) -> Result<(), Error> {
        let Observed {
            deployment: server, ..
        } = self.seen;
        let policy = policy(
            self.instance,
            server,
            self.namespace,
            self.owner,
            &self.egress,
        );
        plan.push(Planned::new(NETWORK_POLICY, &policy)?);
        if let Some(role) = self.decision.create {
            let order = Order {
                name: &self.seen.job_name(role),
                role,
                instance: self.instance,
                owner: self.owner,
                version: &self.seen.supported,
                forced_by: self.seen.force.as_deref(),
                ttl: self.ttl,
                deadline: self.deadline,
            };
            let job = Planned::new(JOB, &job::job(deployment, &order)?)?;
            // A Job cannot be changed, and one that is there already is judged first.
            let job = job.only_if(Precondition::Absent);
            plan.push(job.after(NETWORK_POLICY, &name(server)));
        }
        for job in &self.decision.delete {
            plan.retire(JOB, self.namespace, job, [(INSTANCE, self.instance)]);
        }
        if let (Phase::Finished, Some(value), Some(owner)) =
            (&self.decision.phase, &self.seen.force, self.owner)
        {
            plan.edit(served(&owner.uid, self.instance, value));
        }
        Ok(())
    }
}

/// Takes the request back, unless another one stands there by now.
fn served(uid: &str, name: &str, value: &str) -> Edit {
    Edit {
        kind: MLFLOW,
        namespace: None,
        name: name.to_owned(),
        uid: uid.to_owned(),
        wanted: value.into(),
        change: |live, wanted| {
            let annotations = live.pointer("/metadata/annotations");
            let asked = annotations.and_then(|all| all.get(FORCE_MIGRATE));
            if asked == Some(wanted) {
                Change::Merge(json!({"metadata": {"annotations": {FORCE_MIGRATE: null}}}))
            } else {
                Change::Nothing
            }
        },
    }
}
