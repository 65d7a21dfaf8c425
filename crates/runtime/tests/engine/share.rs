//! Fields of somebody else's object: set, repaired, contested and taken back.

use super::*;
use crate::gadget::GadgetShare;

pub(super) const THEIRS: &str = "theirs";

fn sharing(value: &str, overwrite: bool) -> GadgetSpec {
    let share = GadgetShare {
        name: THEIRS.into(),
        value: value.into(),
        overwrite,
        ..GadgetShare::default()
    };
    GadgetSpec {
        share: Some(share),
        ..spec("1")
    }
}

fn shared(config: &ConfigMap) -> Option<&str> {
    config.data.as_ref()?.get("shared").map(String::as_str)
}

fn contested(gadget: &Gadget) -> bool {
    gadget
        .status
        .as_ref()
        .is_some_and(|status| !status.contested.is_empty())
}

/// Everything but what every write changes.
pub(super) fn content(config: &ConfigMap) -> ConfigMap {
    let mut config = config.clone();
    let meta = config.meta_mut();
    meta.resource_version = None;
    meta.managed_fields = None;
    config
}

impl Bench {
    /// Somebody else's ConfigMap, written as `manager`.
    pub(super) async fn theirs(&self, manager: &str, data: Value) -> ConfigMap {
        let config =
            json!({"metadata": {"name": THEIRS, "labels": {"their": "label"}}, "data": data});
        let config = serde_json::from_value(config).expect("a ConfigMap");
        let params = PostParams {
            field_manager: Some(manager.into()),
            dry_run: false,
        };
        let api = self.api::<ConfigMap>();
        api.create(&params, &config).await.expect("their ConfigMap")
    }

