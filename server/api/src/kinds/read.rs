//! Reading and completing objects: the schema has checked the types, absent fields read as zero.

use serde_json::{Map, Value};

/// The string at `field`, empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// The integer at `field`.
pub(crate) fn int(object: &Value, field: &str) -> Option<i64> {
    object[field].as_i64()
}

/// Whether the boolean at `field` is true.
pub(crate) fn flag(object: &Value, field: &str) -> bool {
    object[field].as_bool().unwrap_or_default()
}

/// Whether `field` is set at all.
pub(crate) fn has(object: &Value, field: &str) -> bool {
    !object[field].is_null()
}

/// The elements of the list at `field`.
pub(crate) fn items<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}

/// The elements of the list of strings at `field`.
pub(crate) fn texts<'a>(object: &'a Value, field: &str) -> Vec<&'a str> {
    items(object, field)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// The entries of the map at `field`, sorted by key.
pub(crate) fn entries<'a>(
    object: &'a Value,
    field: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    object[field]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// The elements of the list at `field`, to change them.
pub(crate) fn items_mut<'a>(object: &'a mut Value, field: &str) -> &'a mut [Value] {
    match object.get_mut(field) {
        Some(Value::Array(items)) => items,
        _ => &mut [],
    }
}

/// The object at `field`, to change it, if there is one.
pub(crate) fn part_mut<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    object.get_mut(field).filter(|value| value.is_object())
}

/// The object at `field`, made where there is none.
pub(crate) fn part_or_new<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    if !object[field].is_object() {
        object[field] = Value::Object(Map::new());
    }
    &mut object[field]
}

/// Sets `field` where it is absent.
pub(crate) fn set_default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if object[field].is_null() {
        object[field] = value.into();
    }
}

/// Shows absent `times` as `null`, as Kubernetes does for those that are not optional.
pub(crate) fn show_times(object: &mut Value, times: &[&str]) {
    if let Some(fields) = object.as_object_mut() {
        for time in times {
            fields.entry(*time).or_insert(Value::Null);
        }
    }
}

/// Sets `field` of `to` as it is in `from`, absent included.
pub(crate) fn carry(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        Some(value) => to[field] = value.clone(),
        None => remove(to, field),
    }
}

/// Removes `field`.
pub(crate) fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}
