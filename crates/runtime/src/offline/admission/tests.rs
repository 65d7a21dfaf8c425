use serde_json::json;

use super::*;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.test}
spec:
  group: example.test
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - {name: v1alpha1, served: false, storage: false}
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          metadata: {type: object}
          spec:
            type: object
            required: [name]
            x-kubernetes-validations:
            - {rule: "!(has(self.a) && has(self.b))", message: Cannot use both a and b}
            properties:
              name: {type: string, pattern: "^[a-z]+$", maxLength: 5}
              port: {type: integer, format: int32, default: 8080, minimum: 1, maximum: 65535}
              mode: {type: string, enum: ["on", "off"], default: "off"}
              a: {type: object, properties: {deep: {type: integer, default: 1}}}
              b: {type: object, nullable: true}
              size:
                x-kubernetes-int-or-string: true
                anyOf: [{type: integer}, {type: string}]
                pattern: "^[0-9]+(Gi)?$"
              labels: {type: object, additionalProperties: {type: string}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              list:
                type: array
                maxItems: 3
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  properties:
                    name: {type: string}
                    level: {type: integer, default: 3}
"#;

fn definition() -> CustomResourceDefinition {
    serde_saphyr::from_str(DEFINITION).unwrap()
}

fn thing(spec: Value) -> Value {
    let mut spec = spec;
    spec.as_object_mut()
        .unwrap()
        .entry("name")
        .or_insert(json!("n"));
    json!({"apiVersion": "example.test/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})
}

fn stored(spec: Value) -> Value {
    let mut spec = admit(&definition(), &thing(spec)).unwrap().object["spec"].clone();
    for usual in ["name", "port", "mode"] {
        spec.as_object_mut().unwrap().remove(usual);
    }
    spec
}

fn refusal(spec: Value) -> String {
    admit(&definition(), &thing(spec)).unwrap_err().to_string()
}

#[test]
fn defaults_are_put_in_at_every_depth() {
    let admitted = admit(&definition(), &thing(json!({}))).unwrap();
    assert_eq!(
        admitted.object["spec"],
        json!({"name": "n", "port": 8080, "mode": "off"})
    );
    assert_eq!(
        stored(json!({"a": {}, "list": [{"name": "x"}]})),
        json!({"a": {"deep": 1}, "list": [{"name": "x", "level": 3}]})
    );
}

#[test]
fn a_null_is_a_default_or_absent_unless_it_may_be_null() {
    let admitted = admit(
        &definition(),
        &thing(json!({"port": null, "a": null, "b": null})),
    )
    .unwrap();
    assert_eq!(
        admitted.object["spec"],
        json!({"name": "n", "port": 8080, "mode": "off", "b": null})
    );
}

#[test]
fn unknown_fields_are_dropped_and_named_except_where_they_are_kept() {
    let admitted = admit(
        &definition(),
        &thing(json!({"typo": 1, "a": {"x": 1}, "list": [{"y": 2}], "free": {"z": 1}, "labels": {"k": "v"}})),
    )
    .unwrap();
    assert_eq!(
        admitted.unknown,
        ["spec.a.x", "spec.list[0].y", "spec.typo"]
    );
    assert_eq!(admitted.object["spec"]["free"], json!({"z": 1}));
    assert_eq!(admitted.object["metadata"], json!({"name": "t"}));
}

#[test]
fn each_refusal_names_its_field() {
    for (spec, message) in [
        (
            json!({"port": 0}),
            "spec.port: Invalid value: 0: spec.port in body should be greater than or equal to 1",
        ),
        (
            json!({"port": 70000}),
            "spec.port: Invalid value: 70000: spec.port in body should be less than or equal to 65535",
        ),
        (
            json!({"port": 5_000_000_000_u64}),
            "spec.port: Invalid value: 5000000000: spec.port in body should be of format int32",
        ),
        (
            json!({"port": "80"}),
            "spec.port: Invalid value: \"string\": spec.port in body must be of type integer: \"string\"",
        ),
        (
            json!({"port": 1.5}),
            "spec.port: Invalid value: \"number\": spec.port in body must be of type integer: \"number\"",
        ),
        (
            json!({"mode": "x"}),
            "spec.mode: Unsupported value: \"x\": supported values: \"on\", \"off\"",
        ),
        (
            json!({"name": "A"}),
            "spec.name: Invalid value: \"A\": spec.name in body should match '^[a-z]+$'",
        ),
        (
            json!({"name": "abcdef"}),
            "spec.name: Invalid value: \"abcdef\": spec.name in body should be at most 5 chars long",
        ),
        (json!({"name": null}), "spec.name: Required value"),
        (
            json!({"size": true}),
            "spec.size: Invalid value: \"boolean\": spec.size in body must be of type integer or string: \"boolean\"",
        ),
        (
            json!({"size": "1Ti"}),
            "spec.size: Invalid value: \"1Ti\": spec.size in body should match '^[0-9]+(Gi)?$'",
        ),
        (
            json!({"labels": {"k": 1}}),
            "spec.labels.k: Invalid value: \"integer\": spec.labels.k in body must be of type string: \"integer\"",
        ),
        (
            json!({"list": [{"name": "x"}, {"name": "x"}]}),
            "spec.list[1]: Duplicate value: {\"name\":\"x\"}",
        ),
        (
            json!({"a": {}, "b": {}}),
            "spec: Invalid value: Cannot use both a and b",
        ),
    ] {
        assert_eq!(refusal(spec), message);
    }
    assert!(
        refusal(json!({"list": [{}, {}, {}, {}]}))
            .contains("spec.list in body should have at most 3 items")
    );
}

#[test]
fn every_wrong_field_is_reported_at_once() {
    assert_eq!(refusal(json!({"port": 0, "mode": "x"})).lines().count(), 2);
}

#[test]
fn a_version_that_is_not_served_is_refused_with_the_one_that_is() {
    let mut old = thing(json!({}));
    old["apiVersion"] = json!("example.test/v1alpha1");
    assert_eq!(
        admit(&definition(), &old).unwrap_err().to_string(),
        "apiVersion: \"example.test/v1alpha1\" is not served; use example.test/v1"
    );
}
