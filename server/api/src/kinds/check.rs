//! Checks that many fields share. Each adds its problems to a list.

use serde_json::Value;

use crate::field::{Error, Path, Reason};
use crate::kinds::read::{has, int, text};
use crate::meta::name;

/// One error for each of `problems` of a text.
pub(crate) fn problems(errors: &mut Vec<Error>, path: &Path, value: &str, problems: Vec<String>) {
    let problems = problems.into_iter();
    errors.extend(problems.map(|p| Error::invalid(path, value, p)));
}

/// A problem whose message shows an object, written as the server's own types order its fields.
pub(crate) fn with_shown(reason: Reason, path: &Path, shown: &str, detail: &str) -> Error {
    Error {
        reason,
        field: path.clone(),
        value: None,
        detail: format!("{shown}: {detail}"),
    }
}

/// A value out of a fixed set. Where `required`, an empty one is missing rather than unsupported.
pub(crate) fn one_of(
    errors: &mut Vec<Error>,
    path: &Path,
    value: &str,
    allowed: &[&str],
    required: bool,
) {
    if value.is_empty() && required {
        errors.push(Error::required(path, ""));
    } else if !allowed.contains(&value) {
        errors.push(Error::not_supported(path, value, allowed));
    }
}

/// As [`one_of`], for a field that may be absent.
pub(crate) fn optional_one_of(
    errors: &mut Vec<Error>,
    path: &Path,
    object: &Value,
    field: &str,
    allowed: &[&str],
) {
    if has(object, field) {
        let path = path.child(field);
        one_of(errors, &path, text(object, field), allowed, false);
    }
}

/// An integer field of zero or more.
pub(crate) fn not_negative(errors: &mut Vec<Error>, path: &Path, object: &Value, field: &str) {
    if let Some(value) = int(object, field).filter(|v| *v < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(Error::invalid(&path.child(field), value, detail));
    }
}

/// An integer between two bounds, both allowed.
pub(crate) fn in_range(errors: &mut Vec<Error>, path: &Path, value: i64, low: i64, high: i64) {
    if !(low..=high).contains(&value) {
        let detail = format!("must be between {low} and {high}, inclusive");
        errors.push(Error::invalid(path, value, detail));
    }
}

/// A text that must be there.
pub(crate) fn required(errors: &mut Vec<Error>, path: &Path, object: &Value, field: &str) {
    if text(object, field).is_empty() {
        errors.push(Error::required(&path.child(field), ""));
    }
}

/// The key of a label, an annotation or a condition.
pub(crate) fn qualified_name(errors: &mut Vec<Error>, path: &Path, value: &str) {
    problems(errors, path, value, name::qualified_name(value));
}

/// The number or the name of a port.
pub(crate) fn port(errors: &mut Vec<Error>, path: &Path, port: &Value) {
    match port {
        Value::String(text) => problems(errors, path, text, name::port_name(text)),
        other => in_range(errors, path, other.as_i64().unwrap_or(0), 1, 65535),
    }
}

/// A path below some directory: relative, and never leading out of it.
pub(crate) fn descending(errors: &mut Vec<Error>, path: &Path, value: &str) {
    if value.starts_with('/') {
        errors.push(Error::invalid(path, value, "must be a relative path"));
    }
    no_backsteps(errors, path, value);
}

/// A path without `..`.
pub(crate) fn no_backsteps(errors: &mut Vec<Error>, path: &Path, value: &str) {
    if value.split('/').any(|part| part == "..") {
        errors.push(Error::invalid(path, value, "must not contain '..'"));
    }
}

/// A file name in a volume, where names that begin with `..` are the node's own.
pub(crate) fn file_path(errors: &mut Vec<Error>, path: &Path, value: &str) {
    descending(errors, path, value);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.push(Error::invalid(path, value, "must not start with '..'"));
    }
}

/// The permission bits of a file.
pub(crate) fn file_mode(errors: &mut Vec<Error>, path: &Path, object: &Value, field: &str) {
    if let Some(mode) = int(object, field).filter(|m| !(0..=0o777).contains(m)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(Error::invalid(&path.child(field), mode, detail));
    }
}

/// The address of a host.
pub(crate) fn ip(errors: &mut Vec<Error>, path: &Path, value: &str) {
    if value.parse::<std::net::IpAddr>().is_err() {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(Error::invalid(path, value, detail));
    }
}
