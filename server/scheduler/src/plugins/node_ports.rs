//! NodePorts: a port of a node can be had once.

use super::{Filtered, Plugin, Reasons};
use crate::node::NodeInfo;
use crate::pod::PodInfo;

pub(super) struct NodePorts;

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn filters(&self, pod: &PodInfo) -> bool {
        !pod.footprint.ports.is_empty()
    }

    fn filter(&self, pod: &PodInfo, node: &NodeInfo, reasons: &mut Reasons) -> Filtered {
        let mut wanted = pod.footprint.ports.iter();
        if !wanted.any(|port| node.ports.iter().any(|taken| taken.conflicts(port))) {
            return Filtered::Possible;
        }
        reasons.push("node(s) didn't have free ports for the requested pod ports".into());
        Filtered::Occupied
    }
}
