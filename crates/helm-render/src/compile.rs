//! From the text of templates to trees that can be run.
//!
//! The trees that the parser gives are changed before they run:
//!
//! - what an action prints goes through [`PRINT`], which prints as Go does;
//! - a path of several fields goes through [`FIELD`], which fails where Helm fails (a field of what
//!   is not set) and names the path;
//! - `.Capabilities.APIVersions.Has` becomes a call of [`HAS`]: the engine knows no methods;
//! - in the trees that find the place of an error, each action is noted before it runs.
//!
//! What this crate does not have (a function, another method, `.Files`) is refused here, once,
//! instead of in the middle of a render.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, Number, Parser, PipeNode, Pos,
    SmolStr,
};
use gotmpl::{FuncMap, TemplateError};

use crate::error::{Error, Place};
use crate::functions;

/// Notes where the render is. No name of a template's function starts with `__`.
pub(crate) const AT: &str = "__at";
/// Prints a value as Go does.
pub(crate) const PRINT: &str = "__print";
/// Follows a path of fields.
pub(crate) const FIELD: &str = "__field";
/// `.Capabilities.APIVersions.Has`.
pub(crate) const HAS: &str = "__has";
/// Renders another template to a text.
pub(crate) const INCLUDE: &str = "include";

/// Templates of a chart, ready to run.
#[derive(Default)]
pub(crate) struct Compiled {
    /// By name: files by their path with the chart's name before it, others as they are defined.
    pub(crate) trees: BTreeMap<String, ListNode>,
    /// Whether places are noted.
    pub(crate) noting: bool,
    /// What [`AT`] is called with is an index of this.
    pub(crate) places: Vec<Place>,
}

impl Compiled {
    /// Adds a file under a name; what it defines replaces what was defined before.
    pub(crate) fn add(
        &mut self,
        name: &str,
        file: &str,
        source: &str,
        known: &FuncMap,
    ) -> Result<(), Error> {
        let syntax = |error| match error {
            TemplateError::Parse { line, message, .. }
            | TemplateError::Lex { line, message, .. } => Error::Syntax {
                file: file.to_owned(),
                line,
                message,
            },
            other => Error::Syntax {
                file: file.to_owned(),
                line: 0,
                message: other.to_string(),
            },
        };
        let parsed = Parser::new(source, "{{", "}}").and_then(Parser::parse);
        let (body, defines) = parsed.map_err(syntax)?;
        let mut pass = Pass {
            file,
            source,
            known,
            noting: self.noting,
            places: &mut self.places,
            line: 0,
        };
        self.trees.insert(name.to_owned(), pass.list(body)?);
        for define in defines {
            let body = pass.list(define.body)?;
            // As in Go, an empty definition does not take a full one's place.
            if !body.is_empty_tree() || !self.trees.contains_key(define.name.as_str()) {
                self.trees.insert(define.name.to_string(), body);
            }
        }
        Ok(())
    }
}

struct Pass<'a> {
    file: &'a str,
    source: &'a str,
    known: &'a FuncMap,
    noting: bool,
    places: &'a mut Vec<Place>,
    /// Of the action at hand.
    line: usize,
}

