//! YAML in and out, as Helm and `kubectl` understand it: YAML 1.1 in the dialect of Go's `yaml.v2`.
//! There `on`, `y` and `0777` are a boolean, a boolean and 511, which readers of YAML 1.2 take for
//! two strings and 777.

mod quick;

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// How many nodes aliases may add to a text: a few anchors can name one another into gigabytes.
const MAX_ALIASED: usize = 100_000;

/// How deep collections may be nested.
const MAX_DEPTH: usize = 100;

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// Its first line, from 1.
    pub(crate) line: usize,
    /// What it says; null where it says nothing.
    pub(crate) value: Value,
}

/// Where a text stops being YAML, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// All documents of a text.
pub(crate) fn read(text: &str) -> Result<Vec<Document>, Problem> {
    match quick::read(text) {
        Some(document) => Ok(vec![document]),
        None => whole(text),
    }
}

/// All documents of any text.
fn whole(text: &str) -> Result<Vec<Document>, Problem> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        aliased: 0,
        depth: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::DocumentStart(..), _) => {
                reader.anchors.clear();
                let (event, span) = reader.next()?;
                let line = span.start.line();
                let value = reader.node(event, span)?;
                documents.push(Document { line, value });
            }
            (Event::StreamEnd, _) => return Ok(documents),
            _ => {}
        }
    }
}

/// A value as block YAML without a line end. Whatever an old reader could take for something else
/// is quoted.
pub(crate) fn write(value: &Value) -> Result<String, String> {
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: false,
    };
    let mut text = serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| format!("cannot be written as YAML: {error}"))?;
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

struct Reader<'input> {
    parser: Parser<'input, granit_parser::StrInput<'input>>,
    anchors: HashMap<usize, Value>,
    aliased: usize,
    depth: usize,
}

impl<'input> Reader<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Problem {
                line: error.marker().line(),
                message: error.info(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span) -> Result<Value, Problem> {
        let at = |message: String| Problem {
            line: span.start.line(),
            message,
        };
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref()).map_err(at)?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.nested(span, Self::sequence)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.nested(span, Self::mapping)?, anchor),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| at("an alias names its own node".into()))?;
                self.aliased += nodes(&value);
                if self.aliased > MAX_ALIASED {
                    return Err(at(format!("aliases add more than {MAX_ALIASED} nodes")));
                }
                (value, 0)
            }
            other => return Err(at(format!("unexpected {other:?}"))),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn nested(
        &mut self,
        span: Span,
        read: fn(&mut Self) -> Result<Value, Problem>,
    ) -> Result<Value, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem {
                line: span.start.line(),
                message: format!("nested more than {MAX_DEPTH} deep"),
            });
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn sequence(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value, Problem> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = |message: String| Problem {
                line: span.start.line(),
                message,
            };
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span)?;
            if merge {
                match value {
                    Value::Array(maps) => merged.extend(maps),
                    map => merged.push(map),
                }
                continue;
            }
            match map.entry(key_text(key).map_err(at)?) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    return Err(at(format!("the key `{}` is there twice", entry.key())));
                }
            };
        }
        for source in merged {
            let Value::Object(source) = source else {
                continue;
            };
            for (key, value) in source {
                map.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(map))
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(map) => map.values().map(nodes).sum(),
        _ => 0,
    }
}

/// JSON's keys are strings, whatever the YAML said.
fn key_text(key: Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Err("a key is empty; quote it".into()),
        Value::Array(_) | Value::Object(_) => Err("a key is a list or a map".into()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None if style == ScalarStyle::Plain => plain(text),
        None | Some((_, Some("str"))) => Ok(Value::String(text.into())),
        Some((_, Some(_))) => plain(text),
        Some((tag, None)) => Err(format!("the tag {} is not supported", tag.original())),
    }
}

/// What an unquoted scalar is.
fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("`{text}` is no number that JSON has"));
        }
        _ => number(text).map_or_else(|| Value::String(text.into()), Value::Number),
    })
}

/// The number that an unquoted scalar is.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !text.starts_with(['+', '-', '.']) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = unsigned.replace('_', "");
    let negative = text.starts_with('-');
    if !text.starts_with('.')
        && let Some(magnitude) = integer(&digits)
    {
        if !negative {
            return Some(magnitude.into());
        }
        if let Ok(number) = format!("-{magnitude}").parse::<i64>() {
            return Some(number.into());
        }
    }
    if !is_float(&digits) {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    Number::from_f64(if negative { -number } else { number })
}

