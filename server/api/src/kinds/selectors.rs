//! Label selectors inside objects.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::{entries, has, items, text, texts};
use crate::meta::name;
use crate::meta::selector::Labels;

/// The problems of a `LabelSelector`.
pub(crate) fn validate(selector: &Value, path: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    let labels = path.child("matchLabels");
    for (key, value) in entries(selector, "matchLabels") {
        let value = value.as_str().unwrap_or_default();
        errors.extend(label(&labels, key));
        let problems = name::label_value(value).into_iter();
        errors.extend(problems.map(|p| Error::invalid(&labels, value, p)));
    }
    for (at, requirement) in items(selector, "matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(at);
        errors.extend(requirement_problems(requirement, &path, Operators::Known));
    }
    errors
}

/// Which operators a requirement may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operators {
    /// Those that this server knows.
    Known,
    /// Any: a client may know more of them.
    Any,
}

/// A selector as messages show it: labels first, then expressions.
pub(crate) fn shown(selector: &Value) -> String {
    let mut parts = Vec::new();
    if has(selector, "matchLabels") {
        parts.push(format!("\"matchLabels\":{}", selector["matchLabels"]));
    }
    if has(selector, "matchExpressions") {
        parts.push(format!(
            "\"matchExpressions\":{}",
            selector["matchExpressions"]
        ));
    }
    format!("{{{}}}", parts.join(","))
}

/// A selector as descriptions show it: its requirements, or `<none>` where it selects nothing.
pub(crate) fn formatted(selector: &Value) -> String {
    let text = Labels::from_selector(selector).map(|labels| labels.to_string());
    match text {
        Err(_) => "<error>".to_owned(),
        Ok(text) if text.is_empty() => "<none>".to_owned(),
        Ok(text) => text,
    }
}

/// The problems of one requirement on labels.
pub(crate) fn requirement_problems(
    requirement: &Value,
    path: &Path,
    operators: Operators,
) -> Vec<Error> {
    let mut errors = operator_problems(requirement, path, operators);
    let at = path.child("values");
    errors.extend(label(&path.child("key"), text(requirement, "key")));
    for (index, value) in texts(requirement, "values").into_iter().enumerate() {
        let problems = name::label_value(value).into_iter();
        errors.extend(problems.map(|p| Error::invalid(&at.index(index), value, p)));
    }
    errors
}

/// What is wrong with the operator of a requirement, or with the number of its values.
pub(crate) fn operator_problems(
    requirement: &Value,
    path: &Path,
    operators: Operators,
) -> Vec<Error> {
    let mut errors = Vec::new();
    let values = texts(requirement, "values");
    let at = path.child("values");
    match text(requirement, "operator") {
        "In" | "NotIn" => {
            if values.is_empty() {
                let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(Error::required(&at, detail));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(Error::forbidden(&at, detail));
            }
        }
        _ if operators == Operators::Any => {}
        other => {
            let detail = "not a valid selector operator";
            errors.push(Error::invalid(&path.child("operator"), other, detail));
        }
    }
    errors
}

/// The problems of a label's key.
pub(crate) fn label(path: &Path, key: &str) -> Vec<Error> {
    let problems = name::qualified_name(key).into_iter();
    problems.map(|p| Error::invalid(path, key, p)).collect()
}
