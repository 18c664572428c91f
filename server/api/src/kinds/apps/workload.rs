//! What Deployments and ReplicaSets have in common: replicas, a selector and a template.

use serde_json::Value;

use crate::field::{Error, Path, Reason};
use crate::kind::{self, Resource};
use crate::kinds::check::{not_negative, with_shown};
use crate::kinds::core::pod::spec;
use crate::kinds::read::{entries, int, items, part_mut};
use crate::kinds::selectors;
use crate::meta::selector::Labels;

/// Fills in what the template leaves out.
pub(super) fn default_template(object: &mut Value) {
    if let Some(body) = part_mut(&mut object["spec"], "template").and_then(|t| part_mut(t, "spec"))
    {
        spec::default(body);
    }
}

/// A new workload has the status of one that nobody has seen.
pub(super) fn create(resource: &Resource, object: &mut Value, status: Value) {
    kind::prepare_create(resource, object);
    object["status"] = status;
}

/// The problems of selector and template; `kind` is named in some of them.
pub(super) fn validate(errors: &mut Vec<Error>, object: &Value, kind: &str) {
    let body = &object["spec"];
    let path = Path::new("spec");
    let at = path.child("selector");
    let selector = &body["selector"];
    if selector.is_null() {
        errors.push(Error::required(&at, ""));
    } else {
        errors.extend(selectors::validate(selector, &at));
        let pairs = entries(selector, "matchLabels").count();
        if pairs + items(selector, "matchExpressions").len() == 0 {
            let detail = "empty selector is invalid for deployment";
            errors.push(with_shown(
                Reason::Invalid,
                &at,
                &selectors::shown(selector),
                detail,
            ));
        }
    }
    let template = &body["template"];
    let path = path.child("template");
    match Labels::from_selector(selector) {
        Err(_) => {
            errors.push(with_shown(
                Reason::Invalid,
                &at,
                &selectors::shown(selector),
                "invalid label selector",
            ));
        }
        Ok(labels) => {
            if !labels.is_everything() && !labels.matches_object(template) {
                let path = path.child("metadata").child("labels");
                let labels = template["metadata"]["labels"].clone();
                let detail = "`selector` does not match template `labels`";
                errors.push(Error::invalid(&path, labels, detail));
            }
            errors.extend(spec::validate_template(template, &path, kind));
        }
    }
}

/// The selector decides which pods are whose, and stays.
pub(super) fn validate_update(new: &Value, stored: &Value) -> Vec<Error> {
    let (now, before) = (&new["spec"]["selector"], &stored["spec"]["selector"]);
    if now == before {
        return Vec::new();
    }
    let path = Path::new("spec").child("selector");
    let shown = selectors::shown(now);
    vec![with_shown(
        Reason::Invalid,
        &path,
        &shown,
        "field is immutable",
    )]
}

/// The problems of counts in a status: none below zero, no part above the whole.
pub(super) fn validate_counts(status: &Value, counts: &[&str]) -> Vec<Error> {
    let path = Path::new("status");
    let mut errors = Vec::new();
    for field in counts {
        not_negative(&mut errors, &path, status, field);
    }
    let count = |field: &str| int(status, field).unwrap_or(0);
    let parts = [
        "fullyLabeledReplicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ];
    for field in parts.iter().filter(|f| counts.contains(f)) {
        if count(field) > count("replicas") {
            let detail = "cannot be greater than status.replicas";
            errors.push(Error::invalid(&path.child(field), count(field), detail));
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let path = path.child("availableReplicas");
        let detail = "cannot be greater than readyReplicas";
        errors.push(Error::invalid(&path, count("availableReplicas"), detail));
    }
    errors
}
