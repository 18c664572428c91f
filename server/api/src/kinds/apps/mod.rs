//! The group `apps`.

pub(crate) mod deployment;
pub(crate) mod replicaset;
mod workload;

use crate::kind::Subresource;

/// The subresources of workloads that scale.
const SCALED: &[Subresource] = &[
    Subresource {
        name: "scale",
        body: Some(("autoscaling", "v1", "Scale")),
        verbs: &["get", "patch", "update"],
    },
    Subresource {
        name: "status",
        body: None,
        verbs: &["get", "patch", "update"],
    },
];
