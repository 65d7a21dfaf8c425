//! ModelRegistry between v1alpha1 and v1beta1, without loss.
//!
//! v1beta1 has every field of v1alpha1. What v1alpha1 has not travels in [`ANNOTATION`] and returns
//! from there, unless an edit in v1alpha1 decided otherwise. It works on JSON, so that nothing is
//! lost or added by being read into a type.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::endpoint::ServiceRoute;
use super::istio::Istio;
use super::proxy::OAuthProxy;

/// What v1alpha1 cannot hold of an object of v1beta1, as JSON. The key is the conversion's own: an
/// object of v1beta1 never has it.
pub const ANNOTATION: &str = "modelregistry.opendatahub.io/v1beta1";

const GROUP: &str = "modelregistry.opendatahub.io";

/// A version that ModelRegistry does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ModelRegistry has versions v1alpha1 and v1beta1 of {GROUP}, not {0}")]
pub struct UnknownVersion(String);

/// The content of [`ANNOTATION`].
#[derive(Debug, Default, Deserialize, Serialize)]
struct Beyond {
    /// Parts of the spec; null for a field that v1alpha1 requires and the spec has not.
    spec: Map<String, Value>,
    /// Fields that exclude each other were there at the same time: neither gives way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    together: bool,
}

/// The object in another version.
pub fn convert(mut object: Value, api_version: &str) -> Result<Value, UnknownVersion> {
    let to = Version::of(api_version)?;
    let from = Version::of(
        object
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )?;
    match (from, to) {
        (Version::V1Alpha1, Version::V1Beta1) => to_v1beta1(&mut object),
        (Version::V1Beta1, Version::V1Alpha1) => to_v1alpha1(&mut object),
        _ => {}
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), api_version.into());
    }
    Ok(object)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1Alpha1,
    V1Beta1,
}

impl Version {
    fn of(api_version: &str) -> Result<Self, UnknownVersion> {
        match api_version.strip_prefix(GROUP) {
            Some("/v1alpha1") => Ok(Self::V1Alpha1),
            Some("/v1beta1") => Ok(Self::V1Beta1),
            _ => Err(UnknownVersion(api_version.to_owned())),
        }
    }
}

fn to_v1alpha1(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let together = excludes_itself(spec);
    let mut beyond = split(spec, &V1ALPHA1);
    for (block, field, filler) in FILLERS {
        let Some(fields) = block_of(spec, *block) else {
            continue;
        };
        if !fields.contains_key(*field) {
            fields.insert((*field).to_owned(), filler());
            let rest = match block {
                None => &mut beyond,
                Some(block) => {
                    let rest = beyond.entry(*block).or_insert_with(|| json!({}));
                    let Some(rest) = rest.as_object_mut() else {
                        continue;
                    };
                    rest
                }
            };
            rest.insert((*field).to_owned(), Value::Null);
        }
    }
    let beyond = (!beyond.is_empty()).then_some(Beyond {
        spec: beyond,
        together,
    });
    set_annotation(
        object,
        beyond.and_then(|beyond| serde_json::to_string(&beyond).ok()),
    );
}

fn to_v1beta1(object: &mut Value) {
    // What cannot be read is not ours, and no reason to keep people from their object.
    let beyond: Option<Beyond> = object
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(ANNOTATION)?.as_str())
        .and_then(|text| serde_json::from_str(text).ok());
    set_annotation(object, None);
    let spec = object.get_mut("spec").and_then(Value::as_object_mut);
    let (Some(mut beyond), Some(spec)) = (beyond, spec) else {
        return;
    };
    if !beyond.together {
        give_way(&mut beyond.spec, spec);
    }
    join(spec, beyond.spec, &V1ALPHA1);
}

/// Whether the spec has fields of which v1beta1 refuses or ignores one beside the other.
fn excludes_itself(spec: &Map<String, Value>) -> bool {
    let mut rest = spec.clone();
    give_way(&mut rest, spec);
    rest != *spec
}

