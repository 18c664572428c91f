//! The values of pipelines.

use super::exec::{Done, Run, truth};
use super::functions::{self, Function, Takes};
use super::node::{Command, Pipe, Quoted, What, Word};
use crate::printer::go::number::Number;
use crate::printer::go::{Data, Value, quote};

/// What a command gets from the one before it; nothing for the first.
type Last<'a> = Option<Value<'a>>;

impl<'a> Run<'a, '_> {
    pub(super) fn pipeline(&mut self, dot: &Value<'a>, pipe: &'a Pipe) -> Done<Value<'a>> {
        self.at = Some(pipe);
        let mut last: Last = None;
        for command in &pipe.commands {
            last = Some(self.command(dot, command, last)?.unwrapped());
        }
        let value = last.unwrap_or(Value::none());
        for name in &pipe.names {
            if pipe.assigns {
                self.set(name, value.clone())?;
            } else {
                self.push(name, value.clone());
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        dot: &Value<'a>,
        command: &'a Command,
        last: Last<'a>,
    ) -> Done<Value<'a>> {
        let Some((first, arguments)) = command.words.split_first() else {
            return self.fail("empty command");
        };
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &first.what {
            What::Function(name) => {
                self.at = Some(first);
                return self.call(dot, name, command, arguments, last);
            }
            What::Field(_) | What::Chain(..) => return self.term(dot, first, has_arguments),
            What::Variable { fields, .. } if !fields.is_empty() => {
                return self.term(dot, first, has_arguments);
            }
            What::Pipe(_) => {}
            _ => self.at = Some(first),
        }
        if has_arguments {
            return self.fail(format!("can't give argument to non-function {first}"));
        }
        if matches!(first.what, What::Nil) {
            return self.fail("nil is not a command");
        }
        self.term(dot, first, false)
    }

    /// The value of a word that is no argument, or whose type nobody minds.
    fn term(&mut self, dot: &Value<'a>, word: &'a Word, has_arguments: bool) -> Done<Value<'a>> {
        if !matches!(word.what, What::Pipe(_)) {
            self.at = Some(word);
        }
        match &word.what {
            What::Bool(value) => Ok((*value).into()),
            What::Number(number) => self.number(number),
            What::Text { text, .. } => Ok(text.as_slice().into()),
            What::Dot => Ok(dot.clone()),
            What::Nil => Ok(Value::none()),
            What::Field(names) => self.fields(dot.clone(), names, has_arguments),
            What::Variable { name, fields } => {
                let value = self.variable(name)?;
                self.fields(value, fields, has_arguments)
            }
            What::Function(name) => self.call(dot, name, word, &[], None),
            What::Pipe(pipe) => self.pipeline(dot, pipe),
            What::Chain(inner, names) => {
                self.at = Some(&**inner);
                let value = self.term(dot, inner, false)?;
                // The message for a field is still about what was evaluated last.
                self.fields(value, names, has_arguments)
            }
        }
    }

    fn fields(
        &mut self,
        mut value: Value<'a>,
        names: &'a [String],
        has_arguments: bool,
    ) -> Done<Value<'a>> {
        for (at, name) in names.iter().enumerate() {
            let is_last = at + 1 == names.len();
            value = self.field(value, name, is_last && has_arguments)?;
        }
        Ok(value)
    }

    fn field(&mut self, value: Value<'a>, name: &str, has_arguments: bool) -> Done<Value<'a>> {
        let quoted = || quote::quote(name.as_bytes(), false);
        match &value.data {
            Data::Nil if value.wrapped => {
                self.fail(format!("nil pointer evaluating interface {{}}.{name}"))
            }
            Data::Nil if self.allow_missing => Ok(Value::none()),
            Data::Nil => self.fail(format!("nil data; no entry for key {}", quoted())),
            Data::Map(_) if has_arguments => {
                self.fail(format!("{name} is not a method but has arguments"))
            }
            Data::Map(map) => match map.get(name) {
                Some(item) => Ok(Value::inside(item)),
                None if self.allow_missing => Ok(Value::none()),
                None => self.fail(format!("map has no entry for key {}", quoted())),
            },
            _ => {
                let kind = value.type_name();
                self.fail(format!("can't evaluate field {name} in type {kind}"))
            }
        }
    }

    /// A number where nothing says which type it should have.
    fn number(&mut self, number: &'a Number) -> Done<Value<'a>> {
        let text = &number.text;
        let is_hex = text.len() > 2
            && (text.starts_with("0x") || text.starts_with("0X"))
            && !text.contains(['p', 'P']);
        let has_point =
            !is_hex && !text.starts_with('\'') && text.contains(['.', 'e', 'E', 'p', 'P']);
        match (number.complex, number.float, number.int) {
            (Some((real, imaginary)), ..) => Ok(Data::Complex(real, imaginary).into()),
            (_, Some(float), _) if has_point => Ok(Data::Float(float).into()),
            (.., Some(int)) => Ok(Data::Int(int).into()),
            _ if number.uint.is_some() => self.fail(format!("{text} overflows int")),
            _ => Ok(Value::none()),
        }
    }

    fn call(
        &mut self,
        dot: &Value<'a>,
        name: &'a str,
        node: &'a dyn Quoted,
        arguments: &'a [Word],
        last: Last<'a>,
    ) -> Done<Value<'a>> {
        let Some(function) = functions::find(name) else {
            let name = quote::quote(name.as_bytes(), false);
            return self.fail(format!("{name} is not a defined function"));
        };
        let given = arguments.len() + usize::from(last.is_some());
        let fixed = function.fixed.len();
        if function.rest.is_some() && given < fixed {
            let got = arguments.len();
            return self.fail(format!(
                "wrong number of args for {name}: want at least {fixed} got {got}"
            ));
        }
        if function.rest.is_none() && given != fixed {
            return self.fail(format!(
                "wrong number of args for {name}: want {fixed} got {given}"
            ));
        }
        if matches!(name, "and" | "or") {
            return self.short_circuit(dot, name == "and", arguments, last);
        }
        let mut values = Vec::with_capacity(given);
        for (at, word) in arguments.iter().enumerate() {
            values.push(self.argument(dot, function.takes(at), word)?);
        }
        let callee = match (arguments.first(), &last) {
            (Some(word), _) => word.to_string(),
            (None, last) => last.as_ref().map(functions::described).unwrap_or_default(),
        };
        if let Some(last) = last {
            values.push(self.fitting(last, function.takes(arguments.len()))?);
        }
        let called = match name {
            "call" => functions::call(&callee, &values),
            _ => (function.call)(&values),
        };
        match called {
            Ok(value) => Ok(value),
            Err(problem) => {
                self.at = Some(node);
                self.fail(format!("error calling {name}: {problem}"))
            }
        }
    }

    /// `and` and `or` evaluate no more than what decides.
    fn short_circuit(
        &mut self,
        dot: &Value<'a>,
        and: bool,
        arguments: &'a [Word],
        last: Last<'a>,
    ) -> Done<Value<'a>> {
        let mut value = Value::none();
        for word in arguments {
            value = self.argument(dot, Takes::Value, word)?;
            if truth(&value) != and {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value<'a>, takes: Takes, word: &'a Word) -> Done<Value<'a>> {
        self.at = Some(word);
        match (&word.what, takes) {
            (What::Nil, Takes::Text) => self.fail("cannot assign nil to string"),
            (What::Bool(_) | What::Number(_), Takes::Text) => {
                self.fail(format!("expected string; found {word}"))
            }
            _ => {
                let value = self.term(dot, word, false)?;
                self.fitting(value, takes)
            }
        }
    }

    /// A value as a function takes it.
    fn fitting(&mut self, value: Value<'a>, takes: Takes) -> Done<Value<'a>> {
        match (takes, &value.data) {
            (Takes::Value, _) => Ok(value),
            (Takes::Any, _) => Ok(value.unwrapped()),
            (Takes::Text, Data::Text(_)) => Ok(value.unwrapped()),
            (Takes::Text, Data::Nil) if !value.wrapped => {
                self.fail("invalid value; expected string")
            }
            (Takes::Text, Data::Nil) => {
                self.fail("wrong type for value; expected string; got interface {}")
            }
            (Takes::Text, data) => {
                let kind = data.type_name();
                self.fail(format!("wrong type for value; expected string; got {kind}"))
            }
        }
    }
}

impl Function {
    /// What the argument at a place has to be.
    fn takes(&self, at: usize) -> Takes {
        self.fixed
            .get(at)
            .copied()
            .or(self.rest)
            .unwrap_or(Takes::Value)
    }
}
