//! The functions that templates call: those of Helm and of its library Sprig that charts use. One
//! that is missing here is an error when the chart is loaded, never an empty text.
//!
//! Left out on purpose: what changes a map in place (`set`, `merge`), because values do not change
//! here; what differs from one render to the next (`now`, `randAlphaNum`, `genCA`); what asks the
//! cluster (`lookup`) or the network; and `tpl`, which makes templates of values.

mod lists;
mod maths;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, TemplateError, Value};

/// Built into the template language; `gotmpl` brings them.
pub(crate) const LANGUAGE: &[&str] = &[
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "html", "js",
    "urlquery",
];

/// Functions of Helm that this crate knows and does not have, and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (&["tpl"], "; write the template in the chart"),
    (
        &["lookup"],
        "; what a chart renders depends on its values only",
    ),
    (
        &[
            "set",
            "unset",
            "merge",
            "mergeOverwrite",
            "mustMerge",
            "mustMergeOverwrite",
        ],
        ", because it changes a map in place; make a new one with `dict`",
    ),
    (
        &[
            "now",
            "date",
            "randAlphaNum",
            "randAlpha",
            "randNumeric",
            "randAscii",
            "uuidv4",
            "genCA",
            "genSelfSignedCert",
            "genSignedCert",
            "genPrivateKey",
            "htpasswd",
            "bcrypt",
        ],
        ", because it gives something else each time",
    ),
];

/// Why a function is not there, for the error that names it.
pub(crate) fn hint(name: &str) -> &'static str {
    REFUSED
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map_or("", |(_, hint)| hint)
}

/// What a function was called with.
pub(crate) struct Arguments<'a>(&'a [Value]);

/// A value, or what is wrong with an argument.
type Answer = Result<Value, String>;

impl<'a> Arguments<'a> {
    fn all(&self) -> &'a [Value] {
        self.0
    }

    fn value(&self, index: usize) -> &'a Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    fn from(&self, index: usize) -> &'a [Value] {
        self.0.get(index..).unwrap_or_default()
    }

    fn wrong<T>(&self, index: usize, wanted: &str) -> Result<T, String> {
        let value = self.value(index);
        let found = match value {
            Value::Nil => "nothing: the value is not set".to_owned(),
            Value::Float(_) => "a number of the values, which is a float".to_owned(),
            other => format!("a {}", other.type_name()),
        };
        Err(format!(
            "argument {} should be {wanted} and is {found}",
            index + 1
        ))
    }

    fn text(&self, index: usize) -> Result<&'a str, String> {
        match self.value(index) {
            Value::String(text) => Ok(text),
            _ => self.wrong(index, "a text"),
        }
    }

    /// An integer of the template, not a number of the values: `int` makes one of it.
    fn integer(&self, index: usize) -> Result<i64, String> {
        match self.value(index) {
            Value::Int(number) => Ok(*number),
            _ => self.wrong(index, "an integer (`int` makes one)"),
        }
    }

    fn size(&self, index: usize) -> Result<usize, String> {
        usize::try_from(self.integer(index)?).or_else(|_| self.wrong(index, "0 or more"))
    }

    fn list(&self, index: usize) -> Result<&'a [Value], String> {
        match self.value(index) {
            Value::List(items) => Ok(items),
            _ => self.wrong(index, "a list"),
        }
    }

    fn map(&self, index: usize) -> Result<&'a Arc<BTreeMap<Arc<str>, Value>>, String> {
        match self.value(index) {
            Value::Map(map) => Ok(map),
            _ => self.wrong(index, "a map"),
        }
    }
}

fn string(text: impl AsRef<str>) -> Value {
    Value::String(text.as_ref().into())
}

/// Name, the fewest and the most arguments, and what it does.
type Function = (&'static str, usize, usize, fn(&Arguments<'_>) -> Answer);

/// No upper limit of arguments.
const ANY: usize = usize::MAX;

/// All functions that are the same in every render.
pub(crate) fn table() -> FuncMap {
    let mut functions = FuncMap::new();
    for table in [text::TABLE, lists::TABLE, maths::TABLE] {
        for &(name, fewest, most, function) in table {
            functions.insert(
                name.to_owned(),
                Arc::new(move |values: &[Value]| {
                    let count = values.len();
                    if count < fewest || count > most {
                        return Err(exec(
                            name,
                            &format!(
                                "{count} arguments are too {}",
                                if count < fewest { "few" } else { "many" }
                            ),
                        ));
                    }
                    function(&Arguments(values)).map_err(|message| exec(name, &message))
                }),
            );
        }
    }
    // What a template asks to fail with is said as it is.
    functions.insert(
        "fail".to_owned(),
        Arc::new(|values: &[Value]| {
            let message = values.first().and_then(Value::as_str).unwrap_or("failed");
            Err(TemplateError::Exec(message.to_owned()))
        }),
    );
    functions.insert(
        "required".to_owned(),
        Arc::new(|values: &[Value]| match values {
            [Value::String(message), Value::Nil] => Err(TemplateError::Exec(message.to_string())),
            [Value::String(message), Value::String(text)] if text.is_empty() => {
                Err(TemplateError::Exec(message.to_string()))
            }
            [Value::String(_), value] => Ok(value.clone()),
            _ => Err(exec("required", "it takes a message and a value")),
        }),
    );
    functions
}

fn exec(name: &str, message: &str) -> TemplateError {
    TemplateError::Exec(format!("{name}: {message}"))
}
