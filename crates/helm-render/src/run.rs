//! One render of one template: the functions that need to know where they are called.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use gotmpl::{FuncMap, Template, TemplateError, Value};

use crate::compile::{AT, FIELD, HAS, INCLUDE, PRINT};
use crate::format::text;

/// How deep templates may include one another. Each takes some kilobytes of the stack, of which a
/// thread of a server has two megabytes; charts need fewer than ten.
const MAX_INCLUDES: usize = 64;

/// What Go prints for what is not set, and Helm takes out of the result.
const NO_VALUE: &str = "<no value>";

/// The functions that the compiler puts into trees and that are the same in every render.
pub(crate) fn internal() -> FuncMap {
    let mut functions = FuncMap::new();
    functions.insert(PRINT.into(), Arc::new(|values: &[Value]| Ok(print(values))));
    functions.insert(
        FIELD.into(),
        Arc::new(|values: &[Value]| field(values).map_err(TemplateError::Exec)),
    );
    functions.insert(
        HAS.into(),
        Arc::new(|values: &[Value]| has(values).map_err(TemplateError::Exec)),
    );
    functions
}

fn print(values: &[Value]) -> Value {
    match values {
        [Value::Nil] => Value::String(NO_VALUE.into()),
        [value @ Value::String(_)] => value.clone(),
        values => Value::String(values.iter().map(text).collect::<String>().into()),
    }
}

/// Follows a path. As in Go, nothing at its start gives nothing, and nothing on the way is an error.
fn field(values: &[Value]) -> Result<Value, String> {
    let [start, Value::String(path)] = values else {
        return Err("a path of fields was compiled wrongly".into());
    };
    let mut value = start;
    let mut end = path.find('.').unwrap_or(path.len());
    if matches!(start, Value::Nil) {
        return Ok(Value::Nil);
    }
    for name in path.split('.').skip(1) {
        let so_far = path
            .get(..end)
            .filter(|path| !path.is_empty())
            .unwrap_or(".");
        match value {
            Value::Map(map) => value = map.get(name).unwrap_or(&Value::Nil),
            Value::Nil => return Err(format!("{so_far} is not set, so there is no {path}")),
            other => {
                return Err(format!(
                    "{so_far} is a {}, so there is no {path}",
                    other.type_name()
                ));
            }
        }
        end += 1 + name.len();
    }
    Ok(value.clone())
}

fn has(values: &[Value]) -> Result<Value, String> {
    match values {
        [Value::List(known), wanted @ Value::String(_)] => Ok(Value::Bool(known.contains(wanted))),
        _ => {
            Err("only `.Capabilities.APIVersions` has the method `Has`, and it takes a text".into())
        }
    }
}

/// Where a render is.
struct State {
    place: AtomicUsize,
    includes: AtomicUsize,
    nothing: Value,
    known: Mutex<Known>,
}

/// What templates gave for the values that a file begins with. Values do not change and functions
/// have no memory, so the same question has the same answer, and charts ask for the name of things
/// in every second line. Files begin with the same values but for `.Template`: where no template of
/// the chart asks for that, the answers are those of the next file, too.
#[derive(Default)]
struct Known {
    root: Option<Arc<BTreeMap<Arc<str>, Value>>>,
    texts: BTreeMap<Arc<str>, Value>,
}

impl Known {
    /// Whether these are the values that the file began with.
    fn applies(&self, data: &Value) -> bool {
        matches!((data, &self.root), (Value::Map(map), Some(root)) if Arc::ptr_eq(map, root))
    }
}

/// Renders templates with the same functions and the same values of [`crate::Release`].
pub(crate) struct Run {
    template: Arc<Template>,
    state: Arc<State>,
    /// Whether a template asks for `.Template`.
    asks_file: bool,
}

impl Run {
    pub(crate) fn new(template: &Template, asks_file: bool) -> Self {
        let state = Arc::new(State {
            place: AtomicUsize::new(0),
            includes: AtomicUsize::new(0),
            nothing: Value::String("".into()),
            known: Mutex::default(),
        });
        let template = Arc::new_cyclic(|this: &Weak<Template>| {
            let noted = state.clone();
            let at = move |values: &[Value]| {
                if let [Value::Int(place)] = values {
                    noted
                        .place
                        .store(usize::try_from(*place).unwrap_or(0), Ordering::Relaxed);
                }
                Ok(noted.nothing.clone())
            };
            let (this, including) = (this.clone(), state.clone());
            let include = move |values: &[Value]| include(&this, &including, values);
            template.clone().func(AT, at).func(INCLUDE, include)
        });
        Self {
            template,
            state,
            asks_file,
        }
    }

    /// The text of one file, or what went wrong.
    pub(crate) fn file(&self, name: &str, data: &Value) -> Result<String, String> {
        if let (Value::Map(root), Ok(mut known)) = (data, self.state.known.lock()) {
            known.root = Some(root.clone());
            if self.asks_file {
                known.texts.clear();
            }
        }
        match self.template.execute_template_to_string(name, data) {
            Ok(text) if text.contains(NO_VALUE) => Ok(text.replace(NO_VALUE, "")),
            Ok(text) => Ok(text),
            Err(TemplateError::Exec(message)) => Err(message),
            Err(other) => Err(other.to_string()),
        }
    }

    /// The place that was noted last.
    pub(crate) fn place(&self) -> usize {
        self.state.place.load(Ordering::Relaxed)
    }
}

/// Renders a template to a text. The place is that of the caller again afterwards; after an error
/// it is that of the error.
fn include(
    template: &Weak<Template>,
    state: &State,
    values: &[Value],
) -> Result<Value, TemplateError> {
    let [Value::String(name), data] = values else {
        return Err(TemplateError::Exec(
            "include takes the name of a template and a value".into(),
        ));
    };
    let lock = || state.known.lock().ok().filter(|known| known.applies(data));
    if let Some(text) = lock().and_then(|known| known.texts.get(name).cloned()) {
        return Ok(text);
    }
    let Some(template) = template.upgrade() else {
        return Err(TemplateError::Exec("include outside of a render".into()));
    };
    let place = state.place.load(Ordering::Relaxed);
    if state.includes.fetch_add(1, Ordering::Relaxed) >= MAX_INCLUDES {
        return Err(TemplateError::Exec(format!(
            "templates include one another more than {MAX_INCLUDES} deep, last `{name}`"
        )));
    }
    let text = template.execute_template_to_string(name, data)?;
    state.includes.fetch_sub(1, Ordering::Relaxed);
    state.place.store(place, Ordering::Relaxed);
    let text = Value::String(text.into());
    if let Some(mut known) = lock() {
        known.texts.insert(name.clone(), text.clone());
    }
    Ok(text)
}
