//! The problems of a Pod, and advice about one.

use serde_json::Value;

use super::spec::{self, Owner};
use crate::field::{Error, Path};
use crate::kinds::read::{has, int, items, text};
use crate::meta::name;

pub(super) fn object(object: &Value) -> Vec<Error> {
    let body = &object["spec"];
    let path = Path::new("spec");
    let annotations = Path::new("metadata").child("annotations");
    let mut errors =
        spec::validate_metadata(&object["metadata"]["annotations"], body, &annotations);
    errors.extend(spec::validate(body, &path, Owner::Pod));
    if text(body, "serviceAccountName").is_empty() {
        tokens(&mut errors, body, &path.child("volumes"));
    }
    errors.extend(created(object));
    errors
}

/// What a Pod can get later, but not at first.
fn created(object: &Value) -> Vec<Error> {
    let body = &object["spec"];
    let path = Path::new("spec");
    let mut errors = Vec::new();
    // Whoever adds such a container raises the generation.
    let first = int(&object["metadata"], "generation") == Some(1);
    if first && !items(body, "ephemeralContainers").is_empty() {
        let path = path.child("ephemeralContainers");
        errors.push(Error::forbidden(&path, "cannot be set on create"));
    }
    if !text(body, "nodeName").is_empty() && !items(body, "schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(Error::forbidden(&path.child("nodeName"), detail));
    }
    errors
}

/// A token is always that of an account.
fn tokens(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    for (at, volume) in items(spec, "volumes").iter().enumerate() {
        let path = path.index(at).child("projected").child("sources");
        for (at, source) in items(&volume["projected"], "sources").iter().enumerate() {
            if has(source, "serviceAccountToken") {
                let path = path.index(at).child("serviceAccountToken");
                let detail = "must not be specified when serviceAccountName is not set";
                errors.push(Error::forbidden(&path, detail));
            }
        }
    }
}

pub(super) fn warnings(object: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let problems = name::dns1123_label(text(&object["metadata"], "name"));
    if !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            problems.join(" ")
        ));
    }
    let secrets = items(&object["spec"], "imagePullSecrets").iter();
    for (at, secret) in secrets.enumerate() {
        if text(secret, "name").is_empty() {
            warnings.push(format!(
                "spec.imagePullSecrets[{at}].name: invalid empty name \"\""
            ));
        }
    }
    warnings
}
