//! JSON patch (RFC 6902), in the dialect of kube-apiserver's library.
//!
//! It differs from the RFC where clients have come to rely on it: `replace` of an absent key adds it,
//! negative indexes count from the end, an absent value equals null, and an absent `value` is null.

use serde_json::Value;

use super::PatchError;
use crate::wire::json::{MAX_DEPTH, is_deeper};

/// More operations than this are refused.
const MAX_OPERATIONS: usize = 10_000;

/// All copies of a patch together may make no more than that, in bytes of JSON: kube-apiserver's limit.
const MAX_COPIED: usize = 3 << 20;

/// The object after all operations; the first that fails fails the patch.
pub fn apply(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = decode(patch)?;
    let mut object = object.clone();
    let mut limits = Limits {
        copied: 0,
        levels: MAX_DEPTH,
    };
    for operation in operations {
        limits.admit(&mut object, operation)?;
        step(&mut object, operation)?;
    }
    Ok(object)
}

/// What keeps a small patch from making an object that is too large, or too deep to go through.
struct Limits {
    /// Bytes of JSON that copies have added.
    copied: usize,
    /// At most so many levels the object has by now.
    levels: usize,
}

impl Limits {
    fn admit(&mut self, object: &mut Value, operation: &Value) -> Result<(), PatchError> {
        let text = |field: &str| operation[field].as_str().unwrap_or_default();
        let levels = |path: &str| path.matches('/').count();
        match text("op") {
            "add" | "replace" => {
                let deep = is_deeper(&operation["value"], MAX_DEPTH);
                if deep || levels(text("path")) > MAX_DEPTH {
                    return Err(problem("the object would have too many levels".to_owned()));
                }
                // A value at the limit, put at a place at the limit.
                self.levels = self.levels.max(2 * MAX_DEPTH);
            }
            "copy" => {
                let from = text("from");
                if let Some((container, key)) = find(object, from)
                    && let Ok(Some(value)) = get(container, &key, "copy", from)
                {
                    self.copied += value.to_string().len();
                }
                if self.copied > MAX_COPIED {
                    return Err(problem(format!(
                        "Unable to complete the copy, the accumulated size increase of copy is {}, \
                         exceeding the limit {MAX_COPIED}",
                        self.copied
                    )));
                }
            }
            _ => {}
        }
        if matches!(text("op"), "copy" | "move") {
            let deeper = levels(text("path")).saturating_sub(levels(text("from")));
            self.levels += deeper;
            if self.levels > 3 * MAX_DEPTH {
                return Err(problem("the object would have too many levels".to_owned()));
            }
        }
        Ok(())
    }
}

fn decode(patch: &Value) -> Result<&[Value], PatchError> {
    let wrong = |found: &Value, wanted: &str| {
        PatchError::Malformed(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type \
             {wanted}handlers.jsonPatchOp",
            json_type(found)
        ))
    };
    let Value::Array(operations) = patch else {
        return Err(wrong(patch, "[]"));
    };
    if let Some(bad) = operations.iter().find(|o| !o.is_object()) {
        return Err(wrong(bad, ""));
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        )));
    }
    Ok(operations)
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn step(object: &mut Value, operation: &Value) -> Result<(), PatchError> {
    let name = operation["op"].as_str().unwrap_or_default();
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text(operation, "path", name)?;
    match name {
        "add" => add(object, path, value(), name),
        "remove" => remove(object, path, name).map(drop),
        "replace" => replace(object, path, value()),
        "test" => test(object, path, &operation["value"]),
        "move" => {
            let moved = remove(object, text(operation, "from", name)?, name)?;
            add(object, path, moved, name)
        }
        "copy" => {
            let from = text(operation, "from", name)?;
            let (container, key) =
                find(object, from).ok_or_else(|| missing(name, "from ", from))?;
            let copied = get(container, &key, name, from)?
                .cloned()
                .unwrap_or_default();
            add(object, path, copied, name)
        }
        _ => Err(problem(format!("Unexpected kind: {name}"))),
    }
}

fn text<'a>(operation: &'a Value, field: &str, name: &str) -> Result<&'a str, PatchError> {
    operation[field].as_str().ok_or_else(|| {
        problem(format!(
            "{name} operation failed to decode {field}: missing value"
        ))
    })
}

fn problem(text: String) -> PatchError {
    PatchError::Unprocessable(text)
}

fn missing(name: &str, which: &str, path: &str) -> PatchError {
    problem(format!(
        "{name} operation does not apply: doc is missing {which}path: \"{path}\": missing value"
    ))
}

