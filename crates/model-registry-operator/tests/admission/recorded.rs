//! What the Go operator's webhooks were recorded to store and to refuse.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

use std::{path::Path, sync::Arc};

use api::modelregistry::conversion::convert;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use model_registry_operator::registry::{config::Config, webhook::RegistryAdmission};
use operator_harness::recorded;
use resources::kind::ROUTE;
use runtime::{
    Capabilities,
    admission::{Admission, Around, Operation, Request},
    offline::admission::admit,
};
use serde_json::{Value, json};

const GROUP: &str = "modelregistry.opendatahub.io";

/// Cases whose stored spec is another, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "wh-oauth",
        "an image of the old proxy stays as it is written",
    ),
    ("wh-v1alpha1-istio", "istio stays as it is written"),
];

fn view(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_saphyr::from_str(&text).expect("YAML"))
}

fn definition(version: &str) -> CustomResourceDefinition {
    if version == "v1alpha1" {
        api::v1alpha1()
    } else {
        api::model_registry()
    }
}

/// The API server's part: prune, default, and refuse by the schema.
fn admitted(object: &Value) -> Result<Value, String> {
    let version = object["apiVersion"]
        .as_str()
        .and_then(|text| text.rsplit('/').next());
    let definition = definition(version.expect("a version"));
    admit(&definition, object)
        .map(|admitted| admitted.object)
        .map_err(|refused| refused.to_string())
}

fn around() -> Around {
    Around::new(
        Arc::new(Capabilities::of([ROUTE])),
        Arc::new(|_| Vec::new()),
    )
}

/// What is stored of the case, as v1beta1, or why nothing is.
fn stored(case: &str, object: Value) -> Result<Value, String> {
    let config = Config::from_lookup(|name| {
        (name == "REGISTRIES_NAMESPACE" && case.starts_with("wh-bad-namespace"))
            .then(|| "opendatahub".to_owned())
    });
    let admission = RegistryAdmission {
        config: config.expect("an environment"),
    };
    let request = |object: Value| Request {
        operation: Operation::Create,
        object,
        old: None,
    };
    // Its rules are asked after defaulting: what they refuse before may yet become right.
    let object = admitted(&object).unwrap_or(object);
    let complete = admission
        .defaulted(&request(object), &around())
        .map_err(|refusal| refusal.message)?;
    let complete = admitted(&complete)?;
    admission
        .check(&request(complete.clone()), &around())
        .map_err(|refusal| refusal.message)?;
    let hub = convert(complete, &format!("{GROUP}/v1beta1")).expect("a version");
    Ok(admitted(&hub).expect("what is stored can be read"))
}

#[test]
fn what_is_stored_and_refused_is_as_recorded() {
    let Some(root) = recorded::folder("model-registry/openshift") else {
        return;
    };
    let mut compared = 0;
    let mut different = Vec::new();
    for folder in recorded::cases(&root) {
        let case = recorded::name(&folder).to_owned();
        if !case.starts_with("wh-") {
            continue;
        }
        compared += 1;
        let ours = stored(&case, recorded::resource(&folder).0);
        if let Ok(rejected) = std::fs::read_to_string(folder.join("rejected.txt")) {
            let refused = ours.expect_err("refused");
            let sentence = rejected
                .trim()
                .rsplit_once("denied the request: ")
                .or_else(|| rejected.trim().rsplit_once("Invalid value: "));
            let (_, sentence) = sentence.expect("a sentence");
            assert!(
                refused.contains(sentence),
                "{case}: {refused:?} is not {sentence:?}"
            );
            continue;
        }
        let ours = ours.expect("stored");
        let views = [
            "status.yaml",
            "read-as-v1alpha1.yaml",
            "read-as-v1beta1.yaml",
        ];
        let differs = views.iter().any(|file| {
            let Some(theirs) = view(&folder.join(file)) else {
                return false;
            };
            let named = if file.contains("v1alpha1") {
                "v1alpha1"
            } else {
                "v1beta1"
            };
            let version = theirs["apiVersion"]
                .as_str()
                .map_or_else(|| format!("{GROUP}/{named}"), str::to_owned);
            let view = convert(ours.clone(), &version).expect("a version");
            view["spec"] != without_noise(theirs["spec"].clone(), &view["spec"])
        });
        if differs {
            different.push(case);
        }
    }
    different.sort();
    let expected: Vec<&str> = DIFFERENT.iter().map(|(case, _)| *case).collect();
    assert_eq!(different, expected);
    assert!(compared > 10, "{compared} cases were compared");
}

/// Without `grpc` at its defaults and `skipDBCreation: false`, where ours leaves them away: the Go
/// operator's types write every field.
fn without_noise(mut theirs: Value, ours: &Value) -> Value {
    if ours.get("grpc").is_none() && theirs["grpc"] == json!({"port": 9090}) {
        theirs.as_object_mut().expect("a spec").remove("grpc");
    }
    if theirs["mysql"].get("skipDBCreation").is_none() && ours["mysql"]["skipDBCreation"] == false {
        theirs["mysql"]["skipDBCreation"] = false.into();
    }
    theirs
}
