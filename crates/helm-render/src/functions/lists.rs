//! Functions on lists and maps. All of them make new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;

use super::{ANY, Answer, Arguments, Function, string};
use crate::format::text;

pub(super) const TABLE: &[Function] = &[
    ("append", 2, 2, |a| Ok(chain([a.list(0)?, a.from(1)]))),
    ("compact", 1, 1, |a| Ok(kept(a.list(0)?, Value::is_truthy))),
    ("concat", 0, ANY, |a| {
        let lists = (0..a.all().len())
            .map(|index| a.list(index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(chain(lists))
    }),
    ("deepCopy", 1, 1, |a| Ok(a.value(0).clone())),
    ("dict", 0, ANY, |a| {
        let pairs = a.all().chunks(2);
        Ok(map(pairs.filter_map(|pair| {
            let value = pair.get(1).cloned().unwrap_or_else(|| string(""));
            Some((text(pair.first()?).into(), value))
        })))
    }),
    ("dig", 3, ANY, dig),
    ("first", 1, 1, |a| {
        Ok(a.list(0)?.first().cloned().unwrap_or(Value::Nil))
    }),
    ("get", 2, 2, |a| {
        Ok(a.map(0)?
            .get(a.text(1)?)
            .cloned()
            .unwrap_or_else(|| string("")))
    }),
    ("has", 2, 2, |a| match a.value(1) {
        Value::Nil => Ok(Value::Bool(false)),
        _ => Ok(Value::Bool(a.list(1)?.contains(a.value(0)))),
    }),
    ("hasKey", 2, 2, |a| {
        Ok(Value::Bool(a.map(0)?.contains_key(a.text(1)?)))
    }),
    ("initial", 1, 1, |a| {
        Ok(list(a.list(0)?.split_last().map_or(&[], |(_, rest)| rest)))
    }),
    // Go gives keys in an order that changes from one run to the next; here they are sorted.
    ("keys", 0, ANY, |a| {
        let maps = (0..a.all().len())
            .map(|index| a.map(index))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Value::List(
            maps.into_iter()
                .flat_map(|map| map.keys())
                .map(string)
                .collect(),
        ))
    }),
    ("last", 1, 1, |a| {
        Ok(a.list(0)?.last().cloned().unwrap_or(Value::Nil))
    }),
    ("list", 0, ANY, |a| Ok(list(a.all()))),
    ("omit", 1, ANY, |a| select(a, false)),
    ("pick", 1, ANY, |a| select(a, true)),
    ("pluck", 1, ANY, |a| {
        let mut found = Vec::new();
        for index in 1..a.all().len() {
            found.extend(a.map(index)?.get(a.text(0)?).cloned());
        }
        Ok(Value::List(found.into()))
    }),
    ("prepend", 2, 2, |a| Ok(chain([a.from(1), a.list(0)?]))),
    ("rest", 1, 1, |a| {
        Ok(list(a.list(0)?.split_first().map_or(&[], |(_, rest)| rest)))
    }),
    ("reverse", 1, 1, |a| {
        Ok(Value::List(a.list(0)?.iter().rev().cloned().collect()))
    }),
    ("slice", 1, 3, |a| {
        let items = a.list(0)?;
        let bound = |index, otherwise| {
            if a.all().len() > index {
                a.size(index)
            } else {
                Ok(otherwise)
            }
        };
        let part = items.get(bound(1, 0)?..bound(2, items.len())?);
        part.map(list)
            .ok_or_else(|| format!("the list has {} items only", items.len()))
    }),
    ("sortAlpha", 1, 1, |a| {
        let mut words: Vec<_> = a.list(0)?.iter().map(text).collect();
        words.sort_unstable();
        Ok(Value::List(words.into_iter().map(string).collect()))
    }),
    ("toStrings", 1, 1, |a| {
        Ok(Value::List(
            a.list(0)?.iter().map(|item| string(text(item))).collect(),
        ))
    }),
    ("tuple", 0, ANY, |a| Ok(list(a.all()))),
    ("uniq", 1, 1, |a| {
        let mut seen: Vec<Value> = Vec::new();
        for item in a.list(0)? {
            if !seen.contains(item) {
                seen.push(item.clone());
            }
        }
        Ok(Value::List(seen.into()))
    }),
    ("until", 1, 1, |a| {
        steps(0, a.integer(0)?, if a.integer(0)? < 0 { -1 } else { 1 })
    }),
    ("untilStep", 3, 3, |a| {
        steps(a.integer(0)?, a.integer(1)?, a.integer(2)?)
    }),
    ("values", 1, 1, |a| {
        Ok(Value::List(a.map(0)?.values().cloned().collect()))
    }),
    ("without", 1, ANY, |a| {
        Ok(kept(a.list(0)?, |item| !a.from(1).contains(item)))
    }),
];

/// The longest list that `until` makes.
const MAX_STEPS: usize = 100_000;

fn list(items: &[Value]) -> Value {
    Value::List(items.into())
}

fn chain<'a>(lists: impl IntoIterator<Item = &'a [Value]>) -> Value {
    Value::List(lists.into_iter().flatten().cloned().collect())
}

fn kept(items: &[Value], keep: impl Fn(&Value) -> bool) -> Value {
    Value::List(items.iter().filter(|item| keep(item)).cloned().collect())
}

fn map(entries: impl Iterator<Item = (Arc<str>, Value)>) -> Value {
    Value::Map(Arc::new(entries.collect::<BTreeMap<_, _>>()))
}

fn select(a: &Arguments<'_>, keep: bool) -> Answer {
    let names = (1..a.all().len())
        .map(|index| a.text(index))
        .collect::<Result<Vec<_>, _>>()?;
    let entries = a
        .map(0)?
        .iter()
        .filter(|(key, _)| names.contains(&&***key) == keep);
    Ok(map(entries.map(|(key, value)| (key.clone(), value.clone()))))
}

/// `dig "a" "b" DEFAULT MAP`.
fn dig(a: &Arguments<'_>) -> Answer {
    let last = a.all().len() - 1;
    let mut found: &Value = a.value(last);
    for index in 0..last - 1 {
        let Value::Map(map) = found else {
            return a.wrong(index, "the key of a map, and what it is looked up in");
        };
        let Some(value) = map.get(a.text(index)?) else {
            return Ok(a.value(last - 1).clone());
        };
        found = value;
    }
    Ok(found.clone())
}

fn steps(start: i64, end: i64, by: i64) -> Answer {
    let runs = (end > start && by > 0) || (end < start && by < 0);
    if !runs {
        return Ok(list(&[]));
    }
    let mut numbers = Vec::new();
    let mut number = start;
    while if by > 0 { number < end } else { number > end } {
        if numbers.len() == MAX_STEPS {
            return Err(format!("the list would be over {MAX_STEPS} items long"));
        }
        numbers.push(Value::Int(number));
        number = number.saturating_add(by);
    }
    Ok(Value::List(numbers.into()))
}
