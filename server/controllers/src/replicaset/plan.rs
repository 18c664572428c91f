//! What a ReplicaSet and its pods need, from what is there. No I/O.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::core::{Selector, SelectorExt as _};
use serde::{Deserialize, Serialize};

use super::rank;
use crate::pods;
use client::object::{controller_of, time, uid};

/// At most this many pods are made or deleted in one go.
const BURST: usize = 500;
/// The condition that says that pods can't be made or deleted.
const FAILURE: &str = "ReplicaFailure";

/// What a plan is made from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// The ReplicaSet.
    pub(crate) replica_set: ReplicaSet,
    /// The pods that it controls, and those of its namespace that nothing controls.
    pub(crate) pods: Vec<Pod>,
    /// All pods of ReplicaSets with the same owner, this one's included.
    #[serde(default)]
    pub(crate) related: Vec<Pod>,
    /// Whether the pods are as the controller's last writes left them.
    pub(crate) settled: bool,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// Pods to take over, by name.
    pub(crate) adopt: Vec<String>,
    /// Pods to let go, because their labels no longer match.
    pub(crate) release: Vec<String>,
    /// How many pods to make.
    pub(crate) create: usize,
    /// Pods to delete, by name.
    pub(crate) delete: Vec<String>,
    /// The status that the pods give, before anything is made or deleted.
    pub(crate) status: ReplicaSetStatus,
    /// When to look again although nothing changes: a pod becomes available.
    pub(crate) again_in_seconds: Option<i64>,
}

/// Decides. A ReplicaSet whose selector is malformed is left alone.
pub(crate) fn plan(observed: &Observed) -> Plan {
    let set = &observed.replica_set;
    let Ok(selector) = Selector::try_from(set.spec.selector.clone()) else {
        return Plan {
            status: set.status.clone().unwrap_or_default(),
            ..Plan::default()
        };
    };
    let deleting = set.metadata.deletion_timestamp.is_some();
    let mut plan = Plan::default();
    let mut mine: Vec<&Pod> = Vec::new();
    for pod in &observed.pods {
        let matches = selector.matches(&pod.metadata.labels.clone().unwrap_or_default());
        match controller_of(&pod.metadata) {
            Some(owner) if owner.uid != uid(&set.metadata) => {}
            Some(_) if matches => mine.push(pod),
            Some(_) if !deleting => plan.release.push(name(pod)),
            None if matches && !deleting && pods::is_active(pod) => {
                plan.adopt.push(name(pod));
                mine.push(pod);
            }
            _ => {}
        }
    }
    let mut active: Vec<&Pod> = mine
        .iter()
        .copied()
        .filter(|p| pods::is_active(p))
        .collect();
    plan.status = status(observed, &mine, &active);
    plan.again_in_seconds = next_available(set, &active, observed.now);
    if !observed.settled || deleting {
        return plan;
    }
    let wanted = usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or(0);
    if active.len() < wanted {
        plan.create = (wanted - active.len()).min(BURST);
    } else if active.len() > wanted {
        rank::sort(&mut active, &observed.related, observed.now);
        let surplus = (active.len() - wanted).min(BURST);
        plan.delete = active[..surplus].iter().copied().map(name).collect();
    }
    plan
}

/// The status with the outcome of a plan: a failure of its creations (`FailedCreate`) or deletions
/// (`FailedDelete`) with the error's text, or none.
pub(crate) fn with_outcome(
    mut status: ReplicaSetStatus,
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let conditions = status.conditions.get_or_insert_default();
    let present = conditions
        .iter()
        .any(|c| c.type_.as_deref() == Some(FAILURE));
    match failure {
        Some((reason, message)) if !present => conditions.push(ReplicaSetCondition {
            type_: Some(FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(time(now)),
        }),
        None if present => conditions.retain(|c| c.type_.as_deref() != Some(FAILURE)),
        _ => {}
    }
    if conditions.is_empty() {
        status.conditions = None;
    }
    status
}

fn status(observed: &Observed, mine: &[&Pod], active: &[&Pod]) -> ReplicaSetStatus {
    let set = &observed.replica_set;
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let template = set.spec.template.as_ref().and_then(|t| t.metadata.as_ref());
    let wanted = template.and_then(|m| m.labels.clone()).unwrap_or_default();
    let fully_labeled = |pod: &&&Pod| {
        let labels = pod.metadata.labels.as_ref();
        wanted
            .iter()
            .all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v))
    };
    let available = |pod: &&&Pod| {
        pods::available_in(pod, min_ready, observed.now).is_some_and(|left| left.is_zero())
    };
    let terminating =
        |pod: &&&Pod| pod.metadata.deletion_timestamp.is_some() && !pods::is_terminal(pod);
    ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: some(active.iter().filter(fully_labeled).count()),
        ready_replicas: some(active.iter().filter(|p| pods::is_ready(p)).count()),
        available_replicas: some(active.iter().filter(available).count()),
        terminating_replicas: Some(count(mine.iter().filter(terminating).count())),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|s| s.conditions.clone()),
    }
}

/// A count as status fields hold it: absent when zero.
fn some(number: usize) -> Option<i32> {
    (number > 0).then(|| count(number))
}

fn count(number: usize) -> i32 {
    // More pods than an i32 counts do not fit into memory.
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn next_available(set: &ReplicaSet, active: &[&Pod], now: Timestamp) -> Option<i64> {
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let left = active
        .iter()
        .filter_map(|pod| pods::available_in(pod, min_ready, now));
    let next = left.filter(|left| !left.is_zero()).min()?;
    Some(next.as_secs() + i64::from(next.subsec_nanos() > 0))
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("replicaset", |observed| super::plan(&observed));
    }
}
