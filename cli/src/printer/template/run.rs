//! Walks a template's tree over a value.

use serde_json::Value;

use super::{Node, Pipe, Term, functions};
use crate::printer::columns::cell;

/// Why a block ended.
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    root: &'a Value,
    variables: Vec<(String, Value)>,
    allow_missing: bool,
    out: String,
}

/// Runs a tree; missing keys print `<no value>`.
pub(super) fn run(nodes: &[Node], value: &Value, allow_missing: bool) -> Result<String, String> {
    let mut run = Run {
        root: value,
        variables: Vec::new(),
        allow_missing,
        out: String::new(),
    };
    run.block(nodes, value)?;
    Ok(run.out)
}

/// Whether Go's templates take a value for true.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

impl Run<'_> {
    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let known = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if !matches!(flow, Flow::On) {
                self.variables.truncate(known);
                return Ok(flow);
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = if value.is_null() {
                        "<no value>".to_owned()
                    } else {
                        cell(&value)
                    };
                    self.out.push_str(&text);
                }
            }
            Node::If(pipe, then, otherwise) => {
                let known = self.variables.len();
                let chosen = if truth(&self.pipe(pipe, dot)?) {
                    then
                } else {
                    otherwise
                };
                let flow = self.block(chosen, dot);
                self.variables.truncate(known);
                return flow;
            }
            Node::With(pipe, then, otherwise) => {
                let known = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                let flow = if truth(&value) {
                    self.block(then, &value)
                } else {
                    self.block(otherwise, dot)
                };
                self.variables.truncate(known);
                return flow;
            }
            Node::Range(pipe, body, otherwise) => self.range(pipe, body, otherwise, dot)?,
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<(), String> {
        let known = self.variables.len();
        let bare = Pipe {
            variables: Vec::new(),
            ..pipe.clone()
        };
        let items: Vec<(Value, Value)> = match self.pipe(&bare, dot)? {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(i, v)| (i.into(), v))
                .collect(),
            Value::Object(map) => map.into_iter().map(|(k, v)| (k.into(), v)).collect(),
            Value::Null => Vec::new(),
            Value::Number(n) => (0..n.as_i64().unwrap_or(0))
                .map(|i| (i.into(), i.into()))
                .collect(),
            other => return Err(format!("range can't iterate over {}", cell(&other))),
        };
        if items.is_empty() {
            self.block(otherwise, dot)?;
        }
        for (key, item) in items {
            match pipe.variables.as_slice() {
                [one] => self.variables.push((one.clone(), item.clone())),
                [first, second] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
                _ => {}
            }
            let flow = self.block(body, &item)?;
            self.variables.truncate(known);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut last: Option<Value> = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        let value = last.unwrap_or(Value::Null);
        if let Some(name) = pipe.variables.first() {
            let known = self.variables.iter_mut().rev().find(|(n, _)| n == name);
            match known {
                Some((_, held)) if !pipe.declares => *held = value.clone(),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &[Term],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, String> {
        let Some((Term::Function(name), arguments)) = command.split_first() else {
            return match (command, last) {
                ([term], None) => self.term(term, dot),
                _ => Err("can't give argument to non-function".into()),
            };
        };
        if matches!(name.as_str(), "and" | "or") {
            return self.short_circuit(name == "and", arguments, dot, last);
        }
        let mut values = arguments
            .iter()
            .map(|t| self.term(t, dot))
            .collect::<Result<Vec<_>, _>>()?;
        values.extend(last);
        functions::call(name, &values)
    }

    /// `and` and `or` stop at the first argument that decides.
    fn short_circuit(
        &mut self,
        and: bool,
        arguments: &[Term],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, String> {
        let mut value = Value::Null;
        for term in arguments {
            value = self.term(term, dot)?;
            if truth(&value) != and {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn term(&mut self, term: &Term, dot: &Value) -> Result<Value, String> {
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::Dot(fields) => self.fields(dot, fields),
            Term::Variable(name, fields) if name.is_empty() => self.fields(self.root, fields),
            Term::Variable(name, fields) => {
                let held = self.variables.iter().rev().find(|(n, _)| n == name);
                let held = held
                    .map(|(_, v)| v.clone())
                    .ok_or_else(|| format!("undefined variable: ${name}"))?;
                self.fields(&held, fields)
            }
            Term::Nested(pipe, fields) => {
                let value = self.pipe(pipe, dot)?;
                self.fields(&value, fields)
            }
            Term::Function(name) => functions::call(name, &[]),
        }
    }

    fn fields(&self, from: &Value, fields: &[String]) -> Result<Value, String> {
        let mut at = from;
        for (index, field) in fields.iter().enumerate() {
            match at {
                Value::Object(map) => match map.get(field) {
                    Some(value) => at = value,
                    None if self.allow_missing => return Ok(Value::Null),
                    None => {
                        return Err(at_field(
                            fields,
                            index,
                            &format!("map has no entry for key {field:?}"),
                        ));
                    }
                },
                Value::Null if self.allow_missing => return Ok(Value::Null),
                Value::Null => {
                    return Err(at_field(
                        fields,
                        index,
                        &format!("nil data; no entry for key {field:?}"),
                    ));
                }
                _ => {
                    return Err(at_field(
                        fields,
                        index,
                        &format!("can't evaluate field {field} in type interface {{}}"),
                    ));
                }
            }
        }
        Ok(at.clone())
    }
}

fn at_field(fields: &[String], index: usize, problem: &str) -> String {
    let shown = fields[..=index].join(".");
    format!("template: output: executing \"output\" at <.{shown}>: {problem}")
}
