//! The logger of an InferenceService that KServe runs.
//!
//! Where no logger is set, ours is shared: the object itself remembers it by its field manager, and
//! taking it back is applying nothing. Where somebody else's is replaced, which the resource must
//! ask for, theirs is kept in an annotation, and comes back.

use api::trustyai::v1::LoggerPolicy;
use resources::{Change, Edit, Kind, Share};
use serde_json::{Map, Value, json};

use super::PREDECESSORS;
use super::sink::Sink;

/// KServe's `InferenceService`.
pub const INFERENCE_SERVICE: Kind = Kind::namespaced(
    "serving.kserve.io",
    "v1beta1",
    "InferenceService",
    "inferenceservices",
);
/// Annotation that keeps the logger that ours took the place of, as JSON.
pub const REPLACED: &str = "trustyai.opendatahub.io/replaced-logger";
const REPLACED_AT: &str = "/metadata/annotations/trustyai.opendatahub.io~1replaced-logger";
const LOGGER: &str = "/spec/predictor/logger";

/// What becomes of one InferenceService.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It sends here, and that is as it should be.
    Wired,
    /// These fields make it send here.
    Share(Share),
    /// This makes it send here.
    Wire(Edit),
    /// This makes it as it was before.
    Unwire(Edit),
    /// It keeps the logger that somebody else set, to this address.
    Foreign(String),
    /// It does not send here, and need not.
    Nothing,
    /// It will, once the service can be reached.
    Later,
}

/// What is wanted of one InferenceService.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Whom it may send to.
    pub sink: &'a Sink,
    /// Whether it sends there, with TLS or without. `None`: it does not.
    pub tls: Option<bool>,
    /// The service answers. Without that, what is wired stays and nothing else is.
    pub reachable: bool,
    /// What becomes of a logger that somebody else set.
    pub policy: LoggerPolicy,
    /// Other services of the namespace: their loggers are nobody's choice.
    pub neighbours: &'a [Sink],
}

/// What an InferenceService needs, by the part of it that is watched.
#[must_use]
pub fn step(inference_service: &Value, wish: Wish<'_>) -> Step {
    let logger = inference_service.pointer(LOGGER).filter(|l| !l.is_null());
    let url = logger.map(|logger| text(logger, "/url"));
    let replaced = inference_service.pointer(REPLACED_AT).is_some();
    let is_ours = url.is_some_and(|url| wish.sink.is_logger(url));
    let Some(tls) = wish.tls else {
        // A share goes by itself. What the Go operator set does not.
        let change = if replaced { restore } else { release };
        return match edit(inference_service, wish.sink, None, change) {
            Some(edit) if replaced || is_ours => Step::Unwire(edit),
            _ => Step::Nothing,
        };
    };
    let wanted = wish.sink.logger(tls);
    let replace = |wanted: String| edit(inference_service, wish.sink, Some(&wanted), replace);
    if replaced {
        let keeps = wish.policy == LoggerPolicy::Replace;
        if keeps && url == Some(wanted.as_str()) {
            return Step::Wired;
        }
        let edit = if !keeps || logger.is_none() {
            edit(inference_service, wish.sink, None, restore).map(Step::Unwire)
        } else if !is_ours && !wish.reachable {
            return Step::Later;
        } else {
            replace(wanted).map(Step::Wire)
        };
        return edit.unwrap_or(Step::Nothing);
    }
    let is_neighbours =
        url.is_some_and(|url| wish.neighbours.iter().any(|other| other.is_logger(url)));
    match (logger, url) {
        (Some(logger), _) if is_ours => share(
            inference_service,
            wish.sink,
            &wanted,
            text(logger, "/mode"),
            false,
        ),
        _ if !wish.reachable => match url {
            Some(url) if !is_neighbours && wish.policy == LoggerPolicy::Keep => {
                Step::Foreign(url.to_owned())
            }
            _ => Step::Later,
        },
        (None, _) => share(inference_service, wish.sink, &wanted, "", false),
        _ if is_neighbours => share(inference_service, wish.sink, &wanted, "", true),
        (_, url) => match wish.policy {
            LoggerPolicy::Keep => Step::Foreign(url.unwrap_or_default().to_owned()),
            LoggerPolicy::Replace => replace(wanted).map_or(Step::Nothing, Step::Wire),
        },
    }
}

/// What an InferenceService needs when the service goes.
#[must_use]
pub fn undo(inference_service: &Value, sink: &Sink) -> Option<Edit> {
    let wish = Wish {
        sink,
        tls: None,
        reachable: false,
        policy: LoggerPolicy::Keep,
        neighbours: &[],
    };
    match step(inference_service, wish) {
        Step::Unwire(edit) => Some(edit),
        _ => None,
    }
}

