//! Checks an applied configuration against its schema, without changing it.

use serde_json::Value;

use super::set::{Shape, element_text, entry_element, shape};
use crate::field::go_quoted;
use crate::schema::{Field, Schema, Type};

/// All problems of a configuration, in one text as kube-apiserver words it.
pub(super) fn config(schema: &'static Schema, config: &Value) -> Result<(), String> {
    let mut problems = Vec::new();
    fields(schema, config, "", &mut problems);
    match &problems[..] {
        [] => Ok(()),
        [only] => Err(only.clone()),
        many => {
            let lines: Vec<String> = many.iter().map(|p| format!("  {p}")).collect();
            Err(format!("errors:\n{}", lines.join("\n")))
        }
    }
}

fn fields(schema: &'static Schema, object: &Value, path: &str, problems: &mut Vec<String>) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match schema.field(name) {
            Some(field) => check(&field.kind, Some(field), value, &path, problems),
            None => problems.push(format!("{path}: field not declared in schema")),
        }
    }
}

fn check(
    kind: &Type,
    field: Option<&Field>,
    value: &Value,
    path: &str,
    problems: &mut Vec<String>,
) {
    if value.is_null() {
        return;
    }
    let wrong = |wanted: &str| Some(format!("{path}: expected {wanted}, got {}", go_text(value)));
    let problem = match kind {
        Type::Object(_) | Type::Map(_) if !value.is_object() => wrong("map"),
        Type::List(_) if !value.is_array() => wrong("list"),
        Type::String | Type::Bytes | Type::Time | Type::MicroTime if !value.is_string() => {
            Some(format!("{path}: expected string, got {}", go_text(value)))
        }
        Type::Boolean if !value.is_boolean() => wrong("boolean"),
        Type::Int32 | Type::Int64 | Type::Number if !value.is_number() => {
            wrong("numeric (int or float)")
        }
        _ => None,
    };
    if let Some(problem) = problem {
        problems.push(problem);
        return;
    }
    match (kind, value) {
        (Type::Object(_), value) => {
            if let Some(schema) = kind.schema().filter(|s| !s.free_form) {
                fields(schema, value, path, problems);
            }
        }
        (Type::Map(entry), Value::Object(map)) => {
            for (key, value) in map {
                check(entry, None, value, &format!("{path}.{key}"), problems);
            }
        }
        (Type::List(entry), Value::Array(list)) => {
            items(kind, field, entry, list, path, problems);
        }
        _ => {}
    }
}

fn items(
    kind: &Type,
    field: Option<&Field>,
    entry: &Type,
    list: &[Value],
    path: &str,
    problems: &mut Vec<String>,
) {
    let Shape::List(field, _) = shape(kind, field, &Value::Null) else {
        for (i, item) in list.iter().enumerate() {
            check(entry, None, item, &format!("{path}[{i}]"), problems);
        }
        return;
    };
    let mut seen = Vec::new();
    for (i, item) in list.iter().enumerate() {
        match entry_element(field, entry, item) {
            Err(problem) => problems.push(format!("{path}: element {i}: {problem}")),
            Ok(element) if seen.contains(&element) => {
                let key = element_text(&element);
                problems.push(format!("{path}: duplicate entries for key {key}"));
            }
            Ok(element) => {
                let path = format!("{path}{}", element_text(&element));
                check(entry, None, item, &path, problems);
                seen.push(element);
            }
        }
    }
}

fn go_text(value: &Value) -> String {
    match value {
        Value::String(_) => "string".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Array(_) => "list".to_owned(),
        Value::Object(_) => "map".to_owned(),
        Value::Null => go_quoted("null"),
    }
}
