//! The list of payload processors in ModelMesh's `config.yaml`, changed as text.
//!
//! The text is somebody's: comments, order and style are theirs. So nothing is written anew; one
//! piece is put in, or taken out, and the result is only used when everything else reads as before.
//! What is put in tells by its form how the text was before:
//!
//! | before | after |
//! |---|---|
//! | no such key | `payloadProcessors:` and below it `- URL`, at the top |
//! | no such key, in braces | `"payloadProcessors": [ "URL" ]`, first |
//! | `payloadProcessors:` | `payloadProcessors: URL` |
//! | `payloadProcessors: null` | `payloadProcessors: URL # null` |
//! | `payloadProcessors: a,b` | `payloadProcessors: URL,a,b`: ModelMesh splits a text at commas |
//! | `payloadProcessors: [a]` | `payloadProcessors: [URL, a]` |
//! | `payloadProcessors:`, below it `- a` | the same, with `- URL` above `- a` |

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// As ModelMesh's documents write it. ModelMesh reads keys in any case.
const KEY: &str = "payloadProcessors";

/// A text in which nothing can be changed without a loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The parser's words.
    #[error("it is not valid YAML: {0}; correct it")]
    Invalid(String),
    /// What is in the way.
    #[error("{0}")]
    Form(&'static str),
}

const SEVERAL: Unfit = Unfit::Form("it holds several documents, or a key twice; leave one");
const NO_MAPPING: Unfit = Unfit::Form("it is no mapping of settings; write it as one");
const ODD: Unfit = Unfit::Form(
    "payloadProcessors is written in a form that cannot be changed; write it as a list",
);

type Place = Range<usize>;

/// What `config.yaml` holds, and where.
struct Layout {
    /// Where a new first line goes.
    top: usize,
    settings: Settings,
    keys: Vec<Key>,
}

enum Settings {
    /// None at all.
    Empty,
    /// One to a line, behind so many spaces.
    Block(usize),
    /// In braces, of which the first ends here.
    Braces(usize),
}

struct Key {
    name: String,
    place: Place,
    node: Node,
    /// The value as its parser sees it, for comparison.
    content: Vec<String>,
}

enum Node {
    /// Nothing is written behind the colon, or a word that means nothing.
    Null(Place),
    /// One line of text, without its quotes.
    Text { place: Place, quoted: bool },
    /// A list, and its items where they are texts.
    List {
        flow: bool,
        start: usize,
        items: Vec<(Place, String)>,
    },
    /// Anything else.
    Odd,
}

/// The text with `url` among the processors; `None` when it is there.
pub fn add(text: &str, url: &str) -> Result<Option<String>, Unfit> {
    let layout = read(text)?;
    let before = layout.processors(text)?;
    if before.iter().any(|processor| processor == url) {
        return Ok(None);
    }
    let (at, piece) = match (layout.list()?, &layout.settings) {
        (None, Settings::Empty) => (layout.top, format!("{KEY}:\n- {url}\n")),
        (None, Settings::Block(indent)) => {
            let indent = " ".repeat(*indent);
            (layout.top, format!("{indent}{KEY}:\n{indent}- {url}\n"))
        }
        (None, Settings::Braces(inside)) => {
            let end = if layout.keys.is_empty() { "" } else { ", " };
            (*inside, format!("\"{KEY}\": [ \"{url}\" ]{end}"))
        }
        (Some(key), settings) => match &key.node {
            Node::Null(place) if place.is_empty() => (colon(text, key)?, format!(" {url}")),
            Node::Null(place) => (place.start, format!("{url} # ")),
            Node::Text { place, .. } if place.is_empty() => (place.start, url.to_owned()),
            Node::Text { place, .. } => (place.start, format!("{url},")),
            Node::List {
                flow: true,
                start,
                items,
            } => {
                let quote = if matches!(settings, Settings::Braces(_)) {
                    "\""
                } else {
                    ""
                };
                let end = if items.is_empty() { "" } else { ", " };
                (start + 1, format!("{quote}{url}{quote}{end}"))
            }
            Node::List { items, .. } => {
                let (place, _) = items.first().ok_or(ODD)?;
                let line = line_start(text, place.start);
                let indent = indent(text, place).ok_or(ODD)?;
                (line + indent.len(), format!("- {url}\n{indent}"))
            }
            Node::Odd => return Err(ODD),
        },
    };
    let mut changed = text.to_owned();
    changed.insert_str(at, &piece);
    let mut wanted = before;
    wanted.push(url.to_owned());
    checked(&layout, changed, wanted).map(Some)
}

