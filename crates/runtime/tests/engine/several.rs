//! Several loops in one process: one Lease, and each leaves alone what the others look after.

use clap::Parser;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef};
use kube::core::ObjectMeta;
use resources::{Kind, Plan, Planned, kind::ROLE_BINDING};
use runtime::args::OperatorArgs;
use runtime::operator::{Beside, Loop, OperatorError, Process, run_until};
use runtime::shutdown::Shutdown;
use runtime::{Attempt, Component, Identity, Inputs, Owner, Watched};

use super::*;
use crate::gadget::{GadgetError, meta};

const PROCESS: Process = Process {
    name: "gadget-operator",
    version: "test",
    lease: "gadgets.test.example.org",
};

/// A second component over the resources of the first: it has no status and no finalizer, and looks
/// for objects of two names only.
struct Badges;

const NAMES: [&str; 2] = ["badge-a", "badge-b"];

impl Component for Badges {
    type Resource = Gadget;
    type Observation = ();
    type Status = ();
    type Error = GadgetError;

    const IDENTITY: Identity = Identity {
        name: "badge",
        reporter: "badge-controller",
        field_manager: "gadget-operator",
        predecessors: &[],
        finalizer: "",
        pause_annotation: "test.example.org/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        const { &[Watched::owned(ROLE_BINDING, "")] }
    }

    fn only_named(&self, _: Kind) -> &'static [&'static str] {
        &NAMES
    }

    fn owner(&self, _: Kind, _: &ObjectMeta, _: &Value) -> Option<Owner> {
        None
    }

    async fn observe<I: Inputs>(&self, _: &Gadget, _: &I) -> Result<(), GadgetError> {
        Ok(())
    }

    fn plan(&self, gadget: &Gadget, (): &()) -> Result<Plan, GadgetError> {
        let mut plan = Plan::default();
        let wanted = if gadget.spec.second { 2 } else { 1 };
        for name in NAMES.iter().take(wanted) {
            let binding = RoleBinding {
                metadata: meta(gadget, name),
                role_ref: RoleRef {
                    api_group: "rbac.authorization.k8s.io".into(),
                    kind: "ClusterRole".into(),
                    name: "view".into(),
                },
                subjects: None,
            };
            plan.push(Planned::new(ROLE_BINDING, &binding)?);
        }
        Ok(plan)
    }

    fn status<I: Inputs>(&self, _: &Gadget, _: &Attempt<'_, Self>, _: &I) {}
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: OperatorArgs,
}

impl Bench {
    /// Rights for everything that both need. Those for RoleBindings are for two names.
    async fn give_rights_by_name(&self) {
        let name = format!("operator-{}", self.namespace);
        let admins: Api<ClusterRoleBinding> = Api::all(self.admin.clone());
        admins
            .delete(&name, &DeleteParams::default())
            .await
            .expect("no rights");
        let all = |groups: &[&str], resources: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["*"]});
        let bindings = |verbs: &[&str], names: &[&str]| {
            json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"],
                "resourceNames": names, "verbs": verbs})
        };
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [
                all(&["test.example.org", "events.k8s.io", "coordination.k8s.io"], &["*"]),
                all(&["apiextensions.k8s.io", "apiregistration.k8s.io", "config.openshift.io"], &["*"]),
                all(&["", "rbac.authorization.k8s.io"], &["configmaps", "secrets", "clusterrolebindings"]),
                bindings(&["create"], &[]),
                bindings(&["get", "list", "watch", "patch", "delete"], &NAMES),
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"],
                 "resourceNames": ["view"], "verbs": ["bind"]},
            ],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": self.namespace}],
        });
        for object in [role, binding] {
            cluster::apply_yaml(&self.admin, &self.namespace, &object.to_string())
                .await
                .expect("rights");
        }
    }

    /// The process with both loops.
    async fn run_both(&self) -> (Shutdown, tokio::task::JoinHandle<Result<(), OperatorError>>) {
        let kubeconfig = self
            .cluster
            .service_account_kubeconfig(&self.namespace, "operator")
            .await
            .expect("a kubeconfig");
        let words = [
            "operator".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--lease-namespace={}", self.namespace),
            format!("--watch-namespaces={}", self.namespace),
            "--leader-elect".to_owned(),
            "--metrics-bind-address=0".to_owned(),
            "--health-probe-bind-address=0".to_owned(),
        ];
        let args = Flags::parse_from(words).args;
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let beside = Beside {
            loops: vec![Loop::of(Badges)],
            ..Beside::default()
        };
        let task =
            tokio::spawn(async move { run_until(PROCESS, &args, Gadgets, beside, until).await });
        (shutdown, task)
    }

    /// Waits until the RoleBinding is there, or not.
    async fn binding(&self, name: &str, holds: impl Fn(Option<&RoleBinding>) -> bool) {
        let api = self.api::<RoleBinding>();
        eventually(&format!("RoleBinding {name}"), SOON, || async {
            let found = api.get_opt(name).await.map_err(|e| e.to_string())?;
            let held = holds(found.as_ref());
            held.then_some(()).ok_or_else(|| format!("{found:?}"))
        })
        .await
        .expect("the RoleBinding");
    }
}

