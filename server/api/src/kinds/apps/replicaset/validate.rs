//! The selector and the counts of a ReplicaSet.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::apps::workload;
use crate::kinds::check::not_negative;

const COUNTS: &[&str] = &[
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
];

pub(super) fn object(object: &Value) -> Vec<Error> {
    let mut errors = Vec::new();
    for field in ["replicas", "minReadySeconds"] {
        not_negative(&mut errors, &Path::new("spec"), &object["spec"], field);
    }
    workload::validate(&mut errors, object, "ReplicaSet");
    errors
}

pub(super) fn status(status: &Value) -> Vec<Error> {
    workload::validate_counts(status, COUNTS)
}
