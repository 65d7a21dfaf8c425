//! Rights that are given while the loop runs.

use resources::kind::{CONFIG_MAP, SECRET};
use runtime::permissions::{Permissions, Rule};

use super::*;

/// The right to `verbs` on Secrets, and to all that a gadget needs in its namespace but them.
fn role(verbs: &[&str]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "operator"},
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
            {"apiGroups": ["test.example.org", "events.k8s.io"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs},
        ],
    })
}

impl Bench {
    async fn give(&self, object: Value) {
        cluster::apply_yaml(&self.admin, &self.namespace, &object.to_string())
            .await
            .expect("rights");
    }

    async fn reviews(&self, mark: u64) -> usize {
        let requests = self.requests(mark).await;
        let reviews = requests.iter();
        reviews
            .filter(|request| request.contains("selfsubjectrulesreviews"))
            .count()
    }
}

#[tokio::test]
async fn a_right_that_is_given_later_is_used_without_a_restart() {
    let bench = Bench::new("rights").await;
    let all = format!("operator-{}", bench.namespace);
    let admins: Api<ClusterRoleBinding> = Api::all(bench.admin.clone());
    admins
        .delete(&all, &DeleteParams::default())
        .await
        .expect("no rights");
    bench.give(role(&["get"])).await;
    bench
        .give(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": bench.namespace}],
        }))
        .await;
    let config = bench
        .cluster
        .config_for_service_account(&bench.namespace, "operator")
        .await
        .expect("a token");
    let client = Client::try_from(config).expect("a client");
    // The authorizer learns of a role a moment after it was written.
    let lacks_secrets_only = |permissions: &Permissions| {
        let rules = ["create", "list", "watch"].map(|verb| Rule::on(verb, SECRET));
        permissions.allows(&Rule::on("patch", CONFIG_MAP))
            && !rules.iter().any(|rule| permissions.allows(rule))
    };
    let namespaces = [bench.namespace.clone()];
    let permissions = eventually("the role counts", SOON, || async {
        let permissions = Permissions::load(&client, &namespaces)
            .await
            .map_err(|error| error.to_string())?;
        if lacks_secrets_only(&permissions) {
            Ok(permissions)
        } else {
            Err(format!("{permissions:?}"))
        }
    })
    .await
    .expect("permissions");

    let operator = bench.run_with(permissions).await;
    let second = GadgetSpec {
        second: true,
        ..spec("1")
    };
    bench.gadget("g", second).await;
    let failed = |gadget: &Gadget| {
        let status = gadget.status.clone().unwrap_or_default();
        status.failed
    };
    let lacking = bench
        .settled("g", |gadget| !failed(gadget).is_empty())
        .await;
    assert_eq!(
        failed(&lacking),
        ["the operator's service account lacks the rule `create secrets`"]
    );

    // Everything that a gadget needs, of the whole cluster: nothing is lacking from then on.
    bench
        .give(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": all},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": bench.namespace}],
        }))
        .await;
    bench.settled("g", |gadget| failed(gadget).is_empty()).await;

    // The watch is open: a Secret that goes comes back by its event.
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    let secrets = bench.api::<Secret>();
    let made = secrets.get("g-second").await.expect("the Secret").uid();
    secrets
        .delete("g-second", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the Secret is made again", SOON, || async {
        match secrets.get_opt("g-second").await {
            Ok(Some(secret)) if secret.uid() != made => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("repaired by an event");

    // The next question would come 10 s after the one that found the rights, or 20 s.
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(bench.reviews(mark).await, 0);
    operator.stop().await;
}
