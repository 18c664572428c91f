//! What every object carries: accessors of `metadata`, and the rules for what may stand in it.
//!
//! The accessors take what a client may have sent: a field that is absent or of another type reads
//! as empty, because the schema check, not the reader, is the place that refuses it.

pub mod name;
pub mod quantity;
pub mod selector;
pub mod time;
pub mod validate;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

/// A text field of `metadata`, empty if it is absent.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// `metadata.name`, empty if it is absent.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.namespace`, empty for a cluster-scoped object.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.uid`, empty before the object is stored.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`, empty before the object is stored.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.generation`, 0 for kinds that don't count theirs.
pub fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    string_map(&object["metadata"]["labels"])
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> BTreeMap<String, String> {
    string_map(&object["metadata"]["annotations"])
}

/// The value of one label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(key)?.as_str()
}

/// The value of one annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"].get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<&str> {
    list(&object["metadata"]["finalizers"])
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// `metadata.creationTimestamp`, as it is written.
pub fn creation_timestamp(object: &Value) -> Option<&str> {
    object["metadata"]["creationTimestamp"].as_str()
}

/// `metadata.deletionTimestamp`, as it is written: there once deletion has begun.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    object["metadata"]["deletionTimestamp"].as_str()
}

/// `metadata.ownerReferences`. Entries that are not owner references are left out.
pub fn owner_references(object: &Value) -> Vec<OwnerReference> {
    list(&object["metadata"]["ownerReferences"])
        .iter()
        .filter_map(|reference| serde::Deserialize::deserialize(reference).ok())
        .collect()
}

/// The owner that manages the object: the reference with `controller: true`.
pub fn controller_of(object: &Value) -> Option<OwnerReference> {
    let references = list(&object["metadata"]["ownerReferences"]);
    let managing = references.iter().find(|r| r["controller"] == true)?;
    serde::Deserialize::deserialize(managing).ok()
}

/// The entries of a JSON list, none for anything else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The text entries of a JSON object.
pub fn string_map(value: &Value) -> BTreeMap<String, String> {
    let Some(fields) = value.as_object() else {
        return BTreeMap::new();
    };
    let texts = fields.iter().filter_map(|(k, v)| Some((k, v.as_str()?)));
    texts.map(|(k, v)| (k.clone(), v.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn accessors_read_what_is_there_and_give_empty_for_what_is_not() {
        let pod = json!({"metadata": {"name": "web-1", "namespace": "shop", "uid": "u-1",
            "resourceVersion": "42", "generation": 3, "labels": {"app": "web"},
            "finalizers": ["orphan"], "deletionTimestamp": "2026-01-02T03:04:05Z"}});
        assert_eq!(
            (name(&pod), namespace(&pod), uid(&pod)),
            ("web-1", "shop", "u-1")
        );
        assert_eq!((resource_version(&pod), generation(&pod)), ("42", 3));
        assert_eq!(labels(&pod)["app"], "web");
        assert_eq!(label(&pod, "app"), Some("web"));
        assert_eq!(finalizers(&pod), ["orphan"]);
        assert_eq!(deletion_timestamp(&pod), Some("2026-01-02T03:04:05Z"));

        let bare = json!({"metadata": {"name": 7}});
        assert_eq!((name(&bare), namespace(&bare)), ("", ""));
        assert!(annotations(&bare).is_empty() && finalizers(&bare).is_empty());
        assert_eq!(deletion_timestamp(&bare), None);
    }

    #[test]
    fn the_controller_is_the_owner_that_manages() {
        let pod = json!({"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "1"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "2", "controller": true},
        ]}});
        assert_eq!(owner_references(&pod).len(), 2);
        assert_eq!(controller_of(&pod).map(|r| r.name), Some("rs".to_owned()));
        assert_eq!(controller_of(&json!({})), None);
    }
}
