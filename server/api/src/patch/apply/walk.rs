//! Walks over objects by their schema: which fields they have, how two differ, and their merge.
//!
//! The rules are those of Kubernetes' structured-merge-diff.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::set::{self, Set, Shape, entry_element, field_element, insert, shape};
use crate::schema::{Field, Schema, Type};

/// What stands for an object that Go's encoder writes even when nothing is in it.
fn empty() -> &'static Value {
    static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
    &EMPTY
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// The fields that an object sets.
pub(super) fn fields(schema: &'static Schema, object: &Value) -> Set {
    let mut fields = Set::new();
    struct_fields(schema, object, &mut fields);
    fields
}

fn struct_fields(schema: &'static Schema, object: &Value, into: &mut Set) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let Some(field) = schema.field(name) else {
            continue;
        };
        let (member, below) = value_fields(&field.kind, Some(field), value);
        let member = member || value.is_null() || is_empty_map(value);
        insert(into, field_element(name), member, below);
    }
}

/// Whether the value is itself a member, and the members below it.
fn value_fields(kind: &Type, field: Option<&Field>, value: &Value) -> (bool, Set) {
    let mut below = Set::new();
    match shape(kind, field, value) {
        Shape::Leaf => return (true, below),
        Shape::Struct(schema) => struct_fields(schema, value, &mut below),
        Shape::Map(entry) => {
            for (key, value) in value.as_object().into_iter().flatten() {
                let (_, deeper) = value_fields(entry, None, value);
                insert(&mut below, field_element(key), true, deeper);
            }
        }
        Shape::List(field, entry) => {
            let mut seen = HashMap::new();
            for item in crate::meta::list(value) {
                if let Ok(element) = entry_element(field, entry, item) {
                    seen.entry(element).or_insert_with(Vec::new).push(item);
                }
            }
            for (element, items) in seen {
                let deeper = match items[..] {
                    [item] => value_fields(entry, None, item).1,
                    _ => Set::new(),
                };
                insert(&mut below, element, true, deeper);
            }
        }
    }
    (false, below)
}

/// How two objects differ.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Fields that only the second has.
    pub added: Set,
    /// Fields with other values.
    pub modified: Set,
    /// Fields that only the first has.
    pub removed: Set,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Modified,
    Removed,
}

impl Difference {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Fields that are new or have other values.
    pub(super) fn changed(&self) -> Set {
        set::combine(&self.modified, &self.added, set::Combine::Union)
    }

    fn put(&mut self, element: impl Fn() -> String, change: Option<Change>, below: Self) {
        let parts = [
            (&mut self.added, below.added, Change::Added),
            (&mut self.modified, below.modified, Change::Modified),
            (&mut self.removed, below.removed, Change::Removed),
        ];
        for (into, below, which) in parts {
            if change == Some(which) || !below.is_empty() {
                insert(into, element(), change == Some(which), below);
            }
        }
    }
}

/// How `new` differs from `old`. An absent `old` stands for an empty object of the kind.
pub(super) fn compare(schema: &'static Schema, old: Option<&Value>, new: &Value) -> Difference {
    let mut difference = Difference::default();
    struct_difference(
        schema,
        Some(old.unwrap_or_else(|| empty())),
        Some(new),
        &mut difference,
    );
    difference
}

fn struct_difference(
    schema: &'static Schema,
    old: Option<&Value>,
    new: Option<&Value>,
    into: &mut Difference,
) {
    each_key(old, new, |name, before, after| {
        let Some(field) = schema.field(name) else {
            return;
        };
        // What is written as null now was so before, in a struct that was there.
        if old.is_some() && after.is_some_and(Value::is_null) && before.is_none_or(Value::is_null) {
            return;
        }
        // Go's encoder writes these on both sides even when they are empty.
        let written = |side: Option<&Value>| side.is_some() && schema.always_written(field);
        let is_struct = matches!(field.kind, Type::Object(_));
        let before = before.or_else(|| (is_struct && written(old)).then(empty));
        let after = after.or_else(|| (is_struct && written(new)).then(empty));
        let (mut change, below) = difference(&field.kind, Some(field), before, after);
        // An absent list that is required is written as null, which is not absent.
        let null = field.required && matches!(field.kind, Type::List(_) | Type::Map(_));
        if null && old.is_some() && new.is_some() && change != Some(Change::Modified) {
            change = None;
        }
        into.put(|| field_element(name), change, below);
    });
}

/// Calls with each key of either object, in order, and its values.
fn each_key<'a>(
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    mut call: impl FnMut(&str, Option<&'a Value>, Option<&'a Value>),
) {
    let (old, new) = (
        old.and_then(Value::as_object),
        new.and_then(Value::as_object),
    );
    let mut before = old.into_iter().flatten().peekable();
    let mut after = new.into_iter().flatten().peekable();
    loop {
        let which = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((before, _)), Some((after, _))) => before.cmp(after),
        };
        let old = if which.is_le() { before.next() } else { None };
        let new = if which.is_ge() { after.next() } else { None };
        if let Some((key, _)) = old.or(new) {
            call(key, old.map(|(_, v)| v), new.map(|(_, v)| v));
        }
    }
}

