//! Walks a template's tree over a value and writes what it says.

use std::io::{self, Write};

use serde_json::Value as Json;

use super::node::{Branch, Invocation, Node, Pipe, Quoted, Tree};
use super::stack::Stack;
use crate::printer::go::{Data, Value, print, quote};

/// How many templates may be in each other.
const MOST_TEMPLATES: usize = 100_000;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Go's message.
    #[error("{0}")]
    Problem(String),
    /// Nothing more can be written.
    #[error("{0}")]
    Output(#[from] io::Error),
}

pub(super) type Done<T> = Result<T, Stop>;

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// The state of a run.
pub(super) struct Run<'a, 'o> {
    tree: &'a Tree,
    /// The template that runs.
    name: &'a str,
    /// What messages point at.
    pub(super) at: Option<&'a dyn Quoted>,
    variables: Vec<(&'a str, Value<'a>)>,
    depth: usize,
    pub(super) allow_missing: bool,
    stack: Stack,
    out: &'o mut (dyn Write + Send),
}

/// Runs the template of this name.
pub(super) fn run<'a>(
    tree: &'a Tree,
    name: &'a str,
    value: &'a Json,
    allow_missing: bool,
    stack: Stack,
    out: &mut (dyn Write + Send),
) -> Done<()> {
    let value = Value::of(value);
    let mut run = Run {
        tree,
        name,
        at: None,
        variables: vec![("$", value.clone())],
        depth: 0,
        allow_missing,
        stack,
        out,
    };
    let nodes = tree.templates.get(name).map_or(&[][..], Vec::as_slice);
    run.list(nodes, &value)?;
    Ok(())
}

