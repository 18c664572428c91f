//! The description of a Pod.

use jiff::Timestamp;
use serde_json::Value;

use super::spec::{describe, qos};
use crate::kind::Query;
use crate::kinds::cell::since;
use crate::kinds::description::{Description, controller, date, events_about};
use crate::kinds::read::{has, int, items, text};

const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn related(pod: &Value) -> Vec<Query> {
    let metadata = &pod["metadata"];
    // Events about a static pod are about the file it comes from.
    let uid = match text(&metadata["annotations"], MIRROR) {
        "" => text(metadata, "uid"),
        uid => uid,
    };
    vec![events_about(pod, "", uid)]
}

pub(super) fn describe(pod: &Value, related: &[Vec<Value>], now: Timestamp) -> String {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let mut out = Description::default();
    identity(&mut out, pod);
    state(&mut out, pod, now);
    if has(spec, "resources") {
        out.line(0, "Resources:");
        describe::resources(&mut out, &spec["resources"], 1);
    }
    for (title, list) in [
        ("Init Containers", "initContainers"),
        ("Containers", "containers"),
        ("Ephemeral Containers", "ephemeralContainers"),
    ] {
        if list == "containers" || !items(spec, list).is_empty() {
            describe::containers(&mut out, pod, title, list, "");
        }
    }
    conditions(&mut out, spec, status);
    describe::volumes(&mut out, spec, "");
    let class = match text(status, "qosClass") {
        "" => qos::class(spec),
        class => class,
    };
    out.field(0, "QoS Class", class);
    out.labels("Node-Selectors", spec, "nodeSelector");
    out.list("Tolerations", &describe::tolerations(spec));
    describe::spread(&mut out, spec, "");
    out.events(related, now);
    out.finish()
}

fn identity(out: &mut Description, pod: &Value) {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    out.field(0, "Name", text(metadata, "name"));
    out.field(0, "Namespace", text(metadata, "namespace"));
    if let Some(priority) = int(spec, "priority") {
        out.field(0, "Priority", priority);
    }
    for (title, field) in [
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ] {
        if !text(spec, field).is_empty() {
            out.field(0, title, text(spec, field));
        }
    }
    match text(spec, "nodeName") {
        "" => out.field(0, "Node", "<none>"),
        node => out.field(0, "Node", format!("{node}/{}", text(status, "hostIP"))),
    }
    if has(status, "startTime") {
        out.field(0, "Start Time", date(text(status, "startTime")));
    }
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
}

fn state(out: &mut Description, pod: &Value, now: Timestamp) {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    let phase = text(status, "phase");
    let ends = text(metadata, "deletionTimestamp");
    if !ends.is_empty() && !matches!(phase, "Failed" | "Succeeded") {
        out.field(
            0,
            "Status",
            format!("Terminating (lasts {})", since(ends, now)),
        );
        let grace = int(metadata, "deletionGracePeriodSeconds").unwrap_or(0);
        out.field(0, "Termination Grace Period", format!("{grace}s"));
    } else {
        out.field(0, "Status", phase);
    }
    for (title, field) in [("Reason", "reason"), ("Message", "message")] {
        if !text(status, field).is_empty() {
            out.field(0, title, text(status, field));
        }
    }
    describe::seccomp(out, &spec["securityContext"], 0, 0);
    out.field(0, "IP", text(status, "podIP"));
    let addresses = items(status, "podIPs");
    if addresses.is_empty() {
        out.field(0, "IPs", "<none>");
    } else {
        out.line(0, "IPs:");
    }
    for address in addresses {
        out.field(1, "IP", text(address, "ip"));
    }
    if let Some(controller) = controller(pod) {
        out.field(0, "Controlled By", controller);
    }
    let nominated = text(status, "nominatedNodeName");
    if !nominated.is_empty() {
        out.field(0, "NominatedNodeName", nominated);
    }
}

fn conditions(out: &mut Description, spec: &Value, status: &Value) {
    let conditions = items(status, "conditions");
    let gates = items(spec, "readinessGates");
    if !gates.is_empty() {
        out.line(0, "Readiness Gates:\n  Type\tStatus");
    }
    for gate in gates {
        let kind = text(gate, "conditionType");
        let own = conditions.iter().find(|c| text(c, "type") == kind);
        let state = own.map_or("<none>", |c| text(c, "status"));
        out.line(1, &format!("{kind} \t{state} "));
    }
    if !conditions.is_empty() {
        out.line(0, "Conditions:\n  Type\tStatus");
    }
    for condition in conditions {
        let (kind, state) = (text(condition, "type"), text(condition, "status"));
        out.line(1, &format!("{kind} \t{state} "));
    }
}
