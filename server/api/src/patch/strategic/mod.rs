//! Strategic merge patch: a merge patch that knows which lists merge, and by which key.
//!
//! Directives in a patch:
//!
//! | directive | meaning |
//! |---|---|
//! | `$patch: replace` | the object (or, in a list, the whole list) becomes what stands beside it |
//! | `$patch: delete` | the object, or the list's entry with that merge key, goes |
//! | `$retainKeys: [...]` | fields that are not named go |
//! | `$setElementOrder/LIST: [...]` | the order of the entries that the patch knows |
//! | `$deleteFromPrimitiveList/LIST: [...]` | these values go from a list of plain values |

mod diff;
mod order;

use serde_json::{Map, Value};

use super::{PatchError, go_kind, go_text};
use crate::schema::{Field, Schema, Type};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";

/// How two maps are merged.
#[derive(Clone, Copy)]
struct Options {
    /// Directives are carried out; without this, both sides are patches and directives are kept.
    carry_out: bool,
}

type Fields = Map<String, Value>;

/// The object with the patch merged into it.
pub fn apply(schema: &Schema, original: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (original, patch) = (object(original)?, object(patch)?);
    let options = Options { carry_out: true };
    merge_maps(original, patch, Some(schema), options).map(Value::Object)
}

/// The patch that `apply` sends: what differs between `current` and `modified`, and the removal of
/// what `original` (the configuration applied last) had and `modified` has not.
pub fn three_way(
    schema: &Schema,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, PatchError> {
    let (original, modified, current) = (object(original)?, object(modified)?, object(current)?);
    let changes = diff::maps(&current, &modified, Some(schema), diff::Wanted::Changes)?;
    let deletions = diff::maps(&original, &modified, Some(schema), diff::Wanted::Deletions)?;
    let options = Options { carry_out: false };
    merge_maps(deletions, changes, Some(schema), options).map(Value::Object)
}

/// The patch that turns `original` into `modified`.
pub fn two_way(schema: &Schema, original: &Value, modified: &Value) -> Result<Value, PatchError> {
    let (original, modified) = (object(original)?, object(modified)?);
    diff::maps(&original, &modified, Some(schema), diff::Wanted::Both).map(Value::Object)
}

fn object(value: &Value) -> Result<Fields, PatchError> {
    match value {
        Value::Object(fields) => Ok(fields.clone()),
        Value::Null => Ok(Fields::new()),
        _ => Err(malformed("invalid JSON document")),
    }
}

fn malformed(text: impl Into<String>) -> PatchError {
    PatchError::Malformed(text.into())
}

fn bad_type(wanted: &str, found: &Value) -> PatchError {
    malformed(format!(
        "expected a {wanted}, but received a {}",
        go_kind(found)
    ))
}

fn no_merge_key(item: &Value, key: &str) -> PatchError {
    malformed(format!(
        "map: {} does not contain declared merge key: {key}",
        go_text(item)
    ))
}

/// The schema below a field: that of the object, or of a list's entries.
fn below(field: Option<&Field>) -> Option<&'static Schema> {
    match &field?.kind {
        kind @ Type::Object(_) => kind.schema(),
        Type::List(entry) if matches!(**entry, Type::Object(_)) => entry.schema(),
        _ => None,
    }
}

fn field_of<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Field> {
    schema?.field(name)
}

fn merge_maps(
    mut original: Fields,
    mut patch: Fields,
    schema: Option<&Schema>,
    options: Options,
) -> Result<Fields, PatchError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Fields::new()),
            _ => Err(unknown_directive(&Value::Object(patch))),
        };
    }
    retain_keys(&mut original, &mut patch, options)?;
    set_orders(&mut original, &mut patch, schema, options)?;
    for (key, change) in patch {
        if let Some(name) = delete_list_name(&key)? {
            if options.carry_out {
                delete_from(&mut original, name, change)?;
            } else {
                original.insert(key, change);
            }
            continue;
        }
        merge_field(&mut original, key, change, schema, options)?;
    }
    Ok(original)
}

fn unknown_directive(map: &Value) -> PatchError {
    let directive = go_text(&map[DIRECTIVE]);
    malformed(format!(
        "unknown patch type: {directive} in map: {}",
        go_text(map)
    ))
}

fn merge_field(
    original: &mut Fields,
    key: String,
    mut change: Value,
    schema: Option<&Schema>,
    options: Options,
) -> Result<(), PatchError> {
    if change.is_null() {
        original.remove(&key);
        if !options.carry_out {
            original.insert(key, Value::Null);
        }
        return Ok(());
    }
    let field = field_of(schema, &key);
    let merged = match (original.remove(&key), change) {
        (Some(Value::Object(own)), Value::Object(change)) => Some(Value::Object(merge_maps(
            own,
            change,
            below(field),
            options,
        )?)),
        (Some(Value::Array(own)), Value::Array(change)) if field.is_some_and(|f| f.patch.merge) => {
            let merge_key = field.and_then(|f| f.merge_key);
            let merged = merge_lists(own, change, below(field), merge_key, options)?;
            Some(Value::Array(merged))
        }
        (_, other) => {
            change = other;
            if options.carry_out {
                discard_nulls(&mut change);
            }
            without_directives(change)
        }
    };
    if let Some(merged) = merged {
        original.insert(key, merged);
    }
    Ok(())
}

/// The list that a `$deleteFromPrimitiveList/LIST` names; `None` for another key.
fn delete_list_name(key: &str) -> Result<Option<&str>, PatchError> {
    let Some(rest) = key.strip_prefix(DELETE_FROM) else {
        return Ok(None);
    };
    match rest.strip_prefix('/') {
        Some(name) => Ok(Some(name)),
        None => Err(malformed("invalid patch format of primitive list")),
    }
}