fn whole(old: Option<&Value>, new: Option<&Value>) -> Option<Change> {
    match (old, new) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        _ => None,
    }
}

/// How a value itself differs, and what differs below it.
fn difference(
    kind: &Type,
    field: Option<&Field>,
    old: Option<&Value>,
    new: Option<&Value>,
) -> (Option<Change>, Difference) {
    let mut below = Difference::default();
    let Some(sample) = new.or(old) else {
        return (None, below);
    };
    let nothing_in = |side: Option<&Value>| match side {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    let form = shape(kind, field, sample);
    if matches!(form, Shape::Leaf) || (nothing_in(old) && nothing_in(new)) {
        let modified = (old.is_some() && new.is_some() && old != new).then_some(Change::Modified);
        return (whole(old, new).or(modified), below);
    }
    match form {
        Shape::Leaf => {}
        Shape::Struct(schema) => struct_difference(schema, old, new, &mut below),
        Shape::Map(entry) => each_key(old, new, |key, old, new| {
            let (change, deeper) = difference(entry, None, old, new);
            below.put(|| field_element(key), change, deeper);
        }),
        Shape::List(field, entry) => list_difference(field, entry, old, new, &mut below),
    }
    (whole(old, new), below)
}

/// A list's entries by element. Entries with the same element stand together.
fn by_element<'a>(
    field: &Field,
    kind: &Type,
    list: Option<&'a Value>,
) -> Vec<(String, Vec<&'a Value>)> {
    let mut elements: Vec<(String, Vec<&Value>)> = Vec::new();
    let mut places = HashMap::new();
    for item in list.map(crate::meta::list).unwrap_or_default() {
        let Ok(element) = entry_element(field, kind, item) else {
            continue;
        };
        let place = *places.entry(element.clone()).or_insert(elements.len());
        match elements.get_mut(place) {
            Some((_, items)) => items.push(item),
            None => elements.push((element, vec![item])),
        }
    }
    elements
}

fn list_difference(
    field: &Field,
    kind: &Type,
    old: Option<&Value>,
    new: Option<&Value>,
    into: &mut Difference,
) {
    let (old, mut new) = (by_element(field, kind, old), by_element(field, kind, new));
    let place: HashMap<String, usize> = new
        .iter()
        .enumerate()
        .map(|(i, (e, _))| (e.clone(), i))
        .collect();
    let mut pairs = Vec::new();
    for (element, before) in old {
        let after = place.get(&element).map(|i| std::mem::take(&mut new[*i].1));
        pairs.push((element, before, after.unwrap_or_default()));
    }
    let rest = new.into_iter().filter(|(_, items)| !items.is_empty());
    pairs.extend(rest.map(|(element, after)| (element, Vec::new(), after)));
    for (element, before, after) in pairs {
        match (&before[..], &after[..]) {
            ([] | [_], [] | [_]) => {
                let (old, new) = (before.first().copied(), after.first().copied());
                let (change, deeper) = difference(kind, None, old, new);
                into.put(|| element.clone(), change, deeper);
            }
            // Repeated entries count as one value.
            (before @ [_, _, ..], after @ [_, _, ..]) => {
                let change = (before != after).then_some(Change::Modified);
                into.put(|| element.clone(), change, Difference::default());
            }
            ([_, _, ..], after) => {
                let (_, deeper) = difference(kind, None, None, after.first().copied());
                into.put(|| element.clone(), Some(Change::Removed), deeper);
            }
            (before, _) => {
                let (_, deeper) = difference(kind, None, before.first().copied(), None);
                into.put(|| element.clone(), Some(Change::Added), deeper);
            }
        }
    }
}

/// The object with the configuration merged into it.
pub(super) fn merge(schema: &'static Schema, live: &Value, config: &Value) -> Value {
    merge_struct(schema, live, config)
}

fn merge_struct(schema: &'static Schema, live: &Value, config: &Value) -> Value {
    let mut merged = Map::new();
    each_key(Some(live), Some(config), |name, live, config| {
        let value = match (live, config, schema.field(name)) {
            (Some(live), Some(config), Some(field)) => {
                merge_value(&field.kind, Some(field), live, config)
            }
            (_, Some(config), _) => config.clone(),
            (Some(live), None, _) => live.clone(),
            (None, None, _) => return,
        };
        merged.insert(name.to_owned(), value);
    });
    Value::Object(merged)
}

fn merge_value(kind: &Type, field: Option<&Field>, live: &Value, config: &Value) -> Value {
    let form = shape(kind, field, live);
    match form {
        Shape::Leaf => config.clone(),
        // A null leaves what is there.
        _ if config.is_null() => live.clone(),
        Shape::Struct(schema) => merge_struct(schema, live, config),
        Shape::Map(entry) => {
            let mut merged = Map::new();
            each_key(Some(live), Some(config), |key, live, config| {
                let value = match (live, config) {
                    (Some(live), Some(config)) => merge_value(entry, None, live, config),
                    (one, other) => one.or(other).cloned().unwrap_or_default(),
                };
                merged.insert(key.to_owned(), value);
            });
            Value::Object(merged)
        }
        Shape::List(field, entry) => merge_lists(field, entry, live, config),
    }
}

