//! Values as text, as Go's `fmt` prints them: charts were tried with that.

use std::fmt::Write as _;

use gotmpl::Value;

/// A value as `%v`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Float(number) => float(*number),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", text(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// The shortest digits that mean this number, with an exponent below -4 and from 6 on: `5000000` is
/// `5e+06`.
fn float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return if number.is_nan() {
            "NaN".into()
        } else {
            format!("{}Inf", if number > 0.0 { '+' } else { '-' })
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text as `%q`: a string literal of Go, which YAML's double quotes read too.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            character if is_printed(character) => out.push(character),
            character => {
                let code = u32::from(character);
                // Writing to a string does not fail.
                let _ = match code {
                    0..=0x7f => write!(out, "\\x{code:02x}"),
                    0x80..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// Whether Go prints a character as it is. Rust decides by the same classes of Unicode when it
/// escapes a text; it escapes a combining character at the start only, so one stands before it.
fn is_printed(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    let pair: String = ['a', character].iter().collect();
    pair.escape_debug().count() == 2
}

/// `printf`, with the verbs that charts use. Where Go would print `%!d(float64=5)` into a manifest,
/// this is an error.
pub(crate) fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut directive = String::new();
        while let Some(part) = characters.next_if(|c| "-+ #0123456789.".contains(*c)) {
            directive.push(part);
        }
        let verb = characters
            .next()
            .ok_or("the format ends in the middle of a verb")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = arguments
            .next()
            .ok_or_else(|| format!("there is no value for %{verb}"))?;
        let wrong = || {
            let hint = match value {
                Value::Float(_) => "; numbers of values are floats: `int` makes them integers",
                _ => "",
            };
            format!("%{verb} does not print a {}{hint}", value.type_name())
        };
        let formatted = match (verb, value) {
            ('v', value) => text(value),
            ('s', Value::String(text)) => text.to_string(),
            ('q', Value::String(text)) => quoted(text),
            ('d', Value::Int(number)) => signed(&directive, number.to_string()),
            ('d', Value::Uint(number)) => signed(&directive, number.to_string()),
            ('x', Value::Int(number)) if *number >= 0 => format!("{number:x}"),
            ('t', Value::Bool(value)) => value.to_string(),
            ('f', Value::Float(number)) => {
                let digits = directive
                    .split_once('.')
                    .map_or(Ok(6), |(_, digits)| digits.parse());
                let digits: u8 = digits.map_err(|_| wrong())?;
                signed(&directive, format!("{number:.*}", usize::from(digits)))
            }
            _ => return Err(wrong()),
        };
        pad(&mut out, &directive, verb, &formatted)?;
    }
    if arguments.next().is_some() {
        return Err(format!(
            "there are more values than verbs in {}",
            quoted(format)
        ));
    }
    Ok(out)
}

fn signed(directive: &str, number: String) -> String {
    if directive.contains('+') && !number.starts_with('-') {
        format!("+{number}")
    } else {
        number
    }
}

/// Writes what a verb gave in the width that its directive asks for.
fn pad(out: &mut String, directive: &str, verb: char, formatted: &str) -> Result<(), String> {
    let flags = directive.trim_start_matches(['-', '+', '0']);
    let (width, precision) = flags.split_once('.').unwrap_or((flags, ""));
    let unsupported = || format!("%{directive}{verb} is not supported");
    let width: u16 = match width {
        "" => 0,
        width => width.parse().map_err(|_| unsupported())?,
    };
    let before = directive.strip_suffix(flags).unwrap_or_default();
    if !precision.is_empty() && verb != 'f' {
        return Err(unsupported());
    }
    let missing = usize::from(width).saturating_sub(formatted.chars().count());
    if before.contains('-') {
        out.push_str(formatted);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if before.contains('0') && matches!(verb, 'd' | 'x' | 'f') {
        let digits = formatted.trim_start_matches(['-', '+']);
        out.push_str(formatted.strip_suffix(digits).unwrap_or_default());
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(formatted);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_go_does() {
        for (number, printed) in [
            (5_000_000.0, "5e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (999_999.0, "999999"),
            (8443.0, "8443"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1_234_567.5, "1.2345675e+06"),
            (1e21, "1e+21"),
            (-0.5, "-0.5"),
            (0.0, "0"),
        ] {
            assert_eq!(float(number), printed);
        }
        let nested = Value::List([Value::Float(1e6), Value::Nil, Value::Bool(true)].into());
        assert_eq!(text(&nested), "[1e+06 <nil> true]");
    }

    #[test]
    fn text_is_quoted_as_go_does() {
        let text = "aé\u{200b}\u{7f}\u{2028}\u{1f600}\u{301}\u{feff}\u{1}\u{a0}'\"\\";
        let expected = "\"aé\\u200b\\x7f\\u2028\u{1f600}\u{301}\\ufeff\\x01\\u00a0'\\\"\\\\\"";
        assert_eq!(quoted(text), expected);
    }

    #[test]
    fn printf_prints_or_says_why_not() {
        let print = |format: &str, value: Value| printf(format, &[value]);
        let number = || Value::Int(42);
        assert_eq!(print("%d%%", number()).unwrap(), "42%");
        assert_eq!(print("%05d|", number()).unwrap(), "00042|");
        assert_eq!(print("%-5d|", number()).unwrap(), "42   |");
        assert_eq!(print("%5s|", "é".into()).unwrap(), "    é|");
        assert_eq!(print("%v", Value::Float(5e6)).unwrap(), "5e+06");
        assert_eq!(print("%.2f", Value::Float(1.005)).unwrap(), "1.00");
        assert_eq!(print("%q", "a\"b".into()).unwrap(), "\"a\\\"b\"");
        assert!(
            print("%d", Value::Float(5.0))
                .unwrap_err()
                .contains("`int`")
        );
        assert!(print("%s", number()).is_err());
        assert!(print("%", number()).is_err());
        assert!(print("%s %s", "a".into()).is_err());
        assert!(print("none", "a".into()).is_err());
        assert!(print("%[1]s", "a".into()).is_err());
    }
}
