//! What a hub becomes among documents.

use std::path::Path;

use api::aihub::v1alpha1::{AIHub, AIHubStatus};
use api::module::ModuleCondition;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use model_registry_operator::aihub::{CATALOG, Hub, TEMPLATE, config::Config, error::Error};
use model_registry_operator::cli::{Cli, Command};
use operator_harness::{Pass, environment};
use resources::Plan;
use resources::kind::{
    CLUSTER_ROLE_BINDING, DEFINITION, DEPLOYMENT, NAMESPACE, VALIDATING_WEBHOOKS,
};
use runtime::offline::{OfflineInputs, Platform, documents};
use serde_json::{Value, json};

fn hub(spec: &Value) -> AIHub {
    serde_json::from_value(json!({
        "apiVersion": "components.platform.opendatahub.io/v1alpha1", "kind": "AIHub", "spec": spec,
        "metadata": {"name": "default-aihub", "uid": "the-uid"},
    }))
    .unwrap()
}

fn plan(env: &[(&str, &str)], spec: &Value, text: &str) -> Result<Plan, Error> {
    plan_on(Platform::OpenShift, env, spec, text)
}

fn plan_on(
    platform: Platform,
    env: &[(&str, &str)],
    spec: &Value,
    text: &str,
) -> Result<Plan, Error> {
    let component = Hub {
        config: Config::from_lookup(environment(env)).unwrap(),
    };
    let resource = hub(spec);
    pass(platform, &component, &resource, text).plan
}

fn pass(platform: Platform, component: &Hub, resource: &AIHub, text: &str) -> Pass<Hub> {
    let documents = documents::read(text, "test").unwrap();
    let capabilities = platform.capabilities(component, &[]);
    let now = Timestamp::UNIX_EPOCH;
    let inputs = OfflineInputs::new(component, resource, &documents, capabilities, now);
    Pass::over(component, resource, inputs).unwrap()
}

fn spec() -> Value {
    json!({"applicationNamespace": "apps", "instancesNamespace": "registries"})
}

const LIVE: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: apps, generation: 2,
  labels: {platform.opendatahub.io/part-of: aihub}},
 spec: {replicas: 3, selector: {matchLabels: {control-plane: of-old}},
  template: {spec: {containers: [{name: manager, resources: {limits: {memory: 1Gi}}}]}}},
 status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, conditions: [{type: Available, status: 'True'}]}}
";

fn live() -> String {
    [
        "model-registry-operator-controller-manager",
        "catalog-controller-manager",
    ]
    .map(|name| format!("---{}", LIVE.replace("NAME", name)))
    .concat()
}

/// Namespaces that any part of a value names.
fn namespaces(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if key == "namespace" => found.push(text.to_owned()),
                    _ => namespaces(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| namespaces(item, found)),
        _ => {}
    }
}

#[test]
fn everything_is_where_the_hub_says() {
    let plan = plan(&[], &spec(), "").unwrap();
    for object in plan.objects() {
        let mut found = Vec::new();
        if object.kind != DEFINITION {
            namespaces(&object.body, &mut found);
        }
        assert!(
            found.iter().all(|name| name == "apps"),
            "{}: {found:?}",
            object.name
        );
        let owned = object.body["metadata"]["ownerReferences"][0]["uid"] == "the-uid";
        assert_eq!(
            owned,
            ![NAMESPACE, DEFINITION].contains(&object.kind),
            "{}",
            object.name
        );
    }
    let definition = plan
        .get(DEFINITION, "modelregistries.modelregistry.opendatahub.io")
        .unwrap();
    let client = "/spec/conversion/webhook/clientConfig/service/namespace";
    assert_eq!(definition.body.pointer(client).unwrap(), "apps");
    for name in ["apps", "registries"] {
        let namespace = plan.get(NAMESPACE, name).unwrap();
        assert_eq!(
            namespace.body["metadata"],
            json!({"name": name}),
            "it is nobody's"
        );
    }
    assert!(
        plan.get(CATALOG, "catalog").is_none(),
        "its operator is not there yet"
    );
    assert!(
        plan.get(CLUSTER_ROLE_BINDING, "catalog-manager-rolebinding")
            .is_some()
    );
    assert!(
        plan.get(
            VALIDATING_WEBHOOKS,
            "catalog-validating-webhook-configuration"
        )
        .is_some()
    );
}

