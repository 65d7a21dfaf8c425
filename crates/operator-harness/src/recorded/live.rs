//! What a cluster makes of planned objects, for what an operator says of them.

use resources::Kind;
use resources::kind::{DEPLOYMENT, JOB, PERSISTENT_VOLUME_CLAIM, ROUTE};
use serde_json::{Value, json};

/// What the cluster makes of a planned object when all goes well. Nothing for one that is only
/// stored.
pub fn live(kind: Kind, body: &Value) -> Vec<Value> {
    let mut object = body.clone();
    match kind {
        DEPLOYMENT => {
            let wanted = body["spec"]["replicas"].as_i64().unwrap_or(1);
            object["metadata"]["generation"] = json!(1);
            object["status"] = json!({
                "observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted,
                "readyReplicas": wanted,
                "conditions": [
                    {"type": "Available", "status": "True"},
                    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                ],
            });
            if wanted == 0 {
                return vec![object];
            }
            let template = &body["spec"]["template"];
            let containers = template["spec"]["containers"]
                .as_array()
                .expect("containers");
            let statuses: Vec<_> = containers
                .iter()
                .map(|c| json!({"name": c["name"], "ready": true, "image": "", "imageID": "", "restartCount": 0}))
                .collect();
            let name = &body["metadata"]["name"];
            let namespace = &body["metadata"]["namespace"];
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]},
                "spec": template["spec"], "status": {"containerStatuses": statuses},
            });
            let mut labels = template["metadata"]["labels"].clone();
            labels["kubernetes.io/service-name"] = name.clone();
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": namespace, "labels": labels},
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            });
            vec![object, pod, slice]
        }
        JOB => {
            object["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
            vec![object]
        }
        PERSISTENT_VOLUME_CLAIM => {
            object["status"] = json!({"phase": "Bound"});
            vec![object]
        }
        ROUTE => {
            object["status"] =
                json!({"ingress": [{"conditions": [{"type": "Admitted", "status": "True"}]}]});
            vec![object]
        }
        _ => Vec::new(),
    }
}

/// What is said of a case, in one form for both sides: those of `conditions` by type, without times;
/// `fields` of the status as they are; and events, each its type (`Normal`, `Warning`), reason and
/// message, by reason.
pub fn said(
    status: &Value,
    conditions: &[&str],
    fields: &[&str],
    events: impl IntoIterator<Item = [String; 3]>,
) -> Value {
    let mut said = json!({"status": {"conditions": {}}});
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let type_ = condition["type"].as_str().expect("a type");
        if conditions.contains(&type_) {
            let told = ["status", "reason", "message"].map(|key| (key, condition[key].clone()));
            said["status"]["conditions"][type_] = told.into_iter().collect();
        }
    }
    for field in fields {
        if let Some(value) = status.get(field) {
            said["status"][*field] = value.clone();
        }
    }
    for [type_, reason, message] in events {
        said["events"][&reason] = json!({"type": type_, "message": message});
    }
    said
}

/// The recorded events, a line each: `Normal PVCCreated KIND/NAME [REPORTER] PVC created`.
pub fn events(text: &str) -> Vec<[String; 3]> {
    let lines = text.lines().filter(|line| *line != "(none)");
    lines
        .map(|line| {
            let (head, message) = line.split_once("] ").expect("a reporter");
            let mut words = head.split(' ').map(str::to_owned);
            let mut word = || words.next().expect("a word");
            [word(), word(), message.to_owned()]
        })
        .collect()
}
