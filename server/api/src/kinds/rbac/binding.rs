//! What both kinds of bindings share: subjects, the reference to the role, and the table.

use jiff::Timestamp;
use serde_json::Value;

use super::GROUP;
use crate::field::{Error, Path};
use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown, wide};
use crate::kinds::description::Description;
use crate::kinds::names;
use crate::kinds::read::{items, items_mut, part_or_new, text};

/// The groups that subjects and the role belong to, where they are left out.
pub(super) fn default(binding: &mut Value) {
    let role = part_or_new(binding, "roleRef");
    if text(role, "apiGroup").is_empty() {
        role["apiGroup"] = GROUP.into();
    }
    for subject in items_mut(binding, "subjects") {
        let person = matches!(text(subject, "kind"), "User" | "Group");
        if person && text(subject, "apiGroup").is_empty() {
            subject["apiGroup"] = GROUP.into();
        }
    }
}

/// The problems of a binding that may refer to `roles`.
pub(super) fn validate(binding: &Value, roles: &[&str], namespaced: bool) -> Vec<Error> {
    let path = Path::new("roleRef");
    let role = &binding["roleRef"];
    let mut errors = Vec::new();
    let group = text(role, "apiGroup");
    if group != GROUP {
        errors.push(Error::not_supported(
            &path.child("apiGroup"),
            group,
            &[GROUP],
        ));
    }
    let kind = text(role, "kind");
    if !roles.contains(&kind) {
        errors.push(Error::not_supported(&path.child("kind"), kind, roles));
    }
    let name = text(role, "name");
    if name.is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    } else if let Some(problem) = names::path_segment(name) {
        errors.push(Error::invalid(&path.child("name"), name, problem));
    }
    for (at, subject) in items(binding, "subjects").iter().enumerate() {
        let path = Path::new("subjects").index(at);
        errors.extend(validate_subject(subject, namespaced, &path));
    }
    // Kubernetes looks for what is missing after everything else.
    for (at, subject) in items(binding, "subjects").iter().enumerate() {
        if text(subject, "name").is_empty() {
            let path = Path::new("subjects").index(at).child("name");
            errors.push(Error::required(&path, ""));
        }
    }
    errors
}

fn validate_subject(subject: &Value, namespaced: bool, path: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    let name = text(subject, "name");
    let group = text(subject, "apiGroup");
    let kind = text(subject, "kind");
    let wanted = match kind {
        "ServiceAccount" => "",
        "User" | "Group" => GROUP,
        _ => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(Error::not_supported(&path.child("kind"), kind, &kinds));
            return errors;
        }
    };
    if kind == "ServiceAccount" && !name.is_empty() {
        let problem = names::subdomain(name);
        errors.extend(problem.map(|p| Error::invalid(&path.child("name"), name, p)));
    }
    if group != wanted {
        errors.push(Error::not_supported(
            &path.child("apiGroup"),
            group,
            &[wanted],
        ));
    }
    if kind == "ServiceAccount" && !namespaced && text(subject, "namespace").is_empty() {
        errors.push(Error::required(&path.child("namespace"), ""));
    }
    errors
}

/// A binding keeps its role: whoever may change subjects may not hand out another role.
pub(super) fn validate_update(new: &Value, stored: &Value) -> Vec<Error> {
    if new["roleRef"] == stored["roleRef"] {
        return Vec::new();
    }
    let role = &new["roleRef"];
    // The message shows the object as the server's own Go type, whose fields are capitalised.
    let value = serde_json::json!({
        "APIGroup": text(role, "apiGroup"),
        "Kind": text(role, "kind"),
        "Name": text(role, "name"),
    });
    let path = Path::new("roleRef");
    vec![Error::invalid(&path, value, "field is immutable")]
}

/// The columns; the descriptions name the kind.
pub(super) const fn columns(
    role: &'static str,
    users: &'static str,
    groups: &'static str,
    accounts: &'static str,
) -> [Column; 6] {
    [
        NAME,
        shown("Role", role),
        AGE,
        wide("Users", users),
        wide("Groups", groups),
        wide("ServiceAccounts", accounts),
    ]
}

/// The cells of a binding.
pub(super) fn cells(binding: &Value, now: Timestamp) -> Vec<Value> {
    let role = &binding["roleRef"];
    let subjects = |kind: &str| {
        let subjects = items(binding, "subjects").iter();
        let names: Vec<String> = subjects
            .filter(|s| text(s, "kind") == kind)
            .map(subject_name)
            .collect();
        names.join(", ")
    };
    vec![
        cell::name(binding),
        format!("{}/{}", text(role, "kind"), text(role, "name")).into(),
        cell::age(binding, now),
        subjects("User").into(),
        subjects("Group").into(),
        subjects("ServiceAccount").into(),
    ]
}

fn subject_name(subject: &Value) -> String {
    let name = text(subject, "name");
    match text(subject, "namespace") {
        namespace if text(subject, "kind") == "ServiceAccount" && !namespace.is_empty() => {
            format!("{namespace}/{name}")
        }
        _ => name.to_owned(),
    }
}

/// The description of a binding.
pub(super) fn describe(binding: &Value) -> String {
    let metadata = &binding["metadata"];
    let mut out = Description::default();
    out.field(0, "Name", text(metadata, "name"));
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
    out.line(0, "Role:");
    out.field(1, "Kind", text(&binding["roleRef"], "kind"));
    out.field(1, "Name", text(&binding["roleRef"], "name"));
    out.line(0, "Subjects:");
    out.line(1, "Kind\tName\tNamespace");
    out.line(1, "----\t----\t---------");
    for subject in items(binding, "subjects") {
        let cells = ["kind", "name", "namespace"].map(|field| text(subject, field));
        out.line(1, &cells.join("\t"));
    }
    out.finish()
}