fn manager(plan: &Plan, name: &str) -> (Deployment, Value) {
    let body = &plan.get(DEPLOYMENT, name).unwrap().body;
    let containers = body["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    let deployment = serde_json::from_value(body.clone()).unwrap();
    (deployment, containers[0].clone())
}

#[test]
fn images_and_settings_are_passed_on() {
    let env = [
        (
            "RELATED_IMAGE_ODH_MODEL_REGISTRY_OPERATOR_IMAGE",
            "example.test/operator:1",
        ),
        (
            "RELATED_IMAGE_POSTGRESQL_16_IMAGE",
            "example.test/postgres:1",
        ),
    ];
    let mut with_gateway = spec();
    with_gateway["gateway"] = json!({"domain": "gw.example.test"});
    let plan = plan(&env, &with_gateway, "").unwrap();
    for name in [
        "model-registry-operator-controller-manager",
        "catalog-controller-manager",
    ] {
        let (_, manager) = manager(&plan, name);
        assert_eq!(manager["image"], "example.test/operator:1");
        let env = manager["env"].as_array().unwrap();
        let value = |name: &str| {
            let all: Vec<_> = env
                .iter()
                .filter(|variable| variable["name"] == name)
                .collect();
            assert_eq!(all.len(), 1, "{name}");
            all[0]["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            value("RELATED_IMAGE_POSTGRESQL_16_IMAGE"),
            "example.test/postgres:1"
        );
        assert_eq!(
            value("RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE"),
            "quay.io/opendatahub/model-registry:latest",
            "what is not set stays"
        );
        assert_eq!(value("REGISTRIES_NAMESPACE"), "registries");
        assert_eq!(value("GATEWAY_DOMAIN"), "gw.example.test");
        assert_eq!(value("HTTPROUTE_NAMESPACE"), "apps");
    }
}

#[test]
fn templates_have_the_image_and_are_made_where_there_are_templates() {
    let image = "example.test/upload:1";
    let env = [(
        "RELATED_IMAGE_ODH_MODEL_REGISTRY_JOB_ASYNC_UPLOAD_IMAGE",
        image,
    )];
    let names = |plan: &Plan| {
        let templates = plan.objects().iter().filter(|o| o.kind == TEMPLATE);
        templates.map(|o| o.name.clone()).collect::<Vec<_>>()
    };
    let value = |plan: &Plan, template: &str, parameter: &str| {
        let body = &plan.get(TEMPLATE, template).unwrap().body;
        let all = body["parameters"].as_array().unwrap();
        let found = all.iter().find(|one| one["name"] == parameter).unwrap();
        found["value"].clone()
    };
    let with_image = plan(&env, &spec(), "").unwrap();
    assert_eq!(
        names(&with_image),
        [
            "configmap-create-model-template",
            "configmap-create-version-template",
            "jobs-async-upload-s3-to-oci-template",
            "jobs-async-upload-uri-to-oci-template",
        ]
    );
    for source in ["s3", "uri"] {
        let template = format!("jobs-async-upload-{source}-to-oci-template");
        assert_eq!(value(&with_image, &template, "JOB_IMAGE"), image);
        let author = value(&with_image, &template, "MODEL_SYNC_REGISTRY_AUTHOR");
        assert_eq!(author, "jobs-async-upload", "other parameters stay");
        assert_eq!(
            value(&plan(&[], &spec(), "").unwrap(), &template, "JOB_IMAGE"),
            "quay.io/opendatahub/model-registry-job-async-upload:latest",
            "what is not set stays"
        );
    }
    let plain = plan_on(Platform::Kubernetes, &env, &spec(), "").unwrap();
    assert_eq!(names(&plain), Vec::<String>::new());
}

#[test]
fn what_people_adjusted_and_what_cannot_change_stays() {
    let plan = plan(&[], &spec(), &live()).unwrap();
    let (deployment, manager) = manager(&plan, "catalog-controller-manager");
    assert_eq!(manager["resources"], json!({"limits": {"memory": "1Gi"}}));
    let spec = deployment.spec.unwrap();
    assert_eq!(spec.replicas, None);
    let selector = spec.selector.match_labels.unwrap();
    assert_eq!(selector["control-plane"], "of-old");
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    assert_eq!(labels["control-plane"], "of-old");
    // The operators answer, so there is a catalog. Its spec is the user's.
    let catalog = &plan.get(CATALOG, "catalog").unwrap();
    assert_eq!(catalog.namespace.as_deref(), Some("registries"));
    assert_eq!(catalog.body["spec"], json!({}));
}

/// What is told of a hub among documents. It is what the next pass starts from.
fn told(resource: &mut AIHub, documents: &str) -> AIHubStatus {
    let component = Hub {
        config: Config::default(),
    };
    let pass = pass(Platform::OpenShift, &component, resource, documents);
    assert!(pass.plan.is_ok(), "{:?}", pass.plan);
    let status = pass.status(&component, resource);
    resource.status = Some(status.clone());
    status
}

fn condition<'a>(status: &'a AIHubStatus, type_: &str) -> &'a ModuleCondition {
    let mut all = status.conditions.iter();
    all.find(|one| one.type_ == type_).unwrap()
}

