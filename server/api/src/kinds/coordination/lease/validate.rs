//! The duration and the count of a Lease.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::read::int;

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
    errors
}
