//! The problems of what decides on which node a pod runs: affinity, tolerations, spreading.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::check::{one_of, optional_one_of, problems, qualified_name};
use crate::kinds::read::{has, int, items, text, texts};
use crate::kinds::selectors;
use crate::meta::name;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn validate(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let affinity = &spec["affinity"];
    let at = path.child("affinity");
    node_affinity(errors, &affinity["nodeAffinity"], &at.child("nodeAffinity"));
    for field in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(errors, &affinity[field], &at.child(field));
    }
    spread(errors, spec, &path.child("topologySpreadConstraints"));
    let path = path.child("tolerations");
    for (index, toleration) in items(spec, "tolerations").iter().enumerate() {
        self::toleration(errors, toleration, &path.index(index));
    }
}

fn node_affinity(errors: &mut Vec<Error>, affinity: &Value, path: &Path) {
    if has(affinity, REQUIRED) {
        let at = path.child(REQUIRED).child("nodeSelectorTerms");
        let terms = items(&affinity[REQUIRED], "nodeSelectorTerms");
        if terms.is_empty() {
            let detail = "must have at least one node selector term";
            errors.push(Error::required(&at, detail));
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(errors, term, &at.index(index), true);
        }
    }
    for (index, term) in items(affinity, PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(errors, term, &path);
        // A label that can't exist is no mistake in a preference.
        let path = path.child("preference");
        node_term(errors, &term["preference"], &path, false);
    }
}

fn weight(errors: &mut Vec<Error>, term: &Value, path: &Path) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        let path = path.child("weight");
        errors.push(Error::invalid(&path, weight, "must be in the range 1-100"));
    }
}

fn node_term(errors: &mut Vec<Error>, term: &Value, path: &Path, strict: bool) {
    for (index, rule) in items(term, "matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        node_expression(errors, rule, &path, strict);
    }
    for (index, rule) in items(term, "matchFields").iter().enumerate() {
        let path = path.child("matchFields").index(index);
        node_field(errors, rule, &path);
    }
}

