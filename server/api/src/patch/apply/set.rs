//! Sets of fields in the form of `FieldsV1`, which is also how they are stored.
//!
//! A node is a JSON object. Its keys are the elements below it; `.` says that the node itself is a
//! member of the set although there are elements below it. A node without keys is a member.
//!
//! ```text
//! {"f:spec": {"f:replicas": {}, "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}}}}}
//! ```
//!
//! has the members `.spec.replicas`, `.spec.containers[name="c"]` and its `.image`.

use serde_json::{Map, Value};

use crate::field::go_quoted;
use crate::schema::{Field, ListType, Schema, Type};

/// A set of fields, or the part of one below a node.
pub(super) type Set = Map<String, Value>;

/// The key that makes a node with elements below it a member.
const SELF: &str = ".";

/// What two sets are combined to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Combine {
    /// Members of either.
    Union,
    /// Members of both.
    Intersection,
    /// Members of the first that the second has not.
    Difference,
    /// The same, and nothing below a member of the second.
    RecursiveDifference,
}

/// How the value of a field is taken apart.
#[derive(Clone, Copy)]
pub(super) enum Shape<'a> {
    /// Not at all.
    Leaf,
    /// By the fields of a schema.
    Struct(&'static Schema),
    /// By keys.
    Map(&'a Type),
    /// By the values or key fields of a list's entries.
    List(&'a Field, &'a Type),
}

/// The shape of a field's value, or with `None` of an entry of a list or map.
pub(super) fn shape<'a>(kind: &'a Type, field: Option<&'a Field>, value: &Value) -> Shape<'a> {
    let atomic = field.is_some_and(|f| f.atomic);
    match kind {
        _ if atomic => Shape::Leaf,
        Type::Object(_) => match kind.schema() {
            Some(schema) if schema.free_form && value.is_object() => Shape::Map(&Type::Any),
            Some(schema) if !schema.atomic && !schema.free_form => Shape::Struct(schema),
            _ => Shape::Leaf,
        },
        Type::Map(entry) => Shape::Map(entry),
        Type::Any if value.is_object() => Shape::Map(&Type::Any),
        Type::List(entry) => match field {
            Some(field) if field.list_type != ListType::Atomic => Shape::List(field, entry),
            _ => Shape::Leaf,
        },
        _ => Shape::Leaf,
    }
}

/// The element of an object's field.
pub(super) fn field_element(name: &str) -> String {
    let mut element = String::with_capacity(name.len() + 2);
    element.push_str("f:");
    element.push_str(name);
    element
}

/// The element of a list's entry. `Err` says why the entry has none.
pub(super) fn entry_element(field: &Field, kind: &Type, entry: &Value) -> Result<String, String> {
    if field.list_type == ListType::Set {
        return match entry {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            plain => Ok(format!("v:{plain}")),
        };
    }
    if !entry.is_object() {
        return Err("associative list with keys may not have non-map elements".to_owned());
    }
    let schema = kind.schema();
    let mut keys = Set::new();
    for key in &field.map_keys {
        let default = || schema?.field(key)?.default.clone();
        if let Some(value) = entry.get(*key).cloned().or_else(default) {
            keys.insert((*key).to_owned(), value);
        }
    }
    if keys.is_empty() {
        let names: Vec<String> = field.map_keys.iter().map(|k| go_quoted(k)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't \
             have default values for any key fields)",
            names.join(" ")
        ));
    }
    Ok(format!("k:{}", Value::Object(keys)))
}

/// An element as paths show it: `.replicas`, `[name="c"]`, `[="value"]`.
pub(super) fn element_text(element: &str) -> String {
    let (kind, rest) = element.split_at(element.len().min(2));
    let value: Value = serde_json::from_str(rest).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => go_quoted(text),
        other => other.to_string(),
    };
    match (kind, &value) {
        ("f:", _) => format!(".{rest}"),
        ("k:", Value::Object(keys)) => {
            let keys: Vec<String> = keys
                .iter()
                .map(|(k, v)| format!("{k}={}", text(v)))
                .collect();
            format!("[{}]", keys.join(","))
        }
        ("v:", value) => format!("[={}]", text(value)),
        _ => format!("[{rest}]"),
    }
}

/// Whether a node is itself a member.
pub(super) fn is_member(node: &Set) -> bool {
    node.is_empty() || node.contains_key(SELF)
}

/// The node with these elements below it; `None` if it says nothing.
pub(super) fn node(member: bool, mut below: Set) -> Option<Value> {
    if below.is_empty() {
        return member.then_some(Value::Object(below));
    }
    if member {
        below.insert(SELF.to_owned(), Value::Object(Set::new()));
    }
    Some(Value::Object(below))
}

