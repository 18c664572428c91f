//! The label with the name, the first phase, and the finalizer that empties the namespace.

use serde_json::{Value, json};

use crate::kinds::read::{part_or_new, set_default, text, texts};

/// The label that lets label selectors name a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer that stays until everything in the namespace is gone.
const FINALIZER: &str = "kubernetes";

pub(super) fn object(object: &mut Value) {
    let name = text(&object["metadata"], "name").to_owned();
    if !name.is_empty() {
        part_or_new(&mut object["metadata"], "labels")[NAME_LABEL] = name.into();
    }
    set_default(part_or_new(object, "status"), "phase", "Active");
}

pub(super) fn create(object: &mut Value) {
    object["status"] = json!({"phase": "Active"});
    let mut finalizers = texts(&object["spec"], "finalizers");
    if !finalizers.contains(&FINALIZER) {
        finalizers.push(FINALIZER);
    }
    let finalizers = json!(finalizers);
    part_or_new(object, "spec")["finalizers"] = finalizers;
}
