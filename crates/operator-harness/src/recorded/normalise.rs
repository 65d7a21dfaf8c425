//! Makes a recorded object and a planned one comparable: what the API server adds to an object is
//! added to both, what no plan can know is taken from both.

use serde_json::{Map, Value, json};

/// `object` with the API server's defaults, without what the server alone decides. Values of Secrets
/// are compared where they are one of `fixed`; the others may be random.
pub fn object(mut object: Value, fixed: &[&str]) -> Value {
    meta(&mut object["metadata"]);
    match object["kind"].as_str().unwrap_or_default() {
        "Deployment" => deployment(&mut object["spec"]),
        "CronJob" => cron_job(&mut object["spec"]),
        "Job" => job(&mut object["spec"]),
        "Service" => service(&mut object["spec"]),
        "PersistentVolumeClaim" => {
            default(&mut object["spec"], json!({"volumeMode": "Filesystem"}));
            remove(&mut object["spec"], &["volumeName"]);
        }
        "Route" => default(&mut object["spec"]["to"], json!({"weight": 100})),
        // The recorded stand-in keeps the key; without members it says nothing.
        "Group" => remove(&mut object, &["users"]),
        "Secret" => {
            for value in object["data"]
                .as_object_mut()
                .into_iter()
                .flat_map(Map::values_mut)
            {
                if !fixed.iter().any(|fixed| value == fixed) {
                    *value = "<normalised>".into();
                }
            }
        }
        _ => {}
    }
    if object["kind"] == "Route" {
        default(&mut object["spec"], json!({"wildcardPolicy": "None"}));
    }
    object
}

fn meta(meta: &mut Value) {
    remove(
        meta,
        &[
            "creationTimestamp",
            "generation",
            "managedFields",
            "resourceVersion",
            "uid",
            "finalizers",
        ],
    );
    if let Some(annotations) = meta["annotations"].as_object_mut() {
        annotations.retain(|key, _| {
            !key.starts_with("pv.kubernetes.io/")
                && key != "deployment.kubernetes.io/revision"
                && key != "banzaicloud.com/last-applied"
        });
    }
    if meta["annotations"].as_object().is_none_or(Map::is_empty) {
        remove(meta, &["annotations"]);
    }
    for owner in meta["ownerReferences"].as_array_mut().into_iter().flatten() {
        owner["uid"] = "<normalised>".into();
    }
    if meta["ownerReferences"].is_null() {
        remove(meta, &["ownerReferences"]);
    }
}

fn service(spec: &mut Value) {
    remove(
        spec,
        &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"],
    );
    default(
        spec,
        json!({"internalTrafficPolicy": "Cluster", "sessionAffinity": "None", "type": "ClusterIP"}),
    );
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let number = port["port"].clone();
        default(port, json!({"protocol": "TCP", "targetPort": number}));
    }
}

