//! A model registry that keeps the rules of the real server, also those that surprise:
//! - ids are numbers of 32 bits; names are unique, of a model among all, of a version in its model,
//!   of an artifact in its version;
//! - bodies with unknown fields are refused, but not where an artifact is created;
//! - a PATCH without a state resets it to UNKNOWN, and its custom properties replace all;
//! - structs are written as base64 of a JSON object and read as JSON. A PATCH of an artifact with a
//!   struct that it does not send again is refused, because the server cannot write what it read;
//! - integers have 32 bits; an artifact that is created without a state has none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const API: &str = "/api/model_registry/v1alpha3";

const STATES: [&str; 7] = [
    "UNKNOWN",
    "PENDING",
    "LIVE",
    "MARKED_FOR_DELETION",
    "DELETED",
    "ABANDONED",
    "REFERENCE",
];

const COMMON: &[&str] = &[
    "name",
    "description",
    "externalId",
    "customProperties",
    "state",
];
const MODEL: &[&str] = &[
    "owner", "readme", "maturity", "language", "tasks", "provider",
];
const VERSION: &[&str] = &["registeredModelId", "author"];
const ARTIFACT: &[&str] = &[
    "artifactType",
    "uri",
    "modelFormatName",
    "modelFormatVersion",
    "storageKey",
    "storagePath",
    "serviceAccountName",
    "modelSourceKind",
    "modelSourceClass",
    "modelSourceGroup",
    "modelSourceId",
    "modelSourceName",
];

/// What goes wrong with the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused with this status and has no effect.
    Refuse(u16),
    /// It has its effect, and the answer is lost.
    LoseAnswer,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Below the API, with the query.
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Default)]
struct Store {
    last_id: i32,
    models: BTreeMap<String, Map<String, Value>>,
    versions: BTreeMap<String, Map<String, Value>>,
    artifacts: BTreeMap<String, Map<String, Value>>,
    seen: Vec<Seen>,
    faults: Vec<(Method, Fault)>,
    token: Option<String>,
}

/// A running registry. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct ModelRegistry {
    store: Arc<Mutex<Store>>,
    address: SocketAddr,
}

impl ModelRegistry {
    pub(crate) async fn start() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let router = Router::new().fallback(answer).with_state(store.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { store, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, requests without this token are refused.
    pub(crate) fn require_token(&self, token: &str) {
        self.store.lock().unwrap().token = Some(token.to_owned());
    }

    /// The next request with this method has a fault; several add up.
    pub(crate) fn fail_next(&self, method: Method, fault: Fault) {
        self.store.lock().unwrap().faults.push((method, fault));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.store.lock().unwrap().seen.clone()
    }

    pub(crate) fn models(&self) -> Vec<Map<String, Value>> {
        self.store
            .lock()
            .unwrap()
            .models
            .values()
            .map(shown)
            .collect()
    }

    pub(crate) fn versions(&self) -> Vec<Map<String, Value>> {
        self.store
            .lock()
            .unwrap()
            .versions
            .values()
            .map(shown)
            .collect()
    }

    pub(crate) fn artifacts(&self) -> Vec<Map<String, Value>> {
        self.store
            .lock()
            .unwrap()
            .artifacts
            .values()
            .map(shown)
            .collect()
    }

    /// Makes something by a request of somebody else, and says its id.
    pub(crate) fn make(&self, path: &str, body: Value) -> String {
        let mut store = self.store.lock().unwrap();
        let made = store.route(&Method::POST, path, &BTreeMap::new(), body);
        let made = made.unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message));
        made.1["id"].as_str().unwrap().to_owned()
    }

    /// A model with a version and an artifact; gives the artifact's id.
    pub(crate) fn make_artifact(&self, artifact: &Value) -> String {
        let model = self.make("/registered_models", json!({"name": "theirs"}));
        let version = json!({"name": "v1", "registeredModelId": model});
        let version = self.make("/model_versions", version);
        let mut body = json!({"artifactType": "model-artifact", "name": "artifact"});
        let body_map = body.as_object_mut().unwrap();
        body_map.extend(artifact.as_object().unwrap().clone());
        self.make(&format!("/model_versions/{version}/artifacts"), body)
    }
}