/// Takes out of `beyond` what makes no sense beside what `spec` says, which is newer.
fn give_way(beyond: &mut Map<String, Value>, spec: &Map<String, Value>) {
    if ["oauthProxy", "istio"]
        .iter()
        .any(|field| is_given(spec, field))
    {
        beyond.remove("kubeRBACProxy");
        if beyond
            .get("authentication")
            .is_some_and(|value| value == "None")
        {
            beyond.remove("authentication");
        }
    }
    let addressed = spec
        .get("postgres")
        .and_then(Value::as_object)
        .is_some_and(|postgres| {
            let filled = |field| {
                let value = postgres.get(field).and_then(Value::as_str);
                value.is_some_and(|value| !value.is_empty())
            };
            filled("host") || filled("hostAddress")
        });
    if addressed
        && let Some(Value::Object(postgres)) = beyond.get_mut("postgres")
        && postgres.get("generateDeployment") == Some(&Value::Bool(true))
    {
        postgres.remove("generateDeployment");
    }
}

fn is_given(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| !value.is_null())
}

/// The object that has a field, the field's name, and what stands in for it.
type Filler = (Option<&'static str>, &'static str, fn() -> Value);

/// Fields that v1alpha1 requires and v1beta1 does not. The API server puts no defaults into what a
/// webhook converted, so they are in here.
const FILLERS: &[Filler] = &[
    (None, "grpc", || json!({"port": 9090})),
    (Some("postgres"), "database", || json!("")),
];

fn block_of<'a>(
    spec: &'a mut Map<String, Value>,
    block: Option<&str>,
) -> Option<&'a mut Map<String, Value>> {
    match block {
        None => Some(spec),
        Some(block) => spec.get_mut(block)?.as_object_mut(),
    }
}

/// Whether this is a filler.
fn is_filler(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| name == "port" && value == 9090),
        _ => false,
    }
}

/// Which fields a schema knows.
enum Fields {
    /// Any: a value that is no object, or a map.
    Any,
    /// These.
    Named(BTreeMap<String, Fields>),
    /// A list of such items.
    List(Box<Fields>),
}

/// The fields of v1alpha1's spec.
static V1ALPHA1: LazyLock<Fields> = LazyLock::new(|| {
    let crd = crate::v1alpha1();
    let spec = crd.spec.versions.first().and_then(|version| {
        let root = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
        root.properties.as_ref()?.get("spec")
    });
    spec.map_or(Fields::Any, Fields::of)
});

impl Fields {
    fn of(schema: &JSONSchemaProps) -> Self {
        if let Some(properties) = &schema.properties {
            let named = properties.iter();
            return Self::Named(
                named
                    .map(|(name, field)| (name.clone(), Self::of(field)))
                    .collect(),
            );
        }
        match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => match Self::of(items) {
                Self::Any => Self::Any,
                items => Self::List(Box::new(items)),
            },
            _ => Self::Any,
        }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Named(fields) => fields.get(name),
            _ => Some(&Self::Any),
        }
    }

    fn know_all_of(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Named(known), Value::Object(fields)) => fields.iter().all(|(name, value)| {
                known
                    .get(name)
                    .is_some_and(|known| known.know_all_of(value))
            }),
            (Self::List(known), Value::Array(items)) => {
                items.iter().all(|item| known.know_all_of(item))
            }
            _ => true,
        }
    }
}

/// Takes out of `fields` what is not among the known ones. A list goes as a whole: its items have
/// no names to come back to.
fn split(fields: &mut Map<String, Value>, known: &Fields) -> Map<String, Value> {
    let mut beyond = Map::new();
    let names: Vec<String> = fields.keys().cloned().collect();
    for name in names {
        let known = known.field(&name);
        match (known, fields.get_mut(&name)) {
            (Some(known), Some(value)) if known.know_all_of(value) => {}
            (Some(known @ Fields::Named(_)), Some(Value::Object(inner))) => {
                beyond.insert(name, split(inner, known).into());
            }
            _ => {
                if let Some(value) = fields.remove(&name) {
                    beyond.insert(name, value);
                }
            }
        }
    }
    beyond
}

