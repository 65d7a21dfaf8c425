use proptest::prelude::*;

use super::*;

const URL: &str = "https://tas.ns.svc/consumer/kserve/v2";

fn sink() -> Sink {
    Sink {
        name: "tas".into(),
        namespace: "ns".into(),
    }
}

fn deployment(containers: &Value, volumes: Value) -> Value {
    let mut spec = json!({"containers": containers});
    if !volumes.is_null() {
        spec["volumes"] = volumes;
    }
    json!({"metadata": {"name": "modelmesh-serving-x", "uid": "1"}, "spec": {"template": {"spec": spec}}})
}

fn with_env(env: Value) -> Value {
    let mut mm = json!({"name": "mm", "image": "i"});
    if !env.is_null() {
        mm["env"] = env;
    }
    deployment(&json!([mm, {"name": "other"}]), Value::Null)
}

fn merged(object: &Value, patch: &Value) -> Value {
    let mut after = object.clone();
    json_patch::merge(&mut after, patch);
    after
}

/// What the Go operator does to each container.
fn wired_by_go(before: &Value) -> Value {
    let mut after = before.clone();
    let volume = json!({"name": "tas-internal", "secret": {"secretName": "tas-internal", "defaultMode": 420}});
    let spec = &mut after["spec"]["template"]["spec"];
    if spec["volumes"].is_null() {
        spec["volumes"] = json!([]);
    }
    spec["volumes"].as_array_mut().unwrap().push(volume);
    for container in spec["containers"].as_array_mut().unwrap() {
        let mount = json!({"name": "tas-internal", "mountPath": MOUNT, "readOnly": true});
        push(container, "volumeMounts", mount);
        match named(container, "env", PROCESSORS).map(|entry| text(entry, "value").to_owned()) {
            None => push(container, "env", json!({"name": PROCESSORS, "value": URL})),
            Some(known) => set(container, PROCESSORS, &format!("{known} {URL}")),
        }
        if text(container, "name") == CONTAINER && named(container, "env", CERTIFICATE).is_none() {
            push(
                container,
                "env",
                json!({"name": CERTIFICATE, "value": CERTIFICATE_FILE}),
            );
        }
    }
    after
}

#[test]
fn the_sender_is_told_and_nobody_else() {
    let before = with_env(Value::Null);
    let edit = step(&before, &sink()).unwrap().expect("an edit");
    let Change::Merge(patch) = (edit.change)(&before, &edit.wanted) else {
        panic!("a patch");
    };
    assert_eq!(
        merged(&before, &patch)["spec"]["template"]["spec"],
        json!({
            "containers": [{
                "name": "mm", "image": "i",
                "env": [
                    {"name": "MM_PAYLOAD_PROCESSORS", "value": URL},
                    {"name": "MM_TLS_KEY_CERT_PATH", "value": "/etc/trustyai/tls/tls.crt"},
                ],
                "volumeMounts": [{"name": "tas-internal", "mountPath": "/etc/trustyai/tls", "readOnly": true}],
            }, {"name": "other"}],
            "volumes": [{"name": "tas-internal", "secret": {"secretName": "tas-internal", "optional": true}}],
        })
    );
}

#[test]
fn what_somebody_else_needs_is_not_taken() {
    let referred = json!([{"name": PROCESSORS, "valueFrom": {"configMapKeyRef": {}}}]);
    assert_eq!(
        step(&with_env(referred), &sink()),
        Err(Unfit::Referred(URL.into()))
    );
    let other = deployment(&json!([{"name": "other"}]), Value::Null);
    assert_eq!(step(&other, &sink()), Err(Unfit::NoContainer));
    let mounted =
        json!([{"name": "mm", "volumeMounts": [{"name": "x", "mountPath": "/etc/trustyai/tls/"}]}]);
    assert!(matches!(
        step(&deployment(&mounted, Value::Null), &sink()),
        Err(Unfit::Taken(_))
    ));
    let volume = json!([{"name": "tas-internal", "emptyDir": {}}]);
    let taken = deployment(&json!([{"name": "mm"}]), volume);
    assert!(matches!(step(&taken, &sink()), Err(Unfit::Taken(_))));
    assert_eq!(undo(&taken, &sink()), None);
    let certificate = json!([{"name": CERTIFICATE, "value": CERTIFICATE_FILE}]);
    assert!(matches!(
        step(&with_env(certificate), &sink()),
        Err(Unfit::Taken(_))
    ));
}

