//! `--sort-by`: the order of objects by the value of a JSONPath, as kubectl orders them.

use std::cmp::Ordering;

use serde_json::Value;

use super::jsonpath::{self, Template, relaxed};

/// Why things can't be sorted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SortError {
    /// The path is none, or can't be followed.
    #[error("{0}")]
    Path(String),
    /// None of the things has the field.
    #[error("couldn't find any field with path {0:?} in the list of objects")]
    Nowhere(String),
    /// The field holds a map or a list.
    #[error("Field {0} is an unsortable type: {1}")]
    Unsortable(String, &'static str),
}

/// Sorts things by what `path` finds in the object of each; those without the field come first.
pub(crate) fn sort<T>(
    things: &mut Vec<T>,
    path: &str,
    object: impl Fn(&T) -> &Value,
) -> Result<(), SortError> {
    let path = relaxed(path).map_err(SortError::Path)?;
    let template = Template::parse(&path, true).map_err(SortError::Path)?;
    let mut keys = Vec::with_capacity(things.len());
    for thing in things.iter() {
        let found = template.find(object(thing)).map_err(SortError::Path)?;
        let first = found
            .into_iter()
            .next()
            .unwrap_or_default()
            .into_iter()
            .next();
        keys.push(first.map(|value| jsonpath::json_of(&value)));
    }
    if !things.is_empty() && keys.iter().all(Option::is_none) {
        return Err(SortError::Nowhere(path));
    }
    let unsortable = keys.iter().flatten().find_map(|key| match key {
        Value::Object(_) => Some("map[string]interface {}"),
        Value::Array(_) => Some("[]interface {}"),
        _ => None,
    });
    if let (Some(kind), true) = (unsortable, things.len() > 1) {
        return Err(SortError::Unsortable(path, kind));
    }
    let mut keyed: Vec<_> = keys.into_iter().zip(things.drain(..)).collect();
    // Go's sort is told that each thing without the field comes before any other: that turns them round.
    keyed.reverse();
    let (without, mut with): (Vec<_>, Vec<_>) = keyed.into_iter().partition(|(k, _)| k.is_none());
    with.reverse();
    with.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    });
    things.extend(without.into_iter().chain(with).map(|(_, thing)| thing));
    Ok(())
}

/// Strings are ordered as texts, not as a person would count: `pod-10` before `pod-2`. Two that read
/// as amounts, such as `500Mi`, are ordered as amounts.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        (Value::String(text_a), Value::String(text_b)) => match (quantity(a), quantity(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => text_a.cmp(text_b),
        },
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// A string that reads as an amount, such as `500Mi`, in thousandths.
fn quantity(value: &Value) -> Option<i128> {
    api::meta::quantity::Quantity::parse(value.as_str()?)
        .ok()
        .map(|q| q.milli())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sorted(values: Value) -> Value {
        let mut things: Vec<Value> = values.as_array().into_iter().flatten().cloned().collect();
        sort(&mut things, ".a", |thing| thing).map_or_else(
            |error| error.to_string().into(),
            |()| things.iter().map(|t| t["a"].clone()).collect(),
        )
    }

    #[test]
    fn texts_are_ordered_as_texts_and_amounts_as_amounts() {
        let texts = json!([{"a": "pod-2"}, {"a": "pod-10"}, {}]);
        assert_eq!(sorted(texts), json!([null, "pod-10", "pod-2"]));
        let amounts = json!([{"a": "1Gi"}, {"a": "500Mi"}]);
        assert_eq!(sorted(amounts), json!(["500Mi", "1Gi"]));
    }

    #[test]
    fn a_field_that_nothing_has_is_an_error() {
        let expected = "couldn't find any field with path \"{.a}\" in the list of objects";
        assert_eq!(sorted(json!([{"b": 1}])), expected);
    }
}
