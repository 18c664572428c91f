//! What an Event must say. Those with an `eventTime` are of the newer form and must say more.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::{has, text};
use crate::meta::name;

pub(super) fn object(object: &Value) -> Vec<Error> {
    let own = text(&object["metadata"], "namespace");
    let about = text(&object["involvedObject"], "namespace");
    let newer = has(object, "eventTime");
    let agrees = match (newer, about) {
        // Events about cluster-scoped objects live in `default`.
        (false, "") => own.is_empty() || own == "default",
        (false, about) => own == about,
        (true, "") => own == "default" || own == "kube-system",
        (true, _) => true,
    };
    let mut errors = Vec::new();
    if !agrees {
        let path = Path::new("involvedObject").child("namespace");
        errors.push(Error::invalid(
            &path,
            about,
            "does not match event.namespace",
        ));
    }
    if newer {
        errors.extend(newer_form(object));
    }
    errors
}

fn newer_form(object: &Value) -> Vec<Error> {
    let mut errors = Vec::new();
    let component = Path::new("reportingComponent");
    let reporter = text(object, "reportingComponent");
    if reporter.is_empty() {
        errors.push(Error::required(&component, ""));
    }
    let problems = name::qualified_name(reporter).into_iter();
    errors.extend(problems.map(|p| Error::invalid(&component, reporter, p)));
    for (field, needed, limit) in [
        ("reportingInstance", true, 128),
        ("action", true, 128),
        ("reason", true, 128),
        ("message", false, 1024),
    ] {
        let path = Path::new(field);
        let value = text(object, field);
        if needed && value.is_empty() {
            errors.push(Error::required(&path, ""));
        }
        if value.len() > limit {
            let detail = format!("can have at most {limit} characters");
            errors.push(Error::invalid(&path, "", detail));
        }
    }
    errors
}