#[test]
fn what_the_go_operator_wired_stays_until_the_service_goes() {
    let before = with_env(json!([{"name": "A", "value": "b"}]));
    let wired = wired_by_go(&before);
    assert_eq!(step(&wired, &sink()), Ok(None), "nothing restarts");
    let patch = unwired(&wired, &sink()).expect("a patch");
    assert_eq!(merged(&wired, &patch), before);
}

#[test]
fn a_deployment_that_was_never_wired_needs_nothing() {
    for env in [
        Value::Null,
        json!([{"name": PROCESSORS, "value": "http://a"}]),
    ] {
        assert_eq!(undo(&with_env(env), &sink()), None);
    }
}

#[test]
fn ours_goes_from_wherever_it_is() {
    for (list, left) in [
        (format!("{URL} a"), "a"),
        (format!("a {URL} b"), "a b"),
        (format!("a  {URL}"), "a "),
        (format!("{URL} {URL}"), ""),
    ] {
        assert_eq!(without(&list, URL), Some(left.to_owned()), "{list:?}");
    }
}

fn container() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just("mm"), Just("mlserver"), Just("rest-proxy")];
    let value = prop_oneof![
        Just(None),
        "(http://)?[a-z]{1,5}( {1,2}[a-z]{1,5}){0,2} ?".prop_map(Some),
    ];
    let key = prop_oneof![
        2 => Just(PROCESSORS.to_owned()),
        1 => Just(CERTIFICATE.to_owned()),
        2 => "[A-Z]{1,4}",
    ];
    let env = prop::collection::btree_map(key, value, 0..4);
    let mounts = prop::collection::btree_map("[a-z]{1,4}", "/[a-z]{1,4}", 0..3);
    (name, env, mounts).prop_map(|(name, env, mounts)| {
        let mut container = json!({"name": name});
        for (name, value) in env {
            let mut entry = json!({"name": name});
            if let Some(value) = value {
                entry["value"] = value.into();
            }
            push(&mut container, "env", entry);
        }
        for (name, path) in mounts {
            push(
                &mut container,
                "volumeMounts",
                json!({"name": name, "mountPath": path}),
            );
        }
        container
    })
}

fn any_deployment() -> impl Strategy<Value = Value> {
    let volumes = prop::collection::vec("[a-z]{1,4}", 0..3);
    (prop::collection::vec(container(), 1..4), volumes).prop_map(|(containers, volumes)| {
        let volumes: Vec<Value> = volumes
            .into_iter()
            .map(|name| json!({"name": name}))
            .collect();
        let volumes = if volumes.is_empty() {
            Value::Null
        } else {
            volumes.into()
        };
        deployment(&containers.into(), volumes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn wired_and_unwired_a_deployment_is_as_it_was(before in any_deployment()) {
        if let Ok(Some(patch)) = wired(&before, &sink()) {
            let after = merged(&before, &patch);
            prop_assert_eq!(wired(&after, &sink()), Ok(None));
            prop_assert_eq!(after.to_string().matches(URL).count(), 1);
            let back = unwired(&after, &sink()).expect("a patch");
            prop_assert_eq!(merged(&after, &back), before);
        }
    }

    #[test]
    fn wired_by_the_go_operator_and_unwired_it_is_as_it_was(before in any_deployment()) {
        let go = wired_by_go(&before);
        let adopted = match wired(&go, &sink()) {
            Ok(Some(patch)) => merged(&go, &patch),
            _ => go,
        };
        let back = unwired(&adopted, &sink()).expect("a patch");
        prop_assert_eq!(merged(&adopted, &back), before);
    }
}
