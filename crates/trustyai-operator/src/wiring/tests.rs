use std::sync::Arc;

use kube::core::ObjectMeta;
use resources::kind::{CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE};
use resources::{Change, Plan};
use runtime::{Outcome, Target};
use serde_json::json;

use super::*;

fn asked() -> Asked {
    Asked {
        sink: Sink {
            name: "tas".into(),
            namespace: "ns".into(),
        },
        method: ModelMeshMethod::Auto,
        loggers: LoggerPolicy::Keep,
        knative: true,
        authority: Authority::ServiceCa,
    }
}

fn model(name: &str, mode: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "annotations": {mode::ANNOTATION: mode}},
        "spec": {"predictor": {}},
    })
}

fn server(name: &str, ready: u8) -> Arc<Value> {
    Arc::new(json!({
        "metadata": {"name": name, "uid": name},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "mm"}]}}},
        "status": {"readyReplicas": ready},
    }))
}

fn seen(models: &[Value]) -> Seen {
    Seen {
        reachable: true,
        inference_services: models.to_vec(),
        ..Seen::default()
    }
}

fn planned(asked: &Asked, seen: &Seen) -> Plan {
    let own = |name: &str| ObjectMeta {
        name: Some(name.into()),
        namespace: Some("ns".into()),
        ..ObjectMeta::default()
    };
    let mut plan = Plan::default();
    let wiring = Wiring::of(asked.clone(), seen);
    wiring.plan(own, &mut plan).unwrap();
    plan
}

/// What an edit makes of an object.
pub(super) fn edited(live: &Value, edit: &Edit) -> Value {
    match (edit.change)(live, &edit.wanted) {
        Change::Merge(patch) => {
            let mut after = live.clone();
            json_patch::merge(&mut after, &patch);
            after
        }
        other => panic!("{other:?}"),
    }
}

