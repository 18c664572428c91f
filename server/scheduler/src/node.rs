//! What the scheduler keeps of a node: what it offers, and what its pods have taken.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::pod::{Footprint, HostPort};
use crate::resources::Resources;

/// A node and what is left on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeInfo {
    pub(crate) name: String,
    pub(crate) offer: Offer,
    /// What the pods on it have asked for.
    pub(crate) requested: Resources,
    /// What they count for when nodes are compared, see [`Footprint`].
    pub(crate) assumed_cpu: i64,
    pub(crate) assumed_memory: i64,
    /// How many there are.
    pub(crate) pods: i64,
    pub(crate) ports: Vec<HostPort>,
    /// How many pods have which priority.
    pub(crate) priorities: BTreeMap<i32, usize>,
}

/// What a node is and offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Offer {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Resources,
    /// How many pods it takes.
    pub(crate) max_pods: i64,
    /// Its images and their sizes in bytes, by name, sorted.
    pub(crate) images: Vec<(String, i64)>,
}

impl Offer {
    /// What `node` offers.
    pub(crate) fn of(node: &Node) -> Self {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.clone().unwrap_or_default();
        let pods = status.allocatable.as_ref().and_then(|a| a.get("pods"));
        let max_pods = pods.and_then(|q| api::meta::quantity::Quantity::parse(&q.0).ok());
        let mut images: Vec<(String, i64)> = Vec::new();
        for image in status.images.into_iter().flatten() {
            let size = image.size_bytes.unwrap_or(0);
            images.extend(image.names.into_iter().flatten().map(|name| (name, size)));
        }
        images.sort();
        Self {
            labels: node.metadata.labels.clone().unwrap_or_default(),
            taints: spec.taints.unwrap_or_default(),
            unschedulable: spec.unschedulable.unwrap_or(false),
            allocatable: Resources::read(status.allocatable.as_ref()),
            max_pods: max_pods.map_or(0, |q| i64::try_from(q.value()).unwrap_or(i64::MAX)),
            images,
        }
    }

    /// The size of an image in bytes, if the node has it.
    pub(crate) fn image(&self, name: &str) -> Option<i64> {
        let found = self.images.binary_search_by(|(n, _)| n.as_str().cmp(name));
        found.ok().map(|index| self.images[index].1)
    }
}

impl NodeInfo {
    /// Notes a pod.
    pub(crate) fn add(&mut self, pod: &Footprint) {
        self.requested.add(&pod.requests);
        self.assumed_cpu += pod.assumed_cpu;
        self.assumed_memory += pod.assumed_memory;
        self.pods += 1;
        self.ports.extend(pod.ports.iter().cloned());
        *self.priorities.entry(pod.priority).or_default() += 1;
    }

    /// Notes that a pod is gone.
    pub(crate) fn remove(&mut self, pod: &Footprint) {
        self.requested.subtract(&pod.requests);
        self.assumed_cpu -= pod.assumed_cpu;
        self.assumed_memory -= pod.assumed_memory;
        self.pods -= 1;
        for port in &pod.ports {
            if let Some(index) = self.ports.iter().position(|p| p == port) {
                self.ports.swap_remove(index);
            }
        }
        if let Some(count) = self.priorities.get_mut(&pod.priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&pod.priority);
            }
        }
    }

    /// Whether a pod of lower priority is here.
    pub(crate) fn has_lower(&self, priority: i32) -> bool {
        self.priorities
            .keys()
            .next()
            .is_some_and(|lowest| *lowest < priority)
    }
}
