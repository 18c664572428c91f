//! Questions about pods that several controllers ask, and what their shared view leaves out.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition};

/// Drops what no controller reads: the containers and volumes make most of a pod.
pub(crate) fn trim(pod: &mut Pod) {
    if let Some(spec) = &mut pod.spec {
        spec.containers = Vec::new();
        spec.init_containers = None;
        spec.ephemeral_containers = None;
        spec.volumes = None;
        spec.affinity = None;
        spec.topology_spread_constraints = None;
    }
    if let Some(status) = &mut pod.status {
        status.init_container_statuses = None;
        status.ephemeral_container_statuses = None;
        status.resources = None;
        for container in status.container_statuses.iter_mut().flatten() {
            container.last_state = None;
            container.state = None;
            container.resources = None;
            container.volume_mounts = None;
        }
    }
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|key, _| key == DELETION_COST);
    }
}

/// The annotation by which users say which pods to delete first.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The phase, empty when unset.
pub(crate) fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

/// Whether the pod has ended, well or badly.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod is to be counted: neither ended nor being deleted.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// The condition of that type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind)
}

/// Whether the pod is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

/// Since when the pod has been ready.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|c| c.status == "True")?;
    ready.last_transition_time.as_ref().map(|t| t.0)
}

/// How long a ready pod still has to be ready to be available: zero for one that is available,
/// `None` for one that is not ready.
pub(crate) fn available_in(
    pod: &Pod,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<SignedDuration> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds == 0 {
        return Some(SignedDuration::ZERO);
    }
    let needed = SignedDuration::from_secs(i64::from(min_ready_seconds));
    let left = needed - now.duration_since(ready_since(pod)?);
    Some(left.max(SignedDuration::ZERO))
}

/// The node the pod is bound to, empty when it is not.
pub(crate) fn node_name(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|s| s.node_name.as_deref())
        .unwrap_or_default()
}