/// Names and addresses that loggers are shared with.
fn shares(plan: &Plan) -> Vec<(String, String)> {
    let url = |share: &resources::Share| {
        let url = share.body.pointer("/spec/predictor/logger/url");
        url.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let shares = plan.shares().iter();
    shares
        .map(|share| (share.name.clone(), url(share)))
        .collect()
}

fn told(asked: &Asked, seen: &Seen, type_: conditions::ConditionType) -> Option<String> {
    let wiring = Wiring::of(asked.clone(), seen);
    let all = wiring.conditions(&Outcome::default());
    let found = all.into_iter().find(|wanted| wanted.type_ == type_)?;
    Some(format!(
        "{} {}: {}",
        found.status, found.reason, found.message
    ))
}

#[test]
fn each_mode_has_its_address_and_unknown_ones_have_none() {
    let models = [
        model("raw", "RawDeployment"),
        model("standard", "Standard"),
        model("serverless", "Serverless"),
        model("mesh", "ModelMesh"),
        model("odd", "Odd"),
    ];
    let url = |scheme: &str| format!("{scheme}://tas.ns.svc.cluster.local");
    let wanted = [
        ("raw", "https"),
        ("standard", "https"),
        ("serverless", "http"),
    ];
    let mut wanted: Vec<_> = wanted
        .map(|(name, scheme)| (name.to_owned(), url(scheme)))
        .into();
    let seen = seen(&models);
    assert_eq!(shares(&planned(&asked(), &seen)), wanted);
    let without = Asked {
        knative: false,
        ..asked()
    };
    wanted.pop();
    assert_eq!(shares(&planned(&without, &seen)), wanted);
    let why = told(&without, &seen, WIRED).expect("told");
    assert!(
        why.contains("serverless") && why.contains("kServeServerless"),
        "{why}"
    );
    assert!(
        why.contains("odd") && why.starts_with("False NotAllWired"),
        "{why}"
    );
}

#[test]
fn nothing_is_wired_before_the_service_answers() {
    let mut seen = seen(&[model("raw", "Standard")]);
    seen.servers = vec![server("modelmesh-serving-x", 2)];
    seen.reachable = false;
    let plan = planned(&asked(), &seen);
    assert!(plan.shares().is_empty() && plan.edits().is_empty());
    let why = told(&asked(), &seen, WIRED).expect("told");
    assert!(why.starts_with("False ServiceNotReachable"), "{why}");
    seen.reachable = true;
    let plan = planned(&asked(), &seen);
    assert_eq!((plan.shares().len(), plan.edits().len()), (1, 1));
    let all = told(&asked(), &seen, WIRED).expect("told");
    assert!(all.starts_with("True AllWired"), "{all}");
}

#[test]
fn a_younger_service_wires_nothing_and_says_who_does() {
    let mut seen = seen(&[model("raw", "Standard")]);
    seen.servers = vec![server("modelmesh-serving-x", 2)];
    seen.older = Some("first".into());
    let plan = planned(&asked(), &seen);
    assert!(plan.shares().is_empty() && plan.edits().is_empty());
    let why = told(&asked(), &seen, CONFLICT).expect("told");
    assert!(why.contains("TrustyAIService first"), "{why}");
    assert_eq!(told(&asked(), &seen, WIRED), None);
    let notes = Wiring::of(asked(), &seen).events(&Outcome::default());
    assert_eq!(notes.len(), 1);
    // What it wired before goes.
    seen.older = None;
    let plan = planned(&asked(), &seen);
    let [edit] = plan.edits() else {
        panic!("one edit");
    };
    let wired = edited(&seen.servers[0], edit);
    let wired = Seen {
        older: Some("first".into()),
        servers: vec![Arc::new(wired)],
        ..seen
    };
    assert_eq!(planned(&asked(), &wired).edits().len(), 1);
    assert_eq!(undo(&asked().sink, &wired).len(), 1);
}

#[test]
fn modelmesh_is_told_where_its_controller_runs_or_as_asked() {
    let mut seen = seen(&[]);
    seen.servers = vec![server("modelmesh-serving-x", 2)];
    let ways = |asked: &Asked, seen: &Seen| {
        let plan = planned(asked, seen);
        let edits = plan
            .edits()
            .iter()
            .filter(|edit| edit.kind == DEPLOYMENT)
            .count();
        (edits, plan.get(CONFIG_MAP, serving_config::NAME).is_some())
    };
    let by = |method| Asked { method, ..asked() };
    assert_eq!(ways(&asked(), &seen), (1, false));
    assert_eq!(ways(&by(ModelMeshMethod::None), &seen), (0, false));
    assert_eq!(ways(&by(ModelMeshMethod::ConfigMap), &seen), (0, true));
    seen.controller = Some(server(modelmesh::CONTROLLER, 2));
    assert_eq!(ways(&asked(), &seen), (0, true));
    assert_eq!(ways(&by(ModelMeshMethod::Env), &seen), (1, false));
    // One that is there is edited.
    let config = json!({"metadata": {"uid": "1"}, "data": {"config.yaml": "a: 1\n"}});
    seen.serving_config = Some(Arc::new(config));
    let plan = planned(&asked(), &seen);
    assert!(plan.objects().is_empty());
    assert_eq!(plan.edits().len(), 1);
    let broken = json!({"metadata": {"uid": "1"}, "data": {"config.yaml": "a: ["}});
    seen.serving_config = Some(Arc::new(broken));
    assert!(planned(&asked(), &seen).edits().is_empty());
    let why = told(&asked(), &seen, WIRED).expect("told");
    assert!(
        why.contains("config.yaml of ConfigMap model-serving-config: it is not valid"),
        "{why}"
    );
}

#[test]
fn the_health_of_modelmesh_is_that_of_its_deployments() {
    let mut seen = seen(&[]);
    let of = |seen: &Seen| told(&asked(), seen, MODEL_MESH).expect("told");
    assert!(of(&seen).starts_with("Unknown ModelMeshNotPresent"));
    seen.servers = vec![server("x", 2)];
    assert_eq!(
        of(&seen),
        "True ModelMeshHealthy: ModelMesh is running and healthy."
    );
    seen.servers.push(server("y", 1));
    assert!(of(&seen).starts_with("False ModelMeshNotHealthy") && of(&seen).contains(": y;"));
}

#[test]
fn loggers_verify_by_the_bundle_that_kserve_names() {
    let mut seen = seen(&[model("raw", "Standard")]);
    let bundle = |asked: &Asked, seen: &Seen| {
        planned(asked, seen)
            .get(CONFIG_MAP, "bundle")
            .map(|object| object.body.clone())
    };
    assert_eq!(bundle(&asked(), &seen), None, "KServe names none");
    seen.config.logger.ca_bundle = "bundle".into();
    let made = bundle(&asked(), &seen).expect("a bundle");
    let annotations = &made["metadata"]["annotations"];
    assert_eq!(
        annotations,
        &json!({"service.beta.openshift.io/inject-cabundle": "true"})
    );
    let own = Asked {
        authority: Authority::Own("PEM".into()),
        ..asked()
    };
    seen.config.logger.ca_cert_file = "ca.pem".into();
    assert_eq!(
        bundle(&own, &seen).expect("a bundle")["data"],
        json!({"ca.pem": "PEM"})
    );
    let why = told(&asked(), &seen, WIRED).expect("told");
    assert!(why.contains("logger.caCertFile"), "{why}");
    let unknown = Asked {
        authority: Authority::Unknown,
        ..asked()
    };
    assert_eq!(bundle(&unknown, &seen), None);
    let why = told(&unknown, &seen, WIRED).expect("told");
    assert!(why.contains("ca.pem of ConfigMap bundle"), "{why}");
    // Without TLS nobody verifies.
    seen.inference_services = vec![model("serverless", "Knative")];
    assert_eq!(bundle(&own, &seen), None);
}

#[test]
fn a_model_in_the_mesh_is_led_to_tls() {
    let mut meshed = model("raw", "Serverless");
    meshed["metadata"]["annotations"]["sidecar.istio.io/inject"] = "true".into();
    let mut seen = seen(&[meshed]);
    assert!(planned(&asked(), &seen).objects().is_empty(), "no such API");
    seen.mesh = vec![DESTINATION_RULE, VIRTUAL_SERVICE];
    let plan = planned(&asked(), &seen);
    let host = "tas.ns.svc.cluster.local";
    assert_eq!(
        plan.get(DESTINATION_RULE, "tas-internal")
            .expect("a rule")
            .body["spec"],
        json!({"host": host, "trafficPolicy": {"portLevelSettings": [
            {"port": {"number": 443}, "tls": {"mode": "SIMPLE"}}]}})
    );
    assert_eq!(
        plan.get(VIRTUAL_SERVICE, "tas-redirect")
            .expect("a service")
            .body["spec"],
        json!({"hosts": [host], "http": [{"match": [{"port": 80}],
            "route": [{"destination": {"host": host, "port": {"number": 443}}}]}]})
    );
    seen.inference_services = vec![model("raw", "Serverless")];
    assert!(planned(&asked(), &seen).objects().is_empty());
}

#[test]
fn events_say_what_was_wired() {
    let mut seen = seen(&[model("raw", "Standard")]);
    seen.servers = vec![server("x", 2)];
    let wiring = Wiring::of(asked(), &seen);
    let mut outcome = Outcome::default();
    assert!(wiring.events(&outcome).is_empty());
    for (kind, name) in [(logger::INFERENCE_SERVICE, "raw"), (DEPLOYMENT, "x")] {
        outcome.updated.push(Target {
            kind,
            namespace: Some("ns".into()),
            name: name.into(),
        });
    }
    let notes = wiring.events(&outcome);
    let messages: Vec<_> = notes.iter().map(|note| note.message.as_str()).collect();
    let configured = [
        "KServe InferenceService configured",
        "ModelMesh InferenceService configured",
    ];
    assert_eq!(messages, configured);
}