fn node_expression(errors: &mut Vec<Error>, rule: &Value, path: &Path, strict: bool) {
    let values = texts(rule, "values");
    let at = path.child("values");
    match text(rule, "operator") {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(Error::required(&at, detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(Error::forbidden(&at, detail));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(Error::required(&at, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            let path = path.child("operator");
            errors.push(Error::invalid(
                &path,
                other,
                "not a valid selector operator",
            ));
        }
    }
    qualified_name(errors, &path.child("key"), text(rule, "key"));
    for (index, value) in values.into_iter().enumerate().filter(|_| strict) {
        problems(errors, &at.index(index), value, name::label_value(value));
    }
}

/// A rule about a field of the node; its name is the only one there is.
fn node_field(errors: &mut Vec<Error>, rule: &Value, path: &Path) {
    let values = texts(rule, "values");
    match text(rule, "operator") {
        "In" | "NotIn" => {
            if values.len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(Error::required(&path.child("values"), detail));
            }
        }
        other => {
            let path = path.child("operator");
            errors.push(Error::invalid(
                &path,
                other,
                "not a valid selector operator",
            ));
        }
    }
    let key = text(rule, "key");
    if key != "metadata.name" {
        let path = path.child("key");
        errors.push(Error::invalid(&path, key, "not a valid field selector key"));
        return;
    }
    for (index, value) in values.into_iter().enumerate() {
        let path = path.child("values").index(index);
        problems(errors, &path, value, name::dns1123_subdomain(value));
    }
}

fn pod_affinity(errors: &mut Vec<Error>, affinity: &Value, path: &Path) {
    for (index, term) in items(affinity, REQUIRED).iter().enumerate() {
        pod_term(errors, term, &path.child(REQUIRED).index(index));
    }
    for (index, term) in items(affinity, PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(errors, term, &path);
        pod_term(
            errors,
            &term["podAffinityTerm"],
            &path.child("podAffinityTerm"),
        );
    }
}

fn pod_term(errors: &mut Vec<Error>, term: &Value, path: &Path) {
    for field in ["labelSelector", "namespaceSelector"] {
        errors.extend(selectors::validate(&term[field], &path.child(field)));
    }
    for namespace in texts(term, "namespaces") {
        let found = name::dns1123_label(namespace);
        problems(errors, &path.child("namespace"), namespace, found);
    }
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        label_keys(errors, term, field, path);
    }
    let key = text(term, "topologyKey");
    let path = path.child("topologyKey");
    if key.is_empty() {
        errors.push(Error::required(&path, "can not be empty"));
    }
    qualified_name(errors, &path, key);
}

fn label_keys(errors: &mut Vec<Error>, term: &Value, field: &str, path: &Path) {
    let keys = texts(term, field);
    let at = path.child(field);
    if !keys.is_empty() && !has(term, "labelSelector") {
        let detail = "must not be specified when labelSelector is not set";
        errors.push(Error::forbidden(&at, detail));
    }
    for (index, key) in keys.into_iter().enumerate() {
        qualified_name(errors, &at.index(index), key);
    }
}

fn spread(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let constraints = items(spec, "topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        positive(errors, constraint, "maxSkew", true, &path);
        let key = text(constraint, "topologyKey");
        if key.is_empty() {
            let path = path.child("topologyKey");
            errors.push(Error::required(&path, "can not be empty"));
        }
        let action = text(constraint, "whenUnsatisfiable");
        let actions = &["DoNotSchedule", "ScheduleAnyway"];
        let at = path.child("whenUnsatisfiable");
        one_of(errors, &at, action, actions, false);
        let again = |other: &Value| {
            text(other, "topologyKey") == key && text(other, "whenUnsatisfiable") == action
        };
        if constraints[index + 1..].iter().any(again) {
            let at = path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(Error::duplicate(&at, format!("{{{key}, {action}}}")));
        }
        positive(errors, constraint, "minDomains", false, &path);
        if let Some(domains) = int(constraint, "minDomains").filter(|_| action != "DoNotSchedule") {
            let detail =
                format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
            errors.push(Error::invalid(&path.child("minDomains"), domains, detail));
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_one_of(errors, &path, constraint, policy, &["Honor", "Ignore"]);
        }
        label_keys(errors, constraint, "matchLabelKeys", &path);
        let at = path.child("labelSelector");
        errors.extend(selectors::validate(&constraint["labelSelector"], &at));
    }
}

fn positive(errors: &mut Vec<Error>, object: &Value, field: &str, required: bool, path: &Path) {
    let value = int(object, field);
    if let Some(value) = value.or(required.then_some(0)).filter(|v| *v <= 0) {
        let path = path.child(field);
        errors.push(Error::invalid(&path, value, "must be greater than zero"));
    }
}

/// The problems of one kind of taint that a pod tolerates.
fn toleration(errors: &mut Vec<Error>, toleration: &Value, path: &Path) {
    let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
    let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
    let at = path.child("operator");
    if !key.is_empty() {
        qualified_name(errors, &path.child("key"), key);
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(Error::invalid(&at, operator, detail));
    }
    if has(toleration, "tolerationSeconds") && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(Error::invalid(&path.child("effect"), effect, detail));
    }
    match operator {
        "Equal" | "" => {
            let found = name::label_value(value);
            if !found.is_empty() {
                errors.push(Error::invalid(&at, value, found.join(";")));
            }
        }
        "Exists" => {
            if !value.is_empty() {
                let detail = "value must be empty when `operator` is 'Exists'";
                errors.push(Error::invalid(&at, value, detail));
            }
        }
        _ => errors.push(Error::not_supported(&at, operator, &["Equal", "Exists"])),
    }
    if !effect.is_empty() {
        self::effect(errors, effect, &path.child("effect"));
    }
}

/// What a taint does to pods that don't tolerate it.
pub(crate) fn effect(errors: &mut Vec<Error>, effect: &str, path: &Path) {
    let allowed = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    one_of(errors, path, effect, allowed, true);
}
