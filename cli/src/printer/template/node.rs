//! The tree of a template. Its nodes print as Go prints them, since messages quote them.

use std::collections::BTreeMap;
use std::fmt;

use crate::printer::go::number::Number;
use crate::printer::go::quote;

/// All templates of a text, by their names.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) text: String,
    pub(super) templates: BTreeMap<String, Vec<Node>>,
    /// How deep control structures and parentheses are nested.
    pub(super) depth: usize,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Action),
    If(Branch),
    Range(Branch),
    With(Branch),
    Template(Invocation),
    Break,
    Continue,
}

/// A pipeline between braces.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) at: usize,
    pub(super) pipe: Pipe,
}

/// `if`, `range` or `with`, up to its `end`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `{{template "name" pipeline}}`
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) pipe: Option<Pipe>,
}

/// Commands, each of which gets the result of the one before as its last argument.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) assigns: bool,
    pub(super) names: Vec<String>,
    pub(super) commands: Vec<Command>,
}

/// A function and its arguments, or a value.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) words: Vec<Word>,
}

/// A word of a command, and where it is.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) at: usize,
    pub(super) what: What,
}

/// What a word is.
#[derive(Debug)]
pub(super) enum What {
    Bool(bool),
    Number(Number),
    Text { quoted: String, text: Vec<u8> },
    Nil,
    Dot,
    Field(Vec<String>),
    Variable { name: String, fields: Vec<String> },
    Function(String),
    Pipe(Box<Pipe>),
    Chain(Box<Word>, Vec<String>),
}

/// Something that a message can point at and quote.
pub(super) trait Quoted: fmt::Display + Sync {
    fn at(&self) -> usize;
}

macro_rules! quoted {
    ($($kind:ty: $this:ident => $at:expr),* $(,)?) => {$(
        impl Quoted for $kind {
            fn at(&self) -> usize {
                let $this = self;
                $at
            }
        }
    )*};
}

quoted! {
    Action: this => this.at,
    Invocation: this => this.at,
    Pipe: this => this.at,
    Command: this => this.at,
    Word: this => this.at,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.pipe)
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = quote::quote(self.name.as_bytes(), false);
        match &self.pipe {
            Some(pipe) => write!(f, "{{{{template {name} {pipe}}}}}"),
            None => write!(f, "{{{{template {name}}}}}"),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if !self.names.is_empty() {
            f.write_str(&self.names.join(", "))?;
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            if at > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            in_parens(word, f)?;
        }
        Ok(())
    }
}

fn in_parens(word: &Word, f: &mut fmt::Formatter) -> fmt::Result {
    match word.what {
        What::Pipe(_) => write!(f, "({word})"),
        _ => write!(f, "{word}"),
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter, fields: &[String]| {
            fields.iter().try_for_each(|field| write!(f, ".{field}"))
        };
        match &self.what {
            What::Bool(value) => write!(f, "{value}"),
            What::Number(number) => f.write_str(&number.text),
            What::Text { quoted, .. } => f.write_str(quoted),
            What::Nil => f.write_str("nil"),
            What::Dot => f.write_str("."),
            What::Field(names) => fields(f, names),
            What::Variable { name, fields: rest } => {
                f.write_str(name)?;
                fields(f, rest)
            }
            What::Function(name) => f.write_str(name),
            What::Pipe(pipe) => write!(f, "{pipe}"),
            What::Chain(word, rest) => {
                in_parens(word, f)?;
                fields(f, rest)
            }
        }
    }
}

/// Whether nodes are nothing but blanks.
pub(super) fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| match node {
        // Go's space is Unicode's here.
        Node::Text(text) => text.trim().is_empty(),
        _ => false,
    })
}