/// Merges two lists. Entries that both have come in the configuration's order; what only the object
/// has stays where it stood relative to them.
fn merge_lists(field: &Field, kind: &Type, live: &Value, config: &Value) -> Value {
    let element = |item: &Value| entry_element(field, kind, item).unwrap_or_default();
    let (left, right) = (crate::meta::list(live), crate::meta::list(config));
    let left_keys: Vec<String> = left.iter().map(element).collect();
    let right_keys: Vec<String> = right.iter().map(element).collect();
    let find = |keys: &[String], key: &String| keys.iter().position(|k| k == key);
    let mut shared = right_keys.iter().filter(|k| left_keys.contains(k));
    let mut next_shared = shared.next();
    let mut done = vec![false; right.len()];
    let (mut l, mut r) = (0, 0);
    let mut merged = Vec::with_capacity(left.len().max(right.len()));
    let take = |r: usize| match find(&left_keys, &right_keys[r]) {
        Some(l) => merge_value(kind, None, &left[l], &right[r]),
        None => right[r].clone(),
    };
    while l < left.len() || r < right.len() {
        let in_config = left_keys.get(l).and_then(|key| find(&right_keys, key));
        if l < left.len() && r < right.len() {
            if left_keys[l] == right_keys[r] {
                merged.push(take(r));
                done[r] = true;
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if in_config.is_some() && next_shared.is_some_and(|next| *next != left_keys[l]) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            match in_config {
                None => {
                    merged.push(left[l].clone());
                    l += 1;
                    continue;
                }
                Some(place) if done[place] => l += 1,
                Some(_) => {}
            }
        }
        if r < right.len() {
            merged.push(take(r));
            done[r] = true;
            if next_shared == Some(&right_keys[r]) {
                next_shared = shared.next();
            }
            r += 1;
        }
    }
    Value::Array(merged)
}

/// The object without the members of a set. What becomes empty by that goes too.
pub(super) fn remove(schema: &'static Schema, object: &Value, gone: &Set) -> Value {
    let removed = remove_from(Shape::Struct(schema), object, gone);
    removed.unwrap_or_else(|| Value::Object(Map::new()))
}

fn remove_from(form: Shape<'_>, value: &Value, gone: &Set) -> Option<Value> {
    match (form, value) {
        (Shape::Leaf, Value::Object(_) | Value::Array(_)) => None,
        (Shape::Leaf, plain) => Some(plain.clone()),
        (Shape::List(field, kind), Value::Array(list)) => {
            let kept: Vec<Value> = list
                .iter()
                .filter_map(|item| {
                    let element = entry_element(field, kind, item).ok()?;
                    remove_below(kind, None, item, set::get(gone, &element))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        (form, Value::Object(map)) => {
            let mut kept = Map::new();
            for (name, value) in map {
                let (kind, field) = match form {
                    Shape::Struct(schema) => match schema.field(name) {
                        Some(field) => (&field.kind, Some(field)),
                        None => (&Type::Any, None),
                    },
                    Shape::Map(entry) => (entry, None),
                    _ => (&Type::Any, None),
                };
                let node = set::get(gone, &field_element(name));
                if let Some(value) = remove_below(kind, field, value, node) {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

fn remove_below(
    kind: &Type,
    field: Option<&Field>,
    value: &Value,
    node: Option<&Set>,
) -> Option<Value> {
    match node {
        None => Some(value.clone()),
        Some(node) if set::is_member(node) => None,
        Some(node) => remove_from(shape(kind, field, value), value, node),
    }
}

/// The set with every named field on the way to a member made a member too.
pub(super) fn with_named_fields(schema: &'static Schema, set: &Set) -> Set {
    named(Some((Shape::Struct(schema), schema)), set)
}

fn named(at: Option<(Shape<'_>, &'static Schema)>, set: &Set) -> Set {
    let mut all = Set::new();
    for (element, node) in set::below(set) {
        let field = match (&at, element.strip_prefix("f:")) {
            (Some((Shape::Struct(schema), _)), Some(name)) => schema.field(name),
            _ => None,
        };
        let deeper = match (&at, field) {
            (_, Some(field)) => field.kind.schema().map(|schema| match field.kind {
                Type::Object(_) => (Shape::Struct(schema), schema),
                _ => (Shape::Leaf, schema),
            }),
            // Entries of a list or map of objects.
            (Some((Shape::Leaf, schema)), None) => Some((Shape::Struct(schema), *schema)),
            _ => None,
        };
        let member = set::is_member(node) || field.is_some();
        insert(&mut all, element.clone(), member, named(deeper, node));
    }
    all
}
