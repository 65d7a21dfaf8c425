//! `render`: the objects that resources become, on standard output.

use std::io::Write;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use resources::{Kind, kind::SECRET};
use serde_json::{Value, json};

use super::documents;
use super::work::{Files, Kinds, OfflineError, plans, read, say};

/// What stands in place of everything that is random or secret.
pub const PLACEHOLDER: &str = "<generated>";

/// Flags of `render`.
#[derive(Args, Clone, Debug)]
pub struct RenderArgs {
    /// Input.
    #[command(flatten)]
    pub files: Files,
    /// Form of the output: documents in YAML, or one List in JSON.
    #[arg(short = 'o', long = "output", value_enum, default_value_t)]
    pub output: Output,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML documents.
    #[default]
    Yaml,
    /// One `List` in JSON.
    Json,
}

/// Prints what the resources in the files become, in a cluster that serves `more` beside what its
/// platform does.
pub fn run(
    kinds: &impl Kinds,
    args: &RenderArgs,
    more: &[Kind],
    out: &mut impl Write,
) -> Result<(), OfflineError> {
    let documents = read(&args.files.files)?;
    let (objects, warnings) = render(kinds, &documents, &args.files, more)?;
    for warning in warnings {
        say("warning", warning);
    }
    out.write_all(print(&objects, args.output)?.as_bytes())
        .map_err(OfflineError::Write)
}

/// The objects, and what is odd about the resources.
fn render(
    kinds: &impl Kinds,
    documents: &[Value],
    files: &Files,
    more: &[Kind],
) -> Result<(Vec<Value>, Vec<String>), OfflineError> {
    let now = Timestamp::now();
    let first = plans(kinds, documents, files, more, now)?;
    // What a second run makes otherwise is random, wherever it stands: a password, the hash of it.
    let second = plans(kinds, documents, files, more, now)?;
    let mut objects = Vec::new();
    let mut warnings = Vec::new();
    for (first, second) in first.iter().zip(&second) {
        warnings.extend(
            first
                .unknown
                .iter()
                .map(|path| format!("{}: {path}: unknown field, left out", first.title)),
        );
        warnings.extend(
            first
                .warnings
                .iter()
                .map(|warning| format!("{}: {warning}", first.title)),
        );
        for (object, again) in first.plan.objects().iter().zip(second.plan.objects()) {
            let mut body = object.body.clone();
            mask(&mut body, &again.body);
            if object.kind == SECRET {
                mask_data(&mut body);
            }
            objects.push(body);
        }
    }
    Ok((objects, warnings))
}

/// Puts the placeholder where `value` differs from `again`.
fn mask(value: &mut Value, again: &Value) {
    match (value, again) {
        (Value::Object(map), Value::Object(again)) => {
            for (key, value) in map {
                mask(value, again.get(key).unwrap_or(&Value::Null));
            }
        }
        (Value::Array(list), Value::Array(again)) if list.len() == again.len() => {
            for (value, again) in list.iter_mut().zip(again) {
                mask(value, again);
            }
        }
        (value, again) if value != again => *value = PLACEHOLDER.into(),
        _ => {}
    }
}

/// No value of a Secret is printed, generated or given.
fn mask_data(secret: &mut Value) {
    for field in ["data", "stringData"] {
        for value in secret
            .get_mut(field)
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|m| m.values_mut())
        {
            *value = PLACEHOLDER.into();
        }
    }
}

fn print(objects: &[Value], output: Output) -> Result<String, OfflineError> {
    match output {
        Output::Yaml => {
            let mut text = String::new();
            for object in objects {
                text.push_str("---\n");
                text.push_str(&documents::write(object)?);
            }
            Ok(text)
        }
        Output::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            Ok(format!("{list:#}\n"))
        }
    }
}
