//! The table of Pods: what one sees first when something does not run.

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, or_none, shown, wide};
use crate::kinds::read::{flag, has, int, items, text};
use crate::meta::time;

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    shown(
        "Ready",
        "The aggregate readiness state of this pod for accepting traffic.",
    ),
    shown(
        "Status",
        "The aggregate status of the containers in this pod.",
    ),
    shown(
        "Restarts",
        "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
    ),
    AGE,
    wide(
        "IP",
        "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
    ),
    wide(
        "Node",
        "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by the scheduler defined in schedulerName. Once this field is set, the kubelet for this node becomes responsible for the lifecycle of this pod. This field should not be used to express a desire for the pod to be scheduled on a specific node. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename",
    ),
    wide(
        "Nominated Node",
        "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right away as preemption victims receive their graceful termination periods. This field does not guarantee that the pod will be scheduled on this node. Scheduler may decide to place the pod elsewhere if other nodes become available sooner. Scheduler may also decide to give the resources on this node to a higher priority pod that is created after preemption. As a result, this field may be different than PodSpec.nodeName when the pod is scheduled.",
    ),
    wide(
        "Readiness Gates",
        "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers are ready AND all conditions specified in the readiness gates have status equal to \"True\" More info: https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates",
    ),
];

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = summary(pod);
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let address = items(status, "podIPs").first();
    let address = address.map_or("", |a| text(a, "ip"));
    vec![
        cell::name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.clone().into(),
        restarts(&summary, now).into(),
        cell::age(pod, now),
        or_none(address).into(),
        or_none(text(spec, "nodeName")).into(),
        or_none(text(status, "nominatedNodeName")).into(),
        readiness_gates(spec, status).into(),
    ]
}

/// What the containers of a pod add up to.
#[derive(Debug, Default)]
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn count(&mut self, container: &Value) {
        self.restarts += int(container, "restartCount").unwrap_or(0);
        let end = text(&container["lastState"]["terminated"], "finishedAt");
        self.last_restart = self.last_restart.max(time::parse(end));
    }
}

fn summary(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let phase = text(status, "phase");
    let reason = match text(status, "reason") {
        "" => phase,
        reason => reason,
    };
    let mut sum = Summary {
        reason: reason.to_owned(),
        total: items(spec, "containers").len(),
        ..Summary::default()
    };
    let gated =
        |c: &&Value| text(c, "type") == "PodScheduled" && text(c, "reason") == "SchedulingGated";
    if items(status, "conditions").iter().any(|c| gated(&c)) {
        "SchedulingGated".clone_into(&mut sum.reason);
    }
    let sidecars = items(spec, "initContainers").iter();
    sum.total += sidecars.filter(|c| is_sidecar(c)).count();
    let (initializing, sidecars) = initial(&mut sum, spec, status);
    if !initializing || condition(status, "Initialized") {
        // Only what runs beside the main containers still counts.
        sum.restarts = sidecars.restarts;
        sum.last_restart = sidecars.last_restart;
        running(&mut sum, status);
    }
    if has(&pod["metadata"], "deletionTimestamp") {
        if text(status, "reason") == "NodeLost" {
            "Unknown".clone_into(&mut sum.reason);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut sum.reason);
        }
    }
    sum
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn condition(status: &Value, kind: &str) -> bool {
    items(status, "conditions")
        .iter()
        .find(|c| text(c, "type") == kind)
        .is_some_and(|c| text(c, "status") == "True")
}

/// Goes through the init containers up to the first that is not done. Whether there is one, and
/// what the sidecars among them add up to.
fn initial(sum: &mut Summary, spec: &Value, status: &Value) -> (bool, Summary) {
    let declared = items(spec, "initContainers");
    let mut sidecars = Summary::default();
    for (at, container) in items(status, "initContainerStatuses").iter().enumerate() {
        sum.count(container);
        let name = text(container, "name");
        let sidecar = declared
            .iter()
            .any(|c| text(c, "name") == name && is_sidecar(c));
        if sidecar {
            sidecars.count(container);
        }
        let end = &container["state"]["terminated"];
        if end.is_object() && int(end, "exitCode").unwrap_or(0) == 0 {
            continue;
        }
        if sidecar && flag(container, "started") {
            sum.ready += usize::from(flag(container, "ready"));
            continue;
        }
        let waiting = text(&container["state"]["waiting"], "reason");
        sum.reason = if end.is_object() {
            format!("Init:{}", ended(end))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{at}/{}", declared.len())
        };
        return (true, sidecars);
    }
    (false, sidecars)
}

/// Why a container ended: its reason, else the signal or the code.
fn ended(end: &Value) -> String {
    let reason = text(end, "reason");
    if !reason.is_empty() {
        return reason.to_owned();
    }
    match int(end, "signal").unwrap_or(0) {
        0 => format!("ExitCode:{}", int(end, "exitCode").unwrap_or(0)),
        signal => format!("Signal:{signal}"),
    }
}

/// Goes through the main containers; the first of them that has something to say decides.
fn running(sum: &mut Summary, status: &Value) {
    let mut any_running = false;
    let mut failure = None;
    for container in items(status, "containerStatuses").iter().rev() {
        sum.count(container);
        let state = &container["state"];
        let waiting = text(&state["waiting"], "reason");
        let end = &state["terminated"];
        if !waiting.is_empty() {
            waiting.clone_into(&mut sum.reason);
        } else if end.is_object() {
            sum.reason = ended(end);
            if int(end, "exitCode").unwrap_or(0) != 0 {
                failure = Some(sum.reason.clone());
            }
        } else if flag(container, "ready") && has(state, "running") {
            any_running = true;
            sum.ready += 1;
        }
    }
    if sum.reason != "Completed" {
        return;
    }
    if any_running && condition_any(status, "Ready") {
        "Running".clone_into(&mut sum.reason);
    } else if let Some(failure) = failure {
        sum.reason = failure;
    } else if any_running {
        "NotReady".clone_into(&mut sum.reason);
    }
}

fn condition_any(status: &Value, kind: &str) -> bool {
    let holds = |c: &Value| text(c, "type") == kind && text(c, "status") == "True";
    items(status, "conditions").iter().any(holds)
}

fn restarts(sum: &Summary, now: Timestamp) -> String {
    match sum.last_restart {
        Some(last) if sum.restarts != 0 => {
            let ago = time::human_duration(now.duration_since(last));
            format!("{} ({ago} ago)", sum.restarts)
        }
        _ => sum.restarts.to_string(),
    }
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = items(spec, "readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates.iter();
    let open = open.filter(|g| condition(status, text(g, "conditionType")));
    format!("{}/{}", open.count(), gates.len())
}

#[cfg(test)]
mod tests;