/// Puts back into `fields` what [`split`] took out. What was edited since stays as it is, and what
/// was inside of something that is gone is gone with it.
fn join(fields: &mut Map<String, Value>, beyond: Map<String, Value>, known: &Fields) {
    for (name, value) in beyond {
        let inner = known.field(&name);
        match (fields.get_mut(&name), value) {
            (Some(there), Value::Null) if is_filler(there) => {
                fields.remove(&name);
            }
            (Some(Value::Object(there)), Value::Object(rest)) => {
                join(there, rest, inner.unwrap_or(&Fields::Any));
            }
            (None, Value::Object(_)) if matches!(inner, Some(Fields::Named(_))) => {}
            (None, value) if !value.is_null() => {
                fields.insert(name, value);
            }
            _ => {}
        }
    }
}

fn set_annotation(object: &mut Value, text: Option<String>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    if let Some(all) = annotations.as_object_mut() {
        match text {
            Some(text) => drop(all.insert(ANNOTATION.to_owned(), text.into())),
            None => drop(all.remove(ANNOTATION)),
        }
        if all.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// The proxy that takes the place of Istio: its way in has the gateway's domain and port.
#[must_use]
pub fn proxy_of_istio(istio: &Istio) -> OAuthProxy {
    let mut proxy = OAuthProxy::default();
    let Some(gateway) = &istio.gateway else {
        proxy.service_route = ServiceRoute::Disabled;
        return proxy;
    };
    if gateway.rest.gateway_route == Some(ServiceRoute::Disabled) {
        proxy.service_route = ServiceRoute::Disabled;
    }
    proxy.domain = gateway.domain.clone().filter(|domain| !domain.is_empty());
    if let (Some(_), Some(port)) = (&gateway.rest.tls, gateway.rest.port) {
        proxy.route_port = port;
    }
    proxy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str, spec: &Value) -> Value {
        json!({"apiVersion": format!("{GROUP}/{version}"), "kind": "ModelRegistry",
            "metadata": {"name": "a"}, "spec": spec})
    }

    fn to(object: &Value, version: &str) -> Value {
        convert(object.clone(), &format!("{GROUP}/{version}")).unwrap()
    }

    /// Edits in v1alpha1 what is an object of v1beta1, and gives the spec in v1beta1.
    fn edited(spec: &Value, edit: impl FnOnce(&mut Value)) -> Value {
        let mut old = to(&object("v1beta1", spec), "v1alpha1");
        edit(&mut old["spec"]);
        to(&old, "v1beta1")["spec"].clone()
    }

    #[test]
    fn an_edit_in_the_old_version_keeps_what_it_cannot_see() {
        let spec = json!({"rest": {"port": 1}, "kubeRBACProxy": {"port": 2}, "operand": {"replicas": 2},
            "postgres": {"generateDeployment": true, "image": "i"}});
        let mut expected = spec.clone();
        expected["rest"]["port"] = 3.into();
        assert_eq!(
            edited(&spec, |spec| spec["rest"]["port"] = 3.into()),
            expected
        );
    }

    #[test]
    fn what_the_old_version_requires_is_filled_in_and_taken_out() {
        let spec = json!({"rest": {}, "postgres": {"generateDeployment": true}});
        let old = to(&object("v1beta1", &spec), "v1alpha1");
        assert_eq!(
            old["spec"],
            json!({"rest": {}, "grpc": {"port": 9090}, "postgres": {"database": ""}})
        );
        assert_eq!(
            edited(&spec, |old| old["grpc"] = json!({"port": 9090})),
            spec
        );
        let mut port = spec.clone();
        port["grpc"] = json!({"port": 1});
        assert_eq!(edited(&spec, |old| old["grpc"]["port"] = 1.into()), port);
    }

    #[test]
    fn what_was_edited_in_the_old_version_wins() {
        let generated = json!({"rest": {}, "grpc": {}, "postgres": {"generateDeployment": true, "database": "d"}});
        assert_eq!(
            edited(&generated, |spec| spec["postgres"]["host"] = "h".into()),
            json!({"rest": {}, "grpc": {}, "postgres": {"database": "d", "host": "h"}})
        );
        let moved = edited(&generated, |spec| {
            spec.as_object_mut().unwrap().remove("postgres");
            spec["mysql"] = json!({"host": "h"});
        });
        assert_eq!(
            moved,
            json!({"rest": {}, "grpc": {}, "mysql": {"host": "h"}})
        );
        let proxy = json!({"rest": {}, "grpc": {}, "kubeRBACProxy": {"port": 1}, "operand": {}});
        for field in ["oauthProxy", "istio"] {
            assert_eq!(
                edited(&proxy, |spec| spec[field] = json!({})),
                json!({"rest": {}, "grpc": {}, "operand": {}, field: {}})
            );
        }
    }

    #[test]
    fn the_annotation_is_there_only_where_it_holds_something() {
        let plain = object("v1alpha1", &json!({"rest": {}, "grpc": {}}));
        let new = to(&plain, "v1beta1");
        assert_eq!(new["metadata"], json!({"name": "a"}));
        assert_eq!(to(&new, "v1alpha1"), plain);
        let mut odd = plain.clone();
        odd["metadata"]["annotations"] = json!({ANNOTATION: "{", "b": "c"});
        assert_eq!(
            to(&odd, "v1beta1")["metadata"]["annotations"],
            json!({"b": "c"})
        );
        for absent in [json!(null), json!("x")] {
            let strange = object("v1beta1", &absent);
            assert_eq!(to(&strange, "v1alpha1")["spec"], absent);
        }
    }

    #[test]
    fn other_versions_are_refused() {
        let object = object("v1beta1", &json!({}));
        for version in ["v1", "example.org/v1beta1", ""] {
            assert!(
                convert(object.clone(), version)
                    .unwrap_err()
                    .to_string()
                    .contains(version)
            );
        }
    }

    #[test]
    fn v1beta1_has_every_field_of_v1alpha1() {
        fn missing(path: &str, old: &Fields, new: &Fields) -> Vec<String> {
            match (old, new) {
                (Fields::Named(old), Fields::Named(new)) => old
                    .iter()
                    .flat_map(|(name, field)| {
                        let path = format!("{path}.{name}");
                        new.get(name)
                            .map_or_else(|| vec![path.clone()], |new| missing(&path, field, new))
                    })
                    .collect(),
                (Fields::List(old), Fields::List(new)) => missing(&format!("{path}[]"), old, new),
                (Fields::Any, Fields::Any) => Vec::new(),
                _ => vec![path.to_owned()],
            }
        }
        let crd = crate::model_registry();
        let root = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        let new = Fields::of(&root.properties.as_ref().unwrap()["spec"]);
        assert_eq!(missing("spec", &V1ALPHA1, &new), Vec::<String>::new());
    }

    #[test]
    fn a_proxy_in_the_place_of_istio_has_the_way_in_of_the_gateway() {
        let proxy = |istio: Value| proxy_of_istio(&serde_json::from_value(istio).unwrap());
        assert_eq!(proxy(json!({})).service_route, ServiceRoute::Disabled);
        let gateway =
            |rest: Value| proxy(json!({"gateway": {"domain": "d", "rest": rest, "grpc": {}}}));
        let with_tls = gateway(json!({"port": 1, "tls": {}}));
        assert_eq!((with_tls.route_port, with_tls.port), (1, 8443));
        assert_eq!(with_tls.domain.as_deref(), Some("d"));
        assert_eq!(with_tls.service_route, ServiceRoute::Enabled);
        assert_eq!(gateway(json!({"port": 1})).route_port, 443);
        let closed = gateway(json!({"gatewayRoute": "disabled"}));
        assert_eq!(closed.service_route, ServiceRoute::Disabled);
    }
}