impl<'a> Run<'a, '_> {
    /// Go's message for what went wrong here.
    pub(super) fn fail<T>(&self, problem: impl std::fmt::Display) -> Done<T> {
        let name = quote::quote(self.name.as_bytes(), false);
        let Some(node) = self.at else {
            return Err(Stop::Problem(format!("template: {}: {problem}", self.name)));
        };
        let before = &self.tree.text[..node.at()];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        Err(Stop::Problem(format!(
            "template: {}:{line}:{column}: executing {name} at <{node}>: {problem}",
            super::NAME
        )))
    }

    pub(super) fn push(&mut self, name: &'a str, value: Value<'a>) {
        self.variables.push((name, value));
    }

    pub(super) fn set(&mut self, name: &'a str, value: Value<'a>) -> Done<()> {
        match self.variables.iter_mut().rev().find(|(n, _)| *n == name) {
            Some((_, held)) => *held = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    pub(super) fn variable(&self, name: &str) -> Done<Value<'a>> {
        match self.variables.iter().rev().find(|(n, _)| *n == name) {
            Some((_, held)) => Ok(held.clone()),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn check_room(&self) -> Done<()> {
        if self.stack.has_room() {
            return Ok(());
        }
        self.fail(format!("exceeded maximum template depth ({})", self.depth))
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Value<'a>) -> Done<Flow> {
        self.check_room()?;
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node, dot: &Value<'a>) -> Done<Flow> {
        match node {
            Node::Text(text) => self.out.write_all(text.as_bytes())?,
            Node::Action(action) => {
                self.at = Some(action);
                let value = self.pipeline(dot, &action.pipe)?;
                if action.pipe.names.is_empty() {
                    self.at = Some(action);
                    self.write(value)?;
                }
            }
            Node::If(branch) => return self.choose(branch, dot, false),
            Node::With(branch) => return self.choose(branch, dot, true),
            Node::Range(branch) => self.range(branch, dot)?,
            Node::Template(invocation) => self.invoke(invocation, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn write(&mut self, value: Value<'a>) -> Done<()> {
        if value.is_none() {
            self.out.write_all(b"<no value>")?;
        } else {
            self.out.write_all(&print::sprint(&[value]))?;
        }
        Ok(())
    }

    fn choose(&mut self, branch: &'a Branch, dot: &Value<'a>, with: bool) -> Done<Flow> {
        let known = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = match truth(&value) {
            true if with => self.list(&branch.body, &value),
            true => self.list(&branch.body, dot),
            false => self.list(&branch.otherwise, dot),
        };
        self.variables.truncate(known);
        flow
    }

    fn range(&mut self, branch: &'a Branch, dot: &Value<'a>) -> Done<()> {
        let known = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?.unwrapped();
        let names = branch.pipe.names.len();
        let ran = match &value.data {
            Data::Int(_) | Data::Int64(_) | Data::Byte(_) => {
                if names > 1 {
                    let shown = print::text(&value);
                    return self.fail(format!(
                        "can't use {shown} to iterate over more than one variable"
                    ));
                }
                let number = |n: i64| match value.data {
                    Data::Int(_) => Data::Int(n),
                    Data::Int64(_) => Data::Int64(n),
                    // Below a byte.
                    _ => Data::Byte(u8::try_from(n).unwrap_or(u8::MAX)),
                };
                let numbers = (0..value.data.whole().unwrap_or(0))
                    .map(|n| (Value::none(), Value::from(number(n))));
                self.each(branch, numbers)?
            }
            Data::List(list) => {
                let items = list.iter().enumerate();
                self.each(branch, items.map(|(at, item)| (Value::int(at), item)))?
            }
            Data::Map(map) => {
                let items = map
                    .iter()
                    .map(|(key, item)| (key.as_bytes().into(), Value::inside(item)));
                self.each(branch, items)?
            }
            Data::Nil => false,
            _ => {
                let shown = print::text(&value);
                return self.fail(format!("range can't iterate over {shown}"));
            }
        };
        if !ran {
            // A break or continue in here belongs to the range around.
            self.list(&branch.otherwise, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    /// Runs the body for each item; tells whether there was one.
    fn each(
        &mut self,
        branch: &'a Branch,
        items: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    ) -> Done<bool> {
        let mark = self.variables.len();
        let mut ran = false;
        for (key, item) in items {
            ran = true;
            self.name_item(&branch.pipe, mark, key, item.clone())?;
            let flow = self.list(&branch.body, &item)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    fn name_item(
        &mut self,
        pipe: &'a Pipe,
        mark: usize,
        key: Value<'a>,
        item: Value<'a>,
    ) -> Done<()> {
        match (pipe.names.as_slice(), pipe.assigns) {
            ([], _) => {}
            ([only], true) => self.set(only, item)?,
            ([first, second, ..], true) => {
                self.set(first, key)?;
                self.set(second, item)?;
            }
            // The pipeline has pushed its variables last.
            (names, false) => {
                self.variables[mark - 1].1 = item;
                if names.len() > 1 {
                    self.variables[mark - 2].1 = key;
                }
            }
        }
        Ok(())
    }

    fn invoke(&mut self, invocation: &'a Invocation, dot: &Value<'a>) -> Done<()> {
        self.at = Some(invocation);
        let Some((name, nodes)) = self.tree.templates.get_key_value(&invocation.name) else {
            let name = quote::quote(invocation.name.as_bytes(), false);
            return self.fail(format!("template {name} not defined"));
        };
        if self.depth == MOST_TEMPLATES {
            return self.fail(format!(
                "exceeded maximum template depth ({MOST_TEMPLATES})"
            ));
        }
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::none(),
        };
        // No variables of the outside are known inside.
        let outside = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let (outer, at) = (std::mem::replace(&mut self.name, name), self.at);
        self.depth += 1;
        self.list(nodes, &dot)?;
        self.depth -= 1;
        (self.name, self.at) = (outer, at);
        self.variables = outside;
        Ok(())
    }
}

/// Whether Go's templates take a value for true.
pub(super) fn truth(value: &Value) -> bool {
    match &value.data {
        Data::Nil => false,
        Data::Bool(on) => *on,
        Data::Float(number) => *number != 0.0,
        Data::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
        Data::Text(text) => !text.is_empty(),
        Data::List(list) => list.len() > 0,
        Data::Map(map) => !map.is_empty(),
        data => data.whole() != Some(0),
    }
}
