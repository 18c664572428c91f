//! The rules for `metadata`: what any object may carry, and what an update may change.

use serde_json::Value;

use super::{list, name};
use crate::field::{Error, Path};
use crate::kind::{Kind, Resource, Scope};

/// The limit for all keys and values of the annotations together, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;
/// The limit for a field manager's name, in bytes.
const MANAGER_MAX: usize = 128;
const IMMUTABLE: &str = "field is immutable";
const NEGATIVE: &str = "must be greater than or equal to 0";
/// Finalizers that need no domain.
const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

/// All problems of an object's `metadata`.
pub fn object_meta(resource: &Resource, kind: &dyn Kind, object: &Value) -> Vec<Error> {
    let path = Path::new("metadata");
    let mut errors = Vec::new();
    let generate = object["metadata"]["generateName"]
        .as_str()
        .unwrap_or_default();
    if !generate.is_empty()
        && let Some(problem) = kind.name_problem(&masked(generate))
    {
        errors.push(Error::invalid(
            &path.child("generateName"),
            generate,
            problem,
        ));
    }
    let own = super::name(object);
    if own.is_empty() {
        errors.push(Error::required(
            &path.child("name"),
            "name or generateName is required",
        ));
    } else if let Some(problem) = kind.name_problem(own) {
        errors.push(Error::invalid(&path.child("name"), own, problem));
    }
    let namespace = super::namespace(object);
    let at = path.child("namespace");
    match resource.scope {
        Scope::Namespaced if namespace.is_empty() => errors.push(Error::required(&at, "")),
        Scope::Namespaced => invalid(&mut errors, &at, namespace, name::dns1123_label(namespace)),
        Scope::Cluster if !namespace.is_empty() => {
            errors.push(Error::forbidden(&at, "not allowed on this type"));
        }
        Scope::Cluster => {}
    }
    let meta = &object["metadata"];
    generation_is_not_negative(meta, &path, &mut errors);
    labels(&meta["labels"], &path.child("labels"), &mut errors);
    annotations(
        &meta["annotations"],
        &path.child("annotations"),
        &mut errors,
    );
    owner_references(
        &meta["ownerReferences"],
        &path.child("ownerReferences"),
        &mut errors,
    );
    finalizers(&meta["finalizers"], &path.child("finalizers"), &mut errors);
    managed_fields(
        &meta["managedFields"],
        &path.child("managedFields"),
        &mut errors,
    );
    errors
}

/// All changes of `metadata` that an update may not make.
pub fn object_meta_update(new: &Value, stored: &Value) -> Vec<Error> {
    let path = Path::new("metadata");
    let mut errors = Vec::new();
    let (meta, old) = (&new["metadata"], &stored["metadata"]);
    if super::deletion_timestamp(stored).is_some() {
        no_new_finalizers(new, stored, &path.child("finalizers"), &mut errors);
    }
    if super::resource_version(new).is_empty() {
        errors.push(Error::invalid(
            &path.child("resourceVersion"),
            "",
            "must be specified for an update",
        ));
    }
    if super::generation(new) < super::generation(stored) {
        errors.push(Error::invalid(
            &path.child("generation"),
            super::generation(new),
            "must not be decremented",
        ));
    }
    for field in ["name", "namespace", "uid"] {
        let now = meta[field].as_str().unwrap_or_default();
        if now != old[field].as_str().unwrap_or_default() {
            errors.push(Error::invalid(&path.child(field), now, IMMUTABLE));
        }
    }
    for field in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if meta[field] != old[field] {
            errors.push(Error::invalid(
                &path.child(field),
                meta[field].clone(),
                IMMUTABLE,
            ));
        }
    }
    errors
}

/// The rule for a map of labels, also in pod templates and selectors.
pub fn labels(labels: &Value, path: &Path, errors: &mut Vec<Error>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        invalid(errors, path, key, name::qualified_name(key));
        let value = value.as_str().unwrap_or_default();
        invalid(errors, path, value, name::label_value(value));
    }
}

/// The rule for a map of annotations, also in pod templates.
pub fn annotations(annotations: &Value, path: &Path, errors: &mut Vec<Error>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().unwrap_or_default().len();
        invalid(errors, path, key, name::qualified_name(&key.to_lowercase()));
    }
    if size > ANNOTATIONS_MAX {
        errors.push(Error::too_long(path, ANNOTATIONS_MAX));
    }
}

/// The rule for the name of a field manager: printable, at most 128 bytes.
pub fn field_manager(manager: &str, path: &Path) -> Vec<Error> {
    let mut errors = Vec::new();
    if manager.len() > MANAGER_MAX {
        errors.push(Error::too_long(path, MANAGER_MAX));
    }
    for (i, c) in manager.char_indices() {
        if c.is_control() || (c.is_whitespace() && c != ' ') {
            let code = u32::from(c);
            let problem = format!("invalid character U+{code:04X} (at position {i})");
            errors.push(Error::invalid(path, manager, problem));
        }
    }
    errors
}