/// The container that a pointer's last part is in, and that part. A pointer without a slash names
/// nothing.
fn find<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut parts = path.split('/').skip(1).map(unescape);
    let mut key = parts.next()?;
    let mut container = object;
    for next in parts {
        container = match container {
            Value::Object(fields) => fields.get_mut(&key)?,
            Value::Array(list) => {
                let index = position(&key, list.len())?;
                list.get_mut(index)?
            }
            _ => return None,
        };
        key = next;
    }
    matches!(container, Value::Object(_) | Value::Array(_)).then_some((container, key))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// An index into a list of that length, counted from the end if negative.
fn position(key: &str, length: usize) -> Option<usize> {
    let index: i64 = key.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|i| *i < length as usize)
}

fn bad_index(name: &str, path: &str, key: &str) -> PatchError {
    problem(match key.parse::<i64>() {
        Ok(_) => format!(
            "error in {name} for path: '{path}': Unable to access invalid index: {key}: invalid index"
        ),
        Err(_) => format!(
            "error in {name} for path: '{path}': value was not a proper array index: '{key}'"
        ),
    })
}

fn get<'a>(
    container: &'a Value,
    key: &str,
    name: &str,
    path: &str,
) -> Result<Option<&'a Value>, PatchError> {
    match container {
        Value::Array(list) => match position(key, list.len()) {
            Some(index) => Ok(list.get(index)),
            None => Err(bad_index(name, path, key)),
        },
        other => Ok(other.get(key)),
    }
}

fn add(object: &mut Value, path: &str, value: Value, name: &str) -> Result<(), PatchError> {
    let (container, key) = find(object, path).ok_or_else(|| missing(name, "", path))?;
    match container {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            // One place more than there are entries: after the last.
            let at = position(&key, list.len() + 1).ok_or_else(|| bad_index(name, path, &key))?;
            list.insert(at, value);
        }
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        _ => {}
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str, name: &str) -> Result<Value, PatchError> {
    let (container, key) = find(object, path).ok_or_else(|| missing(name, "", path))?;
    match container {
        Value::Array(list) => {
            let at = position(&key, list.len()).ok_or_else(|| bad_index(name, path, &key))?;
            Ok(list.remove(at))
        }
        Value::Object(fields) => fields.remove(&key).ok_or_else(|| {
            problem(format!(
                "error in {name} for path: '{path}': Unable to remove nonexistent key: {key}: \
                 missing value"
            ))
        }),
        _ => Err(missing(name, "", path)),
    }
}

fn replace(object: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            let text = "replace operation value must be object or array";
            return Err(problem(text.to_owned()));
        }
        *object = value;
        return Ok(());
    }
    let (container, key) = find(object, path).ok_or_else(|| missing("replace", "", path))?;
    match container {
        Value::Array(list) => {
            let at = position(&key, list.len());
            let at = at.ok_or_else(|| bad_index("replace", path, &key))?;
            list[at] = value;
        }
        Value::Object(fields) => {
            fields.insert(key, value);
        }
        _ => {}
    }
    Ok(())
}

