//! The plainest YAML: block mappings and lists, one line for each scalar, literal blocks. That is
//! nearly all that templates render, and reading it is half of what a render costs, so it is read
//! here, in a fraction of the time. Whatever else a text has, or has wrong, is left to the whole
//! reader, which says the same of every text that is read here.

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::{Document, key_text, plain};

/// How deep collections may be nested, and how long a key may be: less than the whole reader allows.
const MAX_DEPTH: usize = 50;
const MAX_KEY: usize = 500;

/// The one document of a text, or none: ask the whole reader then.
pub(super) fn read(text: &str) -> Option<Document> {
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return None;
    }
    let mut reader = Reader {
        lines: text.split('\n').map(Line::of).collect(),
        next: 0,
        depth: 0,
    };
    let first = reader.peek()?;
    let line = reader.next + 1;
    // A scalar alone is nothing that a chart renders.
    split_key(first.text)?;
    let value = reader.mapping(first.indent)?;
    reader.peek().is_none().then_some(Document { line, value })
}

#[derive(Clone, Copy)]
struct Line<'a> {
    indent: usize,
    /// Without the indent.
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let text = line.trim_start_matches(' ');
        Self {
            indent: line.len() - text.len(),
            text,
        }
    }

    fn is_item(self) -> bool {
        self.text.starts_with("- ")
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// The next line that is neither empty nor a comment.
    fn peek(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.lines.get(self.next)?;
            if !line.text.is_empty() && !line.text.starts_with('#') {
                return Some(*line);
            }
            self.next += 1;
        }
    }

    fn collection(&mut self, line: Line<'a>) -> Option<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = if line.is_item() {
            self.list(line.indent)
        } else {
            self.mapping(line.indent)
        };
        self.depth -= 1;
        value
    }

    fn mapping(&mut self, indent: usize) -> Option<Value> {
        let mut map = Map::new();
        while let Some(line) = self.peek().filter(|line| line.indent == indent) {
            let (key, rest) = split_key(line.text)?;
            self.next += 1;
            let value = if rest.is_empty() {
                match self.peek() {
                    Some(below) if below.indent > indent => self.collection(below)?,
                    // The items of a list may stand as far left as its key.
                    Some(below) if below.indent == indent && below.is_item() => {
                        self.collection(below)?
                    }
                    _ => Value::Null,
                }
            } else {
                self.scalar(rest, indent)?
            };
            match map.entry(key_text(key).ok()?) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(_) => return None,
            };
        }
        Some(Value::Object(map))
    }

    fn list(&mut self, indent: usize) -> Option<Value> {
        let mut items = Vec::new();
        while let Some(line) = self
            .peek()
            .filter(|line| line.indent == indent && line.is_item())
        {
            let item = Line::of(line.text.get(1..)?);
            let item = Line {
                indent: indent + 1 + item.indent,
                ..item
            };
            items.push(if item.is_item() || split_key(item.text).is_some() {
                // The first line of a collection, as if it stood alone.
                *self.lines.get_mut(self.next)? = item;
                self.collection(item)?
            } else {
                self.next += 1;
                self.scalar(item.text, indent)?
            });
        }
        Some(Value::Array(items))
    }

    /// What stands behind a key or a dash of a collection with this indent.
    fn scalar(&mut self, text: &str, indent: usize) -> Option<Value> {
        let text = text.trim_end_matches(' ');
        if let "|" | "|-" = text {
            let block = self.block(indent, text == "|");
            return block.map(Value::String);
        }
        if self.peek().is_some_and(|line| line.indent > indent) {
            // It goes on in the next line.
            return None;
        }
        flow(text)
    }

    /// The lines of a literal block below a collection with this indent; with its last line end, or
    /// without.
    fn block(&mut self, above: usize, keep: bool) -> Option<String> {
        let indent = self.lines.get(self.next)?.indent;
        let mut block = String::new();
        let mut end = 0;
        while let Some(line) = self.lines.get(self.next) {
            if line.text.is_empty() {
                // More space than the block's indent would be text.
                if line.indent > indent {
                    return None;
                }
            } else if line.indent < indent {
                break;
            } else {
                block.extend(std::iter::repeat_n(' ', line.indent - indent));
                block.push_str(line.text);
                end = block.len() + 1;
            }
            block.push('\n');
            self.next += 1;
        }
        // An empty block, one that begins with an empty line, and one at the end of the text, whose
        // last line may have no end, have rules of their own.
        if indent <= above || block.starts_with('\n') || self.next == self.lines.len() {
            return None;
        }
        block.truncate(if keep { end } else { end - 1 });
        Some(block)
    }
}

/// A scalar of one line, or a list or a map of such.
fn flow(text: &str) -> Option<Value> {
    let within = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(items) = within('[', ']') {
        return items_of(items).map(inline).collect();
    }
    if let Some(entries) = within('{', '}') {
        let mut map = Map::new();
        for entry in items_of(entries) {
            let (key, value) = entry.split_once(": ")?;
            let Value::String(key) = inline(key)? else {
                return None;
            };
            if map.insert(key, inline(value)?).is_some() {
                return None;
            }
        }
        return Some(Value::Object(map));
    }
    scalar(text)
}