#[test]
fn a_hub_is_ready_when_both_operators_are() {
    let mut resource = hub(&spec());
    let (registry, catalog) = (
        "child deployment model-registry-operator-controller-manager",
        "child deployment catalog-controller-manager",
    );
    let starting = live().replacen("status: 'True'", "status: 'False'", 1);
    for (documents, phase, message) in [
        (String::new(), "Not Ready", format!("{registry} not found")),
        (
            starting,
            "Not Ready",
            format!("{registry} not yet Available"),
        ),
        (
            live().split("---").nth(1).unwrap().to_owned(),
            "Not Ready",
            format!("{catalog} not found"),
        ),
        (live(), "Ready", String::new()),
    ] {
        let status = told(&mut resource, &documents);
        let ready = condition(&status, "Ready");
        assert_eq!(
            (status.phase.as_deref(), ready.message.clone()),
            (Some(phase), Some(message).filter(|text| !text.is_empty()))
        );
    }
}

/// The pods of before work all the while.
#[test]
fn a_rolling_update_of_an_operator_is_no_outage_and_no_stale_true() {
    let mut resource = hub(&spec());
    resource.metadata.generation = Some(4);
    told(&mut resource, &live());
    resource.metadata.generation = Some(5);
    let edited = live().replacen("generation: 2", "generation: 3", 1);
    let rolling = edited
        .replacen("observedGeneration: 2", "observedGeneration: 3", 1)
        .replacen("updatedReplicas: 3", "updatedReplicas: 1", 1);
    // Nobody has looked at the Deployment; then its pods are replaced.
    for (documents, told_of) in [(edited, 4), (rolling, 5)] {
        let status = told(&mut resource, &documents);
        let operator = condition(&status, "ModelRegistryReady");
        assert_eq!(
            (operator.status.as_str(), operator.observed_generation),
            ("True", Some(told_of))
        );
        let ready = condition(&status, "Ready");
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_deref()),
            ("False", Some("UpdatingDeployment"))
        );
        assert_eq!(ready.observed_generation, Some(5));
    }
    let status = told(&mut resource, &live());
    assert_eq!(condition(&status, "Ready").status, "True");
}

#[test]
fn an_object_can_be_kept_out_of_it() {
    let documents = "{apiVersion: v1, kind: Service, metadata: {name: catalog-webhook-service, namespace: apps,
        labels: {platform.opendatahub.io/part-of: aihub}, annotations: {opendatahub.io/managed: 'false'}}}";
    let plan = plan(&[], &spec(), documents).unwrap();
    let service = resources::kind::SERVICE;
    assert!(plan.get(service, "catalog-webhook-service").is_none());
    assert!(
        plan.has(service, Some("apps"), "catalog-webhook-service"),
        "and is not deleted"
    );
}

#[test]
fn a_namespace_that_goes_is_waited_for() {
    let going = "{apiVersion: v1, kind: Namespace, metadata: {name: registries, deletionTimestamp: '2026-01-01T00:00:00Z'}}";
    let error = plan(&[], &spec(), going).unwrap_err().to_string();
    assert!(
        error.contains("namespace registries is being deleted"),
        "{error}"
    );
    assert!(error.contains("spec.instancesNamespace"), "{error}");
}

#[test]
fn the_manifest_runs_the_subcommand_and_names_every_variable() {
    let file = "../../config/model-registry-operator/overlays/aihub/manager.yaml";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let deployment: Deployment = serde_saphyr::from_str(&text).unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let container = pod.containers.into_iter().next().unwrap();
    let arguments = std::iter::once("manager".to_owned()).chain(container.args.unwrap());
    let cli = Cli::read(arguments.map(Into::into)).unwrap();
    assert!(matches!(cli.command, Some(Command::Aihub)) && cli.operator.leader_elect);
    assert!(cli.offline().is_none());
    let env = container.env.unwrap();
    let config = Config::from_lookup(|name| {
        let found = env.iter().find(|variable| variable.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not in the manifest"))
            .value
            .clone()
    });
    let config = config.unwrap();
    assert_eq!(config.images.len(), 5);
    assert!(config.operator_image.is_some() && config.upload_image.is_some());
}