fn invalid(errors: &mut Vec<Error>, path: &Path, value: &str, problems: Vec<String>) {
    let problems = problems.into_iter();
    errors.extend(problems.map(|problem| Error::invalid(path, value, problem)));
}

/// A `generateName` may end in a dash, because characters follow. As in Kubernetes, the last two
/// characters make room for a letter.
fn masked(base: &str) -> String {
    match base.strip_suffix('-') {
        Some(front) if !front.is_empty() => {
            let mut front = front.to_owned();
            front.pop();
            front + "a"
        }
        _ => base.to_owned(),
    }
}

fn generation_is_not_negative(meta: &Value, path: &Path, errors: &mut Vec<Error>) {
    let generation = meta["generation"].as_i64().unwrap_or_default();
    if generation < 0 {
        errors.push(Error::invalid(
            &path.child("generation"),
            generation,
            NEGATIVE,
        ));
    }
}

fn owner_references(references: &Value, path: &Path, errors: &mut Vec<Error>) {
    let mut controller: Option<String> = None;
    for (i, reference) in list(references).iter().enumerate() {
        let at = path.index(i);
        let part = |field: &str| reference[field].as_str().unwrap_or_default();
        let version = part("apiVersion");
        if version.is_empty() {
            errors.push(Error::required(
                &at.child("apiVersion"),
                "must not be empty",
            ));
        } else if version.matches('/').count() > 1 || version.ends_with('/') {
            errors.push(Error::invalid(
                &at.child("apiVersion"),
                version,
                "must be <group>/<version> or <version>",
            ));
        }
        for field in ["kind", "name", "uid"] {
            if part(field).is_empty() {
                errors.push(Error::required(&at.child(field), "must not be empty"));
            }
        }
        if version == "v1" && part("kind") == "Event" {
            errors.push(Error::invalid(
                &at,
                reference.clone(),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if reference["controller"] == true {
            let this = format!("{}/{}", part("kind"), part("name"));
            match &controller {
                None => controller = Some(this),
                Some(first) => errors.push(two_controllers(path, references, first, &this)),
            }
        }
    }
}

fn two_controllers(path: &Path, references: &Value, first: &str, second: &str) -> Error {
    Error::invalid(
        path,
        references.clone(),
        format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for \
             {first} and {second}"
        ),
    )
}

fn finalizers(finalizers: &Value, path: &Path, errors: &mut Vec<Error>) {
    let names: Vec<&str> = list(finalizers).iter().filter_map(Value::as_str).collect();
    for name in &names {
        invalid(errors, path, name, name::qualified_name(name));
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        errors.push(Error::invalid(
            path,
            finalizers.clone(),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
    for (i, name) in names.iter().enumerate() {
        if !name.contains('/') && !STANDARD_FINALIZERS.contains(name) {
            errors.push(Error::invalid(
                &path.index(i),
                *name,
                "name is neither a standard finalizer name nor is it fully qualified",
            ));
        }
    }
}

fn no_new_finalizers(new: &Value, stored: &Value, path: &Path, errors: &mut Vec<Error>) {
    let old = super::finalizers(stored);
    let mut extra: Vec<&str> = super::finalizers(new);
    extra.retain(|f| !old.contains(f));
    extra.sort_unstable();
    extra.dedup();
    if !extra.is_empty() {
        let quoted: Vec<String> = extra.iter().map(|f| crate::field::go_quoted(f)).collect();
        errors.push(Error::forbidden(
            path,
            format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                quoted.join(", ")
            ),
        ));
    }
}

fn managed_fields(entries: &Value, path: &Path, errors: &mut Vec<Error>) {
    for (i, entry) in list(entries).iter().enumerate() {
        let path = path.index(i);
        let part = |field: &str| entry[field].as_str().unwrap_or_default();
        match part("operation") {
            "" => errors.push(Error::required(
                &path.child("operation"),
                "must not be empty",
            )),
            "Apply" | "Update" => {}
            other => errors.push(Error::not_supported(
                &path.child("operation"),
                other,
                &["Apply", "Update"],
            )),
        }
        if !matches!(part("fieldsType"), "" | "FieldsV1") {
            errors.push(Error::invalid(
                &path.child("fieldsType"),
                part("fieldsType"),
                "must be `FieldsV1`",
            ));
        }
        errors.extend(field_manager(part("manager"), &path.child("manager")));
        if part("subresource").len() > 256 {
            errors.push(Error::too_long(&path.child("subresource"), 256));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::field;
    use crate::kind::{Column, STORED};

    struct ConfigMap;

    static RESOURCE: Resource = Resource {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        categories: &[],
        scope: Scope::Namespaced,
        verbs: STORED,
        subresources: &[],
        storage_version_hash: "",
        schema: "io.k8s.api.core.v1.ConfigMap",
    };

    impl Kind for ConfigMap {
        fn resource(&self) -> &'static Resource {
            &RESOURCE
        }
        fn validate(&self, _object: &Value) -> Vec<field::Error> {
            Vec::new()
        }
        fn name_problem(&self, name: &str) -> Option<String> {
            name::dns1123_subdomain(name).into_iter().next()
        }
        fn columns(&self) -> &'static [Column] {
            &[]
        }
        fn cells(&self, _object: &Value, _now: Timestamp) -> Vec<Value> {
            Vec::new()
        }
    }

    fn problems(metadata: Value) -> Vec<String> {
        let object = json!({ "metadata": metadata });
        let errors = object_meta(&RESOURCE, &ConfigMap, &object);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn good_metadata_has_no_problem() {
        let metadata = json!({"name": "web", "namespace": "shop", "generateName": "web-",
            "labels": {"app.kubernetes.io/name": "web", "empty": ""},
            "annotations": {"Kubectl.kubernetes.io/x": "any thing"},
            "finalizers": ["orphan", "example.com/keep"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x",
                "uid": "u", "controller": true}],
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1"}]});
        assert_eq!(problems(metadata), Vec::<String>::new());
    }

    #[test]
    fn names_and_namespaces_are_required_and_checked() {
        assert_eq!(
            problems(json!({})),
            [
                "metadata.name: Required value: name or generateName is required",
                "metadata.namespace: Required value"
            ]
        );
        let bad = problems(json!({"name": "Web", "namespace": "a.b", "generateName": "-"}));
        assert!(bad[0].starts_with(
            "metadata.generateName: Invalid value: \"-\": a lowercase RFC 1123 subdomain"
        ));
        assert!(
            bad[1].starts_with(
                "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain"
            )
        );
        assert_eq!(
            bad[2],
            "metadata.namespace: Invalid value: \"a.b\": must not contain dots"
        );
    }

    #[test]
    fn labels_owners_and_finalizers_report_every_problem() {
        let bad = problems(
            json!({"name": "x", "namespace": "x", "labels": {"a b": "c d"},
            "finalizers": ["a-b", "orphan", "foregroundDeletion"],
            "ownerReferences": [
                {"apiVersion": "a/b/c", "kind": "Pod", "name": "x", "uid": "1", "controller": true},
                {"apiVersion": "v1", "kind": "", "name": "y", "uid": "2", "controller": true}]}),
        );
        assert_eq!(bad.len(), 7, "{bad:#?}");
        assert_eq!(
            bad[2],
            "metadata.ownerReferences[0].apiVersion: Invalid value: \"a/b/c\": \
            must be <group>/<version> or <version>"
        );
        assert_eq!(
            bad[3],
            "metadata.ownerReferences[1].kind: Required value: must not be empty"
        );
        assert!(
            bad[4].starts_with("metadata.ownerReferences: Invalid value: [{"),
            "{}",
            bad[4]
        );
        assert!(bad[4].ends_with("Found \"true\" in references for Pod/x and /y"));
        assert_eq!(
            bad[5],
            "metadata.finalizers: Invalid value: [\"a-b\",\"orphan\",\"foregroundDeletion\"]: \
            finalizer orphan and foregroundDeletion cannot be both set"
        );
        assert_eq!(
            bad[6],
            "metadata.finalizers[0]: Invalid value: \"a-b\": name is neither a standard \
            finalizer name nor is it fully qualified"
        );
    }

    #[test]
    fn annotations_have_a_limit_in_all() {
        let text = "x".repeat(ANNOTATIONS_MAX);
        let bad = problems(json!({"name": "x", "namespace": "x", "annotations": {"a": text}}));
        assert_eq!(
            bad,
            ["metadata.annotations: Too long: may not be more than 262144 bytes"]
        );
    }

    #[test]
    fn an_update_changes_no_identity() {
        let stored = json!({"metadata": {"name": "a", "namespace": "n", "uid": "1", "generation": 2,
            "resourceVersion": "7", "creationTimestamp": "2026-01-02T03:04:05Z",
            "deletionTimestamp": "2026-01-02T03:04:05Z"}});
        assert_eq!(object_meta_update(&stored, &stored), []);
        let new = json!({"metadata": {"name": "b", "namespace": "n", "uid": "2", "generation": 1,
            "deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["example.com/z", "example.com/a"]}});
        let errors = object_meta_update(&new, &stored);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, \
             found new finalizers []string{\"example.com/a\", \"example.com/z\"}",
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
                "metadata.generation: Invalid value: 1: must not be decremented",
                "metadata.name: Invalid value: \"b\": field is immutable",
                "metadata.uid: Invalid value: \"2\": field is immutable",
                "metadata.creationTimestamp: Invalid value: null: field is immutable"
            ]
        );
    }
}
