//! Functions that calculate, and those that ask what a value is.

use gotmpl::Value;

use super::{ANY, Answer, Arguments, Function, string};
use crate::format::text;

pub(super) const TABLE: &[Function] = &[
    ("add", 0, ANY, |a| fold(a, i64::checked_add)),
    ("add1", 1, 1, |a| {
        integer(a, 0)?
            .checked_add(1)
            .map(Value::Int)
            .ok_or_else(overflow)
    }),
    ("all", 0, ANY, |a| {
        Ok(Value::Bool(a.all().iter().all(Value::is_truthy)))
    }),
    ("any", 0, ANY, |a| {
        Ok(Value::Bool(a.all().iter().any(Value::is_truthy)))
    }),
    ("ceil", 1, 1, |a| Ok(Value::Float(float(a, 0)?.ceil()))),
    ("coalesce", 0, ANY, |a| {
        Ok(a.all()
            .iter()
            .find(|value| value.is_truthy())
            .cloned()
            .unwrap_or(Value::Nil))
    }),
    ("default", 1, 2, |a| {
        let given = a.value(1);
        Ok(if given.is_truthy() { given } else { a.value(0) }.clone())
    }),
    ("div", 2, 2, |a| {
        integer(a, 0)?
            .checked_div(integer(a, 1)?)
            .map(Value::Int)
            .ok_or_else(overflow)
    }),
    ("empty", 1, 1, |a| Ok(Value::Bool(!a.value(0).is_truthy()))),
    ("float64", 1, 1, |a| Ok(Value::Float(float(a, 0)?))),
    ("floor", 1, 1, |a| Ok(Value::Float(float(a, 0)?.floor()))),
    ("int", 1, 1, |a| Ok(Value::Int(integer(a, 0)?))),
    ("int64", 1, 1, |a| Ok(Value::Int(integer(a, 0)?))),
    ("kindIs", 2, 2, |a| {
        Ok(Value::Bool(a.text(0)? == kind(a.value(1))))
    }),
    ("kindOf", 1, 1, |a| Ok(string(kind(a.value(0))))),
    ("max", 1, ANY, |a| {
        fold(a, |most, number| Some(most.max(number)))
    }),
    ("min", 1, ANY, |a| {
        fold(a, |least, number| Some(least.min(number)))
    }),
    ("mod", 2, 2, |a| {
        integer(a, 0)?
            .checked_rem(integer(a, 1)?)
            .map(Value::Int)
            .ok_or_else(overflow)
    }),
    ("mul", 1, ANY, |a| fold(a, i64::checked_mul)),
    ("sub", 2, 2, |a| {
        integer(a, 0)?
            .checked_sub(integer(a, 1)?)
            .map(Value::Int)
            .ok_or_else(overflow)
    }),
    ("ternary", 3, 3, |a| match a.value(2) {
        Value::Bool(first) => Ok(a.value(usize::from(!first)).clone()),
        _ => a.wrong(2, "true or false"),
    }),
    ("typeIs", 2, 2, |a| {
        Ok(Value::Bool(a.text(0)? == go_type(a.value(1))))
    }),
    ("typeOf", 1, 1, |a| Ok(string(go_type(a.value(0))))),
];

fn overflow() -> String {
    "the result is no 64-bit integer".into()
}

fn fold(a: &Arguments<'_>, step: fn(i64, i64) -> Option<i64>) -> Answer {
    let mut numbers = (0..a.all().len()).map(|index| integer(a, index));
    let mut total = numbers.next().unwrap_or(Ok(0))?;
    for number in numbers {
        total = step(total, number?).ok_or_else(overflow)?;
    }
    Ok(Value::Int(total))
}

/// What Sprig makes an integer of. A text that is none is 0 there and an error here.
fn integer(a: &Arguments<'_>, index: usize) -> Result<i64, String> {
    match a.value(index) {
        Value::Nil => Ok(0),
        Value::Bool(value) => Ok(i64::from(*value)),
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| overflow()),
        Value::Float(number) => format!("{:.0}", number.trunc())
            .parse()
            .map_err(|_| overflow()),
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => text
            .parse()
            .or_else(|_| a.wrong(index, &format!("a number, not `{text}`"))),
        _ => a.wrong(index, "a number"),
    }
}

fn float(a: &Arguments<'_>, index: usize) -> Result<f64, String> {
    match a.value(index) {
        Value::Float(number) => Ok(*number),
        Value::Nil => Ok(0.0),
        value @ (Value::Int(_) | Value::Uint(_) | Value::String(_)) => {
            text(value).parse().or_else(|_| a.wrong(index, "a number"))
        }
        _ => a.wrong(index, "a number"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Uint(_) => "uint64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Function(_) => "func",
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        other => kind(other),
    }
}