fn items_of(text: &str) -> impl Iterator<Item = &str> {
    let all = if text.is_empty() { None } else { Some(text) };
    all.into_iter().flat_map(|all| all.split(", "))
}

/// A scalar that stands in a list or a map of one line, where more characters mean something.
fn inline(text: &str) -> Option<Value> {
    let is_plain = !text.contains([',', '[', ']', '{', '}', ':']) && text.trim() == text;
    is_plain.then(|| scalar(text))?
}

fn scalar(text: &str) -> Option<Value> {
    let quoted = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains([quote, '\\'])).then(|| Value::String(inner.to_owned()))
    };
    match text.chars().next()? {
        quote @ ('"' | '\'') => quoted(quote),
        first if is_start(first) || first == '-' && text.len() > 1 => {
            let is_more = text.contains(": ") || text.contains(" #") || text.ends_with(':');
            (!is_more && !text.starts_with("- ")).then(|| plain(text).ok())?
        }
        _ => None,
    }
}

/// The key of a line, and what stands behind its colon.
fn split_key(line: &str) -> Option<(Value, &str)> {
    let (key, rest) = if line.starts_with('"') {
        let (key, rest) = line.split_once("\":")?;
        let key = key.strip_prefix('"')?;
        (!key.contains(['"', '\\'])).then(|| (Value::String(key.to_owned()), rest))?
    } else {
        let (key, rest) = line.split_once(':')?;
        let is_key = |c: char| is_start(c) || c == '-';
        let fits = key.starts_with(is_start) && key.chars().all(is_key);
        fits.then(|| Some((plain(key).ok()?, rest)))??
    };
    let rest = match rest.strip_prefix(' ') {
        None if !rest.is_empty() => return None,
        rest => rest.unwrap_or_default().trim_start_matches(' '),
    };
    // The whole reader takes no longer keys; and a comment may stand behind one.
    (line.len() - rest.len() < MAX_KEY && !rest.starts_with('#')).then_some((key, rest))
}

/// Characters that a plain scalar may begin with, and that mean nothing else anywhere in it.
fn is_start(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '$' | '(' | '+' | '~' | '^' | ';')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::whole;
    use super::*;

    #[test]
    fn what_charts_render_is_read_here() {
        let text = "# Source: a\nkind: Deployment\nspec:\n  replicas: 2\n  on: off\n  args:\n  \
                    - --url=https://a:1/b\n  - |\n    read x\n\n      y # z\n  - -1\n  empty: {}\n  \
                    none:\n  env:\n    # why\n    - name: A\n      value: \"it's\"\n    - name: B\n      \
                    value: 'b: c'\n  last: ~\n";
        let expected = json!({"kind": "Deployment", "spec": {
            "replicas": 2, "true": false, "empty": {}, "none": null, "last": null,
            "args": ["--url=https://a:1/b", "read x\n\n  y # z\n", -1],
            "env": [{"name": "A", "value": "it's"}, {"name": "B", "value": "b: c"}],
        }});
        let document = Document {
            line: 2,
            value: expected,
        };
        assert_eq!(read(text), Some(document.clone()));
        assert_eq!(whole(text), Ok(vec![document]));
    }

    /// Parts of lines, of all kinds that mean something.
    const PARTS: [&str; 52] = [
        "a: [b, 1]",
        "c: {d: e, f: 2}",
        "g: [\"h\", 'i']",
        "j: [k,l]",
        "m: [n, [o]]",
        "p: {q}",
        "r: {s: [t]}",
        "u: [ v ]",
        "w: {x: y, x: z}",
        "\"a\": 1",
        "b: [c, ]",
        "\"d\":e",
        "",
        "  ",
        "# a",
        "a: b",
        "b:",
        "c: |",
        "d: |-",
        "e: >",
        "f: {}",
        "g: []",
        "h: {i: j}",
        "k: 'l'",
        "m: \"n\"",
        "o: \"\\n\"",
        "p: 'q''r'",
        "s: t #u",
        "v: w#x",
        "y: z: a",
        "on: 0777",
        "1: -1",
        "a.b/c-d: 1e3",
        "~: 1",
        "f: ---",
        "- a",
        "- b: c",
        "- d:",
        "- - e",
        "- |",
        "-",
        "- ",
        "- 'f'",
        "- {}",
        "text",
        "more text:",
        "---",
        "g: &h i",
        "j: *h",
        "k: !!str 1",
        "l: http://m:1",
        "\"n\": o",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn what_is_read_here_the_whole_reader_reads_too(
            lines in prop::collection::vec((0..4_usize, 0..PARTS.len()), 1..9),
            end in any::<bool>(),
        ) {
            let lines: Vec<_> = lines
                .iter()
                .map(|(indent, part)| format!("{}{}", "  ".repeat(*indent), PARTS[*part]))
                .collect();
            let text = lines.join("\n") + if end { "\n" } else { "" };
            if let Some(document) = read(&text) {
                prop_assert_eq!(whole(&text), Ok(vec![document]), "{}", text);
            }
        }
    }
}
