//! The loop against a real API server: what it writes, repairs, removes and leaves alone.

#![cfg(test)]

mod bench;
mod edit;
mod gadget;
mod neighbours;
mod rights;
mod several;
mod share;

use std::time::Duration;

use bench::{Bench, COLLECTED, SOON, all_versions, spec, value};
use cluster::eventually;
use gadget::{Gadget, GadgetSpec, Gadgets, binding_name};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_resource_costs_its_objects_and_three_writes_and_then_nothing() {
    let bench = Bench::new("cost").await;
    let operator = bench.run().await;
    // The initial lists are over when a first resource is settled.
    bench.gadget("first", spec("1")).await;
    bench.settled("first", |_| true).await;
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    bench
        .gadget(
            "g",
            GadgetSpec {
                second: true,
                binding: true,
                ..spec("1")
            },
        )
        .await;
    bench.settled("g", |_| true).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut requests = bench.requests(mark).await;
    requests.sort();
    assert_eq!(
        requests,
        [
            "create clusterrolebindings 201",
            "create configmaps 201",
            "create secrets 201",
            "patch gadgets 200",
            "patch gadgets/status 200",
        ]
    );
    operator.stop().await;
}

#[tokio::test]
async fn drift_and_deletion_are_repaired_by_their_event() {
    let bench = Bench::new("drift").await;
    let operator = bench.run().await;
    bench.gadget("g", spec("1")).await;
    let before = bench.config("g", |_| true).await;
    let api = bench.api::<ConfigMap>();

    let drift = json!({"data": {"value": "2", "theirs": "x"}, "metadata": {"annotations": {"theirs": "x"}}});
    api.patch("g", &PatchParams::default(), &Patch::Merge(drift))
        .await
        .expect("drift");
    let after = bench.config("g", |config| value(config) == Some("1")).await;
    assert_eq!(
        after.annotations().get("theirs").map(String::as_str),
        Some("x"),
        "what others add stays"
    );
    assert_eq!(
        after
            .data
            .as_ref()
            .and_then(|d| d.get("theirs"))
            .map(String::as_str),
        Some("x")
    );

    api.patch(
        "g",
        &PatchParams::default(),
        &Patch::Merge(json!({"metadata": {"labels": {"gadget": null}}})),
    )
    .await
    .expect("drift");
    bench
        .config("g", |config| config.labels().get("gadget").is_some())
        .await;

    api.delete("g", &DeleteParams::default())
        .await
        .expect("deleted");
    bench
        .config("g", |config| {
            config.uid() != before.uid() && value(config) == Some("1")
        })
        .await;
    operator.stop().await;
}

#[tokio::test]
async fn an_edit_reaches_the_object_and_removes_what_is_not_planned_any_more() {
    let bench = Bench::new("edit").await;
    let operator = bench.run().await;
    let gadget = bench
        .gadget(
            "g",
            GadgetSpec {
                second: true,
                binding: true,
                input: Some("in".into()),
                ..spec("1")
            },
        )
        .await;
    bench.settled("g", |_| true).await;
    let bindings: Api<ClusterRoleBinding> = Api::all(bench.admin.clone());
    bindings
        .get(&binding_name(&gadget))
        .await
        .expect("the binding");

    let input = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "in"}, "data": {"value": "a"}});
    cluster::apply_yaml(&bench.admin, &bench.namespace, &input.to_string())
        .await
        .expect("an input");
    bench
        .config("g", |config| {
            config
                .data
                .as_ref()
                .and_then(|d| d.get("input"))
                .map(String::as_str)
                == Some("a")
        })
        .await;

    bench
        .edit(
            "g",
            json!({"value": "2", "second": false, "binding": false, "input": null}),
        )
        .await;
    let config = bench.config("g", |config| value(config) == Some("2")).await;
    assert_eq!(
        config.data.as_ref().and_then(|d| d.get("input")),
        None,
        "a field that was created is removed"
    );
    cluster::gone(&bench.api::<Secret>(), "g-second", SOON)
        .await
        .expect("pruned");
    cluster::gone(&bindings, &binding_name(&gadget), SOON)
        .await
        .expect("pruned");
    operator.stop().await;
}

#[tokio::test]
async fn a_restart_changes_no_resource_version() {
    let bench = Bench::new("restart").await;
    let operator = bench.run().await;
    for n in 0..5 {
        bench
            .gadget(
                &format!("g{n}"),
                GadgetSpec {
                    second: true,
                    binding: true,
                    ..spec("1")
                },
            )
            .await;
    }
    for n in 0..5 {
        bench.settled(&format!("g{n}"), |_| true).await;
    }
    // One with an applied edit, so that both ways of owning fields are met.
    bench.edit("g0", json!({"value": "2"})).await;
    bench
        .config("g0", |config| value(config) == Some("2"))
        .await;
    bench.settled("g0", |_| true).await;
    operator.stop().await;

    let versions = || async {
        let mut versions = all_versions(&bench.api::<ConfigMap>()).await;
        versions.extend(all_versions(&bench.api::<Secret>()).await);
        versions.extend(all_versions(&bench.api::<Gadget>()).await);
        versions
    };
    let before = versions().await;
    let operator = bench.run().await;
    bench.gadget("last", spec("1")).await;
    bench.settled("last", |_| true).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench
        .api::<Gadget>()
        .delete("last", &DeleteParams::default())
        .await
        .expect("deleted");
    cluster::gone(&bench.api::<ConfigMap>(), "last", COLLECTED)
        .await
        .expect("collected");
    assert_eq!(versions().await, before);
    // After a restart an edit still removes what was created long ago.
    bench.edit("g1", json!({"second": false})).await;
    cluster::gone(&bench.api::<Secret>(), "g1-second", SOON)
        .await
        .expect("pruned");
    operator.stop().await;
}

