//! ModelMesh sends to a service, for as long as it is there.

use std::time::Duration;

use cluster::{Platform, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use resources::kind::{CONFIG_MAP, DEPLOYMENT};
use serde_json::{Value, json};

use crate::harness::{SOON, World, database, files};
use crate::models::{CONFIG, content, models};

fn method(method: &str) -> Value {
    let mut spec = files();
    spec["modelMesh"] = json!({"method": method});
    spec
}

/// What ModelMesh's ConfigMap may say, and what it says with a service in it. `round: 0` counts how
/// often somebody has written it.
const FORMS: [(&str, &str); 7] = [
    (
        "# of the platform\nround: 0\npayloadProcessors:\n- http://theirs\n",
        "# of the platform\nround: 0\npayloadProcessors:\n- URL\n- http://theirs\n",
    ),
    (
        "payloadProcessors: http://a,http://b\nround: 0\n",
        "payloadProcessors: URL,http://a,http://b\nround: 0\n",
    ),
    (
        "round: 0\nPayloadProcessors: []",
        "round: 0\nPayloadProcessors: [URL]",
    ),
    ("round: 0", "payloadProcessors:\n- URL\nround: 0"),
    (
        "payloadProcessors: null\nround: 0\n",
        "payloadProcessors: URL # null\nround: 0\n",
    ),
    (
        "{\"round\": 0}",
        "{\"payloadProcessors\": [ \"URL\" ], \"round\": 0}",
    ),
    (
        "payloadProcessors: [http://a] # mine\nround: 0 # times\n",
        "payloadProcessors: [URL, http://a] # mine\nround: 0 # times\n",
    ),
];

/// Somebody who counts in the ConfigMap, in its text and in a key of its own, and never writes over
/// what they have not read.
async fn count(world: &World, from: u32, to: u32) {
    let configs = world.api(CONFIG_MAP);
    for round in from..to {
        eventually("a turn to write", SOON, || async {
            let mut config = configs.get(CONFIG).await.map_err(|e| e.to_string())?;
            let text = config.data["data"]["config.yaml"].as_str().expect("a text");
            let [now, next] = [round, round + 1].map(|round| counted("round: 0", round));
            let [now, next] = [now, next].map(|line| line.replace("round", key(text)));
            assert!(text.contains(&now), "{text} has lost {now}");
            config.data["data"]["config.yaml"] = text.replace(&now, &next).into();
            config.data["data"]["round"] = (round + 1).to_string().into();
            let written = configs
                .replace(CONFIG, &PostParams::default(), &config)
                .await;
            written.map(drop).map_err(|error| error.to_string())
        })
        .await
        .expect("written");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the text writes the name of the count.
fn key(text: &str) -> &'static str {
    if text.starts_with('{') {
        "\"round\""
    } else {
        "round"
    }
}

/// The text after so many rounds.
fn counted(text: &str, rounds: u32) -> String {
    text.replace("round: 0", &format!("round: {rounds}"))
        .replace("\"round\": 0", &format!("\"round\": {rounds}"))
}

/// ModelMesh's ConfigMap with this text, made by somebody.
async fn config(world: &World, text: &str) -> DynamicObject {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG},
        "data": {"config.yaml": text, "other": "x"}});
    world.create(CONFIG_MAP, "somebody", config).await
}

#[tokio::test]
async fn of_a_config_map_that_somebody_writes_meanwhile_nothing_is_lost() {
    let forms = FORMS.map(|(before, wired)| async move {
        let world = models(Platform::Kubernetes, "mm-config").await;
        let made = config(&world, before).await;
        world.service("tas", &method("configMap")).await;
        let wiring = async {
            world.ready("tas").await;
            world.condition("tas", "ModelsWired", "True").await;
        };
        tokio::join!(count(&world, 0, 40), wiring);
        world.serving_config(&counted(wired, 40)).await;
        tokio::join!(count(&world, 40, 60), world.remove("tas"));
        let left = world.api(CONFIG_MAP).get(CONFIG).await.expect("it stays");
        let data = json!({"config.yaml": counted(before, 60), "other": "x", "round": "60"});
        assert_eq!(left.data["data"], data);
        assert_eq!((left.uid(), left.labels()), (made.uid(), made.labels()));
    });
    futures::future::join_all(forms).await;
}

/// Ours comes back, whatever somebody makes of the rest.
#[tokio::test]
async fn a_config_map_that_is_written_anew_names_the_service_again() {
    let world = models(Platform::Kubernetes, "mm-anew").await;
    let (before, wired) = FORMS[0];
    let made = config(&world, before).await;
    world.service("tas", &method("configMap")).await;
    world.serving_config(wired).await;
    let write = async |text: &str| {
        let text = text.replace("URL", &world.processor("tas"));
        let data = json!({"data": {"config.yaml": text}});
        world.edit(CONFIG_MAP, CONFIG, data).await;
    };
    for (theirs, wired) in FORMS {
        write(theirs).await;
        world.serving_config(wired).await;
    }
    write("a: [").await;
    let told = world.condition("tas", "ModelsWired", "False").await;
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("not valid YAML"), "{message}");
    world.serving_config("a: [").await;
    write(before).await;
    world.serving_config(wired).await;
    world.condition("tas", "ModelsWired", "True").await;
    world.remove("tas").await;
    world.as_it_was(CONFIG_MAP, &made).await;
}