struct Refusal {
    status: StatusCode,
    message: String,
}

fn refuse<T>(status: StatusCode, message: impl Into<String>) -> Result<T, Refusal> {
    let message = message.into();
    Err(Refusal { status, message })
}

async fn answer(
    State(store): State<Arc<Mutex<Store>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut store = store.lock().unwrap();
    let Some(path) = uri.path().strip_prefix(API) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let parsed: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let authorization = headers.get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    store.seen.push(Seen {
        method: method.clone(),
        path: match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        },
        body: parsed.clone(),
        authorization: authorization.clone(),
    });
    if let Some(token) = &store.token
        && authorization.as_deref() != Some(&format!("Bearer {token}"))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let fault = store
        .faults
        .iter()
        .position(|(wanted, _)| *wanted == method);
    let fault = fault.map(|index| store.faults.remove(index).1);
    if let Some(Fault::Refuse(status)) = fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if method != Method::GET && !parsed.is_object() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let result = store.route(&method, path, &query, parsed);
    if fault == Some(Fault::LoseAnswer) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    match result {
        Ok((status, body)) => (status, axum::Json(body)).into_response(),
        Err(refusal) => {
            let code = refusal.status.canonical_reason().unwrap_or_default();
            let body = json!({"code": code, "message": refusal.message});
            (refusal.status, axum::Json(body)).into_response()
        }
    }
}

