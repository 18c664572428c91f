//! What the three access reviews have in common: the action that they ask about, and the answer.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::selector;
use crate::auth::UserInfo;
use crate::field::{Error, Path};
use crate::kinds::read::{entries, has, text, texts};
use crate::review::{Access, Authority};

/// The problems of the action: it is on a resource or on a path, not on both.
pub(super) fn action(object: &Value) -> Vec<Error> {
    let spec = &object["spec"];
    let mut errors = Vec::new();
    if has(spec, "resourceAttributes") == has(spec, "nonResourceAttributes") {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let shown = shown_path(&spec["nonResourceAttributes"]);
        errors.push(Error::invalid(&Path::new("spec"), shown, detail));
    }
    errors
}

/// The problems of the user who would act.
pub(super) fn subject(object: &Value) -> Vec<Error> {
    let spec = &object["spec"];
    if !text(spec, "user").is_empty() || !texts(spec, "groups").is_empty() {
        return Vec::new();
    }
    let detail = "at least one of user or group must be specified";
    vec![Error::invalid(&Path::new("spec.user"), "", detail)]
}

/// The problems of the selectors.
pub(super) fn selectors(object: &Value) -> Vec<Error> {
    selector::validate(
        &object["spec"]["resourceAttributes"],
        &Path::new("spec.resourceAttributes"),
    )
}

/// The problem of metadata that says more than the fields of `allowed`. Who has set what does not
/// count: the server has added that.
pub(super) fn metadata(object: &Value, allowed: &[&str], detail: &str) -> Vec<Error> {
    let extra = entries(object, "metadata").any(|(field, value)| {
        field != "managedFields" && !allowed.contains(&field) && !is_empty(value)
    });
    match extra {
        true => vec![Error::invalid(
            &Path::new("metadata"),
            object["metadata"].clone(),
            detail,
        )],
        false => Vec::new(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(_) => false,
    }
}

/// A path and its verb as messages show them: by the names of Go's fields.
pub(super) fn shown_path(attributes: &Value) -> Value {
    match attributes {
        Value::Null => Value::Null,
        given => json!({ "Path": text(given, "path"), "Verb": text(given, "verb") }),
    }
}

/// The user that a review names.
pub(super) fn user(object: &Value) -> UserInfo {
    let spec = &object["spec"];
    let mut seen = HashSet::new();
    let groups = texts(spec, "groups").into_iter();
    let groups = groups
        .filter(|group| seen.insert(*group))
        .map(str::to_owned);
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, values) in entries(spec, "extra") {
        let values = values.as_array().into_iter().flatten();
        let values = values.filter_map(|value| value.as_str().map(str::to_owned));
        extra.entry(key.to_lowercase()).or_default().extend(values);
    }
    UserInfo {
        name: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: groups.collect(),
        extra,
    }
}

/// Whether `user` may do what the review asks about, as the review's status.
pub(super) fn status(object: &Value, user: &UserInfo, authority: &dyn Authority) -> Value {
    let resource = &object["spec"]["resourceAttributes"];
    let path = &object["spec"]["nonResourceAttributes"];
    let selected = selector::read(resource);
    let access = match has(&object["spec"], "resourceAttributes") {
        true => Access {
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            subresource: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
            field_selector: &selected.fields,
            path: "",
        },
        false => Access {
            verb: text(path, "verb"),
            path: text(path, "path"),
            ..Access::default()
        },
    };
    let verdict = authority.access(user, &access);
    let mut status = Map::new();
    status.insert("allowed".into(), verdict.allowed.into());
    if !verdict.reason.is_empty() {
        status.insert("reason".into(), verdict.reason.into());
    }
    if !selected.problems.is_empty() {
        let problems = selected.problems.join("; ");
        status.insert("evaluationError".into(), problems.into());
    }
    status.into()
}
