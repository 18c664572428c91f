//! Writing `status`: a merge patch with what has changed, and nothing if nothing has.

use std::fmt::Debug;

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Makes the status of an object `new`, if it isn't. An object that is gone is no error.
pub(crate) async fn write<K, S>(
    objects: &Api<K>,
    name: &str,
    old: Option<&S>,
    new: &S,
) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let old = old.map_or_else(Map::new, fields);
    let Some(changes) = changes(&old, fields(new)) else {
        return Ok(());
    };
    let patch = Patch::Merge(json!({ "status": changes }));
    let result = objects
        .patch_status(name, &PatchParams::default(), &patch)
        .await;
    match result {
        Err(error) if client::object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}

fn fields<S: Serialize>(status: &S) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        // A status is a struct of plain data.
        _ => Map::new(),
    }
}

/// The merge patch from one set of fields to another, `None` if they are the same.
fn changes(old: &Map<String, Value>, new: Map<String, Value>) -> Option<Map<String, Value>> {
    let mut changes = Map::new();
    for field in old.keys().filter(|field| !new.contains_key(*field)) {
        changes.insert(field.clone(), Value::Null);
    }
    for (field, value) in new {
        if old.get(&field) != Some(&value) {
            changes.insert(field, value);
        }
    }
    (!changes.is_empty()).then_some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_what_changed_and_nulls_for_what_went() {
        let map = |value: Value| value.as_object().expect("an object").clone();
        let old = map(json!({"replicas": 1, "readyReplicas": 1, "conditions": []}));
        let new = map(json!({"replicas": 2, "conditions": []}));
        let expected = map(json!({"replicas": 2, "readyReplicas": null}));
        assert_eq!(changes(&old, new), Some(expected));
        assert_eq!(changes(&old, old.clone()), None);
    }
}