impl Store {
    fn route(
        &mut self,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        body: Value,
    ) -> Result<(StatusCode, Value), Refusal> {
        let body = match body {
            Value::Object(body) => body,
            _ => Map::new(),
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let name = query.get("name").map(String::as_str);
        let parent = query.get("parentResourceId").map(String::as_str);
        let found = |entity: Option<&Map<String, Value>>| match entity {
            Some(entity) => Ok((StatusCode::OK, Value::Object(shown(entity)))),
            None => refuse(
                StatusCode::NOT_FOUND,
                format!("nothing at {path}: not found"),
            ),
        };
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["registered_models"]) => {
                let items: Vec<_> = self.models.values().take(1).map(shown).collect();
                Ok((
                    StatusCode::OK,
                    json!({"items": items, "nextPageToken": "", "pageSize": 1, "size": items.len()}),
                ))
            }
            ("GET", ["registered_model"]) => found(named(&self.models, name, None)),
            ("GET", ["model_version"]) => found(named(
                &self.versions,
                name,
                parent.map(|id| ("registeredModelId", id)),
            )),
            ("GET", ["model_artifact"]) => found(named(
                &self.artifacts,
                name,
                parent.map(|id| ("versionId", id)),
            )),
            ("GET", ["registered_models", id]) => found(self.models.get(number(id)?)),
            ("GET", ["model_versions", id]) => found(self.versions.get(number(id)?)),
            ("GET", ["model_artifacts", id]) => found(self.artifacts.get(number(id)?)),
            ("POST", ["registered_models"]) => self.create_model(body),
            ("POST", ["model_versions"]) => self.create_version(body),
            ("POST", ["model_versions", id, "artifacts"]) => {
                let version = number(id)?.to_owned();
                self.create_artifact(&version, body)
            }
            ("PATCH", ["model_artifacts", id]) => {
                let id = number(id)?.to_owned();
                self.patch_artifact(&id, &body)
            }
            _ => refuse(StatusCode::METHOD_NOT_ALLOWED, format!("{method} {path}")),
        }
    }

    fn create_model(&mut self, body: Map<String, Value>) -> Result<(StatusCode, Value), Refusal> {
        known(&body, MODEL)?;
        let name = required(&body, "name")?;
        if named(&self.models, Some(name), None).is_some() {
            return conflict("registered model", name);
        }
        let made = self.stored(body, Some("LIVE"))?;
        self.models
            .insert(text(&made, "id").to_owned(), made.clone());
        Ok((StatusCode::CREATED, Value::Object(shown(&made))))
    }

    fn create_version(&mut self, body: Map<String, Value>) -> Result<(StatusCode, Value), Refusal> {
        known(&body, VERSION)?;
        let name = required(&body, "name")?;
        let model = required(&body, "registeredModelId")?;
        if !self.models.contains_key(number(model)?) {
            return refuse(
                StatusCode::NOT_FOUND,
                format!("no registered model {model}"),
            );
        }
        let parent = Some(("registeredModelId", model));
        if named(&self.versions, Some(name), parent).is_some() {
            return conflict("model version", name);
        }
        let made = self.stored(body, Some("LIVE"))?;
        self.versions
            .insert(text(&made, "id").to_owned(), made.clone());
        Ok((StatusCode::CREATED, Value::Object(shown(&made))))
    }

    fn create_artifact(
        &mut self,
        version: &str,
        mut body: Map<String, Value>,
    ) -> Result<(StatusCode, Value), Refusal> {
        if body.get("artifactType") != Some(&json!("model-artifact")) {
            return refuse(StatusCode::BAD_REQUEST, "unsupported artifact type");
        }
        if !self.versions.contains_key(version) {
            return refuse(StatusCode::NOT_FOUND, format!("no model version {version}"));
        }
        if let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) {
            // What exists is attached to the version.
            let Some(artifact) = self.artifacts.get_mut(number(&id)?) else {
                return refuse(StatusCode::NOT_FOUND, format!("no artifact {id}"));
            };
            artifact.extend(body);
            return Ok((StatusCode::CREATED, Value::Object(shown(artifact))));
        }
        let generated = format!("00000000-0000-4000-8000-{:012}", self.last_id);
        let name = body.entry("name").or_insert(json!(generated));
        let name = name.as_str().unwrap_or_default().to_owned();
        if named(&self.artifacts, Some(&name), Some(("versionId", version))).is_some() {
            return conflict("artifact", &name);
        }
        body.retain(|field, _| {
            COMMON.contains(&field.as_str()) || ARTIFACT.contains(&field.as_str())
        });
        let mut made = self.stored(body, None)?;
        made.insert("versionId".to_owned(), json!(version));
        self.artifacts
            .insert(text(&made, "id").to_owned(), made.clone());
        Ok((StatusCode::CREATED, Value::Object(shown(&made))))
    }

    fn patch_artifact(
        &mut self,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<(StatusCode, Value), Refusal> {
        known(body, ARTIFACT)?;
        if body.contains_key("name") {
            return refuse(StatusCode::BAD_REQUEST, "json: unknown field \"name\"");
        }
        valid_state(body)?;
        let Some(artifact) = self.artifacts.get_mut(id) else {
            return refuse(StatusCode::NOT_FOUND, format!("no artifact {id}"));
        };
        let properties = match body.get("customProperties") {
            Some(sent) => decoded(sent)?,
            // What was read is written back, and a struct is read in another form.
            None => match artifact.get("customProperties") {
                Some(read) => decoded(read)?,
                None => json!({}),
            },
        };
        artifact.extend(body.clone());
        artifact.insert("customProperties".to_owned(), properties);
        let state = body.get("state").cloned().unwrap_or(json!("UNKNOWN"));
        artifact.insert("state".to_owned(), state);
        Ok((StatusCode::OK, Value::Object(shown(artifact))))
    }

    fn stored(
        &mut self,
        mut body: Map<String, Value>,
        state: Option<&str>,
    ) -> Result<Map<String, Value>, Refusal> {
        valid_state(&body)?;
        if let Some(properties) = body.get_mut("customProperties") {
            *properties = decoded(properties)?;
        }
        if let Some(state) = state {
            body.entry("state").or_insert(json!(state));
        }
        self.last_id += 1;
        body.insert("id".to_owned(), json!(self.last_id.to_string()));
        body.insert("createTimeSinceEpoch".to_owned(), json!("1700000000000"));
        body.insert(
            "lastUpdateTimeSinceEpoch".to_owned(),
            json!("1700000000000"),
        );
        Ok(body)
    }
}

