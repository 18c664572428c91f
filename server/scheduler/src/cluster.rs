//! The nodes and the pods on them, kept up to date change by change: what a cycle looks at.
//!
//! A pod that was just given a node counts at once (*assumed*), before the server confirms it, so
//! that the next cycle doesn't give the same room away twice.

use std::collections::HashMap;

use crate::node::{NodeInfo, Offer};
use crate::pod::Footprint;

/// All nodes, and where each pod is.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// The nodes, in an order that changes only when one goes.
    nodes: Vec<NodeInfo>,
    by_name: HashMap<String, usize>,
    /// The pods that have a node, by uid.
    pods: HashMap<String, Placed>,
    /// The pods of nodes that are not known (yet), by node.
    homeless: HashMap<String, Vec<Footprint>>,
    /// On how many nodes each image is.
    image_counts: HashMap<String, usize>,
}

#[derive(Debug)]
struct Placed {
    node: String,
    footprint: Footprint,
}

impl Cluster {
    /// All nodes.
    pub(crate) fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// The node of that name.
    pub(crate) fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.by_name.get(name).map(|index| &self.nodes[*index])
    }

    /// On how many nodes an image is.
    pub(crate) fn nodes_with_image(&self, name: &str) -> usize {
        self.image_counts.get(name).copied().unwrap_or(0)
    }

    /// The node that a pod is on, or assumed to be on.
    pub(crate) fn node_of(&self, uid: &str) -> Option<&str> {
        self.pods.get(uid).map(|placed| placed.node.as_str())
    }

    /// Notes a node as it is, and says whether anything that matters has changed.
    pub(crate) fn set_node(&mut self, name: &str, offer: Offer) -> bool {
        if let Some(index) = self.by_name.get(name) {
            let index = *index;
            if self.nodes[index].offer == offer {
                return false;
            }
            let old = std::mem::replace(&mut self.nodes[index].offer, offer);
            self.count_images(&old, -1);
            let new = self.nodes[index].offer.clone();
            self.count_images(&new, 1);
            return true;
        }
        self.count_images(&offer, 1);
        let mut node = NodeInfo {
            name: name.to_owned(),
            offer,
            ..NodeInfo::default()
        };
        for footprint in self.homeless.remove(name).unwrap_or_default() {
            node.add(&footprint);
        }
        self.by_name.insert(name.to_owned(), self.nodes.len());
        self.nodes.push(node);
        true
    }

    /// Notes that a node is gone.
    pub(crate) fn remove_node(&mut self, name: &str) {
        let Some(index) = self.by_name.remove(name) else {
            return;
        };
        let node = self.nodes.swap_remove(index);
        if let Some(moved) = self.nodes.get(index) {
            self.by_name.insert(moved.name.clone(), index);
        }
        self.count_images(&node.offer, -1);
        let left = self.pods.values().filter(|placed| placed.node == name);
        let left: Vec<Footprint> = left.map(|placed| placed.footprint.clone()).collect();
        if !left.is_empty() {
            self.homeless.insert(name.to_owned(), left);
        }
    }

    /// Notes that a pod is on a node, or is assumed to be.
    pub(crate) fn place(&mut self, uid: &str, node: &str, footprint: Footprint) {
        if let Some(placed) = self.pods.get(uid) {
            if placed.node == node && placed.footprint == footprint {
                return;
            }
            self.unplace(uid);
        }
        match self.by_name.get(node) {
            Some(index) => self.nodes[*index].add(&footprint),
            None => {
                let waiting = self.homeless.entry(node.to_owned()).or_default();
                waiting.push(footprint.clone());
            }
        }
        let node = node.to_owned();
        self.pods.insert(uid.to_owned(), Placed { node, footprint });
    }

    /// Notes that a pod is not on its node any more, and gives the node's name.
    pub(crate) fn unplace(&mut self, uid: &str) -> Option<String> {
        let placed = self.pods.remove(uid)?;
        if let Some(index) = self.by_name.get(&placed.node) {
            self.nodes[*index].remove(&placed.footprint);
        } else if let Some(waiting) = self.homeless.get_mut(&placed.node) {
            if let Some(index) = waiting.iter().position(|f| *f == placed.footprint) {
                waiting.swap_remove(index);
            }
            if waiting.is_empty() {
                self.homeless.remove(&placed.node);
            }
        }
        Some(placed.node)
    }

    /// The uids of all pods that have a node.
    pub(crate) fn placed(&self) -> Vec<String> {
        self.pods.keys().cloned().collect()
    }

    fn count_images(&mut self, offer: &Offer, by: isize) {
        for (name, _) in &offer.images {
            let count = self.image_counts.entry(name.clone()).or_default();
            *count = count.saturating_add_signed(by);
            if *count == 0 {
                self.image_counts.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprint(cpu: i64) -> Footprint {
        Footprint {
            requests: crate::resources::Resources {
                cpu,
                ..Default::default()
            },
            ..Footprint::default()
        }
    }

    #[test]
    fn pods_take_from_their_node_until_they_go() {
        let mut cluster = Cluster::default();
        cluster.set_node("n1", Offer::default());
        cluster.place("p", "n1", footprint(100));
        cluster.place("p", "n1", footprint(100));
        assert_eq!(cluster.nodes()[0].requested.cpu, 100);
        assert_eq!(cluster.unplace("p").as_deref(), Some("n1"));
        assert_eq!(cluster.nodes()[0].requested.cpu, 0);
        assert_eq!(cluster.nodes()[0].pods, 0);
    }

    #[test]
    fn a_pod_that_comes_before_its_node_counts_when_the_node_comes() {
        let mut cluster = Cluster::default();
        cluster.place("p", "n1", footprint(100));
        cluster.set_node("n1", Offer::default());
        assert_eq!(cluster.nodes()[0].requested.cpu, 100);
        cluster.remove_node("n1");
        cluster.set_node("n1", Offer::default());
        assert_eq!(cluster.nodes()[0].requested.cpu, 100);
    }

    #[test]
    fn the_others_keep_their_names_when_a_node_goes() {
        let mut cluster = Cluster::default();
        for name in ["a", "b", "c"] {
            cluster.set_node(name, Offer::default());
        }
        cluster.remove_node("a");
        cluster.place("p", "c", footprint(7));
        assert_eq!(cluster.node("c").map(|n| n.requested.cpu), Some(7));
        assert!(cluster.node("a").is_none());
    }

    #[test]
    fn only_a_change_that_matters_is_one() {
        let mut cluster = Cluster::default();
        assert!(cluster.set_node("a", Offer::default()));
        assert!(!cluster.set_node("a", Offer::default()));
        let cordoned = Offer {
            unschedulable: true,
            ..Offer::default()
        };
        assert!(cluster.set_node("a", cordoned));
    }
}
