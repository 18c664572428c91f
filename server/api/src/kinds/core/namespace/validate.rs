//! The finalizers of a Namespace, and the phase that goes with its deletion.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kind::Part;
use crate::kinds::read::{has, text, texts};
use crate::meta::name;

/// Finalizers without a domain that Kubernetes knows.
const STANDARD: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

pub(super) fn object(object: &Value) -> Vec<Error> {
    let path = Path::new("spec").child("finalizers");
    let finalizers = texts(&object["spec"], "finalizers");
    finalizers
        .iter()
        .flat_map(|f| finalizer(&path, f))
        .collect()
}

fn finalizer(path: &Path, text: &str) -> Vec<Error> {
    let problems = name::qualified_name(text).into_iter();
    let mut errors: Vec<Error> = problems.map(|p| Error::invalid(path, text, p)).collect();
    if !text.contains('/') && !STANDARD.contains(&text) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(Error::invalid(path, text, detail));
    }
    errors
}

pub(super) fn update(part: Part, new: &Value) -> Vec<Error> {
    if part != Part::Status {
        return Vec::new();
    }
    let (wanted, detail) = if has(&new["metadata"], "deletionTimestamp") {
        let detail = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        ("Terminating", detail)
    } else {
        let detail = "may only be 'Active' if `deletionTimestamp` is empty";
        ("Active", detail)
    };
    let phase = text(&new["status"], "phase");
    if phase == wanted {
        return Vec::new();
    }
    let path = Path::new("status").child("Phase");
    vec![Error::invalid(&path, phase, detail)]
}