fn deployment(spec: &mut Value) {
    default(
        spec,
        json!({"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}),
    );
    if spec["strategy"]["type"] != "Recreate" {
        default(
            &mut spec["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {}}),
        );
        default(
            &mut spec["strategy"]["rollingUpdate"],
            json!({"maxSurge": "25%", "maxUnavailable": "25%"}),
        );
    }
    let pod = &mut spec["template"]["spec"];
    default(pod, json!({"restartPolicy": "Always"}));
    pod_spec(pod);
}

fn cron_job(spec: &mut Value) {
    default(spec, json!({"suspend": false}));
    let job = &mut spec["jobTemplate"];
    if job["metadata"] == json!({}) {
        remove(job, &["metadata"]);
    }
    pod_spec(&mut job["spec"]["template"]["spec"]);
}

fn job(spec: &mut Value) {
    // Set beside a policy about failures, or without one.
    let replaced = match &spec["podFailurePolicy"] {
        Value::Null => "TerminatingOrFailed",
        _ => "Failed",
    };
    default(
        spec,
        json!({"completionMode": "NonIndexed", "completions": 1, "manualSelector": false,
               "parallelism": 1, "podReplacementPolicy": replaced, "suspend": false}),
    );
    remove(spec, &["selector"]);
    let template = &mut spec["template"];
    let given = [
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
    ];
    remove(&mut template["metadata"]["labels"], &given);
    pod_spec(&mut template["spec"]);
}

fn pod_spec(pod: &mut Value) {
    default(
        pod,
        json!({"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
               "terminationGracePeriodSeconds": 30}),
    );
    remove(pod, &["serviceAccount"]);
    for container in ["initContainers", "containers"] {
        containers(&mut pod[container]);
    }
    for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
        for name in ["configMap", "secret"] {
            if let Some(source) = volume.get_mut(name) {
                default(source, json!({"defaultMode": 420}));
            }
        }
    }
    for list in ["initContainers", "volumes"] {
        if pod[list].is_null() {
            remove(pod, &[list]);
        }
    }
}

fn containers(list: &mut Value) {
    for container in list.as_array_mut().into_iter().flatten() {
        if container["resources"] == json!({}) {
            remove(container, &["resources"]);
        }
        // The policy follows from the tag, and the tags are compared.
        remove(container, &["imagePullPolicy"]);
        default(
            container,
            json!({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}),
        );
        for variable in container["env"].as_array_mut().into_iter().flatten() {
            if variable["value"] == "" {
                remove(variable, &["value"]);
            }
        }
        for port in container["ports"].as_array_mut().into_iter().flatten() {
            default(port, json!({"protocol": "TCP"}));
        }
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(probe) = container.get_mut(name) {
                default(probe, json!({"successThreshold": 1}));
            }
        }
    }
}

fn default(object: &mut Value, defaults: Value) {
    let Value::Object(defaults) = defaults else {
        return;
    };
    for (key, value) in defaults {
        if object[&key].is_null() {
            object[&key] = value;
        }
    }
}

fn remove(object: &mut Value, keys: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        for key in keys {
            object.remove(*key);
        }
    }
}

/// Reports every place in which the two differ. Members of lists are named by their `name`, by
/// their flag, or by their place.
pub fn diff(
    path: &str,
    theirs: Option<&Value>,
    ours: Option<&Value>,
    report: &mut impl FnMut(&str, &str, &str),
) {
    match (theirs, ours) {
        (Some(Value::Object(theirs)), Some(Value::Object(ours))) => {
            maps(
                path,
                theirs,
                ours,
                &|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")),
                report,
            );
        }
        (Some(Value::Array(theirs)), Some(Value::Array(ours))) => {
            let (theirs, ours) = (named(theirs), named(ours));
            maps(path, &theirs, &ours, &|key| format!("[{key}]"), report);
        }
        (theirs, ours) if theirs == ours => {}
        (theirs, ours) => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            report(path, &text(theirs), &text(ours));
        }
    }
}

fn maps(
    path: &str,
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
    step: &dyn Fn(&str) -> String,
    report: &mut impl FnMut(&str, &str, &str),
) {
    let mut keys: Vec<_> = theirs
        .keys()
        .chain(ours.keys().filter(|key| !theirs.contains_key(*key)))
        .collect();
    keys.sort();
    for key in keys {
        diff(
            &format!("{path}{}", step(key)),
            theirs.get(key),
            ours.get(key),
            report,
        );
    }
}

fn named(list: &[Value]) -> Map<String, Value> {
    let name = |(place, member): (usize, &Value)| match member {
        Value::String(text) if text.starts_with("--") => text
            .split_once('=')
            .map_or(text.clone(), |(flag, _)| flag.to_owned()),
        member => member
            .get("name")
            .and_then(Value::as_str)
            .map_or(place.to_string(), str::to_owned),
    };
    list.iter()
        .enumerate()
        .map(|(place, member)| (name((place, member)), member.clone()))
        .collect()
}
