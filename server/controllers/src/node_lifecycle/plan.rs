//! What a node's silence and its conditions ask for. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use serde::{Deserialize, Serialize};

use client::object::time;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// The conditions that a silent node no longer speaks for.
const REPORTED: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Which condition in which state keeps new pods away, and the taint that does.
const KEEPS_AWAY: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    (
        "MemoryPressure",
        "True",
        "node.kubernetes.io/memory-pressure",
    ),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    (
        "NetworkUnavailable",
        "True",
        "node.kubernetes.io/network-unavailable",
    ),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// What a plan is made from.
#[derive(Debug, Deserialize)]
pub(crate) struct Observed {
    /// The node.
    pub(crate) node: Node,
    /// For how long it has given no sign of life.
    pub(crate) silent: SignedDuration,
    /// For how long it may.
    pub(crate) grace: SignedDuration,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// Conditions to set, each by its type.
    pub(crate) conditions: Vec<NodeCondition>,
    /// Whether the node was ready until now.
    pub(crate) became_not_ready: bool,
    /// All taints the node is to have, if they change.
    pub(crate) taints: Option<Vec<Taint>>,
    /// Whether its pods are not ready, whatever they say.
    pub(crate) pods_not_ready: bool,
    /// When the grace is over.
    pub(crate) again_in_millis: Option<u64>,
}

/// Decides.
pub(crate) fn plan(observed: &Observed) -> Plan {
    let node = &observed.node;
    let mut plan = Plan::default();
    if observed.silent >= observed.grace {
        let silent = REPORTED
            .iter()
            .filter_map(|kind| unknown(node, kind, observed.now));
        plan.conditions = silent.collect();
    } else {
        let left = (observed.grace - observed.silent).as_millis();
        plan.again_in_millis = Some(u64::try_from(left).unwrap_or(0) + 1);
    }
    let now_is = |kind: &str| {
        let new = plan.conditions.iter().find(|c| c.type_ == kind);
        new.or_else(|| find(node, kind)).map(|c| c.status.clone())
    };
    let ready = now_is("Ready");
    plan.became_not_ready = status_of(node, "Ready") == Some("True")
        && plan.conditions.iter().any(|c| c.type_ == "Ready");
    plan.pods_not_ready = matches!(ready.as_deref(), Some("False" | "Unknown"));
    plan.taints = taints(node, &now_is, observed.now);
    plan
}

fn find<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind)
}

fn status_of<'a>(node: &'a Node, kind: &str) -> Option<&'a str> {
    find(node, kind).map(|c| c.status.as_str())
}

/// The condition as it is after the node fell silent, if it isn't so already.
fn unknown(node: &Node, kind: &str, now: Timestamp) -> Option<NodeCondition> {
    let old = find(node, kind);
    if old.is_some_and(|c| c.status == "Unknown") {
        return None;
    }
    let (reason, message) = match old {
        Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
        None => (
            "NodeStatusNeverUpdated",
            "Kubelet never posted node status.",
        ),
    };
    let created = node.metadata.creation_timestamp.clone();
    Some(NodeCondition {
        type_: kind.to_owned(),
        status: "Unknown".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: old.and_then(|c| c.last_heartbeat_time.clone()).or(created),
        last_transition_time: Some(time(now)),
    })
}

/// All taints that the node is to have, if they are not those it has.
fn taints(
    node: &Node,
    now_is: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Option<Vec<Taint>> {
    let spec = node.spec.as_ref();
    let present = spec.and_then(|s| s.taints.clone()).unwrap_or_default();
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for (kind, status, key) in KEEPS_AWAY {
        if now_is(kind).as_deref() == Some(status) {
            wanted.push((key, "NoSchedule"));
        }
    }
    if spec.and_then(|s| s.unschedulable) == Some(true) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    match now_is("Ready").as_deref() {
        Some("False") => wanted.push((NOT_READY, "NoExecute")),
        Some("Unknown") => wanted.push((UNREACHABLE, "NoExecute")),
        _ => {}
    }
    let is = |taint: &Taint, w: &(&str, &str)| taint.key == w.0 && taint.effect == w.1;
    let kept = |taint: &&Taint| !is_ours(taint) || wanted.iter().any(|w| is(taint, w));
    let mut after: Vec<Taint> = present.iter().filter(kept).cloned().collect();
    for w in &wanted {
        if !after.iter().any(|taint| is(taint, w)) {
            after.push(Taint {
                key: w.0.to_owned(),
                effect: w.1.to_owned(),
                value: None,
                time_added: Some(time(now)),
            });
        }
    }
    (after != present).then_some(after)
}

/// Whether this controller alone decides about the taint.
fn is_ours(taint: &Taint) -> bool {
    let by_condition = KEEPS_AWAY.iter().any(|(_, _, key)| taint.key == *key);
    match taint.effect.as_str() {
        "NoSchedule" => by_condition || taint.key == UNSCHEDULABLE,
        "NoExecute" => taint.key == NOT_READY || taint.key == UNREACHABLE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn plans_are_as_in_the_test_data() {
        crate::testing::check_plans("node_lifecycle", |observed| super::plan(&observed));
    }
}