#[tokio::test]
async fn somebody_elses_object_is_left_alone_and_reported() {
    let bench = Bench::new("foreign").await;
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "g"}, "data": {"value": "theirs"}});
    cluster::apply_yaml(&bench.admin, &bench.namespace, &foreign.to_string())
        .await
        .expect("a foreign object");
    let operator = bench.run().await;
    bench
        .gadget(
            "g",
            GadgetSpec {
                second: true,
                ..spec("ours")
            },
        )
        .await;
    let gadget = bench
        .settled("g", |g| {
            g.status.as_ref().is_some_and(|s| !s.foreign.is_empty())
        })
        .await;
    assert_eq!(
        gadget.status.expect("status").foreign,
        [format!("ConfigMap {}/g", bench.namespace)]
    );
    assert_eq!(value(&bench.config("g", |_| true).await), Some("theirs"));
    bench
        .api::<Secret>()
        .get("g-second")
        .await
        .expect("the others are made all the same");
    bench
        .api::<ConfigMap>()
        .delete("g", &DeleteParams::default())
        .await
        .expect("deleted");
    bench
        .config("g", |config| value(config) == Some("ours"))
        .await;
    bench
        .settled("g", |g| {
            g.status.as_ref().is_some_and(|s| s.foreign.is_empty())
        })
        .await;
    operator.stop().await;
}

#[tokio::test]
async fn what_a_predecessor_made_is_taken_over_with_its_fields() {
    let bench = Bench::new("takeover").await;
    let gadget = bench.gadget("g", spec("1")).await;
    let old = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "g", "annotations": {"old/last-applied": "x"}, "ownerReferences": [{
            "apiVersion": "test.example.org/v1", "kind": "Gadget", "name": "g", "uid": gadget.uid(), "controller": true}]},
        "data": {"value": "0", "stale": "x"}});
    let old: ConfigMap = serde_json::from_value(old).expect("a ConfigMap");
    let as_manager = PostParams {
        field_manager: Some("manager".into()),
        dry_run: false,
    };
    bench
        .api::<ConfigMap>()
        .create(&as_manager, &old)
        .await
        .expect("made by the predecessor");
    let noted = json!({"metadata": {"annotations": {"people/note": "keep"}}});
    bench
        .api::<ConfigMap>()
        .patch("g", &PatchParams::default(), &Patch::Merge(noted))
        .await
        .expect("a note");
    let operator = bench.run().await;
    let config = bench.config("g", |config| value(config) == Some("1")).await;
    assert_eq!(
        config.data.as_ref().map(std::collections::BTreeMap::len),
        Some(1),
        "stale fields go: {config:?}"
    );
    assert_eq!(
        config.annotations().keys().collect::<Vec<_>>(),
        ["people/note"]
    );
    let managers: Vec<_> = config
        .managed_fields()
        .iter()
        .filter_map(|e| e.manager.as_deref())
        .collect();
    assert!(!managers.contains(&"manager"), "{managers:?}");
    operator.stop().await;
}

#[tokio::test]
async fn pausing_and_refusing_are_visible_and_write_nothing() {
    let bench = Bench::new("pause").await;
    let mut paused = Gadget::new("paused", spec("1"));
    paused
        .annotations_mut()
        .insert("test.example.org/reconcile".into(), "paused".into());
    bench
        .api::<Gadget>()
        .create(&PostParams::default(), &paused)
        .await
        .expect("a gadget");
    bench
        .gadget(
            "refused",
            GadgetSpec {
                refuse: true,
                ..spec("1")
            },
        )
        .await;
    let operator = bench.run().await;
    bench
        .settled("paused", |g| g.status.as_ref().is_some_and(|s| s.paused))
        .await;
    bench
        .settled("refused", |g| {
            g.status
                .as_ref()
                .is_some_and(|s| s.failure.as_deref() == Some("spec.refuse is set"))
        })
        .await;
    let configs = bench.api::<ConfigMap>();
    assert!(
        configs
            .get_opt("paused")
            .await
            .expect("an answer")
            .is_none()
    );
    assert!(
        configs
            .get_opt("refused")
            .await
            .expect("an answer")
            .is_none()
    );
    let resume = json!({"metadata": {"annotations": {"test.example.org/reconcile": null}}});
    bench
        .api::<Gadget>()
        .patch("paused", &PatchParams::default(), &Patch::Merge(resume))
        .await
        .expect("resumed");
    bench.config("paused", |_| true).await;
    operator.stop().await;
}

#[tokio::test]
async fn deletion_leaves_nothing_in_the_background_and_in_the_foreground() {
    let bench = Bench::new("deletion").await;
    let operator = bench.run().await;
    for (name, params) in [
        ("back", DeleteParams::background()),
        ("fore", DeleteParams::foreground()),
    ] {
        let gadget = bench
            .gadget(
                name,
                GadgetSpec {
                    second: true,
                    binding: true,
                    ..spec("1")
                },
            )
            .await;
        bench.settled(name, |_| true).await;
        bench
            .api::<Gadget>()
            .delete(name, &params)
            .await
            .expect("deleted");
        cluster::gone(&bench.api::<Gadget>(), name, COLLECTED)
            .await
            .expect("gone");
        cluster::gone(&bench.api::<ConfigMap>(), name, COLLECTED)
            .await
            .expect("gone");
        let bindings: Api<ClusterRoleBinding> = Api::all(bench.admin.clone());
        cluster::gone(&bindings, &binding_name(&gadget), SOON)
            .await
            .expect("gone");
    }
    operator.stop().await;
}
