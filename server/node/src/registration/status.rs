//! The Node object and its status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints,
    NodeFeatures, NodeSpec, NodeStatus, NodeSwapStatus, NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::eviction::{Signal, Thresholds};
use super::facts::{Facts, Pressure, architecture};
use crate::image::Image;
use crate::status::seconds;
use crate::{KUBELET_VERSION, RUNTIME_VERSION};

/// A node shows no more images than that, the largest first.
const MAX_IMAGES: usize = 50;

/// What a node is besides its machine.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) address: std::net::IpAddr,
    pub(crate) pod_cidr: String,
    pub(crate) max_pods: u32,
    /// Where its server listens.
    pub(crate) port: u16,
}

/// The object to register, without a status.
pub(crate) fn node(identity: &Identity) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(identity.name.clone()),
            labels: Some(labels(identity)),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(identity.pod_cidr.clone()),
            pod_cidrs: Some(vec![identity.pod_cidr.clone()]),
            ..NodeSpec::default()
        }),
        status: None,
    }
}

/// The labels that the kubelet keeps as they are.
pub(crate) fn labels(identity: &Identity) -> BTreeMap<String, String> {
    let labels = [
        ("beta.kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("kubernetes.io/hostname", identity.name.as_str()),
        ("kubernetes.io/os", "linux"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    labels.into_iter().map(owned).collect()
}

/// The whole status. `old` keeps the times of conditions that have not changed.
pub(crate) fn status(
    identity: &Identity,
    (facts, allocatable): (&Facts, Allocatable),
    pressure: Pressure,
    images: &[Image],
    old: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeStatus {
    NodeStatus {
        capacity: Some(capacity(identity, facts)),
        allocatable: Some(allocatable.quantities(identity, facts)),
        addresses: Some(vec![
            address("InternalIP", &identity.address.to_string()),
            address("Hostname", &identity.name),
        ]),
        conditions: Some(conditions(pressure, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(identity.port),
            }),
        }),
        features: Some(NodeFeatures {
            supplemental_groups_policy: Some(true),
        }),
        images: Some(self::images(images)),
        node_info: Some(info(facts)),
        ..NodeStatus::default()
    }
}

fn address(kind: &str, address: &str) -> NodeAddress {
    NodeAddress {
        type_: kind.to_owned(),
        address: address.to_owned(),
    }
}

fn capacity(identity: &Identity, facts: &Facts) -> BTreeMap<String, Quantity> {
    quantities([
        ("cpu", facts.cpus.to_string()),
        ("ephemeral-storage", format!("{}Ki", facts.storage / 1024)),
        ("hugepages-1Gi", "0".to_owned()),
        ("hugepages-2Mi", "0".to_owned()),
        ("memory", format!("{}Ki", facts.memory / 1024)),
        ("pods", identity.max_pods.to_string()),
    ])
}

/// What pods can have of the machine: all but what the thresholds say must be left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allocatable {
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes.
    pub(crate) storage: i64,
}

impl Allocatable {
    pub(crate) fn new(facts: &Facts, thresholds: &Thresholds) -> Self {
        let without_reserve = |signal, all: i64| {
            let whole = u64::try_from(all).unwrap_or(0);
            let rest = whole.saturating_sub(thresholds.reserve(signal, whole));
            i64::try_from(rest).unwrap_or(all)
        };
        Self {
            memory: without_reserve(Signal::Memory, facts.memory),
            storage: without_reserve(Signal::Disk, facts.storage),
        }
    }

    fn quantities(self, identity: &Identity, facts: &Facts) -> BTreeMap<String, Quantity> {
        quantities([
            ("cpu", facts.cpus.to_string()),
            ("ephemeral-storage", self.storage.to_string()),
            ("hugepages-1Gi", "0".to_owned()),
            ("hugepages-2Mi", "0".to_owned()),
            ("memory", format!("{}Ki", self.memory / 1024)),
            ("pods", identity.max_pods.to_string()),
        ])
    }
}

fn quantities<const N: usize>(list: [(&str, String); N]) -> BTreeMap<String, Quantity> {
    let owned = |(name, value): (&str, String)| (name.to_owned(), Quantity(value));
    list.into_iter().map(owned).collect()
}

fn info(facts: &Facts) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: architecture().to_owned(),
        boot_id: facts.boot_id.clone(),
        container_runtime_version: RUNTIME_VERSION.to_owned(),
        kernel_version: facts.kernel.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: KUBELET_VERSION.to_owned(),
        machine_id: facts.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: facts.os_image.clone(),
        running_in_user_namespace: None,
        swap: facts.swap.map(|capacity| NodeSwapStatus {
            capacity: Some(capacity),
        }),
        system_uuid: facts.system_uuid.clone(),
    }
}

fn images(images: &[Image]) -> Vec<ContainerImage> {
    let mut images: Vec<&Image> = images.iter().collect();
    images.sort_by_key(|image| (std::cmp::Reverse(image.size), image.id.clone()));
    images.truncate(MAX_IMAGES);
    let shown = |image: &Image| ContainerImage {
        names: Some(image.names.clone()),
        size_bytes: Some(i64::try_from(image.size).unwrap_or(i64::MAX)),
    };
    images.into_iter().map(shown).collect()
}

fn conditions(pressure: Pressure, old: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let judge = |kind: &str, bad: bool, when_bad: (&str, &str), when_good: (&str, &str)| {
        let (reason, message) = if bad { when_bad } else { when_good };
        condition(kind, bad, reason, message, old, now)
    };
    vec![
        judge(
            "MemoryPressure",
            pressure.memory,
            (
                "KubeletHasInsufficientMemory",
                "kubelet has insufficient memory available",
            ),
            (
                "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available",
            ),
        ),
        judge(
            "DiskPressure",
            pressure.disk,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        judge(
            "PIDPressure",
            pressure.pids,
            (
                "KubeletHasInsufficientPID",
                "kubelet has insufficient PID available",
            ),
            (
                "KubeletHasSufficientPID",
                "kubelet has sufficient PID available",
            ),
        ),
        condition(
            "Ready",
            true,
            "KubeletReady",
            "kubelet is posting ready status",
            old,
            now,
        ),
    ]
}

fn condition(
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
    old: Option<&NodeStatus>,
    now: Timestamp,
) -> NodeCondition {
    let status = if holds { "True" } else { "False" };
    let before = old.and_then(|old| old.conditions.as_ref());
    let before = before.into_iter().flatten().find(|c| c.type_ == kind);
    let since = before
        .filter(|c| c.status == status)
        .and_then(|c| c.last_transition_time.clone());
    NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(seconds(now)),
        last_transition_time: Some(since.unwrap_or_else(|| seconds(now))),
    }
}

/// Whether two statuses differ in more than the times at which they were made.
pub(crate) fn differs(old: &NodeStatus, new: &NodeStatus) -> bool {
    let without_times = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    without_times(old) != without_times(new)
}
