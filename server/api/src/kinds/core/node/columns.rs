//! The table of Nodes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::kind::Column;
use crate::kinds::cell::{self, AGE, NAME, shown, wide};
use crate::kinds::read::{entries, flag, items, text};

const ADDRESSES: &str = "List of addresses reachable to the node. Queried from cloud provider, if available. More info: https://kubernetes.io/docs/reference/node/node-status/#addresses Note: This field is declared as mergeable, but the merge key is not sufficiently unique, which can cause data corruption when it is merged. Callers should instead use a full-replacement patch. See https://pr.k8s.io/79391 for an example. Consumers should assume that addresses can change during the lifetime of a Node. However, there are some exceptions where this may not be possible, such as Pods that inherit a Node's address in its own status or consumers of the downward API (status.hostIP).";

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    shown("Status", "The status of the node"),
    shown("Roles", "The roles of the node"),
    AGE,
    shown("Version", "Kubelet Version reported by the node."),
    wide("Internal-IP", ADDRESSES),
    wide("External-IP", ADDRESSES),
    wide(
        "OS-Image",
        "OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).",
    ),
    wide(
        "Kernel-Version",
        "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).",
    ),
    wide(
        "Container-Runtime",
        "ContainerRuntime Version reported by the node through runtime remote API (e.g. containerd://1.4.2).",
    ),
];

pub(super) fn cells(node: &Value, now: Timestamp) -> Vec<Value> {
    let info = &node["status"]["nodeInfo"];
    let known = |field: &str| match text(info, field) {
        "" => "<unknown>".to_owned(),
        value => value.to_owned(),
    };
    let mut kernel = known("kernelVersion");
    let architecture = text(info, "architecture");
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        cell::name(node),
        status(node).into(),
        roles(node).into(),
        cell::age(node, now),
        text(info, "kubeletVersion").into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        known("osImage").into(),
        kernel.into(),
        known("containerRuntimeVersion").into(),
    ]
}

fn status(node: &Value) -> String {
    let conditions = items(&node["status"], "conditions").iter();
    let ready = conditions.rev().find(|c| text(c, "type") == "Ready");
    let ready = match ready.map(|c| text(c, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if flag(&node["spec"], "unschedulable") {
        return format!("{ready},SchedulingDisabled");
    }
    ready.to_owned()
}

/// The roles that labels give to a node, or `<none>`.
pub(super) fn roles(node: &Value) -> String {
    let mut roles = BTreeSet::new();
    for (key, value) in entries(&node["metadata"], "labels") {
        if let Some(role) = key.strip_prefix("node-role.kubernetes.io/") {
            roles.insert(role);
        } else if key == "kubernetes.io/role" {
            roles.insert(value.as_str().unwrap_or_default());
        }
    }
    let roles: Vec<&str> = roles.into_iter().filter(|r| !r.is_empty()).collect();
    cell::or_none(&roles.join(",")).to_owned()
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let mut addresses = items(&node["status"], "addresses").iter();
    let own = addresses.find(|a| text(a, "type") == kind);
    own.map_or("<none>", |a| text(a, "address"))
}
