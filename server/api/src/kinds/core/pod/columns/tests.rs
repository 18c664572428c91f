//! Rows of Pods in the states that people ask about.

use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a valid time")
}

/// Ready, status and restarts of a pod with the containers `a` and `b`.
fn row(status: &Value) -> [String; 3] {
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "a"}, {"name": "b"}],
            "initContainers": [{"name": "i"}, {"name": "j"}],
        },
        "status": status,
    });
    shown_cells(&pod)
}

fn shown_cells(pod: &Value) -> [String; 3] {
    let cells = cells(pod, now());
    [1, 2, 3].map(|at| cells[at].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_pending_pod_shows_its_phase() {
    assert_eq!(row(&json!({"phase": "Pending"})), ["0/2", "Pending", "0"]);
}

#[test]
fn init_containers_show_how_far_they_are() {
    let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0}}});
    let waits = json!({"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}});
    let status = json!({"phase": "Pending", "initContainerStatuses": [done, waits]});
    assert_eq!(row(&status), ["0/2", "Init:1/2", "0"]);
    let fails = json!({"name": "j", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
    let status = json!({"phase": "Pending", "initContainerStatuses": [done, fails]});
    assert_eq!(row(&status), ["0/2", "Init:CrashLoopBackOff", "2"]);
}

#[test]
fn restarts_show_when_the_last_one_was() {
    let status = json!({"phase": "Running", "containerStatuses": [
        {"name": "a", "restartCount": 3, "ready": true, "state": {"running": {}},
         "lastState": {"terminated": {"finishedAt": "2026-01-02T02:59:05Z"}}},
        {"name": "b", "restartCount": 0, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]});
    assert_eq!(row(&status), ["1/2", "CrashLoopBackOff", "3 (5m ago)"]);
}

#[test]
fn a_pod_with_one_container_left_is_not_ready() {
    let status = json!({"phase": "Running", "containerStatuses": [
        {"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "b", "ready": true, "state": {"running": {}}},
    ]});
    assert_eq!(row(&status), ["1/2", "NotReady", "0"]);
}

#[test]
fn a_failed_container_beats_a_completed_one() {
    let status = json!({"phase": "Failed", "containerStatuses": [
        {"name": "a", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "b", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}},
    ]});
    assert_eq!(row(&status), ["0/2", "Error", "0"]);
}

#[test]
fn a_pod_that_is_being_deleted_is_terminating_until_it_has_ended() {
    let pod = |phase: &str| {
        json!({
            "metadata": {"name": "p", "deletionTimestamp": "2026-01-02T03:04:00Z"},
            "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": phase},
        })
    };
    assert_eq!(shown_cells(&pod("Running"))[1], "Terminating");
    assert_eq!(shown_cells(&pod("Succeeded"))[1], "Succeeded");
}

#[test]
fn a_sidecar_counts_as_a_container() {
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {
            "containers": [{"name": "a"}],
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
        },
        "status": {
            "phase": "Running",
            "initContainerStatuses": [{"name": "s", "ready": true, "started": true, "restartCount": 1, "state": {"running": {}}}],
            "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}],
        },
    });
    assert_eq!(shown_cells(&pod), ["2/2", "Running", "1"]);
}
