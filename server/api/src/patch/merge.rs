//! Merge patch (RFC 7386): objects are merged, null removes, everything else replaces.

use serde_json::{Map, Value};

/// The object with the patch merged into it.
pub fn apply(object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    merge_into(&mut object, patch);
    object
}

/// Merges a patch in place.
pub fn merge_into(object: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge_into(fields.entry(key).or_insert(Value::Null), change);
        }
    }
}

/// The patch that turns `from` into `to`.
pub fn diff(from: &Value, to: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        return to.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before) if before.is_object() && value.is_object() => {
                patch.insert(key.clone(), diff(before, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// The patch that `apply` sends for kinds without a schema: what differs between `current` and
/// `modified`, and null for what `original` (the configuration applied last) had and `modified` has not.
pub fn three_way(original: &Value, modified: &Value, current: &Value) -> Value {
    let mut patch = keep(&diff(original, modified), true).unwrap_or_default();
    let changes = keep(&diff(current, modified), false).unwrap_or_default();
    overlay(&mut patch, changes);
    if patch.is_null() {
        return Value::Object(Map::new());
    }
    patch
}

/// The nulls of a patch, or everything else of it.
fn keep(patch: &Value, nulls: bool) -> Option<Value> {
    match patch {
        Value::Null => nulls.then_some(Value::Null),
        Value::Object(fields) if !fields.is_empty() => {
            let kept: Map<String, Value> = fields
                .iter()
                .filter_map(|(k, v)| Some((k.clone(), keep(v, nulls)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => (!nulls).then(|| other.clone()),
    }
}

/// Merges two patches; nulls stay.
fn overlay(patch: &mut Value, over: Value) {
    match (patch, over) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                overlay(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (patch, over) => *patch = over,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_merges_objects_and_replaces_the_rest() {
        let object = json!({"a": {"b": 1, "c": 2}, "l": [1, 2], "gone": 1});
        let patch = json!({"a": {"c": null, "d": {"e": null, "f": 1}}, "l": [3], "gone": null, "absent": null});
        assert_eq!(
            apply(&object, &patch),
            json!({"a": {"b": 1, "d": {"f": 1}}, "l": [3]})
        );
        assert_eq!(apply(&object, &json!([1])), json!([1]));
    }

    #[test]
    fn three_ways_remove_only_what_was_applied_before() {
        let original = json!({"spec": {"a": 1, "b": 2, "nested": {"x": 1}}});
        let modified = json!({"spec": {"a": 3, "nested": {}, "new": [1]}});
        let current =
            json!({"spec": {"a": 1, "b": 2, "nested": {"x": 1}, "server": true}, "status": {}});
        let patch = three_way(&original, &modified, &current);
        assert_eq!(
            patch,
            json!({"spec": {"a": 3, "b": null, "nested": {"x": null}, "new": [1]}})
        );
        assert_eq!(
            apply(&current, &patch),
            json!({"spec": {"a": 3, "nested": {}, "new": [1], "server": true}, "status": {}})
        );
        assert_eq!(three_way(&modified, &modified, &modified), json!({}));
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from)
        ];
        let tree = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|m| m.into_iter().collect()),
            ]
        });
        prop::collection::btree_map("[a-d]", tree, 0..4).prop_map(|m| m.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_diff_leads_from_one_object_to_the_other(from in any_object(), to in any_object()) {
            prop_assert_eq!(apply(&from, &diff(&from, &to)), to);
        }

        #[test]
        fn a_patch_applied_twice_changes_nothing_more(object in any_object(), patch in any_object()) {
            let once = apply(&object, &patch);
            prop_assert_eq!(apply(&once, &patch), once);
        }
    }
}
