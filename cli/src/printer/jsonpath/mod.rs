//! kubectl's dialect of JSONPath: `{range .items[*]}{.metadata.name}{"\n"}{end}`, filters, unions,
//! slices, `..`, escaped dots.
//!
//! [`parse`] makes nodes, [`eval`] walks them, with [`filter`] for `[?(...)]`. A template is a list of
//! texts and of lists of steps; each step takes the values that the one before found. Missing keys give
//! nothing when they are allowed and an error otherwise.

mod eval;
mod filter;
mod parse;

use std::borrow::Cow;

use serde_json::Value as Json;

use super::go::value::written_and_read;
use super::go::{Data, Value, print};
use super::json;
use eval::Run;
use parse::Node;

/// A template: text with expressions in braces.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    allow_missing: bool,
}

/// `.metadata.name`, `metadata.name` and `{.metadata.name}` as the last of them: the form that
/// --sort-by, custom columns and `wait` take.
pub(crate) fn relaxed(expression: &str) -> Result<String, String> {
    if expression.is_empty() {
        return Ok(String::new());
    }
    let inner = match expression.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').unwrap_or_default(),
        None => expression,
    };
    if inner.is_empty() || inner.contains(['{', '}']) {
        return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".to_owned());
    }
    // One dot alone is a name like any other.
    let name = inner.strip_prefix('.').filter(|name| !name.is_empty());
    Ok(format!("{{.{}}}", name.unwrap_or(inner)))
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(text: &str, allow_missing: bool) -> Result<Self, String> {
        Ok(Self {
            nodes: parse::parse(text)?,
            allow_missing,
        })
    }

    /// What each text and expression finds.
    pub(crate) fn find<'a>(&'a self, value: &'a Json) -> Result<Vec<Vec<Value<'a>>>, String> {
        Run::new(&self.nodes, self.allow_missing).results(Value::of(value))
    }

    /// Runs the template and gives its text.
    pub(crate) fn text(&self, value: &Json) -> Result<String, String> {
        let mut out = String::new();
        for found in self.find(value)? {
            for (at, value) in found.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(&text(value));
            }
        }
        Ok(out)
    }

    /// Runs the template and gives a JSON list for each of its texts and expressions.
    pub(crate) fn lists(&self, value: &Json) -> Result<String, String> {
        let found = self.find(value)?.into_iter();
        let lists = found.map(|values| values.iter().map(json_of).collect::<Json>());
        Ok(lists.map(|list| json::pretty(&list)).collect())
    }
}

/// A value that was found as text: maps and lists as JSON.
fn text(value: &Value) -> String {
    match &value.data {
        Data::Nil if value.wrapped => "null".to_owned(),
        Data::Nil => "<no value>".to_owned(),
        Data::Map(_) | Data::List(_) => json::compact(&json_of(value)),
        _ => print::text(value),
    }
}

/// A value that was found as JSON.
pub(crate) fn json_of(value: &Value) -> Json {
    match &value.data {
        Data::Nil | Data::Complex(..) => Json::Null,
        Data::Bool(value) => (*value).into(),
        Data::Int(value) | Data::Int64(value) => (*value).into(),
        Data::Byte(value) => (*value).into(),
        Data::Float(value) => written_and_read(&Json::from(*value)).into_owned(),
        Data::Text(text) => String::from_utf8_lossy(text).into(),
        Data::Map(map) => {
            let pairs = map
                .iter()
                .map(|(k, v)| (k.clone(), written_and_read(v).into_owned()));
            Json::Object(pairs.collect())
        }
        Data::List(list) => list.iter().map(|item| json_of(&item)).collect(),
    }
}

/// A value as text: strings as they are, lists and maps as JSON, nothing for null.
pub(crate) fn show(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => text.into(),
        Json::Null => "".into(),
        other => json::compact(other).into(),
    }
}

#[cfg(test)]
mod tests;
