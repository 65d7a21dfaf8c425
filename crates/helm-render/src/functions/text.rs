//! Functions that make text: of text, of values, of files.

use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use gotmpl::Value;
use regex::Regex;
use sha2::{Digest as _, Sha256};

use super::{ANY, Answer, Arguments, Function, string};
use crate::format::{printf, quoted, text};
use crate::values::{from_json, to_json};
use crate::yaml;

pub(super) const TABLE: &[Function] = &[
    ("b64dec", 1, 1, |a| {
        let bytes = BASE64_STANDARD
            .decode(a.text(0)?)
            .map_err(|error| error.to_string())?;
        String::from_utf8(bytes)
            .map(string)
            .map_err(|error| error.to_string())
    }),
    ("b64enc", 1, 1, |a| {
        Ok(string(BASE64_STANDARD.encode(a.text(0)?)))
    }),
    ("base", 1, 1, |a| Ok(string(base(a.text(0)?)))),
    ("cat", 0, ANY, |a| {
        let words: Vec<_> = present(a.all()).map(text).collect();
        Ok(string(words.join(" ").trim()))
    }),
    ("clean", 1, 1, |a| Ok(string(clean(a.text(0)?)))),
    ("contains", 2, 2, |a| {
        Ok(Value::Bool(a.text(1)?.contains(a.text(0)?)))
    }),
    ("dir", 1, 1, |a| {
        let directory = a
            .text(0)?
            .rsplit_once('/')
            .map(|(directory, _)| format!("{directory}/"));
        Ok(string(clean(&directory.unwrap_or_default())))
    }),
    ("ext", 1, 1, |a| {
        let name = base(a.text(0)?);
        Ok(string(
            name.rfind('.')
                .and_then(|dot| name.get(dot..))
                .unwrap_or(""),
        ))
    }),
    ("fromJson", 1, 1, |a| json(a.text(0)?)),
    ("fromJsonArray", 1, 1, |a| json(a.text(0)?)),
    ("fromYaml", 1, 1, |a| from_yaml(a.text(0)?)),
    ("fromYamlArray", 1, 1, |a| from_yaml(a.text(0)?)),
    ("hasPrefix", 2, 2, |a| {
        Ok(Value::Bool(a.text(1)?.starts_with(a.text(0)?)))
    }),
    ("hasSuffix", 2, 2, |a| {
        Ok(Value::Bool(a.text(1)?.ends_with(a.text(0)?)))
    }),
    ("indent", 2, 2, |a| Ok(string(indent(a)?))),
    ("join", 2, 2, |a| {
        let words: Vec<_> = match a.value(1) {
            Value::List(items) => present(items).map(text).collect(),
            Value::Nil => Vec::new(),
            value => vec![text(value)],
        };
        Ok(string(words.join(a.text(0)?)))
    }),
    ("lower", 1, 1, |a| Ok(string(a.text(0)?.to_lowercase()))),
    ("nindent", 2, 2, |a| Ok(string(format!("\n{}", indent(a)?)))),
    ("nospace", 1, 1, |a| {
        Ok(string(a.text(0)?.replace(char::is_whitespace, "")))
    }),
    ("plural", 3, 3, |a| {
        Ok(string(if a.integer(2)? == 1 {
            a.text(0)?
        } else {
            a.text(1)?
        }))
    }),
    ("print", 0, ANY, |a| Ok(string(print(a.all())))),
    ("printf", 1, ANY, |a| {
        printf(a.text(0)?, a.from(1)).map(string)
    }),
    ("println", 0, ANY, |a| {
        let words: Vec<_> = a.all().iter().map(text).collect();
        Ok(string(format!("{}\n", words.join(" "))))
    }),
    ("quote", 0, ANY, |a| {
        let words: Vec<_> = present(a.all()).map(|value| quoted(&text(value))).collect();
        Ok(string(words.join(" ")))
    }),
    ("regexFind", 2, 2, |a| {
        let found = pattern(a)?.find(a.text(1)?);
        Ok(string(found.map_or("", |found| found.as_str())))
    }),
    ("regexMatch", 2, 2, |a| {
        Ok(Value::Bool(pattern(a)?.is_match(a.text(1)?)))
    }),
    ("regexReplaceAll", 3, 3, |a| {
        Ok(string(pattern(a)?.replace_all(a.text(1)?, a.text(2)?)))
    }),
    ("regexReplaceAllLiteral", 3, 3, |a| {
        Ok(string(
            pattern(a)?.replace_all(a.text(1)?, regex::NoExpand(a.text(2)?)),
        ))
    }),
    ("repeat", 2, 2, |a| {
        let count = a.size(0)?;
        if count.saturating_mul(a.text(1)?.len()) > MAX_REPEATED {
            return Err(format!("the text would be over {MAX_REPEATED} bytes"));
        }
        Ok(string(a.text(1)?.repeat(count)))
    }),
    ("replace", 3, 3, |a| {
        Ok(string(a.text(2)?.replace(a.text(0)?, a.text(1)?)))
    }),
    ("sha256sum", 1, 1, |a| {
        let digest = Sha256::digest(a.text(0)?);
        let hex = digest
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        Ok(string(hex))
    }),
    ("split", 2, 2, |a| {
        let parts = a.text(1)?.split(a.text(0)?).enumerate();
        Ok(Value::Map(
            parts
                .map(|(index, part)| (format!("_{index}").into(), string(part)))
                .collect::<std::collections::BTreeMap<_, _>>()
                .into(),
        ))
    }),
    ("splitList", 2, 2, |a| {
        Ok(Value::List(
            a.text(1)?.split(a.text(0)?).map(string).collect(),
        ))
    }),
    ("squote", 0, ANY, |a| {
        let words: Vec<_> = present(a.all())
            .map(|value| format!("'{}'", text(value)))
            .collect();
        Ok(string(words.join(" ")))
    }),
    ("substr", 3, 3, |a| {
        let (start, end, text) = (a.integer(0)?, a.integer(1)?, a.text(2)?);
        let end = usize::try_from(end).unwrap_or(text.len()).min(text.len());
        let part = text.get(usize::try_from(start).unwrap_or(0)..end);
        part.map(string).ok_or_else(|| cut(text))
    }),
    ("title", 1, 1, |a| {
        let mut start = true;
        let title = a.text(0)?.chars().flat_map(|c| {
            let upper = start && c.is_alphabetic();
            start = !(c.is_alphanumeric() || c == '_' || c == '\'');
            if upper {
                c.to_uppercase().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        });
        Ok(string(title.collect::<String>()))
    }),
    ("toJson", 1, 1, |a| {
        Ok(string(escape_html(&to_json(a.value(0))?.to_string())))
    }),
    ("toPrettyJson", 1, 1, |a| {
        let pretty = serde_json::to_string_pretty(&to_json(a.value(0))?);
        Ok(string(escape_html(
            &pretty.map_err(|error| error.to_string())?,
        )))
    }),
    ("toRawJson", 1, 1, |a| {
        Ok(string(to_json(a.value(0))?.to_string()))
    }),
    ("toString", 1, 1, |a| Ok(string(text(a.value(0))))),
    ("toYaml", 1, 1, |a| {
        Ok(string(yaml::write(&to_json(a.value(0))?)?))
    }),
    ("trim", 1, 1, |a| Ok(string(a.text(0)?.trim()))),
    ("trimAll", 2, 2, |a| {
        let set = a.text(0)?;
        Ok(string(a.text(1)?.trim_matches(|c| set.contains(c))))
    }),
    ("trimPrefix", 2, 2, |a| {
        let text = a.text(1)?;
        Ok(string(text.strip_prefix(a.text(0)?).unwrap_or(text)))
    }),
    ("trimSuffix", 2, 2, |a| {
        let text = a.text(1)?;
        Ok(string(text.strip_suffix(a.text(0)?).unwrap_or(text)))
    }),
    ("trunc", 2, 2, |a| {
        let (count, text) = (a.integer(0)?, a.text(1)?);
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if text.len() <= size {
            return Ok(string(text));
        }
        let part = if count < 0 {
            text.get(text.len() - size..)
        } else {
            text.get(..size)
        };
        part.map(string).ok_or_else(|| cut(text))
    }),
    ("untitle", 1, 1, |a| {
        let mut characters = a.text(0)?.chars();
        let first = characters.next().map(|c| c.to_lowercase().to_string());
        Ok(string(format!(
            "{}{}",
            first.unwrap_or_default(),
            characters.as_str()
        )))
    }),
    ("upper", 1, 1, |a| Ok(string(a.text(0)?.to_uppercase()))),
];

/// The longest text that `repeat` makes.
const MAX_REPEATED: usize = 1 << 20;

fn present(values: &[Value]) -> impl Iterator<Item = &Value> {
    values.iter().filter(|value| !matches!(value, Value::Nil))
}

/// A space stands between two arguments of which neither is a text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut before: Option<&Value> = None;
    for value in values {
        let texts = [before, Some(value)].into_iter().flatten();
        if before.is_some()
            && !texts
                .into_iter()
                .any(|value| matches!(value, Value::String(_)))
        {
            out.push(' ');
        }
        out.push_str(&text(value));
        before = Some(value);
    }
    out
}