impl Pass<'_> {
    fn place(&self) -> Place {
        let source = self.source.lines().nth(self.line.saturating_sub(1));
        Place {
            file: self.file.to_owned(),
            line: self.line,
            source: source.unwrap_or_default().trim().to_owned(),
        }
    }

    fn unsupported<T>(&self, what: String, hint: &'static str) -> Result<T, Error> {
        Err(Error::Unsupported {
            place: self.place(),
            what,
            hint,
        })
    }

    fn list(&mut self, list: ListNode) -> Result<ListNode, Error> {
        let mut nodes = Vec::with_capacity(list.nodes.len());
        for node in list.nodes {
            let pos = match &node {
                Node::Action(action) => Some(action.pos),
                Node::If(branch) | Node::Range(branch) | Node::With(branch) => Some(branch.pos),
                Node::Template(template) => Some(template.pos),
                _ => None,
            };
            if let Some(pos) = pos {
                self.line = pos.line;
                if self.noting {
                    nodes.push(self.note(pos));
                }
            }
            nodes.push(match node {
                Node::Action(mut action) => {
                    action.pipe = self.pipe(action.pipe)?;
                    if action.pipe.decl.is_empty() && !gives_text(&action.pipe) {
                        action
                            .pipe
                            .commands
                            .push(command(action.pos, vec![call(action.pos, PRINT)]));
                    }
                    Node::Action(action)
                }
                Node::If(branch) => Node::If(self.branch(branch)?),
                Node::Range(branch) => Node::Range(self.branch(branch)?),
                Node::With(branch) => Node::With(self.branch(branch)?),
                Node::Template(mut template) => {
                    template.pipe = template.pipe.map(|pipe| self.pipe(pipe)).transpose()?;
                    Node::Template(template)
                }
                Node::List(list) => Node::List(self.list(list)?),
                other => other,
            });
        }
        Ok(ListNode {
            pos: list.pos,
            nodes,
        })
    }

    /// An action that prints nothing and notes the place of the next one.
    fn note(&mut self, pos: Pos) -> Node {
        let index = i64::try_from(self.places.len()).unwrap_or(i64::MAX);
        self.places.push(self.place());
        let number = Expr::Number(pos, Number::Int(index));
        let pipe = pipe(pos, vec![command(pos, vec![call(pos, AT), number])]);
        Node::Action(ActionNode { pos, pipe })
    }

    fn branch(&mut self, branch: BranchNode) -> Result<BranchNode, Error> {
        Ok(BranchNode {
            pos: branch.pos,
            pipe: self.pipe(branch.pipe)?,
            body: self.list(branch.body)?,
            else_body: branch.else_body.map(|body| self.list(body)).transpose()?,
        })
    }

    fn pipe(&mut self, mut pipe: PipeNode) -> Result<PipeNode, Error> {
        let commands = std::mem::take(&mut pipe.commands);
        for (index, command) in commands.into_iter().enumerate() {
            let command = self.command(command, index > 0)?;
            pipe.commands.push(command);
        }
        Ok(pipe)
    }

    fn command(&mut self, command: CommandNode, piped: bool) -> Result<CommandNode, Error> {
        let pos = command.pos;
        let given = command.args.len() + usize::from(piped);
        let mut arguments = command.args.into_iter();
        let Some(first) = arguments.next() else {
            return Ok(CommandNode {
                pos,
                args: Vec::new(),
            });
        };
        let mut args = Vec::with_capacity(given + 1);
        match first {
            Expr::Identifier(_, name) => {
                self.function(&name)?;
                args.push(Expr::Identifier(pos, name));
            }
            value if given > 1 => {
                args.push(call(pos, HAS));
                args.push(self.method(value)?);
            }
            value => args.push(self.expression(value)?),
        }
        for argument in arguments {
            args.push(self.expression(argument)?);
        }
        Ok(CommandNode { pos, args })
    }

    fn function(&self, name: &str) -> Result<(), Error> {
        if self.known.contains_key(name) || functions::LANGUAGE.contains(&name) || name == INCLUDE {
            return Ok(());
        }
        self.unsupported(format!("the function `{name}`"), functions::hint(name))
    }

    /// The value whose method `Has` is called, of a path that ends in it.
    fn method(&mut self, value: Expr) -> Result<Expr, Error> {
        let name = path(&value);
        if let Some(fields) = fields(&value)
            && let [.., last] = fields
            && last != "Has"
        {
            return self.unsupported(
                format!("the method `{name}`"),
                "; of all methods only `.Capabilities.APIVersions.Has` is",
            );
        }
        let receiver = match value {
            Expr::Field(pos, mut fields) => {
                fields.pop();
                if fields.is_empty() {
                    Expr::Dot(pos)
                } else {
                    Expr::Field(pos, fields)
                }
            }
            Expr::Variable(pos, name, mut fields) if !fields.is_empty() => {
                fields.pop();
                Expr::Variable(pos, name, fields)
            }
            Expr::Chain(pos, inner, mut fields) => {
                fields.pop();
                if fields.is_empty() {
                    *inner
                } else {
                    Expr::Chain(pos, inner, fields)
                }
            }
            _ => return self.unsupported(format!("`{name}` with an argument"), ""),
        };
        self.expression(receiver)
    }

    fn expression(&mut self, expression: Expr) -> Result<Expr, Error> {
        if let Some([first, ..]) = fields(&expression)
            && (first == "Files" || first == "Subcharts")
            && !matches!(expression, Expr::Chain(..))
        {
            return self.unsupported(format!("`{}`", path(&expression)), "");
        }
        let path = path(&expression);
        Ok(match expression {
            Expr::Field(pos, fields) if fields.len() > 1 => follow(pos, Expr::Dot(pos), &path),
            Expr::Variable(pos, name, fields) if fields.len() > 1 => {
                follow(pos, Expr::Variable(pos, name, Vec::new()), &path)
            }
            Expr::Chain(pos, inner, _) => follow(pos, self.expression(*inner)?, &path),
            Expr::Identifier(pos, name) => {
                self.function(&name)?;
                Expr::Identifier(pos, name)
            }
            Expr::Pipe(pos, pipe) => Expr::Pipe(pos, self.pipe(pipe)?),
            other => other,
        })
    }
}

/// Whether what a pipeline gives is a text, which needs no [`PRINT`].
fn gives_text(pipe: &PipeNode) -> bool {
    let last = pipe
        .commands
        .last()
        .and_then(|command| command.args.first());
    matches!(last, Some(Expr::Identifier(_, name)) if TEXTS.contains(&name.as_str()))
}

/// Functions whose result is a text; not all of them, the most frequent.
const TEXTS: [&str; 9] = [
    INCLUDE, "indent", "nindent", "printf", "quote", "squote", "toJson", "toString", "toYaml",
];

fn fields(expression: &Expr) -> Option<&[SmolStr]> {
    match expression {
        Expr::Field(_, fields) | Expr::Variable(_, _, fields) | Expr::Chain(_, _, fields) => {
            Some(fields)
        }
        _ => None,
    }
}

/// A path as its author wrote it: `.Values.image.name`, `$x.name`, `(…).name`.
fn path(expression: &Expr) -> String {
    let start = match expression {
        Expr::Variable(_, name, _) => name.as_str(),
        Expr::Chain(..) => "(…)",
        _ => "",
    };
    let fields = fields(expression).unwrap_or_default();
    fields
        .iter()
        .fold(start.to_owned(), |path, field| format!("{path}.{field}"))
}

/// A call of [`FIELD`] in the place of an expression.
fn follow(pos: Pos, value: Expr, path: &str) -> Expr {
    let arguments = vec![call(pos, FIELD), value, Expr::String(pos, Arc::from(path))];
    Expr::Pipe(pos, pipe(pos, vec![command(pos, arguments)]))
}

fn call(pos: Pos, name: &'static str) -> Expr {
    Expr::Identifier(pos, SmolStr::new_static(name))
}

fn command(pos: Pos, args: Vec<Expr>) -> CommandNode {
    CommandNode { pos, args }
}

fn pipe(pos: Pos, commands: Vec<CommandNode>) -> PipeNode {
    PipeNode {
        pos,
        decl: Vec::new(),
        commands,
        is_assign: false,
    }
}
