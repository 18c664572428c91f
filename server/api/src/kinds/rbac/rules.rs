//! Policy rules and the table that both kinds of roles share.

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Error, Path};
use crate::kind::Column;
use crate::kinds::cell::{CREATED, NAME};
use crate::kinds::read::{items, text};

/// No rules are stored as none at all.
pub(super) fn default(role: &mut Value) {
    if items(role, "rules").is_empty() {
        role["rules"] = Value::Null;
    }
}

/// The problems of the rules of a role.
pub(super) fn validate(role: &Value, namespaced: bool) -> Vec<Error> {
    let rules = || items(role, "rules").iter().enumerate();
    let path = |at| Path::new("rules").index(at);
    let errors = rules().flat_map(|(at, rule)| validate_rule(rule, namespaced, &path(at)));
    // Kubernetes looks for what is missing after everything else.
    let idle = rules().filter(|(_, rule)| items(rule, "verbs").is_empty());
    let missing = idle.map(|(at, _)| Error::required(&path(at).child("verbs"), ""));
    errors.chain(missing).collect()
}

fn validate_rule(rule: &Value, namespaced: bool, path: &Path) -> Vec<Error> {
    let empty = |field: &str| items(rule, field).is_empty();
    let mut errors = Vec::new();
    if !empty("nonResourceURLs") {
        let path = path.child("nonResourceURLs");
        let urls = &rule["nonResourceURLs"];
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(Error::invalid(&path, urls.clone(), detail));
        }
        if !(empty("apiGroups") && empty("resources") && empty("resourceNames")) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(Error::invalid(&path, urls.clone(), detail));
        }
        return errors;
    }
    if empty("apiGroups") {
        let detail = "resource rules must supply at least one api group";
        errors.push(Error::required(&path.child("apiGroups"), detail));
    }
    if empty("resources") {
        let detail = "resource rules must supply at least one resource";
        errors.push(Error::required(&path.child("resources"), detail));
    }
    errors
}

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    Column {
        name: "Created At",
        kind: "date",
        format: "",
        priority: 0,
        description: CREATED,
    },
];

/// The cells of a role: its time of creation is a date, not an age.
pub(super) fn cells(role: &Value, _now: Timestamp) -> Vec<Value> {
    let metadata = &role["metadata"];
    vec![
        text(metadata, "name").into(),
        metadata["creationTimestamp"].clone(),
    ]
}
