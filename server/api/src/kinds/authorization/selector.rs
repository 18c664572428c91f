//! The selectors of an access review: of a list or watch that may be allowed only for some objects.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::{has, items, text, texts};
use crate::kinds::selectors::{Operators, operator_problems, requirement_problems};
use crate::meta::selector::{Fields, Labels};

/// How many problems of a selector are told.
const PROBLEMS: usize = 100;

/// The problems of the selectors. Operators that this server does not know are none: a newer client may
/// ask about them, and is answered as if they were not there.
pub(super) fn validate(attributes: &Value, path: &Path) -> Vec<Error> {
    let mut errors = one(attributes, path, "fieldSelector", |requirement, path| {
        let mut errors = operator_problems(requirement, path, Operators::Any);
        if text(requirement, "key").is_empty() {
            errors.push(Error::required(&path.child("key"), "must be specified"));
        }
        errors
    });
    errors.extend(one(
        attributes,
        path,
        "labelSelector",
        |requirement, path| requirement_problems(requirement, path, Operators::Any),
    ));
    errors
}

fn one(
    attributes: &Value,
    path: &Path,
    field: &str,
    check: impl Fn(&Value, &Path) -> Vec<Error>,
) -> Vec<Error> {
    if !has(attributes, field) {
        return Vec::new();
    }
    let selector = &attributes[field];
    let path = path.child(field);
    let raw = text(selector, "rawSelector");
    let requirements = items(selector, "requirements");
    let mut errors = Vec::new();
    if !raw.is_empty() && !requirements.is_empty() {
        let detail = "may not specified at the same time as requirements";
        errors.push(Error::invalid(&path.child("rawSelector"), raw, detail));
    }
    if raw.is_empty() && requirements.is_empty() {
        let detail = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(Error::required(&path.child("requirements"), detail));
    }
    for (at, requirement) in requirements.iter().enumerate() {
        // Everybody may ask: it must not be dear.
        if errors.len() >= PROBLEMS {
            break;
        }
        errors.extend(check(requirement, &path.child("requirements").index(at)));
    }
    errors
}

/// The selectors as far as they can be read.
pub(super) struct Selected {
    /// The field selector in its text form. Nobody decides by labels.
    pub(super) fields: String,
    /// What could not be read, in Kubernetes' words.
    pub(super) problems: Vec<String>,
}

/// Reads the selectors. A requirement that can't be read is left out: what remains asks for more, so
/// that nothing is allowed by mistake.
pub(super) fn read(attributes: &Value) -> Selected {
    let mut problems = Vec::new();
    let mut note = |field: &str, read: usize| {
        let how = if read > 0 {
            "partially ignored"
        } else {
            "ignored"
        };
        problems.push(format!(
            "spec.resourceAttributes.{field} {how} due to parse error"
        ));
    };
    let selector = &attributes["fieldSelector"];
    let raw = text(selector, "rawSelector");
    let requirements = items(selector, "requirements");
    let known: Vec<String> = requirements.iter().filter_map(field_requirement).collect();
    let fields = match requirements {
        [] if Fields::parse(raw).is_ok() => raw.to_owned(),
        [] => {
            note("fieldSelector", 0);
            String::new()
        }
        _ => {
            if known.len() < requirements.len() {
                note("fieldSelector", known.len());
            }
            known.join(",")
        }
    };
    let selector = &attributes["labelSelector"];
    let requirements = items(selector, "requirements");
    let known = requirements.iter().filter(|requirement| {
        let operator = text(requirement, "operator");
        matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist")
    });
    let known = known.count();
    if known < requirements.len() || Labels::parse(text(selector, "rawSelector")).is_err() {
        note("labelSelector", known);
    }
    Selected { fields, problems }
}

/// A requirement as a field selector has it: one value, equal or not.
fn field_requirement(requirement: &Value) -> Option<String> {
    let key = text(requirement, "key");
    // A text form of such a key would be that of other requirements.
    if key.contains([',', '=', '!', '\\']) {
        return None;
    }
    let [value] = texts(requirement, "values")[..] else {
        return None;
    };
    let operator = match text(requirement, "operator") {
        "In" => "=",
        "NotIn" => "!=",
        _ => return None,
    };
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    Some(format!("{key}{operator}{escaped}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_of_a_selector_is_left_out_and_told() {
        let read = |attributes: Value| {
            let selected = super::read(&attributes);
            (selected.fields, selected.problems.join("; "))
        };
        let told = |text: &str| text.to_owned();
        assert_eq!(read(json!({})), (told(""), told("")));
        let raw = json!({"fieldSelector": {"rawSelector": "spec.nodeName=a"}});
        assert_eq!(read(raw), (told("spec.nodeName=a"), told("")));
        let bad = json!({"labelSelector": {"rawSelector": "x in (y"}});
        assert_eq!(
            read(bad).1,
            "spec.resourceAttributes.labelSelector ignored due to parse error"
        );
        let some = json!({"fieldSelector": {"requirements": [
            {"key": "a", "operator": "In", "values": ["b,c"]},
            {"key": "d", "operator": "NotIn", "values": ["e"]},
            {"key": "f", "operator": "Exists"},
            {"key": "a=b,spec.nodeName", "operator": "In", "values": ["n1"]},
        ]}});
        assert_eq!(
            read(some),
            (
                told("a=b\\,c,d!=e"),
                told("spec.resourceAttributes.fieldSelector partially ignored due to parse error")
            )
        );
    }
}