fn test(object: &mut Value, path: &str, expected: &Value) -> Result<(), PatchError> {
    let found = if path.is_empty() {
        Some(&*object)
    } else {
        let (container, key) = find(object, path).ok_or_else(|| missing("test", "", path))?;
        get(container, &key, "test", path)?
    };
    if found.unwrap_or(&Value::Null) == expected {
        return Ok(());
    }
    Err(problem(format!("testing value {path} failed: test failed")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn config_map() -> Value {
        json!({"metadata": {"name": "a", "finalizers": ["x", "y"]}, "data": {"x": "1", "a/b": "2"}})
    }

    #[test]
    fn each_operation_changes_what_it_names() {
        for (patch, changed) in [
            (
                json!({"op": "add", "path": "/data/y", "value": "2"}),
                json!({"x": "1", "a/b": "2", "y": "2"}),
            ),
            (
                json!({"op": "remove", "path": "/data/a~1b"}),
                json!({"x": "1"}),
            ),
            (
                json!({"op": "replace", "path": "/data/x", "value": "9"}),
                json!({"x": "9", "a/b": "2"}),
            ),
            (
                json!({"op": "replace", "path": "/data/new", "value": "9"}),
                json!({"x": "1", "a/b": "2", "new": "9"}),
            ),
            (
                json!({"op": "move", "from": "/data/x", "path": "/data/z"}),
                json!({"z": "1", "a/b": "2"}),
            ),
            (
                json!({"op": "copy", "from": "/data/x", "path": "/data/z"}),
                json!({"x": "1", "a/b": "2", "z": "1"}),
            ),
            (
                json!({"op": "copy", "from": "/data/none", "path": "/data/z"}),
                json!({"x": "1", "a/b": "2", "z": null}),
            ),
            (
                json!({"op": "add", "path": "/data/z"}),
                json!({"x": "1", "a/b": "2", "z": null}),
            ),
            (
                json!({"op": "test", "path": "/data/x", "value": "1"}),
                json!({"x": "1", "a/b": "2"}),
            ),
            (
                json!({"op": "test", "path": "/data/none", "value": null}),
                json!({"x": "1", "a/b": "2"}),
            ),
        ] {
            let object = apply(&config_map(), &json!([patch])).expect("a patch that applies");
            assert_eq!(object["data"], changed, "{patch}");
        }
    }

    #[test]
    fn lists_are_changed_by_index_from_either_end() {
        for (patch, changed) in [
            (
                json!({"op": "add", "path": "/metadata/finalizers/-", "value": "z"}),
                json!(["x", "y", "z"]),
            ),
            (
                json!({"op": "add", "path": "/metadata/finalizers/0", "value": "z"}),
                json!(["z", "x", "y"]),
            ),
            (
                json!({"op": "add", "path": "/metadata/finalizers/2", "value": "z"}),
                json!(["x", "y", "z"]),
            ),
            (
                json!({"op": "remove", "path": "/metadata/finalizers/-1"}),
                json!(["x"]),
            ),
            (
                json!({"op": "replace", "path": "/metadata/finalizers/1", "value": "z"}),
                json!(["x", "z"]),
            ),
        ] {
            let object = apply(&config_map(), &json!([patch])).expect("a patch that applies");
            assert_eq!(object["metadata"]["finalizers"], changed, "{patch}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (patch, text) in [
            (
                json!({"op": "test", "path": "/data/x", "value": "2"}),
                "testing value /data/x failed: test failed",
            ),
            (
                json!({"op": "remove", "path": "/data/zz"}),
                "error in remove for path: '/data/zz': Unable to remove nonexistent key: zz: missing value",
            ),
            (
                json!({"op": "add", "path": "/foo/zz", "value": 1}),
                "add operation does not apply: doc is missing path: \"/foo/zz\": missing value",
            ),
            (
                json!({"op": "add", "path": "/data/x/y", "value": 1}),
                "add operation does not apply: doc is missing path: \"/data/x/y\": missing value",
            ),
            (
                json!({"op": "add", "path": "/metadata/finalizers/9", "value": 1}),
                "error in add for path: '/metadata/finalizers/9': Unable to access invalid index: 9: invalid index",
            ),
            (
                json!({"op": "nope", "path": "/data/q"}),
                "Unexpected kind: nope",
            ),
            (
                json!({"op": "add"}),
                "add operation failed to decode path: missing value",
            ),
            (
                json!({"op": "remove", "path": ""}),
                "remove operation does not apply: doc is missing path: \"\": missing value",
            ),
        ] {
            assert_eq!(
                apply(&config_map(), &json!([patch])),
                Err(PatchError::Unprocessable(text.to_owned()))
            );
        }
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        for (patch, text) in [
            (
                json!({}),
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            ),
            (
                json!([5]),
                "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
            ),
        ] {
            assert_eq!(
                apply(&config_map(), &patch),
                Err(PatchError::Malformed(text.to_owned()))
            );
        }
        let many = Value::Array(vec![
            json!({"op": "test", "path": "/data/none", "value": null});
            MAX_OPERATIONS + 1
        ]);
        assert!(matches!(
            apply(&config_map(), &many),
            Err(PatchError::TooLarge(_))
        ));
    }

    proptest! {
        #[test]
        fn a_key_that_is_added_can_be_tested_and_removed(key in "[a-z~/ ]{1,6}", value in any::<i64>()) {
            let object = json!({"data": {}});
            let path = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
            let patch = json!([{"op": "add", "path": path, "value": value},
                {"op": "test", "path": path, "value": value}]);
            let added = apply(&object, &patch).expect("a patch that applies");
            prop_assert_eq!(&added["data"][&key], &json!(value));
            let removed = apply(&added, &json!([{"op": "remove", "path": path}])).expect("a patch that applies");
            prop_assert_eq!(removed, object);
        }

        #[test]
        fn no_pointer_makes_it_panic(path in ".{0,12}", op in "add|remove|replace|test|move|copy") {
            let _ = apply(&config_map(), &json!([{"op": op, "path": path, "from": path, "value": {}}]));
        }
    }
}