/// Decimal, hexadecimal, octal (also without the `o`) and binary integers.
fn integer(digits: &str) -> Option<u64> {
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // `from_str_radix` takes a sign, which has been read already.
    let first = digits.chars().next()?;
    first
        .is_ascii_alphanumeric()
        .then(|| u64::from_str_radix(digits, radix).ok())?
}

/// `1.5`, `.5`, `1.`, `5e+06`, but neither `inf` nor `0x1p4`, which a parser of floats would take.
fn is_float(digits: &str) -> bool {
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && all_digits(exponent)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_fits
        && all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Value {
        let documents = read(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents[0].value.clone()
    }

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        for (text, value) in [
            ("on", json!(true)),
            ("y", json!(true)),
            ("No", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("0777", json!(511)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("08", json!(8.0)),
            ("1_000", json!(1000)),
            ("-12", json!(-12)),
            ("+5", json!(5)),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("5e+06", json!(5_000_000.0)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("12:30:45", json!("12:30:45")),
            ("2024-01-01", json!("2024-01-01")),
            ("1.2.3", json!("1.2.3")),
            ("-", json!([null])),
            ("--", json!("--")),
            ("+-1", json!("+-1")),
            ("0x", json!("0x")),
            ("!!str 12", json!("12")),
            ("'on'", json!("on")),
            ("|-\n  12", json!("12")),
        ] {
            assert_eq!(one(text), value, "{text}");
        }
        assert!(read(".nan").is_err());
        assert!(read("a: -.inf").is_err());
    }

    #[test]
    fn keys_become_strings() {
        assert_eq!(
            one("on: 1\n8080: 2\nx: 3\n"),
            json!({"true": 1, "8080": 2, "x": 3})
        );
        let problem = read("a:\n  b: 1\n  c: 2\n  b: 3\n").unwrap_err();
        assert_eq!(problem.line, 4);
        assert!(
            problem.message.contains("`b` is there twice"),
            "{problem:?}"
        );
    }

    #[test]
    fn anchors_and_merge_keys() {
        let text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  'y': 3\n";
        assert_eq!(
            one(text),
            json!({"a": {"x": 1, "true": 2}, "b": {"x": 1, "true": 2, "y": 3}})
        );
        let mut bomb = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        bomb.extend((1..9).map(|level| {
            let below = format!("*a{}, ", level - 1).repeat(10);
            format!("a{level}: &a{level} [{below}]\n")
        }));
        assert!(read(&bomb).unwrap_err().message.contains("aliases"));
        assert!(read(&"[".repeat(5000)).is_err());
    }

    #[test]
    fn documents_have_their_lines() {
        let documents = read("# nothing\n---\na: 1\n---\n# only words\n---\n\nb: 2\n").unwrap();
        let lines: Vec<_> = documents
            .iter()
            .map(|d| (d.line, d.value.clone()))
            .collect();
        assert_eq!(lines[0], (3, json!({"a": 1})));
        assert_eq!(lines[1].1, json!(null));
        assert_eq!(lines[2], (8, json!({"b": 2})));
        assert_eq!(read("a: 1\nb: [\n").unwrap_err().line, 2);
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn what_is_written_is_read_back_by_old_and_new_readers() {
        let strings = [
            "on",
            "y",
            "N",
            "null",
            "~",
            "",
            " ",
            "0777",
            "1_000",
            "1e3",
            ".5",
            "12:30:45",
            "0x1f",
            "2024-01-01",
            "a: b",
            "a #b",
            "- x",
            "{a}",
            "[a",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'",
            "\"",
            "\\",
            "line\nline\n",
            "\n",
            "  lead",
            "trail  ",
            "tab\there",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "\u{feff}x",
            "\u{1f600}",
            "<<",
            "=",
            "---",
            "...",
            "?",
            "-",
            ":",
            "a:",
            "\r\n",
            "\0",
            "{{ .Values.x }}",
            "NaN",
            ".inf",
        ];
        for text in strings {
            for value in [
                json!(text),
                json!({text: 1}),
                json!({"k": [text, {"j": text}]}),
            ] {
                let yaml = write(&value).unwrap();
                assert_eq!(one(&yaml), value, "{yaml}");
                let indented = format!("x:\n    {}", yaml.replace('\n', "\n    "));
                assert_eq!(one(&indented), json!({"x": value}), "{indented}");
                let new: Value = serde_saphyr::from_str(&yaml).unwrap();
                assert_eq!(new, value, "{yaml}");
            }
        }
    }
}
