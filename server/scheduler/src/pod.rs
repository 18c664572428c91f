//! What the scheduler keeps of a pod: what decides where it goes, in a form that is quick to check.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeAffinity, Pod, Toleration};

use client::object::Key;

use crate::resources::{self, Resources};

/// A port of the node that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    /// The address, `0.0.0.0` for all.
    pub(crate) address: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub(crate) protocol: String,
    /// The port.
    pub(crate) port: i32,
}

impl HostPort {
    /// Whether two ports can't be had at the same time.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        const ALL: &str = "0.0.0.0";
        let same_address =
            self.address == other.address || self.address == ALL || other.address == ALL;
        self.port == other.port && self.protocol == other.protocol && same_address
    }
}

/// What a pod takes from its node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Footprint {
    /// What it asks for.
    pub(crate) requests: Resources,
    /// The CPU it counts for when nodes are compared, in milli-CPU.
    pub(crate) assumed_cpu: i64,
    /// The memory it counts for when nodes are compared, in bytes.
    pub(crate) assumed_memory: i64,
    /// The ports it takes.
    pub(crate) ports: Vec<HostPort>,
    /// How important it is.
    pub(crate) priority: i32,
}

/// The condition `PodScheduled`, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The reason.
    pub(crate) reason: String,
    /// The message.
    pub(crate) message: String,
}

/// A pod that may need a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodInfo {
    pub(crate) key: Key,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) generation: Option<i64>,
    pub(crate) created: Timestamp,
    pub(crate) footprint: Footprint,
    /// The node it is to be on, by name, empty for any.
    pub(crate) node_name: String,
    /// Labels that its node must have.
    pub(crate) node_selector: Vec<(String, String)>,
    pub(crate) node_affinity: Option<NodeAffinity>,
    pub(crate) tolerations: Vec<Toleration>,
    /// The names of its gates: it is not to be scheduled while there are any.
    pub(crate) gates: Vec<String>,
    /// The images of its containers.
    pub(crate) images: Vec<String>,
    /// `Never` rules out that others make room for it.
    pub(crate) never_preempts: bool,
    /// The condition as the server has it.
    pub(crate) verdict: Option<Verdict>,
}

/// Whether a pod is of this scheduler, still without a node, and not being deleted.
pub(crate) fn is_waiting(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else {
        return false;
    };
    let mine = spec
        .scheduler_name
        .as_deref()
        .is_none_or(|n| n == "default-scheduler");
    mine && node_of(pod).is_empty() && pod.metadata.deletion_timestamp.is_none()
}

/// The node that a pod is bound to, empty if none.
pub(crate) fn node_of(pod: &Pod) -> &str {
    let spec = pod.spec.as_ref();
    spec.and_then(|s| s.node_name.as_deref())
        .unwrap_or_default()
}

/// Whether a pod has ended: it takes nothing from its node any more.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

impl Footprint {
    /// What `pod` takes.
    pub(crate) fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else {
            return Self::default();
        };
        let (assumed_cpu, assumed_memory) = resources::assumed(spec);
        let sidecars = spec.init_containers.iter().flatten();
        let sidecars = sidecars.filter(|c| c.restart_policy.as_deref() == Some("Always"));
        let ports = spec
            .containers
            .iter()
            .chain(sidecars)
            .flat_map(|c| c.ports.iter().flatten());
        let taken = ports.filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let or = |field: &Option<String>, default: &str| match field.as_deref() {
                None | Some("") => default.to_owned(),
                Some(text) => text.to_owned(),
            };
            Some(HostPort {
                address: or(&port.host_ip, "0.0.0.0"),
                protocol: or(&port.protocol, "TCP"),
                port: number,
            })
        });
        Self {
            requests: resources::requests(spec),
            assumed_cpu,
            assumed_memory,
            ports: taken.collect(),
            priority: spec.priority.unwrap_or(0),
        }
    }
}

impl PodInfo {
    /// What matters of `pod`.
    pub(crate) fn of(pod: &Pod) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let meta = &pod.metadata;
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
        let scheduled = conditions
            .into_iter()
            .flatten()
            .find(|c| c.type_ == "PodScheduled");
        let verdict = scheduled.filter(|c| c.status == "False").map(|c| Verdict {
            reason: c.reason.clone().unwrap_or_default(),
            message: c.message.clone().unwrap_or_default(),
        });
        Self {
            key: Key::of(meta),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            generation: meta.generation,
            created: meta
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::UNIX_EPOCH, |t| t.0),
            footprint: Footprint::of(pod),
            node_name: spec.node_name.unwrap_or_default(),
            node_selector: spec.node_selector.unwrap_or_default().into_iter().collect(),
            node_affinity: spec.affinity.and_then(|a| a.node_affinity),
            tolerations: spec.tolerations.unwrap_or_default(),
            gates: spec
                .scheduling_gates
                .into_iter()
                .flatten()
                .map(|g| g.name)
                .collect(),
            images: spec
                .containers
                .into_iter()
                .filter_map(|c| c.image)
                .collect(),
            never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
            verdict,
        }
    }

    /// Whether something that decides where the pod goes differs.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let rest = |pod: &Self| Self {
            resource_version: String::new(),
            generation: None,
            verdict: None,
            ..pod.clone()
        };
        rest(self) != rest(other)
    }
}