fn share(object: &Value, sink: &Sink, url: &str, mode: &str, overwrite: bool) -> Step {
    let Some((name, uid)) = address(object) else {
        return Step::Nothing;
    };
    // Whoever chose another mode of ours keeps it.
    let mode = if mode.is_empty() { "all" } else { mode };
    Step::Share(Share {
        subject: "logger",
        kind: INFERENCE_SERVICE,
        namespace: Some(sink.namespace.clone()),
        name,
        uid,
        body: json!({"spec": {"predictor": {"logger": {"mode": mode, "url": url}}}}),
        overwrite,
    })
}

fn edit(
    object: &Value,
    sink: &Sink,
    url: Option<&str>,
    change: fn(&Value, &Value) -> Change,
) -> Option<Edit> {
    let (name, uid) = address(object)?;
    Some(Edit {
        kind: INFERENCE_SERVICE,
        namespace: Some(sink.namespace.clone()),
        name,
        uid,
        wanted: json!({"url": url, "ours": [sink.logger(true), sink.logger(false)]}),
        change,
    })
}

fn address(object: &Value) -> Option<(String, String)> {
    let name = text(object, "/metadata/name");
    let uid = text(object, "/metadata/uid");
    (!name.is_empty() && !uid.is_empty()).then(|| (name.to_owned(), uid.to_owned()))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn sends_to_us(logger: Option<&Value>, wanted: &Value) -> bool {
    let url = logger.and_then(|logger| logger.get("url"));
    let ours = wanted.get("ours").and_then(Value::as_array);
    url.is_some_and(|url| ours.is_some_and(|ours| ours.contains(url)))
}

/// Ours in the place of somebody else's, which is kept.
fn replace(live: &Value, wanted: &Value) -> Change {
    let Some(theirs) = live.pointer(LOGGER).filter(|logger| !logger.is_null()) else {
        return Change::Nothing;
    };
    let ours = json!({"mode": "all", "url": wanted.get("url")});
    let mut patch = json!({"spec": {"predictor": {"logger": instead_of(theirs, &ours)}}});
    let kept = live.pointer(REPLACED_AT).is_some();
    if sends_to_us(Some(theirs), wanted) {
        return if kept && theirs.get("url") != wanted.get("url") {
            Change::Merge(json!({"spec": {"predictor": {"logger": {"url": wanted.get("url")}}}}))
        } else {
            Change::Nothing
        };
    }
    let keep = json!({"metadata": {"annotations": {REPLACED: theirs.to_string()}}});
    merge_with_nulls(&mut patch, &keep);
    Change::Merge(patch)
}

/// Theirs in the place of ours. What somebody set meanwhile stays.
fn restore(live: &Value, wanted: &Value) -> Change {
    let Some(kept) = live.pointer(REPLACED_AT).and_then(Value::as_str) else {
        return Change::Nothing;
    };
    let mut patch = json!({"metadata": {"annotations": {REPLACED: null}}});
    let annotations = live
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    if annotations.is_some_and(|annotations| annotations.len() == 1) {
        patch = json!({"metadata": {"annotations": null}});
    }
    let logger = live.pointer(LOGGER);
    if let Some(ours) = logger.filter(|logger| sends_to_us(Some(logger), wanted)) {
        let theirs: Value = serde_json::from_str(kept).unwrap_or_default();
        let back = json!({"spec": {"predictor": {"logger": instead_of(ours, &theirs)}}});
        merge_with_nulls(&mut patch, &back);
    }
    Change::Merge(patch)
}

/// Without the logger that the Go operator set.
fn release(live: &Value, wanted: &Value) -> Change {
    if !sends_to_us(live.pointer(LOGGER), wanted) || !set_by_predecessor(live) {
        return Change::Nothing;
    }
    Change::Merge(json!({"spec": {"predictor": {"logger": null}}}))
}

fn set_by_predecessor(live: &Value) -> bool {
    let entries = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| {
        PREDECESSORS.contains(&text(entry, "/manager"))
            && entry
                .pointer("/fieldsV1/f:spec/f:predictor/f:logger/f:url")
                .is_some()
    })
}

/// The merge patch that makes `new` of `old`.
fn instead_of(old: &Value, new: &Value) -> Value {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return new.clone();
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut patch: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in new {
        let below = old
            .get(key)
            .map_or_else(|| value.clone(), |old| instead_of(old, value));
        patch.insert(key.clone(), below);
    }
    Value::Object(patch)
}

/// Puts the members of one merge patch into another, which has none of them.
fn merge_with_nulls(patch: &mut Value, more: &Value) {
    if let (Some(patch), Some(more)) = (patch.as_object_mut(), more.as_object()) {
        patch.extend(more.clone());
    }
}

#[cfg(test)]
mod tests;
