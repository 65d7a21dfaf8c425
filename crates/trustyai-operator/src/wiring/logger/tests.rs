use proptest::prelude::*;

use super::*;
use crate::wiring::tests::edited;

const THEIRS: &str = "http://mine.example.test/";

fn sink(name: &str) -> Sink {
    Sink {
        name: name.into(),
        namespace: "ns".into(),
    }
}

fn inference_service(logger: Value) -> Value {
    let mut object = json!({
        "metadata": {"name": "model", "uid": "1", "annotations": {"a": "b"}},
        "spec": {"predictor": {"model": {"name": ""}}},
    });
    if !logger.is_null() {
        object["spec"]["predictor"]["logger"] = logger;
    }
    object
}

struct Case {
    tls: Option<bool>,
    reachable: bool,
    policy: LoggerPolicy,
}

const KEEP: Case = Case {
    tls: Some(true),
    reachable: true,
    policy: LoggerPolicy::Keep,
};
const REPLACE: Case = Case {
    policy: LoggerPolicy::Replace,
    ..KEEP
};

fn of(object: &Value, case: &Case) -> Step {
    let wish = Wish {
        sink: &sink("tas"),
        tls: case.tls,
        reachable: case.reachable,
        policy: case.policy,
        neighbours: &[sink("younger")],
    };
    step(object, wish)
}

fn shared(step: Step) -> (Value, bool) {
    match step {
        Step::Share(share) => (
            share.body["spec"]["predictor"]["logger"].clone(),
            share.overwrite,
        ),
        other => panic!("{other:?}"),
    }
}

fn ours(tls: bool) -> Value {
    json!({"mode": "all", "url": sink("tas").logger(tls)})
}

#[test]
fn a_free_logger_is_shared_once_the_service_answers() {
    let free = inference_service(Value::Null);
    assert_eq!(shared(of(&free, &KEEP)), (ours(true), false));
    let plain = Case {
        tls: Some(false),
        ..KEEP
    };
    assert_eq!(shared(of(&free, &plain)), (ours(false), false));
    let silent = Case {
        reachable: false,
        ..KEEP
    };
    assert_eq!(of(&free, &silent), Step::Later);
    // What is wired stays wired through a restart, and a change of the mode changes the address.
    let wired = inference_service(ours(true));
    assert_eq!(shared(of(&wired, &silent)), (ours(true), false));
    assert_eq!(shared(of(&wired, &plain)), (ours(false), false));
    let other_mode = json!({"mode": "request", "url": sink("tas").logger(true)});
    assert_eq!(
        shared(of(&inference_service(other_mode.clone()), &KEEP)),
        (other_mode, false)
    );
    // Another service's is nobody's choice.
    let younger = json!({"mode": "all", "url": sink("younger").logger(true)});
    assert_eq!(
        shared(of(&inference_service(younger), &KEEP)),
        (ours(true), true)
    );
}

#[test]
fn a_logger_of_somebody_else_stays_unless_asked_for() {
    for logger in [
        json!({"mode": "request", "url": THEIRS}),
        json!({"mode": "all"}),
    ] {
        let object = inference_service(logger.clone());
        let url = logger["url"].as_str().unwrap_or_default().to_owned();
        assert_eq!(of(&object, &KEEP), Step::Foreign(url));
        let silent = Case {
            reachable: false,
            ..REPLACE
        };
        assert_eq!(of(&object, &silent), Step::Later);
        let Step::Wire(edit) = of(&object, &REPLACE) else {
            panic!("replaced");
        };
        let wired = edited(&object, &edit);
        assert_eq!(wired["spec"]["predictor"]["logger"], ours(true));
        assert_eq!((edit.change)(&wired, &edit.wanted), Change::Nothing);
        assert_eq!(of(&wired, &REPLACE), Step::Wired);
        assert_eq!(of(&wired, &silent), Step::Wired);
        // Taken back by policy, by mode, and with the service.
        let none = Case {
            tls: None,
            ..REPLACE
        };
        for case in [&KEEP, &none] {
            let Step::Unwire(edit) = of(&wired, case) else {
                panic!("taken back");
            };
            assert_eq!(edited(&wired, &edit), object);
        }
        let edit = undo(&wired, &sink("tas")).expect("an edit");
        assert_eq!(edited(&wired, &edit), object);
    }
}

