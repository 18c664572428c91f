//! The durations and strategies of a Lease.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::{has, int, text};
use crate::meta::name;

pub(super) fn object(object: &Value) -> Vec<Error> {
    let spec = &object["spec"];
    let path = Path::new("spec");
    let mut errors = Vec::new();
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|s| *s <= 0) {
        let path = path.child("leaseDurationSeconds");
        errors.push(Error::invalid(&path, seconds, "must be greater than 0"));
    }
    if let Some(count) = int(spec, "leaseTransitions").filter(|c| *c < 0) {
        let path = path.child("leaseTransitions");
        let detail = "must be greater than or equal to 0";
        errors.push(Error::invalid(&path, count, detail));
    }
    if has(spec, "strategy") {
        // Kubernetes names the field twice.
        let path = path.child("strategy").child("strategy");
        errors.extend(strategy(&path, text(spec, "strategy")));
    }
    if !text(spec, "preferredHolder").is_empty() && text(spec, "strategy").is_empty() {
        let path = path.child("preferredHolder");
        let detail = "may only be specified if `strategy` is defined";
        errors.push(Error::forbidden(&path, detail));
    }
    errors
}

fn strategy(path: &Path, value: &str) -> Vec<Error> {
    const KNOWN: &str = "OldestEmulationVersion";
    if !value.contains('/') {
        let unknown = value != KNOWN;
        let error = unknown.then(|| Error::not_supported(path, value, &[KNOWN]));
        return error.into_iter().collect();
    }
    let problems = name::qualified_name(value).into_iter();
    problems.map(|p| Error::invalid(path, value, p)).collect()
}