/// Adds a node below an element, unless it says nothing.
pub(super) fn insert(set: &mut Set, element: String, member: bool, below: Set) {
    if let Some(node) = node(member, below) {
        set.insert(element, node);
    }
}

/// The elements below a node, with theirs.
pub(super) fn below(set: &Set) -> impl Iterator<Item = (&String, &Set)> {
    set.iter()
        .filter(|(element, _)| *element != SELF)
        .filter_map(|(element, node)| Some((element, node.as_object()?)))
}

/// The node below an element.
pub(super) fn get<'a>(set: &'a Set, element: &str) -> Option<&'a Set> {
    set.get(element)?.as_object()
}

/// Combines two sets.
pub(super) fn combine(first: &Set, second: &Set, how: Combine) -> Set {
    let mut combined = Set::new();
    for (element, ours) in below(first) {
        let Some(theirs) = get(second, element) else {
            if how != Combine::Intersection {
                combined.insert(element.clone(), Value::Object(ours.clone()));
            }
            continue;
        };
        if how == Combine::RecursiveDifference && is_member(theirs) {
            continue;
        }
        let member = match how {
            Combine::Union => is_member(ours) || is_member(theirs),
            Combine::Intersection => is_member(ours) && is_member(theirs),
            Combine::Difference | Combine::RecursiveDifference => {
                is_member(ours) && !is_member(theirs)
            }
        };
        insert(
            &mut combined,
            element.clone(),
            member,
            combine(ours, theirs, how),
        );
    }
    if how == Combine::Union {
        for (element, theirs) in below(second).filter(|(e, _)| !first.contains_key(*e)) {
            combined.insert(element.clone(), Value::Object(theirs.clone()));
        }
    }
    combined
}

/// The union, reusing what is there.
pub(super) fn add(set: &mut Set, more: Set) {
    if set.is_empty() {
        *set = more;
    } else if !more.is_empty() {
        *set = combine(set, &more, Combine::Union);
    }
}

/// The paths of all members, those of a node before those further below.
pub(super) fn paths(set: &Set) -> Vec<String> {
    let mut all = Vec::new();
    collect(set, "", &mut all);
    all
}

fn collect(set: &Set, prefix: &str, all: &mut Vec<String>) {
    let elements: Vec<(String, &Set)> = below(set)
        .map(|(element, node)| (format!("{prefix}{}", element_text(element)), node))
        .collect();
    for (path, _) in elements.iter().filter(|(_, node)| is_member(node)) {
        all.push(path.clone());
    }
    for (path, node) in &elements {
        collect(node, path, all);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> Set {
        value.as_object().cloned().expect("a set")
    }

    #[test]
    fn sets_combine_member_by_member() {
        let first =
            set(json!({"f:a": {}, "f:b": {".": {}, "f:x": {}, "f:y": {}}, "f:c": {"f:z": {}}}));
        let second = set(json!({"f:a": {"f:q": {}}, "f:b": {"f:x": {}}, "f:d": {}}));
        assert_eq!(
            combine(&first, &second, Combine::Union),
            set(json!({
            "f:a": {".": {}, "f:q": {}}, "f:b": {".": {}, "f:x": {}, "f:y": {}}, "f:c": {"f:z": {}}, "f:d": {}}))
        );
        assert_eq!(
            combine(&first, &second, Combine::Intersection),
            set(json!({"f:b": {"f:x": {}}}))
        );
        assert_eq!(
            combine(&first, &second, Combine::Difference),
            set(json!({"f:a": {}, "f:b": {".": {}, "f:y": {}}, "f:c": {"f:z": {}}}))
        );
        let whole = set(json!({"f:b": {}}));
        assert_eq!(
            combine(&first, &whole, Combine::Difference)["f:b"],
            json!({"f:x": {}, "f:y": {}})
        );
        assert_eq!(
            combine(&first, &whole, Combine::RecursiveDifference),
            set(json!({"f:a": {}, "f:c": {"f:z": {}}}))
        );
    }

    #[test]
    fn members_are_shown_as_paths() {
        let set = set(
            json!({"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {}}}}},
            "f:metadata": {"f:finalizers": {"v:\"x\"": {}}}}),
        );
        assert_eq!(
            paths(&set),
            [
                ".metadata.finalizers[=\"x\"]",
                ".spec.containers[name=\"c\"]",
                ".spec.containers[name=\"c\"].image",
                ".spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"]"
            ]
        );
    }
}