/// An entity as the server shows it: without what it only remembers.
fn shown(entity: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = entity.clone();
    shown.remove("versionId");
    shown
}

fn named<'a>(
    entities: &'a BTreeMap<String, Map<String, Value>>,
    name: Option<&str>,
    parent: Option<(&str, &str)>,
) -> Option<&'a Map<String, Value>> {
    entities.values().find(|entity| {
        Some(text(entity, "name")) == name
            && parent.is_none_or(|(field, id)| text(entity, field) == id)
    })
}

fn text<'a>(entity: &'a Map<String, Value>, field: &str) -> &'a str {
    entity
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn number(id: &str) -> Result<&str, Refusal> {
    match id.parse::<i32>() {
        Ok(_) => Ok(id),
        Err(_) => refuse(StatusCode::BAD_REQUEST, format!("invalid ID {id}")),
    }
}

fn required<'a>(body: &'a Map<String, Value>, field: &str) -> Result<&'a str, Refusal> {
    match text(body, field) {
        "" => refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("required field '{field}' is zero value"),
        ),
        value => Ok(value),
    }
}

fn known(body: &Map<String, Value>, fields: &[&str]) -> Result<(), Refusal> {
    for field in body.keys() {
        if !COMMON.contains(&field.as_str()) && !fields.contains(&field.as_str()) {
            return refuse(
                StatusCode::BAD_REQUEST,
                format!("json: unknown field \"{field}\""),
            );
        }
    }
    Ok(())
}

fn valid_state(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body
        .get("state")
        .map(|state| state.as_str().unwrap_or_default())
    {
        Some(state) if !STATES.contains(&state) => {
            refuse(StatusCode::BAD_REQUEST, format!("invalid state {state}"))
        }
        _ => Ok(()),
    }
}

fn conflict<T>(what: &str, name: &str) -> Result<T, Refusal> {
    refuse(
        StatusCode::CONFLICT,
        format!("{what} with name {name} already exists: conflict"),
    )
}

/// Custom properties as they are stored: structs decoded.
fn decoded(properties: &Value) -> Result<Value, Refusal> {
    let bad = |message: &str| refuse(StatusCode::BAD_REQUEST, message);
    let Value::Object(properties) = properties else {
        return bad("customProperties is no object");
    };
    let mut stored = Map::new();
    for (name, property) in properties {
        let kind = property["metadataType"].as_str().unwrap_or_default();
        let mut kept = property.clone();
        let valid = match kind {
            "MetadataBoolValue" => property["bool_value"].is_boolean(),
            "MetadataDoubleValue" => property["double_value"].is_number(),
            "MetadataStringValue" => property["string_value"].is_string(),
            "MetadataProtoValue" => property["proto_value"].is_string(),
            "MetadataIntValue" => property["int_value"]
                .as_str()
                .is_some_and(|text| text.parse::<i32>().is_ok()),
            "MetadataStructValue" => {
                let text = property["struct_value"].as_str().unwrap_or_default();
                let Ok(bytes) = STANDARD.decode(text) else {
                    return bad("illegal base64 data at input byte 0");
                };
                let Ok(Value::Object(_)) = serde_json::from_slice(&bytes) else {
                    return bad("cannot unmarshal into Go value of type map[string]interface {}");
                };
                kept["struct_value"] = json!(String::from_utf8(bytes).unwrap());
                true
            }
            _ => false,
        };
        if !valid {
            return bad(&format!("customProperties.{name}: invalid {kind}"));
        }
        stored.insert(name.clone(), kept);
    }
    Ok(Value::Object(stored))
}