/// The text without `url` among the processors; `None` when it is not there. A text that somebody
/// broke meanwhile loses the line that is ours.
pub fn remove(text: &str, url: &str) -> Result<Option<String>, Unfit> {
    if !text.contains(url) {
        return Ok(None);
    }
    let mut changed = text.to_owned();
    loop {
        let layout = match read(&changed) {
            Ok(layout) => layout,
            Err(unfit) => return without_line(text, url).map(Some).ok_or(unfit),
        };
        let mut left = layout.processors(&changed)?;
        if !left.iter().any(|processor| processor == url) {
            return Ok((changed != text).then_some(changed));
        }
        let Some(key) = layout.list()? else {
            return Err(ODD);
        };
        if let Some(first) = left.iter().position(|processor| processor == url) {
            left.remove(first);
        }
        let pieces = [was_null(&changed, key), ours(&changed, &layout, key, url)];
        let next = pieces.into_iter().flatten().find_map(|piece| {
            let mut next = changed.clone();
            next.replace_range(piece, "");
            checked(&layout, next, left.clone()).ok()
        });
        changed = next.ok_or(ODD)?;
    }
}

/// The piece that goes, so that `url` is there once less.
fn ours(text: &str, layout: &Layout, key: &Key, url: &str) -> Option<Place> {
    match &key.node {
        Node::Text { place, quoted } => {
            let content = text.get(place.clone())?;
            if content == url && !quoted {
                let space = text.get(..place.start)?.ends_with(": ");
                return Some(place.start - usize::from(space)..place.end);
            }
            if content == url {
                return Some(place.clone());
            }
            let mut start = place.start;
            for processor in content.split(',') {
                let end = start + processor.len();
                if processor == url && start == place.start {
                    return Some(start..end + 1);
                } else if processor == url {
                    return Some(start - 1..end);
                }
                start = end + 1;
            }
            None
        }
        Node::List {
            flow: true, items, ..
        } => {
            let index = items.iter().position(|(_, item)| item == url)?;
            let (place, _) = items.get(index)?;
            if let (Settings::Braces(_), [_]) = (&layout.settings, items.as_slice())
                && let Some(whole) = made_in_braces(text, key, url)
            {
                return Some(whole);
            }
            if index + 1 < items.len() {
                let rest = text.get(place.end..)?;
                let comma = rest.find(',')? + 1;
                let space = usize::from(rest.get(comma..)?.starts_with(' '));
                return Some(place.start..place.end + comma + space);
            }
            let before = index.checked_sub(1).and_then(|index| items.get(index));
            Some(before.map_or(place.start, |(before, _)| before.end)..place.end)
        }
        Node::List { items, .. } => {
            let (place, _) = items.iter().find(|(_, item)| item == url)?;
            let line = line_start(text, place.start);
            let dash = line + indent(text, place)?.len();
            let end = line_end(text, place.end);
            if !text.get(place.end..end)?.trim().is_empty() {
                // Somebody's remark stays.
                return Some(dash..place.end);
            }
            let head = format!(
                "{}{KEY}:\n{0}- {url}",
                text.get(line_start(text, key.place.start)..key.place.start)?
            );
            let top = line_start(text, key.place.start);
            if items.len() == 1 && text.get(top..place.end) == Some(head.as_str()) {
                return Some(top..end);
            }
            let is_last_line = !text.get(line..end)?.ends_with('\n');
            Some(line - usize::from(is_last_line && line > 0)..end)
        }
        Node::Null(_) | Node::Odd => None,
    }
}

