//! Which pods go first when there are too many: those whose end costs least.
//!
//! The order is Kubernetes' `ActivePodsWithRanks`. Ages are compared by their logarithm, so that
//! among pods of nearly the same age the choice does not always hit the youngest (KEP-2185).

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pods;

/// Sorts pods so that the first are to be deleted first. `related` are the active pods of all
/// ReplicaSets with the same owner: a pod whose node holds more of them goes earlier.
pub(super) fn sort(pods: &mut [&Pod], related: &[Pod], now: Timestamp) {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in related.iter().filter(|pod| pods::is_active(pod)) {
        *on_node.entry(pods::node_name(pod)).or_default() += 1;
    }
    let crowd = |pod: &Pod| on_node.get(pods::node_name(pod)).copied().unwrap_or(0);
    pods.sort_by(|a, b| {
        let assigned = |pod: &Pod| !pods::node_name(pod).is_empty();
        (assigned(a).cmp(&assigned(b)))
            .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
            .then_with(|| pods::is_ready(a).cmp(&pods::is_ready(b)))
            .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
            .then_with(|| crowd(b).cmp(&crowd(a)))
            .then_with(|| younger(pods::ready_since(a), pods::ready_since(b), a, b, now))
            .then_with(|| restarts(b).cmp(&restarts(a)))
            .then_with(|| younger(created(a), created(b), a, b, now))
    });
}

fn phase_rank(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let cost = annotations.and_then(|a| a.get(pods::DELETION_COST));
    // The server refuses other texts; old objects may hold them, and count as unset.
    cost.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|s| s.container_statuses.as_ref());
    let counts = statuses.into_iter().flatten().map(|s| s.restart_count);
    counts.max().unwrap_or(0)
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|t| t.0)
}

/// Orders the younger first, by the logarithm of the age, then by uid. An unknown age is youngest.
fn younger(
    a: Option<Timestamp>,
    b: Option<Timestamp>,
    pod_a: &Pod,
    pod_b: &Pod,
    now: Timestamp,
) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) if a == b => Ordering::Equal,
        (Some(a), Some(b)) => {
            let by_age = magnitude(a, now).cmp(&magnitude(b, now));
            by_age.then_with(|| pod_a.metadata.uid.cmp(&pod_b.metadata.uid))
        }
    }
}

/// The logarithm to base two of an age in nanoseconds, -1 for one that is not positive.
fn magnitude(since: Timestamp, now: Timestamp) -> i64 {
    let age = now.as_nanosecond() - since.as_nanosecond();
    match u128::try_from(age) {
        Ok(age @ 1..) => i64::from(age.ilog2()),
        _ => -1,
    }
}
