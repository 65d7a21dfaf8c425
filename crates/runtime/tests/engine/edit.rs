//! A list in a string of somebody else's object: items that several want, and that go again.

use super::*;
use crate::gadget::GadgetItem;
use crate::share::THEIRS;

fn listing(item: &str) -> GadgetSpec {
    let item = GadgetItem {
        name: THEIRS.into(),
        item: item.into(),
    };
    GadgetSpec {
        item: Some(item),
        ..spec("1")
    }
}

fn items(config: &ConfigMap) -> Vec<&str> {
    let list = config.data.as_ref().and_then(|data| data.get("list"));
    let mut items: Vec<&str> = list.map_or("", String::as_str).split(' ').collect();
    items.sort_unstable();
    items
}

#[tokio::test]
async fn edits_of_a_list_in_a_string_lose_nothing_to_each_other() {
    let bench = Bench::new("edit-list").await;
    let before = bench.theirs("somebody", json!({"list": "0"})).await;
    let operator = bench.run().await;
    for item in ["a", "b", "c", "d"] {
        bench.gadget(item, listing(item)).await;
    }
    // Somebody else writes meanwhile.
    for round in 0..20 {
        bench
            .change_theirs(json!({"round": round.to_string()}))
            .await;
    }
    bench
        .config(THEIRS, |config| items(config) == ["0", "a", "b", "c", "d"])
        .await;
    for item in ["a", "b", "c", "d"] {
        bench.settled(item, |_| true).await;
    }

    // Its own writes and those of others to other fields cost a look, and no write.
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    bench.change_theirs(json!({"round": null})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let requests = bench.requests(mark).await;
    let is_look = |request: &String| request.starts_with("get ");
    assert!(requests.iter().all(is_look), "{requests:?}");
    // What somebody takes out comes back by its event.
    bench.change_theirs(json!({"list": "0 d c"})).await;
    bench
        .config(THEIRS, |config| items(config) == ["0", "a", "b", "c", "d"])
        .await;

    let gadgets = bench.api::<Gadget>();
    for item in ["a", "b", "c", "d"] {
        let params = DeleteParams::default();
        gadgets.delete(item, &params).await.expect("deleted");
        cluster::gone(&gadgets, item, COLLECTED)
            .await
            .expect("gone");
        let left = bench.config(THEIRS, |_| true).await;
        assert!(!items(&left).contains(&item), "undone before it is gone");
    }
    let after = bench.config(THEIRS, |_| true).await;
    assert_eq!(after.data, before.data);
    operator.stop().await;
}

#[tokio::test]
async fn what_held_nothing_else_goes_and_nothing_is_made_again() {
    let bench = Bench::new("edit-delete").await;
    bench.theirs("somebody", json!({})).await;
    let operator = bench.run().await;
    bench.gadget("g", listing("g")).await;
    bench.config(THEIRS, |config| items(config) == ["g"]).await;
    let (gadgets, configs) = (bench.api::<Gadget>(), bench.api::<ConfigMap>());
    let params = DeleteParams::default();
    gadgets.delete("g", &params).await.expect("deleted");
    cluster::gone(&gadgets, "g", COLLECTED).await.expect("gone");
    assert!(configs.get_opt(THEIRS).await.expect("an answer").is_none());

    bench.gadget("h", listing("h")).await;
    bench.settled("h", |_| true).await;
    assert!(configs.get_opt(THEIRS).await.expect("an answer").is_none());
    operator.stop().await;
}

#[tokio::test]
async fn a_resource_goes_although_an_object_of_others_cannot_be_written() {
    let bench = Bench::new("edit-refused").await;
    bench.theirs("somebody", json!({"list": "0"})).await;
    let operator = bench.run().await;
    bench.gadget("g", listing("g")).await;
    bench
        .config(THEIRS, |config| items(config) == ["0", "g"])
        .await;
    let immutable = Patch::Merge(json!({"immutable": true}));
    let configs = bench.api::<ConfigMap>();
    let params = PatchParams::default();
    configs
        .patch(THEIRS, &params, &immutable)
        .await
        .expect("immutable");
    let gadgets = bench.api::<Gadget>();
    let params = DeleteParams::default();
    gadgets.delete("g", &params).await.expect("deleted");
    // It waits for half a minute, and is let go with the next attempt.
    cluster::gone(&gadgets, "g", Duration::from_mins(4))
        .await
        .expect("gone");
    let events: Api<k8s_openapi::api::events::v1::Event> = bench.api();
    eventually("people are told", SOON, || async {
        let all = events
            .list(&ListParams::default())
            .await
            .map_err(|e| e.to_string())?;
        let mut reasons = all.items.iter().filter_map(|event| event.reason.as_deref());
        let told = reasons.any(|reason| reason == "NotTakenBack");
        told.then_some(()).ok_or_else(|| "no event".to_owned())
    })
    .await
    .expect("an event");
    operator.stop().await;
}