/// What nobody can read is left as it is, but for the line that is ours.
#[tokio::test]
async fn invalid_yaml_does_not_keep_a_service() {
    let world = models(Platform::Kubernetes, "mm-invalid").await;
    let ours = "payloadProcessors:\n- URL\na: [\n".replace("URL", &world.processor("tas"));
    for (text, left) in [("a: [", "a: ["), (&ours, "payloadProcessors:\na: [\n")] {
        config(&world, text).await;
        world.service("tas", &method("configMap")).await;
        world.ready("tas").await;
        world.condition("tas", "ModelsWired", "False").await;
        world.serving_config(text).await;
        world.remove("tas").await;
        world.serving_config(left).await;
        let params = DeleteParams::default();
        let configs = world.api(CONFIG_MAP);
        let gone = cluster::remove(&configs, CONFIG, &params, SOON).await;
        gone.expect("gone");
    }
}

#[tokio::test]
async fn a_config_map_that_was_made_for_the_service_goes_with_it() {
    let world = models(Platform::Kubernetes, "mm-made").await;
    world.service("tas", &method("configMap")).await;
    world
        .serving_config("payloadProcessors:\n- URL\n# made by the TrustyAI operator\n")
        .await;
    world.condition("tas", "ModelsWired", "True").await;
    world.remove("tas").await;
    let left = world.api(CONFIG_MAP).get_opt(CONFIG).await;
    assert!(left.expect("an answer").is_none());
}

/// One service never answered, one was told to tell nothing, and one Deployment cannot be told.
#[tokio::test]
async fn servers_that_were_never_wired_do_not_keep_a_service() {
    for (spec, container) in [
        (database(), "mm"),
        (method("none"), "mm"),
        (method("env"), "other"),
    ] {
        let world = models(Platform::Kubernetes, "mm-never").await;
        let pods = json!({"containers": [{"name": container, "image": "i"}]});
        let name = "modelmesh-serving-a";
        let server = world.server(name, "somebody", pods).await;
        cluster::available(&world.client, &world.namespace, name, SOON)
            .await
            .expect("it runs");
        world.service("tas", &spec).await;
        world.condition("tas", "ModelMeshReady", "True").await;
        world.remove("tas").await;
        let left = world.api(DEPLOYMENT).get(name).await.expect("it stays");
        assert_eq!(content(&left), content(&server));
        assert_eq!(left.metadata.generation, Some(1));
    }
}

#[tokio::test]
async fn modelmesh_is_told_by_the_environment_of_its_servers() {
    let world = models(Platform::Kubernetes, "mm-env").await;
    let listed = json!([{"name": "MM_PAYLOAD_PROCESSORS", "value": "http://theirs"}]);
    let listed = json!({"containers": [{"name": "mm", "image": "i", "env": listed}, {"name": "other", "image": "i"}]});
    let first = world
        .server("modelmesh-serving-a", "somebody", listed)
        .await;
    world.service("tas", &files()).await;
    let processor = format!("https://tas.{}.svc/consumer/kserve/v2", world.namespace);
    let value = |server: &DynamicObject| {
        server.data["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"].clone()
    };
    let both = json!(format!("http://theirs {processor}"));
    let wired = world
        .until(DEPLOYMENT, "modelmesh-serving-a", |s| value(s) == both)
        .await;
    assert_eq!(
        wired.metadata.generation,
        Some(2),
        "one change, one restart"
    );
    world.condition("tas", "ModelsWired", "True").await;
    // One that appears later, and one that loses what was set.
    let none = json!({"containers": [{"name": "mm", "image": "i"}]});
    let later = world.server("modelmesh-serving-b", "somebody", none).await;
    world
        .until(DEPLOYMENT, "modelmesh-serving-b", |s| {
            value(s) == processor.as_str()
        })
        .await;
    let reset = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "http://theirs"}]);
    let reset: json_patch::Patch = serde_json::from_value(reset).expect("a patch");
    world
        .api(DEPLOYMENT)
        .patch(
            "modelmesh-serving-a",
            &PatchParams::default(),
            &Patch::Json::<()>(reset),
        )
        .await
        .expect("reset");
    world
        .until(DEPLOYMENT, "modelmesh-serving-a", |s| value(s) == both)
        .await;
    world.condition("tas", "ModelMeshReady", "True").await;
    // Another way, and none.
    world.set(json!({"modelMesh": {"method": "none"}})).await;
    for before in [&first, &later] {
        world.as_it_was(DEPLOYMENT, before).await;
    }
    world.remove("tas").await;
    for before in [&first, &later] {
        world.as_it_was(DEPLOYMENT, before).await;
    }
}

#[tokio::test]
async fn the_config_map_is_the_way_where_the_controller_runs() {
    let world = models(Platform::Kubernetes, "mm-auto").await;
    let labels = json!({"name": "controller"});
    let controller = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "modelmesh-controller"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "manager", "image": "i"}]}}},
    });
    world.create(DEPLOYMENT, "somebody", controller).await;
    let none = json!({"containers": [{"name": "mm", "image": "i"}]});
    let server = world.server("modelmesh-serving-a", "somebody", none).await;
    world.service("tas", &files()).await;
    world
        .serving_config("payloadProcessors:\n- URL\n# made by the TrustyAI operator\n")
        .await;
    world.as_it_was(DEPLOYMENT, &server).await;
    world.condition("tas", "ModelMeshReady", "True").await;
    // The other way undoes the first.
    world.set(json!({"modelMesh": {"method": "env"}})).await;
    let is_told = |server: &DynamicObject| server.data["spec"].to_string().contains("tas-internal");
    world
        .until(DEPLOYMENT, "modelmesh-serving-a", is_told)
        .await;
    let configs = world.api(CONFIG_MAP);
    let gone = cluster::until(&configs, CONFIG, SOON, |config| config.is_none()).await;
    gone.expect("gone");
    world.remove("tas").await;
    world.as_it_was(DEPLOYMENT, &server).await;
}
