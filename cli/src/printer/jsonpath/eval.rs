//! Walks the nodes of a template over a value.

use super::filter;
use super::parse::{Node, Slice};
use crate::printer::go::{Data, Value, value::List};

/// Why a walk ended early.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) problem: String,
    /// Whether there were values left: to a filter without an operator that is enough.
    pub(super) found: bool,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>, found: bool) -> Self {
        let problem = problem.into();
        Self { problem, found }
    }
}

pub(super) type Values<'a> = Vec<Value<'a>>;
pub(super) type Walked<'a> = Result<Values<'a>, Fault>;

/// The state of a run: how many ranges have been met, are being worked on, and have ended.
pub(super) struct Run<'a> {
    nodes: &'a [Node],
    allow_missing: bool,
    begun: usize,
    inside: usize,
    ended: usize,
    /// Where the last range ended.
    last_end: Option<usize>,
}

impl<'a> Run<'a> {
    pub(super) fn new(nodes: &'a [Node], allow_missing: bool) -> Self {
        Self {
            nodes,
            allow_missing,
            begun: 0,
            inside: 0,
            ended: 0,
            last_end: None,
        }
    }

    /// What each node finds.
    pub(super) fn results(&mut self, value: Value<'a>) -> Result<Vec<Values<'a>>, String> {
        let mut all = Vec::new();
        self.from(0, &value, &mut all)?;
        Ok(all)
    }

    /// The nodes from a place on, up to the end of the range that they are in. A range that has no end
    /// goes as far as the template; then what it repeats is done once more, outside of it.
    fn from(
        &mut self,
        start: usize,
        value: &Value<'a>,
        all: &mut Vec<Values<'a>>,
    ) -> Result<(), String> {
        let mut at = start;
        while let Some(node) = self.nodes.get(at) {
            let walked = self.walk(vec![value.clone()], node);
            let found = walked.map_err(|fault| fault.problem)?;
            if self.ended > 0 && self.ended <= self.inside {
                self.ended -= 1;
                self.last_end = Some(at);
                return Ok(());
            }
            at += 1;
            if self.begun == 0 {
                all.push(found);
                continue;
            }
            self.begun -= 1;
            self.inside += 1;
            if found.is_empty() {
                // Only to find the end.
                self.from(at, &Value::none(), &mut Vec::new())?;
            }
            for item in found {
                self.from(at, &item.unwrapped(), all)?;
            }
            self.inside -= 1;
            if let Some(end) = self.last_end.filter(|end| *end >= at) {
                at = end + 1;
            }
        }
        Ok(())
    }

    /// What the steps find one after the other.
    pub(super) fn steps(&mut self, mut values: Values<'a>, steps: &'a [Node]) -> Walked<'a> {
        for step in steps {
            values = self.walk(values, step)?;
        }
        Ok(values)
    }

    fn walk(&mut self, values: Values<'a>, node: &'a Node) -> Walked<'a> {
        let each = |value: Data<'a>| values.iter().map(|_| value.clone().into()).collect();
        match node {
            Node::Text(text) => Ok(vec![text.as_bytes().into()]),
            Node::List(steps) => self.steps(values, steps),
            Node::Int(number) => Ok(each(Data::Int(*number))),
            Node::Float(number) => Ok(each(Data::Float(*number))),
            Node::Bool(value) => Ok(each(Data::Bool(*value))),
            Node::Identifier(word) => self.identifier(values, word),
            Node::Field(name) => self.field(&values, name),
            Node::Wildcard => Ok(values.iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut found = Vec::new();
                descend(values, &mut found);
                Ok(found)
            }
            Node::Array(slice) => array(&values, slice),
            Node::Union(paths) => {
                let mut found = Vec::new();
                for path in paths {
                    let walked = self.steps(values.clone(), path);
                    found.extend(walked.map_err(|f| Fault::new(f.problem, !values.is_empty()))?);
                }
                Ok(found)
            }
            Node::Filter(filter) => filter::apply(self, values, filter),
        }
    }

    fn identifier(&mut self, values: Values<'a>, word: &str) -> Walked<'a> {
        match word {
            "range" => {
                self.begun += 1;
                Ok(values)
            }
            "end" if self.inside > 0 => {
                self.ended += 1;
                Ok(Vec::new())
            }
            "end" => Err(Fault::new("not in range, nothing to end", false)),
            _ => {
                let problem = format!("unrecognized identifier {word}");
                Err(Fault::new(problem, !values.is_empty()))
            }
        }
    }

    fn field(&self, values: &[Value<'a>], name: &str) -> Walked<'a> {
        let found: Values = values
            .iter()
            .filter_map(|value| match value.data {
                Data::Map(map) => map.get(name).map(Value::inside),
                _ => None,
            })
            .collect();
        if found.is_empty() && !values.is_empty() && !self.allow_missing {
            return Err(Fault::new(format!("{name} is not found"), false));
        }
        Ok(found)
    }
}

/// What a value consists of.
fn children<'a>(value: &Value<'a>) -> Values<'a> {
    match &value.data {
        Data::List(list) => list.iter().collect(),
        Data::Map(map) => map.values().map(Value::inside).collect(),
        Data::Text(text) => text.iter().map(|byte| Data::Byte(*byte).into()).collect(),
        _ => Vec::new(),
    }
}

/// Each value that consists of others, before those.
fn descend<'a>(values: Values<'a>, found: &mut Values<'a>) {
    for value in values {
        let inner = children(&value);
        if !inner.is_empty() {
            found.push(value);
            descend(inner, found);
        }
    }
}

fn array<'a>(values: &[Value<'a>], slice: &Slice) -> Walked<'a> {
    let mut found = Vec::new();
    for value in values {
        let list = match &value.data {
            Data::Nil => continue,
            Data::List(list) => list,
            data => {
                let kind = data.type_name();
                return Err(Fault::new(format!("{kind} is not array or slice"), true));
            }
        };
        let Some((from, to)) = bounds(list, slice).map_err(|p| Fault::new(p, true))? else {
            // kubectl looks no further then.
            return Ok(found);
        };
        let by = slice.by.unwrap_or(1);
        let step = usize::try_from(by).ok().filter(|by| *by > 0);
        let step = step.ok_or_else(|| Fault::new("step must be > 0", true))?;
        found.extend((from..to).step_by(step).map(|at| list.get(at)));
    }
    Ok(found)
}

/// The ends of a slice; nothing if it asks for nothing.
fn bounds(list: &List, slice: &Slice) -> Result<Option<(usize, usize)>, String> {
    // No list here is longer than an i64 tells.
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let mut from = slice.from.unwrap_or(0);
    if from < 0 {
        from = from.wrapping_add(length);
    }
    let mut to = slice.to.unwrap_or(length);
    if to < 0 || to == 0 && slice.is_index {
        to = to.wrapping_add(length);
    }
    if from == to {
        return Ok(None);
    }
    let outside = |at: i64| {
        Err(format!(
            "array index out of bounds: index {at}, length {length}"
        ))
    };
    if from >= length || from < 0 {
        return outside(from);
    }
    if to > length || to < 0 {
        return outside(to.wrapping_sub(1));
    }
    if from > to {
        return Err(format!(
            "starting index {from} is greater than ending index {to}"
        ));
    }
    // Both are between 0 and the length.
    Ok(usize::try_from(from).ok().zip(usize::try_from(to).ok()))
}