    pub(super) async fn change_theirs(&self, data: Value) {
        let params = PatchParams {
            field_manager: Some("somebody".into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({ "data": data }));
        let api = self.api::<ConfigMap>();
        api.patch(THEIRS, &params, &patch).await.expect("a change");
    }

    async fn undone(&self, before: &ConfigMap) {
        let wanted = content(before);
        let after = self
            .config(THEIRS, |config| content(config) == wanted)
            .await;
        let managers = after.managed_fields().iter();
        let ours = managers.filter_map(|entry| entry.manager.as_deref());
        let ours: Vec<_> = ours.filter(|m| m.starts_with("gadget-operator")).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

#[tokio::test]
async fn a_share_is_set_kept_and_exactly_undone_when_it_is_wanted_no_more() {
    let bench = Bench::new("share").await;
    let before = bench.theirs("somebody", json!({"a": "1"})).await;
    let operator = bench.run().await;
    bench.gadget("g", sharing("ours", false)).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    bench.settled("g", |_| true).await;

    // Somebody else's change of somebody else's field costs a look, and no write.
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    bench.change_theirs(json!({"a": "2"})).await;
    bench.change_theirs(json!({"a": "1"})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let requests = bench.requests(mark).await;
    assert!(
        requests.iter().all(|request| request.starts_with("get ")),
        "{requests:?}"
    );
    // What is removed comes back by its event.
    bench.change_theirs(json!({"shared": null})).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;

    bench
        .edit("g", json!({"share": {"name": THEIRS, "value": "new"}}))
        .await;
    bench.config(THEIRS, |c| shared(c) == Some("new")).await;
    bench.edit("g", json!({"share": null})).await;
    bench.undone(&before).await;
    operator.stop().await;
}

#[tokio::test]
async fn two_resources_share_without_taking_from_each_other() {
    let bench = Bench::new("share-two").await;
    let before = bench.theirs("somebody", json!({"a": "1"})).await;
    let operator = bench.run().await;
    for name in ["g", "h"] {
        bench.gadget(name, sharing("ours", false)).await;
        bench.settled(name, |_| true).await;
    }
    let gadgets = bench.api::<Gadget>();
    for (name, after) in [("g", Some("ours")), ("h", None)] {
        let params = DeleteParams::default();
        gadgets.delete(name, &params).await.expect("deleted");
        cluster::gone(&gadgets, name, COLLECTED)
            .await
            .expect("gone");
        let left = bench.config(THEIRS, |_| true).await;
        assert_eq!(shared(&left), after, "undone before the resource is gone");
    }
    bench.undone(&before).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_value_of_somebody_else_stays_unless_overwriting_is_asked_for() {
    let bench = Bench::new("share-contested").await;
    let before = bench.theirs("somebody", json!({"shared": "theirs"})).await;
    let operator = bench.run().await;
    bench.gadget("g", sharing("ours", false)).await;
    let gadget = bench.settled("g", contested).await;
    assert_eq!(
        gadget.status.expect("status").contested,
        [format!("ConfigMap {}/{THEIRS}", bench.namespace)]
    );
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.requests(mark).await, [""; 0], "no retries");
    let after = bench.config(THEIRS, |_| true).await;
    assert_eq!(after, before, "untouched");

    // Once it is free, it is ours by the event; taken again, it is theirs.
    bench.change_theirs(json!({"shared": null})).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    bench.settled("g", |g| !contested(g)).await;
    bench.change_theirs(json!({"shared": "theirs"})).await;
    bench.settled("g", contested).await;

    let overwrite = json!({"share": {"overwrite": true}});
    bench.edit("g", overwrite).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    bench.settled("g", |g| !contested(g)).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_deleted_object_is_never_made_again() {
    let bench = Bench::new("share-deleted").await;
    let theirs = bench.theirs("somebody", json!({"a": "1"})).await;
    let api = bench.api::<ConfigMap>();
    let params = DeleteParams::default();
    api.delete(THEIRS, &params).await.expect("deleted");
    let operator = bench.run().await;
    let mut stale = sharing("ours", true);
    if let Some(share) = &mut stale.share {
        share.uid = theirs.uid().expect("a uid");
    }
    bench.gadget("g", stale).await;
    bench.settled("g", |_| true).await;
    assert!(api.get_opt(THEIRS).await.expect("an answer").is_none());
    // Another one of the name is another object.
    let other = bench.theirs("somebody", json!({"a": "1"})).await;
    bench.edit("g", json!({"value": "2"})).await;
    bench.config("g", |config| value(config) == Some("2")).await;
    bench.settled("g", |_| true).await;
    assert_eq!(bench.config(THEIRS, |_| true).await, other);
    // The one that is there is shared once its uid is the one that is meant.
    bench.edit("g", json!({"share": {"uid": ""}})).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    operator.stop().await;
}

#[tokio::test]
async fn what_is_shared_is_remembered_across_a_restart() {
    let bench = Bench::new("share-restart").await;
    let before = bench.theirs("somebody", json!({"a": "1"})).await;
    let operator = bench.run().await;
    bench.gadget("g", sharing("ours", false)).await;
    let made = bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    bench.settled("g", |_| true).await;
    operator.stop().await;

    let operator = bench.run().await;
    bench.gadget("other", spec("1")).await;
    bench.settled("other", |_| true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let still = bench.config(THEIRS, |_| true).await;
    assert_eq!(still.resource_version(), made.resource_version());
    operator.stop().await;

    bench.edit("g", json!({"share": null})).await;
    let operator = bench.run().await;
    bench.undone(&before).await;
    operator.stop().await;
}

#[tokio::test]
async fn fields_of_a_predecessor_are_taken_over_and_undone_with_the_rest_left_to_it() {
    let bench = Bench::new("share-inherited").await;
    bench.theirs("somebody", json!({"a": "1"})).await;
    let before = bench.config(THEIRS, |_| true).await;
    // The predecessor, `manager`, sets the value and another one.
    let params = PatchParams {
        field_manager: Some("manager".into()),
        ..PatchParams::default()
    };
    let api = bench.api::<ConfigMap>();
    for data in [json!({"shared": "old"}), json!({"shared": "old", "b": "x"})] {
        let patch = Patch::Merge(json!({ "data": data }));
        api.patch(THEIRS, &params, &patch).await.expect("a patch");
    }
    let operator = bench.run().await;
    bench.gadget("g", sharing("ours", false)).await;
    bench.config(THEIRS, |c| shared(c) == Some("ours")).await;
    bench.settled("g", |g| !contested(g)).await;
    bench.edit("g", json!({"share": null})).await;
    let mut wanted = before.clone();
    let data = wanted.data.get_or_insert_default();
    data.insert("b".into(), "x".into());
    bench.undone(&wanted).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_value_that_a_predecessor_and_somebody_else_hold_changes_no_hands() {
    let bench = Bench::new("share-both").await;
    bench.theirs("manager", json!({"shared": "old"})).await;
    let same = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": THEIRS}, "data": {"shared": "old"}});
    let api = bench.api::<ConfigMap>();
    let params = PatchParams::apply("somebody");
    let patch = Patch::Apply(same);
    let before = api.patch(THEIRS, &params, &patch).await.expect("applied");
    let operator = bench.run().await;
    bench.gadget("g", sharing("ours", false)).await;
    bench.settled("g", contested).await;
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.requests(mark).await, [""; 0], "no fight with itself");
    let after = bench.config(THEIRS, |_| true).await;
    assert_eq!(content(&after), content(&before));
    let owners = |config: &ConfigMap| {
        let entries = config.managed_fields().iter();
        let entries = entries.map(|entry| (entry.manager.clone(), entry.fields_v1.clone()));
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries
    };
    assert_eq!(owners(&after), owners(&before));
    operator.stop().await;
}
