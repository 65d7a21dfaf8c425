//! ModelMesh, told by its ConfigMap, which its controller reads again when it changes.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::ObjectMeta;
use resources::meta::pairs;
use resources::{Change, Edit, PlanError, Planned, Precondition, kind::CONFIG_MAP};
use serde_json::{Value, json};

use super::processors::{self, Unfit};
use super::sink::Sink;

/// The ConfigMap, in the namespace of ModelMesh's controller.
pub const NAME: &str = "model-serving-config";
const KEY: &str = "config.yaml";
/// Label of a ConfigMap that was made for a service, whose name it is. It goes when it holds nothing
/// else.
pub const MADE_FOR: &str = "trustyai.opendatahub.io/made-for";
/// A file that was made for a service.
const MADE: &str = "# made by the TrustyAI operator\n";

/// The ConfigMap where there is none.
pub fn made(sink: &Sink) -> Result<Planned, PlanError> {
    let text = processors::add(MADE, &sink.plain_processor());
    let text = text.map_err(|error| PlanError::Content {
        kind: CONFIG_MAP.kind,
        name: NAME.to_owned(),
        message: error.to_string(),
    })?;
    let config = ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(sink.namespace.clone()),
            labels: Some(pairs([(MADE_FOR, sink.name.as_str())])),
            ..ObjectMeta::default()
        },
        data: Some([(KEY.to_owned(), text.unwrap_or_default())].into()),
        ..ConfigMap::default()
    };
    // Whoever was faster keeps theirs, and it is edited in the next pass.
    Ok(Planned::new(CONFIG_MAP, &config)?
        .only_if(Precondition::Absent)
        .use_foreign())
}

/// What the ConfigMap needs to name the service; `None` when it does.
pub fn step(config: &Value, sink: &Sink) -> Result<Option<Edit>, Unfit> {
    let needed = wired(config, &sink.plain_processor())?;
    Ok(needed.and_then(|_| edit(config, sink, wire)))
}

/// What the ConfigMap needs to name it no more; `None` when it does not, or nobody can tell.
#[must_use]
pub fn undo(config: &Value, sink: &Sink) -> Option<Edit> {
    let edit = edit(config, sink, unwire)?;
    (unwire(config, &edit.wanted) != Change::Nothing).then_some(edit)
}

fn edit(config: &Value, sink: &Sink, change: fn(&Value, &Value) -> Change) -> Option<Edit> {
    Some(Edit {
        kind: CONFIG_MAP,
        namespace: Some(sink.namespace.clone()),
        name: NAME.to_owned(),
        uid: config.pointer("/metadata/uid")?.as_str()?.to_owned(),
        wanted: json!({"url": sink.plain_processor(), "service": sink.name}),
        change,
    })
}

fn text(config: &Value) -> Option<&str> {
    config.get("data")?.get(KEY)?.as_str()
}

fn wire(live: &Value, wanted: &Value) -> Change {
    let url = wanted
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match wired(live, url) {
        Ok(Some(text)) => Change::Merge(json!({"data": {KEY: text}})),
        // It is so, or the plan of the next pass says why it cannot be.
        Ok(None) | Err(_) => Change::Nothing,
    }
}

fn wired(config: &Value, url: &str) -> Result<Option<String>, Unfit> {
    processors::add(text(config).unwrap_or(MADE), url)
}

fn unwire(live: &Value, wanted: &Value) -> Change {
    let url = wanted
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let left = text(live).and_then(|text| processors::remove(text, url).ok().flatten());
    let Some(left) = left else {
        return Change::Nothing;
    };
    if left != MADE {
        return Change::Merge(json!({"data": {KEY: left}}));
    }
    let others = ["data", "binaryData"].map(|member| {
        let members = live.get(member).and_then(Value::as_object);
        members.map_or(0, |members| {
            members.keys().filter(|key| *key != KEY).count()
        })
    });
    let label = live
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(MADE_FOR));
    if label.is_some() && label == wanted.get("service") && others == [0, 0] {
        return Change::Delete;
    }
    let data = if others[0] == 0 {
        Value::Null
    } else {
        json!({KEY: null})
    };
    Change::Merge(json!({"data": data}))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wiring::tests::edited;

    fn sink() -> Sink {
        Sink {
            name: "tas".into(),
            namespace: "ns".into(),
        }
    }

    fn config(data: Value) -> Value {
        let mut config = json!({"metadata": {"name": NAME, "uid": "1", "labels": {"a": "b"}}});
        if !data.is_null() {
            config["data"] = data;
        }
        config
    }

    #[test]
    fn one_that_was_made_for_the_service_goes_with_it() {
        let mut made = made(&sink()).unwrap().body;
        assert_eq!(
            text(&made),
            Some(
                "payloadProcessors:\n- http://tas.ns.svc.cluster.local/consumer/kserve/v2\n# made by the TrustyAI operator\n"
            )
        );
        made["metadata"]["uid"] = "1".into();
        assert_eq!(step(&made, &sink()), Ok(None));
        let edit = undo(&made, &sink()).expect("an edit");
        assert_eq!((edit.change)(&made, &edit.wanted), Change::Delete);
        // What somebody put in stays.
        made["data"]["other"] = "x".into();
        assert_eq!(edited(&made, &edit)["data"], json!({"other": "x"}));
        made["data"] = json!({KEY: format!("a: 1\n{}", text(&made).unwrap_or_default())});
        assert_eq!(
            edited(&made, &edit)["data"],
            json!({KEY: format!("a: 1\n{MADE}")})
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_and_told() {
        let broken = config(json!({KEY: "a: ["}));
        assert!(step(&broken, &sink()).is_err());
        assert_eq!(undo(&broken, &sink()), None);
    }

    proptest! {
        #[test]
        fn any_config_map_is_as_it_was(
            text in prop::option::of("(a: 1\n)?([a-z]{1,3}: [a-z]{1,3}\n)?(payloadProcessors:( x(,y)?)?\n?)?"),
            other in prop::option::of("[a-z]{0,5}"),
        ) {
            let mut data = serde_json::Map::new();
            data.extend(text.map(|text| (KEY.to_owned(), text.into())));
            data.extend(other.map(|other| ("other".to_owned(), other.into())));
            let data = if data.is_empty() { Value::Null } else { data.into() };
            let before = config(data);
            if let Ok(Some(edit)) = step(&before, &sink()) {
                let wired = edited(&before, &edit);
                prop_assert_eq!((edit.change)(&wired, &edit.wanted), Change::Nothing);
                let edit = undo(&wired, &sink()).expect("an edit");
                prop_assert_eq!(edited(&wired, &edit), before);
            }
        }
    }
}