fn indent(a: &Arguments<'_>) -> Result<String, String> {
    let pad = " ".repeat(a.size(0)?.min(MAX_REPEATED));
    Ok(format!(
        "{pad}{}",
        a.text(1)?.replace('\n', &format!("\n{pad}"))
    ))
}

/// Go cuts bytes; half a character would be no text here.
fn cut(text: &str) -> String {
    format!("it would cut a character of {} in two", quoted(text))
}

fn pattern(a: &Arguments<'_>) -> Result<Regex, String> {
    Regex::new(a.text(0)?).map_err(|error| error.to_string())
}

fn json(text: &str) -> Answer {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(from_json(&value))
}

fn from_yaml(text: &str) -> Answer {
    let mut documents = yaml::read(text)
        .map_err(|problem| format!("line {}: {}", problem.line, problem.message))?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(from_json(&document.value)),
        (None, _) => Ok(Value::Map(std::sync::Arc::default())),
        _ => Err("there is more than one document".into()),
    }
}

/// As Go writes JSON, fit to stand in HTML.
fn escape_html(json: &str) -> String {
    json.replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None if path.starts_with('/') => "/",
        Some("") | None => ".",
        Some(name) => name,
    }
}

/// The shortest path that means the same, without looking at any disk.
fn clean(path: &str) -> String {
    let mut cleaned = PathBuf::new();
    for component in Path::new(path).components() {
        match (component, cleaned.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                cleaned.pop();
            }
            (component, _) => cleaned.push(component),
        }
    }
    match cleaned.to_string_lossy() {
        empty if empty.is_empty() => ".".into(),
        cleaned => cleaned.into_owned(),
    }
}