#[tokio::test]
async fn loops_share_a_lease_and_leave_each_others_objects_alone() {
    let bench = Bench::new("several").await;
    bench.give_rights_by_name().await;
    let (shutdown, task) = bench.run_both().await;
    let both = GadgetSpec {
        second: true,
        ..spec("1")
    };
    let made = bench.gadget("g", both).await;
    // Of neither loop: the resource's own by its owner reference, under another name.
    let other = RoleBinding {
        metadata: ObjectMeta {
            name: Some("other".into()),
            ..meta(&made, "other")
        },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "ClusterRole".into(),
            name: "view".into(),
        },
        subjects: None,
    };
    let bindings = bench.api::<RoleBinding>();
    bindings
        .create(&PostParams::default(), &other)
        .await
        .expect("another binding");
    bench
        .settled("g", |gadget| {
            gadget.status.as_ref().is_some_and(|s| s.failed.is_empty())
        })
        .await;
    for name in NAMES {
        bench.binding(name, |binding| binding.is_some()).await;
    }

    // One loop's edit, by its watch.
    bench.edit("g", json!({"second": false})).await;
    bench.binding("badge-b", |binding| binding.is_none()).await;
    let before = bindings.get("badge-a").await.expect("a badge").uid();
    bindings
        .delete("badge-a", &DeleteParams::default())
        .await
        .expect("deleted");
    bench
        .binding("badge-a", |now| now.is_some_and(|now| now.uid() != before))
        .await;
    bench.config("g", |config| value(config) == Some("1")).await;
    bindings.get("other").await.expect("nobody's business");

    let gadget = bench.settled("g", |_| true).await;
    assert_eq!(gadget.finalizers(), ["test.example.org/finalizer"]);
    let leases: Api<Lease> = bench.api();
    let leases = leases.list(&ListParams::default()).await.expect("Leases");
    let names: Vec<String> = leases.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, [PROCESS.lease]);

    let mark = bench.cluster.audit_mark().await.expect("a mark");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let requests = bench.requests(mark).await;
    let at_rest = requests.iter().find(|request| !request.contains("leases"));
    assert_eq!(at_rest, None);

    // A resource that goes is not held up by the loop without a finalizer.
    bench
        .api::<Gadget>()
        .delete("g", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the gadget is gone", SOON, || async {
        let left = bench.api::<Gadget>().get_opt("g").await;
        match left.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(left) => Err(format!("{:?}", left.finalizers())),
        }
    })
    .await
    .expect("gone");
    shutdown.request();
    task.await
        .expect("no panic")
        .expect("the process ends well");
}

#[tokio::test]
async fn a_resource_that_is_needed_stays_and_says_so() {
    let bench = Bench::new("stays").await;
    let operator = bench.run().await;
    let needed = GadgetSpec {
        stays: true,
        ..spec("1")
    };
    bench.gadget("needed", needed).await;
    bench.gadget("other", spec("1")).await;
    bench.settled("needed", |_| true).await;
    bench.settled("other", |_| true).await;
    let gadgets = bench.api::<Gadget>();
    let params = DeleteParams::default();
    gadgets.delete("needed", &params).await.expect("deleted");
    let staying = |gadget: &Gadget| gadget.status.as_ref().is_some_and(|s| s.staying);
    let held = bench.settled("needed", staying).await;
    assert_eq!(held.finalizers(), ["test.example.org/finalizer"]);
    bench.config("needed", |_| true).await;

    gadgets.delete("other", &params).await.expect("deleted");
    eventually("nobody needs it any more", SOON, || async {
        let left = gadgets.get_opt("needed").await;
        match left.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(left) => Err(format!("{:?}", left.status)),
        }
    })
    .await
    .expect("gone");
    operator.stop().await;
}
