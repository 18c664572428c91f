//! The quality-of-service class of a pod, and what follows from it.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::pod::{resources, spec};

/// `Guaranteed`, `Burstable` or `BestEffort`.
///
/// The API server fills in the same on creation; a static pod has nobody else to do it.
pub(crate) fn class(pod: &Pod) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    for container in spec::all_containers(pod) {
        for name in ["cpu", "memory"] {
            let request = resources::request(container, name);
            let limit = resources::limit(container, name);
            any |= request > 0 || limit > 0;
            guaranteed &= limit > 0 && (request == limit || request == 0);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// How willingly the kernel kills a container when memory is short: −1000 (never) to 1000 (first).
///
/// `capacity` is the node's memory in bytes.
pub(crate) fn oom_score_adj(pod: &Pod, container: &Container, capacity: i64) -> i32 {
    match class(pod) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let request = resources::request(container, "memory");
            let share = 1000 - (1000 * i128::from(request)) / i128::from(capacity.max(1));
            i32::try_from(share.clamp(3, 999)).unwrap_or(999)
        }
    }
}
