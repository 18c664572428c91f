//! The strategy of a Deployment and its counts.

use serde_json::Value;

use crate::field::{Error, Path, Reason};
use crate::kinds::apps::workload;
use crate::kinds::check::{not_negative, with_shown};
use crate::kinds::read::{has, int, text};

const COUNTS: &[&str] = &[
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
];

pub(super) fn object(object: &Value) -> Vec<Error> {
    let spec = &object["spec"];
    let path = Path::new("spec");
    let mut errors = Vec::new();
    not_negative(&mut errors, &path, spec, "replicas");
    workload::validate(&mut errors, object, "ReplicaSet");
    strategy(&mut errors, &spec["strategy"], &path.child("strategy"));
    for field in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        not_negative(&mut errors, &path, spec, field);
    }
    let ready = int(spec, "minReadySeconds").unwrap_or(0);
    if let Some(deadline) = int(spec, "progressDeadlineSeconds").filter(|d| *d <= ready) {
        let path = path.child("progressDeadlineSeconds");
        let detail = "must be greater than minReadySeconds";
        errors.push(Error::invalid(&path, deadline, detail));
    }
    errors
}

fn strategy(errors: &mut Vec<Error>, strategy: &Value, path: &Path) {
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "Recreate" => {
            if has(strategy, "rollingUpdate") {
                let path = path.child("rollingUpdate");
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(Error::forbidden(&path, detail));
            }
        }
        "RollingUpdate" => rolling_update(errors, rolling, &path.child("rollingUpdate")),
        other => {
            // The message shows the strategy as the server's own Go type.
            let shown = format!("{{\"Type\":{other:?},\"RollingUpdate\":{rolling}}}");
            let detail = "supported values: \"Recreate\", \"RollingUpdate\"";
            errors.push(with_shown(Reason::NotSupported, path, &shown, detail));
        }
    }
}

fn rolling_update(errors: &mut Vec<Error>, rolling: &Value, path: &Path) {
    let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    let at = path.child("maxUnavailable");
    count_or_percent(errors, unavailable, &at);
    count_or_percent(errors, surge, &path.child("maxSurge"));
    if amount(unavailable) == 0 && amount(surge) == 0 {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(Error::invalid(&at, unavailable.clone(), detail));
    }
    if unavailable.is_string() && amount(unavailable) > 100 {
        let detail = "must not be greater than 100%";
        errors.push(Error::invalid(&at, unavailable.clone(), detail));
    }
}

fn count_or_percent(errors: &mut Vec<Error>, value: &Value, path: &Path) {
    if let Some(text) = value.as_str() {
        let digits = text.strip_suffix('%').unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            errors.push(Error::invalid(path, text, detail));
        }
    } else if let Some(count) = value.as_i64().filter(|c| *c < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(Error::invalid(path, count, detail));
    }
}

/// The number, or the number before the percent sign.
fn amount(value: &Value) -> i64 {
    let percent = || value.as_str()?.strip_suffix('%')?.parse().ok();
    value.as_i64().or_else(percent).unwrap_or(0)
}

pub(super) fn status(status: &Value) -> Vec<Error> {
    workload::validate_counts(status, COUNTS)
}