#[test]
fn what_somebody_sets_in_the_place_of_ours_stays_when_it_is_taken_back() {
    let object = inference_service(json!({"mode": "request", "url": THEIRS}));
    let Step::Wire(edit) = of(&object, &REPLACE) else {
        panic!("replaced");
    };
    let mut wired = edited(&object, &edit);
    let newer = json!({"mode": "response", "url": "http://newer.example.test"});
    wired["spec"]["predictor"]["logger"] = newer.clone();
    let edit = undo(&wired, &sink("tas")).expect("an edit");
    assert_eq!(edited(&wired, &edit), inference_service(newer.clone()));
    // While it is asked for, it is replaced again, and the newer one is kept.
    let Step::Wire(edit) = of(&wired, &REPLACE) else {
        panic!("replaced");
    };
    let again = edited(&wired, &edit);
    let edit = undo(&again, &sink("tas")).expect("an edit");
    assert_eq!(edited(&again, &edit), inference_service(newer));
    // Taken away altogether: the free place is shared, after the note has gone.
    wired["spec"]["predictor"]["logger"] = Value::Null;
    let Step::Unwire(edit) = of(&wired, &REPLACE) else {
        panic!("the note goes");
    };
    assert_eq!(
        shared(of(&edited(&wired, &edit), &REPLACE)),
        (ours(true), false)
    );
}

#[test]
fn what_the_go_operator_left_goes_and_what_a_person_wrote_stays() {
    let written_by = |manager: &str| {
        let mut object = inference_service(ours(false));
        object["metadata"]["managedFields"] = json!([{
            "manager": manager, "operation": "Update",
            "fieldsV1": {"f:spec": {"f:predictor": {"f:logger": {"f:url": {}}}}},
        }]);
        object
    };
    let none = Case { tls: None, ..KEEP };
    let live = written_by("manager");
    let Step::Unwire(edit) = of(&live, &none) else {
        panic!("released");
    };
    assert!(
        edited(&live, &edit)["spec"]["predictor"]
            .get("logger")
            .is_none()
    );
    let by_hand = written_by("kubectl");
    assert_eq!((edit.change)(&by_hand, &edit.wanted), Change::Nothing);
    assert_eq!(of(&inference_service(Value::Null), &none), Step::Nothing);
    assert_eq!(
        of(&inference_service(json!({"url": THEIRS})), &none),
        Step::Nothing
    );
}

fn logger() -> impl Strategy<Value = Value> {
    let text = "[a-z:/.]{0,12}";
    let member = prop_oneof![
        text.prop_map(|t| json!(t)),
        any::<u8>().prop_map(|n| json!(n)),
        prop::collection::vec(text, 0..3).prop_map(|v| json!(v)),
        prop::collection::btree_map("[a-c]", text, 0..3).prop_map(|m| json!(m)),
    ];
    let key = prop_oneof![
        Just("mode"),
        Just("url"),
        Just("metadataHeaders"),
        Just("storage")
    ];
    prop::collection::btree_map(key, member, 0..4).prop_map(|members| json!(members))
}

proptest! {
    #[test]
    fn any_logger_comes_back_as_it_was(logger in logger(), annotated in any::<bool>()) {
        let mut object = inference_service(logger);
        if !annotated {
            object["metadata"].as_object_mut().unwrap().remove("annotations");
        }
        let step = of(&object, &REPLACE);
        let Step::Wire(edit) = step else {
            return Err(TestCaseError::fail(format!("{step:?}")));
        };
        let wired = edited(&object, &edit);
        prop_assert_eq!(&wired["spec"]["predictor"]["logger"], &ours(true));
        let undo = undo(&wired, &sink("tas")).expect("an edit");
        prop_assert_eq!(edited(&wired, &undo), object);
    }
}