/// What is between the start of the line and the dash of an item: spaces.
fn indent<'a>(text: &'a str, item: &Place) -> Option<&'a str> {
    let before = text.get(line_start(text, item.start)..item.start)?;
    let indent = before.trim_end().strip_suffix('-')?;
    indent.trim().is_empty().then_some(indent)
}

/// What [`add`] put in front of a word that means nothing.
fn was_null(text: &str, key: &Key) -> Option<Place> {
    let Node::Text {
        place,
        quoted: false,
    } = &key.node
    else {
        return None;
    };
    let comment = text.get(place.end..)?.strip_prefix(" # ")?;
    let word = comment.split([' ', '\t', '\r', '\n']).next()?;
    NULLS
        .contains(&word)
        .then_some(place.start..place.end + " # ".len())
}

/// What [`add`] put in where no such key was, in braces.
fn made_in_braces(text: &str, key: &Key, url: &str) -> Option<Place> {
    let rest = text.get(key.place.start..)?;
    let made = format!("\"{KEY}\": [ \"{url}\" ]");
    let after = rest.strip_prefix(&made)?;
    let comma = if after.starts_with(", ") { 2 } else { 0 };
    Some(key.place.start..key.place.start + made.len() + comma)
}

/// The text without the lines that are an item of ours and nothing else.
fn without_line(text: &str, url: &str) -> Option<String> {
    let item = format!("- {url}");
    let lines = text.split_inclusive('\n');
    let left: String = lines.filter(|line| line.trim() != item).collect();
    (left != text).then_some(left)
}

/// `changed`, if it holds these processors, and everything else as before.
fn checked(before: &Layout, changed: String, mut wanted: Vec<String>) -> Result<String, Unfit> {
    let after = read(&changed).map_err(|_| ODD)?;
    let mut processors = after.processors(&changed)?;
    processors.sort();
    wanted.sort();
    let same = processors == wanted && before.others().eq(after.others());
    if same { Ok(changed) } else { Err(ODD) }
}

impl Layout {
    /// The processors' key.
    fn list(&self) -> Result<Option<&Key>, Unfit> {
        let mut found = self.keys.iter().filter(|key| is_ours(key));
        match (found.next(), found.next()) {
            (key, None) => Ok(key),
            _ => Err(SEVERAL),
        }
    }

    /// What is in the list, as ModelMesh reads it.
    fn processors(&self, text: &str) -> Result<Vec<String>, Unfit> {
        Ok(match self.list()?.map(|key| &key.node) {
            None | Some(Node::Null(_)) => Vec::new(),
            Some(Node::Text { place, .. }) => {
                let content = text.get(place.clone()).unwrap_or_default();
                let processors = content.split(',').filter(|_| !content.is_empty());
                processors.map(ToOwned::to_owned).collect()
            }
            Some(Node::List { items, .. }) => items.iter().map(|(_, item)| item.clone()).collect(),
            Some(Node::Odd) => return Err(ODD),
        })
    }

    /// Everything else.
    fn others(&self) -> impl Iterator<Item = (&str, &[String])> {
        let others = self.keys.iter().filter(|key| !is_ours(key));
        others.map(|key| (key.name.as_str(), key.content.as_slice()))
    }
}

fn is_ours(key: &Key) -> bool {
    key.name.eq_ignore_ascii_case(KEY)
}

const NULLS: [&str; 4] = ["~", "null", "Null", "NULL"];