fn delete_from(original: &mut Fields, name: &str, values: Value) -> Result<(), PatchError> {
    let Some(Value::Array(list)) = original.get_mut(name) else {
        return Ok(());
    };
    let Value::Array(values) = values else {
        return Err(malformed("invalid patch format of primitive list"));
    };
    list.retain(|own| !values.contains(own));
    Ok(())
}

fn retain_keys(
    original: &mut Fields,
    patch: &mut Fields,
    options: Options,
) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    if !options.carry_out {
        original.entry(RETAIN_KEYS).or_insert(keys);
        return Ok(());
    }
    let wrong = || malformed("invalid patch format of retainKeys");
    let keys = keys.as_array().ok_or_else(wrong)?;
    let retained = |key: &str| keys.iter().any(|k| k == key);
    let directive = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    if patch
        .iter()
        .any(|(k, v)| !v.is_null() && !directive(k) && !retained(k))
    {
        return Err(wrong());
    }
    original.retain(|key, _| retained(key));
    Ok(())
}

/// Carries out (or hands on) the orders that the patch sets, and merges the lists they are for.
fn set_orders(
    original: &mut Fields,
    patch: &mut Fields,
    schema: Option<&Schema>,
    options: Options,
) -> Result<(), PatchError> {
    let wrong = || malformed("invalid patch format of setElementOrder list");
    let orders: Vec<String> = patch
        .keys()
        .filter(|k| k.starts_with(SET_ORDER))
        .cloned()
        .collect();
    for directive in orders {
        let Some(order) = patch.remove(&directive) else {
            continue;
        };
        if !options.carry_out {
            match original.get(&directive) {
                Some(own) if *own != order => return Err(wrong()),
                Some(_) => {}
                None => {
                    original.insert(directive.clone(), order.clone());
                }
            }
        }
        let Value::Array(order) = order else {
            return Err(bad_type("slice", &order));
        };
        let name = directive[SET_ORDER.len()..].strip_prefix('/');
        let name = name.ok_or_else(wrong)?;
        set_order(original, patch, name, &order, schema, options)?;
    }
    Ok(())
}

fn set_order(
    original: &mut Fields,
    patch: &mut Fields,
    name: &str,
    order: &[Value],
    schema: Option<&Schema>,
    options: Options,
) -> Result<(), PatchError> {
    let list = |value: Option<Value>| match value {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(other) => Err(bad_type("slice", &other)),
    };
    if patch.get(name).is_some_and(Value::is_null) {
        return Ok(());
    }
    let (own, change) = (list(original.remove(name))?, list(patch.remove(name))?);
    let field = field_of(schema, name);
    let merge_key = field.and_then(|f| f.merge_key);
    order::check(change.as_deref().unwrap_or_default(), order, merge_key)?;
    let server_order = order::identities(own.as_deref().unwrap_or_default(), merge_key);
    let merged = match (own, change) {
        (Some(own), None) => own,
        (None, Some(change)) => change.into_iter().filter_map(without_directives).collect(),
        (Some(own), Some(change)) if field.is_some_and(|f| f.patch.merge) => {
            merge_lists(own, change, below(field), merge_key, options)?
        }
        (Some(_), Some(change)) => change,
        (None, None) => return Ok(()),
    };
    let wanted = order::identities(order, merge_key);
    let merged = order::arrange(merged, &wanted, &server_order, merge_key)?;
    original.insert(name.to_owned(), Value::Array(merged));
    Ok(())
}

fn merge_lists(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    schema: Option<&Schema>,
    merge_key: Option<&str>,
    options: Options,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !order::are_objects(original.iter().chain(&patch))? {
        let server_order = original.clone();
        original.extend(patch.iter().cloned());
        let merged = order::without_repetition(original);
        return order::arrange(merged, &patch, &server_order, None);
    }
    let Some(key) = merge_key else {
        return Err(malformed("cannot merge lists without merge key for struct"));
    };
    let (mut merged, patch) = special_entries(original, patch, key)?;
    let server_order = order::identities(&merged, Some(key));
    let patch_order = order::identities(&patch, Some(key));
    for change in patch {
        let Some(wanted) = change.get(key).cloned() else {
            return Err(no_merge_key(&change, key));
        };
        let own = merged.iter_mut().find(|own| own.get(key) == Some(&wanted));
        match (own, change) {
            (Some(own), Value::Object(change)) => {
                let fields = match own.take() {
                    Value::Object(fields) => fields,
                    other => return Err(bad_type("map", &other)),
                };
                *own = Value::Object(merge_maps(fields, change, schema, options)?);
            }
            (_, change) => merged.push(change),
        }
    }
    order::arrange(merged, &patch_order, &server_order, Some(key))
}

/// Carries out the `$patch` directives among a list's entries. Returns the list and what is left to
/// merge into it.
fn special_entries(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replace = false;
    for entry in patch {
        match entry.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
            None => plain.push(entry),
            Some("delete") => match entry.get(key) {
                Some(gone) => original.retain(|own| own.get(key) != Some(gone)),
                None => return Err(no_merge_key(&entry, key)),
            },
            Some("replace") => replace = true,
            Some("merge") => {
                let text = "merging lists cannot yet be specified in the patch";
                return Err(malformed(text));
            }
            Some(_) => return Err(unknown_directive(&entry)),
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    Ok((original, plain))
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(discard_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// A value of the patch as it is stored: `None` if it is itself a directive.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            if fields.contains_key(DIRECTIVE) {
                return None;
            }
            let kept = fields.into_iter();
            let kept = kept.filter_map(|(k, v)| Some((k, without_directives(v)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) => {
            let kept = list.into_iter().filter_map(without_directives);
            Some(Value::Array(kept.collect()))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests;
