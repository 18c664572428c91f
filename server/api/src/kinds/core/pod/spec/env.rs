//! The problems of environment variables and where their values come from.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::check::{problems, qualified_name, required};
use crate::kinds::read::{has, items, text};
use crate::meta::name;

/// What an environment variable can show of its pod.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What a file in a volume can show of its pod.
pub(super) const FILE_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
/// The fields that exist at all, so that the others get another message.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const SOURCES: &[&str] = &[
    "fieldRef",
    "resourceFieldRef",
    "configMapKeyRef",
    "secretKeyRef",
    "fileKeyRef",
];

pub(super) fn variables(errors: &mut Vec<Error>, container: &Value, path: &Path) {
    for (at, variable) in items(container, "env").iter().enumerate() {
        let path = path.index(at);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else {
            problems(errors, &path.child("name"), name, name::env_var_name(name));
        }
        if has(variable, "valueFrom") {
            value_from(errors, variable, &path.child("valueFrom"));
        }
    }
}

fn value_from(errors: &mut Vec<Error>, variable: &Value, path: &Path) {
    let source = &variable["valueFrom"];
    if has(source, "fieldRef") {
        field(errors, &source["fieldRef"], FIELDS, &path.child("fieldRef"));
    }
    if has(source, "resourceFieldRef") {
        let path = path.child("resourceFieldRef");
        resource(errors, &source["resourceFieldRef"], &path, false);
    }
    for reference in ["configMapKeyRef", "secretKeyRef"] {
        if has(source, reference) {
            key(errors, &source[reference], &path.child(reference));
        }
    }
    let count = SOURCES.iter().filter(|s| has(source, s)).count();
    let detail = if count == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if !text(variable, "value").is_empty() {
        "may not be specified when `value` is not empty"
    } else if count > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.push(Error::invalid(path, "", detail));
}

/// A field of the pod, out of those that can be shown in that place.
pub(super) fn field(errors: &mut Vec<Error>, selector: &Value, shown: &[&str], path: &Path) {
    if text(selector, "apiVersion").is_empty() {
        return errors.push(Error::required(&path.child("apiVersion"), ""));
    }
    let wanted = text(selector, "fieldPath");
    let at = path.child("fieldPath");
    if wanted.is_empty() {
        return errors.push(Error::required(&at, ""));
    }
    let unknown = |errors: &mut Vec<Error>| {
        let detail = format!("error converting fieldPath: field label not supported: {wanted}");
        errors.push(Error::invalid(&at, wanted, detail));
    };
    if let Some((base, key)) = subscript(wanted) {
        return match base {
            "metadata.annotations" => qualified_name(errors, path, &key.to_lowercase()),
            "metadata.labels" => qualified_name(errors, path, key),
            _ => unknown(errors),
        };
    }
    if !KNOWN.contains(&wanted) {
        return unknown(errors);
    }
    if !shown.contains(&wanted) {
        errors.push(Error::not_supported(&at, wanted, shown));
    }
}

/// Splits `metadata.labels['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (base, rest) = path.strip_suffix("']")?.split_once("['")?;
    Some((base, rest))
}

/// A resource of a container; a file must say of which.
pub(super) fn resource(errors: &mut Vec<Error>, selector: &Value, path: &Path, file: bool) {
    let wanted = text(selector, "resource");
    let huge = ["limits.hugepages-", "requests.hugepages-"];
    if file && text(selector, "containerName").is_empty() {
        errors.push(Error::required(&path.child("containerName"), ""));
    } else if wanted.is_empty() {
        errors.push(Error::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&wanted) && !huge.iter().any(|h| wanted.starts_with(h)) {
        let path = path.child("resource");
        errors.push(Error::not_supported(&path, wanted, RESOURCES));
    }
    divisor(errors, wanted, text(selector, "divisor"), path);
}

fn divisor(errors: &mut Vec<Error>, resource: &str, divisor: &str, path: &Path) {
    const SIZES: &[&str] = &[
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    if divisor.is_empty() || divisor == "0" {
        return;
    }
    let (allowed, name): (&[&str], _) = match resource.split_once('.').map(|(_, name)| name) {
        Some("cpu") => (&["1m", "1"], "cpu"),
        Some("memory") => (SIZES, "memory"),
        Some("ephemeral-storage") => (SIZES, "local ephemeral storage"),
        Some(name) if name.starts_with("hugepages-") => (SIZES, "hugepages"),
        _ => return,
    };
    if allowed.contains(&divisor) {
        return;
    }
    let detail = if name == "cpu" {
        "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
    } else {
        let sizes = SIZES.join(", ");
        format!("only divisor's values {sizes} are supported with the {name} resource")
    };
    errors.push(Error::invalid(&path.child("divisor"), resource, detail));
}

/// A key of a ConfigMap or Secret.
fn key(errors: &mut Vec<Error>, selector: &Value, path: &Path) {
    let object = text(selector, "name");
    let found = name::dns1123_subdomain(object);
    problems(errors, &path.child("name"), object, found);
    let key = text(selector, "key");
    if key.is_empty() {
        errors.push(Error::required(&path.child("key"), ""));
    } else {
        problems(errors, &path.child("key"), key, name::config_map_key(key));
    }
}

/// Whole ConfigMaps and Secrets as environment.
pub(super) fn sources(errors: &mut Vec<Error>, container: &Value, path: &Path) {
    for (at, source) in items(container, "envFrom").iter().enumerate() {
        let each = path.index(at);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            let found = name::env_var_name(prefix);
            problems(errors, &each.child("prefix"), prefix, found);
        }
        let mut count = 0;
        for reference in ["configMapRef", "secretRef"] {
            if has(source, reference) {
                count += 1;
                let path = each.child(reference);
                required(errors, &path, &source[reference], "name");
            }
        }
        // The path is that of the list, not of the element.
        match count {
            0 => {
                let detail = "must specify one of: `configMapRef` or `secretRef`";
                errors.push(Error::invalid(path, "", detail));
            }
            1 => {}
            _ => {
                let detail = "may not have more than one field specified at a time";
                errors.push(Error::invalid(path, "", detail));
            }
        }
    }
}