/// Reads where everything is.
fn read(text: &str) -> Result<Layout, Unfit> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unfit::Invalid(error.to_string()))?;
        if !matches!(event, Event::Comment(..)) {
            events.push((event, place_of(span).ok_or(ODD)?));
        }
    }
    let mut events = events.into_iter().peekable();
    let mut layout = Layout {
        top: 0,
        settings: Settings::Empty,
        keys: Vec::new(),
    };
    let mut documents = 0;
    while let Some((event, place)) = events.next() {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(explicit, _) => {
                documents += 1;
                if explicit {
                    layout.top = line_end(text, place.end);
                    if !text.get(..layout.top).unwrap_or_default().ends_with('\n') {
                        return Err(NO_MAPPING);
                    }
                }
            }
            Event::MappingStart(style, 0, None) => {
                layout.settings = match style {
                    StructureStyle::Flow => Settings::Braces(place.start + 1),
                    StructureStyle::Block => {
                        let line = line_start(text, place.start);
                        Settings::Block(place.start.saturating_sub(line))
                    }
                };
                while let Some((event, place)) = events.next() {
                    let name = match event {
                        Event::MappingEnd => break,
                        Event::Scalar(name, ..) => name.into_owned(),
                        _ => return Err(NO_MAPPING),
                    };
                    let (node, content) = node(text, &mut events)?;
                    layout.keys.push(Key {
                        name,
                        place,
                        node,
                        content,
                    });
                }
            }
            Event::Scalar(_, ScalarStyle::Plain, 0, None) if place.is_empty() => {}
            _ => return Err(NO_MAPPING),
        }
    }
    if documents > 1 {
        return Err(SEVERAL);
    }
    Ok(layout)
}

/// One value, and its events.
fn node<'a>(
    text: &str,
    events: &mut impl Iterator<Item = (Event<'a>, Place)>,
) -> Result<(Node, Vec<String>), Unfit> {
    let mut content = Vec::new();
    let mut depth = 0_usize;
    let mut node: Option<Node> = None;
    for (event, place) in events {
        content.push(format!("{event:?}"));
        let ends = matches!(event, Event::SequenceEnd | Event::MappingEnd);
        match (&mut node, event) {
            (None, event) => {
                depth += usize::from(starts(&event));
                node = Some(first(text, &event, place));
            }
            (Some(Node::List { items, .. }), Event::Scalar(item, _, 0, None)) if depth == 1 => {
                items.push((place, item.into_owned()));
            }
            (Some(_), Event::SequenceEnd | Event::MappingEnd) => depth -= 1,
            (Some(node), event) => {
                depth += usize::from(starts(&event));
                *node = Node::Odd;
            }
        }
        if depth == 0 && (ends || !matches!(node, Some(Node::List { .. }))) {
            break;
        }
    }
    Ok((node.ok_or(ODD)?, content))
}

fn starts(event: &Event<'_>) -> bool {
    matches!(event, Event::SequenceStart(..) | Event::MappingStart(..))
}

fn first(text: &str, event: &Event<'_>, place: Place) -> Node {
    match event {
        Event::SequenceStart(style, 0, None) => Node::List {
            flow: *style == StructureStyle::Flow,
            start: place.start,
            items: Vec::new(),
        },
        Event::Scalar(_, style, 0, None) => {
            let source = text.get(place.clone()).unwrap_or_default();
            let one_line = !source.contains('\n');
            match style {
                ScalarStyle::Plain if source.is_empty() || NULLS.contains(&source) => {
                    Node::Null(place)
                }
                ScalarStyle::Plain if one_line => Node::Text {
                    place,
                    quoted: false,
                },
                ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if one_line => Node::Text {
                    place: place.start + 1..place.end - 1,
                    quoted: true,
                },
                _ => Node::Odd,
            }
        }
        _ => Node::Odd,
    }
}

/// Behind the colon of a key without a value.
fn colon(text: &str, key: &Key) -> Result<usize, Unfit> {
    let rest = text.get(key.place.end..).unwrap_or_default();
    let colon = rest.find(':').ok_or(ODD)?;
    let blank = rest
        .get(..colon)
        .is_some_and(|between| between.trim().is_empty());
    blank.then_some(key.place.end + colon + 1).ok_or(ODD)
}

fn place_of(span: Span) -> Option<Place> {
    Some(span.start.byte_offset()?..span.end.byte_offset()?)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |newline| newline + 1)
}

/// Behind the newline that ends the line.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

#[cfg(test)]
mod tests;
